"""A downloader for pooch that goes on where a broken transfer stopped (HTTP Range, RFC 9110 section 14).

What has come of a file waits in <data set>/.partial/ until it is whole; pooch then compares checksums and moves it to its place.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Progress = Callable[[str, int, int | None], None]
CHUNK = 1 << 13    # what is lost of a transfer that breaks off is less than one
TIMEOUT_S = 30.0


class Resuming:
    """Called by pooch with an address and where the content must go; raises OSError (requests' errors are such)."""

    def __init__(self, folder: Path, progress: Progress | None = None) -> None:
        self.partial = folder / ".partial"
        self.progress = progress
        self.file = ""

    def __call__(self, url: str, output_file: str, pooch: Any = None) -> None:
        """Fetch `url` into `output_file`, from the byte that an earlier try reached."""
        import requests

        self.partial.mkdir(parents=True, exist_ok=True)
        part = self.partial / hashlib.sha256(url.encode()).hexdigest()[:24]
        have = part.stat().st_size if part.exists() else 0
        # identity: a compressed transfer would count other bytes than the file has
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            if answer.status_code == 416:   # nothing follows what is here: it was whole already, or it is another file's
                part.unlink()
                raise requests.ConnectionError(f"the server has no byte {have} of it; it is fetched again from its beginning")
            answer.raise_for_status()
            if answer.status_code != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                have = 0                    # the server sends all of it, whatever was asked for
            size = answer.headers.get("Content-Length")
            total = have + int(size) if size is not None else None
            with part.open("ab" if have else "wb") as out:
                for chunk in answer.iter_content(CHUNK):
                    out.write(chunk)
                    have += len(chunk)
                    if self.progress:
                        self.progress(self.file, have, total)
        if total is not None and have < total:
            raise requests.ConnectionError(f"the connection ended after {have} of {total} bytes")
        os.replace(part, output_file)

    def tidy(self) -> None:
        """Forget what is left of broken transfers: everything has come."""
        shutil.rmtree(self.partial, ignore_errors=True)
