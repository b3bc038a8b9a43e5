"""What a Band is before and around its stream: facts read on connection, checked before anything else is believed.

Reads over band.link; gives BandInfo, Manifest and time exchanges to band.client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nociband.band.link import Link
from nociband.errors import SpecError, WireError
from nociband.manifest import Manifest
from nociband.spec import SPEC
from nociband.wire import ClockFit

MANIFEST_BYTES_MAX = 64 * 1024


@dataclass(frozen=True)
class BandInfo:
    """What the band states before pairing. Hashes are the first 8 bytes of a SHA-256."""

    wire_major: int
    wire_minor: int
    firmware_version: str
    spec_hash: bytes
    model_hash: bytes


@dataclass(frozen=True)
class TimeSync:
    """How well device time is known as host time: seconds, parts per million, and round trips used."""

    uncertainty_s: float
    drift_ppm: float
    drift_uncertainty_ppm: float
    exchanges: int


async def read_info(link: Link) -> BandInfo:
    """Read and check `info`. Raises SpecError when the band speaks another wire or specification than this SDK."""
    try:
        raw = await link.read("info")
    except WireError as e:
        raise SpecError(f"the band's info cannot be read ({e}): its firmware is not of this project, or much older or newer "
                        f"than this SDK (wire {SPEC.major}.{SPEC.minor})") from e
    version = ".".join(str(int(v)) for v in raw["firmware_version"])
    info = BandInfo(raw["wire_major"], raw["wire_minor"], version, raw["spec_hash"].tobytes(), raw["model_hash"].tobytes())
    if info.wire_major != SPEC.major:
        newer = "the SDK (pip install -U nociband)" if info.wire_major > SPEC.major else "the band's firmware"
        raise SpecError(f"the band (firmware {version}) speaks wire {info.wire_major}.{info.wire_minor}, this SDK "
                        f"{SPEC.major}.{SPEC.minor}: update {newer}")
    if not SPEC.hash.startswith(info.spec_hash.hex()):
        raise SpecError(f"the band (firmware {version}) was built for specification {info.spec_hash.hex()}, this SDK has "
                        f"{SPEC.hash[:16]}: install firmware and SDK of the same release")
    return info


async def read_manifest(link: Link, model_hash: bytes) -> Manifest:
    """Read the manifest page by page and check it against `model_hash`. Raises SpecError when it does not hold together."""
    data, pages, page = bytearray(), 1, 0
    while page < pages:
        await link.write("manifest", SPEC.records["manifest_page"].fields[0].dtype.type(page).tobytes())
        part = await _read_page(link)
        pages, total = part["pages"], part["bytes_total"]
        data += part["data"]
        if part["page"] != page or not part["data"] or total > MANIFEST_BYTES_MAX or len(data) > total:
            raise SpecError(f"the band's manifest does not hold together at page {page} of {pages}: build its firmware again")
        page += 1
    if len(data) != total:
        raise SpecError(f"the band's manifest has {len(data)} bytes where it states {total}: build its firmware again")
    return Manifest.from_json(bytes(data), model_hash)


async def _read_page(link: Link) -> dict[str, Any]:
    try:
        return await link.read("manifest")
    except WireError as e:
        raise SpecError(f"the band's manifest does not hold together ({e}): build its firmware again") from e


async def exchange_time(link: Link, clock: ClockFit, rounds: int) -> None:
    """So many get_time round trips into the clock. Raises BandError."""
    for _ in range(rounds):
        answer = await link.control("get_time")
        try:
            clock.exchange(answer.sent_s, answer.values["t_us"], answer.received_s)
        except WireError:       # the host's clock was set back within the round trip: this one says nothing
            continue
