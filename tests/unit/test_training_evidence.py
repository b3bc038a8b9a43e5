"""What an evaluation found is put into the manifest in a few lines; what is no result, or of something else, is refused."""

import json
from typing import Any

import pytest

from nociband.errors import ModelError
from nociband.training import evidence

FIGURE = {"mean": 0.45, "low": 0.4, "high": 0.5, "per_seed": [0.44, 0.46], "sd_seeds": 0.014}
RESULT: dict[str, Any] = {
    "schema": 1, "dataset": "fmov", "task": "emotion3", "protocol": "loso", "subjects": 26,
    "plan_sha256": "ab" * 32, "frozen": True, "primary": "balanced_accuracy",
    "models": {name: {"balanced_accuracy": FIGURE, "macro_f1": FIGURE | {"mean": 0.1}}
               for name in ("random_forest", "majority", "logreg", "s0", "s0:no_attention")},
    "per_subject": {"s0": {"01": {"balanced_accuracy": 0.5}}},
}


def read(folder, **changes):
    (folder / "r.json").write_text(json.dumps(RESULT | changes))
    return evidence.read(folder / "r.json", "fmov", "emotion3")


def test_the_account_has_the_plan_and_the_figures_that_decide(tmp_path):
    account = read(tmp_path)
    figure = {"mean": 0.45, "low": 0.4, "high": 0.5}
    assert account == {
        "dataset": "fmov", "task": "emotion3", "protocol": "loso", "subjects": 26, "plan_sha256": "ab" * 32, "frozen": True,
        "primary": "balanced_accuracy", "models": {"s0": figure, "logreg": figure, "majority": figure},
    }
    assert len(json.dumps(account, indent=1)) < 1000


def test_an_undefined_figure_stays_undefined(tmp_path):
    alone = {"balanced_accuracy": {"mean": 0.5, "low": None, "high": None, "reason": "one person"}}
    assert read(tmp_path, models={"s0": alone})["models"] == {"s0": {"mean": 0.5, "low": None, "high": None}}


@pytest.mark.parametrize(("changes", "words"), [
    ({"dataset": "biovid_a"}, "judges biovid_a emotion3, not fmov emotion3"),
    ({"task": "pain5"}, "judges fmov pain5, not fmov emotion3"),
    ({"schema": 2}, "schema 1"),
    ({"frozen": "yes"}, "frozen missing or of the wrong type"),
    ({"subjects": True}, "subjects missing or of the wrong type"),
    ({"models": {"majority": RESULT["models"]["majority"]}}, "does not judge s0.*it judges majority"),
    ({"primary": "auroc"}, r"models.s0.auroc has no mean, low and high"),
    ({"models": {"s0": {"balanced_accuracy": {"mean": float("nan"), "low": 0.1, "high": 0.2}}}}, "has no mean, low and high"),
    ({"models": {"s0": {"balanced_accuracy": {"mean": "0.4", "low": 0.1, "high": 0.2}}}}, "has no mean, low and high"),
])
def test_what_does_not_fit_is_refused(tmp_path, changes, words):
    with pytest.raises(ModelError, match=words) as refusal:
        read(tmp_path, **changes)
    assert "r.json" in str(refusal.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not JSON"])
def test_what_is_no_result(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ModelError, match="result of `nociband evaluate"):
        evidence.read(tmp_path / "r.json", "fmov", "emotion3")
    with pytest.raises(ModelError, match="cannot be read"):
        evidence.read(tmp_path / "none.json", "fmov", "emotion3")
