"""The int8 scheme's graphs: what is written is what was meant, LiteRT computes what the rounded network predicts, and what does
not fit is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from _trained import write

from nociband.errors import ModelError
from nociband.models import s0_int8
from nociband.models.s0 import S0, S0Config
from nociband.models.s0_int8 import Range, RoundedS0
from nociband.training import quantised
from nociband_convert import ablation, calibration, source, tflite
from nociband_convert.calibration import Calibration
from nociband_convert.graphs import int8
from nociband_convert.source import Trained

HEAD = Path(__file__).resolve().parents[2] / "firmware/bench/h32/int8/head.tflite"  # of a network with 32 units and 5 classes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("int8") / "made")


@pytest.fixture(scope="module")
def trained(folder: Path) -> Trained:
    """With the size that HEAD has: weights are set here, the graph's layout comes from there."""
    small = source.load(folder)
    torch.manual_seed(4)
    return replace(small, network=S0(S0Config(hidden=32, classes=5, input_limit=8.0)).eval())


@pytest.fixture(scope="module")
def known(trained: Trained) -> Calibration:
    return calibration.calibrate(trained)


@pytest.fixture(scope="module")
def files(trained: Trained, known: Calibration) -> dict[str, bytes]:
    return int8.build(trained, known, HEAD)


def _read(content: bytes, at: Path) -> tflite.Graph:
    at.write_bytes(content)
    return tflite.read(at)


def _ranges(trained: Trained) -> s0_int8.Ranges:
    return s0_int8.calibrate(trained.network, torch.from_numpy(trained.normalised(trained.train)))


def _float_logits(trained: Trained, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return trained.network(x[:, :, :2], x[:, :, 2:])


def test_branches_are_one_lstm_on_the_scales_of_the_scheme(trained: Trained, known: Calibration, files: dict[str, bytes],
                                                           tmp_path: Path) -> None:
    for branch, inputs in (("eda", 2), ("emg", 4)):
        graph = _read(files[branch], tmp_path / f"{branch}.tflite")
        assert [op.kind for op in graph.ops] == ["UNIDIRECTIONAL_SEQUENCE_LSTM"] and graph.scheme == "int8"
        x, hs = graph.tensors[graph.inputs["x"]], graph.tensors[graph.outputs["hs"]]
        assert x.shape == (1, 138, inputs) and hs.shape == (1, 138, 32)
        assert x.scale == np.float32(8 / 127) and hs.scale == 1 / 128 and x.zero_points == hs.zero_points == (0,)
        cell = graph.tensors[graph.ops[0].inputs[19]]
        assert cell.dtype == "int16" and cell.scale * 2**15 >= known.cell_limit[branch] and np.log2(cell.scale) % 1 == 0


def test_the_head_has_the_networks_weights_to_half_a_step(trained: Trained, files: dict[str, bytes], tmp_path: Path) -> None:
    graph = _read(files["head"], tmp_path / "head.tflite")
    out = next(op for op in graph.ops if op.outputs[0] == graph.outputs["logits"])
    weights, bias = (graph.tensors[i] for i in out.inputs[1:3])
    assert weights.data is not None and bias.data is not None
    scales = np.array(weights.scales)[:, None]
    want = trained.network.head.out.weight.detach().numpy()
    assert np.abs(weights.data * scales - want).max() <= scales.max() * 0.501
    assert np.abs(weights.data).max(axis=1).tolist() == [127] * 5  # each channel has all of its 8 bits
    assert np.allclose(bias.data * np.array(bias.scales), trained.network.head.out.bias.detach().numpy(), atol=1e-4)
    assert graph.tensors[graph.inputs["hs_eda"]].scale == 1 / 128


def test_litert_computes_what_the_rounded_network_predicts(trained: Trained, known: Calibration, files: dict[str, bytes]) -> None:
    x = trained.normalised(trained.validation)
    got = ablation._Windowed(files)(x)
    ranges = _ranges(trained)
    ranges = replace(ranges, cell_limit={b: max(known.cell_limit[b], ranges.cell_limit[b]) for b in ranges.cell_limit})
    with torch.no_grad():
        predicted = RoundedS0(trained.network, ranges)(torch.from_numpy(x)).numpy()
    steps = np.abs(got - predicted) / ranges.tensors["logits"].scale
    assert steps.max() < 1.5 and steps.mean() < 0.4  # on the border between two steps they may differ by one
    exact = _float_logits(trained, torch.from_numpy(x)).numpy()
    assert np.sqrt(((got - exact) ** 2).mean()) < 0.05 * exact.std() < np.abs(got).max()


def test_nothing_rounded_is_the_network_itself(trained: Trained) -> None:
    x = torch.from_numpy(trained.normalised(trained.validation[:20]))
    with torch.no_grad():
        got = RoundedS0(trained.network, _ranges(trained), ablation.ROUNDINGS)(x)
    assert torch.allclose(got, _float_logits(trained, x), atol=1e-5)


def test_each_rounding_alone_costs_less_than_all(trained: Trained) -> None:
    errors = ablation.roundings(trained, trained.normalised(trained.validation[:30]))
    assert set(errors) == {"all", "all but logits", "cell, 8 bits", *ablation.ROUNDINGS}
    assert 0 < 20 * errors["cell"] < errors["cell, 8 bits"]
    assert all(0 < errors[n] < errors["all"] for n in ("x", "hidden", "weights", "logits"))
    assert errors["all but logits"] < errors["all"]


def test_the_range_of_logits_gives_up_what_no_probability_shows() -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 1, (300, 4)).astype(np.float32))
    logits[:, 3] -= 40
    chosen = s0_int8.logit_range(logits)
    assert -40 < chosen.low < logits[:, :3].min() and chosen.high >= 0.95 * logits.max()

    def error(r: Range) -> float:
        return float((torch.softmax(s0_int8.on(logits, r), 1) - torch.softmax(logits, 1)).abs().max())

    assert error(chosen) < 0.7 * error(Range(float(logits.min()), float(logits.max())))


@pytest.mark.parametrize(("peak", "limit"), [(0.0, 1.0), (0.79, 1.0), (0.81, 2.0), (6.5, 16.0), (12.7, 16.0), (12.9, 32.0)])
def test_the_cells_limit_is_a_power_of_two_with_a_margin(peak: float, limit: float) -> None:
    assert s0_int8.cell_limit(peak) == limit


def test_a_cell_that_litert_cannot_hold_is_refused(trained: Trained, known: Calibration) -> None:
    with pytest.raises(ModelError, match="eda branch's cell state needs a range of .-128.*regularisation"):
        int8.build(trained, replace(known, cell_limit={"eda": 128.0, "emg": 4.0}), HEAD)


def test_another_graph_is_no_head(trained: Trained, known: Calibration, files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "eda.tflite").write_bytes(files["eda"])
    with pytest.raises(ModelError, match="no input hs_eda"):
        int8.build(trained, known, tmp_path / "eda.tflite")


def test_a_head_of_another_size_is_refused(folder: Path) -> None:
    small = source.load(folder)
    with pytest.raises(ModelError, match="where the network has"):
        int8.build(small, calibration.calibrate(small), HEAD)


def test_only_a_network_of_the_bands_size_has_an_int8_form(trained: Trained) -> None:
    with pytest.raises(ValueError, match="band's size"):
        RoundedS0(S0(S0Config(attention=False)), _ranges(trained))


def test_a_fine_tuned_state_is_taken(folder: Path, tmp_path: Path) -> None:
    made = Path(shutil.copytree(folder, tmp_path / "made"))
    config = source.load(made).network.config
    assert int8.tuned_network(made, config) is None
    quantised.fine_tune(made, quantised.TuningConfig(epochs=1))
    tuned = int8.tuned_network(made, config)
    assert tuned is not None and not tuned.training and tuned.config == config


def _other_training(folder: Path) -> None:
    saved = torch.load(folder / "model.pt", weights_only=True)
    saved["state_dict"]["head.out.bias"] += 1
    torch.save(saved, folder / "model.pt")


@pytest.mark.parametrize(("damage", "why"), [
    (_other_training, "another training"),
    (lambda folder: (folder / "quantised.pt").write_bytes(b"not torch's"), "does not fit"),
    (lambda folder: torch.save({"state_dict": {}}, folder / "quantised.pt"), "does not fit"),
])
def test_a_fine_tuned_state_that_does_not_belong_here_is_refused(folder: Path, tmp_path: Path, damage: Callable[[Path], object],
                                                                 why: str) -> None:
    made = Path(shutil.copytree(folder, tmp_path / "made"))
    config = source.load(made).network.config
    quantised.fine_tune(made, quantised.TuningConfig(epochs=1))
    damage(made)
    with pytest.raises(ModelError, match=f"quantised.pt.*{why}"):
        int8.tuned_network(made, config)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_forms_improve_and_the_last_is_what_the_converter_writes(folder: Path, tmp_path: Path) -> None:
    """The whole ladder of a made model, through onnx2tf: explicit int8 gates are far worse than LiteRT's LSTM."""
    trained, tuned = ablation.load(folder)
    forms = {(f.scheme, f.name): f for f in ablation.forms(trained, tmp_path, tuned)}
    names = [*(("int8", n) for n in ("step", "lstm", "h", "cell", "logits")), ("int16x8", "step"), ("int16x8", "scales")]
    assert tuned is None and list(forms) == names
    x = trained.normalised(trained.validation)
    exact = ablation.floating(trained, x)
    error = {key: np.sqrt(((form.run(x) - exact) ** 2).mean()) for key, form in forms.items()}
    assert error["int8", "step"] > 5 * error["int8", "h"] and error["int16x8", "scales"] < 0.5 * error["int8", "step"]
    last = forms["int8", "logits"].run
    assert isinstance(last, ablation._Windowed)
    assert last.files == int8.build(trained, calibration.calibrate(trained), tmp_path / "head_int8.tflite")
