"""Deployments, and the chats with them."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar

import pytest

from ftkit.errors import ConfigurationError, ConflictError, NotFoundError, ProviderUnavailableError
from ftkit.models import ChatChunk, ChatMessage, ChatOptions, ChatReply, Deployment, DeploymentStatus
from ftkit.provider import Chats, Deploys, StreamsChat
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics
from ftkit.testing.witness import SetsDeployments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ftkit.models import FineTuningJob
    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness

_HELLO = (ChatMessage(role="user", content="Hello"),)
_STRANGE_WORD = "ftkit_never_seen"
_SHORT = ChatOptions(max_tokens=8)


class Serving(ProviderHooks, kit=True):
    """Checks of `deploy` and all that follows."""

    deploy_timeout_s: ClassVar[float] = 60.0

    def test_deploy(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """The same deployment again is the one that is there; it is listed once, and read by its name."""
        deploys = basics.able(provider, Deploys)
        job = basics.a_tuned_job(self, provider, witness, tmp_path)
        first, again = (deploys.deploy(job, "ftkit-kit", self.deploy_options()) for _ in range(2))
        rules.round_trips(Deployment, first)
        must(first.name == "ftkit-kit" and first.provider == provider.name, f"not what was deployed: {first!r}")
        must((again.name, again.model) == (first.name, first.model), f"deploying again made another: {again!r}")
        read = deploys.get_deployment("ftkit-kit")
        must((read.name, read.model) == (first.name, first.model), f"get_deployment tells another: {read!r}")
        names = [d.name for d in deploys.list_deployments() if not d.status.is_gone]
        must(names.count("ftkit-kit") == 1, f"it is listed {names.count('ftkit-kit')} times")

    def test_deploy_another_under_the_same_name(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A name that is taken by another model is a ConflictError."""
        deploys = basics.able(provider, Deploys)
        one, two = (basics.a_tuned_job(self, provider, witness, tmp_path) for _ in range(2))
        deploys.deploy(one, "ftkit-kit", self.deploy_options())
        error = rules.error_of(lambda: deploys.deploy(two, "ftkit-kit", self.deploy_options()), "deploy")
        must(isinstance(error, ConflictError), f"a taken name must be a ConflictError, and came as {error!r}")

    def test_delete_deployment(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A deleted deployment is gone, once and for all, and nothing else is: neither its model nor another one."""
        deploys = basics.able(provider, Deploys)
        job = basics.a_tuned_job(self, provider, witness, tmp_path)
        deploys.deploy(job, "ftkit-kit", self.deploy_options())
        for strange in rules.STRANGE_IDS:
            error = rules.error_of(functools.partial(deploys.delete_deployment, strange), "delete_deployment")
            harmless = isinstance(error, NotFoundError | ConfigurationError | None)
            must(harmless, f"deleting {strange[:20]!r}, which never was, must be no error, and is {error!r}")
        must(not deploys.get_deployment("ftkit-kit").status.is_gone, "a strange name deleted what has another")
        for _ in range(2):
            error = rules.error_of(lambda: deploys.delete_deployment("ftkit-kit"), "delete_deployment")
            must(error is None, f"deleting a deployment that is gone must be no error, and is {error!r}")
        listed = {d.name for d in deploys.list_deployments() if not d.status.is_gone}
        must("ftkit-kit" not in listed, "a deleted deployment is still listed")
        with contextlib.suppress(NotFoundError):
            must(deploys.get_deployment("ftkit-kit").status.is_gone, "a deleted deployment still stands")
        after = provider.get_job(job.id)
        must(after.fine_tuned_model == job.fine_tuned_model, "deleting the deployment deleted the model")

    def test_deployment_words(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Every word for a deployment's state reads as the witness says; one never heard is UNKNOWN, and is kept."""
        deploys = basics.able(provider, Deploys)
        if not isinstance(witness, SetsDeployments):
            pytest.skip("the witness cannot put a deployment into a state")
        deploys.deploy(basics.a_tuned_job(self, provider, witness, tmp_path), "ftkit-kit", self.deploy_options())
        for word, status in {**witness.known_deployment_words(), _STRANGE_WORD: DeploymentStatus.UNKNOWN}.items():
            witness.set_deployment("ftkit-kit", word)
            now = deploys.get_deployment("ftkit-kit")
            must(now.status is status, f"{word!r} must read as {status.value}, and reads as {now.status.value}")
            must(now.provider_status == word, f"provider_status must be {word!r}, and is {now.provider_status!r}")
            rules.round_trips(Deployment, now)

    def test_chat(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A deployed model answers. One that was deleted is an error of ftkit's, unless it can be asked as it is."""
        chats, deploys = basics.able(provider, Chats), basics.able(provider, Deploys)
        deployment = _standing(self, deploys, basics.a_tuned_job(self, provider, witness, tmp_path))
        rules.round_trips(ChatReply, chats.chat(deployment, _HELLO, _SHORT))
        deploys.delete_deployment(deployment.name)
        _must_be_gone(lambda: chats.chat(deployment, _HELLO, _SHORT), "chat")

    def test_stream_chat(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A deployed model answers piece by piece; the last one says why it ended. Who breaks off does no harm."""
        streams, deploys = basics.able(provider, StreamsChat), basics.able(provider, Deploys)
        deployment = _standing(self, deploys, basics.a_tuned_job(self, provider, witness, tmp_path))
        early = streams.stream_chat(deployment, _HELLO, _SHORT)
        next(early)
        if isinstance(early, Generator):
            error = rules.error_of(early.close, "closing a stream")
            must(error is None, f"a stream that is closed early must raise nothing, and raised {error!r}")
        chunks = list(streams.stream_chat(deployment, _HELLO, _SHORT))
        must(chunks and chunks[-1].finish_reason, f"the last piece gives no finish_reason: {chunks[-1:]}")
        for chunk in chunks:
            rules.round_trips(ChatChunk, chunk)
        deploys.delete_deployment(deployment.name)
        _must_be_gone(lambda: list(streams.stream_chat(deployment, _HELLO, _SHORT)), "stream_chat")


def _must_be_gone(ask: Callable[[], object], what: str) -> None:
    """Asks a deployment that was deleted; only where models can be asked as they are, there is an answer."""
    error = rules.error_of(ask, what)
    harmless = error is None or isinstance(error, NotFoundError | ConflictError | ProviderUnavailableError)
    said = f"{what} with what was deleted must be a NotFoundError, ConflictError or ProviderUnavailableError"
    must(harmless, f"{said}, and came as {error!r}")


def _standing(kit: Serving, deploys: Deploys, job: FineTuningJob) -> Deployment:
    """Deploys, and waits until it stands."""
    deployment = deploys.deploy(job, "ftkit-kit", kit.deploy_options())
    deadline = time.monotonic() + kit.deploy_timeout_s
    while deployment.status is DeploymentStatus.CREATING and time.monotonic() < deadline:
        time.sleep(0.2)
        deployment = deploys.get_deployment("ftkit-kit")
    must(deployment.status is DeploymentStatus.RUNNING, f"the deployment is {deployment.status.value}")
    return deployment
