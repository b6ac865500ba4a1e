"""What the four tutorials teach: their data, their method, and what they ask the model. No provider is named here."""

from __future__ import annotations

import csv
import json
from contextlib import chdir
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import LoRA, Supervised, recipes
from ftkit.datasets import split
from ftkit.evaluate import ExecutionMatch, exact_match, set_f1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ftkit import Method
    from ftkit.evaluate import Scorer

    Messages = list[dict[str, str]]

HERE = Path(__file__).parent
DATA = HERE / "data"
RECIPE = HERE / "no_code.yml"


@dataclass(frozen=True)
class Data:
    """The data of a tutorial.

    Attributes:
        train: The training file.
        validation: The validation file.
        test: Conversations that are kept for testing, each ending with the answer.
        columns: The files' own column names -> those of the record.
    """

    train: Path
    validation: Path
    test: list[Messages]
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Lesson:
    """A tutorial.

    Attributes:
        title: What it teaches.
        prepare: Writes the files into a folder.
        method: The method and its hyperparameters.
        suffix: A word for the tuned model's name.
        options: What the tutorial sets besides, in the words of the provider that it was written for.
        seed: The seed of all randomness.
        max_tokens: Most tokens of an answer.
        metric: What says how good an answer is.
        asked: How many rows of the test data are asked.
        conversation: What the tuned model is asked at last.
    """

    title: str
    prepare: Callable[[Path], Data]
    method: Method
    suffix: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 42
    max_tokens: int = 60
    metric: Scorer = exact_match
    asked: int = 10
    conversation: tuple[dict[str, str], ...] = ()


def _write(path: Path, conversations: Iterable[Messages]) -> Path:
    path.write_text("".join(json.dumps({"messages": each}) + "\n" for each in conversations), encoding="utf-8")
    return path


def _read(path: Path) -> list[Messages]:
    return [json.loads(line)["messages"] for line in path.read_text(encoding="utf-8").splitlines()]


# -- 1: the generic ingredients of a recipe (OpenAI's cookbook) ------------------------------------------------------

ASSISTANT = (
    "You are a helpful recipe assistant. You are to extract the generic ingredients from each of the recipes provided."
)


def _recipe(row: Mapping[str, str]) -> Messages:
    question = f"Title: {row['title']}\n\nIngredients: {row['ingredients']}\n\nGeneric ingredients: "
    return [
        {"role": "system", "content": ASSISTANT},
        {"role": "user", "content": question},
        {"role": "assistant", "content": row["NER"]},
    ]


def recipe_data(folder: Path) -> Data:
    """Turns the table of recipes into conversations: 101 to train on, 100 to validate on, the next 100 to test."""
    with (DATA / "recipes.csv").open(encoding="utf-8", newline="") as file:
        rows = [_recipe(row) for row in csv.DictReader(file)]
    train = _write(folder / "recipes_train.jsonl", rows[:101])
    return Data(train, _write(folder / "recipes_validation.jsonl", rows[101:201]), rows[201:301])


# -- 2: facts, sarcastically (Azure's tutorial) ----------------------------------------------------------------------

CHATBOT = "You are a factual chatbot, and a sarcastic one."
CONVERSATION = (
    {"role": "system", "content": CHATBOT},
    {"role": "user", "content": "Does water boil?"},
    {"role": "assistant", "content": "At 100 degrees, yes. Did the kettle not tell you?"},
    {"role": "user", "content": "How far is the Moon?"},
)


def sarcastic_data(folder: Path) -> Data:
    """Takes the two files as they are: ten examples each."""
    del folder
    train, validation = DATA / "sarcasm" / "training_set.jsonl", DATA / "sarcasm" / "validation_set.jsonl"
    return Data(train, validation, _read(validation))


# -- 3: queries from questions (fine-tuning with TRL) ----------------------------------------------------------------

SCHEMA = "You are a text-to-SQL assistant. Answer with one SQL query for this schema:\n{context}"


def _query(row: Mapping[str, str]) -> Messages:
    return [
        {"role": "system", "content": SCHEMA.format(context=row["context"])},
        {"role": "user", "content": row["question"]},
        {"role": "assistant", "content": row["answer"]},
    ]


def sql_data(folder: Path) -> Data:
    """Turns questions, schemas and queries into conversations, and splits them: 4 parts to train on, 1 to test."""
    rows = [json.loads(line) for line in (DATA / "text_to_sql.jsonl").read_text(encoding="utf-8").splitlines()]
    chat = _write(folder / "sql.jsonl", map(_query, rows))
    train, validation, test = (folder / f"sql_{name}.jsonl" for name in ("train", "validation", "test"))
    split(chat, {train: 480, validation: 60, test: 120}, seed=7)
    return Data(train, validation, _read(test))


# -- 4: a recipe, and no code (AutoTrain) ----------------------------------------------------------------------------


@cache
def no_code() -> recipes.Recipe:
    """Reads the recipe of AutoTrain's, which names its data from the checkout on: it is the whole tutorial."""
    with chdir(HERE.parent):
        return recipes.load(RECIPE)


def no_code_data(folder: Path) -> Data:
    """Takes the data that the recipe names; what it does not train on is for testing."""
    del folder
    train, validation = HERE.parent / no_code().train, DATA / "sarcasm" / "validation_set.jsonl"
    return Data(train, validation, _read(validation), no_code().columns)


# --------------------------------------------------------------------------------------------------------------------


def lesson(name: str) -> Lesson:
    """Returns a tutorial by its name, one of `NAMES`."""
    return _LESSONS[name]()


_LESSONS: dict[str, Callable[[], Lesson]] = {
    "recipes": lambda: Lesson(
        "the generic ingredients of a recipe",
        recipe_data,
        Supervised(n_epochs=3),
        "recipe-ner",
        max_tokens=100,
        metric=set_f1,
        asked=24,
    ),
    "sarcasm": lambda: Lesson(
        "facts, sarcastically",
        sarcastic_data,
        Supervised(n_epochs=3, batch_size=1),
        "sarcasm",
        options={"training_type": "GlobalStandard"},
        seed=105,
        conversation=CONVERSATION,
    ),
    "sql": lambda: Lesson(
        "queries from questions",
        sql_data,
        # The tutorial's shape at the size of a model of a few million parameters: its own numbers are for 7 billion.
        Supervised(
            n_epochs=3, batch_size=8, learning_rate=3e-3, lora=LoRA(r=32, alpha=64, target_modules="all-linear")
        ),
        "text-to-sql",
        options={
            "gradient_checkpointing": True,
            "max_grad_norm": 0.3,
            "warmup_ratio": 0.03,
            "lr_scheduler_type": "constant",
            "max_length": 512,
            "logging_steps": 10,
        },
        max_tokens=100,
        metric=ExecutionMatch(),
        asked=24,
    ),
    "no-code": lambda: Lesson(
        "a recipe in YAML",
        no_code_data,
        no_code().method,
        no_code().suffix or "no-code",
        options=no_code().provider_options,
        conversation=CONVERSATION[:2],
    ),
}
NAMES = tuple(_LESSONS)
