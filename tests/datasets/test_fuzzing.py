"""Damaged files of every format: whatever is in them, the reader tells it, and goes on where it can.

`fuzz/fuzz_reader.py` does the same guided by what of the code each file reaches; it needs atheris, and is run by hand.
"""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from converting_records import TAME_OF, WILD_OF
from dataset_files import ANY_KIND, write_csv, write_folder, write_json, write_lines, write_parquet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftkit.datasets import check, read, transcribe
from ftkit.datasets._opening import zstd
from ftkit.errors import FtkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ftkit.models import Report

ROWS = st.sampled_from(sorted(WILD_OF)).flatmap(lambda kind: st.lists(WILD_OF[kind], min_size=1, max_size=4)) | (
    st.sampled_from(sorted(TAME_OF)).flatmap(lambda name: st.lists(TAME_OF[name], min_size=1, max_size=4))
)
TEXTS: Mapping[str, Callable[..., Path]] = {".jsonl": write_lines, ".json": write_json, ".csv": write_csv}
MARKS = ['"', '""', "{", "[", "]", "}", ",", ":", "\n", "\r", "\0", "\ufeff", "NaN", "null", "1e999", "\\ud800", "\\"]
PIECE = st.sampled_from(MARKS).map(str.encode) | st.binary(max_size=4)
PLACE = st.floats(0, 1, exclude_max=True)
EDITS = st.lists(
    st.tuples(st.just("put"), PLACE, PLACE, PIECE)
    | st.tuples(st.sampled_from(["flip", "cut", "repeat", "move", "end", "lengthen"]), PLACE, PLACE, PIECE),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, edits: list[tuple[str, float, float, bytes]], other: bytes) -> bytes:
    """Returns a file after some things happened to it; `other` is one that it may have been mixed up with."""
    for what, one, two, piece in edits:
        first, last = sorted(int(place * len(content)) for place in (one, two))
        part = content[first:last]
        if what == "put":
            content = content[:first] + piece + content[first:]
        elif what == "flip":
            content = (
                content[:first]
                + bytes(byte ^ 1 << first % 8 for byte in content[first : first + 1])
                + content[first + 1 :]
            )
        elif what == "cut":
            content = content[:first] + content[last:]
        elif what == "repeat":
            content = content[:last] + part * 3 + content[last:]
        elif what == "move":
            content = content[:first] + content[last:] + part
        elif what == "end":
            content = content[:first]
        else:
            content = content[:first] + other[int(one * len(other)) :]
    return content


def _looked_over(path: Path, lines: int | None) -> None:
    """Reads a file in every way, and looks at what is said of it.

    Args:
        path: The file.
        lines: How many lines it has; None if that cannot be known.
    """
    report = check(path, ANY_KIND)
    _is_told_well(report, lines)
    try:
        for row in read(path):
            assert (row.record is None) != (row.problem is None)
            assert 1 <= row.line <= (lines or row.line)
    except FtkitError:
        assert report.errors
    for to in ("ftkit", "sharegpt"):
        try:
            transcribe(path, path.with_name("out.json"), to=to)
        except FtkitError:
            assert not path.with_name("out.json").exists()
        else:
            path.with_name("out.json").unlink()


def _is_told_well(report: Report, lines: int | None) -> None:
    for problem in report.problems:
        assert problem.line is None or lines is None or problem.line <= lines
        assert str(problem).isprintable()


def _damaged_text(data: Any, packings: list[str]) -> None:
    suffix, packing = data.draw(st.sampled_from(sorted(TEXTS))), data.draw(st.sampled_from(packings))
    rows, others, edits = data.draw(ROWS), data.draw(ROWS), data.draw(EDITS)
    with TemporaryDirectory() as name:
        path, other = Path(name) / f"rows{suffix}", Path(name) / f"other{suffix}"
        content, mixed = TEXTS[suffix](path, rows).read_bytes(), TEXTS[suffix](other, others).read_bytes()
        path.unlink()
        before = data.draw(st.booleans())  # whether it was packed after it was damaged
        content = damaged(content, edits, mixed) if before or not packing else content
        if packing == ".gz":
            content = gzip.compress(content)
        elif packing == ".zst":
            packed = io.BytesIO()
            with zstd.open(packed, "wb") as file:  # type: ignore[arg-type] # its type says what the library uses
                file.write(content)
            content = packed.getvalue()
        content = content if before or not packing else damaged(content, edits, mixed)
        path = path.with_name(path.name + packing)
        path.write_bytes(content)
        _looked_over(path, _lines(content, packing))


def _lines(content: bytes, packing: str) -> int | None:
    if packing:
        opened: Any = gzip.open if packing == ".gz" else zstd.open
        try:
            with opened(io.BytesIO(content), "rb") as file:
                content = file.read()
        except (OSError, EOFError, zlib.error, zstd.ZstdError):
            return None
    return content.count(b"\n") + 1


QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=80)


@QUICK
@given(data=st.data())
def test_a_damaged_file_of_text_is_told_and_never_crashes_the_reader(data: st.DataObject) -> None:
    _damaged_text(data, ["", "", ".gz", ".zst"])


@pytest.mark.full
@settings(QUICK, max_examples=5_000)
@given(data=st.data())
def test_five_thousand_damaged_files_of_text_do_not_crash_the_reader(data: st.DataObject) -> None:
    _damaged_text(data, ["", "", ".gz", ".zst"])


def _damaged_table(edits: list[tuple[str, float, float, bytes]], *, folder: bool, stream: bool) -> None:
    rows = [{"prompt": f"q{n}", "completion": "a" * n, "tags": [1, None], "inner": {"x": 1.5}} for n in range(20)]
    with TemporaryDirectory() as name:
        path = Path(name) / ("rows" if folder else "rows.parquet")
        if folder:
            write_folder(path, rows, shards=1, stream=stream)
        else:
            write_parquet(path, rows)
        file = next(path.glob("*.arrow")) if folder else path
        content = file.read_bytes()
        file.write_bytes(damaged(content, edits, content[::-1]))
        report = check(path, ANY_KIND)
        _is_told_well(report, report.rows + 1)


@settings(QUICK, max_examples=5)
@given(edits=EDITS, folder=st.booleans(), stream=st.booleans())
def test_a_damaged_table_is_told_and_never_crashes_the_reader(
    edits: list[tuple[str, float, float, bytes]],
    folder: bool,  # noqa: FBT001
    stream: bool,  # noqa: FBT001
) -> None:
    _damaged_table(edits, folder=folder, stream=stream)


@pytest.mark.full
@settings(QUICK, max_examples=150)
@given(edits=EDITS, folder=st.booleans(), stream=st.booleans())
def test_many_damaged_tables_do_not_crash_the_reader(
    edits: list[tuple[str, float, float, bytes]],
    folder: bool,  # noqa: FBT001
    stream: bool,  # noqa: FBT001
) -> None:
    _damaged_table(edits, folder=folder, stream=stream)


@settings(QUICK, max_examples=60)
@given(content=st.binary(max_size=600), suffix=st.sampled_from([*TEXTS, ".jsonl.gz", ".csv.zst", ".tar", ".zip"]))
def test_any_bytes_under_any_name_are_told(content: bytes, suffix: str) -> None:
    with TemporaryDirectory() as name:
        path = Path(name) / f"rows{suffix}"
        path.write_bytes(content)
        _is_told_well(check(path, ANY_KIND), content.count(b"\n") + 1 if suffix in TEXTS else None)
