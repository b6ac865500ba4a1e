"""Checks a data set in a process of its own, and tells what it found and what memory it took.

    python measured.py FILE [check | upload | fine_tune]

It prints one line of JSON: rows, problems, requests that the vendor saw, and peaks in bytes above what the process had
when all was loaded.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit import Client
from ftkit.errors import DatasetError
from ftkit.testing import MemoryProvider

TIMEOUT_S = 120
_STATUS = Path("/proc/self/status")
_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """What a check came to.

    Attributes:
        rows: Rows that were found.
        problems: Code and line of each error.
        requests: What the vendor was asked.
        peak: Bytes of memory above those of the process before it began.
        child_peak: Bytes of the largest process that it started; 0 if there was none.
    """

    rows: int
    problems: list[tuple[str, int | None]]
    requests: int
    peak: int
    child_peak: int


def measured(path: Path, verb: str = "check", *, timeout_s: float = TIMEOUT_S) -> Measured:
    """Runs this file on a data set."""
    command = [sys.executable, __file__, str(path), verb]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return Measured(**{**found, "problems": [(code, line) for code, line in found["problems"]]})


def _peak() -> int:
    """Returns the most memory that this process ever held.

    Linux hands `ru_maxrss` on to a new program, where it is that of the process that started it.
    """
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def _run(client: Client, path: str, verb: str) -> tuple[int, list[tuple[str, int | None]]]:
    try:
        if verb == "check":
            report = client.check(path, model="base")
        else:
            getattr(client, verb)(**{"train" if verb == "fine_tune" else "source": path, "model": "base"})
            return 0, []
    except DatasetError as error:
        return (error.report.rows if error.report else 0), [(p.code, p.line) for p in error.problems]
    return report.rows, [(p.code, p.line) for p in report.errors]


def _main(path: str, verb: str = "check") -> None:
    if path.endswith((".parquet", ".folder")):
        import pyarrow.parquet  # noqa: F401 - what it takes by itself does not count
    provider = MemoryProvider()
    client = Client(provider)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    before = _peak()
    rows, problems = _run(client, path, verb)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    found: dict[str, Any] = {"rows": rows, "problems": problems, "requests": provider.vendor.calls.total()}
    found |= {"peak": _peak() - before, "child_peak": (largest if largest > children else 0) * _UNIT}
    print(json.dumps(found))  # noqa: T201 - it is what this program is for


if __name__ == "__main__":
    _main(*sys.argv[1:])
