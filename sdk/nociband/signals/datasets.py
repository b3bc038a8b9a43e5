"""Where data sets are on this machine, and how they get here.

Looked for in this order: the argument, $NOCIBAND_DATA, the download cache. `download` fetches the files named in
<data set>.json (pinned to a commit, with checksums) into the cache; `nociband download NAME` calls it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from nociband.errors import DataError, EnvironmentProblem

NAMES = ("oxazepam_fmov",)


def describe(name: str) -> Mapping[str, Any]:
    """The data set's folder, licence, addresses and checksums (sha256 by file). Raises DataError for an unknown name."""
    if name not in NAMES:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(NAMES)}")
    return json.loads(resources.files(__package__).joinpath(f"{name}.json").read_text("utf-8"))


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
    folder = describe(name)["folder"]
    if root is not None:
        return _inside(Path(root), name, folder, "the folder given")
    if named := os.environ.get("NOCIBAND_DATA"):
        return _inside(Path(named), name, folder, "NOCIBAND_DATA")
    return _inside(cache_folder(), name, folder, "the download cache")


def available(name: str, root: str | Path | None = None) -> bool:
    """Whether `locate` would find the data set."""
    try:
        locate(name, root)
    except DataError:
        return False
    return True


def _inside(root: Path, name: str, folder: str, what: str) -> Path:
    for candidate in (root / name / folder, root / folder, root):
        if candidate.is_dir() and any(candidate.glob("*_FMOV_preprocessed.txt*")):
            return candidate
    why = "does not exist" if not root.exists() else f"holds no {name}/{folder}"
    raise DataError(f"{what} ({root}) {why}. Get the data with `nociband download {name}`, or set NOCIBAND_DATA to the folder "
                    f"that holds {name}/")


def download(name: str, base_url: str | None = None, progress: bool = False) -> Path:
    """Fetch every file into the cache (those already there are checked and kept) and return their folder.

    `base_url` replaces the address that the files come from, e.g. a mirror. Raises DataError when a file cannot be fetched or
    its checksum is wrong, EnvironmentProblem without pooch.
    """
    try:
        import pooch
    except ModuleNotFoundError as e:
        raise EnvironmentProblem("downloading needs the package pooch: pip install 'nociband[sim]' (or `make setup`)") from e
    about = describe(name)
    target = cache_folder() / name / about["folder"]
    pooch.get_logger().setLevel("INFO" if progress else "ERROR")
    store = pooch.create(path=target, base_url=base_url or about["base_url"], registry=about["sha256"], retry_if_failed=2)
    for file in about["sha256"]:
        try:
            store.fetch(file)
        except ValueError as e:  # pooch's error for a wrong checksum
            raise DataError(f"{file}: what came from {store.base_url} is not the file with the known checksum; it was not kept. "
                            "Try again, or get the data by hand and set NOCIBAND_DATA") from e
        except OSError as e:
            reason = getattr(e.args[0] if e.args else e, "reason", e)      # what requests wraps in several layers
            raise DataError(f"{file}: could not be fetched from {store.base_url} ({reason}). Check the network, or get the data "
                            f"by hand from {about['repository']} and set NOCIBAND_DATA") from e
    return target
