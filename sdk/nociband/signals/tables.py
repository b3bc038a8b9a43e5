"""Text tables of data sets, read so that a damaged one is named exactly: the file, the line, the column.

Files are read plain or gzip-compressed. Loaders turn the tables into recordings; every error is a DamagedFile.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nociband.signals.recording import DamagedFile


def find(path: Path) -> Path:
    """`path`, or the same with .gz when that is what is there. Raises DamagedFile when neither is."""
    packed = path.with_name(path.name + ".gz")
    if path.is_file():
        return path
    if packed.is_file():
        return packed
    raise DamagedFile(path, "no such file (nor the same with .gz)")


def read_bytes(path: Path) -> bytes:
    """The content, unpacked when the name ends in .gz. Raises DamagedFile."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except FileNotFoundError as e:
        raise DamagedFile(path, "no such file") from e
    except EOFError as e:
        raise DamagedFile(path, f"the gzip file is truncated ({len(data)} bytes); fetch it again") from e
    except (gzip.BadGzipFile, zlib.error) as e:
        raise DamagedFile(path, f"not a sound gzip file ({e}); fetch it again") from e
    except OSError as e:
        raise DamagedFile(path, f"cannot be read ({e.strerror or e})") from e


def numbers(text: bytes, path: Path, columns: int, separator: bytes | None = None, first_line: int = 1) -> np.ndarray:
    """float64 (lines, columns), finite. `separator` None is any white space; `first_line` is the text's first in the file.

    The whole text is parsed at once; only a damaged one is searched line by line. Raises DamagedFile.
    """
    if not text.strip():
        raise DamagedFile(path, "the file is empty" if first_line == 1 else f"nothing follows line {first_line - 1}")
    values = (text if separator is None else text.replace(separator, b" ")).split()
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    try:
        if len(values) != columns * lines:
            raise ValueError("columns")
        table = np.array(values, np.float64).reshape(-1, columns)
    except ValueError:
        raise _first_fault(text, path, columns, separator, first_line) from None
    if not np.isfinite(table).all():
        row, column = (int(v) for v in np.argwhere(~np.isfinite(table))[0])
        raise DamagedFile(path, f"column {column + 1} is {table[row, column]}, not a finite number", f"line {row + first_line}")
    return table


def _first_fault(text: bytes, path: Path, columns: int, separator: bytes | None, first_line: int) -> DamagedFile:
    for number, line in enumerate(text.splitlines(), first_line):
        row = line.split(separator) if line.strip() else []
        if len(row) != columns:
            return DamagedFile(path, f"{len(row)} columns where {columns} belong", f"line {number}")
        for column, value in enumerate(row, 1):
            try:
                float(value)
            except ValueError:
                said = value.decode(errors="replace").strip()
                return DamagedFile(path, f"column {column} is not a number ({said!r})", f"line {number}")
    return DamagedFile(path, "the table has blank lines or odd line ends")


def columns(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, list[str]]:
    """Columns by name of a comma-separated table whose first line names them. Raises DamagedFile.

    Every one of `names` must be there, those of `optional` are returned when they are; all values are text, and row `i` is
    line `i + 2` of the file.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise DamagedFile(path, f"byte {e.start} is not text (UTF-8)") from e
    rows = csv.reader(io.StringIO(text, newline=""))
    header = [h.strip() for h in next(rows, [])]
    if not header:
        raise DamagedFile(path, "the file is empty")
    for name in names:
        if name not in header:
            raise DamagedFile(path, f"no column {name!r}; there are {', '.join(map(repr, header))}", "line 1")
    body = []
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise DamagedFile(path, f"{len(row)} columns where {len(header)} belong", f"line {number}")
        body.append(row)
    if not body:
        raise DamagedFile(path, "nothing follows line 1")
    return {name: [row[at] for row in body] for at, name in enumerate(header) if name in names or name in optional}


def to_floats(values: Sequence[str], path: Path, name: str, missing: Sequence[str] = ()) -> np.ndarray:
    """float64 (n,) of a column from `columns`, NaN where the value is one of `missing`. Raises DamagedFile."""
    out = np.empty(len(values))
    for i, value in enumerate(values):
        try:
            out[i] = np.nan if value in missing else float(value)
        except ValueError:
            raise DamagedFile(path, f"column {name!r} is not a number ({value!r})", f"line {i + 2}") from None
        if value not in missing and not np.isfinite(out[i]):
            raise DamagedFile(path, f"column {name!r} is {value}, not a finite number", f"line {i + 2}")
    return out
