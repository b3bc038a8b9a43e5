"""Where data sets are on this machine, and how the open ones get here.

Looked for in this order: the argument, $NOCIBAND_DATA, the download cache. `download` fetches the files named in <data set>.json
(pinned to a commit, with checksums); `nociband data get NAME` calls it. What a data set is stands in nociband.signals.registry.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from nociband.errors import DataError, EnvironmentProblem
from nociband.signals import registry
from nociband.signals.fetch import Progress, Resuming
from nociband.signals.recording import DamagedFile, Finding
from nociband.signals.tables import find as find_file
from nociband.signals.tables import read_bytes


def describe(name: str) -> Mapping[str, Any]:
    """An open data set's addresses and checksums: base_url, repository, licence, bytes, sha256 by file (None: not known).

    Raises DataError for an unknown name, and for a set that cannot be downloaded, saying how to obtain that.
    """
    info = registry.find(name)
    if info.access != "open":
        raise DataError(f"{info.name} cannot be downloaded: {info.how_to_obtain}")
    manifest = resources.files(__package__).joinpath(f"{info.folder.split('/')[0]}.json")
    if not manifest.is_file():
        raise DataError(f"{info.name} is registered as open, but there is no {manifest} with the address and checksums of its "
                        "files: write it, or register the set with access=\"registered\" (docs/data.md, A set of your own)")
    return json.loads(manifest.read_text("utf-8"))


def cache_folder() -> Path:
    """Where downloads are kept: $NOCIBAND_CACHE, else nociband/data in the user's cache folder."""
    if own := os.environ.get("NOCIBAND_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nociband" / "data"


def locate(name: str, root: str | Path | None = None) -> Path:
    """The folder that holds the data set's files.

    `root`, like $NOCIBAND_DATA, is a folder of data sets, or the data set's own folder. A place that was named but does not
    hold the data is an error, never passed over for the next one. Raises DataError that says where it looked.
    """
    info = registry.find(name)
    if root is not None:
        return _inside(Path(root), info, "the folder given")
    if named := os.environ.get("NOCIBAND_DATA"):
        return _inside(Path(named), info, "NOCIBAND_DATA")
    return _inside(cache_folder(), info, "the download cache")


def available(name: str, root: str | Path | None = None) -> bool:
    """Whether `locate` would find the data set."""
    try:
        locate(name, root)
    except DataError:
        return False
    return True


def _inside(root: Path, info: registry.DatasetInfo, what: str) -> Path:
    own = root / info.folder
    for candidate in (own, root / own.name, root):
        if candidate.is_dir() and any(next(candidate.glob(m), None) for m in info.markers):
            return candidate
    if not info.markers and own.is_dir() and any(own.iterdir()):   # the loader itself knows by what to tell
        return own
    why = "does not exist" if not root.exists() else f"holds no {info.folder}"
    if info.access != "open":
        raise DataError(f"{what} ({root}) {why}. {info.how_to_obtain}")
    raise DataError(f"{what} ({root}) {why}. Get the data with `nociband data get {info.name}`, or set NOCIBAND_DATA to the "
                    f"folder that holds {Path(info.folder).parts[0]}/")


def verify(name: str, root: str | Path | None = None) -> list[Finding]:
    """Files of an open set that are missing or not the published ones (a .gz is compared unpacked). Raises DataError."""
    folder = locate(name, root)
    return [found for file, sha in describe(name)["sha256"].items() if (found := _differs(folder / file, sha))]


def _differs(path: Path, sha256: str | None) -> Finding | None:
    try:
        content = read_bytes(find_file(path))
    except DamagedFile as e:
        return e.finding
    if sha256 is None or (is_now := hashlib.sha256(content).hexdigest()) == sha256:
        return None
    return Finding(path, f"not the published file: its SHA-256 is {is_now[:12]}..., {sha256[:12]}... belongs")


def download(name: str, base_url: str | None = None, progress: Progress | None = None, into: str | Path | None = None) -> Path:
    """Fetch every file (those already there are checked and kept; a broken transfer goes on where it stopped); their folder.

    `into` is a folder of data sets, else the cache. `base_url` replaces the address that the files come from, e.g. a mirror.
    `progress` is called with the file, the bytes that have come of it and its size. Raises DataError when a file cannot be
    fetched, its checksum is wrong or the folder cannot be written, EnvironmentProblem without pooch.
    """
    try:
        import pooch
    except ModuleNotFoundError as e:
        raise EnvironmentProblem("downloading needs the package pooch: pip install 'nociband[sim]' (or `make setup`)") from e
    about = describe(name)
    target = Path(into or cache_folder()) / registry.find(name).folder
    pooch.get_logger().setLevel("ERROR")
    store = pooch.create(path=target, base_url=base_url or about["base_url"], registry=about["sha256"], retry_if_failed=2)
    _make_writable(target)
    fetcher = Resuming(target, progress)
    for file in about["sha256"]:
        fetcher.file = file
        try:
            store.fetch(file, downloader=fetcher)
        except ValueError as e:  # pooch's error for a wrong checksum
            raise DataError(f"{file}: what came from {store.base_url} is not the file with the known checksum; it was not kept. "
                            "Try again, or get the data by hand and set NOCIBAND_DATA") from e
        except OSError as e:
            if e.errno in _OF_THE_DISK:
                raise _not_writable(target, e) from e
            raise DataError(f"{file}: could not be fetched from {store.base_url} ({_reason(e)}). Check the network and run this "
                            f"again (it goes on where it stopped), or get the data by hand from {about['repository']} and set "
                            "NOCIBAND_DATA") from e
    fetcher.tidy()
    return target


# What the disk says, not the network: no right, no space, a file where a folder belongs.
_OF_THE_DISK = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
                errno.ENOENT)


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as e:
        raise _not_writable(folder, e) from e


def _not_writable(folder: Path, error: OSError) -> DataError:
    return DataError(f"{folder} cannot be written ({error.strerror or error}); give another folder with --data, or set "
                     "NOCIBAND_CACHE to one")


def _reason(error: BaseException) -> object:
    """What requests wraps in several layers."""
    inner = error.args[0] if error.args else error
    return getattr(inner, "reason", inner)
