"""Data that nobody means well with: lines, cells, packed files, tables and folders."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import json
import lzma
import os
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

from dataset_files import chat, write_lines, write_parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

MB = 2**20
GOOD = json.dumps(chat()).encode()
WRONG = json.dumps({"messages": [{"role": "bot", "content": "4"}]}).encode()
"""A row that can be read, and of which the rules have something to say: so it is seen whether it was looked at."""


def talk(content: bytes, beside: bytes = b"") -> bytes:
    """Returns a line whose answer is some JSON, with more in the row beside it."""
    start = b'{"messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": '
    return start + content + b"}]" + beside + b"}"


def _tool(parameters: bytes) -> bytes:
    return talk(
        b'"4"', b', "tools": [{"type": "function", "function": {"name": "f", "parameters": ' + parameters + b"}}]"
    )


LINES: Mapping[str, tuple[bytes, str]] = {
    "100,000 lists deep": (talk(b"[" * 100_000 + b"]" * 100_000), "bad-json"),
    "100,000 objects deep": (talk(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "bad-json"),
    "100,000 deep and no end": (b'{"messages": ' + b"[" * 100_000, "bad-json"),
    "deep in a tool": (_tool(b'{"a":' * 5000 + b"1" + b"}" * 5000), "bad-json"),
    "a high surrogate alone": (talk(rb'"\ud83d"'), "bad-encoding"),
    "a low surrogate alone": (talk(rb'"\uDE42"'), "bad-encoding"),
    "the pair in the wrong order": (talk(rb'"\ude42\ud83d"'), "bad-encoding"),
    "a surrogate in a key": (talk(b'"4"', rb', "\ud83d": 1'), "bad-encoding"),
    "a surrogate as UTF-8": (talk(b'"\xed\xa0\xbd"'), "bad-encoding"),
    "an overlong slash": (talk(b'"\xc0\xaf"'), "bad-encoding"),
    "a character cut in two": (talk(b'"\xf0\x9f\x99"'), "bad-encoding"),
    "Latin-1": (talk('"Grüße"'.encode("latin-1")), "bad-encoding"),
    "NUL in a text": (talk(b'"a\0b"'), "bad-encoding"),
    "NUL and nothing else": (b"\0" * 4096, "bad-encoding"),
    "NUL after the row": (GOOD + b"\0\0", "bad-encoding"),
    "a line break in a text": (talk(b'"a\rb"'), "bad-json"),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, "bad-json"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "bad-encoding"),
    "a key twice": (b'{"messages": [], "messages": ' + GOOD[len(b'{"messages": ') :], "duplicate-key"),
    "a key twice inside": (b'{"messages": [{"role": "user", "role": "assistant", "content": "4"}]}', "duplicate-key"),
    "a key twice, once escaped": (talk(b'"4"', rb', "a": 1, "\u0061": 2'), "duplicate-key"),
    "NaN": (_tool(b'{"x": NaN}'), "not-finite"),
    "Infinity": (_tool(b'{"x": Infinity}'), "not-finite"),
    "-Infinity": (talk(b'"4"', b', "score": -Infinity'), "not-finite"),
    "1e999": (_tool(b'{"x": 1e999}'), "not-finite"),
    "a number without an end": (talk(b'"4"', b', "n": ' + b"9" * 10_000_000), "bad-json"),
    "digits without an end": (_tool(b'{"x": 0.' + b"1" * 10_000_000 + b"}"), "bad-json"),
    "an exponent without an end": (_tool(b'{"x": 1e-' + b"9" * 4000 + b"}"), "bad-json"),
    "400 digits after the point": (_tool(b'{"x": 0.' + b"3" * 400 + b"}"), "not-json"),
    "less than the smallest float": (_tool(b'{"x": 1e-400}'), "not-json"),
    "a million lists": (_tool(b"[" + b"[]," * 500_000 + b"1]"), "row-too-long"),
    "a million texts": (talk(b'"4"', b', "x": [' + b'"",' * 500_000 + b"1]"), "row-too-long"),
    "a million keys": (b"{" + b",".join(b'"%d":1' % n for n in range(500_001)) + b"}", "row-too-long"),
    "Python": (b"{'messages': []}", "bad-json"),
    "pickle": (b"\x80\x04\x95\x10\x00", "bad-encoding"),
    "two rows": (GOOD + GOOD, "bad-json"),
}
"""Lines with something wrong, and what it is called."""


# -- large files, written as holes where that will do ------------------------------------------------------------------


def write_long(path: Path, before: bytes, size: int, after: bytes, *, fill: bytes = b"") -> Path:
    """Writes a file with one long run of a byte in the middle; by default it is a hole, which takes no room."""
    with path.open("wb") as file:
        file.write(before)
        for first in range(0, size if fill else 0, MB):
            file.write(fill * min(MB, size - first))
        file.truncate(len(before) + size)
        file.seek(0, os.SEEK_END)
        file.write(after)
    return path


def long_line(path: Path, size: int, fill: bytes = b"") -> Path:
    """Writes JSON lines of which the second is long, and the third is wrong."""
    return write_long(path, GOOD + b'\n{"text": "', size, b'"}\n' + WRONG + b"\n", fill=fill)


def long_cell(path: Path, size: int, fill: bytes = b"") -> Path:
    """Writes CSV: on line 4 begins a row that is too long, and goes on to line 6; line 7 is wrong."""
    cell = json.dumps(chat()["messages"]).replace('"', '""')
    wrong = json.dumps([{"role": "bot", "content": "4"}]).replace('"', '""')
    good = f'"{cell}"\n'.encode()
    return write_long(path, b"messages\n" + good + good + b'"\n', size, b'""\n"\n' + f'"{wrong}"\n'.encode(), fill=fill)


def long_element(path: Path, size: int, fill: bytes = b"") -> Path:
    """Writes a JSON array on one line, of which the second element is long, and the third is wrong."""
    return write_long(path, b"[" + GOOD + b', {"text": "', size, b'\\""}, ' + WRONG + b"]", fill=fill)


def endless_row(path: Path, size: int) -> Path:
    """Writes CSV with a row of many cells with line breaks, and then a row that is wrong."""
    cell = b'"' + b"a" * 1000 + b'\n",'
    with path.open("wb") as file:
        file.write(b"text\ngood\n")
        for _ in range(size // MB):
            file.write(cell * (MB // len(cell)))
        file.write(b"x\nb,c\n")
    return path


# -- packed files ------------------------------------------------------------------------------------------------------


def _zip(content: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.jsonl", content)
    return held.getvalue()


def _tar(content: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        entry = tarfile.TarInfo("train.jsonl")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return held.getvalue()


PACK: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": _zip,
    ".tar": _tar,
    ".zst": lambda content: b"\x28\xb5\x2f\xfd" + content[:99],  # which is enough to be known by
    ".7z": lambda content: b"7z\xbc\xaf\x27\x1c" + content[:99],
}
UNPACKED_BY = {
    ".gz": ("gzip", "gzip -dc <"),
    ".bz2": ("bzip2", "bzip2 -dc <"),
    ".xz": ("xz", "xz -dc <"),
    ".zip": ("zip", "unzip"),
    ".tar": ("tar", "tar -xf"),
    ".zst": ("zstd", "zstd -dc <"),
    ".7z": ("7-Zip", "7z x"),
}
"""What such a file is called, and what unpacks it."""


# -- tables ------------------------------------------------------------------------------------------------------------

arrow: Any = importlib.import_module("pyarrow")
parquet: Any = importlib.import_module("pyarrow.parquet")


def _table(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    parquet.write_table(arrow.table(columns), path, compression="zstd", **options)
    return path


def _texts(text: str, times: int) -> Any:
    return arrow.DictionaryArray.from_arrays(arrow.array([0] * times, arrow.int32()), [text])


def packed_page(path: Path, size: int) -> Path:
    """Three rows, of which the second is one long text, packed to next to nothing."""
    return _table(path, {"text": ["good", "x" * size, "good"]}, use_dictionary=False)


def one_text_for_all(path: Path, size: int) -> Path:
    """Rows that are all the same megabyte, which is written once."""
    return _table(path, {"text": _texts("y" * MB, size // MB)}, dictionary_pagesize_limit=4 * MB)


def one_text_for_a_list(path: Path, size: int) -> Path:
    """One row that is a list of the same megabyte."""
    inner = _texts("y" * MB, size // MB)
    listed = arrow.ListArray.from_arrays(arrow.array([0, len(inner)], arrow.int32()), inner)
    return _table(path, {"text": listed}, dictionary_pagesize_limit=4 * MB)


def list_of_nothing(path: Path, size: int) -> Path:
    """One row that is a list of nulls, of which Parquet writes the number."""
    times = size // 8
    return _table(
        path, {"text": arrow.ListArray.from_arrays(arrow.array([0, times], arrow.int32()), arrow.nulls(times))}
    )


def rows_of_nothing(path: Path, size: int) -> Path:
    """Rows without anything in them."""
    return _table(path, {"text": arrow.nulls(size // 8)})


BOMBS = (packed_page, one_text_for_all, one_text_for_a_list, list_of_nothing, rows_of_nothing)


def deep_table(path: Path, depth: int) -> Path:
    """A column of structs in structs."""
    inner = arrow.array(["x"])
    for _ in range(depth):
        inner = arrow.StructArray.from_arrays([inner], ["a"])
    return _table(path, {"text": inner})


# -- folders -----------------------------------------------------------------------------------------------------------


def folder_of(path: Path, **files: bytes) -> Path:
    """Writes a folder; in the names, "__" stands for a dot."""
    path.mkdir()
    for name, content in files.items():
        (path / name.replace("__", ".")).write_bytes(content)
    return path


def arrow_folder(path: Path, batch: Any, *, times: int = 1, **options: Any) -> Path:
    """Writes a folder as `datasets` has them, of one stream."""
    folder_of(path, state__json=b'{"_data_files": [{"filename": "data.arrow"}]}')
    with arrow.ipc.new_stream(str(path / "data.arrow"), batch.schema, **options) as stream:
        for _ in range(times):
            stream.write_batch(batch)
    return path


def wrong_offsets(path: Path) -> Path:
    """Texts that are said to lie a gigabyte after the end of the file."""
    arrow_folder(path, arrow.RecordBatch.from_arrays([arrow.array(["good", "goo", "go"])], ["text"]))
    data = path / "data.arrow"
    right, wrong = struct.pack("<4i", 0, 4, 7, 9), struct.pack("<4i", 0, 4, 2**30, 2**31 - 1)
    assert data.read_bytes().count(right) == 1
    data.write_bytes(data.read_bytes().replace(right, wrong))
    return path


def packed_batch(path: Path, size: int) -> Path:
    """An Arrow stream whose one batch is packed, which `datasets` never does."""
    batch = arrow.RecordBatch.from_arrays([arrow.array(["good", "x" * size, "good"])], ["text"])
    return arrow_folder(path, batch, options=arrow.ipc.IpcWriteOptions(compression="zstd"))


def no_columns(path: Path) -> Path:
    """Rows by the billion in a batch without a byte."""
    arrow_folder(path, arrow.RecordBatch.from_arrays([arrow.nulls(474747)], ["text"]))
    data, length = path / "data.arrow", struct.pack("<q", 474747)
    assert length in data.read_bytes()
    data.write_bytes(data.read_bytes().replace(length, struct.pack("<q", 2**40)))
    return path


def small_files(folder: Path) -> Iterable[Path]:
    """Writes one hostile file of each sort that is quickly read."""
    for number, (line, _) in enumerate(LINES.values()):
        if len(line) < MB:
            yield write_lines(folder / f"line-{number}.jsonl", [GOOD, line, WRONG])
    for suffix, pack in PACK.items():
        (folder / f"named{suffix}").write_bytes(pack(GOOD))
        (folder / f"hidden{suffix}.jsonl").write_bytes(pack(GOOD))
        yield from (folder / f"named{suffix}", folder / f"hidden{suffix}.jsonl")
    yield wrong_offsets(folder / "wrong-offsets")
    yield deep_table(folder / "deep.parquet", 300)
    torn = write_parquet(folder / "torn.parquet", [chat()])
    torn.write_bytes(torn.read_bytes()[:-100])
    yield torn
