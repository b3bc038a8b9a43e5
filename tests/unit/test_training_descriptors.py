"""Descriptors against their formulas in NumPy and SciPy, window by window, and on windows that have hardly anything in them."""

import numpy as np
import pytest
from scipy import stats

from nociband.training.descriptors import DESCRIPTORS, WINDOW_STATISTICS, describe, responses, sequence, statistics

RNG = np.random.default_rng(4)
X = RNG.normal(3, 2, (5, 40, 3)) + 0.05 * np.arange(40)[:, None]
FORMULAS = {
    "mean": lambda v: sum(v) / len(v), "median": lambda v: sorted(v)[19] / 2 + sorted(v)[20] / 2,
    "minimum": min, "maximum": max, "range": lambda v: max(v) - min(v),
    "standard_deviation": lambda v: stats.tstd(v) * (39 / 40)**0.5,
    "interquartile_range": stats.iqr, "root_mean_square": lambda v: (sum(a * a for a in v) / len(v))**0.5,
    "slope": lambda v: stats.linregress(range(len(v)), v).slope,
    "mean_absolute_difference": lambda v: sum(abs(b - a) for a, b in zip(v, v[1:], strict=False)) / (len(v) - 1),
    "mean_absolute_second_difference": lambda v: float(np.mean(np.abs(np.diff(np.diff(v))))),
    "last_minus_first": lambda v: sum(v[-4:]) / 4 - sum(v[:4]) / 4,
}


def test_there_are_the_twelve_that_the_formulas_are_for():
    assert tuple(FORMULAS) == DESCRIPTORS and set(WINDOW_STATISTICS) < set(DESCRIPTORS)


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_each_is_its_formula(name):
    mine = describe(X)
    assert mine.shape == (5, 3, 12)
    for i in range(5):
        for c in range(3):
            assert mine[i, c, DESCRIPTORS.index(name)] == pytest.approx(FORMULAS[name](X[i, :, c].tolist()), abs=1e-10)


@pytest.mark.parametrize("steps", [2, 3, 7])
def test_the_slope_of_a_line_is_its_slope_however_short_it_is(steps):
    line = (5 + 0.75 * np.arange(steps))[None, :, None]
    assert describe(line, ["slope"])[0, 0, 0] == pytest.approx(0.75)


def test_one_step_has_a_level_and_no_change():
    one = dict(zip(DESCRIPTORS, describe(np.full((1, 1, 1), -7.0))[0, 0], strict=True))
    level = {"mean", "median", "minimum", "maximum"}
    assert {k for k, v in one.items() if v} == level | {"root_mean_square"}
    assert {one[k] for k in level} == {-7.0} and one["root_mean_square"] == 7


def test_a_constant_window_has_no_spread_shape_or_change():
    still = dict(zip(DESCRIPTORS, describe(np.full((1, 138, 1), 5.0))[0, 0], strict=True))
    assert {k for k, v in still.items() if abs(v) > 1e-12} == {"mean", "median", "minimum", "maximum", "root_mean_square"}


def test_a_sequence_is_the_descriptors_of_its_parts_in_order():
    parts = sequence(X, 5)
    assert parts.shape == (5, 5, 36) and parts.dtype == np.float32
    for k in range(5):
        assert np.allclose(parts[:, k], describe(X[:, 8 * k:8 * k + 8]).reshape(5, 36), rtol=1e-6)
    uneven = sequence(X[:, :38], 11)  # all steps are seen, none twice
    assert np.isclose(np.max(uneven[0, :, 3]), X[0, :38, 0].max()) and np.isclose(np.min(uneven[0, :, 2]), X[0, :38, 0].min())
    assert sequence(X[:, :4], 11).shape == (5, 4, 36)  # shorter than the parts asked for
    assert np.isfinite(sequence(X[:, :1], 11)).all()


def test_statistics_are_named_in_the_order_of_their_columns():
    values, names = statistics(X, ("a", "b", "c"))
    assert values.shape == (5, 18) and len(names) == 18 and len(set(names)) == 18
    assert np.array_equal(values[:, names.index("b_maximum")], X[:, :, 1].max(axis=1))
    assert np.allclose(values[:, names.index("c_mean")], X[:, :, 2].mean(axis=1))


def scr(onset_s: float, amplitude: float, seconds: float = 12.0) -> np.ndarray:
    """A rise of 1.5 s and an exponential recovery, at 25 Hz."""
    t = np.arange(int(seconds * 25)) / 25 - onset_s
    return amplitude * np.where(t < 0, 0, np.where(t < 1.5, np.sin(np.pi / 3 * t)**2, np.exp(-(t - 1.5) / 2)))


def test_responses_are_counted_and_measured():
    two = scr(1, 0.4) + scr(7, 0.15)
    found, names = responses(np.stack([two, np.zeros(300), -two, scr(1, 0.009)]))
    assert names == ("scr_count", "scr_rise_sum", "scr_rise_max")
    trough = two[100:176].min()  # the second rises out of what is left of the first
    assert found[0] == pytest.approx([2, 0.4 + two[176:230].max() - trough, 0.4], abs=2e-3)
    assert found[1].tolist() == [0, 0, 0] and found[3].tolist() == [0, 0, 0]


def test_what_is_cut_off_at_the_edges_counts_as_far_as_it_rose():
    rise, fall = np.linspace(0, 1, 20), np.linspace(1, 0, 20)
    assert responses(rise[None])[0].tolist() == [[1, 1, 1]] and responses(fall[None])[0].tolist() == [[0, 0, 0]]
    assert responses(np.concatenate([fall, rise])[None])[0] == pytest.approx(np.array([[1, 1, 1]]))


@pytest.mark.parametrize("step", [0.004, 0.02])
def test_a_rise_in_steps_is_one_response(step):
    """The DSP's values are whole numbers: a slow rise stands still between two of them, and is still one rise."""
    slow = scr(1, 0.3)
    stepped = np.round(slow / step) * step
    assert (np.diff(stepped) == 0).mean() > 0.2
    assert responses(stepped[None])[0][0] == pytest.approx([1, 0.3, 0.3], abs=step)


@pytest.mark.parametrize("steps", [1, 2])
def test_hardly_any_steps(steps):
    assert responses(np.zeros((3, steps)))[0].tolist() == [[0, 0, 0]] * 3
