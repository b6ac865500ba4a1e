"""`wait` in a real Jupyter kernel. The notebook is run by another process, as its libraries warn of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CELL = """
from ftkit import Client
client = Client("memory")
job = client.fine_tune("any-model", "train.jsonl", wait=False)
print(client.wait(job).status.value)
"""

RUN = """
import json, sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(sys.argv[1])])
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
print(json.dumps(notebook.cells[0].outputs))
"""


def test_a_notebook_shows_a_widget_and_no_torn_lines(train: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, CELL], capture_output=True, text=True, check=False, cwd=train.parent
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outputs = json.loads(done.stdout.splitlines()[-1])
    printed = "".join(output["text"] for output in outputs if output.get("name") == "stdout")
    shown = [output["data"] for output in outputs if output["output_type"] == "display_data"]
    assert "succeeded" in printed
    assert any("application/vnd.jupyter.widget-view+json" in data for data in shown)
    assert not [output for output in outputs if output.get("name") == "stderr"]
