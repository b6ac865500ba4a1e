"""Texts packed with gzip or zstd are read as they are, and no further than they are worth."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from backports import zstd
from dataset_files import ANY_KIND, CHAT, chat, write_csv, write_json, write_lines
from hostile_files import MB
from measured import measured

from ftkit.datasets import _limits, check, prepare, read, source_hash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".zst": zstd.compress}
ROWS: list[dict[str, Any]] = [chat(f"{n} + 1?", str(n + 1)) for n in range(40)]
TEXTS: list[dict[str, Any]] = [{"prompt": str(n), "completion": f"é,\n{n}"} for n in range(40)]


def packed(path: Path, suffix: str) -> Path:
    target = path.with_name(path.name + suffix)
    target.write_bytes(PACK[suffix](path.read_bytes()))
    return target


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("write", [write_lines, write_json, write_csv], ids=["jsonl", "json", "csv"])
def test_rows_are_those_of_the_file_within(write: Callable[[Path, Any], Path], suffix: str, tmp_path: Path) -> None:
    name = {"write_lines": "a.jsonl", "write_json": "a.json", "write_csv": "a.csv"}[write.__name__]
    path = write(tmp_path / name, TEXTS)
    assert list(read(packed(path, suffix))) == [row._replace(problem=None) for row in read(path)]
    assert check(packed(path, suffix), ANY_KIND).rows == len(TEXTS)


@pytest.mark.parametrize("suffix", PACK)
def test_a_packed_file_is_written_as_the_one_within(suffix: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", ROWS)
    prepare(path, CHAT, tmp_path / "plain.jsonl")
    prepare(packed(path, suffix), CHAT, tmp_path / "packed.jsonl")
    assert (tmp_path / "packed.jsonl").read_bytes() == (tmp_path / "plain.jsonl").read_bytes()
    assert source_hash(packed(path, suffix)) != source_hash(path), "what is hashed is the file that is there"


def test_several_files_packed_one_after_the_other_are_one(tmp_path: Path) -> None:
    line = json.dumps(ROWS[0]).encode() + b"\n"
    for suffix, pack in PACK.items():
        path = tmp_path / f"a.jsonl{suffix}"
        path.write_bytes(pack(line) + pack(line))
        assert check(path, CHAT).rows == 2


@pytest.mark.parametrize("suffix", PACK)
def test_what_was_cut_off_is_told_where_it_ends(suffix: str, tmp_path: Path) -> None:
    path = packed(write_lines(tmp_path / "a.jsonl", [chat("x" * 50_000, f"{n}") for n in range(40)]), suffix)
    path.write_bytes(path.read_bytes()[:-5])
    report = check(path, CHAT)
    assert [problem.code for problem in report.errors][-1] == "unreadable-file"
    assert "cut off" in (report.errors[-1].fix or "")


def test_what_is_damaged_from_its_first_byte_on_is_told(tmp_path: Path) -> None:
    for suffix, pack in PACK.items():
        path = tmp_path / f"a.jsonl{suffix}"
        path.write_bytes(pack(b"x" * 1000)[:6])
        assert [problem.code for problem in check(path, CHAT).errors] == ["unreadable-file"]


def test_a_file_does_not_unpack_to_more_than_it_is_worth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_limits, "MOST_UNPACKED", 1000)
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstd.compress(json.dumps(ROWS[0]).encode() * 10_000 + b"\n"))
    (problem,) = check(path, CHAT).errors
    assert problem.code == "unpacks-to-too-much"
    assert "200 times" in problem.message


@pytest.mark.full
@pytest.mark.parametrize("suffix", PACK)
def test_a_bomb_takes_no_memory(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(PACK[suffix](b"x" * (2000 * MB)))
    found = measured(path, timeout_s=120)
    assert [code for code, _ in found.problems][-1] == "unpacks-to-too-much"
    assert found.peak < _limits.LONGEST_ROW + 32 * MB, "one row is held as far as it may be long"
