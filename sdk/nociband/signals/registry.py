"""Every data set that the project knows: what it holds, under which terms, how to get it, and which module reads it.

`nociband data` and nociband.training.tasks look data sets up here; nociband.signals.datasets finds and fetches their files. The
modules that read them are imported when first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from nociband.errors import DataError
from nociband.signals.recording import Finding, Recording

SYNTHETIC_PEOPLE, SYNTHETIC_S = 48, 360.0


@dataclass(frozen=True)
class DatasetInfo:
    """One data set.

    folder: where it lies inside a folder of data sets. markers: patterns in that folder, one of which matches when the data is
    there (none: the module knows). access: "open" (fetched by `nociband data get`), "registered" (its owners give it on request)
    or "synthetic". module: what reads it, with `load` and `check`, which are also given `options`. people: how many the published
    set has. aliases: names that it had before.
    """

    name: str
    title: str
    folder: str
    licence: str
    access: str
    citation: str
    signals: str
    tasks: tuple[str, ...]
    people: int
    module: str
    options: Mapping[str, str] = field(default_factory=dict)
    markers: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    holds: str = "recordings"
    obtain: str = ""

    @property
    def how_to_obtain(self) -> str:
        """What to do to have it; of registered sets whom to ask and on what terms, as the module that reads them says."""
        return self.obtain or str(self._module().ACCESS)

    def load(self, root: str | Path | None = None) -> list[Recording]:
        """Every recording (of `shock_trials`, whose `holds` is "trials": a Trials; of `synthetic`: 48 people, seed 0).

        Raises DataError when the data set is missing or damaged.
        """
        if self.access == "synthetic":
            return [self._module().simulate(SYNTHETIC_S, 0, f"T{k:03d}") for k in range(SYNTHETIC_PEOPLE)]
        return self._call("load", root)

    def check(self, root: str | Path | None = None) -> list[Finding]:
        """What is wrong with the files, empty when nothing is. Raises DataError when an open data set is not there at all."""
        if self.access == "synthetic":
            return []
        return self._call("check", root)

    def people_here(self, root: str | Path | None = None) -> int | None:
        """How many people's data is here; None where that cannot be told without reading all of it. Raises DataError."""
        module = self._module()
        return len(module.people(root, **self.options)) if hasattr(module, "people") and self.access == "open" else None

    def _call(self, function: str, root: str | Path | None) -> Any:
        return getattr(self._module(), function)(root, **self.options)

    def _module(self) -> Any:
        return import_module(self.module)


def _biovid(part: str, title: str, people: int, tasks: tuple[str, ...] = (),
            aliases: tuple[str, ...] = ()) -> DatasetInfo:
    return DatasetInfo(
        name=f"biovid_{part.lower()}", title=f"BioVid Heat Pain, part {part}: {title}", folder="biovid", people=people,
        licence="non-commercial research, by agreement", access="registered", tasks=tasks,
        module="nociband.signals.biovid", options={"part": part}, aliases=aliases,
        citation="Walter et al. 2013, The BioVid Heat Pain Database, IEEE CYBCO, doi:10.1109/CYBConf.2013.6617456",
        signals="GSR, ECG, EMG of trapezius, corrugator and zygomaticus, 512 Hz, 5.5 s a stimulus")


def _reference(name: str, title: str, folder: str, licence: str, signals: str, people: int, citation: str,
               marker: str) -> DatasetInfo:
    return DatasetInfo(name=name, title=title, folder=folder, licence=licence, access="open", citation=citation, signals=signals,
                       tasks=(), people=people, module="nociband.signals.reference_sets", options={"name": name},
                       markers=(marker,), obtain=f"`nociband data get {name}`")


ALL = (
    DatasetInfo(
        name="fmov", title="Angry, happy and neutral faces (emotion, not pain)", folder="oxazepam_fmov/FMOV", people=37,
        licence="CC0 1.0", access="open", tasks=("emotion3",), module="nociband.signals.fmov",
        signals="EDA and rectified EMG of zygomaticus and corrugator, 100 Hz",
        citation="G. Nilsonne, Oxazepam and emotion, https://github.com/GNilsonne/Data-and-analysis-code-Oxazepam-and-emotion-2",
        obtain="`nociband data get fmov`", markers=("*_FMOV_preprocessed.txt*",), aliases=("oxazepam_fmov",)),
    DatasetInfo(
        name="shock_trials", title="Electric shocks to oneself or another: SCR and ratings, trial by trial",
        folder="oxazepam_shock_trials", people=78, licence="CC0 1.0", access="open", tasks=("high_low", "pain_vas"),
        module="nociband.signals.shock_trials", holds="trials",
        signals="SCR amplitude, unpleasantness and pain intensity (VAS 0-100); no signals over time",
        citation="G. Nilsonne et al. 2015, doi:10.6084/m9.figshare.1558201",
        obtain="`nociband data get shock_trials`", markers=("SCR.csv*",), aliases=("oxazepam_shock_trials",)),
    DatasetInfo(
        name="stress_predict", title="Stroop test, interview and hyperventilation with rests (stress, not pain)",
        folder="stress_predict", people=35, licence="MIT", access="open", tasks=("stress",),
        module="nociband.signals.stress_predict",
        signals="wrist EDA 4 Hz, temperature 4 Hz, heart rate 1 Hz, acceleration 32 Hz of some",
        citation="Iqbal et al. 2022, Sensors 22(21):8135, doi:10.3390/s22218135",
        obtain="`nociband data get stress_predict`", markers=("Raw_data/S*",)),
    _biovid("A", "four heat levels and baseline", 87, ("pain5", "pain_or_not"), ("biovid",)),
    _biovid("B", "as part A, with electrodes on the face", 86),
    DatasetInfo(
        name="xite", title="X-ITE: heat and electrical pain, phasic and tonic, three intensities", folder="xite", people=134,
        licence="non-commercial research, by agreement", access="registered", module="nociband.signals.xite",
        tasks=("PD", "HPD", "EPD", "HTD", "ETD", "RPD", "RHPD", "REPD", "RTD", "RHTD", "RETD"),
        signals="EDA, ECG, EMG of corrugator, zygomaticus and trapezius",
        citation="Gruss et al. 2019, Multi-Modal Signals for Analyzing Pain Responses to Thermal and Electrical Stimuli, "
                 "J. Vis. Exp. 146:e59057, doi:10.3791/59057"),
    DatasetInfo(
        name="painmonit", title="PainMonit PMED: heat pain in the laboratory", folder="painmonit", people=55,
        licence="research, by agreement", access="registered", module="nociband.signals.painmonit", tasks=("pain6",),
        signals="two EDA, ECG, EMG, BVP, respiration, heater temperature, continuous rating (CoVAS), 250 Hz",
        citation="Gouverneur et al. 2024, Scientific Data 11:1051, doi:10.1038/s41597-024-03878-w"),
    DatasetInfo(
        name="painmonit_pmcd", title="PainMonit PMCD: pain during physiotherapy", folder="painmonit", people=49,
        licence="research, by agreement", access="registered", module="nociband.signals.painmonit",
        options={"part": "PMCD"}, tasks=(),
        signals="two EDA, two BVP, EMG, skin temperature, respiration, grip",
        citation="Gouverneur et al. 2024, Scientific Data 11:1051, doi:10.1038/s41597-024-03878-w"),
    DatasetInfo(
        name="ai4pain", title="AI4Pain challenge: electrical pain on hand or arm, none / low / high", folder="ai4pain", people=65,
        licence="by the challenge's agreement", access="registered", module="nociband.signals.ai4pain", tasks=("pain4",),
        signals="EDA, blood volume pulse, respiration and SpO2, 100 Hz, one column a segment",
        citation="Fernandez-Rojas et al. 2024, The AI4Pain Grand Challenge, ACII Workshops; edition 2025: "
                 "https://sites.google.com/view/ai4pain2025"),
    _reference("myo_forearm_emg", "Wrist gestures, EMG of the forearm (not pain)", "myo_forearm_emg/_readings_right_hand", "MIT",
               "eight EMG channels, 200 Hz, int8 counts", 38, "https://github.com/aljazfrancic/myo-readings-dataset", "*-*"),
    _reference("biosppy", "Examples of BioSPPy, for filters (not pain)", "biosppy/examples", "BSD-3-Clause",
               "EMG and EDA, 1 kHz, 12-bit counts", 3, "https://github.com/scientisst/BioSPPy", "emg.txt*"),
    _reference("neurokit", "An example of NeuroKit, for EDA algorithms (not pain)", "neurokit/data", "MIT",
               "EDA, ECG, respiration, 100 Hz, four events", 1, "https://github.com/neuropsychology/NeuroKit",
               "bio_eventrelated_100hz.csv*"),
    DatasetInfo(
        name="synthetic", title="Recordings of the physiological simulator: nobody was measured", folder="", people=0,
        licence="Apache-2.0 (part of this project)", access="synthetic", module="nociband.signals.simulator", tasks=("pain5",),
        signals="EDA, EMG of corrugator and zygomaticus, acceleration; seeded", citation="docs/simulator.md",
        obtain="nothing to obtain: made when asked for"),
)
_BY_NAME = {alias: info for info in ALL for alias in (info.name, *info.aliases)}


def names() -> tuple[str, ...]:
    """Names of all data sets, open ones first."""
    return tuple(info.name for info in ALL)


def find(name: str) -> DatasetInfo:
    """The data set of that name, or of one that it had before. Raises DataError naming those that there are."""
    if name not in _BY_NAME:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(names())}")
    return _BY_NAME[name]
