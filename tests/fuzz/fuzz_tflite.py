"""Coverage-guided fuzzing of the .tflite reader and of the C generator behind it.

    python tests/fuzz/fuzz_tflite.py --seconds 3600 --seed 1        # or --runs N; ends with a summary, status 1 after a finding
    python tests/fuzz/fuzz_tflite.py --input FILE                   # one finding again; --save X.tflite writes the file it makes

Whatever the file: tflite.read, and the generator for what it accepts, return or raise ModelError, within seconds and megabytes.
Atheris (libFuzzer) drives it in a process of its own, so that a crash, a hang or an exit of the fuzzer ends in a summary, too.
"""

from __future__ import annotations

import argparse
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from nociband_convert.tflite import Graph

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "parity")]

CPU_SECONDS_MAX = 5.0
"""For one file under instrumentation, reader and generator together; the reader alone has 2 s without it."""
TIMEOUT_SECONDS = 10
RSS_MIB_MAX = 2048
ROUND_SECONDS = 240
"""Then a new process goes on with the same corpus: Atheris keeps what instrumented comparisons compared, kilobytes a run."""
INSTRUMENTED = ["nociband_convert"]
NOT_INSTRUMENTED = [f"nociband_convert.{name}" for name in (
    "arithmetic.activation", "arithmetic.lookup", "arithmetic.lstm_curves", "arithmetic.softmax", "kernels.assembly",
    "kernels.assembly_attention", "kernels.lstm_int8_assembly")]
"""What only computes with whole arrays or writes line after line, and decides nothing by the file."""
REPORT_EVERY = 250
INPUT_BYTES_MAX = 16384
FINDING_STATUS = 1


class Target:
    """What is fuzzed: called with the fuzzer's bytes. `counts` tells how far the files came. `path`: where each file is put."""

    def __init__(self, path: Path) -> None:
        import atheris

        with atheris.instrument_imports(include=INSTRUMENTED, exclude=NOT_INSTRUMENTED):
            from nociband_convert import operations, standalone, tflite, to_c
            from nociband_convert.kernels import lstm_int8
        from _s0 import graphs
        from _tflite_mutate import Maker
        from _tflite_seeds import seeds

        from nociband.errors import ModelError

        self._tflite, self._operations, self._standalone, self._to_c, self._lstm = tflite, operations, standalone, to_c, lstm_int8
        self._refused, self.path, self.counts, self.slowest = ModelError, path, Counter[str](), 0.0
        self._model = graphs(path.parent, 4, 3, seed=1)
        parts = {f"model {name}": (path.parent / f"{name}.tflite").read_bytes() for name in ("eda", "head")}
        self.maker = Maker({**seeds(), **parts})

    def __call__(self, data: bytes) -> None:
        content = self.maker.file(data)
        self.counts["runs"] += 1
        if content is None:
            self.counts["unwritable"] += 1
        else:
            self.path.write_bytes(content)
            begin = time.process_time()
            self.counts[self._outcome()] += 1
            took = time.process_time() - begin
            self.slowest = max(self.slowest, took)
            if took > CPU_SECONDS_MAX:
                raise RuntimeError(f"{took:.1f} s for a file of {len(content)} bytes")
        if self.counts["runs"] % REPORT_EVERY == 0:
            self.report()

    def _outcome(self) -> str:
        try:
            graph = self._tflite.read(self.path)
        except self._refused as e:
            assert self.path.stem in str(e), f"the file is not named: {e}"
            self._not_our_own(e, (struct.error, TypeError, ValueError))
            return "damaged" if "is damaged" in str(e) else "refused"
        try:
            self._generate(graph)
        except self._refused as e:
            self._not_our_own(e, (ArithmeticError, IndexError, KeyError, RuntimeError, ValueError))
            return "read"
        return "written"

    @staticmethod
    def _not_our_own(error: Exception, possible: tuple[type[Exception], ...]) -> None:
        """Whatever is tripped over ends as "damaged"; only what damage can cause may have been tripped over."""
        assert isinstance(error.__cause__, (*possible, type(None))), f"a fault of the reader or generator: {error}"

    def _generate(self, graph: Graph) -> None:
        """Everything that makes C of a graph; which one depends on what it takes and gives."""
        ends = {*graph.inputs, *graph.outputs}
        if ends == {"x", "h", "c", "h_next", "c_next"}:
            self._to_c.network({**self._model, "eda": graph})
        elif ends == {"hs_eda", "hs_emg", "logits"}:
            self._to_c.network({**self._model, "head": graph})
        elif len(graph.ops) == 1 and graph.ops[0].kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
            self._lstm.emit("lstm", graph, "fast", stride="2")
        else:
            self._standalone.generate(graph, "fuzzed")
        self._operations.GraphWriter("graph", graph, [*graph.inputs, *graph.outputs]).function()

    def report(self) -> None:
        counts = " ".join(f"{k}={v}" for k, v in self.counts.items())
        print(f"target: {counts} slowest={self.slowest:.2f}s", file=sys.stderr, flush=True)


def child(folder: Path, arguments: list[str]) -> None:
    """The fuzzer itself; does not return."""
    import atheris

    target = Target(folder / "fuzzed.tflite")
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for i, start in enumerate(target.maker.starts()):
        (corpus / f"start{i}").write_bytes(start)
    atheris.Setup([sys.argv[0], *arguments, str(corpus)], target)
    atheris.Fuzz()


def fuzz(seconds: int, runs: int, seed: int, findings: Path, log: Path | None) -> int:
    """Run it, print the summary; 0, or 1 when something was found (the input then lies in `findings`)."""
    findings.mkdir(parents=True, exist_ok=True)
    outputs: list[str] = []
    begin, status = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder, open(log or os.devnull, "w") as copy:
        while not status:
            left = seconds - int(time.monotonic() - begin) if seconds else 0
            if (seconds and left <= 0) or (outputs and not seconds):
                break
            limit = min(left, ROUND_SECONDS)
            output, status = _round(Path(folder), limit, runs, seed + len(outputs), findings, copy)
            outputs.append(output)
    if status:
        print("\n".join(outputs[-1].splitlines()[-60:]))
    print(_summary(outputs, time.monotonic() - begin))
    print(f"FOUND something (status {status}); the input is in {findings}" if status else "found no crash and no hang")
    return FINDING_STATUS if status else 0


def _round(folder: Path, seconds: int, runs: int, seed: int, findings: Path, copy: TextIO) -> tuple[str, int]:
    """One process; what it printed, and its status."""
    options = [f"-max_total_time={seconds}", f"-runs={runs}", f"-seed={seed}", f"-timeout={TIMEOUT_SECONDS}",
               f"-rss_limit_mb={RSS_MIB_MAX}", f"-max_len={INPUT_BYTES_MAX}", f"-artifact_prefix={findings}/", "-len_control=20",
               "-print_final_stats=1"]
    process = subprocess.Popen([sys.executable, __file__, "--child", str(folder), *options], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", env={**os.environ, "PYTHONHASHSEED": "0"})
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        copy.write(line)
        copy.flush()
    return "".join(lines), process.wait()


def _summary(outputs: list[str], took: float) -> str:
    def last(pattern: str, text: str) -> str:
        return (re.findall(pattern, text) or ["0"])[-1]

    runs = sum(int(last(r"stat::number_of_executed_units:\s*(\d+)", o)) for o in outputs)
    peak = max(int(last(r"stat::peak_rss_mb:\s*(\d+)", o)) for o in outputs)
    counts, slowest = Counter[str](), 0.0
    for output in outputs:
        for name, value in re.findall(r"(\w+)=(\d+) ", last(r"target: (.*)", output)):
            counts[name] += int(value)
        slowest = max(slowest, float(last(r"slowest=([\d.]+)s", output)))
    edges, features = last(r"cov: (\d+)", outputs[-1]), last(r"ft: (\d+)", outputs[-1])
    outcomes = ", ".join(f"{name} {value}" for name, value in sorted(counts.items()) if name != "runs")
    return (f"{runs} runs in {took:.0f} s, {len(outputs)} processes; coverage {edges} edges, {features} features; "
            f"peak {peak} MiB\nof the first {counts['runs']}: {outcomes}; slowest file {slowest:.2f} s of CPU, instrumented")


def again(data: bytes, save: Path | None) -> None:
    """One finding, with its traceback."""
    with tempfile.TemporaryDirectory() as folder:
        target = Target(Path(folder) / "fuzzed.tflite")
        if save is not None:
            save.write_bytes(target.maker.file(data) or b"")
        target(data)
        target.report()


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), sys.argv[3:])
    parser = argparse.ArgumentParser(description="Fuzz the .tflite reader and the C generator.")
    parser.add_argument("--seconds", type=int, default=60, help="0: no limit")
    parser.add_argument("--runs", type=int, default=-1, help="-1: no limit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"), help="where an input that fails is put")
    parser.add_argument("--log", type=Path, help="the fuzzer's own output")
    parser.add_argument("--input", type=Path, help="run this one input only")
    parser.add_argument("--save", type=Path, help="with --input: the .tflite that it stands for")
    given = parser.parse_args()
    if given.input:
        again(given.input.read_bytes(), given.save)
        return 0
    return fuzz(given.seconds, given.runs, given.seed, given.findings, given.log)


if __name__ == "__main__":
    sys.exit(main())
