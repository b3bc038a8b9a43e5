"""Plain words for a clinician: why there is no score, and what the band says of itself.

Reasons come from the contract (no_score flags of wire.toml), from vision and, prefixed with their side ("band:", "face:"), from
fusion; sentences go to the page.
"""

from __future__ import annotations

from collections.abc import Iterable

from nociband.spec import SPEC

BAND_WHY = {
    "baseline_unfinished": "Still learning this person's resting level",
    "window_incomplete": "Waiting for the first seconds of signal",
    "eda_electrode_off": "The skin conductance electrodes have no contact with the skin",
    "emg_electrode_off": "A muscle electrode has no contact with the skin",
    "saturation": "A signal is beyond what the band can measure",
    "motion": "There is too much movement",
    "eda_not_responding": "This person's skin conductance does not respond, so it tells nothing",
    "electrode_site": "The electrodes are not on the muscles that this model needs",
    "underrun": "The band missed samples",
    "missing": "Nothing comes from the band",
    "stale": "The band's last result is too old",
    "no_quality": "The band's signals are too poor",
    "no_score": "The band gives no score",
}
FACE_WHY = {
    "no_face": "The camera sees no face",
    "face_small": "The face is too far from the camera",
    "turned_away": "The face is turned away from the camera",
    "dark": "The picture is too dark",
    "blurred": "The picture is blurred",
    "baseline_unfinished": "Still learning this person's resting face",
    "missing": "Nothing comes from the camera",
    "stale": "The camera's last picture is too old",
    "no_quality": "The picture is too poor",
    "no_score": "The face gives no score",
}
FLAGS = {"signals_withheld": "The link is too narrow for raw signals: the band sends features and results only"}
_FRAME_S = SPEC.features["block"]["us"] * 1e-6
_NEEDS_FRAMES = {
    "baseline_unfinished": SPEC.features["baseline"]["min_frames"],
    "window_incomplete": SPEC.features["window"]["frames"],
}


def band_why(why: Iterable[str], frame_index: int | None = None) -> list[str]:
    """Sentences for the band's reasons. With `frame_index`, those that pass by themselves say how many seconds are left."""
    reasons = list(why)
    if "baseline_unfinished" in reasons and "window_incomplete" in reasons:
        reasons.remove("window_incomplete")     # the longer wait says it all
    return [BAND_WHY.get(r, _as_it_is(r)) + _left(r, frame_index) for r in reasons]


def face_why(why: Iterable[str]) -> list[str]:
    """Sentences for the face's reasons."""
    return [FACE_WHY.get(r, _as_it_is(r)) for r in why]


def fused_why(why: Iterable[str], frame_index: int | None = None, with_face: bool = True) -> list[str]:
    """Sentences for fusion's reasons of both sides; the face's are left out when no camera is used."""
    reasons = list(why)
    band = [r.removeprefix("band:") for r in reasons if r.startswith("band:")]
    face = [r.removeprefix("face:") for r in reasons if r.startswith("face:")] if with_face else []
    other = [_as_it_is(r) for r in reasons if not r.startswith(("band:", "face:"))]
    return band_why(band, frame_index) + face_why(face) + other


def _left(reason: str, frame_index: int | None) -> str:
    if frame_index is None or reason not in _NEEDS_FRAMES:
        return ""
    seconds = round((_NEEDS_FRAMES[reason] - 1 - frame_index) * _FRAME_S)
    return f" ({seconds} s left)" if seconds > 0 else ""


def _as_it_is(reason: str) -> str:
    return reason.replace("_", " ").capitalize()
