"""`ftkit/small`: the same on every machine, made once, and whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import pytest
from hf_tools import HERE, run_python

from ftkit.home import cache_folder
from ftkit.providers.huggingface import small
from ftkit.providers.huggingface.small.corpus import documents
from ftkit.providers.huggingface.small.tokenizer import END, PAD, TEMPLATE, plain
from ftkit.providers.huggingface.tokens import Tokens

if TYPE_CHECKING:
    from pathlib import Path

QUERY = re.compile(r"\b(SELECT|DELETE FROM|ORDER BY|GROUP BY|WHERE)\b")
TOKENIZER = """
import sys
from pathlib import Path
from ftkit.providers.huggingface import small
print(small.ensure_tokenizer(Path(sys.argv[1])))
"""


def hash_of(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_two_at_once_make_one_tokenizer_and_it_is_the_same_everywhere(tmp_path: Path) -> None:
    # Two processes for one folder, a third for another; each of them orders its sets in its own way.
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TOKENIZER, str(tmp_path / folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for folder, seed in (("one", "1"), ("one", "2"), ("other", "3"))
    ]
    places = [process.communicate()[0].strip() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert places[0] == places[1]
    name = f"ftkit-small-{small.recipe()}-tokenizer"
    one, other = tmp_path / "one" / name, tmp_path / "other" / name
    assert hash_of(one) == hash_of(other)
    assert [path.name for path in one.parent.iterdir() if not path.name.endswith(".lock")] == [name]


def test_what_was_killed_half_way_is_made_anew(tmp_path: Path) -> None:
    name = f"ftkit-small-{small.recipe()}-tokenizer"
    partial = tmp_path / f".{name}.partial"
    partial.mkdir()
    (partial / "tokenizer.json").write_text("{half")
    (partial / "left.txt").write_text("left")
    place = small.ensure_tokenizer(tmp_path)
    assert place.name == name
    assert not partial.exists()
    assert not (place / "left.txt").exists()
    assert Tokens.load(place, small.NAME).eos == END


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        (folder / "tokenizer.json").write_text("{half")
        raise KeyboardInterrupt

    monkeypatch.setattr(small, "write_tokenizer", fail)
    with pytest.raises(KeyboardInterrupt):
        small.ensure_tokenizer(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir() and "small" in path.name] == []


def test_the_template_writes_what_the_model_was_trained_on() -> None:
    tokens = Tokens.load(small.ensure_tokenizer(cache_folder() / "models"), small.NAME)
    conversations = [d for d in islice(documents(Random(5)), 2000) if not isinstance(d, str)]  # noqa: S311 - the same every time
    assert len(conversations) > 500
    for conversation in conversations:
        text, marked = tokens.render_marked(conversation)
        assert text == plain(conversation)
        answers = [m["content"] + END for m in conversation if m["role"] == "assistant"]
        assert [text[start:end] for start, end in marked] == answers
    assert "{% generation" in TEMPLATE or "{%- generation" in TEMPLATE


def test_the_corpus_is_the_same_for_the_same_seed() -> None:
    one, again, other = (list(islice(documents(Random(seed)), 200)) for seed in (1, 1, 2))  # noqa: S311 - the same every time
    assert one == again != other


def test_no_text_pairs_a_question_with_a_query() -> None:
    for document in islice(documents(Random(11)), 20_000):  # noqa: S311 - the same every time
        if isinstance(document, str):
            assert PAD not in document
            # A script is a table and queries, and asks nothing.
            assert not (QUERY.search(document) and "?" in document), document
        else:
            for message in document:
                assert not QUERY.search(message["content"]), document


def numbers(*folders: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads(run_python(HERE / "small_numbers.py", *folders))
    return found


def test_a_model_that_was_never_trained_can_copy() -> None:
    assert numbers(small.ensure_tokenizer(cache_folder() / "models"))["copies"] > 0.9


@pytest.mark.slow
def test_the_built_model_is_whole_and_has_learnt_its_texts() -> None:
    place = small.ensure_model(cache_folder() / "models")
    assert small.ensure_model(cache_folder() / "models") == place, "it is built once"
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= set(os.listdir(place))
    assert json.loads((place / "config.json").read_text())["use_cache"] is True
    assert numbers(place, place)["loss"] < 2.5  # a model that knows nothing has 7.3


@pytest.mark.full
def test_two_builds_of_the_model_have_the_same_bytes(tmp_path: Path) -> None:
    built = small.ensure_model(cache_folder() / "models")
    shutil.rmtree(tmp_path / "models", ignore_errors=True)
    assert hash_of(small.ensure_model(tmp_path / "models")) == hash_of(built)
