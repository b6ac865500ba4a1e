"""The stand-ins, and what local jobs need, are in other folders of tests."""

from __future__ import annotations

import sys
from pathlib import Path

for _name in ("openai", "autotrain", "huggingface", "server"):
    _folder = str(Path(__file__).parents[1] / _name)
    if _folder not in sys.path:
        sys.path.append(_folder)
