"""The model's manifest: what its inputs, integer outputs and classes mean. Written by the converter, served by the band.

Labels, scales and the meaning of a score live here and nowhere else. Bytes come from a band (band.client) or from a model
folder (nociband.inference); a manifest that does not hold together is refused with a SpecError. Needs NumPy alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nociband.errors import SpecError
from nociband.spec import SPEC

SCORE_MAX = 10.0
SPEC_HASH_DIGITS_MIN = 16
SHIFT_MAX = 46      # the band shifts by up to 15 more, in 64 bits
SCHEMES: Mapping[str, int] = {"int16x8": 16, "int8": 8}    # bits of an activation
_REQUIRED: Mapping[str, type | tuple[type, ...]] = {
    "name": str, "title": str, "version": (str, int), "of": str, "synthetic": bool, "warning": str, "scheme": str,
    "spec_hash": str, "features": list, "window_frames": int, "input": list, "output": dict, "classes": list, "sites": list,
    "branches": dict, "training": dict, "files": dict,
}


@dataclass(frozen=True)
class ClassOf:
    """One class of the model. `value` is its place on the 0-10 scale; None for a model that is not of pain."""

    label: str
    value: float | None


class InputScale(NamedTuple):
    """How one feature enters the model: x = clamp_int16(round((feature - baseline) * mult / 2**shift)).

    `mult` is an int32, `shift` 0 to SHIFT_MAX.
    """

    mult: int
    shift: int


@dataclass(frozen=True)
class Manifest:
    """A validated manifest. `raw` is the whole JSON object, `json_bytes` what it was read from, `hash` their SHA-256 in hex (the
    band's model_hash begins it). `scheme` is one of SCHEMES.
    """

    name: str
    title: str
    version: str
    of: str
    synthetic: bool
    warning: str
    scheme: str
    classes: tuple[ClassOf, ...]
    input_scales: tuple[InputScale, ...]
    output_scale: float
    output_zero_point: int
    sites: tuple[str, ...]
    hash: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)
    json_bytes: bytes = field(repr=False, compare=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the model's outputs."""
        return tuple(c.label for c in self.classes)

    @property
    def is_pain(self) -> bool:
        """True when the output may be shown on the 0-10 scale."""
        return self.of == "pain"

    @classmethod
    def from_json(cls, data: bytes, model_hash: bytes | None = None) -> Manifest:
        """Parse and check a manifest.

        data: the bytes as the converter wrote them; model_hash: first bytes of their SHA-256 as a band states them in `info`.
        Raises SpecError when a key is missing or of the wrong type, or the parts do not fit each other, the SDK's
        specification or `model_hash`.
        """
        digest = hashlib.sha256(data).digest()
        if model_hash is not None and digest[:len(model_hash)] != bytes(model_hash):
            raise SpecError(f"manifest: its hash {digest[:8].hex()} is not the model hash {bytes(model_hash).hex()} that the "
                            "band states; read it again, and if that does not help rebuild the firmware from one model folder")
        raw = _object(data)
        _check_identity(raw)
        scale, zero_point = _output(raw["output"], raw["scheme"])
        return cls(
            name=raw["name"], title=raw["title"], version=str(raw["version"]), of=raw["of"], synthetic=raw["synthetic"],
            warning=raw["warning"], scheme=raw["scheme"], classes=_classes(raw["classes"], raw["of"]),
            input_scales=_input_scales(raw["input"]), output_scale=scale, output_zero_point=zero_point,
            sites=_sites(raw["sites"]), hash=digest.hex(), raw=raw, json_bytes=bytes(data),
        )

    def probabilities(self, logits: Sequence[int] | np.ndarray) -> np.ndarray:
        """Class probabilities, float64 (classes,), sum 1: the softmax of scale * (logit - zero point).

        logits: the model's integer output; what stands beyond the classes is padding. Raises SpecError when there are
        fewer logits than classes.
        """
        values = np.asarray(logits, np.float64).reshape(-1)[:len(self.classes)]
        if values.size < len(self.classes):
            raise SpecError(f"{values.size} logits where {self.name} has {len(self.classes)} classes")
        z = self.output_scale * (values - self.output_zero_point)
        e = np.exp(z - z.max())
        return e / e.sum()

    def score(self, probabilities: Sequence[float] | np.ndarray) -> float | None:
        """The expected class value, 0-10, for a model of pain; None for any other."""
        if not self.is_pain:
            return None
        values = np.array([c.value for c in self.classes], np.float64)
        return float(np.clip(np.dot(np.asarray(probabilities, np.float64), values), 0.0, SCORE_MAX))


def _fail(message: str) -> SpecError:
    return SpecError(f"manifest: {message}; convert the model again with this version (`nociband convert`)")


def _no_constants(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON has")


def _object(data: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(bytes(data).decode("utf-8"), parse_constant=_no_constants)
    except (ValueError, RecursionError) as e:
        raise _fail(f"not JSON in UTF-8 ({e})") from e
    if not isinstance(raw, dict):
        raise _fail("not a JSON object")
    missing = sorted(set(_REQUIRED) - set(raw))
    if missing:
        raise _fail(f"keys are missing: {', '.join(missing)}")
    for key, kind in _REQUIRED.items():
        if not isinstance(raw[key], kind) or (isinstance(raw[key], bool) and kind is not bool):
            raise _fail(f"{key!r} is {type(raw[key]).__name__}, which it may not be")
    return raw


def _check_identity(raw: dict[str, Any]) -> None:
    for key in ("name", "title", "of"):
        if not raw[key].strip():
            raise _fail(f"{key!r} is empty")
    if raw["scheme"] not in SCHEMES:
        raise _fail(f"the scheme {raw['scheme']!r} is not one of {', '.join(SCHEMES)}")
    digits = raw["spec_hash"].lower()
    if len(digits) < SPEC_HASH_DIGITS_MIN or not SPEC.hash.startswith(digits):
        raise _fail(f"made for specification {digits[:16] or '(none)'}, this SDK has {SPEC.hash[:16]}")
    names = [f.name for f in SPEC.model_inputs]
    if raw["features"] != names:
        raise _fail(f"features {raw['features']} are not the specification's {names}")
    frames = SPEC.features["window"]["frames"]
    if raw["window_frames"] != frames:
        raise _fail(f"window of {raw['window_frames']} frames, the specification has {frames}")
    if not raw["warning"].strip() and (raw["of"] != "pain" or raw["synthetic"]):
        raise _fail("a model that is not of pain, or is synthetic, needs a warning to show beside its output")


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _fail(f"{what} is {value!r} where a number belongs")
    return float(value)


def _integer(value: Any, what: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _fail(f"{what} is {value!r} where an integer from {low} to {high} belongs")
    return value


def _classes(rows: list[Any], of: str) -> tuple[ClassOf, ...]:
    outputs_max = next(f.count for f in SPEC.records["prediction"].fields if f.name == "logits")
    if not 2 <= len(rows) <= outputs_max:
        raise _fail(f"{len(rows)} classes where 2 to {outputs_max} belong")
    classes = []
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or not isinstance(row.get("label"), str) or not row["label"].strip():
            raise _fail(f"class {i} has no label")
        value = row.get("value")
        if of == "pain":
            value = _number(value, f"value of class {row['label']!r} of a model of pain")
            if not 0.0 <= value <= SCORE_MAX:
                raise _fail(f"value {value} of class {row['label']!r} is outside 0-10")
        elif value is not None:
            raise _fail(f"class {row['label']!r} has a value on the 0-10 scale, but the model is of {of!r}, not of pain")
        classes.append(ClassOf(row["label"], value))
    if len({c.label for c in classes}) != len(classes):
        raise _fail(f"class labels repeat: {[c.label for c in classes]}")
    return tuple(classes)


def _input_scales(rows: list[Any]) -> tuple[InputScale, ...]:
    names = [f.name for f in SPEC.model_inputs]
    if len(rows) != len(names) or not all(isinstance(r, dict) for r in rows):
        raise _fail(f"{len(rows)} inputs where the specification has {len(names)}: {names}")
    return tuple(
        InputScale(_integer(r.get("mult"), f"mult of {n}", 1 - 2**31, 2**31 - 1),
                   _integer(r.get("shift"), f"shift of {n}", 0, SHIFT_MAX))
        for n, r in zip(names, rows, strict=True)
    )


def _output(row: dict[str, Any], scheme: str) -> tuple[float, int]:
    scale = _number(row.get("scale"), "output.scale")
    if scale <= 0:
        raise _fail(f"output.scale is {scale}, which is not above 0")
    end = 2 ** (SCHEMES[scheme] - 1)
    return scale, _integer(row.get("zero_point"), "output.zero_point", -end, end - 1)


def _sites(names: list[Any]) -> tuple[str, ...]:
    channels = len(SPEC.features["signals"]["emg"]["channels"])
    if len(names) != channels or any(n not in SPEC.sites for n in names):
        raise _fail(f"sites {names} are not {channels} of {list(SPEC.sites)}")
    return tuple(names)
