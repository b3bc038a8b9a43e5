"""Which TensorFlow Lite runtime a model runs on: tested before it is trusted, refused by the operation that differs.

tflite-runtime 2.14 stands for "another runtime": its kernels of dense layers round otherwise, which is to be noticed.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import _selftest
import numpy as np
import pytest
from _nn import MODELS, ROOT, random_windows
from _nn_int8 import int8_folder

from nociband.errors import SpecError
from nociband.inference import Model, runtime_for
from nociband.inference import runtime as runtimes
from nociband_convert import tflite

OLDER = """
import json, sys
sys.modules["ai_edge_litert"] = None
{more}
import numpy as np
from nociband.errors import EnvironmentProblem
from nociband.inference import Model, runtime_for
try:
    model = Model.load(sys.argv[1]) if len(sys.argv) > 1 else runtime_for("int8")
    found = model.logits_of(np.load(sys.argv[2]))
    print(json.dumps({{"runtime": str(model.runtime), "logits": found.tolist()}}))
except EnvironmentProblem as e:
    print(json.dumps({{"problem": str(e)}}))
"""


def without_litert(*arguments: Path, more: str = "") -> dict[str, Any]:
    """What a process says in which ai-edge-litert cannot be imported: a model's logits, or its EnvironmentProblem."""
    done = subprocess.run([sys.executable, "-c", OLDER.format(more=more), *map(str, arguments)], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_self_test_is_what_its_maker_makes() -> None:
    assert _selftest.TARGET.read_text("utf-8") == _selftest.document()


@pytest.mark.parametrize("scheme", runtimes.SCHEMES)
def test_it_has_every_operation_of_every_graph_of_ours(scheme: str) -> None:
    tested = {name.split(":")[0] for case in runtimes._cases()[scheme] for name in case["outputs"]}
    litert = runtime_for(scheme)
    graphs = [p for p in (ROOT / "firmware").glob("*/**/*.tflite") if len(p.relative_to(ROOT).parts) > 3]
    ours = [p for p in graphs if tflite.read(p).scheme == scheme]
    assert ours
    for path in ours:
        assert runtimes._operations(litert, path.read_bytes()) <= tested, path


@pytest.mark.parametrize("scheme", runtimes.SCHEMES)
def test_litert_passes_and_its_faster_kernels_do_not(scheme: str) -> None:
    found = runtime_for(scheme)
    assert str(found) == f"ai-edge-litert {version('ai-edge-litert')} (BUILTIN_REF)"
    faster = runtimes.Runtime(found.package, found.version, "BUILTIN_WITHOUT_DEFAULT_DELEGATES", found.module)
    assert runtimes.differing(faster, scheme)


@pytest.mark.parametrize(("scheme", "number"), [("int16x8", 0), ("int8", 0), ("int8", 1)])
def test_one_wrong_weight_is_seen_in_the_operation_that_has_it(scheme: str, number: int, tmp_path: Path) -> None:
    case = runtimes._cases()[scheme][number]
    litert = runtime_for(scheme)
    content = bytearray(base64.b64decode("".join(case["graph"])))
    (tmp_path / "case.tflite").write_bytes(content)
    graph = tflite.read(tmp_path / "case.tflite")
    op = next(o for o in graph.ops if o.kind in ("FULLY_CONNECTED", "UNIDIRECTIONAL_SEQUENCE_LSTM"))
    weights = graph.tensors[op.inputs[1]].data
    assert weights is not None
    content[content.index(weights.tobytes())] ^= 0x20
    found = runtimes.answers(litert.interpreter(bytes(content)))
    assert {name for name, digest in case["outputs"].items() if found[name] != digest} == {
        graph.tensors[op.outputs[0]].name}


def test_a_verdict_is_reached_once() -> None:
    runtime_for("int8")
    before = runtimes.differing.cache_info()
    Model.load(MODELS[0])
    runtime_for("int8")
    after = runtimes.differing.cache_info()
    assert after.misses - before.misses <= 1 and after.hits > before.hits


def test_a_scheme_that_does_not_exist() -> None:
    with pytest.raises(SpecError, match="no scheme 'float'; there are int16x8 and int8"):
        runtime_for("float")


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.name)
def test_an_older_runtime_that_rounds_otherwise_is_refused(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite_runtime", reason="tflite-runtime is not installed; make setup-all brings it")
    problem = without_litert(path, _saved(tmp_path, 1))["problem"]
    assert "FULLY_CONNECTED" in problem and "tflite-runtime 2.14.0" in problem and "pip install 'ai-edge-litert" in problem


def test_an_older_runtime_serves_a_model_that_it_computes_rightly(tmp_path: Path) -> None:
    pytest.importorskip("tflite_runtime", reason="tflite-runtime is not installed; make setup-all brings it")
    windows, folder = _saved(tmp_path, 60), int8_folder(tmp_path / "one", one_scale=True)
    found = without_litert(folder, windows)
    assert found["runtime"] == "tflite-runtime 2.14.0 (BUILTIN_REF)"
    assert found["logits"] == Model.load(folder).logits_of(np.load(windows)).tolist()
    assert len({tuple(row) for row in found["logits"]}) > 30
    problem = without_litert(int8_folder(tmp_path / "many"), windows)["problem"]
    assert "(BUILTIN_REF): FULLY_CONNECTED per channel" in problem


def test_no_runtime_at_all() -> None:
    problem = without_litert(more='sys.modules["tflite_runtime"] = None')["problem"]
    assert problem.startswith("no runtime for .tflite models is installed: pip install")


def _saved(folder: Path, n: int) -> Path:
    windows = random_windows(n, seed=8)
    windows[n // 3:] //= 150        # of int8's size too
    np.save(folder / "windows.npy", windows)
    return folder / "windows.npy"



def test_the_doctor_says_which_runtime_it_is() -> None:
    from nociband_tools.commands import doctor

    found = {f.name: f for f in doctor.findings()}
    for scheme in runtimes.SCHEMES:
        assert found[f"runtime of {scheme} models"].found and "ai-edge-litert" in found[f"runtime of {scheme} models"].detail
