"""Settings of a training run: every field survives a TOML file, and what makes no sense is refused by name."""

import dataclasses

import pytest

from nociband.errors import ModelError
from nociband.training.config import PAPER, TrainingConfig, load

CHANGED = TrainingConfig(network="s0_paper", hidden=8, over_time="flat", attention=False, modalities=("emg",), gamma=0.5, batch=7,
                         input_limit=3.0, learning_rate=2.5e-5, ema=0.99, seed=12, refit=True)


@pytest.mark.parametrize("config", [TrainingConfig(), PAPER, CHANGED])
def test_a_toml_file_gives_back_every_field(tmp_path, config):
    (tmp_path / "c.toml").write_text(config.to_toml())
    assert load(tmp_path / "c.toml") == config
    assert load(tmp_path / "c.toml", base=CHANGED) == config


def test_a_file_goes_over_its_base(tmp_path):
    (tmp_path / "c.toml").write_text('hidden = 24\ngamma = 1\nmodalities = ["eda"]\n')
    config = load(tmp_path / "c.toml", base=PAPER)
    assert config == dataclasses.replace(PAPER, hidden=24, gamma=1.0, modalities=("eda",))
    assert isinstance(config.gamma, float)


def test_what_was_changed_makes_the_run_again():
    assert TrainingConfig().changed() == {}
    assert CHANGED.changed()["modalities"] == ["emg"] and "dropout" not in CHANGED.changed()
    assert TrainingConfig().with_settings(CHANGED.changed()) == CHANGED


@pytest.mark.parametrize(("text", "words"), [
    ("hiden = 3", "unknown training settings hiden; there are: network, hidden"),
    ('hidden = "many"', "hidden is of type int, not 'many'"),
    ("hidden = 3.5", "hidden is of type int"),
    ("hidden = true", "hidden is of type int"),
    ("attention = 1", "attention is of type bool"),
    ("gamma = true", "gamma is of type float"),
    ("hidden = 0", "hidden is at least 1"),
    ("noise = -0.1", "noise is at least 0"),
    ("gamma = nan", "gamma is at least 0"),
    ("dropout = 1.0", "dropout is a share"),
    ("learning_rate = 0.0", "learning_rate"),
    ("input_limit = 0", "input_limit is above 0"),
    ("input_limit = inf", "input_limit is above 0 and finite"),
    ("conv_kernel = 4", "conv_kernel is odd"),
    ('network = "lstm"', "network is s0 or s0_paper or cnn1d, not 'lstm'"),
    ('modalities = ["ecg"]', "modalities are one or both of eda, emg"),
    ("modalities = []", "modalities are one or both"),
    ("time_jitter = 0.6", "time_jitter is at most half a window"),
    ("validation_share = 0.0\nrefit = true", "refit takes the number of epochs from validation people"),
    ("hidden = ", "cannot be read as TOML"),
])
def test_what_makes_no_sense_is_refused(tmp_path, text, words):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ModelError, match=words) as refusal:
        load(path)
    assert str(path) in str(refusal.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ModelError, match="none.toml cannot be read"):
        load(tmp_path / "none.toml")


def test_networks_take_their_inputs():
    assert [TrainingConfig().inputs(m) for m in ("eda", "emg")] == ["eda", "emg"]
    assert [PAPER.inputs(m) for m in ("eda", "emg")] == ["eda_descriptors", "emg_descriptors"]
