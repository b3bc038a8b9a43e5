"""Records in forms that other tools read: JSON lines and NumPy archives.

In: records of nociband.band or of a session file. Out: JSON-able dicts, or one .npz with everything that a session holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from nociband.records import FeatureBlock, Gap, MotionBlock, Prediction, Record, SignalBlock, Status
from nociband.spec import SPEC

NAMES: dict[type, str] = {SignalBlock: "signals", MotionBlock: "motion", FeatureBlock: "features", Prediction: "prediction",
                          Gap: "gap", Status: "status"}


def record_to_dict(record: Record) -> dict[str, Any]:
    """A record as JSON-able values; `type` is its name in the specification ("gap" for a Gap). Integers stay integers."""
    values = {f.name: _plain(getattr(record, f.name)) for f in fields(record)}
    return {"type": NAMES[type(record)], **values}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def to_arrays(records: Iterable[Record]) -> dict[str, np.ndarray]:
    """Everything as arrays. Signals stay in counts; `*_index` is the position of each block's first sample in its epoch, so that
    gaps show. Keys: emg_counts (n, 40, 2) int16, eda_counts (n, 2) uint16, signals_index, signals_epoch, signals_host_time_s;
    accel_mg (n, 25, 3), motion_index, motion_epoch; features (n, 5, 6) int16, features_index, features_epoch; prediction_logits
    (n, 8) int16, prediction_probabilities (n, classes), prediction_valid, prediction_quality, prediction_score (NaN without
    one), prediction_index, prediction_epoch, prediction_host_time_s; gaps (n, 3): epoch, first_seq, lost.
    """
    kept: dict[type, list[Any]] = {kind: [] for kind in NAMES}
    for record in records:
        kept[type(record)].append(record)
    arrays = _signals(kept[SignalBlock]) | _predictions(kept[Prediction])
    motion, features = kept[MotionBlock], kept[FeatureBlock]
    arrays |= {"accel_mg": _stack([m.accel_mg for m in motion], (25, 3), np.int16), **_where("motion", motion, "sample_index")}
    arrays |= {"features": _stack([f.features for f in features], (5, len(SPEC.model_inputs)), np.int16),
               **_where("features", features, "frame_index")}
    gaps = [(g.epoch, g.first_seq, g.lost) for g in kept[Gap]]
    return arrays | {"gaps": np.array(gaps, np.int64).reshape(-1, 3)}


def to_npz(records: Iterable[Record], path: Path) -> None:
    """Write `to_arrays` to a compressed .npz."""
    np.savez_compressed(path, **to_arrays(records))  # type: ignore[arg-type]


def _stack(rows: list[Any], shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.array(rows, dtype).reshape(-1, *shape)


def _where(name: str, blocks: list[Any], index: str) -> dict[str, np.ndarray]:
    return {f"{name}_index": np.array([getattr(b, index) for b in blocks], np.int64),
            f"{name}_epoch": np.array([b.epoch for b in blocks], np.int64)}


def _signals(blocks: list[SignalBlock]) -> dict[str, np.ndarray]:
    return {"emg_counts": _stack([b.emg_counts for b in blocks], (40, 2), np.int16),
            "eda_counts": _stack([b.eda_counts for b in blocks], (2,), np.uint16),
            "signals_host_time_s": np.array([b.host_time_s for b in blocks]), **_where("signals", blocks, "sample_index")}


def _predictions(rows: list[Prediction]) -> dict[str, np.ndarray]:
    logits_max = next(f.count for f in SPEC.records["prediction"].fields if f.name == "logits")
    logits = np.zeros((len(rows), logits_max), np.int16)
    classes = max((len(r.labels) for r in rows), default=0)
    probabilities = np.full((len(rows), classes), np.nan)
    for i, r in enumerate(rows):
        logits[i, :len(r.logits)] = r.logits
        probabilities[i, :len(r.probabilities)] = r.probabilities
    return {"prediction_logits": logits, "prediction_probabilities": probabilities,
            "prediction_valid": np.array([not r.why for r in rows], bool),
            "prediction_quality": np.array([r.quality for r in rows]),
            "prediction_score": np.array([np.nan if r.score is None else r.score for r in rows]),
            "prediction_host_time_s": np.array([r.host_time_s for r in rows]), **_where("prediction", rows, "frame_index")}
