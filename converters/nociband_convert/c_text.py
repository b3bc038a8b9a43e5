"""Constants as C text, for all that writes C: operations, kernels, to_c."""

from __future__ import annotations

from collections.abc import Iterable

_WIDTH = 118


def c_array(declaration: str, values: Iterable[object]) -> str:
    """`static const <declaration> = {values};`, wrapped."""
    lines, line = [], "   "
    for v in values:
        item = f" {v},"
        if len(line) + len(item) > _WIDTH:
            lines.append(line)
            line = "   "
        line += item
    return "\n".join([f"static const {declaration} = {{", *lines, line, "};"])


def c_scale(scale: tuple[int, int]) -> str:
    """A nb_nn_scale_t or nb_nn_channel_t."""
    return f"{{{scale[0]}, {scale[1]}}}"
