"""Fully connected layers, convolutions and pooling give, bit for bit, what LiteRT's reference kernels give, in both schemes.

Shapes, scales, zero points and values are random; the C is what the converter writes for the model. On this machine the portable
kernels run; on the emulated Cortex-M4F those with the DSP extension, and the portable ones again (NB_NN_PORTABLE).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from _m4 import needs_emulator
from _nn import Builder, schema
from _nn_cases import Case, assert_emulated, assert_native, assert_sanitised, native

from nociband.errors import ModelError
from nociband_convert import standalone, tflite

FUSED = (0, 0, 1, 2, 3)
KINDS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")
VERSIONS = {"FULLY_CONNECTED": 11, "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "AVERAGE_POOL_2D": 3, "MAX_POOL_2D": 3}
SAME, VALID = 0, 1
LIMITS = {"int8": (-128, 127), "int16": (-32768, 32767)}


# --- random models of one operation --------------------------------------------------------------------------------------


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Of all sizes, with the rails among them."""
    low, high = LIMITS[dtype]
    x = np.clip(np.rint(rng.normal(0, high * rng.uniform(0.2, 1.5), shape)), low, high)
    x.reshape(-1)[: x.size // 3: 7] = rng.choice([low, high])
    return x.astype(dtype)


class Maker:
    """Draws one model of one operation."""

    def __init__(self, rng: np.random.Generator, kind: str, dtype: str) -> None:
        self.rng, self.kind, self.dtype = rng, kind, dtype
        self.model = Builder()
        self.x_zero, self.y_zero = (int(v) for v in rng.integers(-128, 128, 2)) if dtype == "int8" else (0, 0)
        self.x_scale = float(np.float32(10.0 ** rng.uniform(-4, -1)))
        self.fused = int(rng.choice(FUSED))

    def case(self) -> Case:
        if self.kind == "FULLY_CONNECTED":
            x, y = self._fully_connected()
        elif self.kind.endswith("CONV_2D"):
            x, y = self._convolution()
        else:
            x, y = self._pool()
        self.model.op(self.kind, self.inputs, [self.y], self.options, VERSIONS[self.kind])
        what = f"{self.kind} {self.dtype} {x} -> {y}, {vars(self.options)}, zero points {self.x_zero}, {self.y_zero}"
        return Case(what, self.model.finish([0], [self.y]), (np.stack([values(self.rng, x, self.dtype) for _ in range(3)]),))

    def _number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def _weights(self, shape: tuple[int, ...], outputs: int, products: int, axis: int) -> float:
        """Add weights and perhaps a bias; the scale at which outputs fill about their range."""
        rng = self.rng
        weights = rng.integers(-127, 128, shape).astype(np.int8)
        scales = [float(np.float32(s)) for s in 10.0 ** rng.uniform(-3, -2, outputs if rng.random() < 0.6 else 1)]
        self.inputs.append(self.model.constant(weights, scales, axis=axis))
        size = products**0.5 * 70 * LIMITS[self.dtype][1] * 0.6
        if self.kind == "CONV_2D" or rng.random() < 0.7:
            bias = rng.normal(0, size / 3, outputs).astype("int32" if self.dtype == "int8" else "int64")
            self.inputs.append(self.model.constant(bias, [self.x_scale * s for s in scales]))
        return float(np.float32(size * float(np.median(scales)) * self.x_scale / LIMITS[self.dtype][1] * rng.uniform(0.3, 3)))

    def _fully_connected(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        rows, products, outputs = self._number(1, 4), self._number(1, 90), self._number(1, 20)
        keep = rows > 1 and self.rng.random() < 0.5
        shape = (1, rows, products) if keep else (rows, products)
        self.inputs = [self.model.tensor(shape, self.dtype, [self.x_scale], self.x_zero)]
        y_scale = self._weights((outputs, products), outputs, products, 0)
        self.options = schema.FullyConnectedOptionsT()
        self.options.keepNumDims, self.options.fusedActivationFunction = bool(keep), self.fused
        out = (*shape[:-1], outputs)
        self.y = self.model.tensor(out, self.dtype, [y_scale], self.y_zero)
        return shape, out

    def _slides(self, options, image: tuple[int, int], kernel: tuple[int, int]) -> tuple[int, int]:
        """Random stride, dilation and padding; output height and width."""
        rng = self.rng
        options.padding = int(rng.choice([SAME, VALID]))
        options.strideH, options.strideW = self._number(1, 3), self._number(1, 3)
        options.fusedActivationFunction = self.fused
        dilation = [1, 1]
        if hasattr(options, "dilationHFactor"):
            if rng.random() < 0.3:
                dilation = [self._number(1, 3), self._number(1, 3)]
            options.dilationHFactor, options.dilationWFactor = dilation
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        if any(r > n for r, n in zip(reach, image, strict=True)):
            options.padding = SAME
        strides = (options.strideH, options.strideW)
        if options.padding == SAME:
            return tuple(-(-n // s) for n, s in zip(image, strides, strict=True))
        return tuple((n - r) // s + 1 for n, r, s in zip(image, reach, strides, strict=True))

    def _convolution(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        deep = self.kind == "DEPTHWISE_CONV_2D"
        image = (self._number(1, 9) if self.rng.random() < 0.6 else 1, self._number(1, 12))
        kernel = (self._number(1, 4) if image[0] > 1 else 1, self._number(1, 5))
        channels = self._number(1, 13)
        times = int(self.rng.choice([1, 1, 2, 3])) if deep else 0
        outputs = channels * times if deep else self._number(1, 9)
        shape = (1, *image, channels)
        self.inputs = [self.model.tensor(shape, self.dtype, [self.x_scale], self.x_zero)]
        taps = kernel[0] * kernel[1]
        if deep:
            y_scale = self._weights((1, *kernel, outputs), outputs, taps, 3)
            self.options = schema.DepthwiseConv2DOptionsT()
            self.options.depthMultiplier = times
        else:
            y_scale = self._weights((outputs, *kernel, channels), outputs, taps * channels, 0)
            self.options = schema.Conv2DOptionsT()
        out = (1, *self._slides(self.options, image, kernel), outputs)
        self.y = self.model.tensor(out, self.dtype, [y_scale], self.y_zero)
        return shape, out

    def _pool(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        image = (self._number(1, 9) if self.rng.random() < 0.6 else 1, self._number(1, 12))
        kernel = (self._number(1, image[0]), self._number(1, image[1]))
        shape = (1, *image, self._number(1, 9))
        self.inputs = [self.model.tensor(shape, self.dtype, [self.x_scale], self.x_zero)]
        self.options = schema.Pool2DOptionsT()
        self.options.filterHeight, self.options.filterWidth = kernel
        out = (1, *self._slides(self.options, image, kernel), shape[3])
        self.y = self.model.tensor(out, self.dtype, [self.x_scale], self.x_zero)
        return shape, out


def batch(seed: int, kinds: tuple[str, ...] = KINDS, count: int = 40) -> list[Case]:
    rng = np.random.default_rng(seed)
    return [Maker(rng, str(rng.choice(kinds)), str(rng.choice(["int8", "int16"]))).case() for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
def test_random_layers(seed: int, kind: str, tmp_path: Path) -> None:
    assert_native(batch(seed, (kind,)), tmp_path)


@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_ties_are_rounded_alike(kind: str, dtype: str, tmp_path: Path) -> None:
    """Powers of two for scales: a quarter of all sums lies half way between two outputs."""
    cases = [exact(kind, dtype, step) for step in (0.5, 1.0, 2.0, 4.0, 8.0)]
    assert_native(cases, tmp_path)


def exact(kind: str, dtype: str, y_scale: float) -> Case:
    """One product an output, weights and scales 1 but for the output's: y = round(x / y_scale)."""
    model, channels = Builder(), 6
    shape = (200, channels) if kind == "FULLY_CONNECTED" else (1, 1, 200, channels)
    x, eye = model.tensor(shape, dtype, [1.0]), np.eye(channels, dtype=np.int8)
    weights = {"FULLY_CONNECTED": eye, "CONV_2D": eye[:, None, None], "DEPTHWISE_CONV_2D": np.ones((1, 1, 1, channels), np.int8)}
    bias = np.zeros(channels, "int32" if dtype == "int8" else "int64")
    options = {"FULLY_CONNECTED": schema.FullyConnectedOptionsT, "CONV_2D": schema.Conv2DOptionsT,
               "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT}[kind]()
    if kind != "FULLY_CONNECTED":
        options.strideH = options.strideW = options.depthMultiplier = 1
    y = model.tensor(shape, dtype, [y_scale])
    model.op(kind, [x, model.constant(weights[kind], [1.0]), model.constant(bias, [1.0])], [y], options, VERSIONS[kind])
    values = np.random.default_rng(1).integers(-100, 101, (1, *shape)).astype(dtype)
    return Case(f"{kind} {dtype} {y_scale}", model.finish([x], [y]), (values,))


@pytest.mark.parametrize("kind", KINDS[:3])
def test_sums_beyond_32_bits(kind: str, tmp_path: Path) -> None:
    """int16 at full scale times weights at full scale: sums of 64 bits; and LiteRT's are as exact."""
    case = far(kind)
    assert "_wide(" in case.c("far", tmp_path).source
    assert np.abs(case.expected.astype(int)).max() > 20000 and len(np.unique(case.expected)) > 20
    assert_native([case], tmp_path)


def far(kind: str) -> Case:
    rng, model, taps, outputs = np.random.default_rng(2), Builder(), 700, 30
    deep = kind == "DEPTHWISE_CONV_2D"
    shape = {"FULLY_CONNECTED": (2, taps), "CONV_2D": (1, 1, taps, 1), "DEPTHWISE_CONV_2D": (1, 1, taps, outputs)}[kind]
    x = model.tensor(shape, "int16", [1e-4])
    w = rng.choice([-127, 100, 126, 127], (outputs, taps)).astype(np.int8)
    w[0] = 127
    bias = rng.integers(-(2**33), 2**33, outputs)
    weights = {"FULLY_CONNECTED": w, "CONV_2D": w[:, None, :, None], "DEPTHWISE_CONV_2D": w.T.reshape(1, 1, taps, outputs)}[kind]
    out = (2, outputs) if kind == "FULLY_CONNECTED" else (1, 1, 1, outputs)
    options = {"FULLY_CONNECTED": schema.FullyConnectedOptionsT, "CONV_2D": schema.Conv2DOptionsT,
               "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT}[kind]()
    if kind != "FULLY_CONNECTED":
        options.strideH = options.strideW = options.depthMultiplier = 1
        options.padding = VALID
    y = model.tensor(out, "int16", [1e-4 * 1e-3 * 2**33 / 32768])
    stored = [model.constant(weights, [1e-3], axis=3 if deep else 0), model.constant(bias, [1e-7])]
    model.op(kind, [x, *stored], [y], options, VERSIONS[kind])
    full = np.full(shape, 32767)
    inputs = [full, -full, *(rng.integers(-32768, 32768, shape) * (full > 0) for _ in range(3)),
              np.sign(rng.normal(0, 1, shape) + 0.3) * 32767]
    return Case(f"{kind} far", model.finish([x], [y]), (np.stack(inputs).astype(np.int16),))


@needs_emulator
@pytest.mark.slow
@pytest.mark.parametrize("flags", [("-O2",), ("-Os",), ("-O2", "-DNB_NN_PORTABLE"), ("-Os", "-DNB_NN_PORTABLE")], ids=" ".join)
def test_emulated_cortex_m4(flags: tuple[str, ...], tmp_path: Path) -> None:
    """100 random layers, ties and long sums in one program; with and without the instructions of the DSP extension."""
    ties = [exact(kind, dtype, 4.0) for kind in KINDS[:3] for dtype in LIMITS]
    elf = assert_emulated([*batch(11, count=100), *ties, *(far(kind) for kind in KINDS[:3])], tmp_path, flags)
    code = subprocess.check_output(["arm-none-eabi-objdump", "-d", elf], text=True)
    used = {name for name in ("smlad", "sxtab16", "sxtb16", "pkhbt") if f"\t{name}\t" in code}
    assert used == (set() if "-DNB_NN_PORTABLE" in flags else {"smlad", "sxtab16", "sxtb16", "pkhbt"})


@pytest.mark.slow
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    """No undefined behaviour, and nothing read or written outside its array."""
    assert_sanitised([*batch(12, count=60), *(far(kind) for kind in KINDS[:3])], tmp_path)


def test_a_slightly_different_scale_is_noticed(tmp_path: Path) -> None:
    """The comparison can fail: an output's step that is 2.5 millionths larger moves ties."""
    good, other = (exact("FULLY_CONNECTED", "int16", step) for step in (4.0, 4.00001))
    run, = native([other], tmp_path)
    assert not np.array_equal(run(*good.runs[0]), good.expected[0])


# --- what cannot be equal is refused -------------------------------------------------------------------------------------


def refused(content: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=match):
        standalone.generate(tflite.read(tmp_path / "m.tflite"), "m")


def dense(dtype: str = "int8", bias: str = "int32", each: int = 0, y_scale: float = 1.0, inputs: int = 4) -> bytes:
    """A fully connected layer of 4 to 3, weights 127 and scales 1, all biases `each`."""
    model = Builder()
    x = model.tensor((1, inputs), dtype, [1.0])
    weights = model.constant(np.full((3, 4), 127, np.int8), [1.0])
    stored = model.constant(np.full(3, each, bias), [1.0])
    y = model.tensor((1, 3), dtype, [y_scale])
    model.op("FULLY_CONNECTED", [x, weights, stored], [y], schema.FullyConnectedOptionsT(), 11)
    return model.finish([x], [y])


def test_sums_beyond_32_bits_in_int8_are_refused(tmp_path: Path) -> None:
    refused(dense(each=2**31 - 1, y_scale=1e7), "beyond 32 bits", tmp_path)


def test_a_bias_that_litert_misreads_is_refused(tmp_path: Path) -> None:
    """int32 with int16 activations: LiteRT takes it for int64."""
    refused(dense("int16", "int32"), "int64 belongs", tmp_path)


def test_an_output_far_finer_than_the_sums_is_refused(tmp_path: Path) -> None:
    refused(dense(y_scale=1e-6), "out of reach", tmp_path)


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    refused(dense(inputs=6), "multiplies", tmp_path)


def window(kind: str, shape: tuple[int, ...], out: tuple[int, ...], **options: int) -> bytes:
    model, chosen = Builder(), schema.Pool2DOptionsT() if "POOL" in kind else schema.Conv2DOptionsT()
    vars(chosen).update({"strideH": 1, "strideW": 1, "padding": VALID, **options})
    x = model.tensor(shape, "int8", [1.0])
    y = model.tensor(out, "int8", [1.0])
    stored = [] if "POOL" in kind else [model.constant(np.ones((1, 2, 2, shape[-1]), np.int8), [1.0]),
                                        model.constant(np.zeros(1, np.int32), [1.0])]
    model.op(kind, [x, *stored], [y], chosen, VERSIONS[kind])
    return model.finish([x], [y])


@pytest.mark.parametrize(("content", "match"), [
    (window("CONV_2D", (1, 5, 5, 2), (1, 5, 5, 1)), "makes"),
    (window("CONV_2D", (2, 5, 5, 2), (2, 4, 4, 1)), "makes"),
    (window("CONV_2D", (1, 5, 5, 2), (1, 4, 4, 1), strideH=0), "stride"),
    (window("CONV_2D", (1, 1, 5, 2), (1, 1, 4, 1)), "makes"),
    (window("CONV_2D", (1, 5, 5, 2), (1, 4, 4, 1), fusedActivationFunction=4), "fused activation"),
    (window("MAX_POOL_2D", (1, 5, 5, 2), (1, 4, 4, 1), filterHeight=2, filterWidth=2), "makes"),
    (window("MAX_POOL_2D", (1, 5, 5, 2), (1, 4, 4, 2), filterHeight=2, filterWidth=0), "stride"),
])
def test_windows_that_do_not_fit_are_refused(content: bytes, match: str, tmp_path: Path) -> None:
    refused(content, match, tmp_path)
