"""Every artefact goes through the front end, the band's DSP and its trust rules: no score while it lasts.

The Script says when each begins and ends and for which reason the band must keep silent; what its rules cannot see is listed too.
"""

from dataclasses import replace

import numpy as np
import pytest

from nociband.dsp.twin import features_of
from nociband.signals import FrontEnd, simulator, to_counts
from nociband.signals.simulator import Artefacts, Options, Script
from nociband.spec import SPEC
from nociband.windows import BASELINE_MIN, FRAMES, WindowTwin

BITS = SPEC.flags["no_score"]
FRAME_S = 0.04
WINDOW_S = FRAMES * FRAME_S
# s; motion is a mean over the last second
NOTICED_S = {"motion": 1.0, "eda_lift": 0.5, "emg_lift": 0.1, "emg_hum": 0.1, "eda_bridge": 0.9}
KINDS = (*NOTICED_S, "fidget", "eda_pressure")


def _why(front: FrontEnd, features: np.ndarray) -> np.ndarray:
    """Reasons not to score after each frame, (frames,) of WindowTwin's bits."""
    twin, out = WindowTwin(), np.zeros(len(features), np.int64)
    for i in range(len(features)):
        twin.push(front.emg[40 * i:40 * i + 40], front.eda[2 * i:2 * i + 2], front.accel[2 * i:2 * i + 2], features[i])
        out[i] = twin.why
    return out


@pytest.fixture(scope="module")
def sittings() -> dict[str, list[tuple[Script, np.ndarray]]]:
    """Two sittings of 100 s for each kind of artefact alone, and two with none, as script and reasons a frame."""
    plan = [("", Options(raw_emg=True))] + [(kind, Options(artefacts=Artefacts(**{f"{kind}_per_minute": 2.0}))) for kind in KINDS]
    scripts = [(kind, simulator.draw(100, seed, kind or "none", o)) for kind, o in plan for seed in range(2)]
    fronts = [to_counts(simulator.render(script, k), k) for k, (_, script) in enumerate(scripts)]
    features = features_of([(front.emg, front.eda) for front in fronts])
    out: dict[str, list[tuple[Script, np.ndarray]]] = {kind: [] for kind, _ in plan}
    for (kind, script), front, frames in zip(scripts, fronts, features, strict=True):
        assert "artefacts" in " ".join(front.simulated) or not script.artefacts
        out[kind].append((script, _why(front, frames)))
    return out


def _times(why: np.ndarray) -> np.ndarray:
    return (np.arange(len(why)) + 1) * FRAME_S


@pytest.mark.parametrize("kind", NOTICED_S)
def test_no_score_from_soon_after_an_artefact_begins_until_it_has_left_the_window(sittings, kind):
    seen = 0
    for script, why in sittings[kind]:
        t = _times(why)
        for artefact in script.artefacts:
            assert artefact.kind == kind and artefact.reason in BITS
            during = (t > artefact.t_s + NOTICED_S[kind]) & (t <= artefact.end_s + WINDOW_S - 1.5)
            assert np.all(why[during] & (1 << BITS[artefact.reason])), artefact
            seen += during.sum()
    assert seen > 100  # frames


def test_a_lead_that_stays_off_is_named_as_such(sittings):
    long = [(a, why) for script, why in sittings["emg_lift"] for a in script.artefacts if a.duration_s > WINDOW_S + 1]
    assert long
    for artefact, why in long:
        t = _times(why)
        assert np.any(why[(t > artefact.t_s) & (t < artefact.end_s)] & (1 << BITS["emg_electrode_off"]))


def test_away_from_artefacts_the_band_scores(sittings):
    for kind in ("", *NOTICED_S):
        trusted = []
        for script, why in sittings[kind]:
            t = _times(why)
            away = np.arange(len(t)) >= BASELINE_MIN
            for artefact in script.artefacts:
                away &= (t < artefact.t_s) | (t > artefact.end_s + WINDOW_S + 1.5)
            trusted += list(why[away] == 0)
        assert np.mean(trusted) == 1.0 and len(trusted) > 250, kind


@pytest.mark.parametrize("kind", ["fidget", "eda_pressure"])
def test_what_the_rules_do_not_see_is_declared_and_is_indeed_not_seen(sittings, kind):
    for script, why in sittings[kind]:
        assert script.artefacts and all(a.reason is None for a in script.artefacts)
        assert np.all(why[BASELINE_MIN:] == 0)


def test_artefacts_disturb_signals_while_they_last_and_nothing_else():
    for kind in KINDS:
        script = simulator.draw(200, 3, kind, Options(artefacts=Artefacts(**{f"{kind}_per_minute": 1.0})))
        assert script.artefacts
        with_them, without = simulator.render(script, 3), simulator.render(replace(script, artefacts=()), 3)
        touched = set()
        for name, channel in with_them.channels.items():
            t = np.arange(channel.samples.size) / channel.rate_hz
            changed = np.abs(channel.samples - without.channels[name].samples) > 1e-9
            touched |= {name} if changed.any() else set()
            for artefact in script.artefacts:
                changed &= (t < artefact.t_s) | (t > artefact.end_s + (15 if kind.startswith("eda") else 0))
            assert not changed.any(), (kind, name)
        shaken = {"eda", "corrugator", "zygomaticus", "accel_x", "accel_y", "accel_z"}
        expected = shaken if kind in ("motion", "fidget") else {a.channel for a in script.artefacts}
        assert touched == expected, kind


def test_ambulatory_rates_leave_a_fifth_of_the_time_within_five_seconds_of_a_disturbed_eda():
    """Kleckner et al. 2018: 21 % of EDA worn at home was judged invalid, margins of 5 s included."""
    share = []
    for k in range(30):
        script = simulator.draw(600, 1, f"A{k}", Options(artefacts=Artefacts.ambulatory()))
        t, bad = np.arange(0, 600, 0.1), np.zeros(6000, bool)
        for a in script.artefacts:
            if a.kind in ("motion", "eda_lift", "eda_bridge"):
                bad |= (t > a.t_s - 5) & (t < a.end_s + 5)
        share.append(bad.mean())
    assert 0.16 < np.mean(share) < 0.26


def test_a_rate_of_one_kind_leaves_the_others_where_they_were():
    one = simulator.draw(300, 1, options=Options(artefacts=Artefacts(motion_per_minute=2)))
    more = Artefacts(motion_per_minute=2, emg_hum_per_minute=1, eda_lift_per_minute=1)
    two = simulator.draw(300, 1, options=Options(artefacts=more))
    assert one.artefacts == tuple(a for a in two.artefacts if a.kind == "motion") and len(two.artefacts) > len(one.artefacts)
    assert one.scrs == two.scrs == simulator.draw(300, 1).scrs
