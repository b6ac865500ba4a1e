from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from dataset_files import chat, records, write_csv, write_folder, write_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftkit.datasets import split
from ftkit.errors import ConfigurationError, DatasetError

if TYPE_CHECKING:
    from pathlib import Path


def numbers(path: Path) -> list[int]:
    return [int(record["text"]) for record in records(path)]


def numbered(path: Path, rows: int) -> Path:
    return write_lines(path, [{"text": str(i)} for i in range(rows)])


@given(rows=st.integers(1, 60), shares=st.lists(st.integers(1, 9), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_parts_are_disjoint_and_whole_and_as_large_as_asked_for(
    tmp_path: Path, rows: int, shares: list[int], seed: int
) -> None:
    source = numbered(tmp_path / "all.jsonl", rows)
    into = {tmp_path / f"{i}.jsonl": share / sum(shares) for i, share in enumerate(shares)}
    if any(abs(share * rows) < 1 for share in into.values()):
        return  # a part of no rows is refused, which another test shows
    counts = split(source, into, seed=seed)
    parts = [numbers(path) for path in into]
    assert sorted(itertools.chain(*parts)) == list(range(rows))
    assert [len(part) for part in parts] == list(counts.values())
    assert all(abs(len(part) - share * rows) <= 1 for part, share in zip(parts, into.values(), strict=True))
    assert all(part == sorted(part) for part in parts)


@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=3), rest=st.integers(0, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_numbers_of_rows_are_exact(tmp_path: Path, sizes: list[int], rest: int) -> None:
    source = numbered(tmp_path / "all.jsonl", sum(sizes) + rest)
    into = {tmp_path / f"{i}.jsonl": size for i, size in enumerate(sizes)}
    assert split(source, into) == into
    drawn = Counter(number for path in into for number in numbers(path))
    assert set(drawn.values()) == {1}
    assert drawn.total() == sum(sizes)


def test_the_same_seed_draws_the_same_rows_on_any_machine(tmp_path: Path) -> None:
    source = numbered(tmp_path / "all.jsonl", 1000)
    split(source, {tmp_path / "a.jsonl": 0.5, tmp_path / "b.jsonl": 3}, seed=7)
    assert numbers(tmp_path / "b.jsonl") == GOLDEN_THREE
    assert hashlib.sha256((tmp_path / "a.jsonl").read_bytes()).hexdigest() == GOLDEN_HALF


GOLDEN_THREE = [74, 515, 765]
GOLDEN_HALF = "426bd84ea585716ee5c8df7be417b0fecfd57c1ff5c539712f018ac9ef4c5aa2"


def test_another_seed_draws_other_rows(tmp_path: Path) -> None:
    source = numbered(tmp_path / "all.jsonl", 100)
    split(source, {tmp_path / "a.jsonl": 50}, seed=1)
    split(source, {tmp_path / "b.jsonl": 50}, seed=2)
    assert numbers(tmp_path / "a.jsonl") != numbers(tmp_path / "b.jsonl")


def test_every_row_is_as_likely_as_any_other(tmp_path: Path) -> None:
    source, drawn = numbered(tmp_path / "all.jsonl", 10), Counter[int]()
    for seed in range(400):
        split(source, {tmp_path / "a.jsonl": 5}, seed=seed)
        drawn.update(numbers(tmp_path / "a.jsonl"))
    assert all(150 < drawn[row] < 250 for row in range(10))  # five standard deviations about 200


def test_shares_and_numbers_go_together(tmp_path: Path) -> None:
    source = numbered(tmp_path / "all.jsonl", 10)
    counts = split(source, {tmp_path / "a.jsonl": 0.7, tmp_path / "b.jsonl": 2, tmp_path / "c.jsonl": 0.1})
    assert list(counts.values()) == [7, 2, 1]


def test_seven_two_and_one_tenths_leave_no_row_over(tmp_path: Path) -> None:
    source = numbered(tmp_path / "all.jsonl", 999)
    counts = split(source, {tmp_path / "a.jsonl": 0.7, tmp_path / "b.jsonl": 0.2, tmp_path / "c.jsonl": 0.1})
    assert sum(counts.values()) == 999


def test_one_is_a_row_and_one_point_nought_is_all(tmp_path: Path) -> None:
    source = numbered(tmp_path / "all.jsonl", 5)
    assert split(source, {tmp_path / "a.jsonl": 1}) == {tmp_path / "a.jsonl": 1}
    assert split(source, {tmp_path / "a.jsonl": 1.0}) == {tmp_path / "a.jsonl": 5}


def test_every_format_is_split_into_canonical_lines(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "all.csv", [{"question": "q", "answer": "a", "id": "1"}])
    split(table, {str(tmp_path / "a.jsonl"): 1}, columns={"question": "prompt", "answer": "completion"})
    assert (tmp_path / "a.jsonl").read_text() == '{"prompt":"q","completion":"a"}\n'
    folder = write_folder(tmp_path / "saved", [chat("a"), chat("b")])
    split(folder, {tmp_path / "b.jsonl": 2})
    assert records(tmp_path / "b.jsonl") == [chat("a"), chat("b")]


@pytest.mark.parametrize(
    "demands", [{}, {"a": 0}, {"a": -1}, {"a": 0.0}, {"a": 1.1}, {"a": float("nan")}, {"a": True}, {"a": 0.6, "b": 0.5}]
)
def test_demands_that_make_no_sense_are_refused(demands: dict[str, float], tmp_path: Path) -> None:
    source = numbered(tmp_path / "all.jsonl", 10)
    with pytest.raises(ConfigurationError):
        split(source, {tmp_path / f"{name}.jsonl": demand for name, demand in demands.items()})
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]


@pytest.mark.parametrize("demands", [{"a": 11}, {"a": 6, "b": 5}, {"a": 0.6, "b": 5}, {"a": 0.01}])
def test_more_rows_than_there_are_cannot_be_had(demands: dict[str, float], tmp_path: Path) -> None:
    source = numbered(tmp_path / "all.jsonl", 10)
    with pytest.raises(DatasetError, match="10 rows") as caught:
        split(source, {tmp_path / f"{name}.jsonl": demand for name, demand in demands.items()})
    assert [problem.code for problem in caught.value.problems] == ["too-few-rows"]
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    source = numbered(tmp_path / "all.jsonl", 10)
    before = source.read_bytes()
    with pytest.raises(ConfigurationError, match="itself"):
        split(source, {tmp_path / "a.jsonl": 1, source: 2})
    assert source.read_bytes() == before


def test_one_file_cannot_be_two_parts(tmp_path: Path) -> None:
    source = numbered(tmp_path / "all.jsonl", 10)
    with pytest.raises(ConfigurationError, match="twice"):
        split(source, {tmp_path / "a.jsonl": 1, str(tmp_path / "a.jsonl"): 2})


def test_a_row_that_cannot_be_read_stops_a_split(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "all.jsonl", [{"text": "a"}, "{", {"x": 1}, chat(), {"text": "b"}])
    with pytest.raises(DatasetError) as caught:
        split(source, {tmp_path / "a.jsonl": 1})
    found = [(problem.line, problem.code) for problem in caught.value.problems]
    assert found == [(2, "bad-json"), (3, "unknown-kind"), (4, "mixed-kinds")]
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]
