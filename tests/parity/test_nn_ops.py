"""Every kernel of nb_nn gives, bit for bit, what LiteRT's reference kernel of the operation gives, on any scales and values.

Constants come from the converter's own arithmetic (nociband_convert.quantise), so that this tests both.
"""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest
from _clib import FIRMWARE_LIB, compile_libs, pointer
from _nn import c_ints, litert, one_op, schema
from hypothesis import given, settings
from hypothesis import strategies as st

from nociband.errors import ModelError
from nociband_convert import quantise

N = 512
COUNT = settings(max_examples=60, deadline=None)
SCALES = st.floats(2.0**-17, 2.0**-9)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def nn(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return compile_libs(("nb_nn",), tmp_path_factory.mktemp("nb_nn"))


def values(seed: int, *shape: int) -> np.ndarray:
    """int16 of all sizes, with the rails among them."""
    rng = np.random.default_rng(seed)
    x = np.clip(np.rint(rng.normal(0, 10.0 ** rng.uniform(1, 4.7), shape)), -32768, 32767).astype(np.int16)
    flat = x.reshape(-1)
    flat[:2] = (-32768, 32767)[: flat.size]
    return x


def f32(scale: float) -> float:
    return float(np.float32(scale))


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
@pytest.mark.parametrize("scale", [2.0**-15, 2.0**-13, 2.0**-12, 2.0**-11, 2.0**-10, 8 / 32767, 11.3 / 32767, 3e-5, 1e-3])
def test_activations_on_every_input(nn: ctypes.CDLL, kind: str, scale: float) -> None:
    x = np.arange(-32768, 32768).astype(np.int16)
    y = np.empty_like(x)
    multiplier, right = quantise.table_input(f32(scale))
    getattr(nn, f"nb_nn_{kind.lower()}")(pointer(x), x.size, multiplier, right, pointer(y))
    expected = litert(one_op(kind, [((1, x.size), scale)], ((1, x.size), 2.0**-15), version=3), [x[None]])
    assert np.array_equal(y, expected[0])


def test_the_sigmoid_table_is_the_one_in_litert() -> None:
    step = float(np.nextafter(np.float32(2 / 12288), np.float32(1)))
    x = (np.arange(256) * 128).astype(np.int16)
    read = litert(one_op("TANH", [((1, 256), step)], ((1, 256), 2.0**-15), version=3), [x[None]])[0].astype(int) + 32768
    text = (FIRMWARE_LIB / "nb_nn/src/nb_nn_table.h").read_text()
    table = re.search(r"\{([^}]*)\}", text)
    assert table and [int(v) for v in table[1].split(",") if v.strip()] == read.tolist()


@COUNT
@given(a=SCALES, b=SCALES, ratio=st.floats(0.02, 0.99), seed=SEEDS)
def test_mul(nn: ctypes.CDLL, a: float, b: float, ratio: float, seed: int) -> None:
    y_scale = a * b / ratio
    x, w, y = values(seed, 1, N), values(seed + 1, 1, N), np.empty((1, N), np.int16)
    try:
        scale = quantise.mul(f32(a), f32(b), f32(y_scale))
    except ModelError:
        return
    nn.nb_nn_mul(pointer(x), pointer(w), N, c_ints(*scale), pointer(y))
    options = schema.MulOptionsT()
    assert np.array_equal(y, litert(one_op("MUL", [((1, N), a), ((1, N), b)], ((1, N), y_scale), options=options), [x, w]))


@COUNT
@given(rows=st.integers(1, 40), columns=st.integers(2, 33), seed=SEEDS)
def test_mul_by_one_factor_a_row(nn: ctypes.CDLL, rows: int, columns: int, seed: int) -> None:
    x, w, y = values(seed, 1, rows, columns), values(seed + 1, 1, rows, 1), np.empty((1, rows, columns), np.int16)
    a, b, y_scale = 1 / 32767, 2.0**-15, 2.3e-5
    nn.nb_nn_mul_rows(pointer(x), rows, columns, pointer(w), c_ints(*quantise.mul(f32(a), f32(b), f32(y_scale))), pointer(y))
    content = one_op("MUL", [(x.shape, a), (w.shape, b)], (y.shape, y_scale), options=schema.MulOptionsT())
    assert np.array_equal(y, litert(content, [x, w]))


@COUNT
@given(a=SCALES, b=SCALES, ratio=st.floats(0.3, 4.0), seed=SEEDS)
def test_add(nn: ctypes.CDLL, a: float, b: float, ratio: float, seed: int) -> None:
    y_scale = max(a, b) * ratio
    x, w, y = values(seed, 1, N), values(seed + 1, 1, N), np.empty((1, N), np.int16)
    parts = quantise.add(f32(a), f32(b), f32(y_scale))
    nn.nb_nn_add(pointer(x), pointer(w), N, c_ints(*(v for p in parts for v in p)), pointer(y))
    options = schema.AddOptionsT()
    options.potScaleInt16 = False
    assert np.array_equal(y, litert(one_op("ADD", [((1, N), a), ((1, N), b)], ((1, N), y_scale), options=options), [x, w]))


@COUNT
@given(a=SCALES, ratio=st.floats(0.02, 50.0), seed=SEEDS)
def test_requantise(nn: ctypes.CDLL, a: float, ratio: float, seed: int) -> None:
    x, y = values(seed, 1, N), np.empty((1, N), np.int16)
    nn.nb_nn_requantise(pointer(x), N, c_ints(*quantise.requantise(f32(a), f32(a * ratio))), pointer(y))
    content = one_op("QUANTIZE", [((1, N), a)], ((1, N), a * ratio), options=schema.QuantizeOptionsT(), version=3)
    assert np.array_equal(y, litert(content, [x]))


@COUNT
@given(shape=st.tuples(st.integers(1, 20), st.integers(1, 150), st.integers(1, 17)), axis=st.integers(0, 2),
       ratio=st.floats(0.05, 1.5), seed=SEEDS)
def test_mean_and_maximum(nn: ctypes.CDLL, shape: tuple[int, int, int], axis: int, ratio: float, seed: int) -> None:
    x, scale = values(seed, *shape), 1 / 32767
    outer, count, inner = int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1:]))
    rest = tuple(1 if i == axis else n for i, n in enumerate(shape))
    options = schema.ReducerOptionsT()
    options.keepDims = True
    constants = [(np.array([axis], np.int32), [])]
    y = np.empty(rest, np.int16)
    folded = quantise.mean(f32(scale), f32(scale * ratio), count)
    nn.nb_nn_mean(pointer(x), outer, count, inner, c_ints(*folded), pointer(y))
    content = one_op("MEAN", [(shape, scale)], (rest, scale * ratio), constants, options, version=2)
    assert np.array_equal(y, litert(content, [x]))
    nn.nb_nn_reduce_max(pointer(x), outer, count, inner, pointer(y))
    assert np.array_equal(y, litert(one_op("REDUCE_MAX", [(shape, scale)], (rest, scale), constants, options, version=3), [x]))


def layer(seed: int, outputs: int, products: int, shape: tuple[int, ...], x: float):
    """int8 weights, int64 biases and their scales, as the quantiser makes them."""
    rng = np.random.default_rng(seed)
    w = rng.integers(-127, 128, (outputs, *shape)).astype(np.int8)
    scales = [f32(s) for s in 10.0 ** rng.uniform(-3, -1.5, outputs)]
    bias = rng.integers(-(2**20), 2**20, outputs).astype(np.int64)
    y = f32(float(np.median(scales)) * x * products**0.5 * 40 * rng.uniform(0.3, 3))
    largest = np.abs(w.reshape(outputs, -1).astype(int)).sum(1) * 32768 + np.abs(bias)
    return w, bias, scales, y, largest


def channels(pick, x: float, scales: list[float], y: float, largest: np.ndarray):
    return c_ints(*(v for s, m in zip(scales, largest, strict=True) for v in pick(x, s, y, int(m))))


@COUNT
@given(inputs=st.integers(1, 70), outputs=st.integers(1, 20), seed=SEEDS)
def test_fully_connected(nn: ctypes.CDLL, inputs: int, outputs: int, seed: int) -> None:
    x, scale = values(seed, 1, inputs), f32(8 / 32767)
    w, bias, scales, y_scale, largest = layer(seed, outputs, inputs, (inputs,), scale)
    y = np.empty((1, outputs), np.int16)
    bias32 = bias.astype(np.int32)
    nn.nb_nn_fully_connected(pointer(x), inputs, pointer(w), pointer(bias32),
                             channels(quantise.channel, scale, scales, y_scale, largest), outputs, pointer(y))
    constants = [(w, scales), (bias, [scale * s for s in scales])]
    options = schema.FullyConnectedOptionsT()
    content = one_op("FULLY_CONNECTED", [(x.shape, scale)], (y.shape, y_scale), constants, options, version=11)
    assert np.array_equal(y, litert(content, [x]))


@COUNT
@given(frames=st.integers(1, 60), features=st.integers(1, 4), kernel=st.sampled_from([1, 3, 5, 7]), outputs=st.integers(1, 3),
       seed=SEEDS)
def test_conv(nn: ctypes.CDLL, frames: int, features: int, kernel: int, outputs: int, seed: int) -> None:
    x, scale = values(seed, 1, 1, frames, features), f32(1 / 32767)
    w, bias, scales, y_scale, largest = layer(seed, outputs, kernel * features, (1, kernel, features), scale)
    y = np.empty((1, 1, frames, outputs), np.int16)
    bias32 = bias.astype(np.int32)
    nn.nb_nn_conv(pointer(x), frames, features, pointer(w), kernel, pointer(bias32),
                  channels(quantise.conv_channel, scale, scales, y_scale, largest), outputs, pointer(y))
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.SAME, 1, 1
    constants = [(w, scales), (bias, [scale * s for s in scales])]
    assert np.array_equal(y, litert(one_op("CONV_2D", [(x.shape, scale)], (y.shape, y_scale), constants, options), [x]))


def test_concatenate(nn: ctypes.CDLL) -> None:
    a, b, y = values(1, 138, 3), values(2, 138, 5), np.empty((138, 8), np.int16)
    nn.nb_nn_concatenate(pointer(a), 3, pointer(b), 5, 138, pointer(y))
    assert np.array_equal(y, np.concatenate([a, b], 1))


@pytest.mark.parametrize("make", [
    lambda: quantise.quantise_multiplier(0.0),
    lambda: quantise.quantise_multiplier(float("inf")),
    lambda: quantise.mul(2.0**-15, 2.0**-15, 2.0**-31),
    lambda: quantise.requantise(1.0, 2.0**-20),
    lambda: quantise.table_input(10.0),
    lambda: quantise.channel(1e-4, 1e-3, 1e-4, 2**31),
    lambda: quantise.channel(1e4, 1e3, 1e-4, 1000),
    lambda: quantise.mean(1.0, 2.0**-18, 138),
])
def test_what_could_overflow_is_refused(make) -> None:
    with pytest.raises(ModelError):
        make()


def test_a_slightly_different_multiplier_is_noticed(nn: ctypes.CDLL) -> None:
    """The comparison can fail: a multiplier off by 2^-15 of its value shows."""
    x, y = values(5, 1, N), np.empty((1, N), np.int16)
    a, b = 8 / 32767, 2.07e-4
    scale = quantise.requantise(f32(a), f32(b))
    expected = litert(one_op("QUANTIZE", [((1, N), a)], ((1, N), b), options=schema.QuantizeOptionsT(), version=3), [x])
    nn.nb_nn_requantise(pointer(x), N, c_ints(scale.multiplier + (1 << 16), scale.shift), pointer(y))
    assert not np.array_equal(y, expected)
