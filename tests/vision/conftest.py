"""The made clip and its landmarks, made once for all tests of vision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from nociband.vision.clip import Clip
from nociband.vision.landmarks import FaceMesh

Find = Callable[[np.ndarray], np.ndarray | None]


@pytest.fixture(scope="session")
def clip() -> Clip:
    return Clip()


@pytest.fixture(scope="session")
def find() -> Iterator[Find]:
    """Landmarks of a still: shown until the mesh, which tracks from frame to frame, has settled on it."""
    mesh = FaceMesh()

    def settled(frame: np.ndarray) -> np.ndarray | None:
        found = None
        for _ in range(6):
            found = mesh.find(frame)
        return found

    yield settled
    mesh.close()


@pytest.fixture(scope="session")
def neutral(clip: Clip, find: Find) -> np.ndarray:
    found = find(clip.draw({}))
    assert found is not None
    return found
