"""Draws the document of `nociband bench kernels`: instructions of each build by part, beside others and the bound.

The picture holds what it says in grey as well: parts differ in hatching, not in colour alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Which functions make a part; the first pattern that fits. What is left over is the head, with the attention
# where it is a graph's operations and not a kernel of its own.
PARTS = {
    "LSTM": re.compile(r"_step$|_lstm$|^nb_nn_lstm"),
    "attention and pooling": re.compile(r"^nb_nn_(branch|pool|weight|gather)|_(pool|weight|gather)$"),
    "head (int8: with attention)": re.compile(""),
}
_LOOK = {"LSTM": ("#33507a", ""), "attention and pooling": ("#8fb0d8", "///"), "head (int8: with attention)": ("#dde6f2", "...")}
_OTHERS = "#b0b0b0"


def parts(functions: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Instructions by part of the network."""
    sums = dict.fromkeys(PARTS, 0)
    for name, figures in functions.items():
        part = next(part for part, pattern in PARTS.items() if pattern.search(name))
        sums[part] += figures["instructions"]
    return sums


def draw(document: Mapping[str, Any], file: Path) -> None:
    """Write the picture; the ending (.png, .svg) says in which format."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "nociband"      # the same figures give the same bytes
    from matplotlib import pyplot

    shapes = document["shapes"]
    heights = [_height(shape, document) for shape in shapes]
    figure, axes = pyplot.subplots(len(shapes), 1, figsize=(8, 0.7 + sum(heights)), height_ratios=heights, squeeze=False,
                                   layout="constrained")
    for (shape, schemes), ax in zip(shapes.items(), axes[:, 0], strict=True):
        _panel(ax, shape, schemes, document["tflm"])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    pyplot.close(figure)


def _height(shape: str, document: Mapping[str, Any]) -> float:
    rows = sum(len(builds) for builds in document["shapes"][shape].values()) + (shape in document["tflm"])
    return 0.65 + 0.3 * rows


def _panel(ax: Any, shape: str, schemes: Mapping[str, Any], others: Mapping[str, Any]) -> None:
    rows = [(f"{scheme} {build}", f) for scheme, builds in schemes.items() for build, f in builds.items()]
    for y, (_, f) in enumerate(rows):
        left = 0.0
        for part, count in parts(f["functions"]).items():
            colour, hatch = _LOOK[part]
            ax.barh(y, count / 1e6, left=left, color=colour, hatch=hatch, edgecolor="black", linewidth=0.6, height=0.7,
                    label=part if y == 0 else None)
            left += count / 1e6
        ax.text(left, y, f" {left:.2f} M", va="center", fontsize=8)
    names = [name for name, _ in rows]
    if other := others.get(shape):
        count = other["instructions_per_window"] / 1e6
        ax.barh(len(rows), count, color=_OTHERS, edgecolor="black", linewidth=0.6, height=0.7,
                label="TensorFlow Lite Micro, int8")
        ax.text(count, len(rows), f" {count:.2f} M", va="center", fontsize=8)
        names.append("TFLM, CMSIS-NN")
    bound = max(f["macs"] for _, f in rows) / 2e6
    ax.axvline(bound, color="black", linestyle="--", linewidth=1, label="two MACs an instruction")
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_title(f"{shape}: million instructions a window (bound {bound:.2f} M)", fontsize=9, loc="left")
    ax.tick_params(axis="x", labelsize=8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
