"""Makes the helpers of tests/parity (one-operation .tflite files) and tests/fuzz (good files) importable here."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "parity"), str(TESTS / "fuzz")]
