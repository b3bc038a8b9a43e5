"""Session files and exports: what a band sent, kept as it came, and read again as the same records.

Data comes from a recorder on nociband.band's stream (`nociband record`); it goes to whoever opens the file.
"""

from nociband.store.export import record_to_dict, to_arrays, to_npz
from nociband.store.session import Completeness, Session, SessionWriter, open_session

__all__ = ["Completeness", "Session", "SessionWriter", "open_session", "record_to_dict", "to_arrays", "to_npz"]
