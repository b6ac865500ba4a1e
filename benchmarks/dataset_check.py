"""A million chat rows, about a gigabyte, looked over by ftkit and by what one might take in its place.

    python benchmarks/dataset_check.py [ROWS]

Every contender runs in a process of its own, on the same file, which is in memory by then; the quick ones three times,
of which the best counts. Each says which lines it holds for broken, and that is compared with what was broken when the
file was written. Fails if ftkit misses a line, accuses one wrongly, or tells another report with two processes.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import _chat_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS = 1_000_000
ROLES = {"system", "user", "assistant", "developer", "tool"}
BLOCK = 1 << 17
COOKBOOK = "a loop like the cookbook's"


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the lines of a file, with their numbers."""
    with path.open("rb") as file:
        yield from enumerate(file, start=1)


def ftkit(path: Path, processes: int | None) -> list[int]:
    """Looks for every error, by the rules of OpenAI's chat files but for their size."""
    from ftkit.datasets import check
    from ftkit.models import DatasetRules, RecordKind

    rules = DatasetRules(layout="chat", accepts=frozenset({RecordKind.CHAT}), special_tokens=("<|endoftext|>",))
    report = check(path, rules, processes=processes)
    return [problem.line for problem in report.errors if problem.line is not None]


def plain_loop(path: Path) -> list[int]:
    """The loop that tutorials have: `json.loads`, and a look at each message."""
    return [line for line, raw in lines(path) if _is_broken(json.loads, raw)]


def orjson_loop(path: Path) -> list[int]:
    """The same loop with orjson."""
    import orjson

    return [line for line, raw in lines(path) if _is_broken(orjson.loads, raw)]


def _is_broken(loads: Callable[[bytes], Any], raw: bytes) -> bool:
    try:
        row = loads(raw)
    except ValueError:
        return True
    if not isinstance(row, dict) or not isinstance(row.get("messages"), list) or not row["messages"]:
        return True
    is_answered = False
    for message in row["messages"]:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            return True
        if not isinstance(message.get("content"), str) or message.get("weight", 1) not in {0, 1}:
            return True
        if not message.keys() <= {"role", "content", "name", "weight"}:
            return True
        is_answered |= message["role"] == "assistant"
    return not is_answered


def _msgspec_row() -> Any:  # noqa: ANN401 - a type made at run time
    import msgspec

    role = Literal["system", "user", "assistant", "developer", "tool"]
    message = msgspec.defstruct("Message", [("role", role), ("content", str), ("weight", Literal[0, 1], 1)])
    return msgspec.defstruct("Row", [("messages", list[message])])


def msgspec_lines(path: Path) -> list[int]:
    """Typed decoding by msgspec, line by line: roles and types, and nothing else."""
    import msgspec

    decode, broken = msgspec.json.Decoder(_msgspec_row()).decode, []
    for line, raw in lines(path):
        try:
            decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            broken.append(line)
    return broken


def msgspec_blocks(path: Path, start: int = 0, end: int | None = None) -> list[int]:
    """The same, many lines at once; a block with a broken row line by line. The lines are those of the part."""
    import msgspec

    decoder, broken, line = msgspec.json.Decoder(_msgspec_row()), [], 0
    for block in _blocks(path, start, end or path.stat().st_size):
        try:
            decoder.decode_lines(block)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            for number, raw in enumerate(block.splitlines(), start=line + 1):
                try:
                    decoder.decode(raw)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    broken.append(number)
        line += block.count(b"\n")
    return broken


def _blocks(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        if start:
            file.readline()
        while file.tell() < end and (block := file.read(min(BLOCK, end - file.tell()))):
            yield block + file.readline()


def msgspec_two(path: Path) -> list[int]:
    """The same by two processes, each of which has half of the file. Which line it is of the whole is not told."""
    half = path.stat().st_size // 2
    parts = [
        subprocess.Popen([sys.executable, __file__, "--half", str(path), str(start), str(end)], stdout=subprocess.PIPE)
        for start, end in ((0, half), (half, 2 * half + 1))
    ]
    return [line for part in parts for line in json.loads(part.communicate()[0])]


def pydantic_lines(path: Path) -> list[int]:
    """Models of pydantic, line by line."""
    from pydantic import BaseModel, ConfigDict, ValidationError

    class Message(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        role: Literal["system", "user", "assistant", "developer", "tool"]
        content: str
        weight: Literal[0, 1] = 1

    class Row(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        messages: list[Message]

    Row.model_rebuild(_types_namespace={"Message": Message})
    broken = []
    for line, raw in lines(path):
        try:
            Row.model_validate_json(raw)
        except ValidationError:
            broken.append(line)
    return broken


def hugging_face(path: Path) -> list[int]:
    """`datasets`, which ends at a row that is no JSON or has other types: it gets only what all rows have."""
    import datasets

    with tempfile.TemporaryDirectory() as cache:
        rows = datasets.load_dataset("json", data_files=str(path), cache_dir=cache, split="train")
        bad = rows.filter(
            lambda batch: [not m or m[-1]["role"] != "assistant" for m in batch["messages"]],
            batched=True,
            load_from_cache_file=False,
        )
        return list(range(len(bad)))


CONTENDERS: dict[str, tuple[Callable[[Path], list[int]], int]] = {
    "ftkit, one process": (lambda path: ftkit(path, 1), 3),
    "ftkit, as many as cores": (lambda path: ftkit(path, None), 3),
    "msgspec alone, line by line": (msgspec_lines, 3),
    "msgspec alone, in blocks": (msgspec_blocks, 3),
    "msgspec alone, in blocks, two processes": (msgspec_two, 3),
    "pydantic": (pydantic_lines, 1),
    "orjson and checks in Python": (orjson_loop, 1),
    COOKBOOK: (plain_loop, 1),
    "Hugging Face datasets": (hugging_face, 1),
}
"""What is measured, and how often."""


def one(name: str, path: Path) -> None:
    """Runs a contender in this process, and prints what came of it."""
    run, _ = CONTENDERS[name]
    with tempfile.TemporaryDirectory() as folder, path.open("rb") as file:
        few = Path(folder) / "few.jsonl"
        few.write_bytes(b"".join(file.readline() for _ in range(20)))
        run(few)  # so that nothing is imported while it is timed
    began = time.perf_counter()
    found = run(path)
    seconds = time.perf_counter() - began
    peak = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"seconds": seconds, "mib": max(peak), "found": found}))


def measured(name: str, path: Path) -> dict[str, Any]:
    """Returns the best of some runs, each in a process of its own."""
    command = [sys.executable, __file__, "--one", name, str(path)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout.splitlines()[-1])
        for _ in range(CONTENDERS[name][1])
    ]
    return min(runs, key=lambda run: run["seconds"])


def main(rows: int) -> None:
    """Writes the file, measures all, and prints a table."""
    with tempfile.TemporaryDirectory() as folder:
        path, clean = Path(folder) / "chat.jsonl", Path(folder) / "clean.jsonl"
        print(f"writing {rows:,} rows ...", file=sys.stderr)
        broken = _chat_file.write(path, rows)
        with clean.open("wb") as file:
            file.writelines(raw for line, raw in lines(path) if line not in broken and b'"weight"' not in raw)
        megabytes = path.stat().st_size / 1e6
        print(f"{rows:,} rows, {megabytes:,.0f} MB, {len(broken):,} broken; {os.cpu_count()} cores")
        print("| | MB/s | seconds | most memory of a process, MiB | broken rows found | missed | wrongly accused |")
        print("|---|---|---|---|---|---|---|")
        results = {}
        for name in CONTENDERS:
            uses = clean if name == "Hugging Face datasets" else path
            results[name] = measured(name, uses)
            print(_line(name, results[name], megabytes, broken), flush=True)
    _sum_up(results, megabytes, broken)


def _line(name: str, result: dict[str, Any], megabytes: float, broken: dict[int, str]) -> str:
    found = set(result["found"])
    if name in {"Hugging Face datasets", "msgspec alone, in blocks, two processes"}:
        lines_told = f"{len(found):,} | | "  # it cannot tell which lines of the file they are
    else:
        lines_told = f"{len(found & broken.keys()):,} | {len(broken.keys() - found):,} | {len(found - broken.keys()):,}"
    speed = megabytes / result["seconds"]
    return f"| {name} | {speed:,.0f} | {result['seconds']:.2f} | {result['mib']:,.0f} | {lines_told} |"


def _sum_up(results: dict[str, Any], megabytes: float, broken: dict[int, str]) -> None:
    alone, shared = results["ftkit, one process"], results["ftkit, as many as cores"]
    if alone["found"] != sorted(broken) or shared["found"] != alone["found"]:
        sys.exit("ftkit did not find exactly the rows that are broken")
    times = {name: result["seconds"] / alone["seconds"] for name, result in results.items()}
    print(
        f"ftkit finds all {len(broken):,} at {megabytes / alone['seconds']:,.0f} MB/s on one core: "
        f"{times['msgspec alone, line by line']:.2f} times bare msgspec line by line, "
        f"{times['msgspec alone, in blocks']:.2f} times in blocks, "
        f"{times[COOKBOOK]:.1f} times the cookbook's loop; "
        f"with all cores {alone['seconds'] / shared['seconds']:.2f} times that"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]))
    elif sys.argv[1:2] == ["--half"]:
        print(json.dumps(msgspec_blocks(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
