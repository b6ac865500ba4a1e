"""The stand-ins of OpenAI and Azure are in another folder of tests."""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDER = str(Path(__file__).parents[1] / "openai")
if _FOLDER not in sys.path:
    sys.path.append(_FOLDER)
