"""From the file to a `Recipe`. Each key is used, translated, or refused by its name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar, cast

from ftkit.errors import ConfigurationError
from ftkit.methods import near
from ftkit.models import counted
from ftkit.providers.autotrain.backends import LOCAL
from ftkit.recipes.columns import as_mapped, data_file, settle
from ftkit.recipes.document import fill, read_document
from ftkit.recipes.keys import drop_keys, parse_keys
from ftkit.recipes.parameters import METHODS, OF_ADAPTERS, OF_VALIDATION, PAIRS, method_of, options_of, unused
from ftkit.recipes.recipe import Recipe, unsent
from ftkit.recipes.sections import Columns, Data, Hub, Params, Top, read_section

_TASKS = {"llm": None, "lm_training": None, **{f"llm-{trainer}": trainer for trainer in METHODS}}
_NEEDED = ("task", "base_model", "project_name", "backend", "data")
_NEEDED_OF_DATA = ("path", "train_split", "column_mapping")
_ELSEWHERE = {
    "model": "base_model",
    "project_name": "project_name",
    "log": "log",
    "data_path": "data.path",
    "train_split": "data.train_split",
    "valid_split": "data.valid_split",
    "chat_template": "data.chat_template",
    "text_column": "data.column_mapping.text_column",
    "rejected_text_column": "data.column_mapping.rejected_text_column",
    "prompt_text_column": "data.column_mapping.prompt_text_column",
    "username": "hub.username",
    "token": "hub.token",
    "push_to_hub": "hub.push_to_hub",
}
"""What `params` could override in AutoTrain. Here each thing is said once, where it belongs."""
_NOT_HERE = {
    "unsloth": "AutoTrain's environment has no unsloth",
    "distributed_backend": "over how many processes a training is spread is not for a recipe to say here",
}
_TOKEN = "${HF_TOKEN}"  # noqa: S105 - the name of a variable

M = TypeVar("M")


class _Read(NamedTuple):
    """All sections of a recipe, without what is wrong with them."""

    top: Top
    data: Data
    columns: Columns
    params: Params
    hub: Hub


def load(path: str | os.PathLike[str], *, without: str | Iterable[str] = ()) -> Recipe:
    """Reads a recipe. Its data are looked for as AutoTrain does: from the working folder, not from the recipe's.

    Args:
        path: The recipe, a YAML file.
        without: Keys to leave out, such as "params.unsloth".

    Raises:
        ConfigurationError: Something is wrong; it names every key at once.
    """
    source, left_out = os.fspath(path), parse_keys(without)
    document = drop_keys(read_document(source), left_out)
    wrong: list[str] = []
    read = _sections(document, left_out, wrong)
    trainer = _trainer(read, wrong)
    for name, why in _NOT_HERE.items():
        if getattr(read.params, name):
            key = f"params.{name}"
            wrong.append(f"{key}: {why}. Take it out, or leave it out with --without {key}.")
    train = data_file(read.data, wrong) if read.data.path and read.data.train_split else None
    recipe = None if trainer is None else _recipe(source, read, trainer, train, wrong)
    if wrong or recipe is None:
        count = counted(len(wrong), "thing")
        raise ConfigurationError("\n".join([f"{source} cannot be run as it is; {count} to mend:", *_indented(wrong)]))
    return recipe


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


# -- sections ----------------------------------------------------------------------------------------------------------


def _sections(document: Mapping[str, Any], left_out: Iterable[str], wrong: list[str]) -> _Read:
    wrong += [f"{key}: it is missing." for key in _missing(document) if key not in left_out]
    written = _part(document, "hub")
    _refuse_other_tokens("hub.token", written.get("token"), wrong)
    pushes = read_section(Hub, {"push_to_hub": written.get("push_to_hub", False)}, []).push_to_hub
    needs_user = pushes or document.get("backend") not in LOCAL
    unread = ["hub.token"] if needs_user else ["hub.token", "hub.username"]
    filled = fill(document, wrong, but=[*unread, *(f"params.{name}" for name in _ELSEWHERE)])
    params = _part(document, "params")
    others = [name for name in params if name in _ELSEWHERE and name != "token"]
    wrong += [f"params.{name}: write it as {_ELSEWHERE[name]}." for name in others]
    _refuse_other_tokens("params.token", params.get("token"), wrong)
    top = read_section(Top, filled, wrong)
    data = read_section(Data, top.data or {}, wrong)
    columns = read_section(Columns, data.column_mapping or {}, wrong)
    return _Read(
        top, data, columns, read_section(Params, top.params or {}, wrong), read_section(Hub, top.hub or {}, wrong)
    )


def _missing(document: Mapping[str, Any]) -> Iterator[str]:
    yield from (key for key in _NEEDED if key not in document)
    data = document.get("data")
    if isinstance(data, Mapping):
        yield from (f"data.{key}" for key in _NEEDED_OF_DATA if key not in data)


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part: object = document.get(name)
    return cast("Mapping[str, Any]", part) if isinstance(part, Mapping) else {}


def _refuse_other_tokens(key: str, token: object, wrong: list[str]) -> None:
    if token not in (None, "", _TOKEN):
        wrong.append(f"{key}: every token comes from the environment variable HF_TOKEN. Write hub.token: {_TOKEN}.")


# -- what depends on several keys --------------------------------------------------------------------------------------


def _trainer(read: _Read, wrong: list[str]) -> str | None:
    """Returns the trainer that task and params name together; None if they name none."""
    task, asked = read.top.task, read.params.trainer
    if task is None:
        return None
    if task not in _TASKS:
        has = f"Of language models there are: {', '.join(_TASKS)}."
        wrong.append(f"task: '{task}' is none that can be run here{near(task, _TASKS) or '.'} {has}")
        return None
    named, asked = _TASKS[task], "generic" if asked == "default" else asked
    if named and asked and named != asked:
        wrong.append(f"params.trainer: '{asked}' contradicts the task '{task}'. Leave one of them out: task: llm.")
        return None
    return named or asked or "generic"


def _notes(read: _Read, trainer: str) -> Iterator[str]:
    """Yields what of a recipe has no effect, and is left out for that."""
    params = read.params
    if read.data.valid_split is not None:
        yield "data.valid_split: AutoTrain passes over validation data of language models, and so nothing is measured."
    for name in unused(params, trainer):
        when = "without validation data" if name in OF_VALIDATION else f"with the trainer '{trainer}'"
        when += " and no peft" if name in OF_ADAPTERS else ""
        yield f"params.{name}: AutoTrain makes no use of it {when}; it is left out."
    if params.peft and params.merge_adapter is None:
        yield "params.merge_adapter: it is not set, and AutoTrain would keep the adapter by itself; here it is merged."
    if read.top.backend not in LOCAL and read.hub.push_to_hub is not None:
        yield "hub.push_to_hub: a Space pushes the model in any case, to a repository of its own; it is left out."
    if trainer in {"sft", "generic"} and (read.columns.rejected_text_column or read.columns.prompt_text_column):
        yield "data.column_mapping: of these columns, AutoTrain takes text_column alone for this task."


# -- the request -------------------------------------------------------------------------------------------------------


def _recipe(source: str, read: _Read, trainer: str, train: str | None, wrong: list[str]) -> Recipe | None:
    top, params, template = read.top, read.params, _template(read.data)
    given = {
        "trainer": None if trainer in PAIRS else trainer,
        "chat_template": template,
        "log": None if top.log == "none" else top.log,
        "push_to_hub": _repo(read, wrong),
    }
    columns = _columns(read, trainer, train, wrong)
    if wrong:
        return None
    return Recipe(
        model=_sure(top.base_model),
        training_file=unsent(train or _sure(read.data.path)),
        method=method_of(params, trainer),
        suffix=top.project_name,
        seed=params.seed,
        provider_options={k: v for k, v in given.items() if v is not None} | options_of(params, trainer),
        train=train or _sure(read.data.path),
        split=None if train else read.data.train_split,
        columns=columns,
        provider_settings=_settings(read),
        source=source,
        notes=tuple(_notes(read, trainer)),
    )


def _columns(read: _Read, trainer: str, train: str | None, wrong: list[str]) -> dict[str, str]:
    """Returns the columns: settled, if the data are here; else as the recipe says."""
    pairs, template, columns = trainer in PAIRS, _template(read.data), read.columns
    if pairs and not template:
        said = "preferences are conversations, which a template makes text of"
        wrong.append(f"data.chat_template: {said}. Write tokenizer (the model's own), chatml or zephyr.")
    if read.data.column_mapping is None:
        return {}
    if pairs and columns.rejected_text_column is None:
        wrong.append("data.column_mapping.rejected_text_column: it is missing, and preferences need it.")
        return {}
    names = [name for name in columns.model_dump().values() if name is not None]
    if pairs and len({*names}) < len(names):
        wrong.append("data.column_mapping: one column cannot be two things. Name each of them once.")
        return {}
    mapped = as_mapped(columns, template, pairs=pairs)
    return mapped if train is None else settle(train, mapped, template, wrong)


def _sure(value: M | None) -> M:
    assert value is not None  # noqa: S101 - what lacks it was refused
    return value


def _template(data: Data) -> str | None:
    return None if data.chat_template == "none" else data.chat_template


def _settings(read: _Read) -> dict[str, str]:
    """Returns the options of a client that trains in a Space; none for this machine."""
    if read.top.backend in LOCAL:
        return {}
    settings = {"backend": read.top.backend, "username": read.hub.username}
    return {name: value for name, value in settings.items() if value is not None}


def _repo(read: _Read, wrong: list[str]) -> str | None:
    """Returns where the model is pushed to; None if it is not."""
    if not read.hub.push_to_hub or read.top.backend not in LOCAL:  # a Space has a repository of its own
        return None
    if read.hub.username is None or read.top.project_name is None:
        lacking = "hub.username" if read.hub.username is None else "project_name"
        if not any(line.startswith(f"{lacking}:") for line in wrong):
            wrong.append(f"{lacking}: push_to_hub needs it. Write it, or push_to_hub: false.")
        return None
    return f"{read.hub.username}/{read.top.project_name}"
