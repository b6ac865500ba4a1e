# ruff: noqa: INP001 - it is run by hand
"""Looks for a file that the reader crashes on, guided by what of its code each file reaches.

    pip install atheris                                    # Linux, and macOS with a clang of LLVM's own
    python fuzz/fuzz_reader.py -max_total_time=600         # seconds; without it, until something is found

What comes after the name goes to libFuzzer, folders with files to begin with among it. The first byte of an input says
what the file is called, and the rest is the file. Tables are decoded in a process of their own, where this sees
nothing: `tests/datasets/test_fuzzing.py` damages those. An input that something is wrong with is left as `crash-...`
where this was started; `python fuzz/fuzz_reader.py crash-...` reads it again.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ftkit.datasets"]):
    from ftkit.datasets import check
    from ftkit.datasets.records import FIELD_NAMES

from ftkit.errors import FtkitError
from ftkit.models import DatasetRules, RecordKind

SUFFIXES = (".jsonl", ".json", ".csv", ".jsonl.gz", ".json.gz", ".csv.gz")
RULES = DatasetRules(layout="ftkit", accepts=frozenset(RecordKind))
_MEMORY = Path("/dev/shm")  # noqa: S108 - the file is written a thousand times a second
_CALL = {"name": "add", "arguments": {"x": 1.5}}
_ASKED, _SAID = {"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4", "weight": 1}
SEEDS = (
    {"messages": [{"role": "system", "content": "é"}, _ASKED, _SAID], "tools": [{"type": "function"}]},
    {"prompt": "2 + 2?", "completion": "4"},
    {"prompt": [_ASKED], "completion": [_SAID]},
    {"prompt": [_ASKED], "chosen": [_SAID], "rejected": "5"},
    {"chosen": [_ASKED, _SAID], "rejected": [_ASKED, {"role": "assistant", "content": None, "tool_calls": []}]},
    {"input": {"messages": [_ASKED]}, "preferred_output": [_SAID], "non_preferred_output": [_SAID]},
    {"text": "\ud83d\ude42 \u2028"},
    {"conversations": [{"from": "human", "value": "2?"}, {"from": "function_call", "value": json.dumps(_CALL)}]},
    {"conversations": [{"from": "human", "value": "2?"}], "chosen": {"from": "gpt", "value": "4"}, "rejected": {}},
    {"instruction": "Add.", "input": "2 and 2", "output": "4", "system": "Sums.", "history": [["1 + 1?", "2"]]},
)


def one_input(data: bytes) -> None:
    """Reads one file, and raises if what is said of it cannot be right."""
    if not data:
        return
    content = data[1:]
    _FILE.suffix = SUFFIXES[data[0] % len(SUFFIXES)]
    path = _FILE.path
    path.write_bytes(content)
    try:
        report = check(path, RULES)
    except FtkitError:
        return
    text = content if path.suffix != ".gz" else _unpacked(content)
    lines = text.count(b"\n") + 1
    for problem in report.problems:
        if problem.line is not None and text and problem.line > lines:
            raise AssertionError(f"line {problem.line} of a file of {lines}: {problem}")
        if not str(problem).isprintable():
            raise AssertionError(f"not fit to be printed: {problem!r}")


class _File:
    """The file that is read: one for each suffix, in a folder that is removed at the end."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
        self.suffix = ".jsonl"

    @property
    def path(self) -> Path:
        return Path(self._folder.name) / f"rows{self.suffix}"


_FILE = _File()


def _unpacked(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return b""  # then no line of it can be counted


def _seeds(folder: Path) -> None:
    """Writes files that are right, in every form and format, to begin with."""
    for n, row in enumerate(SEEDS):
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()
        cells = [cell if isinstance(cell, str) else json.dumps(cell) for cell in row.values()]
        quoted = [f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in cells]
        csv = f"{','.join(row)}\n{','.join(quoted)}\n".encode("utf-8", "replace")
        for kind, content in enumerate((line + b"\n" + line, b"[" + line + b"]", csv)):
            (folder / f"{n}-{kind}").write_bytes(bytes([kind]) + content)
            (folder / f"{n}-{kind}-gz").write_bytes(bytes([kind + 3]) + gzip.compress(content))


def _words(path: Path) -> None:
    """Writes the dictionary: the names and marks that inputs are put together from."""
    marks = ["{", "}", "[", "]", ":", ",", "null", "true", "NaN", "1e999", "\\\\ud83d", "\\\\u0000", "\\xef\\xbb\\xbf"]
    names = sorted(FIELD_NAMES | {"role", "content", "weight", "tool_calls", "from", "value", "user", "gpt"})
    path.write_text("".join(f'"{word}"\n' for word in [*marks, *(f'\\"{name}\\"' for name in names)]))


def main() -> None:
    """Fuzzes until the time is over, or something is found."""
    with tempfile.TemporaryDirectory() as folder:
        seeds, words = Path(folder) / "seeds", Path(folder) / "words"
        seeds.mkdir()
        _seeds(seeds)
        _words(words)
        is_again = any(Path(argument).is_file() for argument in sys.argv[1:])
        more = [] if is_again else [f"-dict={words}", "-max_len=4096", str(seeds)]
        atheris.Setup([*sys.argv, *more], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
