"""S0 as an estimator: it learns what is there and nothing else, the same each time, from people who do not judge it."""

import dataclasses
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nociband.errors import ModelError  # noqa: E402
from nociband.training import fitting, loop, networks  # noqa: E402
from nociband.training.config import TrainingConfig  # noqa: E402
from nociband.training.examples import Examples, TaskInfo  # noqa: E402
from nociband.training.split import validation_people  # noqa: E402

CLASSES = TaskInfo("made", "levels", "Made", "classes", "pain", True, "made", ("low", "mid", "high"), (0.0, 5.0, 10.0))
SCORE = TaskInfo("made", "score", "Made", "score", "pain", True, "made")
QUICK = {"epochs": 14, "hidden": 8, "learning_rate": 1e-2, "batch": 32}


def made(people: int = 10, seed: int = 0, modalities: tuple[str, ...] = ("eda", "emg"), kind: str = "classes") -> Examples:
    """15 windows a person, five a class, of 12 steps; the class raises one channel of each modality for a while. People differ
    in scale."""
    rng = np.random.default_rng(seed)
    n = people * 15
    level = np.concatenate([rng.permutation(np.tile([0, 1, 2], 5)) for _ in range(people)])
    subjects = np.repeat([f"{seed}-{k}" for k in range(people)], 15)
    inputs = {}
    for m, channels in (("eda", 2), ("emg", 4), ("eda_descriptors", 12), ("emg_descriptors", 24)):
        if m.split("_")[0] in modalities:
            x = rng.normal(0, 1, (n, 12, channels))
            x[:, 4:9, 0] += 2.0 * level[:, None]
            inputs[m] = (x * np.repeat(rng.uniform(3, 5, people), 15)[:, None, None]).astype(np.float32)
    target = level if kind == "classes" else 4.0 * level + rng.normal(0, 0.3, n)
    return Examples(inputs, np.zeros((n, 0)), (), target, subjects, subjects, np.zeros(n, np.int64))


TRAIN, TEST = made(), made(6, seed=1)


def accuracy(predictor, examples: Examples) -> float:
    return float(np.mean(predictor(examples).argmax(axis=1) == examples.target))


@pytest.mark.parametrize("name", ["s0", "s0_paper"])
def test_it_learns_what_separates_and_says_it_in_probabilities(name):
    predictor = networks.find(name).fit(TRAIN, CLASSES, 0, QUICK)
    output = predictor(TEST)
    assert output.dtype == np.float64 and output.shape == (len(TEST), 3)
    assert np.allclose(output.sum(axis=1), 1) and output.min() >= 0
    assert accuracy(predictor, TEST) > 0.85


def test_shuffled_labels_teach_nothing():
    """Shuffled so that every new label stands on as many windows of each true class: chance itself carries nothing over."""
    target, rng = TRAIN.target.copy(), np.random.default_rng(2)
    for level in range(3):
        rows = np.flatnonzero(TRAIN.target == level)
        target[rng.permutation(rows)] = np.arange(len(rows)) % 3
    predictor = networks.find("s0").fit(dataclasses.replace(TRAIN, target=target), CLASSES, 0, QUICK)
    assert abs(accuracy(predictor, TEST) - 1 / 3) < 0.15


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    settings = QUICK | {"epochs": 3, "mixup": 0.2, "time_jitter": 0.1, "modality_dropout": 0.3, "ema": 0.9}
    estimator = networks.find("s0")
    a, b, c = (estimator.fit(TRAIN, CLASSES, seed, settings)(TEST) for seed in (4, 4, 5))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_scores_come_back_in_the_task_s_unit_and_range():
    train, test = made(kind="score"), made(6, seed=1, kind="score")
    for loss in ("smooth_l1", "mse"):
        output = networks.find("s0").fit(train, SCORE, 0, QUICK | {"score_loss": loss})(test)
        assert output.shape == (len(test),) and output.min() >= 0 and output.max() <= 10
        assert np.mean(np.abs(output - test.target)) < 0.5 * np.mean(np.abs(np.mean(train.target) - test.target))
    loud = dataclasses.replace(test, inputs={k: 100 * v for k, v in test.inputs.items()})
    predictor = networks.find("s0").fit(train, SCORE, 0, QUICK)
    assert np.ptp(predictor(loud)) > 0 and predictor(loud).max() <= 10


@pytest.mark.parametrize(("name", "there", "branches"), [
    ("s0:eda_only", ("eda", "emg"), ("eda",)), ("s0:emg_only", ("eda", "emg"), ("emg",)), ("s0", ("eda",), ("eda",)),
])
def test_a_modality_that_is_off_or_missing_has_no_branch(name, there, branches):
    train, test = made(modalities=there), made(6, seed=1, modalities=there)
    predictor = networks.find(name).fit(train, CLASSES, 0, QUICK)
    assert predictor.model.config.modalities == branches and accuracy(predictor, test) > 0.7
    silent = dataclasses.replace(test, inputs={k: v if k in branches else 0 * v for k, v in test.inputs.items()})
    assert np.array_equal(predictor(silent), predictor(test))


def test_what_is_not_there_is_named():
    with pytest.raises(ModelError, match="needs emg; these examples have eda"):
        networks.find("s0:emg_only").fit(made(modalities=("eda",)), CLASSES, 0, QUICK)
    predictor = networks.find("s0:emg_only").fit(TRAIN, CLASSES, 0, QUICK | {"epochs": 1})
    with pytest.raises(ModelError, match="fitted on emg, which these examples lack"):
        predictor(made(modalities=("eda",)))
    with pytest.raises(ModelError, match="1 people are too few to train and validate"):
        networks.find("s0").fit(TRAIN.of(TRAIN.people[:1]), CLASSES, 0, QUICK)


def test_names_ablations_and_grids():
    for name in networks.NAMES:
        model, _, ablation = name.partition(":")
        config = networks.find(name).config
        differing = {k for k, v in dataclasses.asdict(config).items()
                     if v != dataclasses.asdict(networks.MODELS[model])[k]}
        assert differing == (set(networks.ABLATIONS[ablation]) if ablation else set())
    assert networks.find("s0").candidates(CLASSES) == ({},)
    grid = ({"gamma": 2.0}, {"gamma": 1.0}, {"gamma": 1.0, "hidden": 8})
    assert networks.find("s0", grid=grid).candidates(CLASSES) == grid
    # An ablation is not tuned away.
    assert networks.find("s0:cross_entropy", grid=grid).candidates(CLASSES) == ({}, {"hidden": 8})
    fitted = networks.find("s0:cross_entropy").fit(TRAIN, CLASSES, 0, QUICK | {"gamma": 2.0, "epochs": 1})
    plain = networks.find("s0").fit(TRAIN, CLASSES, 0, QUICK | {"gamma": 0.0, "epochs": 1})
    assert np.array_equal(fitted(TEST), plain(TEST))
    with pytest.raises(ModelError, match="no model 's0:no_lstm'; there are: s0, s0_paper, cnn1d, s0:no_attention"):
        networks.find("s0:no_lstm")
    with pytest.raises(ModelError, match="unknown training settings units"):
        networks.find("s0", grid=({"units": 3},))


def test_nobody_who_validates_is_trained_on_and_units_come_from_those_who_train():
    for seed in range(5):
        config = TrainingConfig(seed=seed)
        prepared = fitting.prepare(TRAIN, CLASSES, config)
        train, validation = prepared.people["train"], prepared.people["validation"]
        assert not set(train) & set(validation) and set(train) | set(validation) == set(TRAIN.people)
        assert validation == validation_people(TRAIN.people, seed) and len(validation) == 2
        changed = {k: np.where(np.isin(TRAIN.subjects, validation)[:, None, None], 1e4, v).astype(np.float32)
                   for k, v in TRAIN.inputs.items()}
        again = fitting.prepare(dataclasses.replace(TRAIN, inputs=changed), CLASSES, config)
        assert all(np.array_equal(a, b) for a, b in zip(prepared.train.inputs, again.train.inputs, strict=True))
    rms = [np.sqrt(np.mean(TRAIN.inputs["eda"][TRAIN.subjects == s].astype(float) ** 2, axis=(0, 1))) for s in train]
    assert prepared.units.scale["eda"] == pytest.approx(np.median(rms, axis=0))


def test_copies_train_and_never_validate():
    n = len(TRAIN)
    twice = TRAIN.where(np.tile(np.arange(n), 2))
    twice = dataclasses.replace(twice, draw=np.repeat([0, 1], n))
    prepared = fitting.prepare(twice, CLASSES, TrainingConfig())
    assert prepared.validation is not None
    assert len(prepared.validation) == 2 * 15 and len(prepared.train) == 2 * 8 * 15


def test_a_channel_that_never_moves_is_harmless():
    flat = {k: np.concatenate([v, np.zeros_like(v[:, :, :1])], axis=2) for k, v in TRAIN.inputs.items()}
    assert np.isfinite(networks.find("s0").fit(dataclasses.replace(TRAIN, inputs=flat), CLASSES, 0, QUICK | {"epochs": 1})(
        dataclasses.replace(TRAIN, inputs=flat))).all()


def test_refit_takes_all_people_for_as_many_epochs_as_were_best():
    config = TrainingConfig(refit=True).with_settings(QUICK | {"patience": 3})
    first = fitting.fit(TRAIN, CLASSES, dataclasses.replace(config, refit=False))
    best = int(np.argmin([e.validation_loss for e in first.history]))
    again = fitting.fit(TRAIN, CLASSES, config)
    assert len(again.history) == best + 1 and all(math.isnan(e.validation_loss) for e in again.history)
    everyone = fitting.prepare(TRAIN, CLASSES, config, validate=())
    assert everyone.validation is None and len(everyone.train) == len(TRAIN)


def test_without_validation_every_epoch_is_run_and_the_last_counts():
    predictor = networks.find("s0").fit(TRAIN, CLASSES, 0, QUICK | {"validation_share": 0.0, "epochs": 5})
    assert len(predictor.history) == 5
    longer = networks.find("s0").fit(TRAIN, CLASSES, 0, QUICK | {"validation_share": 0.0, "epochs": 6})
    assert not np.array_equal(predictor(TEST), longer(TEST))


@pytest.mark.slow
@pytest.mark.parametrize("settings", [
    {"class_weights": True}, {"label_smoothing": 0.1}, {"noise": 0.5}, {"time_jitter": 0.2}, {"modality_dropout": 0.2},
    {"mixup": 0.3}, {"schedule": "cosine"}, {"ema": 0.8}, {"gamma": 0.0}, {"weight_decay": 0.01}, {"stride": 3},
])
def test_every_option_changes_the_fit_and_still_learns(settings):
    uneven = TRAIN.where(np.flatnonzero((TRAIN.target > 0) | (np.arange(len(TRAIN)) % 2 == 0)))
    base = QUICK | {"jump_reduction": False, "validation_share": 0.0, "noise": 0.0}
    plain = networks.find("s0").fit(uneven, CLASSES, 0, base)
    other = networks.find("s0").fit(uneven, CLASSES, 0, base | settings)
    assert not np.array_equal(plain(TEST), other(TEST)) and accuracy(other, TEST) > 0.7


def test_jump_reduction_thins_training_rows_only():
    uneven = TRAIN.where(np.flatnonzero((TRAIN.target > 0) | (np.arange(len(TRAIN)) % 3 == 0)))
    on, off = (fitting.prepare(uneven, CLASSES, TrainingConfig(jump_reduction=flag)) for flag in (True, False))
    assert len(on.train) < len(off.train) and len(on.validation) == len(off.validation)
    counts = np.bincount(on.train.target)
    assert counts.max() - counts.min() <= 8  # within one a person


def test_a_preview_says_what_would_be_trained_and_trains_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = TrainingConfig(epochs=5)
    prepared = fitting.prepare(TRAIN, CLASSES, config)
    preview = fitting.preview(prepared, config)
    assert (preview.windows, preview.validation_windows) == (8 * 15, 2 * 15)
    assert preview.parameters == sum(p.numel() for p in prepared.network.build().parameters())
    assert preview.multiply_accumulates > 12 * 4 * 16 * (18 + 20) and 0 < preview.seconds < 60
    assert not list(tmp_path.iterdir())


def test_a_gpu_is_used_when_asked_for_or_refused():
    if torch.cuda.is_available():
        a, b = (networks.find("s0").fit(TRAIN, CLASSES, 0, QUICK | {"epochs": 2, "device": "cuda"})(TEST) for _ in range(2))
        assert np.array_equal(a, b)
    else:
        assert loop.find_device("auto") == loop.find_device("cpu") == torch.device("cpu")
        with pytest.raises(ModelError, match="torch finds no GPU here"):
            networks.find("s0").fit(TRAIN, CLASSES, 0, QUICK | {"device": "cuda"})
