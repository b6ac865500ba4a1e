"""A user's script that trains and waits: `python user.py FOLDER MODEL`. It prints the job."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))  # a script finds what lies beside it, and what all tests share

from hf_tools import train_lora

if __name__ == "__main__":
    print(train_lora(Path(sys.argv[1]), Path(sys.argv[2])).job.model_dump_json())  # noqa: T201
