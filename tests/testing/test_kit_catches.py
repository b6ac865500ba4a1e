"""The kit can fail: each of these providers breaks one rule, and the check of that rule says so."""

from __future__ import annotations

import inspect
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import broken_refusals
import pytest
from memory_kit import API_KEY, REFUSALS, GiftedProvider, MemoryConformance, MemoryWitness
from pydantic import BaseModel

from ftkit.errors import (
    ConflictError,
    FtkitError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
)
from ftkit.models import ChatChunk, DatasetRules, DeploymentStatus, FineTuningJob, JobEvent, JobStatus, Page, Problem
from ftkit.testing import MemoryProvider, MemoryVendor
from ftkit.testing._rules import BrokenRuleError
from ftkit.testing.kit import ProviderConformance
from ftkit.testing.kit.files import Files as FilesPart
from ftkit.testing.kit.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ftkit.methods import Method
    from ftkit.models import (
        ChatMessage,
        ChatOptions,
        Checkpoint,
        Deployment,
        Estimate,
        JobRequest,
        Lifecycle,
        Metrics,
        TrainingFile,
    )


class UnknownIsQueued(MemoryProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        job = super().get_job(job_id)
        return job.model_copy(update={"status": JobStatus.QUEUED}) if job.status is JobStatus.UNKNOWN else job


class ForgetsTheWord(MemoryProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        return super().get_job(job_id).model_copy(update={"provider_status": None})


class MistakesAWord(MemoryProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        job = super().get_job(job_id)
        return job.model_copy(update={"status": JobStatus.RUNNING}) if job.provider_status == "failed" else job


class RetriesACreate(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        try:
            return super().create_job(request, key)
        except ProviderUnavailableError:
            return super().create_job(request, key)


class CallsALostReplyARefusal(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        try:
            return super().create_job(request, key)
        except ProviderUnavailableError as error:
            raise ProviderError("it did not work", provider=self.name) from error


def _key(provider: MemoryProvider) -> str:
    return provider._api_key.get_secret_value() if provider._api_key else ""


class LeaksInRepr(MemoryProvider):
    def __repr__(self) -> str:
        return f"LeaksInRepr(api_key={_key(self)!r})"


class LeaksInErrors(MemoryProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        try:
            return super().get_job(job_id)
        except NotFoundError as error:
            cause = RuntimeError(f"GET /jobs/{job_id} Authorization: Bearer {_key(self)}")
            raise NotFoundError("no such job", provider=self.name) from (cause if error else None)


class LeaksInIdentity(MemoryProvider):
    def identity(self) -> str:
        return f"{super().identity()}:{_key(self)}"


class ChangingIdentity(MemoryProvider):
    asked = 0

    def identity(self) -> str:
        self.asked += 1
        return f"{super().identity()}:{self.asked}"


class RevivesTheDead(MemoryProvider):
    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        page = super().list_jobs(after, limit)
        items = tuple(
            job.model_copy(update={"status": JobStatus.RUNNING}) if job.status.is_terminal else job
            for job in page.items
        )
        return page.model_copy(update={"items": items})


class NeverFinds(MemoryProvider):
    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        del key, request, since
        return None


class FindsTheNewest(MemoryProvider):
    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        del key, request, since
        return next(iter(self.list_jobs(None, 1).items), None)


class KeepsKeysAndIgnoresThem(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        return super().create_job(request, key).model_copy(update={"key": key})


class RepeatsJobs(MemoryProvider):
    """Begins each page with the last job of the page before."""

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        page = super().list_jobs(after, limit)
        first = () if after is None else (self.get_job(after),)
        return Page(items=(first + page.items)[:limit] if limit > 1 else page.items, next=page.next)


class OldestFirst(MemoryProvider):
    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        page = super().list_jobs(after, limit)
        return page.model_copy(update={"items": page.items[::-1]})


class OnlyTheFirstPage(MemoryProvider):
    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        return super().list_jobs(after, limit).model_copy(update={"next": None})


class IgnoresTheLimit(MemoryProvider):
    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        return super().list_jobs(after, limit + 1)


class KeyErrors(MemoryProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        return self._job(self.vendor.jobs[job_id])


class CallsItAConflict(MemoryProvider):
    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        try:
            return super().list_events(job_id, after, limit)
        except NotFoundError as error:
            raise ConflictError("no such job", provider=self.name) from error


class DropsUnknownOptions(MemoryProvider):
    def problems(self, request: JobRequest) -> list[Problem]:
        known = {k: v for k, v in request.provider_options.items() if k in self.Options.model_fields}
        return super().problems(request.model_copy(update={"provider_options": known}))


class LaxOptions(MemoryProvider):
    class Options(BaseModel):
        priority: str = "normal"


class TakesAnyMethod(MemoryProvider):
    def problems(self, request: JobRequest) -> list[Problem]:
        return [p for p in super().problems(request) if p.code != "unsupported-method"]


class DropsMetadata(MemoryProvider):
    def problems(self, request: JobRequest) -> list[Problem]:
        return super().problems(request.model_copy(update={"metadata": {}}))


class AsksToFindProblems(MemoryProvider):
    def problems(self, request: JobRequest) -> list[Problem]:
        self.get_file(request.training_file.id)
        return super().problems(request)


class RichJob(FineTuningJob):
    vendor_payload: str = "everything else"


class NoRoundTrip(MemoryProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        return RichJob(**dict(super().get_job(job_id)))


class NotEvenItsOwnType(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        return super().create_job(request, key).model_copy(update={"metadata": {"n": 1}})


class CancelsTheEnded(MemoryProvider):
    def cancel_job(self, job_id: str) -> FineTuningJob:
        return self.get_job(job_id).model_copy(update={"status": JobStatus.CANCELLED})


class RefusesToCancelTheEnded(MemoryProvider):
    def cancel_job(self, job_id: str) -> FineTuningJob:
        with self._asking():
            return self._job(self.vendor.cancel_job(job_id))


class NewestEventsFirst(MemoryProvider):
    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        page = super().list_events(job_id, after, limit)
        return page.model_copy(update={"items": page.items[::-1]})


class TellsEventsAgain(MemoryProvider):
    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        del after
        return super().list_events(job_id, None, max(limit, 100)).model_copy(update={"next": None})


class AnswersByEnding(MemoryProvider):
    """Deploys again under a name that is taken, whatever stood there."""

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        self.delete_deployment(name)
        return super().deploy(target, name, options)


class DeletesOnlyOnce(MemoryProvider):
    def delete_deployment(self, name: str) -> None:
        with self._asking():
            self.vendor.delete_deployment(name)


class NeverStands(MemoryProvider):
    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        failed = {"status": DeploymentStatus.FAILED}
        return super().deploy(target, name, options).model_copy(update=failed)


class OldestCheckpointFirst(MemoryProvider):
    def list_checkpoints(self, job_id: str) -> list[Checkpoint]:
        return super().list_checkpoints(job_id)[::-1]


class SpoilsDownloads(MemoryProvider):
    def download_file(self, file_id: str, path: Path) -> None:
        super().download_file(file_id, path)
        path.write_bytes(path.read_bytes().strip())


class KeepsDeletedFiles(MemoryProvider):
    def delete_file(self, file_id: str) -> None:
        self.get_file(file_id)


class RefusesASecondUpload(MemoryProvider):
    def upload(self, path: Path, key: str) -> TrainingFile:
        before = self.vendor.calls["create_file"]
        file = super().upload(path, key)
        if self.vendor.calls["create_file"] == before:
            return file.model_copy(update={"id": ""})
        return file


class HalfAnAbility(MemoryProvider):
    def pause_job(self, job_id: str) -> FineTuningJob:
        return self.get_job(job_id)


class OtherArguments(MemoryProvider):
    def cancel_job(self, job_id: str, reason: str) -> FineTuningJob:  # type: ignore[override]
        del reason
        return super().cancel_job(job_id)


class FromTheFuture(MemoryProvider):
    contract = 2


class NoSuchTime(MemoryProvider):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settle_s = float("inf")


class NoRules(MemoryProvider):
    def rules(self, method: Method, model: str) -> DatasetRules:
        return super().rules(method, model).model_copy(update={"accepts": frozenset()})


class RefusesEverything(MemoryProvider):
    def problems(self, request: JobRequest) -> list[Problem]:
        return [*super().problems(request), Problem(code="no", message="not today")]


class OrdersTwo(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        super().create_job(request, key)
        return super().create_job(request, key)


class AnswersWithAnotherJob(MemoryProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        return super().get_job(job_id).model_copy(update={"id": "job-0"})


class CreatesBeforeItDownloads(MemoryProvider):
    def download_file(self, file_id: str, path: Path) -> None:
        path.touch()
        super().download_file(file_id, path)


class OnlySaysThatItCancels(MemoryProvider):
    def cancel_job(self, job_id: str) -> FineTuningJob:
        return self.get_job(job_id)


class NamesDeploymentsItself(MemoryProvider):
    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        return super().deploy(target, f"{name}-{len(self.vendor.list_deployments())}", options)


class HeedsOneLabel(GiftedProvider):
    def list_jobs_with(self, metadata: Mapping[str, str], after: str | None, limit: int) -> Page[FineTuningJob]:
        return super().list_jobs_with({"run": metadata["run"]}, after, limit)


class StepsTwice(GiftedProvider):
    def results(self, job_id: str) -> list[Metrics]:
        return super().results(job_id) * 2


class DatesAsText(GiftedProvider):
    def lifecycle(self, model: str) -> Lifecycle | None:
        found = super().lifecycle(model)
        return found.model_copy(update={"training_ends": "some day"}) if found else None


class PaysToEstimate(GiftedProvider):
    def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
        self.create_job(request, "v1:trial")
        return super().estimate(request, tokens)


class BreaksOff(GiftedProvider):
    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        yield next(iter(super().stream_chat(deployment, messages, options)))


BROKEN: Mapping[type[MemoryProvider], tuple[str, str]] = MappingProxyType(
    {
        **broken_refusals.BROKEN,
        AnswersWithAnotherJob: ("test_get_job", "was asked for"),
        BreaksOff: ("test_stream_chat", "finish_reason"),
        CreatesBeforeItDownloads: ("test_strange_file_ids_are_not_downloaded", "leaves a file"),
        DatesAsText: ("test_lifecycle", "does not read back"),
        NamesDeploymentsItself: ("test_deploy", "not what was deployed"),
        NoRules: ("test_rules", "accept nothing"),
        OnlySaysThatItCancels: ("test_cancel", "a cancelled job is"),
        OrdersTwo: ("test_create", "sent 2 requests"),
        PaysToEstimate: ("test_estimate", "sent a create"),
        RefusesEverything: ("test_valid_request_has_no_problems", "has errors"),
        StepsTwice: ("test_results", "repeat"),
        AnswersByEnding: ("test_deploy_another_under_the_same_name", "ConflictError"),
        AsksToFindProblems: ("test_problems_send_nothing", "sent something"),
        CallsALostReplyARefusal: ("test_create_when_the_reply_is_lost", "must be unclear"),
        CallsItAConflict: ("test_strange_ids", r"list_events.*NotFoundError"),
        CancelsTheEnded: ("test_cancel_of_an_ended_job", "was succeeded"),
        ChangingIdentity: ("test_identity", "changes"),
        DeletesOnlyOnce: ("test_delete_deployment", "no error"),
        DropsMetadata: ("test_problems_of_impossible_requests", "no error"),
        DropsUnknownOptions: ("test_problems_of_an_unknown_option", "unknown provider option"),
        FindsTheNewest: ("test_find_job_finds_nothing", "ordered differently"),
        ForgetsTheWord: ("test_status_words", "provider_status"),
        FromTheFuture: ("test_contract", "contract must be 1"),
        HalfAnAbility: ("test_abilities_are_whole", "Pauses"),
        HeedsOneLabel: ("test_list_jobs_by_labels", "are listed"),
        IgnoresTheLimit: ("test_list_jobs", "limit=1 has 2"),
        KeepsDeletedFiles: ("test_delete_file", "deleted file"),
        KeepsKeysAndIgnoresThem: ("test_find_job_finds_nothing", "another key"),
        KeyErrors: ("test_strange_ids", "KeyError"),
        LaxOptions: ("test_attributes", "forbid"),
        LeaksInErrors: ("test_no_secret_is_shown", "NotFoundError shows a secret"),
        LeaksInIdentity: ("test_identity", "secret"),
        LeaksInRepr: ("test_no_secret_is_shown", "the provider shows a secret"),
        MistakesAWord: ("test_status_words", "'failed' must read as failed"),
        NeverFinds: ("test_find_job", "does not find"),
        NeverStands: ("test_chat", "the deployment is failed"),
        NewestEventsFirst: ("test_events", "not oldest first"),
        NoRoundTrip: ("test_nouns_round_trip", "RichJob"),
        NoSuchTime: ("test_declared_values", "settle_s"),
        NotEvenItsOwnType: ("test_nouns_round_trip", "does not read back"),
        OldestCheckpointFirst: ("test_checkpoints", "not newest first"),
        OldestFirst: ("test_list_jobs", "not newest first"),
        OnlyTheFirstPage: ("test_list_jobs", "leave out"),
        OtherArguments: ("test_signatures", "cancel_job"),
        RefusesASecondUpload: ("test_upload_twice", "not a file"),
        RefusesToCancelTheEnded: ("test_cancel_of_an_ended_job", "ended"),
        RepeatsJobs: ("test_list_jobs", "repeat"),
        RetriesACreate: ("test_create_when_the_reply_is_lost", "sent 2 times"),
        RevivesTheDead: ("test_terminal_states_stay", "became running"),
        SpoilsDownloads: ("test_read_files", "not what was uploaded"),
        TakesAnyMethod: ("test_problems_of_an_unknown_method", "unknown method"),
        TellsEventsAgain: ("test_events_after", "after event 1"),
        UnknownIsQueued: ("test_unknown_status_word", "reads as queued"),
    }
)
"""A provider that breaks a rule -> the check that must see it, and what that says."""


def run(name: str, provider: MemoryProvider, folder: Path) -> None:
    """Runs one check as pytest would, but for the fixtures, which are made here."""
    check: Callable[..., None] = getattr(MemoryConformance(), name)
    fixtures = {"provider": provider, "witness": MemoryWitness(provider.vendor), "tmp_path": folder}
    check(**{name: value for name, value in fixtures.items() if name in inspect.signature(check).parameters})


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_rule_is_seen(broken: type[MemoryProvider], tmp_path: Path) -> None:
    check, said = BROKEN[broken]
    provider = broken(MemoryVendor(api_key=API_KEY), api_key=API_KEY)
    with pytest.raises((BrokenRuleError, FtkitError), match=f"(?s){said}") as caught:
        run(check, provider, tmp_path)
    assert API_KEY not in str(caught.value)


def test_every_check_has_been_seen_to_fail() -> None:
    checks = {name for name in vars(MemoryConformance) if name.startswith("test_")}
    assert checks == {check for check, _ in BROKEN.values()} | {"test_refusals_are_named"}


@pytest.mark.parametrize("left_out", ["401", "404", "429"])
def test_a_thin_table_of_refusals_is_seen(monkeypatch: pytest.MonkeyPatch, left_out: str) -> None:
    monkeypatch.setattr("memory_kit.REFUSALS", {word: REFUSALS[word] for word in REFUSALS if word != left_out})
    with pytest.raises(BrokenRuleError, match=f"names no word for {REFUSALS[left_out].__name__}"):
        MemoryConformance().test_refusals_are_named(MemoryWitness(MemoryVendor()))


def test_a_check_cannot_be_overridden() -> None:
    with pytest.raises(TypeError, match="Weaker overrides test_create"):

        class Weaker(MemoryConformance):
            def test_create(self) -> None:  # type: ignore[override]
                """Nothing to see here."""

    class Mixin:
        test_create = None

    with pytest.raises(TypeError, match="Mixin overrides test_create"):

        class Mixed(Mixin, MemoryConformance):  # type: ignore[misc]
            pass

    class MixinOfAMixin(Mixin):
        pass

    with pytest.raises(TypeError, match="Mixin overrides test_create"):

        class MixedTwice(MixinOfAMixin, MemoryConformance):  # type: ignore[misc]
            pass


def test_a_check_cannot_be_overridden_through_a_part_of_the_kit() -> None:
    class Reads(Reading):  # of its own kit it overrides nothing
        test_create = None

    with pytest.raises(TypeError, match="Reads overrides test_create"):

        class Mixed(Reads, MemoryConformance):  # type: ignore[misc]
            pass

    with pytest.raises(TypeError, match="both have a check test_get_job"):

        class Another(ProviderConformance, kit=True):
            def test_get_job(self) -> None:  # type: ignore[override]
                """Nothing to see here."""

    class Late(MemoryConformance):
        pass

    Late.test_create = None  # type: ignore[assignment]
    with pytest.raises(TypeError, match="Late overrides test_create"):

        class Later(Late):
            pass


def test_a_part_of_the_kit_is_run_alone() -> None:
    class Files(FilesPart):
        pass

    assert {name for name in vars(Files) if name.startswith("test_")} == {
        "test_upload_twice",
        "test_read_files",
        "test_delete_file",
    }


@pytest.mark.parametrize("listed", [{"test_creates": "a typing error"}, {"test_create": " "}])
def test_an_expected_failure_names_a_check_and_a_reason(listed: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="expected_failures"):
        type("Listed", (MemoryConformance,), {"expected_failures": listed})


class TestAnExpectedFailureIsRunAllTheSame(MemoryConformance):
    """Both checks fail here, and are reported as xfail; if one passed, strict xfail would fail the test run."""

    provider_class = ForgetsTheWord
    expected_failures: ClassVar[Mapping[str, str]] = {
        "test_status_words": "this vendor's words are not told",
        "test_unknown_status_word": "this vendor's words are not told",
    }


def test_an_expected_failure_is_strict_and_stays_in_its_class() -> None:
    (mark,) = TestAnExpectedFailureIsRunAllTheSame.test_status_words.pytestmark  # type: ignore[attr-defined]
    assert (mark.name, mark.kwargs["strict"]) == ("xfail", True)
    assert not hasattr(MemoryConformance.test_status_words, "pytestmark")

    class Mended(TestAnExpectedFailureIsRunAllTheSame):
        expected_failures: ClassVar[Mapping[str, str]] = {}

    assert not hasattr(Mended.test_status_words, "pytestmark")
