"""Where the data of a recipe are, and which of their columns is which field of a record."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import datasets
from ftkit.errors import DatasetError
from ftkit.methods import near

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ftkit.recipes.sections import Columns, Data

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_SUFFIXES = (".csv", ".jsonl")
_RESERVED = "autotrain_"
_MAPPING = "data.column_mapping."
_KEY_OF = {
    "chosen": f"{_MAPPING}text_column",
    "rejected": f"{_MAPPING}rejected_text_column",
    "prompt": f"{_MAPPING}prompt_text_column",
    "messages": f"{_MAPPING}text_column",
    "text": f"{_MAPPING}text_column",
}
_TEMPLATES = "tokenizer, chatml or zephyr"


def data_file(data: Data, wrong: list[str]) -> str | None:
    """Returns the file of a recipe's data by AutoTrain's rule; None if they are on the Hub, or something is wrong."""
    assert data.path is not None  # noqa: S101 - what lacks it was refused
    folder, split = Path(data.path), data.train_split
    if folder.is_file():
        fix = f"Write path: {folder.parent} and train_split: {folder.stem}."
        wrong.append(f"data.path: '{folder}' is a file, and a recipe names its folder. {fix}")
    elif folder.is_dir():
        return _in_folder(folder, split or "", wrong)
    elif not _HUB_NAME.fullmatch(data.path):
        here = [path.name for path in Path.cwd().iterdir() if path.is_dir()]
        fix = f"It is looked for from {Path.cwd()}. (A data set on the Hub is written organisation/name.)"
        wrong.append(f"data.path: there is no folder '{data.path}'{near(data.path, here) or '.'} {fix}")
    return None


def _in_folder(folder: Path, split: str, wrong: list[str]) -> str | None:
    places = [folder / f"{split}{suffix}" for suffix in _SUFFIXES]
    there = [str(place) for place in places if place.is_file()]
    if len(there) == 1:
        return there[0]
    if there:
        said = f"there are {there[0]} and {there[1]}. AutoTrain reads the first, and passes over the other"
        wrong.append(f"data.path: {said}. Take one of them away.")
        return None
    stems = sorted({place.stem for place in folder.iterdir() if place.suffix in _SUFFIXES})
    said = f"there is neither {places[0]} nor {places[1]}"
    has = f" The folder has: {', '.join(stems)}." if stems else ""
    wrong.append(f"data.train_split: {said}{near(split, stems) or '.'}{has}")
    return None


def as_mapped(columns: Columns, template: str | None, *, pairs: bool) -> dict[str, str]:
    """Returns which column is which field of a record, as far as a recipe alone tells.

    Args:
        columns: Its section.
        template: The chat template, if there is one.
        pairs: Whether the records are preferences.
    """
    if not pairs:
        return {columns.text_column: "messages" if template else "text"}
    named = {columns.text_column: "chosen", columns.rejected_text_column or "": "rejected"}
    return {**named, columns.prompt_text_column: "prompt"} if columns.prompt_text_column else named


def settle(source: str, mapped: Mapping[str, str], template: str | None, wrong: list[str]) -> dict[str, str]:
    """Returns the columns as the client takes them, after a look at the first row.

    Args:
        source: The data set.
        mapped: What `as_mapped` said.
        template: The chat template, if there is one.
        wrong: Where to tell what does not fit.
    """
    before = len(wrong)
    try:
        row = _first(source, {})
        if row is None:  # the check of all rows, which comes later, tells more of it
            return _but_same(mapped)
        wrong += [
            f"data: the column '{name}' of {source} has a name that AutoTrain keeps for itself. Rename it."
            for name in row
            if name.startswith(_RESERVED)
        ]
        found = {column: field for column, field in mapped.items() if column in row or field != "prompt"}
        wrong += _missing(source, found, row)
        if len(wrong) == before:
            found = _by_value(source, found, row, template, wrong)
        if len(wrong) == before:
            wrong += _misread(source, _but_same(found), found)
    except DatasetError as error:
        wrong += [f"data.path: {problem}" for problem in error.problems]
        return {}
    return _but_same(found)


def _but_same(columns: Mapping[str, str]) -> dict[str, str]:
    """Leaves out what has its name already: the same data under the same names are the same request."""
    return {column: field for column, field in columns.items() if column != field}


def _first(source: str, columns: Mapping[str, str]) -> dict[str, Any] | None:
    row = next(iter(datasets.read(source, columns=columns)), None)
    return None if row is None else row.record


def _missing(source: str, columns: Mapping[str, str], row: Mapping[str, Any]) -> Iterable[str]:
    for column, field in columns.items():
        if column not in row:
            has = f"It has: {', '.join(row)}."
            yield f"{_KEY_OF[field]}: {source} has no column '{column}'{near(column, row) or '.'} {has}"


def _by_value(
    source: str, columns: Mapping[str, str], row: Mapping[str, Any], template: str | None, wrong: list[str]
) -> dict[str, str]:
    """Tells messages from text by what the first row holds, and whether the template goes with it."""
    is_csv = source.endswith(".csv")
    shapes = {column: _shape(row[column], is_csv=is_csv) for column in columns}
    for column, shape in shapes.items():
        if shape == "quoted":
            fix = "Write the list itself into a .jsonl file" + (", or as JSON (json.dumps)." if is_csv else ".")
            wrong.append(f"{_KEY_OF[columns[column]]}: the column '{column}' of {source} is a list as text. {fix}")
    if len(columns) > 1 or "quoted" in shapes.values():
        return dict(columns)
    ((column, shape),) = shapes.items()
    if shape == "messages" and not template:
        wrong.append(
            f"data.chat_template: without one, rows are taken as text, and the column '{column}' of {source} holds "
            f"messages. Write {_TEMPLATES}."
        )
    elif shape == "text" and template:
        wrong.append(
            f"data.chat_template: '{template}' makes text of messages, and the column '{column}' of {source} is text "
            "already. Write null."
        )
    return {column: shape}


def _shape(value: object, *, is_csv: bool) -> str:
    if isinstance(value, list):
        return "messages"
    if not isinstance(value, str) or not value.lstrip().startswith("[{"):
        return "text"
    try:
        json.loads(value)
    except ValueError:
        return "quoted"
    return "messages" if is_csv else "quoted"  # a cell of CSV can hold it in no other way


def _misread(source: str, columns: Mapping[str, str], wanted: Mapping[str, str]) -> Iterable[str]:
    """Tells where other columns of a file would have it read as something else than the recipe means."""
    row = _first(source, columns)
    if row is None:
        return
    try:
        record = datasets.normalise(row)
    except DatasetError:
        return  # the check of all rows tells it, with its line
    field = next(iter(wanted.values()))
    column = next(iter(wanted))
    if field not in record:
        others = ", ".join(name for name in row if name in {*record, "input", "prompt", "completion"})
        fix = "Take those columns out of the file."
        yield f"{_KEY_OF[field]}: beside '{column}', {source} has {others}, which would be read instead. {fix}"
    elif field == "chosen" and isinstance(row["chosen"], list) and record["chosen"][0].get("role") != "assistant":
        said = f"the column of prompts in {source} says something else than the conversations in '{column}' begin with"
        fix = "AutoTrain takes the prompt from these and passes over that column: take it out of the file."
        yield f"{_KEY_OF['prompt']}: {said}. {fix}"
