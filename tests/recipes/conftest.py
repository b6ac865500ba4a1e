"""The stand-in for OpenAI at the wire is in another folder of tests."""

from __future__ import annotations

import sys
from pathlib import Path

_WIRE = str(Path(__file__).parents[1] / "openai")
if _WIRE not in sys.path:
    sys.path.append(_WIRE)
