"""Small parts that a provider is built with: lists that come whole, orders known again, names, downloads, ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from ftkit import JobRequest, Supervised, TrainingFile
from ftkit.errors import ConfigurationError, ConflictError, NotFoundError, ProviderUnavailableError, UnsupportedError
from ftkit.models import ChatChunk, ChatOptions, Page
from ftkit.plugin import (
    NamesModels,
    chat_options,
    fits,
    page_of,
    problems_of,
    read_on,
    same_named,
    saving,
    to_the_end,
    walk,
)

if TYPE_CHECKING:
    from pathlib import Path

FILES = [TrainingFile(id=f"file-{n}", provider="acme") for n in range(5)]


# -- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_a_whole_list_in_pages(limit: int) -> None:
    assert list(walk(lambda after, n: page_of(FILES, after, n), limit)) == FILES


def test_no_page_after_what_is_gone() -> None:
    assert page_of([], None, 3).items == ()
    with pytest.raises(NotFoundError, match="file-9"):
        page_of(FILES, "file-9", 3)


# -- orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        {"model": "m", "rate": 1e-5, "lora": {"r": 8, "alpha": 16}, "epochs": 3},
        {"model": "m", "rate": 9.999999747378752e-06, "lora": {"r": 8}},
        {"model": None, "lora": None},
        {},
    ],
)
def test_what_fits_an_order(told: dict[str, Any]) -> None:
    assert fits({"model": "m", "rate": 1e-5, "lora": {"r": 8}}, told)


@pytest.mark.parametrize("told", [{"model": "n"}, {"rate": 1.1e-5}, {"rate": "1e-5"}, {"lora": {"r": 9}}, {"lora": 8}])
def test_what_does_not(told: dict[str, Any]) -> None:
    assert not fits({"model": "m", "rate": 1e-5, "lora": {"r": 8}}, told)


def test_fields_of_the_same_name() -> None:
    told = {"id": "job-1", "suffix": "", "seed": 0, "model": None, "metadata": 7}
    assert same_named(told, "id", "suffix", "seed", "model", "method") == {"id": "job-1", "seed": 0}


class NoOptions(BaseModel):
    pass


@pytest.mark.parametrize(("length", "codes"), [(40, []), (41, ["long-suffix"])])
def test_a_suffix_has_an_end(length: int, codes: list[str]) -> None:
    request = JobRequest(model="m", training_file=FILES[0], suffix="x" * length)
    found = problems_of(request, methods={Supervised: ()}, fields=("suffix",), options=NoOptions, longest_suffix=40)
    assert [problem.code for problem in found] == codes


# -- names -----------------------------------------------------------------------------------------------------------


class Acme(NamesModels):
    name = "acme"
    asked_as = "endpoint"

    def __init__(self, account: str = "one") -> None:
        self.account = account

    def identity(self) -> str:
        return self.account


def test_a_name_is_kept_by_account() -> None:
    made = Acme().deploy("acme/moon", "moon", {})
    assert (made.name, made.model, made.source, made.price_per_hour) == ("moon", "acme/moon", "acme/moon", None)
    assert Acme().deploy("acme/moon", "moon", {}) == made
    assert Acme().list_deployments() == [made]
    assert Acme("two").list_deployments() == []
    Acme().delete_deployment("moon")
    Acme().delete_deployment("moon")
    with pytest.raises(NotFoundError, match="moon"):
        Acme().get_deployment("moon")


def test_a_name_that_stands_for_another() -> None:
    assert Acme().deploy("acme/moon", "moon", {"endpoint": "mine"}).model == "mine"
    for other in ({}, {"endpoint": "yours"}):
        with pytest.raises(ConflictError, match="stands for mine"):
            Acme().deploy("acme/moon", "moon", other)
    with pytest.raises(ConfigurationError, match="'endpoint'"):
        Acme().deploy("acme/sun", "sun", {"endpiont": "mine"})


# -- the end ---------------------------------------------------------------------------------------------------------


def test_an_answer_has_an_end() -> None:
    pieces = [ChatChunk(text="a"), ChatChunk(text="b", finish_reason="stop")]
    assert list(to_the_end(pieces, "acme")) == pieces
    for broken in ([], pieces[:1]):
        with pytest.raises(ProviderUnavailableError, match="broke off"):
            list(to_the_end(broken, "acme"))


def test_a_download_that_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "data.jsonl"
    with pytest.raises(ProviderUnavailableError, match="was cut"), saving(target, "acme"):  # which is no disk's fault
        raise ProviderUnavailableError("the line was cut")
    assert list(tmp_path.glob("*data*")) == list(tmp_path.glob(".ftkit*")) == []
    with saving(target, "acme") as file:
        file.write(b"all")
    assert target.read_bytes() == b"all"


def test_an_empty_page_is_read_over() -> None:
    pages: dict[str | None, tuple[list[str], str | None]] = {
        None: ([], "1"),
        "1": ([], "2"),
        "2": (["a"], "3"),
        "3": ([], None),
    }
    asked: list[str | None] = []

    def ask(cursor: str | None) -> tuple[list[str], str | None]:
        asked.append(cursor)
        return pages[cursor]

    assert read_on(ask, None) == Page(items=("a",), next="3")
    assert read_on(ask, "3") == Page(items=())
    assert asked == [None, "1", "2", "3"]
    assert read_on(lambda _: ([], "x"), "x") == Page(items=())


def test_an_option_of_a_chat_that_there_is_not_is_told() -> None:
    options = ChatOptions(max_tokens=8, extra={"top_k": 3})
    assert chat_options(options, {"max_tokens", "top_k"}) == {"max_tokens": 8, "top_k": 3}
    with pytest.raises(UnsupportedError, match="has no option 'top_k'"):
        chat_options(options, {"max_tokens"})


def test_a_service_that_pays_no_heed_to_cursors_is_read_once() -> None:
    assert [*walk(lambda _, __: Page(items=("a", "b"), next="b"))] == ["a", "b"]
