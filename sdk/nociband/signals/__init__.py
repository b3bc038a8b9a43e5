"""Recordings and data sets as Recording objects, a physiological simulator, and the virtual front end that digitises them."""

from nociband.signals.front_end import FrontEnd, to_counts
from nociband.signals.recording import Channel, DamagedFile, Event, Finding, Recording

__all__ = ["Channel", "DamagedFile", "Event", "Finding", "FrontEnd", "Recording", "to_counts"]
