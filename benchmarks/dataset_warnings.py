"""What warnings cost: the time and memory of a check for errors alone, and with each sort of warning.

    python benchmarks/dataset_warnings.py [MEGABYTES]

The file is that of `_chat_file.py`, the same on any machine, with one row in a thousand broken; the first hundred rows
are there once more at its end, so that those who compare rows have something to find. Each way runs in a process of its
own, three times, of which the best counts; all use one process, since warnings need one. Fails if a way that should
find the repeated rows does not find them all.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import _chat_file

MEGABYTES = 100
RUNS = 3
REPEATED = 100
ERRORS = "errors alone"
IN_ROWS, ALL = "all within rows (the default)", "all"
WAYS: dict[str, list[str]] = {
    ERRORS: [],
    "personal-data": ["personal-data"],
    "short-answers": ["short-answers"],
    "roles": ["roles"],
    "tools": ["tools"],
    IN_ROWS: ["default"],
    "duplicates": ["duplicates"],
    "near-duplicates": ["near-duplicates"],
    "contradictions": ["contradictions"],
    "leakage": ["leakage"],
    ALL: ["all"],
}
FINDS = {"duplicates": "duplicate", "near-duplicates": "near-duplicate", "leakage": "leak", ALL: "duplicate"}
"""The ways that must find the repeated rows, and the code under which they do."""


def one(name: str, path: Path, validation: Path) -> None:
    """Goes one way in this process, and prints what came of it."""
    from ftkit.datasets import check, watches_for
    from ftkit.models import DatasetRules, RecordKind

    rules = DatasetRules(layout="chat", accepts=frozenset({RecordKind.CHAT}), special_tokens=("<|endoftext|>",))
    needs = name in {"leakage", ALL}
    watches = watches_for(WAYS[name], validation=validation if needs else None)
    began = time.process_time()
    report = check(path, rules, watches=watches, processes=1)
    seconds = time.process_time() - began
    found = sum(problem.code == FINDS.get(name) for problem in report.problems)
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mib": mib, "found": found, "rows": report.rows}))


def measured(name: str, path: Path, validation: Path) -> dict[str, float]:
    """Returns the best of some runs, each in a process of its own."""
    command = [sys.executable, __file__, "--one", name, str(path), str(validation)]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(RUNS)]
    return min(runs, key=lambda run: run["seconds"])


def write(path: Path, validation: Path, megabytes: float) -> None:
    """Writes the file, and the validation file, which has the repeated rows."""
    broken = _chat_file.write(path, round(megabytes * 1e6 / _bytes_a_row()))
    with path.open("rb") as file:
        good = (raw for line, raw in enumerate(file, 1) if line not in broken)
        repeated = list(islice(good, REPEATED))
    with path.open("ab") as file:
        file.writelines(repeated)
    validation.write_bytes(b"".join(repeated))


def _bytes_a_row() -> float:
    with tempfile.TemporaryDirectory() as folder:
        _chat_file.write(Path(folder) / "few.jsonl", 1000)
        return (Path(folder) / "few.jsonl").stat().st_size / 1000


def main(megabytes: float) -> None:
    """Writes the file, measures all ways, and prints a table."""
    with tempfile.TemporaryDirectory() as folder:
        path, validation = Path(folder) / "chat.jsonl", Path(folder) / "valid.jsonl"
        write(path, validation, megabytes)
        size = path.stat().st_size / 1e6
        results = {name: measured(name, path, validation) for name in WAYS}
        base = results[ERRORS]
        print(f"{base['rows']:,} rows, {size:,.0f} MB; {os.cpu_count()} cores, of which one is used")
        print("| | MB/s | seconds | times the errors alone | most memory, MiB |")
        print("|---|---|---|---|---|")
        for name, run in results.items():
            ratio = run["seconds"] / base["seconds"]
            print(f"| {name} | {size / run['seconds']:,.0f} | {run['seconds']:.2f} | {ratio:.2f} | {run['mib']:,.0f} |")
    missed = {name: run["found"] for name, run in results.items() if name in FINDS and run["found"] < REPEATED}
    if missed:
        raise SystemExit(f"not all of the {REPEATED} repeated rows were found: {missed}")
    ratios = [results[name]["seconds"] / base["seconds"] for name in (IN_ROWS, ALL)]
    print(f"\nerrors alone : with the default warnings : with all = 1 : {ratios[0]:.2f} : {ratios[1]:.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES)
