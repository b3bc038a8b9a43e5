"""A tiny training run end to end: output folder, determinism, resuming, early stopping, and what it refuses."""

import csv
import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nociband.errors import ModelError  # noqa: E402
from nociband.models.s0 import S0, S0Config  # noqa: E402
from nociband.signals import Channel, simulator  # noqa: E402
from nociband.training import augment, checkpoint, dataset, fitting, loop, run, tasks, windowed  # noqa: E402
from nociband.training.config import load  # noqa: E402
from nociband.training.examples import Examples, TaskInfo  # noqa: E402
from nociband.training.losses import focal_loss, score_loss  # noqa: E402

TINY = dataclasses.replace(tasks.PAIN5.hyper, epochs=2, hidden=4, batch=16)
DRAWS = dataset.Draws((0,), 2, 0.5)


@pytest.fixture(scope="module")
def recordings():
    return [simulator.simulate(120, 5, f"P{k}") for k in range(3)]


@pytest.fixture(scope="module")
def trained(recordings, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "tiny"
    return out, run.train(recordings, tasks.PAIN5, "tiny", out, TINY, draws=DRAWS)


def test_the_output_folder_is_what_the_converter_takes(trained):
    out, report = trained
    assert json.loads((out / "training.json").read_text()) == report
    assert {"name", "title", "version", "of", "synthetic", "warning", "classes", "sites", "std", "training"} <= set(report)
    assert report["synthetic"] and report["of"] == "pain" and [c["value"] for c in report["classes"]] == [0, 2.5, 5, 7.5, 10]
    saved = torch.load(out / "model.pt", weights_only=True)
    model = S0(S0Config(**saved["config"]))
    model.load_state_dict(saved["state_dict"])
    assert saved["config"]["classes"] == 5 and saved["config"]["hidden"] == 4
    calibration = np.load(out / "calibration.npz")
    assert calibration["train"].shape[1:] == calibration["validation"].shape[1:] == (138, 6)
    assert calibration["validation_labels"].shape == (len(calibration["validation"]),)
    assert len(report["std"]) == 6 and min(report["std"]) > 0
    account = report["training"]
    assert account["config"] == {"epochs": 2, "hidden": 4, "batch": 16} and load(out / "config.toml") == TINY
    assert account["dataset"] == "synthetic" and account["seed"] == 0 and "Not for diagnosis" in account["intended_use"]
    assert account["protocol"] == run.PROTOCOL
    assert account["commit"] is None or len(account["commit"].removesuffix("-dirty")) == 40


def test_people_are_apart_in_the_record_and_in_the_calibration_windows(recordings, trained):
    out, report = trained
    subjects = report["training"]["subjects"]
    everyone = subjects["train"] + subjects["validation"] + subjects["held_out"]
    assert sorted(everyone) == ["P0", "P1", "P2"]
    every_window = windowed.examples(windowed.cut(recordings, tasks.PAIN5, DRAWS))
    calibration = np.load(out / "calibration.npz")
    assert owners(calibration["train"], every_window) == set(subjects["train"])
    assert owners(calibration["validation"], every_window) == set(subjects["validation"])


def owners(relative: np.ndarray, windows: Examples) -> set[str]:
    """Whose windows these are, by their content."""
    eda = (relative / dataset.UNIT)[:, :, windowed.BRANCHES["eda"]].astype(np.float32)
    found = [windows.subjects[(windows.inputs["eda"] == one).all(axis=(1, 2))] for one in eda]
    assert all(len(names) for names in found)
    return {str(name) for names in found for name in names}


def test_augmented_copies_are_of_training_people_alone(recordings):
    data = run.prepare(recordings, tasks.PAIN5, TINY, draws=DRAWS)
    sides = {"train": data.train, "validation": data.validation, "held_out": data.held_out}
    assert {name: side.people for name, side in sides.items()} == {n: tuple(p) for n, p in data.split.to_dict().items()}
    assert len(data.train) == 2 * len(data.train.plain())
    assert all((sides[name].draw == 0).all() for name in ("validation", "held_out"))
    assert data.fitted_on.people == {"train": data.split.train, "validation": data.split.validation}


def test_who_has_no_usable_window_takes_no_part(recordings):
    n = recordings[0].channels["eda"].samples.size
    dead = dataclasses.replace(recordings[0], name="dead", subject="D",
                               channels=recordings[0].channels | {"eda": Channel(np.zeros(n), 50, "uS")})
    data = run.prepare([dead, *recordings], tasks.PAIN5, TINY, draws=DRAWS)
    assert data.excluded == {"D": "no usable window"}
    assert data.split == run.prepare(recordings, tasks.PAIN5, TINY, draws=DRAWS).split


@pytest.mark.parametrize(("settings", "words"), [
    ({"attention": False}, "not of a model for the band"), ({"network": "cnn1d"}, "not of a model for the band"),
    ({"network": "s0_paper"}, "not of a model for the band"), ({"modalities": ("eda",)}, "not of a model for the band"),
    ({"refit": True}, "refit leaves nobody"),
])
def test_settings_that_the_band_cannot_run_are_refused_before_anything_is_written(recordings, tmp_path, settings, words):
    with pytest.raises(ModelError, match=words):
        run.train(recordings, tasks.PAIN5, "x", tmp_path / "x", TINY.with_settings(settings), draws=dataset.PLAIN)
    assert not (tmp_path / "x").exists()


def test_a_class_or_a_feature_that_nothing_shows_is_named(recordings):
    few = [dataclasses.replace(r, events=tuple(e for e in r.events if e.label != "pain 4")) for r in recordings]
    with pytest.raises(ModelError, match="no training window of pain 4"):
        run.prepare(few, tasks.PAIN5, TINY, draws=dataset.PLAIN)
    still = recordings[0].channels["eda"]
    flat = Channel(np.full(still.samples.size, 2.0), still.rate_hz, still.unit)
    flats = [dataclasses.replace(r, channels=r.channels | {"eda": flat}) for r in recordings]
    with pytest.raises(ModelError, match="eda_tonic never moves"):
        run.prepare(flats, tasks.PAIN5, TINY, draws=dataset.PLAIN)


def test_metrics_stand_beside_their_baselines(trained):
    judged = trained[1]["training"]["metrics"]
    assert set(judged) == {"validation", "held_out"}
    for side in judged.values():
        assert set(side) == {"s0", "logreg", "majority"}
        for m in side.values():
            low, high = m["balanced_accuracy"]["ci95"]
            assert 0 <= low <= m["balanced_accuracy"]["value"] <= high <= 1 and m["subjects"] == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model(recordings, trained, tmp_path):
    run.train(recordings, tasks.PAIN5, "tiny", tmp_path, TINY, draws=DRAWS)
    a, b = (torch.load(folder / "model.pt", weights_only=True)["state_dict"] for folder in (trained[0], tmp_path))
    assert all(torch.equal(a[k], b[k]) for k in a)
    run.train(recordings, tasks.PAIN5, "tiny", tmp_path, dataclasses.replace(TINY, seed=1), draws=DRAWS)
    c = torch.load(tmp_path / "model.pt", weights_only=True)["state_dict"]
    assert not all(torch.equal(a[k], c[k]) for k in a)


def examples(n: int, seed: int) -> loop.Arrays:
    """Two classes that differ in the level of one EMG input."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.normal(0, 1, (n, 30, 6)).astype(np.float32)
    x[:, :, 3] += 1.5 * y[:, None]
    return loop.Arrays((x[:, :, :2], x[:, :, 2:]), y)


CONFIG = S0Config(hidden=4, classes=2)


class Interrupted(Exception):
    """Stands for whatever ends a run in the middle."""


def interrupt(epoch: checkpoint.Epoch) -> None:
    if epoch.epoch == 1:
        raise Interrupted


@pytest.mark.parametrize("options", [
    {}, {"ema": 0.7, "mixup": 0.3, "time_jitter": 0.2, "modality_dropout": 0.3, "schedule": "cosine"},
])
def test_a_resumed_run_equals_an_unbroken_one(tmp_path, options):
    hyper = dataclasses.replace(TINY, epochs=4, **options)
    whole, history = loop.fit(CONFIG, hyper, examples(64, 0), examples(32, 1), tmp_path / "a")
    with pytest.raises(Interrupted):
        loop.fit(CONFIG, hyper, examples(64, 0), examples(32, 1), tmp_path / "b", on_epoch=interrupt)
    seen = []
    resumed, again = loop.fit(CONFIG, hyper, examples(64, 0), examples(32, 1), tmp_path / "b", True, seen.append)
    assert [e.epoch for e in seen] == [2, 3] and [e.epoch for e in again] == [0, 1, 2, 3]
    assert [e.validation_loss for e in again] == [e.validation_loss for e in history]
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True))
    with open(tmp_path / "b" / "log.csv", newline="") as f:
        assert [int(row["epoch"]) for row in csv.DictReader(f)] == [0, 1, 2, 3]


def test_more_epochs_may_follow_unless_the_learning_rate_knew_the_end(tmp_path):
    for schedule in ("constant", "cosine"):
        hyper, folder = dataclasses.replace(TINY, schedule=schedule), tmp_path / schedule
        loop.fit(CONFIG, hyper, examples(32, 0), examples(16, 1), folder)
        longer = dataclasses.replace(hyper, epochs=3)
        if schedule == "cosine":
            with pytest.raises(ModelError, match="other data or settings"):
                loop.fit(CONFIG, longer, examples(32, 0), examples(16, 1), folder, resume=True)
        else:
            assert len(loop.fit(CONFIG, longer, examples(32, 0), examples(16, 1), folder, resume=True)[1]) == 3


def test_nothing_is_written_without_a_folder_and_the_result_is_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    silent = loop.fit(CONFIG, TINY, examples(32, 0), examples(16, 1))[0].state_dict()
    assert not list(tmp_path.iterdir())
    kept = loop.fit(CONFIG, TINY, examples(32, 0), examples(16, 1), tmp_path / "run")[0].state_dict()
    assert all(torch.equal(silent[k], kept[k]) for k in kept)
    with pytest.raises(ModelError, match="needs the folder"):
        loop.fit(CONFIG, TINY, examples(32, 0), examples(16, 1), resume=True)


def test_resuming_needs_a_sound_checkpoint_of_the_same_run(tmp_path):
    with pytest.raises(ModelError, match="no checkpoint to resume from"):
        loop.fit(CONFIG, TINY, examples(32, 0), examples(16, 1), tmp_path, resume=True)
    loop.fit(CONFIG, TINY, examples(32, 0), examples(16, 1), tmp_path)
    with pytest.raises(ModelError, match="other data or settings"):
        loop.fit(CONFIG, TINY, examples(32, 9), examples(16, 1), tmp_path, resume=True)
    path = tmp_path / checkpoint.CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be read"):
        loop.fit(CONFIG, TINY, examples(32, 0), examples(16, 1), tmp_path, resume=True)


def test_it_learns_what_can_be_learned_and_keeps_the_best_epoch(tmp_path):
    hyper = dataclasses.replace(TINY, epochs=15, learning_rate=1e-2, patience=3)
    validation = examples(100, 1)
    model, history = loop.fit(CONFIG, hyper, examples(200, 0), validation, tmp_path)
    best = min(history, key=lambda e: e.validation_loss)
    assert best.validation_score > 0.9
    loss = focal_loss(torch.from_numpy(loop.predict(model, validation.inputs)), torch.from_numpy(validation.target)).item()
    assert loss == pytest.approx(best.validation_loss, abs=1e-6)


def test_it_stops_when_validation_gets_no_better(tmp_path):
    rng = np.random.default_rng(0)
    noise = [loop.Arrays((rng.normal(size=(40, 20, 2)).astype(np.float32), rng.normal(size=(40, 20, 4)).astype(np.float32)),
                         rng.integers(0, 2, 40)) for _ in range(2)]
    hyper = dataclasses.replace(TINY, epochs=60, patience=4, learning_rate=2e-2)
    history = loop.fit(CONFIG, hyper, *noise, tmp_path)[1]
    assert len(history) < 60
    assert len(history) - 1 - int(np.argmin([e.validation_loss for e in history])) == 4


def test_a_loss_that_is_no_number_is_an_error(tmp_path):
    bad = examples(32, 0)
    bad.inputs[0][3, 2, 1] = np.nan
    with pytest.raises(ModelError, match="no longer a number"):
        loop.fit(CONFIG, TINY, bad, examples(16, 1), tmp_path)


def test_torch_is_left_as_it_was(tmp_path):
    torch.manual_seed(4)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    loop.fit(CONFIG, TINY, examples(32, 0), examples(16, 1), tmp_path)
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_focal_loss_by_hand():
    logits, target = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]]), torch.tensor([0, 2])
    p = torch.softmax(logits, 1)[[0, 1], target]
    assert focal_loss(logits, target, 2.0).item() == pytest.approx(torch.mean(-(1 - p) ** 2 * torch.log(p)).item())
    assert focal_loss(logits, target, 0.0).item() == pytest.approx(torch.nn.functional.cross_entropy(logits, target).item())


def test_class_weights_and_smoothing_in_the_focal_loss_by_hand():
    logits, target, weight = torch.tensor([[1.0, 0.0], [0.5, -0.5]]), torch.tensor([0, 1]), torch.tensor([0.5, 3.0])
    p = torch.softmax(logits, 1)
    each = -((1 - p) ** 2) * torch.log(p)
    weighted = (0.5 * each[0, 0] + 3 * each[1, 1]) / 2
    assert focal_loss(logits, target, 2.0, weight).item() == pytest.approx(weighted.item())
    smooth = torch.nn.functional.cross_entropy(logits, target, label_smoothing=0.2)
    assert focal_loss(logits, target, 0.0, smoothing=0.2).item() == pytest.approx(smooth.item())


def test_score_losses_by_hand():
    output, target = torch.tensor([0.0, 3.0]), torch.tensor([0.5, 0.0])
    assert score_loss(output, target).item() == pytest.approx((0.5 * 0.25 + 2.5) / 2)
    assert score_loss(output, target, "mse").item() == pytest.approx((0.25 + 9) / 2)


def test_blanking_takes_one_modality_in_its_share_of_windows_and_never_both():
    torch.manual_seed(0)
    ones = [torch.ones(4000, 3, c) for c in (2, 4)]
    out = augment.batch(ones, torch.zeros(4000), dataclasses.replace(TINY, noise=0.0, modality_dropout=0.4)).inputs
    gone = [(x == 0).all(dim=2).all(dim=1) for x in out]
    assert all(torch.equal((x == 0).any(dim=2).any(dim=1), g) for x, g in zip(out, gone, strict=True))
    assert not (gone[0] & gone[1]).any()
    assert all(abs(g.float().mean().item() - 0.2) < 0.03 for g in gone)


def test_a_shift_moves_both_modalities_together_and_holds_the_ends():
    torch.manual_seed(0)
    ramp = torch.arange(40.0).reshape(1, 40, 1).repeat(200, 1, 1)
    eda, emg = augment.batch([ramp, ramp], torch.zeros(200), dataclasses.replace(TINY, noise=0.0, time_jitter=0.1)).inputs
    assert torch.equal(eda, emg)
    shift = (ramp[:, 20] - eda[:, 20])[:, 0]
    assert shift.abs().max() == 4 and len(shift.unique()) == 9
    late = eda[shift == 4][0, :, 0]
    assert late.tolist() == [0, 0, 0, 0, *range(36)]


def test_mixing_keeps_inputs_and_targets_in_step():
    torch.manual_seed(3)
    target = torch.arange(50.0)
    x = target.reshape(50, 1, 1).repeat(1, 2, 1)
    mixed = augment.batch([x], target, dataclasses.replace(TINY, noise=0.0, mixup=1.0))
    assert mixed.other is not None and 0 < mixed.share < 1
    assert torch.allclose(mixed.inputs[0][:, 0, 0], mixed.share * mixed.target + (1 - mixed.share) * mixed.other)


@pytest.mark.slow
def test_tensorboard_events_hold_what_the_log_holds(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with checkpoint.tensorboard(tmp_path / "events") as write:
        history = loop.fit(CONFIG, TINY, examples(32, 0), examples(16, 1), on_epoch=write)[1]
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    for name in ("train_loss", "validation_loss", "validation_score"):
        assert [e.value for e in events.Scalars(name)] == pytest.approx([getattr(e, name) for e in history])
    with checkpoint.tensorboard(None) as write:
        write(history[0])


def test_inputs_are_clamped_at_the_setting_in_training_and_prediction():
    """Noise cannot take an input past it; a fitted network gives the same answer to whatever lies beyond it."""
    torch.manual_seed(0)
    config = dataclasses.replace(TINY, noise=2.0, input_limit=1.5, validation_share=0.0, epochs=1)
    noisy = augment.batch([torch.zeros(50, 20, 2)], torch.zeros(50), config).inputs[0]
    assert noisy.max() == 1.5 and noisy.min() == -1.5
    train = windows_of_two_classes()
    predictor = fitting.fit(train, TWO, config)
    assert predictor.model.config.input_limit == 1.5 and np.abs(predictor.units.inputs(train)[0]).max() == np.float32(1.5)
    beyond = dataclasses.replace(train, inputs={m: x + 100 * np.sign(x) for m, x in train.inputs.items()})
    further = dataclasses.replace(train, inputs={m: x + 200 * np.sign(x) for m, x in train.inputs.items()})
    assert np.array_equal(predictor(beyond), predictor(further)) and not np.array_equal(predictor(beyond), predictor(train))


TWO = TaskInfo("made", "two", "Two levels", "classes", "pain", True, "made", ("low", "high"), (0.0, 10.0))


def windows_of_two_classes() -> Examples:
    """20 windows of each of two people."""
    arrays, people = examples(40, 0), np.repeat(["A", "B"], 20)
    return Examples(dict(zip(("eda", "emg"), arrays.inputs, strict=True)), np.zeros((40, 0)), (), arrays.target, people, people,
                    np.zeros(40, np.int64))
