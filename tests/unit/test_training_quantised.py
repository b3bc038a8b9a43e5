"""Quantisation-aware fine-tuning: it lowers the error of int8's roundings, keeps the best epoch, and repeats itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nociband.errors import ModelError
from nociband.models.s0 import S0, S0Config
from nociband.models.s0_int8 import Range, on, symmetric, weight_scale
from nociband.training import quantised
from nociband.training.dataset import UNIT
from nociband.training.quantised import TuningConfig, fine_tune

QUICK = TuningConfig(epochs=3, batch=12, learning_rate=3e-4)


def _model(folder: Path, **changes: object) -> Path:
    """A small network with lively weights, and smooth windows of 36 training and 12 validation draws."""
    torch.manual_seed(5)
    network = S0(S0Config(hidden=6, classes=3, input_limit=4.0, **changes))  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    folder.mkdir(parents=True)
    torch.save({"config": network.config.to_dict(), "state_dict": network.state_dict()}, folder / "model.pt")
    (folder / "training.json").write_text(json.dumps({"std": [0.5, 0.2, 1.0, 1.0, 0.4, 0.3]}))
    windows = np.cumsum(np.random.default_rng(6).normal(0, 0.1, (48, 138, 6)), axis=1) * [0.5, 0.2, 1.0, 1.0, 0.4, 0.3] * UNIT
    np.savez(folder / "calibration.npz", train=windows[:36], validation=windows[36:], validation_labels=np.zeros(12, np.int64))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _model(tmp_path_factory.mktemp("quantised") / "made")


def test_the_error_falls_the_best_epoch_is_kept_and_a_run_repeats_itself(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []
    one, two = (Path(shutil.copytree(folder, tmp_path / n)) for n in ("one", "two"))
    tuned = fine_tune(one, QUICK, lambda number, error: told.append((number, error)))
    assert told == list(enumerate(tuned.after, 1)) and len(told) == QUICK.epochs
    errors = [tuned.before, *tuned.after]
    assert 0 < errors[tuned.epoch] == min(errors) < tuned.before
    assert fine_tune(two, QUICK) == tuned
    states = [torch.load(p / quantised.TUNED_NAME, weights_only=True) for p in (one, two)]
    assert states[0]["of"] == states[1]["of"] and states[0]["config"] == states[1]["config"]
    assert all(torch.equal(v, states[1]["state_dict"][k]) for k, v in states[0]["state_dict"].items())
    before = torch.load(one / "model.pt", weights_only=True)["state_dict"]
    moved = max((v - before[k]).abs().max().item() for k, v in states[0]["state_dict"].items())
    assert 1e-4 < moved < 0.1  # it learns, and stays near what was trained


def test_what_only_gets_worse_leaves_the_trained_weights(folder: Path, tmp_path: Path) -> None:
    made = Path(shutil.copytree(folder, tmp_path / "made"))
    tuned = fine_tune(made, TuningConfig(epochs=1, batch=36, learning_rate=0.5))
    assert tuned.epoch == 0 and tuned.after[0] > tuned.before
    saved, before = (torch.load(made / n, weights_only=True)["state_dict"] for n in (quantised.TUNED_NAME, "model.pt"))
    assert all(torch.equal(v, before[k]) for k, v in saved.items())


def test_gradients_pass_through_a_rounding_and_stop_at_the_ends() -> None:
    x = torch.tensor([-9.0, -0.31, 0.0, 0.3, 9.0], requires_grad=True)
    y = on(x, symmetric(1.27))
    assert torch.allclose(y, torch.tensor([-1.28, -0.31, 0.0, 0.30, 1.27]), atol=1e-6)
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0, 1, 1, 1, 0]


def test_a_range_beside_zero_holds_zero_exactly() -> None:
    r = Range(-0.3, 2.2)
    assert on(torch.zeros(1), r).item() == 0 and -128 <= r.zero_point <= 127
    assert on(torch.tensor([5.0]), r).item() == pytest.approx(2.2, abs=r.scale)


def test_weight_scales_make_the_largest_127_and_stand_zeros() -> None:
    w = torch.tensor([[0.5, -2.54], [0.0, 0.0]])
    assert weight_scale(w, per_channel=False).item() == pytest.approx(0.02)
    assert weight_scale(w, per_channel=True).flatten().tolist() == pytest.approx([0.02, 1 / 127])


def _damaged(folder: Path) -> None:
    (folder / "model.pt").write_bytes(b"PK not torch's")


def _without_windows(folder: Path) -> None:
    np.savez(folder / "calibration.npz", train=np.zeros((2, 138, 6)))


@pytest.mark.parametrize("damage", [_damaged, _without_windows, lambda f: (f / "training.json").unlink()])
def test_a_folder_that_is_no_trained_model_is_refused(folder: Path, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    made = Path(shutil.copytree(folder, tmp_path / "made"))
    damage(made)
    with pytest.raises(ModelError, match="can be fine-tuned.*nociband train"):
        fine_tune(made, QUICK)
    assert not (made / quantised.TUNED_NAME).exists()


def test_a_model_that_is_not_for_the_band_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="band's size"):
        fine_tune(_model(tmp_path / "made", attention=False), QUICK)
