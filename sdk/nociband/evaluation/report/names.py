"""How models, metrics, figures and differences are written out for a reader."""

from __future__ import annotations

from typing import Any

from nociband.evaluation.metrics import METRICS

MODELS = {
    "s0": "S0",
    "s0_paper": "S0 (paper size)",
    "logreg": "logistic regression",
    "random_forest": "random forest",
    "svm": "SVM",
    "cnn1d": "1-D CNN",
    "majority": "majority class",
    "clock": "clock alone",
}
# Where the same estimator is another for a score.
SCORE_MODELS = {"logreg": "ridge regression", "svm": "support vector regression", "majority": "training mean"}
ABBREVIATIONS = frozenset("eda emg ecg scr vas vas10 vas80 iri tas20 stai ppi bmi ep fmov".split())
VARIANTS = {
    "no_weighting": "no adaptive weighting", "cross_entropy": "cross-entropy instead of focal loss",
    "flat": "all steps flattened", "pooled": "steps pooled over time",
}
MEANINGS = {    # for a reader who does not live with them; definitions: docs/evaluation.md
    "accuracy": "share of windows that were named rightly",
    "balanced_accuracy": "mean over the classes of the share that was named rightly; guessing gives 1 / number of classes",
    "macro_f1": "mean over the classes of F1, which is high when a class is both found and not claimed wrongly",
    "sensitivity": "share of the last class (more than two: of each, averaged) that was found",
    "specificity": "share of the other windows that were left alone",
    "auroc": "chance that a window of a class scores above one of another; 0.5 is guessing, 1 perfect",
    "auroc_within_subject": "the same between windows of one person, averaged over people: how people differ plays no part",
    "auroc_same_time": "the same between windows at the same place in their sessions: what the clock tells plays no part",
    "kappa": "agreement beyond what guessing with the same shares would give; 0 is none, 1 complete",
    "ece": "how far a stated probability is from the share that was right; 0 is honest",
    "brier": "squared error of the probabilities, summed over the classes; 0 is perfect, 2 the worst",
    "mae": "mean distance between estimate and truth",
    "rmse": "the same with large errors weighing more",
    "pearson": "linear correlation of estimate and truth; 1 is perfect, 0 none",
    "pearson_within_subject": "the same within a person, averaged over people",
    "icc": "agreement of estimate and truth in absolute terms; 1 is complete",
    "bland_altman_bias": "mean of estimate less truth",
    "bland_altman_lower": "95% of the single errors are expected above this",
    "bland_altman_upper": "95% of the single errors are expected below this",
}
NORMALISATIONS = {
    "causal": "against the person's own past, as on the band",
    "zscore": "by mean and standard deviation of all that the person gave, without labels; needs the future",
    "none": "signals as measured",
}
BLIND = ("majority", "clock")     # they look at no signal


def model(name: str, score: bool = False) -> str:
    """A model's name in words: "s0:no_attention" is "S0 without attention", "s0@none" is "S0, normalisation none", a class of
    one's own "lab.models:Forest" is "Forest (lab.models)".

    With `score`, "majority" is what it is for a score: the mean of the training people.
    """
    plain, _, normalisation = name.partition("@")
    base, _, variant = plain.partition(":")
    text = SCORE_MODELS.get(base) if score else None
    text = text or MODELS.get(base, base)
    if variant and base not in MODELS:
        text = f"{variant} ({base})"
    elif variant:
        text += f" {_variant(variant)}"
    return f"{text}, normalisation {normalisation}" if normalisation else text


def _variant(name: str) -> str:
    words = VARIANTS.get(name) or " ".join(word.upper() if word in ABBREVIATIONS else word for word in name.split("_"))
    if words.startswith("no "):
        return f"without {words[3:]}"
    return f"on {words.removesuffix(' only').removeprefix('only ')} alone" if "only" in words.split() else f"with {words}"


def base(name: str) -> str:
    """The model of which `name` is a variant; the name itself for a plain one. A class of one's own keeps its path."""
    plain = name.partition("@")[0]
    model = plain.partition(":")[0]
    return model if model in MODELS else plain


def is_variant(name: str) -> bool:
    """Whether it is an ablation or another normalisation of a model."""
    return base(name) != name


def metric(name: str) -> str:
    """Title of a metric; a name that is not known in words."""
    return METRICS[name].title if name in METRICS else words(name)


def normalisation(name: str) -> str:
    """A normalisation within a person with what it does: "none: signals as measured"."""
    return f"{name}: {NORMALISATIONS[name]}" if name in NORMALISATIONS else name


def words(name: str) -> str:
    """A name of code in words: "age_group" is "Age group", "stai_trait" is "STAI trait"."""
    text = " ".join(word.upper() if word.lower() in ABBREVIATIONS else word for word in name.split("_"))
    return sentence(text)


def lower(title: str) -> str:
    """A title within a sentence: "Balanced accuracy" is "balanced accuracy", "AUROC" stays."""
    return (
        title
        if title[:2].isupper() or title.startswith(("Cohen", "Brier", "Pearson", "Bland"))
        else title[:1].lower() + title[1:]
    )


def better(name: str) -> str:
    """ "higher", "lower" or "" (neither)."""
    return METRICS[name].better if name in METRICS else ""


def number(value: Any, digits: int = 3) -> str:
    """A figure with `digits` after the point, a true minus sign, and an en dash for None."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def signed(value: Any, digits: int = 3) -> str:
    """As `number`, with + in front of what is above 0."""
    return ("+" if value is not None and value > 0 else "") + number(value, digits)


def interval(low: Any, high: Any, digits: int = 3, sign: bool = False) -> str:
    """ "0.381 to 0.482", or "no interval"."""
    write = signed if sign else number
    return "no interval" if low is None or high is None else f"{write(low, digits)} to {write(high, digits)}"


def sentence(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def probability(value: Any) -> str:
    """A p value: "< 0.001", else three digits."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def count(n: int, one: str, many: str = "") -> str:
    """ "1 person", "28 people"."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def listing(words: list[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
