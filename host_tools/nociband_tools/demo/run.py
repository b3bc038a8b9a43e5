"""Runs the demo: emulated band -> virtual radio -> SDK -> face and fusion -> monitor, then checks every byte of the session.

In: a Plan. Out: build/demo/summary.json and the exit status (0 only when all is equal and nothing was lost).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from nociband.errors import BandError, EnvironmentProblem, NocibandError
from nociband.records import FaceMeasures, FusedPrediction, Prediction, SignalBlock
from nociband_tools.commands.monitor import band_connector, face_source
from nociband_tools.demo.band_process import EmulatedBand, emulated_band
from nociband_tools.demo.plan import Plan
from nociband_tools.live import FaceSource, Live, LiveState
from nociband_tools.verify import Account, Received, verify

FIRST_SAMPLE_TIMEOUT_S = 30.0
# The first score comes after 20 s of baseline; the rest is for one prediction a second and the start.
VALID_PREDICTIONS_LATE_S = 25


@dataclass
class Collected:
    """What reached the application during the run."""

    received: Received = field(default_factory=Received)
    latencies_ms: list[float] = field(default_factory=list)
    face_updates: int = 0
    fused_updates: int = 0
    state: LiveState | None = None
    first_sample: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: asyncio.Event = field(default_factory=asyncio.Event)
    last_prediction: Prediction | None = None

    def take(self, record: Any) -> None:
        """File one live record."""
        if isinstance(record, LiveState):
            self.state = record
            if record.link in ("lost", "failed"):
                self.trouble.set()
        elif isinstance(record, FusedPrediction):
            self.fused_updates += record.band_weight > 0 and record.face_weight > 0
        elif isinstance(record, FaceMeasures):
            self.face_updates += 1
        else:
            self.received.add(record)
            if isinstance(record, SignalBlock):
                self.latencies_ms.append((time.time() - record.host_time_s) * 1e3)
                self.first_sample.set()
            elif isinstance(record, Prediction):
                self.last_prediction = record


async def _collect(live: Live, collected: Collected) -> None:
    subscription = live.subscribe(limit=None)
    async for record in subscription:
        collected.take(record)


async def _wait_first(collected: Collected, band: EmulatedBand) -> None:
    waits = [asyncio.create_task(e.wait()) for e in (collected.first_sample, collected.trouble, band.exited)]
    try:
        await asyncio.wait(waits, timeout=FIRST_SAMPLE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for w in waits:
            w.cancel()
    if collected.first_sample.is_set():
        return
    if band.exited.is_set():
        raise BandError(f"the emulated band ended before it sent a sample; its log is {band.state / 'firmware.log'}")
    message = collected.state.message if collected.state else ""
    why = "the session did not begin" if collected.trouble.is_set() else f"no sample in {FIRST_SAMPLE_TIMEOUT_S:g} s"
    raise BandError(f"{why}. {message}".strip())


def _line(collected: Collected) -> str:
    p = collected.last_prediction
    if p is None:
        return "waiting for the first window"
    if p.why:
        return "no score: " + ", ".join(w.replace("_", " ") for w in p.why)
    if p.score is not None:
        return f"{p.of} {p.score:.1f}/10"
    return f"{p.of}, not pain: {p.label} ({p.probabilities.max():.0%})"


async def _run_for(seconds: float, collected: Collected, band: EmulatedBand, console: Console) -> bool:
    """Wait with progress; True when the time is over, False when the band was lost before."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[now]}"))
    begin, spoken = time.monotonic(), 0.0
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("running", total=seconds or None, now="")
        while not seconds or time.monotonic() - begin < seconds:
            if collected.trouble.is_set() or band.exited.is_set():
                return False
            await asyncio.sleep(0.2)
            elapsed = time.monotonic() - begin
            progress.update(task, completed=elapsed, now=_line(collected))
            if not console.is_terminal and elapsed - spoken >= 10:
                spoken = elapsed
                console.print(f"  {elapsed:3.0f} s  {_line(collected)}")
    return True


def summarise(plan: Plan, ready: dict[str, Any], collected: Collected, account: Account, seconds: float) -> dict[str, Any]:
    """The summary of a run, as it is written to summary.json."""
    latencies = collected.latencies_ms
    p50, p99 = np.percentile(latencies, [50, 99]).round(2).tolist() if latencies else (None, None)
    simulated = list(dict.fromkeys([*ready.get("simulated", []), *(collected.state.simulated if collected.state else ())]))
    return {
        "band": plan.band, "source": ready.get("source", plan.source), "model": plan.model, "seconds": round(seconds, 1),
        "samples_fed": account.samples_fed, "samples_received": account.samples_received,
        "samples_sha256_equal": account.samples_sha256_equal, "underruns": account.underruns,
        "predictions": account.predictions, "predictions_valid": account.predictions_valid,
        "features_equal_host": account.features_equal_host, "predictions_equal_host": account.predictions_equal_host,
        "frames_lost": account.frames_lost, "face_updates": collected.face_updates, "fused_updates": collected.fused_updates,
        "latency_ms_p50": p50, "latency_ms_p99": p99,
        "simulated": simulated, "problems": list(account.problems), "account": asdict(account),
    }


def problems_of(plan: Plan, summary: dict[str, Any], whole: bool, state: LiveState | None = None) -> list[str]:
    """Everything that keeps the exit status from being 0."""
    problems = list(summary["problems"])
    if not whole:
        problems.append("the band was lost before the time was over")
    wanted = max(0, plan.seconds - VALID_PREDICTIONS_LATE_S)
    if whole and summary["seconds"] < plan.seconds - 0.1:
        problems.append(f"stopped after {summary['seconds']:g} s of {plan.seconds:g}")
    elif summary["predictions_valid"] < wanted:
        problems.append(f"{summary['predictions_valid']} valid predictions where at least {wanted:g} belong")
    if state is not None and state.face == "failed":
        problems.append(f"no face: {state.face_message}")
    return problems


async def run(plan: Plan, out: Path, *, face: str = "clip", port: int = 8600, monitor: bool = True, fault: str | None = None,
              console: Console | None = None) -> int:
    """Run the plan and write out/summary.json. Returns the exit status. Raises NocibandError when it cannot start."""
    console = console or Console(soft_wrap=not sys.stdout.isatty())    # a log keeps its lines whole
    measures = face_source(face)
    about, state = plan.manifest(), _prepared(out)
    _end_like_ctrl_c()
    console.print(f"[bold]Nociband demo[/] (research software, not a medical device)\n  band    {plan.band}"
                  f"\n  model   {plan.model}: {about.get('title')}; [bold]{about.get('warning')}[/]"
                  f"\n  source  {plan.source}: {plan.why}")
    async with emulated_band(plan.band, plan.source, plan.model, state, fault=fault) as band:
        for what in band.ready.get("simulated", []):
            console.print(f"  simulated: {what}")
        return await _with_band(plan, band, out, measures, port, monitor, console)


def _prepared(out: Path) -> Path:
    """The band's new state folder: every run is a new band and a new pairing. Raises EnvironmentProblem."""
    state = out / "band"
    try:
        for old in (state, out / "host"):
            shutil.rmtree(old, ignore_errors=True)
        (out / "summary.json").unlink(missing_ok=True)
        state.mkdir(parents=True)
    except OSError as e:
        raise EnvironmentProblem(f"{out} cannot be used ({e.strerror or e}): choose another folder with --out") from e
    return state


def _end_like_ctrl_c() -> None:
    """SIGTERM, and a terminal that closes (not under nohup), end the run as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def _with_band(plan: Plan, band: EmulatedBand, out: Path, face: FaceSource | None, port: int, monitor: bool,
                     console: Console) -> int:
    live = Live(band_connector(band.ready["hci"], out / "host"), face=face, passkey=int(band.ready["passkey"]),
                source=band.ready.get("source", plan.source), simulated=tuple(band.ready.get("simulated", ())))
    collected = Collected()
    tasks = [asyncio.create_task(_collect(live, collected))]
    async with contextlib.AsyncExitStack() as stack:
        if monitor:
            from nociband_tools.monitor.server import serving

            page = await stack.enter_async_context(serving(live, port=port))
            console.print(f"  monitor {page.url}")
        runner = asyncio.create_task(live.run())
        begin = time.monotonic()
        try:
            await _wait_first(collected, band)
            console.print(f"  first sample {time.monotonic() - begin:.1f} s after the band came on the air")
            begin = time.monotonic()
            try:
                whole = await _run_for(plan.seconds, collected, band, console)
            except asyncio.CancelledError:      # Ctrl-C: the session so far is judged all the same
                if task := asyncio.current_task():
                    task.uncancel()
                whole = True
            seconds = time.monotonic() - begin
            await live.stop()
            await asyncio.wait({runner}, timeout=15)
        finally:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)
            await asyncio.wait(tasks, timeout=2)
            for t in tasks:
                t.cancel()
    return _judge(plan, band, collected, out, seconds, whole, console)


def _of_the_emulator(band: EmulatedBand) -> list[str]:
    """What the emulator said went wrong."""
    said = {"band_exit": "the band's firmware ended ({why}); its log is {log}", "failed": "the emulated {what} failed: {why}"}
    return [said[e["event"]].format(**e) for e in band.events if e.get("event") in said]


def _judge(plan: Plan, band: EmulatedBand, collected: Collected, out: Path, seconds: float, whole: bool, console: Console) -> int:
    try:
        account = verify(collected.received, band.fed, plan.model_dir, band.ready["sites"])
    except (NocibandError, OSError) as e:
        raise BandError(f"the session cannot be checked: {e}") from e
    summary = summarise(plan, band.ready, collected, account, seconds)
    summary["problems"] = [*problems_of(plan, summary, whole, collected.state), *_of_the_emulator(band)]
    try:
        (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    except OSError as e:
        raise EnvironmentProblem(f"{out / 'summary.json'} cannot be written ({e.strerror or e}): choose another folder "
                                 "with --out") from e
    for key, value in summary.items():
        if key not in ("account", "problems", "simulated"):
            console.print(f"  {key:24} {value}")
    for problem in summary["problems"]:
        console.print(f"  [bold red]PROBLEM[/] {problem}")
    console.print(f"  summary in {out / 'summary.json'}: {'all equal, nothing lost' if not summary['problems'] else 'NOT well'}")
    return 0 if not summary["problems"] else 1


__all__ = ["Collected", "problems_of", "run", "summarise"]
