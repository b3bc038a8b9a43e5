"""Every model: it learns what is there, nothing from shuffled labels, and only from the people it is fitted on."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from nociband.errors import ModelError
from nociband.training import estimators, networks
from nociband.training.estimators import CLASSICAL, find
from nociband.training.examples import Examples, TaskInfo

CLASSES = TaskInfo("made", "levels", "Made", "classes", "pain", True, "made", ("low", "mid", "high"), (0.0, 5.0, 10.0))
SCORE = TaskInfo("made", "score", "Made", "score", "pain", True, "made", score_range=(0.0, 100.0))
LEARNERS = ("logreg", "random_forest", "svm")
FOREST_LATER = pytest.param("random_forest", marks=pytest.mark.slow)  # 200 trees a fit
PEOPLE, EACH = 10, 18


def made(seed: int = 0, task: TaskInfo = CLASSES, people: int = PEOPLE) -> Examples:
    """Levels in a drawn order; the first two features and the sequence show them. Time is known and says nothing."""
    rng = np.random.default_rng(seed)
    level = np.concatenate([rng.permutation(np.tile([0, 1, 2], EACH // 3)) for _ in range(people)])
    n = len(level)
    features = rng.normal(size=(n, 5))
    features[:, 0] += 3 * level
    features[:, 1] -= 2 * level
    subjects = np.repeat([f"{seed}-{k}" for k in range(people)], EACH)
    eda = (level[:, None, None] * np.linspace(0, 2, 12)[:, None] + 0.5 * rng.normal(size=(n, 12, 2))).astype(np.float32)
    target = level if task.kind == "classes" else 40.0 * level + rng.normal(0, 3, n)
    return Examples({"eda": eda, "eda_descriptors": np.repeat(eda, 6, axis=2)}, features, ("a", "b", "c", "d", "e"), target,
                    subjects, subjects, np.zeros(n, np.int64), {}, np.tile(np.arange(EACH) * 20.0 + 30, people))


TRAIN, TEST = made(), made(1, people=6)


def fit(name: str, train: Examples = TRAIN, task: TaskInfo = CLASSES, seed: int = 0, **settings):
    estimator = find(name)
    return estimator.fit(train, task, seed, {**estimator.candidates(task)[0], **settings})


def right(output: np.ndarray, test: Examples = TEST) -> float:
    return float(np.mean(output.argmax(axis=1) == test.target))


def shuffled(examples: Examples) -> Examples:
    """Each new label on as many windows of each true class and person: chance itself carries nothing over."""
    rng, target = np.random.default_rng(3), examples.target.copy()
    for person in examples.people:
        for level in range(3):
            rows = np.flatnonzero((examples.subjects == person) & (examples.target == level))
            target[rng.permutation(rows)] = np.arange(len(rows)) % 3
    return replace(examples, target=target)


@pytest.mark.parametrize("name", LEARNERS)
def test_it_learns_what_separates_and_nothing_from_shuffled_labels(name):
    output = fit(name)(TEST)
    assert right(output) > 0.9 and abs(right(fit(name, shuffled(TRAIN))(TEST)) - 1 / 3) < 0.15
    for k in range(3):  # a column a class, in the order of the task's labels
        assert roc_auc_score(TEST.target == k, output[:, k]) > 0.9


@pytest.mark.parametrize("name", [*CLASSICAL])
def test_probabilities_are_probabilities(name):
    output = fit(name)(TEST)
    assert output.dtype == np.float64 and output.shape == (len(TEST), 3)
    assert np.allclose(output.sum(axis=1), 1) and output.min() >= 0 and output.max() <= 1


@pytest.mark.parametrize("name", [*CLASSICAL])
def test_scores_lie_within_their_range(name):
    train, test = made(task=SCORE), made(1, SCORE, 6)
    output = fit(name, train, SCORE)(test)
    assert output.dtype == np.float64 and output.shape == (len(test),)
    wild = fit(name, train, SCORE)(replace(test, features=100 * test.features, elapsed_s=100 * test.elapsed_s))
    assert wild.min() >= 0 and wild.max() <= 100
    if name in LEARNERS:
        middling = np.mean(np.abs(test.target - train.target.mean()))
        assert np.mean(np.abs(output - test.target)) < 0.35 * middling
        mixed = replace(train, target=np.random.default_rng(0).permutation(train.target))
        assert np.mean(np.abs(fit(name, mixed, SCORE)(test) - test.target)) > 0.8 * middling


@pytest.mark.parametrize("name", ["logreg", "svm", "majority", "clock", FOREST_LATER])
def test_the_same_seed_gives_the_same_bits_and_only_the_forest_asks_for_one(name):
    a, b, c = fit(name, seed=4)(TEST), fit(name, seed=4)(TEST), fit(name, seed=5)(TEST)
    assert a.tobytes() == b.tobytes() and (a.tobytes() == c.tobytes()) is not CLASSICAL[name].seeded
    assert CLASSICAL[name].seeded is (name == "random_forest")


@pytest.mark.parametrize("name", [*CLASSICAL])
def test_what_it_says_of_a_window_does_not_depend_on_the_windows_beside_it(name):
    """A scaler or imputer that was fitted on what is judged would show here; the clock counts windows within a sitting only."""
    predictor, whole = fit(name), fit(name)(TEST)
    first = TEST.of([TEST.people[0]])
    assert np.allclose(predictor(first), whole[TEST.subjects == TEST.people[0]], atol=1e-12)
    others = TEST.subjects != TEST.people[0]
    wild = replace(TEST, features=np.where(others[:, None], 1e3, TEST.features), target=np.zeros_like(TEST.target))
    assert np.allclose(predictor(wild)[~others], whole[~others], atol=1e-12)


@pytest.mark.parametrize("name", LEARNERS)
def test_an_unknown_feature_is_the_training_people_s_median(name):
    known = TRAIN.features.copy()
    known[::7, 2] = np.nan
    predictor = fit(name, replace(TRAIN, features=known))
    missing, filled = TEST.features + 5.0, TEST.features + 5.0  # the test people's own median lies elsewhere
    missing[:, 0], filled[:, 0] = np.nan, np.median(known[:, 0])
    assert np.array_equal(predictor(replace(TEST, features=missing)), predictor(replace(TEST, features=filled)))


def test_a_feature_that_is_nowhere_known_is_done_without():
    empty, other = TRAIN.features.copy(), TEST.features.copy()
    empty[:, 4] = np.nan
    other[:, 4] = 7.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is no news for every window that is judged
        assert right(fit("logreg", replace(TRAIN, features=empty))(replace(TEST, features=other))) > 0.9


@pytest.mark.parametrize("name", ["logreg", "svm", "majority", "clock", FOREST_LATER])
def test_augmented_copies_are_not_learned_from(name):
    copies = replace(TRAIN, draw=np.ones(len(TRAIN), np.int64), features=-9 * TRAIN.features, target=TRAIN.target[::-1],
                     elapsed_s=TRAIN.elapsed_s + 7)
    both = Examples(**{k: {m: np.concatenate([v, copies.inputs[m]]) for m, v in TRAIN.inputs.items()} if k == "inputs" else
                       TRAIN.feature_names if k == "feature_names" else {} if k == "attributes" else
                       np.concatenate([getattr(TRAIN, k), getattr(copies, k)]) for k in TRAIN.__dataclass_fields__})
    assert len(both) == 2 * len(TRAIN)
    assert np.array_equal(fit(name, both)(TEST), fit(name)(TEST))


def test_the_svm_s_probabilities_come_from_folds_of_people():
    machine = fit("svm").model
    judged = []
    for train, test in machine.cv:
        assert set(TRAIN.subjects[train]).isdisjoint(TRAIN.subjects[test]) and len(test)
        judged += test.tolist()
    assert len(machine.cv) == 3 and sorted(judged) == list(range(len(TRAIN)))
    assert right(fit("svm", TRAIN.of(TRAIN.people[:2]))(TEST)) > 0.75  # two people: two folds
    with pytest.raises(ModelError, match="svm: its probabilities need two people"):
        fit("svm", TRAIN.of(TRAIN.people[:1]))


def test_majority_is_what_the_training_people_had_whatever_is_seen():
    rare = TRAIN.where(np.flatnonzero((TRAIN.target == 0) | (np.arange(len(TRAIN)) % 3 == 0)))
    expected = np.bincount(rare.target, minlength=3) / len(rare)
    unseen = replace(TEST, features=np.full((len(TEST), 5), np.nan), inputs={})
    assert np.allclose(fit("majority", rare)(unseen), expected)
    bare = replace(rare, features=np.zeros((len(rare), 0)), feature_names=())
    assert np.allclose(fit("majority", bare)(TEST), expected)
    train = made(task=SCORE)
    assert np.allclose(fit("majority", train, SCORE)(TEST), train.target.mean())


def ordered(examples: Examples) -> Examples:
    """The three levels one after the other, the same in every sitting: time gives them away."""
    order = np.argsort(examples.elapsed_s, kind="stable").argsort()
    return replace(examples, target=(order * 3 // len(order)).astype(np.int64))


def test_the_clock_reads_the_time_and_nothing_else():
    train, test = ordered(TRAIN), ordered(TEST)
    predictor = fit("clock", train)
    output = predictor(test)
    assert right(output, test) > 0.85 and right(fit("clock")(TEST)) < 0.5
    rng = np.random.default_rng(0)
    blind = replace(test, features=rng.normal(size=test.features.shape), inputs={k: v[::-1] for k, v in test.inputs.items()},
                    target=test.target[::-1])
    assert np.array_equal(predictor(blind), output)
    noise = replace(train, features=rng.normal(size=train.features.shape), inputs={})
    assert np.array_equal(fit("clock", noise)(test), output)
    later = replace(test, elapsed_s=test.elapsed_s[::-1])
    assert not np.array_equal(predictor(later), output)


def test_the_clock_refuses_when_nobody_knows_the_time():
    unknown = replace(TRAIN, elapsed_s=np.full(len(TRAIN), np.nan))
    with pytest.raises(ModelError, match="clock: what it looks at is not known of any training window"):
        fit("clock", unknown)


def test_the_clock_counts_windows_of_a_person_s_own_sitting():
    """Sittings of different people may bear the same name."""
    same = replace(ordered(TEST), sittings=np.full(len(TEST), "1"))
    rng = np.random.default_rng(1)
    mixed = rng.permutation(len(TEST))
    predictor = fit("clock", ordered(TRAIN))
    expected = predictor(ordered(TEST))
    assert np.array_equal(predictor(same), expected)
    assert np.array_equal(predictor(ordered(TEST).where(mixed)), expected[mixed])  # the order of rows says nothing


@pytest.mark.parametrize("name", [*CLASSICAL])
def test_a_class_that_nobody_shows_is_refused(name):
    with pytest.raises(ModelError, match=f"{name}: only 2 of 3 classes stand in the training windows"):
        fit(name, TRAIN.where(TRAIN.target < 2))


@pytest.mark.parametrize("name", ["logreg", "svm", FOREST_LATER])
def test_settings(name):
    estimator = find(name)
    for candidate in estimator.candidates(CLASSES):
        assert right(estimator.fit(TRAIN, CLASSES, 0, candidate)(TEST)) > 0.85
    first = estimator.fit(TRAIN, CLASSES, 0, estimator.candidates(CLASSES)[0])(TEST)
    assert np.array_equal(estimator.fit(TRAIN, CLASSES, 0, {})(TEST), first)  # what is not said is the first candidate's
    with pytest.raises(ModelError, match=f"{name}: unknown settings depth; known: (C|min_samples_leaf)"):
        estimator.fit(TRAIN, CLASSES, 0, {"depth": 3})


@pytest.mark.parametrize("name", ["perceptron", "", "s0:", "cnn1d:no_attention", "logreg:eda_only", "S0"])
def test_an_unknown_name_lists_those_there_are(name):
    with pytest.raises(ModelError, match=f"no model '{name}'; there are: majority, logreg, random_forest, svm, clock, s0,"):
        find(name)


def test_every_name_is_found_and_is_its_own():
    assert len(set(estimators.names())) == len(estimators.names()) and {"s0", "s0_paper", "cnn1d"} <= set(estimators.names())
    for name in estimators.names():
        assert find(name).name == name and find(name).candidates(CLASSES)


@pytest.mark.parametrize("name", [pytest.param("s0", marks=pytest.mark.slow),
                                  pytest.param("s0_paper", marks=pytest.mark.slow), "cnn1d"])
def test_networks_take_skin_conductance_alone(name):
    pytest.importorskip("torch")
    quick = {"epochs": 6, "hidden": 8, "learning_rate": 1e-2}
    output = networks.find(name).fit(TRAIN, CLASSES, 0, quick)(TEST)
    assert output.shape == (len(TEST), 3) and np.allclose(output.sum(axis=1), 1) and right(output) > 0.6
    one = {k: v[:, :1] for k, v in TRAIN.inputs.items()}  # one step, as the shock trials have
    short = networks.find(name).fit(replace(TRAIN, inputs=one), CLASSES, 0, quick | {"epochs": 1})
    assert short(replace(TEST, inputs={k: v[:, :1] for k, v in TEST.inputs.items()})).shape == (len(TEST), 3)
    with pytest.raises(ModelError, match="needs emg"):
        find("s0:emg_only").fit(TRAIN, CLASSES, 0, {"epochs": 1})


def test_cnn1d_learns_nothing_from_shuffled_labels_and_has_its_seed():
    pytest.importorskip("torch")
    quick = {"epochs": 10, "hidden": 8, "learning_rate": 1e-2}
    assert right(fit("cnn1d", **quick)(TEST)) > 0.7 and abs(right(fit("cnn1d", shuffled(TRAIN), **quick)(TEST)) - 1 / 3) < 0.15
    a, b, c = (fit("cnn1d", seed=s, **quick | {"epochs": 2})(TEST) for s in (1, 1, 2))
    assert a.tobytes() == b.tobytes() != c.tobytes()


def test_cnn1d_by_its_parts():
    torch = pytest.importorskip("torch")
    from nociband.models.cnn1d import Cnn1dConfig

    config = Cnn1dConfig((2, 4), hidden=5, classes=3, kernel=3, dropout=0.5)
    model = config.build().eval()
    eda, emg = torch.randn(7, 31, 2), torch.randn(7, 138, 4)
    assert model(eda, emg).shape == (7, 3) and Cnn1dConfig((2,), classes=0).build()(eda).shape == (7, 1)
    alone = torch.cat([model(eda[k:k + 1], emg[k:k + 1]) for k in range(7)])
    assert torch.allclose(model(eda, emg), alone, atol=1e-6)  # a window's answer is its own
    assert not torch.allclose(model(eda, emg), model(eda, emg.flip(0)))
    assert not torch.allclose(model(eda, emg), model(eda * 0, emg))
    for wrong in ({"inputs": ()}, {"inputs": (0,)}, {"inputs": (2,), "kernel": 4}, {"inputs": (2,), "hidden": 0}):
        with pytest.raises(ValueError, match="a channel a branch, a hidden unit and an odd kernel"):
            Cnn1dConfig(**wrong)
