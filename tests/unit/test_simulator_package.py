"""The simulator as a package: shipped recordings unchanged, options that do not disturb each other, the guide, the file."""

import hashlib
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nociband.errors import DataError
from nociband.signals import Recording, simulator, to_counts
from nociband.signals.simulator import Distribution, Options, Population, Protocol
from nociband.signals.simulator.export import save

ROOT = Path(__file__).resolve().parents[2]
# What `synthetic_pain5` was trained on and the demo replays. Values are rounded to 1e-6 before they are hashed: the last bit
# of an exponential differs between processors.
SHIPPED = {
    (1.0, 0, "S01"): "68ac1d24b67d124a",
    (60.0, 1, "S01"): "c44c02d6c7920037",
    (360.0, 0, "T007"): "c638d47fb638466b",
    (600.5, 123, "P17"): "8bd8ee0de6dd1f15",
}


def _digest(recording: Recording) -> str:
    text = [repr((recording.name, recording.subject, recording.simulated, recording.source, recording.notes, recording.emg_gain))]
    text += [f"{e.t_s:.6f} {e.duration_s:.6f} {e.label}" for e in recording.events]
    h = hashlib.sha256("\n".join(text).encode())
    for name, c in recording.channels.items():
        h.update(f"{name} {c.rate_hz:g} {c.unit} {c.kind} {c.samples.size}".encode())
        h.update(np.rint(c.samples * 1e6).astype("<i8").tobytes())
    return h.hexdigest()[:16]


@pytest.mark.parametrize(("arguments", "digest"), SHIPPED.items())
def test_default_recordings_are_those_that_shipped_models_know(arguments, digest):
    assert _digest(simulator.simulate(*arguments)) == digest
    assert _digest(simulator.simulate(*arguments, Options())) == digest


def test_an_option_changes_only_what_it_is_about():
    plain = simulator.simulate(200, 2)
    for options in (Options(ecg=True), Options(trapezius=True), Options(ecg=True, trapezius=True)):
        other = simulator.simulate(200, 2, options=options)
        assert other.events == plain.events and len(other.channels) > len(plain.channels)
        assert all(np.array_equal(c.samples, other.channels[name].samples) for name, c in plain.channels.items())
    tonic = simulator.simulate(200, 2, options=Options(tonic=True))
    assert not np.array_equal(tonic.channels["eda"].samples, plain.channels["eda"].samples)
    assert np.array_equal(tonic.channels["corrugator"].samples, plain.channels["corrugator"].samples)


def test_everything_at_once_is_seeded_labelled_and_goes_through_the_front_end():
    first, again = (simulator.simulate(400, 3, "S02", Options.full()) for _ in range(2))
    other = simulator.simulate(400, 4, "S02", Options.full())
    for name, channel in first.channels.items():
        assert np.array_equal(channel.samples, again.channels[name].samples)
        assert not np.array_equal(channel.samples, other.channels[name].samples)
    said = " ".join(first.simulated)
    assert all(word in said for word in ("no person", "McSharry", "artefacts", "EMG: simulated"))
    front = to_counts(first, 3)
    assert front.sites == ("corrugator", "zygomaticus") and len(front.emg) == 400_000
    assert set(first.simulated) <= set(front.simulated) and "synthetic" in front.source
    assert {e.label for e in first.events} & set(simulator.TONIC_LABELS)


def test_a_population_of_ones_own():
    nobody_responds = Options(population=Population(non_responder=Distribution("chance", 1, 0, "", "made up for this test")))
    assert all(simulator.draw(120, seed, options=nobody_responds).scrs == () for seed in range(5))
    calm = Options(protocol=Protocol(levels=(0, 1), first_s=5.0, pause_s=(2.0, 2.0)))
    script = simulator.draw(60, 1, options=calm)
    assert {e.label for e in script.stimuli} == {"pain 0", "pain 1"} and script.stimuli[0].t_s == 5.0


def test_every_distribution_has_a_source_and_stands_in_the_guide():
    population = Population()
    for f in fields(population):
        assert getattr(population, f.name).source, f.name
    guide = (ROOT / "docs/simulator.md").read_text("utf-8")
    assert simulator.table() in guide, "docs/simulator.md: put in what nociband.signals.simulator.table() gives"


def test_drawn_values_have_the_numbers_that_the_table_states():
    rng = np.random.default_rng(0)
    for f in fields(Population):
        d = getattr(Population(), f.name)
        if not isinstance(d, Distribution) or d.clip:
            continue
        values = np.array([d.draw(rng) for _ in range(4000)])
        low, middle, high = np.quantile(values, [0, 0.5, 1])
        if d.kind == "uniform":
            assert d.a <= low and high <= d.b and middle == pytest.approx((d.a + d.b) / 2, rel=0.05)
        elif d.kind == "lognormal":
            assert middle == pytest.approx(d.a, rel=0.06) and np.log(values).std() == pytest.approx(d.b, rel=0.06)
        elif d.kind == "normal":
            assert values.mean() == pytest.approx(d.a, abs=0.1 * d.b) and values.std() == pytest.approx(d.b, rel=0.06)
        elif d.kind == "chance":
            assert values.mean() == pytest.approx(d.a, abs=0.02) and set(values) <= {0.0, 1.0}
        else:
            assert np.all(values == d.a)


def test_the_command_writes_what_the_emulated_band_replays(tmp_path):
    from nociband_tools.cli import build_app
    from nociband_tools.emulator.source import open_source

    file = tmp_path / "made.npz"
    arguments = ["simulate", str(file), "--seconds", "120", "--seed", "5", "--artefacts", "--ecg"]
    ran = CliRunner().invoke(build_app(), arguments)
    assert ran.exit_code == 0 and "synthetic" in ran.output and "pain 4" in ran.output, ran.output
    source = open_source(str(file))
    options = Options(ecg=True, artefacts=simulator.Artefacts.ambulatory())
    front = to_counts(simulator.simulate(120, 5, options=options), 5)
    assert np.array_equal(source.slots["eda_counts"], front.eda) and source.sites == front.sites
    assert source.simulated == front.simulated
    with np.load(file) as content:
        truth = json.loads(str(content["truth"]))
        assert content["ecg_samples"].size == 120 * 250 and content["eda_unit"] == "uS"
    script = simulator.draw(120, 5, options=options)
    assert truth["synthetic"] is True and len(truth["beats"]) == len(script.beats)
    written = [(a["kind"], a["t_s"], a["reason"]) for a in truth["artefacts"]]
    assert written == [(a.kind, a.t_s, a.reason) for a in script.artefacts]


def test_a_file_that_is_there_is_never_overwritten(tmp_path):
    script = simulator.draw(10, 1)
    recording = simulator.render(script, 1)
    file = tmp_path / "made.npz"
    save(file, script, recording, 1)
    before = file.read_bytes()
    with pytest.raises(DataError, match="never overwritten"):
        save(file, script, recording, 1)
    with pytest.raises(DataError, match="NAME.npz"):
        save(tmp_path / "made.csv", script, recording, 1)
    assert file.read_bytes() == before
