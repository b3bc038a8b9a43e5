"""What goes wrong with contacts and movement, each with its time in the Script, so that the band's trust rules can be tested.

    kind          what happens                                                    the band (features.toml, trust)
    motion        1-2 g RMS in each axis; shakes EDA, EMG and ECG                  motion
    fidget        0.05-0.2 g; shakes them a little                                nothing: below its threshold
    eda_lift      EDA falls to zero, later comes back over about 1 s              eda_electrode_off
    eda_pressure  EDA falls by 10-40 % and comes back                             nothing: looks like skin
    emg_lift      a lead is off: the amplifier rests at a rail                     saturation, emg_electrode_off when long
    emg_hum       a lead is half off: mains hum beyond the rails                  saturation
    eda_bridge    sweat or a wire joins the EDA electrodes: beyond the range      saturation

Sizes and durations are our choice. Sources for what is qualitative: loose EDA electrodes read zero and movement gives abrupt
changes (Boucsein 2012), floors and ceilings occur in EDA worn at home (Kleckner et al. 2018), movement artefacts of surface EMG
lie below 20 Hz (De Luca et al. 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nociband.signals.recording import Channel
from nociband.signals.simulator.options import Artefacts
from nociband.signals.simulator.waves import slow

# kind -> (least, most) seconds, (least, most) severity; the unit of severity is said in Artefact.
SHAPES: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "motion": ((2.0, 6.0), (1.0, 2.0)),
    "fidget": ((0.5, 2.0), (0.05, 0.2)),
    "eda_lift": ((2.0, 14.0), (0.0, 0.01)),
    "eda_pressure": ((1.0, 5.0), (0.1, 0.4)),
    "emg_lift": ((2.0, 14.0), (4.0, 8.0)),
    "emg_hum": ((1.0, 6.0), (3.0, 6.0)),
    "eda_bridge": ((2.0, 8.0), (130.0, 160.0)),  # the band's converter ends at 128 uS; only ever add kinds at the end
}
REASONS = {"motion": "motion", "eda_lift": "eda_electrode_off", "emg_lift": "saturation", "emg_hum": "saturation",
           "eda_bridge": "saturation"}
MAINS_HZ = 50.0
_EDGE_S = 0.25  # a movement swells and fades
_DROP_S = 0.05  # time constant of a contact that opens
_RETURN_S = 0.4  # of one that closes
_SWAY_S = 0.4  # a movement's swings: knots every 0.2 s, so about 0.5 to 2.5 Hz


@dataclass(frozen=True)
class Artefact:
    """One artefact from `t_s` for `duration_s`; `channel` "" for the whole body.

    `severity`: motion and fidget g RMS an axis, eda_lift and eda_bridge the uS measured, eda_pressure share lost,
    emg_lift and emg_hum mV.
    """

    kind: str
    t_s: float
    duration_s: float
    severity: float
    channel: str = ""

    @property
    def reason(self) -> str | None:
        """The band's reason to give no score (a name of wire.toml's no_score), None for what its rules do not see."""
        return REASONS.get(self.kind)

    @property
    def end_s(self) -> float:
        """When it ends; EDA then still needs a second to come back."""
        return self.t_s + self.duration_s


def draw_artefacts(seconds: float, rates: Artefacts, sites: tuple[str, ...], rng: np.random.Generator) -> tuple[Artefact, ...]:
    """All artefacts of a recording, in order of time. Each kind has a generator of its own, so rates do not touch other kinds."""
    found = []
    for kind, own in zip(SHAPES, rng.spawn(len(SHAPES)), strict=True):
        lengths, severities = SHAPES[kind]
        for _ in range(own.poisson(getattr(rates, f"{kind}_per_minute") * seconds / 60)):
            t, length, severity = own.uniform(0, seconds), own.uniform(*lengths), own.uniform(*severities)
            site = own.integers(len(sites))
            channel = sites[site] if kind.startswith("emg") else "eda" if kind.startswith("eda") else ""
            found.append(Artefact(kind, t, min(length, seconds - t), severity, channel))
    return tuple(sorted(found, key=lambda a: a.t_s))


def apply(channels: dict[str, Channel], artefacts: tuple[Artefact, ...], rng: np.random.Generator) -> dict[str, Channel]:
    """The channels with every artefact in them; EMG must be raw. Contacts that open come last: nothing shakes an open lead."""
    samples = {name: channel.samples.copy() for name, channel in channels.items()}
    order = sorted(range(len(artefacts)), key=lambda i: artefacts[i].kind.endswith(("lift", "hum", "bridge")))
    generators = rng.spawn(len(artefacts))
    for i in order:
        _apply_one(samples, {name: c.rate_hz for name, c in channels.items()}, artefacts[i], generators[i])
    return {name: Channel(samples[name], c.rate_hz, c.unit, c.kind) for name, c in channels.items()}


def _apply_one(samples: dict[str, np.ndarray], rates: dict[str, float], artefact: Artefact, rng: np.random.Generator) -> None:
    if artefact.kind in ("motion", "fidget"):
        _shake(samples, rates, artefact, rng)
        return
    signal, hz = samples[artefact.channel], rates[artefact.channel]
    t = np.arange(len(signal)) / hz
    inside = (t >= artefact.t_s) & (t < artefact.end_s)
    if artefact.kind.startswith("eda"):
        target = signal * (1 - artefact.severity) if artefact.kind == "eda_pressure" else artefact.severity
        signal += (target - signal) * _contact_lost(t, artefact)
    elif artefact.kind == "emg_lift":
        signal[inside] = artefact.severity * 1000 * (1 if rng.random() < 0.5 else -1)
    else:
        signal[inside] += artefact.severity * 1000 * np.sin(2 * np.pi * (MAINS_HZ * t[inside] + rng.random()))


def _contact_lost(t: np.ndarray, artefact: Artefact) -> np.ndarray:
    """0 with contact, 1 without: opens quickly, closes slowly."""
    u, after = t - artefact.t_s, t - artefact.end_s
    lost = 1 - np.exp(-np.maximum(u, 0) / _DROP_S)
    return np.where(after > 0, np.exp(-np.maximum(after, 0) / _RETURN_S) * (1 - np.exp(-artefact.duration_s / _DROP_S)), lost)


def _shake(samples: dict[str, np.ndarray], rates: dict[str, float], artefact: Artefact, rng: np.random.Generator) -> None:
    """One movement as the accelerometer, the skin contact and the leads feel it: the same three swings, resampled for each."""
    fine = np.arange(0, artefact.duration_s, 0.005)
    edge = np.clip(np.minimum(fine, artefact.duration_s - fine) / _EDGE_S, 0, 1)
    swings = np.stack([slow(len(fine), 200.0, _SWAY_S, rng) for _ in range(3)])
    swings *= edge * artefact.severity / np.sqrt(np.square(swings).mean(axis=1, keepdims=True))
    jerk = rng.standard_normal()
    for name, signal in samples.items():
        hz = rates[name]
        first = int(np.ceil(artefact.t_s * hz))
        at = np.arange(first, min(len(signal), int(np.ceil(artefact.end_s * hz))))
        g = np.stack([np.interp(at / hz - artefact.t_s, fine, axis) for axis in swings])
        if name.startswith("accel"):
            signal[at] += g["xyz".index(name[-1])]
        elif name == "eda":
            signal[at] *= np.exp(0.15 * (g[0] + g[1]))  # pressure on the electrodes
        elif name == "ecg":
            signal[at] += 0.3 * g[2] + 0.05 * artefact.severity * rng.standard_normal(len(at))
        else:  # a lead that swings (below 20 Hz), and the muscle that moves
            signal[at] += 150 * g[0] * (1 + 0.2 * jerk) + signal[at] * np.linalg.norm(g, axis=0)
