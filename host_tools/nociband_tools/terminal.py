"""The live view of `nociband stream` in a terminal: sparklines of EDA and EMG, the model's output, and what is wrong.

Records of nociband.band come in through `feed`; rich draws what `render` gives. A model that is not of pain is shown with its
classes and its warning, never on the 0-10 scale.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from nociband.manifest import SCORE_MAX, Manifest
from nociband.records import FeatureBlock, Gap, Prediction, Record, SignalBlock, Status
from nociband_tools.monitor.words import FLAGS, band_why

BLOCKS = " ▁▂▃▄▅▆▇█"
SPARK_COLUMNS, SPARK_S = 40, 32.0
FRAMES_A_COLUMN = int(SPARK_S * 25 / SPARK_COLUMNS)
BAR_COLUMNS = 30
LATENCIES_KEPT = 750
STALE_S = 3.5     # as the monitor's: predictions come each second, and wait at most two


def sparkline(values: Iterable[float], columns: int = SPARK_COLUMNS) -> str:
    """The values as a row of block characters, scaled to their own range; padded on the left."""
    data = np.asarray(list(values)[-columns:], np.float64)
    if not data.size:
        return " " * columns
    low, span = float(data.min()), float(np.ptp(data))
    level = np.full(data.size, 1) if span <= 0 else 1 + np.round((data - low) / span * (len(BLOCKS) - 2)).astype(int)
    return "".join(BLOCKS[i] for i in level).rjust(columns)


class _Trace:
    """One value a column, each the mean of so many feature frames."""

    def __init__(self) -> None:
        self.columns: deque[float] = deque(maxlen=SPARK_COLUMNS)
        self._part: list[float] = []
        self.latest: float | None = None

    def add(self, values: Iterable[float]) -> None:
        for value in values:
            self.latest = float(value)
            self._part.append(self.latest)
            if len(self._part) == FRAMES_A_COLUMN:
                self.columns.append(float(np.mean(self._part)))
                self._part.clear()


class LiveView:
    """What is known so far of one band's session; `render()` draws it."""

    def __init__(self, band: str, manifest: Manifest, clock: Callable[[], float] = time.time) -> None:
        self._band, self._manifest, self._clock = band, manifest, clock
        self._eda, self._emg = _Trace(), (_Trace(), _Trace())
        self._prediction: Prediction | None = None
        self._status: Status | None = None
        self._gaps: list[Gap] = []
        self._records, self._began_s = 0, clock()
        self._latency_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._scores: deque[float] = deque(maxlen=SPARK_COLUMNS)

    def feed(self, record: Record) -> None:
        """Take a record."""
        self._records += not isinstance(record, Gap)
        match record:
            case FeatureBlock(eda_tonic_usiemens=tonic, eda_phasic_usiemens=phasic, emg_envelope_uv=envelope):
                self._eda.add(tonic + phasic)
                for trace, values in zip(self._emg, envelope.T, strict=True):
                    trace.add(values)
            case SignalBlock():
                self._latency_ms.append((self._clock() - record.host_time_s) * 1e3)
            case Prediction():
                self._prediction = record
                if record.score is not None:
                    self._scores.append(record.score)
            case Status():
                self._status = record
            case Gap():
                self._gaps.append(record)

    def render(self) -> RenderableType:
        """Everything as one panel."""
        parts = [self._head(), Text(), self._signals(), Text(), self._output(), Text(), self._foot()]
        return Panel(Group(*parts), title=f"Nociband {self._band}", subtitle="research software, not a medical device", width=80)

    def _head(self) -> Text:
        m = self._manifest
        text = Text.assemble(("model ", "dim"), (m.title, "bold"), ("  of ", "dim"), m.of)
        if m.warning:
            text.append(f"\n{m.warning}", style="bold yellow")
        return text

    def _signals(self) -> Table:
        table = Table.grid(padding=(0, 2))
        rows = [("EDA", self._eda, "uS", "cyan"), *((f"EMG {site}", trace, "uV", "magenta")
                                                     for site, trace in zip(self._manifest.sites, self._emg, strict=True))]
        for name, trace, unit, colour in rows:
            value = "" if trace.latest is None else f"{trace.latest:8.2f} {unit}"
            table.add_row(Text(name.replace("_", " "), style="dim"), Text(sparkline(trace.columns), style=colour), value)
        return table

    def _output(self) -> RenderableType:
        p = self._prediction
        if p is None:
            return Text("waiting for the first result", style="dim")
        age_s = self._clock() - p.host_time_s
        reasons = [f"The last result is {age_s:.0f} s old"] if age_s > STALE_S else band_why(p.why, p.frame_index)
        rows: list[RenderableType] = []
        if reasons:
            rows.append(Text("NO SCORE" if self._manifest.is_pain else "NO RESULT", style="bold red"))
            rows += [Text(f"  {sentence}", style="red") for sentence in reasons]
        elif p.score is not None:
            rows.append(Text.assemble(("score ", "dim"), (f"{p.score:4.1f}", "bold green"), (f" of {SCORE_MAX:.0f}   ", "dim"),
                                      (sparkline(self._scores), "green")))
        else:
            rows.append(Text.assemble(("likeliest ", "dim"), (p.label or "", "bold green")))
        if not reasons:
            rows += [_bar(label, value) for label, value in zip(p.labels, p.probabilities, strict=True)]
        rows.append(Text(f"signal quality {p.quality:.0%}, computed in {p.compute_us / 1000:.1f} ms on the band", style="dim"))
        return Group(*rows)

    def _foot(self) -> Text:
        text = Text(style="dim")
        if (s := self._status) is not None:
            text.append(f"battery {s.battery_percent} %   {s.state}   underruns {s.underruns}   ")
            for flag in s.flags:
                if flag in FLAGS:
                    text.append(f"\n{FLAGS[flag]}\n", style="yellow")
        text.append("\n")
        if self._latency_ms:
            p50, p99 = np.percentile(self._latency_ms, [50, 99])
            text.append(f"latency {p50:.0f} ms (99 %: {p99:.0f})   ")
        text.append(f"{self._records} records in {self._clock() - self._began_s:.0f} s   ")
        lost = sum(g.lost for g in self._gaps)
        if lost:
            last = self._gaps[-1]
            text.append(f"\n{lost} frames missing in {len(self._gaps)} gaps; the last: {last.lost} from frame {last.first_seq} "
                        f"({last.why.replace('_', ' ')})", style="bold red")
        else:
            text.append("no frame missing")
        return text


def _bar(label: str, value: float) -> Text:
    filled = round(float(value) * BAR_COLUMNS)
    return Text.assemble(f"  {label:12.12} ", ("█" * filled + "░" * (BAR_COLUMNS - filled), "green"), f" {value:4.0%}")


def screenshot(view: LiveView, path: Path) -> None:
    """The view as it is now, as an SVG picture that fetches nothing (rich's own would load its fonts from the network)."""
    console = Console(record=True, width=80, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115
    with console.file:
        console.print(view.render())
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = re.sub(r"@font-face\s*{[^}]*}", "", console.export_svg(title="nociband stream"))
        path.write_text(picture, "utf-8")
