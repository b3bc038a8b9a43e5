"""S0 whole and S0 cut up for conversion compute the same; its sizes are checked."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from nociband.models.s0 import S0, LstmStep, S0Config, multiply_accumulates, parameters


@pytest.fixture
def network() -> S0:
    torch.manual_seed(3)
    return S0(S0Config(hidden=10, classes=5)).eval()


def test_steps_and_head_give_the_logits_of_the_whole(network: S0) -> None:
    eda, emg = torch.randn(4, 138, 2), torch.randn(4, 138, 4)
    with torch.no_grad():
        hidden = []
        for lstm, x in ((network.lstm_eda, eda), (network.lstm_emg, emg)):
            step, h, c, hs = LstmStep(lstm), torch.zeros(4, 10), torch.zeros(4, 10), []
            for t in range(x.shape[1]):
                h, c = step(x[:, t], h, c)
                hs.append(h)
            hidden.append(torch.stack(hs, 1))
        assert torch.allclose(network.head(*hidden), network(eda, emg), atol=1e-5)


def test_attention_is_the_same_for_a_response_at_another_time(network: S0) -> None:
    """Pooling over time: shifting a response inside the window, away from its ends, changes little but its place."""
    hs = torch.zeros(1, 138, 10)
    hs[0, 40:50] = torch.rand(10, 10)
    shifted = torch.roll(hs, 30, 1)
    with torch.no_grad():
        assert torch.allclose(network.head(hs, hs), network.head(shifted, shifted), atol=1e-5)


@pytest.mark.parametrize(("sizes", "why"), [
    ({"classes": 1}, "two classes"), ({"hidden": 0}, "hidden"), ({"conv_kernel": 6}, "odd"), ({"conv_kernel": -1}, "odd"),
    ({"eda_inputs": 0, "emg_inputs": 0}, "one branch"), ({"blocks": 0}, "block"), ({"over_time": "flat"}, "eda_steps"),
    ({"over_time": "flat", "eda_steps": 9, "emg_steps": 2, "stride": 3}, "stride"), ({"over_time": "last"}, "pooled or flat"),
    ({"input_limit": 0.0}, "input_limit"), ({"input_limit": float("inf")}, "input_limit"),
])
def test_impossible_sizes(sizes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        S0Config(**sizes)


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}, {"bias": False}, {"proj_size": 3}])
def test_other_lstms_have_no_step(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="one-layer"):
        LstmStep(nn.LSTM(2, 8, batch_first=True, **options))


def test_a_network_saved_before_there_were_switches_still_loads() -> None:
    """Names of parameters and fields as they were written into model.pt by the first release."""
    saved = {"eda_inputs": 2, "emg_inputs": 4, "hidden": 8, "classes": 3, "conv_kernel": 7, "dropout": 0.3}
    names = [f"lstm_{m}.{p}_{k}_l0" for m in ("eda", "emg") for p in ("weight", "bias") for k in ("ih", "hh")]
    names += [f"head.{part}.{p}" for part in ("attention_eda.conv", "attention_emg.conv", "weigh_eda", "weigh_emg", "out")
              for p in ("weight", "bias")]
    network = S0(S0Config(**saved))
    assert set(network.state_dict()) == set(names)
    assert network.config.on_band


PAPER = S0Config(12, 36, hidden=16, blocks=2, dense=24, over_time="flat", eda_steps=11, emg_steps=11)


@pytest.mark.parametrize("config", [
    S0Config(), PAPER, S0Config(emg_inputs=0), S0Config(eda_inputs=0, classes=0), S0Config(stride=4, attention=False),
    S0Config(12, 24, blocks=3, dense=8, classes=0, weighting=False),
])
def test_every_shape_computes_what_it_promises(config: S0Config) -> None:
    torch.manual_seed(0)
    network, steps = S0(config), 11 if config.over_time == "flat" else 30
    inputs = [torch.randn(5, steps, config.inputs_of(m)) for m in config.modalities]
    output = network(*inputs)
    assert output.shape == (5, config.outputs)
    output.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert parameters(config) == sum(p.numel() for p in network.parameters())
    with pytest.raises(ValueError, match="shorter|longer"):
        network(*inputs, torch.zeros(5, steps, 1))


@pytest.mark.parametrize(("change", "fewer"), [
    ({"attention": False}, 2 * (2 * 7 + 1)),  # one Conv1D with 2 channels in, kernel 7 and a bias, a branch
    ({"weighting": False}, 2 * (64 + 1)),  # one weight a modality from both branches' mean and maximum of 16 units
    ({"blocks": 2}, -2 * (4 * 16 * (16 + 16 + 2) + 15)),  # an LSTM with two biases, and its attention, a branch
    ({"dense": 8}, -(2 * (32 * 8 + 8)) + 2 * (64 - 16) + 3 * (64 - 16)),  # weights and output then see 8 a branch, not 32
    ({"classes": 0}, 2 * (64 + 1)),  # one output in place of three
    ({"emg_inputs": 0}, 4 * 16 * (4 + 16 + 2) + 15 + 2 * 65 + 3 * 32),  # that branch, both weights, its part of the output
    ({"stride": 3}, 0), ({"dropout": 0.0}, 0), ({"input_limit": 3.0}, 0),
])
def test_a_switch_changes_what_it_says(change: dict[str, Any], fewer: int) -> None:
    assert parameters(S0Config()) - parameters(S0Config(**change)) == fewer
    assert S0Config(**change).on_band == (set(change) <= {"dropout", "input_limit"})


def test_multiply_accumulates_by_hand() -> None:
    lstms = 138 * 4 * 16 * ((2 + 16) + (4 + 16))
    attention = 138 * 2 * 2 * 7
    assert multiply_accumulates(S0Config(), 138, 138) == lstms + attention + 2 * 64 + 3 * 64 == 339_800
    assert multiply_accumulates(S0Config(attention=False, weighting=False, stride=3), 138, 138) == lstms // 3 + 3 * 64


def test_a_stride_averages_frames_and_keeps_the_newest() -> None:
    torch.manual_seed(1)
    wide = S0(S0Config(stride=3))
    plain = S0(S0Config())
    plain.load_state_dict(wide.state_dict())
    eda, emg = torch.randn(2, 14, 2), torch.randn(2, 14, 4)
    with torch.no_grad():
        means = [x[:, 2:].reshape(2, 4, 3, -1).mean(2) for x in (eda, emg)]
        assert torch.allclose(wide.eval()(eda, emg), plain.eval()(*means), atol=1e-6)
