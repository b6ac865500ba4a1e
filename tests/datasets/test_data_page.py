"""The page on data runs as it stands, and prints what it says that it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


def test_the_blocks_of_the_page_run_in_order_in_an_empty_folder(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=tmp_path / "empty", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert shown
    assert all(text in done.stdout for text in shown)
