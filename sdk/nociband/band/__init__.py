"""Bands over Bluetooth: find, connect, pair, stream. The only room that imports bleak.

Goes in: what a band advertises and sends (through bleak, or a backend such as the virtual radio). Comes out: typed records.
"""

from nociband.band.backend import Backend, Passkey, SystemBackend
from nociband.band.client import Band
from nociband.band.discovery import Found, find_band, find_bands
from nociband.band.session import BandInfo, TimeSync

__all__ = ["Backend", "Band", "BandInfo", "Found", "Passkey", "SystemBackend", "TimeSync", "find_band", "find_bands"]
