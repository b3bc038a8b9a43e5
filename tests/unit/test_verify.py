"""The demo's check on a session made in memory: it passes a whole one, and fails for anything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nociband.inference import Model
from nociband.records import FeatureBlock, Gap, MotionBlock, Prediction, Record, SignalBlock, Status
from nociband.signals import FrontEnd, to_counts
from nociband.signals.simulator import simulate
from nociband.spec import SPEC
from nociband.windows import WindowTwin
from nociband_tools.emulator.source import SLOT_DTYPE
from nociband_tools.firmware import model_folder
from nociband_tools.verify import Received, twin_features, verify

MODEL = model_folder("synthetic_pain5")
BLOCKS = 212        # 8.48 s: two results of a full window; motion and features have something left over at the end
EPOCH, T0_US = 7, 5_000_000


def session(front: FrontEnd) -> list[Record]:
    """What a band sends that is right in everything, in its order."""
    emg, eda, accel = front.emg, front.eda, front.accel
    features, model, window = twin_features(emg, eda), Model.load(MODEL), WindowTwin()
    records: list[Record] = []

    def stamp(t_us: int) -> dict:
        return {"epoch": EPOCH, "seq": len(records), "t_us": T0_US + t_us, "host_time_s": 0.0, "host_uncertainty_s": 0.0}

    for i in range(BLOCKS):
        e, d, a = emg[40 * i:40 * i + 40], eda[2 * i:2 * i + 2], accel[2 * i:2 * i + 2]
        window.push(e, d, a, features[i])
        records.append(SignalBlock(**stamp(i * 40_000), sample_index=40 * i, emg_counts=e, eda_counts=d, received_s=0.0))
        if (first := 2 * (i + 1) // 25 * 25 - 25) >= 2 * i - 24 and 2 * (i + 1) // 25 > 2 * i // 25:
            records.append(MotionBlock(**stamp(first * 20_000), sample_index=first, accel_mg=accel[first:first + 25]))
        if (i + 1) % 5 == 0:
            records.append(FeatureBlock(**stamp((i - 4) * 40_000), frame_index=i - 4, features=features[i - 4:i + 1]))
        if (i + 1) % 25 == 0:
            logits = tuple(int(v) for v in model.logits(window.input(model.manifest.input_scales))) if window.full else ()
            records.append(Prediction(
                **stamp(i * 40_000), frame_index=i, score=None, labels=(), probabilities=np.zeros(0), compute_us=1, logits=logits,
                quality=window.quality_percent / 100, why=SPEC.flag_names("no_score", window.why)))
    made = sum(isinstance(r, Prediction) for r in records)
    records.append(Status(**stamp(BLOCKS * 40_000), state="idle", battery_percent=100, flags=(), samples_taken=40 * BLOCKS,
                          underruns=0, frames_sent=len(records), frames_dropped=0, predictions=made))
    return records


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[list[Record], Path]:
    front = to_counts(simulate(10, seed=4), seed=4)
    slots = np.zeros(len(front.eda), SLOT_DTYPE)
    slots["eda_counts"], slots["accel_mg"], slots["emg_counts"] = front.eda, front.accel, front.emg.reshape(len(slots), -1)
    fed = tmp_path_factory.mktemp("fed") / "fed.bin"
    fed.write_bytes(slots.tobytes())
    return session(front), fed


SITES = ("corrugator", "zygomaticus")


def judge(records: list[Record], fed: Path, sites: tuple[str, str] = SITES) -> tuple[str, ...]:
    received = Received()
    for record in records:
        received.add(record)
    return verify(received, fed, MODEL, sites).problems


def renumbered(records: list[Record]) -> list[Record]:
    """As if the band had numbered its frames without what was taken out: the sequence then shows nothing."""
    return [r if isinstance(r, Gap) else replace(r, seq=i) for i, r in enumerate(records)]


def without(kind: type, n: int) -> Callable[[list[Record]], list[Record]]:
    return lambda records: renumbered([r for r in records if r is not [x for x in records if isinstance(x, kind)][n]])


def never(kind: type) -> Callable[[list[Record]], list[Record]]:
    return lambda records: renumbered([r for r in records if not isinstance(r, kind)])


def twice(kind: type, n: int) -> Callable[[list[Record]], list[Record]]:
    def change(records: list[Record]) -> list[Record]:
        at = [i for i, r in enumerate(records) if isinstance(r, kind)][n]
        return renumbered([*records[:at + 1], *records[at:]])
    return change


def swapped(kind: type, n: int, of: int) -> Callable[[list[Record]], list[Record]]:
    """The nth record in place of another: as many as there should be, all of them right, and one is missing."""
    def change(records: list[Record]) -> list[Record]:
        ats = [i for i, r in enumerate(records) if isinstance(r, kind)]
        records[ats[of]] = records[ats[n]]
        return renumbered(records)
    return change


def bent(kind: type, n: int, **changes: Callable) -> Callable[[list[Record]], list[Record]]:
    """Fields of the nth record of a kind, changed by functions of their values."""
    def change(records: list[Record]) -> list[Record]:
        at = [i for i, r in enumerate(records) if isinstance(r, kind)][n]
        new = {name: f(deepcopy(getattr(records[at], name))) for name, f in changes.items()}
        records[at] = replace(records[at], **new)
        return records
    return change


def one_bit(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flat[values.size // 2] ^= 1
    return values


WRONG = {
    "the first block is missing": without(SignalBlock, 0),
    "the last block is missing": without(SignalBlock, -1),
    "a block came twice": twice(SignalBlock, 30),
    "an EMG sample has one bit flipped": bent(SignalBlock, 100, emg_counts=one_bit),
    "an EDA sample has one bit flipped": bent(SignalBlock, 100, eda_counts=one_bit),
    "an accelerometer sample has one bit flipped": bent(MotionBlock, 3, accel_mg=one_bit),
    "a sample index is wrong": bent(SignalBlock, 9, sample_index=lambda v: v + 40),
    "a device time is wrong": bent(SignalBlock, 9, t_us=lambda v: v + 1000),
    "no signals": never(SignalBlock),
    "no motion": never(MotionBlock),
    "the last motion record is missing": without(MotionBlock, -1),
    "no features": never(FeatureBlock),
    "the first features are missing": without(FeatureBlock, 0),
    "the last features are missing": without(FeatureBlock, -1),
    "features came twice and others not at all": swapped(FeatureBlock, 3, 4),
    "a feature has one bit flipped": bent(FeatureBlock, 20, features=one_bit),
    "no predictions": never(Prediction),
    "the last prediction is missing": without(Prediction, -1),
    "a prediction came twice": twice(Prediction, 2),
    "a prediction of no such frame": bent(Prediction, 1, frame_index=lambda v: v + 1),
    "a prediction's logits are off by one": bent(Prediction, -1, logits=lambda v: (v[0] + 1, *v[1:])),
    "a reason is missing": bent(Prediction, -1, why=lambda v: ()),
    "the quality is wrong": bent(Prediction, -1, quality=lambda v: v - 0.01),
    "a gap was told": lambda records: [*records, Gap(EPOCH, 40, 1)],
    "a frame number is missing": lambda records: [replace(r, seq=r.seq + (r.seq > 50)) for r in records],
    "a frame is of another epoch": bent(SignalBlock, 0, epoch=lambda v: v - 1),
    "a second epoch followed": lambda records: [*records, *(replace(r, epoch=EPOCH + 1) for r in records)],
    "two epochs, the first without a word": lambda records: [replace(records[0], epoch=EPOCH - 1), *records],
    "no final status": never(Status),
    "the last status is one of the running session": bent(Status, 0, state=lambda v: "running"),
    "the band took more samples than came": bent(Status, 0, samples_taken=lambda v: v + 40),
    "the band took fewer samples than came": bent(Status, 0, samples_taken=lambda v: v - 40),
    "an underrun": bent(Status, 0, underruns=lambda v: 1),
    "the band dropped a frame": bent(Status, 0, frames_dropped=lambda v: 1),
    "the band made a prediction more": bent(Status, 0, predictions=lambda v: v + 1),
    "nothing came": lambda records: [],
}


def test_a_whole_session_passes(whole) -> None:
    records, fed = whole
    assert judge(list(records), fed) == ()
    assert len([r for r in records if isinstance(r, Prediction) and r.logits]) == 3


@pytest.mark.parametrize("what", WRONG)
def test_the_check_fails_when(whole, what: str) -> None:
    records, fed = whole
    assert judge(WRONG[what](list(records)), fed)


@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_what_was_fed_is_cut_short(whole, tmp_path: Path, cut: int) -> None:
    """A full disk leaves half a slot: a difference to tell, not a traceback."""
    records, fed = whole
    short = tmp_path / "fed.bin"
    short.write_bytes(fed.read_bytes()[:BLOCKS * 2 * SLOT_DTYPE.itemsize - cut])
    assert judge(list(records), short)


def test_electrodes_elsewhere_must_be_said_in_every_prediction(whole) -> None:
    records, fed = whole
    elsewhere = ("forearm_flexor", "forearm_extensor")
    assert any("predictions differ" in p for p in judge(records, fed, elsewhere))
    said = [replace(r, why=(*r.why, "electrode_site")) if isinstance(r, Prediction) else r for r in records]
    assert judge(said, fed, elsewhere) == ()
    assert any("predictions differ" in p for p in judge(said, fed))
