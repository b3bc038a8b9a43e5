"""S0 whole and S0 cut up for conversion compute the same; its sizes are checked."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nociband.models.s0 import S0, LstmStep, S0Config


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


@pytest.mark.parametrize("sizes", [{"classes": 1}, {"hidden": 0}, {"conv_kernel": 6}, {"conv_kernel": -1}])
def test_impossible_sizes(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        S0Config(**sizes)


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}, {"bias": False}, {"proj_size": 3}])
def test_other_lstms_have_no_step(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="one-layer"):
        LstmStep(nn.LSTM(2, 8, batch_first=True, **options))
