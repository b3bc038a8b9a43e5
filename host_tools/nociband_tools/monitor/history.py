"""The last minutes of the live hub in the shape that the page draws, for any number of browsers at their own pace.

Records come from a subscription to nociband_tools.live.Live; each browser asks for what is new since its cursor and gets a
dict for JSON. A slow browser skips what fell out of the rings; nothing here waits for it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from nociband.records import FaceMeasures, FeatureBlock, FusedPrediction, Gap, Prediction
from nociband.spec import SPEC
from nociband_tools.live_state import LiveRecord, LiveState, ModelInfo
from nociband_tools.monitor.words import FLAGS, band_why, face_why, fused_why

SIGNAL_KEPT_S = 62.0          # the page draws 60 s
TREND_KEPT_S = 605.0          # and up to 10 min of scores
TREND_HZ_MAX = 5.0            # fused updates come at most four times a second, with each prediction
FACE_KEPT = 1                 # only the latest measures are shown
SIGNAL_COLUMNS = ("t", "eda", "tonic", "phasic", "emg1", "emg2")
_FRAME_S = SPEC.features["block"]["us"] * 1e-6
_MEASURES = ("brow_lowering", "eye_closing", "nose_wrinkling", "upper_lip_raising", "mouth_opening")


class Ring:
    """The last rows of a stream; `total` counts all that ever came, so that a reader knows what it has missed."""

    def __init__(self, length: int) -> None:
        self.rows: deque[Any] = deque(maxlen=length)
        self.total = 0

    def add(self, row: Any) -> None:
        """Append a row; the oldest goes when the ring is full."""
        self.rows.append(row)
        self.total += 1

    def since(self, seen: int) -> list[Any]:
        """Rows after the first `seen` ones, as far as they are still here."""
        fresh = min(self.total - seen, len(self.rows))
        return list(islice(self.rows, len(self.rows) - fresh, None))

    def clear(self) -> None:
        """Drop the rows; `total` goes on, so that readers stay in step."""
        self.rows.clear()


@dataclass
class Cursor:
    """What one browser has seen."""

    signals: int = 0
    predictions: int = 0
    fused: int = 0
    face: int = 0
    state: LiveState | None = None
    state_at: float = -math.inf


class History:
    """Rings of signals, predictions, fused values and face measures, and the hub's state.

    `state` gives the hub's state now; `clock` Unix seconds.
    """

    def __init__(self, state: Callable[[], LiveState], clock: Callable[[], float] = time.time) -> None:
        self._state, self._clock = state, clock
        self._signals = Ring(int(SIGNAL_KEPT_S / _FRAME_S))
        self._predictions = Ring(int(TREND_KEPT_S))
        self._fused = Ring(int(TREND_KEPT_S * TREND_HZ_MAX))
        self._face = Ring(FACE_KEPT)
        self._epoch: int | None = None
        self._frame_index: int | None = None
        self._model: ModelInfo | None = None

    def add(self, record: LiveRecord) -> None:
        """Take what the page shows; raw samples are left to others."""
        if isinstance(record, FeatureBlock):
            self._add_features(record)
        elif isinstance(record, Prediction):
            self._frame_index = record.frame_index
            self._predictions.add(self._prediction_row(record))
        elif isinstance(record, FusedPrediction):
            self._fused.add(self._fused_row(record))
        elif isinstance(record, FaceMeasures):
            self._face.add(record)
        elif isinstance(record, Gap):
            self._break()
        elif isinstance(record, LiveState) and record.model != self._model:
            self._another_model(record.model)

    def since(self, cursor: Cursor) -> dict[str, Any]:
        """What is new for this browser, and moves its cursor. Empty when nothing is. The first message has all there is."""
        now = self._clock()
        message: dict[str, Any] = {}
        signals = self._signals.since(cursor.signals)
        if signals:
            message["signals"] = dict(zip(SIGNAL_COLUMNS, map(list, zip(*signals, strict=True)), strict=True))
        for key, ring in (("predictions", self._predictions), ("fused", self._fused)):
            rows = ring.since(getattr(cursor, key))
            if rows:
                message[key] = rows
        face = self._face.since(cursor.face)
        if face:
            message["face"] = self._face_row(face[-1])
        message.update(self._state_part(cursor, now))
        cursor.signals, cursor.predictions = self._signals.total, self._predictions.total
        cursor.fused, cursor.face = self._fused.total, self._face.total
        if message:
            message["now"] = round(now, 3)
        return message

    def _state_part(self, cursor: Cursor, now: float) -> dict[str, Any]:
        """The state when it changed, and its counters once a second."""
        state = self._state()
        same = cursor.state is not None and state.link == cursor.state.link and state.message == cursor.state.message \
            and state.needs_passkey == cursor.state.needs_passkey
        if same and now - cursor.state_at < 1.0:
            return {}
        cursor.state, cursor.state_at = state, now
        row = asdict(state)
        row["band_notes"] = [FLAGS[f] for f in state.band_flags if f == "signals_withheld"]
        return {"state": row}

    def _add_features(self, block: FeatureBlock) -> None:
        if self._epoch is not None and block.epoch != self._epoch:
            self._break()
        self._epoch = block.epoch
        tonic, phasic, emg = block.eda_tonic_usiemens, block.eda_phasic_usiemens, block.emg_envelope_uv
        for i in range(len(tonic)):
            t = block.host_time_s + i * _FRAME_S
            self._signals.add(_rounded((t, tonic[i] + phasic[i], tonic[i], phasic[i], emg[i, 0], emg[i, 1])))

    def _another_model(self, model: ModelInfo | None) -> None:
        """What another model said, or a band that is forgotten, does not belong in the same picture."""
        if self._model is not None:
            for ring in (self._signals, self._predictions, self._fused):
                ring.clear()
        self._model, self._frame_index = model, None

    def _break(self) -> None:
        """A hole in the curves: no line is drawn over what was lost."""
        if self._signals.rows and self._signals.rows[-1][1] is not None:
            t = self._signals.rows[-1][0] + _FRAME_S / 2
            self._signals.add((round(t, 3),) + (None,) * (len(SIGNAL_COLUMNS) - 1))

    def _prediction_row(self, p: Prediction) -> dict[str, Any]:
        return {
            "t": round(self._clock(), 3), "score": _round(p.score), "quality": _round(p.quality), "label": p.label,
            "probabilities": () if p.why else _rounded(p.probabilities), "why": band_why(p.why, p.frame_index),
        }

    def _face_row(self, m: FaceMeasures) -> dict[str, Any]:
        """A 0-10 estimate belongs beside a model of pain only; beside any other the measures alone are shown."""
        model = self._state().model
        return {
            "t": round(m.host_time_s, 3), "measures": {name: _round(getattr(m, name)) for name in _MEASURES},
            "score": _round(m.score) if model is not None and model.of == "pain" else None,
            "quality": _round(m.quality), "why": face_why(m.why), "source": m.source,
        }

    def _fused_row(self, f: FusedPrediction) -> dict[str, Any]:
        with_face = self._state().face != "off"
        return {
            "t": round(f.host_time_s, 3), "score": _round(f.score), "band": _round(f.band_score), "face": _round(f.face_score),
            "band_weight": _round(f.band_weight), "face_weight": _round(f.face_weight), "quality": _round(f.quality),
            "why": fused_why(f.why, self._frame_index, with_face),
        }


def _round(value: float | None) -> float | None:
    """Three decimals for JSON; what is not a number becomes null."""
    return None if value is None or not math.isfinite(value) else round(float(value), 3)


def _rounded(values: Iterable[float]) -> tuple[float | None, ...]:
    return tuple(_round(v) for v in values)
