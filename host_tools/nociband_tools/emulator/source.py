"""What the emulated front end replays: `fmov[:SUBJECT]`, `simulator[:SEED]` or a file, as slots of 20 ms.

A slot is the payload of a `samples` message, byte for byte. Files are .npz of front-end counts (emg int16 (n, 2), eda uint16
(n / 20,), accel int16 (n / 20, 3), optionally sites, source, simulated) or a recording of the oxazepam_fmov data set.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nociband.errors import DataError
from nociband.signals import FrontEnd, fmov, to_counts
from nociband.signals.simulator import simulate
from nociband.spec import SPEC

_LAYOUT = SPEC.messages["samples"].layout
SLOT_DTYPE = np.dtype([(f.name, f.dtype, (f.count,) if f.count > 1 else ()) for f in _LAYOUT.fields])
EMG_PER_SLOT = 20
SIMULATOR_S = 900.0
SIMULATOR_SEED = 1
_ARRAYS = {"emg": (np.int16, 2, "(n, 2)"), "eda": (np.uint16, 1, "(n / 20,)"), "accel": (np.int16, 2, "(n / 20, 3)")}


@dataclass(frozen=True, eq=False)
class Source:
    """`slots` (n,) of SLOT_DTYPE; `name` for people, `sites` of the two EMG channels, `simulated` what was made up."""

    name: str
    slots: np.ndarray
    sites: tuple[str, str]
    simulated: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Length before it begins again."""
        return len(self.slots) * 0.02


def open_source(text: str) -> Source:
    """Read the source that `text` names. Raises DataError that says what is wrong with it."""
    kind, _, argument = text.partition(":")
    if kind == "fmov" and not Path(text).exists():
        subject = argument or next(iter(fmov.files()))
        return _from_front_end(to_counts(fmov.load_subject(subject)))
    if kind == "simulator" and not Path(text).exists():
        seed = _seed(argument)
        return _from_front_end(to_counts(simulate(SIMULATOR_S, seed), seed), f"simulator, seed {seed}")
    path = Path(text)
    if not path.is_file():
        raise DataError(f"no such source: {text!r}. It is fmov[:SUBJECT], simulator[:SEED], or a file (.npz of counts, or a "
                        "recording of oxazepam_fmov)")
    if path.suffix == ".npz":
        return _from_front_end(_read_npz(path))
    return _from_front_end(to_counts(fmov.load_file(path)))


def unseen(text: str, manifest: Mapping[str, Any]) -> str:
    """`fmov` without a person as one whom this model has not seen: the first held out of its training, else the first there is.

    manifest: the model's manifest.json. Any other source is given back as it is. Raises DataError when the data is not there.
    """
    if text != "fmov":
        return text
    people = list(fmov.files())
    training = manifest.get("training", {})
    if training.get("dataset") == "fmov":
        people = [str(p) for p in training.get("subjects", {}).get("held_out", [])]
        if not people:
            raise DataError(f"{manifest.get('name', 'the model')}: its manifest names no person held out of training; name one, "
                            "e.g. fmov:16, if you do not mind that the model may have seen them")
    return f"fmov:{people[0]}"


def _seed(argument: str) -> int:
    if not argument:
        return SIMULATOR_SEED
    if not argument.isdigit():
        raise DataError(f"simulator:{argument}: the seed is a whole number, e.g. simulator:7")
    return int(argument)


def _from_front_end(front_end: FrontEnd, name: str | None = None) -> Source:
    slots = np.zeros(len(front_end.eda), SLOT_DTYPE)
    slots["eda_counts"] = front_end.eda
    slots["accel_mg"] = front_end.accel
    slots["emg_counts"] = front_end.emg.reshape(len(slots), 2 * EMG_PER_SLOT)
    return Source(name or front_end.source, slots, front_end.sites, front_end.simulated)


def _read_npz(path: Path) -> FrontEnd:
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as e:
        raise DataError(f"{path}: not a whole .npz file ({e})") from e
    for name, (dtype, dimensions, shape) in _ARRAYS.items():
        array = content.get(name)
        if array is None or array.dtype != dtype or array.ndim != dimensions:
            raise DataError(f"{path}: needs the array {name!r} of {np.dtype(dtype)} {shape}")
    emg, eda, accel = (content[name] for name in _ARRAYS)
    n = len(emg)
    if n == 0 or n % 40 or emg.shape[1] != 2 or len(eda) * EMG_PER_SLOT != n or accel.shape != (len(eda), 3):
        raise DataError(f"{path}: emg {emg.shape}, eda {eda.shape}, accel {accel.shape} do not fit together (whole blocks of 40 "
                        "EMG samples, one EDA and accelerometer sample for 20 of them); the file may be truncated")
    sites = tuple(str(s) for s in content.get("sites", np.array(["unspecified", "unspecified"])))
    if len(sites) != 2 or not set(sites) <= set(SPEC.sites):
        raise DataError(f"{path}: sites {sites} are not two of {', '.join(SPEC.sites)}")
    simulated = tuple(str(s) for s in np.atleast_1d(content.get("simulated", np.array([], str))))
    return FrontEnd(emg, eda, accel, (sites[0], sites[1]), simulated, str(content.get("source", path.name)))
