"""The conformance kit: what every provider must keep, as tests that its author runs by subclassing.

    class TestMine(ProviderConformance):
        def make_provider(self) -> MyProvider:
            self.server = FakeServer()
            return MyProvider(api_key="sk-test", transport=self.server.transport)

        def make_witness(self, provider: Provider) -> Witness:
            return FakeServerWitness(self.server)

        def request(self, training_file: TrainingFile) -> JobRequest:
            return JobRequest(model="my-base-model", training_file=training_file)

A check cannot be overridden. One that is known to fail is named, with the reason, in `expected_failures`; it is run
all the same, and the day it passes the entry has to go. Checks of abilities that a provider lacks are skipped.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

import pytest
from pydantic import BaseModel

from ftkit.errors import ConfigurationError, ConflictError, NotFoundError, ProviderUnavailableError, UnclearOutcomeError
from ftkit.methods import Method
from ftkit.models import (
    ChatChunk,
    ChatMessage,
    ChatOptions,
    ChatReply,
    Checkpoint,
    DatasetRules,
    Deployment,
    DeploymentStatus,
    Estimate,
    FineTuningJob,
    JobEvent,
    JobRequest,
    JobStatus,
    Lifecycle,
    Metrics,
    Problem,
    Severity,
    TrainingFile,
)
from ftkit.provider import (
    CONTRACT,
    Cancels,
    Chats,
    DeletesFiles,
    Deploys,
    EstimatesCost,
    FetchesResults,
    FiltersJobs,
    KnowsLifecycle,
    ListsCheckpoints,
    ListsEvents,
    NamesRoles,
    Provider,
    ReadsFiles,
    Settles,
    StreamsChat,
)
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.witness import AddsEvents, CountsRequests, LosesReplies, Witness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ftkit.models import Page

A = TypeVar("A")

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_STRANGE_WORD = "ftkit_never_seen"
_NO_OPTION = "ftkit_no_such_option"
_HELLO = (ChatMessage(role="user", content="Hello"),)


class ProviderConformance(ProviderHooks, kit=True):
    """The checks. Subclass it as `TestSomething`, and say how the provider and its witness are made.

    Each check gets a provider of its own, on a vendor's side where there are no jobs yet. To tidy up afterwards,
    override the fixture `provider` with one that yields.

    Attributes:
        jobs_to_list: How many jobs are made to see how they are listed.
        deploy_timeout_s: How long a deployment may take until it answers.
    """

    jobs_to_list: ClassVar[int] = 3
    deploy_timeout_s: ClassVar[float] = 60.0

    # -- what it says of itself ----------------------------------------------------------------------------------

    def test_contract(self, provider: Provider) -> None:
        """It was written for this version of the contract, and has everything that the contract asks for."""
        must(provider.contract == CONTRACT, f"contract must be {CONTRACT}, and is {provider.contract!r}")
        lacks = [name for name in rules.members(Provider) if not hasattr(provider, name)]
        must(isinstance(cast("object", provider), Provider), f"it lacks {', '.join(lacks)}")

    def test_attributes(self, provider: Provider) -> None:
        """Its name is a plain word, `methods` is a frozenset of Method classes, and Options refuses unknown fields."""
        must(re.fullmatch(r"[a-z][a-z0-9_-]*", provider.name), f"{provider.name!r} is no plain lower-case name")
        must(isinstance(cast("object", provider.methods), frozenset), "methods must be a frozenset")
        must(provider.methods, "methods is empty: there is nothing that it can do")
        must(all(map(_is_method, provider.methods)), "methods must hold subclasses of Method, not instances")
        must(_is_model(provider.Options), "Options must be a pydantic model")
        must(provider.Options.model_config.get("extra") == "forbid", 'Options must have extra="forbid"')

    def test_signatures(self, provider: Provider) -> None:
        """Every method of the contract and of its abilities takes the contract's arguments, by position."""
        for protocol in rules.protocols_of(provider):
            for name in rules.members(protocol):
                if not inspect.isfunction(vars(protocol).get(name)):
                    continue
                wanted = list(inspect.signature(vars(protocol)[name]).parameters)[1:]
                given = inspect.signature(getattr(provider, name))
                must(_binds(given, wanted), f"{name}{given} does not take ({', '.join(wanted)}) by position")

    def test_abilities_are_whole(self, provider: Provider) -> None:
        """It has an ability with all of its methods, or not at all: half of one would count for nothing, in silence."""
        must(not rules.halves(provider), f"half an ability: {'; '.join(rules.halves(provider))}")

    def test_identity(self, provider: Provider, witness: Witness) -> None:
        """Its identity is a text that stays the same and holds no secret."""
        identity = provider.identity()
        must(isinstance(cast("object", identity), str) and identity.strip(), f"{identity!r} is no identity")
        must(provider.identity() == identity, "identity changes from one call to the next")
        rules.shows_none(witness.secrets(), identity, "identity")

    def test_rules(self, provider: Provider, tmp_path: Path) -> None:
        """It has rules for a data set for every method that it declares."""
        model = self.request(self._file(provider, tmp_path)).model
        for method in self.method_examples(provider):
            found = provider.rules(method, model)
            rules.round_trips(DatasetRules, found)
            must(found.accepts and found.layout, f"the rules for {method.type} accept nothing")

    def test_declared_values(self, provider: Provider) -> None:
        """settle_s is a time, and model_roles a table of names, where it has them."""
        if isinstance(provider, Settles):
            settle = cast("object", provider.settle_s)
            must(isinstance(settle, int | float) and math.isfinite(settle) and settle >= 0, f"settle_s is {settle!r}")
        if isinstance(provider, NamesRoles):
            words = [*provider.model_roles, *provider.model_roles.values()]
            must(all(map(_is_word, words)), f"model_roles is {provider.model_roles!r}")

    # -- problems: what cannot work is said before anything is sent ----------------------------------------------

    def test_valid_request_has_no_problems(self, provider: Provider, tmp_path: Path) -> None:
        """A request that it takes has no errors."""
        found = provider.problems(self.request(self._file(provider, tmp_path)))
        must(not _errors(found), f"a valid request has errors: {found}")

    def test_problems_of_an_unknown_method(self, provider: Provider, tmp_path: Path) -> None:
        """A method that it does not declare is an error in `problems`, not an exception."""
        request = self.request(self._file(provider, tmp_path))
        with_stranger = request.model_copy(update={"method": _unknown_method()})
        must(_errors(provider.problems(with_stranger)), "an unknown method has no error in problems()")

    def test_problems_of_an_unknown_option(self, provider: Provider, tmp_path: Path) -> None:
        """A provider option that it does not know is an error in `problems`: nothing is dropped in silence."""
        request = self.request(self._file(provider, tmp_path))
        options = {**request.provider_options, _NO_OPTION: 1}
        found = _errors(provider.problems(request.model_copy(update={"provider_options": options})))
        must(found, "an unknown provider option has no error in problems()")
        must(any(_NO_OPTION in str(p) for p in found), f"the error does not name the unknown option: {found}")

    def test_problems_of_impossible_requests(self, provider: Provider, tmp_path: Path) -> None:
        """Each request that the author calls impossible has an error in `problems`."""
        requests = self.impossible_requests(self._file(provider, tmp_path))
        if not requests:
            pytest.skip("impossible_requests() names none")
        for request in requests:
            must(_errors(provider.problems(request)), f"problems() has no error for {request!r}")

    def test_problems_send_nothing(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """`problems` is offline."""
        request = self.request(self._file(provider, tmp_path))
        before = _counts(witness)
        for each in (request, request.model_copy(update={"provider_options": {_NO_OPTION: 1}})):
            for problem in provider.problems(each):
                rules.round_trips(Problem, problem)
        must(_counts(witness) == before, "problems() sent something")

    # -- making jobs ---------------------------------------------------------------------------------------------

    def test_create(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A create is one request, makes one job, and tells what was asked for."""
        request = self.request(self._file(provider, tmp_path))
        jobs, creates = witness.jobs(), witness.creates()
        job = provider.create_job(request, rules.new_key())
        must(witness.creates() == creates + 1, f"one create sent {witness.creates() - creates} requests")
        must(witness.jobs() == jobs + 1, f"one create made {witness.jobs() - jobs} jobs")
        must(job.id, "the job has no id")
        must(job.provider == provider.name, f"the job's provider is {job.provider!r}, not {provider.name!r}")
        must(job.model == request.model, f"{request.model!r} was asked for, the job says {job.model!r}")
        must(job.identity in {None, provider.identity()}, "the job belongs to another identity")
        must(not job.status.is_terminal, f"a new job is {job.status.value} already")

    def test_create_when_the_reply_is_lost(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A create whose reply is lost is not repeated, ends as an unclear error, and `find_job` finds its job."""
        if not isinstance(witness, LosesReplies):
            pytest.skip("the witness cannot lose replies")
        request, key = self.request(self._file(provider, tmp_path)), rules.new_key()
        creates = witness.creates()
        witness.lose_replies(1)
        error = rules.error_of(lambda: provider.create_job(request, key), "create_job")
        must(witness.creates() == creates + 1, f"the create was sent {witness.creates() - creates} times")
        unclear = isinstance(error, ProviderUnavailableError | UnclearOutcomeError)
        must(unclear, f"a lost reply must be unclear, and came as {error!r}")
        found = _found(provider, key, request)
        must(found is not None, "find_job does not find the job whose reply was lost")

    def test_find_job(self, provider: Provider, tmp_path: Path) -> None:
        """`find_job` finds what `create_job` made under the same key, as soon as the list has settled."""
        request, key = self.request(self._file(provider, tmp_path)), rules.new_key()
        job = provider.create_job(request, key)
        for since in (_BEGINNING, job.created_at or _BEGINNING):
            found = _found(provider, key, request, since)
            must(found is not None, f"find_job does not find the job of the key (since {since})")
            must(found is not None and found.id == job.id, f"find_job finds another job: {found!r}")

    def test_find_job_finds_nothing(self, provider: Provider, tmp_path: Path) -> None:
        """`find_job` returns None for what was never asked for, also when there are other jobs."""
        file = self._file(provider, tmp_path)
        request, key = self.request(file), rules.new_key()
        must(provider.find_job(key, request, _BEGINNING) is None, "find_job finds a job where none was made")
        job = provider.create_job(request, key)
        _found(provider, key, request)
        other = self.other_request(file)
        if other is not None:
            stray = provider.find_job(rules.new_key(), other, _BEGINNING)
            must(stray is None, "find_job takes a job that was ordered differently for the one of a new key")
        if job.key is not None:
            must(job.key == key, "the job carries another key than it was made under")
            stray = provider.find_job(rules.new_key(), request, _BEGINNING)
            must(stray is None, "the provider keeps keys, and find_job finds a job of another key")

    # -- reading jobs --------------------------------------------------------------------------------------------

    def test_get_job(self, provider: Provider, tmp_path: Path) -> None:
        """A job can be read by its id at once, also where lists lag."""
        job = self._job(provider, tmp_path)
        again = provider.get_job(job.id)
        must(again.id == job.id, f"{job.id} was asked for, and {again.id} came")
        must(again.created_at == job.created_at or job.created_at is None, "created_at changes")
        must((again.model, again.provider) == (job.model, job.provider), "model or provider changes")

    def test_status_words(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Every word that the vendor has for a job's state reads as the witness says; the word itself is kept."""
        for word, status in witness.known_status_words().items():
            job = self._job(provider, tmp_path)
            witness.set_status(job.id, word)
            now = provider.get_job(job.id)
            must(now.status is status, f"{word!r} must read as {status.value}, and reads as {now.status.value}")
            must(now.provider_status == word, f"provider_status must be {word!r}, and is {now.provider_status!r}")
            rules.round_trips(FineTuningJob, now)

    def test_unknown_status_word(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A word that nobody has seen before reads as UNKNOWN, which is not the end and never means queued."""
        job = self._job(provider, tmp_path)
        witness.set_status(job.id, _STRANGE_WORD)
        for now in filter(None, (provider.get_job(job.id), _listed(provider, job.id))):
            must(now.status is JobStatus.UNKNOWN, f"a word never seen reads as {now.status.value}")
            must(now.provider_status == _STRANGE_WORD, "the vendor's own word is not kept in provider_status")
            rules.round_trips(FineTuningJob, now)

    def test_terminal_states_stay(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A job that has ended reads the same however often, and in whichever way, it is read."""
        for word in _terminal_words(witness):
            job = self._job(provider, tmp_path)
            witness.set_status(job.id, word)
            first = provider.get_job(job.id)
            looks = (provider.get_job(job.id), _listed(provider, job.id), provider.get_job(job.id))
            for again in filter(None, looks):
                must(again.status is first.status, f"{first.status.value} became {again.status.value}")
                must(again.finished_at == first.finished_at, "finished_at changes after the end")

    def test_list_jobs(self, provider: Provider, tmp_path: Path) -> None:
        """Jobs are listed newest first, without gaps or repeats, whatever the size of the pages."""
        file = self._file(provider, tmp_path)
        made = [provider.create_job(self.request(file), rules.new_key()) for _ in range(self.jobs_to_list)]
        ids = {job.id for job in made}
        must(len(ids) == len(made), "two jobs have the same id")
        for limit in (1, 2, 100):
            ask = functools.partial(_all_jobs, provider, limit)
            listed = rules.settled(provider, ask, lambda jobs: ids <= {job.id for job in jobs})
            seen = [job.id for job in listed]
            must(ids <= set(seen), f"pages of {limit} leave out {ids - set(seen)}")
            must(len(seen) == len(set(seen)), f"pages of {limit} repeat jobs: {seen}")
            times = [job.created_at for job in listed if job.created_at is not None]
            must(times == sorted(times, reverse=True), f"pages of {limit} are not newest first: {times}")

    def test_list_jobs_by_labels(self, provider: Provider, tmp_path: Path) -> None:
        """Jobs that bear all of the labels asked for are listed, newest first, and no others."""
        able = _able(provider, FiltersJobs)
        file = self._file(provider, tmp_path)
        both, one = {"team": rules.new_key(), "run": "2"}, {"run": "2"}
        made = [
            provider.create_job(self.request(file).model_copy(update={"metadata": labels}), rules.new_key())
            for labels in (both, one, both, {})
        ]
        wanted = [made[2].id, made[0].id]
        ask = functools.partial(_labelled, able, both)
        found = rules.settled(provider, ask, lambda ids: len(ids) >= len(wanted))
        must(set(found) == set(wanted) and len(found) == len(wanted), f"{wanted} bear {both}, and {found} are listed")
        none = _labelled(able, {**both, "run": "3"})
        must(not none, f"no job bears these labels, and {none} are listed")

    def test_strange_ids(self, provider: Provider) -> None:
        """An id that it does not know is a NotFoundError in every method that takes one, whatever the id looks like."""
        calls = rules.by_id(provider)
        if isinstance(provider, ListsEvents):
            calls["list_events"] = functools.partial(_first_events, provider)
        for name, call in calls.items():
            for strange in rules.STRANGE_IDS:
                rules.not_found(functools.partial(call, strange), f"{name}({strange[:20]!r})")

    def test_strange_file_ids_are_not_downloaded(self, provider: Provider, tmp_path: Path) -> None:
        """A file id that it does not know is a NotFoundError, and leaves no file behind."""
        reads = _able(provider, ReadsFiles)
        path = tmp_path / "nothing"
        for strange in rules.STRANGE_IDS:
            ask = functools.partial(reads.download_file, strange, path)
            rules.not_found(ask, f"download_file({strange[:20]!r})")
            must(not path.exists(), "a download that failed leaves a file behind")

    def test_no_secret_is_shown(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """No secret is in the repr or str of provider, file or job, in their JSON, or in an error or its causes."""
        secrets = [secret for secret in witness.secrets() if secret]
        if not secrets:
            pytest.skip("the witness knows no secret")
        file = self._file(provider, tmp_path)
        job = provider.create_job(self.request(file), rules.new_key())
        rules.shows_none(secrets, f"{provider!r} {provider}", "the provider")
        for noun in (file, job, provider.get_job(job.id)):
            rules.shows_none(secrets, f"{noun!r} {noun} {noun.model_dump_json()}", type(noun).__name__)
        errors = [rules.error_of(lambda: provider.get_job("ftkit-no-such-thing"), "get_job")]
        if isinstance(witness, LosesReplies):
            witness.lose_replies(1)
            errors.append(
                rules.error_of(lambda: provider.create_job(self.request(file), rules.new_key()), "create_job")
            )
        for error in filter(None, errors):
            rules.shows_none(secrets, rules.told_by(error), type(error).__name__)

    def test_nouns_round_trip(self, provider: Provider, tmp_path: Path) -> None:
        """Files and jobs come back from JSON as they were: that is how the ledger keeps them."""
        file = self._file(provider, tmp_path)
        rules.round_trips(TrainingFile, file)
        request, key = self.request(file), rules.new_key()
        job = provider.create_job(request, key)
        read = (job, provider.get_job(job.id), _found(provider, key, request), _listed(provider, job.id))
        for each in filter(None, read):
            rules.round_trips(FineTuningJob, each)

    # -- files ---------------------------------------------------------------------------------------------------

    def test_upload_twice(self, provider: Provider, tmp_path: Path) -> None:
        """The same upload under the same key again does no harm: both answers are files that a job can train on."""
        path, key = self.training_path(tmp_path), rules.new_key()
        for file in (provider.upload(path, key), provider.upload(path, key)):
            must(file.id and file.provider == provider.name, f"not a file of this provider: {file!r}")
            must(not _errors(provider.problems(self.request(file))), "a request for the file has errors")
            if isinstance(provider, ReadsFiles):
                must(provider.get_file(file.id).id == file.id, "get_file returns another file")

    def test_read_files(self, provider: Provider, tmp_path: Path) -> None:
        """An uploaded file is listed, and comes back byte for byte."""
        reads = _able(provider, ReadsFiles)
        path = self.training_path(tmp_path)
        file = provider.upload(path, rules.new_key())
        rules.round_trips(TrainingFile, reads.get_file(file.id))
        copy = tmp_path / "copy"
        reads.download_file(file.id, copy)
        must(copy.read_bytes() == path.read_bytes(), "the download is not what was uploaded")
        for limit in (1, 100):
            ask = functools.partial(_all_files, reads, limit)
            ids = rules.settled(provider, ask, lambda ids: file.id in ids)
            must(ids.count(file.id) == 1, f"pages of {limit} list the file {ids.count(file.id)} times")

    def test_delete_file(self, provider: Provider, tmp_path: Path) -> None:
        """A deleted file is gone."""
        deletes = _able(provider, DeletesFiles)
        file = self._file(provider, tmp_path)
        deletes.delete_file(file.id)
        if isinstance(provider, ReadsFiles):
            rules.not_found(lambda: provider.get_file(file.id), "get_file of a deleted file")

    # -- abilities around a job ----------------------------------------------------------------------------------

    def test_cancel(self, provider: Provider, tmp_path: Path) -> None:
        """Cancelling ends a job, or begins to."""
        cancels = _able(provider, Cancels)
        job = cancels.cancel_job(self._job(provider, tmp_path).id)
        rules.round_trips(FineTuningJob, job)
        must(job.status in {JobStatus.CANCELLED, JobStatus.CANCELLING}, f"a cancelled job is {job.status.value}")

    def test_cancel_of_an_ended_job(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Cancelling a job that has ended returns it as it is."""
        cancels = _able(provider, Cancels)
        for word in _terminal_words(witness):
            job = self._job(provider, tmp_path)
            witness.set_status(job.id, word)
            before = provider.get_job(job.id)
            after = cancels.cancel_job(job.id)
            must(after == before, f"cancelling a job that was {word} returned {after!r}, not {before!r}")
            must(provider.get_job(job.id).status is before.status, f"{word} became something else by cancelling")

    def test_events(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Events come oldest first, each once, whatever the size of the pages."""
        lists = _able(provider, ListsEvents)
        job, events = self._events(lists, provider, witness, tmp_path)
        ids = [event.id for event in events]
        must(len(ids) == len(set(ids)), f"events repeat: {ids}")
        times = [event.created_at for event in events]
        must(times == sorted(times), f"events are not oldest first: {times}")
        for event in events:
            rules.round_trips(JobEvent, event)
            must(event.job_id == job.id, f"an event of {event.job_id} is told of {job.id}")
        by_one = [event.id for event in rules.pages(lambda a, n: lists.list_events(job.id, a, n), 1)]
        must(by_one == ids, f"pages of 1 tell {by_one}, a page of 100 tells {ids}")

    def test_events_after(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """`after` takes the id of any event and tells what came later: after the last one, only what is new."""
        lists = _able(provider, ListsEvents)
        job, events = self._events(lists, provider, witness, tmp_path)
        for n, event in enumerate(events, start=1):
            later = lists.list_events(job.id, event.id, 100)
            must(later.items == tuple(events[n:]), f"after event {n} of {len(events)} came {later.items}")
        if isinstance(witness, AddsEvents):
            witness.add_event(job.id, "ftkit: one more")
            new = lists.list_events(job.id, events[-1].id, 100).items
            must(len(new) == 1 and new[0].id not in {e.id for e in events}, f"one event was added, {len(new)} came")

    def test_checkpoints(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Checkpoints come newest first, and each names a model that can be deployed."""
        lists = _able(provider, ListsCheckpoints)
        job = self._succeeded(provider, witness, tmp_path)
        found = lists.list_checkpoints(job.id)
        steps = [checkpoint.step for checkpoint in found]
        must(steps == sorted(steps, reverse=True), f"checkpoints are not newest first: steps {steps}")
        for checkpoint in found:
            rules.round_trips(Checkpoint, checkpoint)
            must(checkpoint.job_id == job.id and checkpoint.model, f"not a checkpoint of this job: {checkpoint!r}")

    def test_results(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Metrics come in the order of steps, one row a step."""
        fetches = _able(provider, FetchesResults)
        found = fetches.results(self._succeeded(provider, witness, tmp_path).id)
        steps = [row.step for row in found]
        must(steps == sorted(set(steps)), f"steps are not in order, or repeat: {steps}")
        for row in found:
            rules.round_trips(Metrics, row)

    def test_lifecycle(self, provider: Provider, tmp_path: Path) -> None:
        """The dates of a model are told, or None."""
        knows = _able(provider, KnowsLifecycle)
        found = knows.lifecycle(self.request(self._file(provider, tmp_path)).model)
        if found is not None:
            rules.round_trips(Lifecycle, found)

    def test_estimate(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A cost is estimated with and without a count of tokens, and makes no job."""
        estimates = _able(provider, EstimatesCost)
        request, before = self.request(self._file(provider, tmp_path)), witness.creates()
        for tokens in (None, 1_000_000):
            rules.round_trips(Estimate, estimates.estimate(request, tokens))
        must(witness.creates() == before, "an estimate sent a create")

    # -- deployments ---------------------------------------------------------------------------------------------

    def test_deploy(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """The same deployment again is the one that is there; it is listed once, and read by its name."""
        deploys = _able(provider, Deploys)
        job = self._succeeded(provider, witness, tmp_path)
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
        deploys = _able(provider, Deploys)
        one, two = (self._succeeded(provider, witness, tmp_path) for _ in range(2))
        deploys.deploy(one, "ftkit-kit", self.deploy_options())
        error = rules.error_of(lambda: deploys.deploy(two, "ftkit-kit", self.deploy_options()), "deploy")
        must(isinstance(error, ConflictError), f"a taken name must be a ConflictError, and came as {error!r}")

    def test_delete_deployment(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A deleted deployment is gone, once and for all, and nothing else is: neither its model nor another one."""
        deploys = _able(provider, Deploys)
        job = self._succeeded(provider, witness, tmp_path)
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

    def test_chat(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A deployed model answers."""
        chats, deploys = _able(provider, Chats), _able(provider, Deploys)
        deployment = self._answering(deploys, self._succeeded(provider, witness, tmp_path))
        rules.round_trips(ChatReply, chats.chat(deployment, _HELLO, ChatOptions(max_tokens=8)))

    def test_stream_chat(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A deployed model answers piece by piece, and the last piece says why it ended."""
        streams, deploys = _able(provider, StreamsChat), _able(provider, Deploys)
        deployment = self._answering(deploys, self._succeeded(provider, witness, tmp_path))
        chunks = list(streams.stream_chat(deployment, _HELLO, ChatOptions(max_tokens=8)))
        must(chunks and chunks[-1].finish_reason, f"the last piece gives no finish_reason: {chunks[-1:]}")
        for chunk in chunks:
            rules.round_trips(ChatChunk, chunk)

    # -- inside --------------------------------------------------------------------------------------------------

    def _file(self, provider: Provider, folder: Path) -> TrainingFile:
        return provider.upload(self.training_path(folder), rules.new_key())

    def _job(self, provider: Provider, folder: Path) -> FineTuningJob:
        return provider.create_job(self.request(self._file(provider, folder)), rules.new_key())

    def _succeeded(self, provider: Provider, witness: Witness, folder: Path) -> FineTuningJob:
        words = [w for w, status in witness.known_status_words().items() if status is JobStatus.SUCCEEDED]
        job = self._job(provider, folder)
        witness.set_status(job.id, words[0])
        done = provider.get_job(job.id)
        must(done.status is JobStatus.SUCCEEDED, f"{words[0]!r} reads as {done.status.value}")
        must(done.fine_tuned_model, "a job that has succeeded names no fine_tuned_model")
        return done

    def _events(
        self, lists: ListsEvents, provider: Provider, witness: Witness, folder: Path
    ) -> tuple[FineTuningJob, list[JobEvent]]:
        """Makes a job in which a few things happen, and reads them in one page."""
        job = self._job(provider, folder)
        if isinstance(witness, AddsEvents):
            for n in range(3):
                witness.add_event(job.id, f"ftkit: event {n}")
        witness.set_status(job.id, _terminal_words(witness)[0])
        provider.get_job(job.id)
        events = list(lists.list_events(job.id, None, 100).items)
        if not events:
            pytest.skip("nothing happens in a job; let the witness be one that AddsEvents")
        return job, events

    def _answering(self, deploys: Deploys, job: FineTuningJob) -> Deployment:
        """Deploys, and waits until it stands."""
        deployment = deploys.deploy(job, "ftkit-kit", self.deploy_options())
        deadline = time.monotonic() + self.deploy_timeout_s
        while deployment.status is DeploymentStatus.CREATING and time.monotonic() < deadline:
            time.sleep(0.2)
            deployment = deploys.get_deployment("ftkit-kit")
        must(deployment.status is DeploymentStatus.RUNNING, f"the deployment is {deployment.status.value}")
        return deployment


def _found(provider: Provider, key: str, request: JobRequest, since: datetime = _BEGINNING) -> FineTuningJob | None:
    """Looks for a job as the client does: for as long as the provider says that its list may lag."""
    return rules.settled(provider, lambda: provider.find_job(key, request, since), lambda job: job is not None)


def _listed(provider: Provider, job_id: str) -> FineTuningJob | None:
    """Reads one job through the list."""
    ask = functools.partial(_all_jobs, provider, 100)
    jobs = rules.settled(provider, ask, lambda jobs: any(job.id == job_id for job in jobs))
    return next((job for job in jobs if job.id == job_id), None)


def _labelled(provider: FiltersJobs, labels: Mapping[str, str]) -> list[str]:
    pages = rules.pages(functools.partial(provider.list_jobs_with, labels), 1)
    return [job.id for job in pages]


def _all_jobs(provider: Provider, limit: int) -> list[FineTuningJob]:
    return list(rules.pages(provider.list_jobs, limit))


def _all_files(reads: ReadsFiles, limit: int) -> list[str]:
    return [file.id for file in rules.pages(reads.list_files, limit)]


def _first_events(lists: ListsEvents, job_id: str) -> Page[JobEvent]:
    return lists.list_events(job_id, None, 10)


def _able(provider: Provider, ability: type[A]) -> A:
    """Returns the provider as one that has an ability, or skips the check."""
    if not isinstance(provider, ability):
        pytest.skip(f"{provider.name} has no {ability.__name__}")
    return provider


def _is_method(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, Method)


def _is_word(candidate: object) -> bool:
    return isinstance(candidate, str) and bool(candidate)


def _is_model(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _binds(given: inspect.Signature, wanted: Sequence[str]) -> bool:
    try:
        given.bind(*wanted)
    except TypeError:
        return False
    return True


def _errors(problems: Sequence[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity is Severity.ERROR]


def _counts(witness: Witness) -> tuple[int, ...]:
    requests = witness.requests() if isinstance(witness, CountsRequests) else 0
    return witness.jobs(), witness.creates(), requests


def _terminal_words(witness: Witness) -> list[str]:
    return [word for word, status in witness.known_status_words().items() if status.is_terminal]


def _unknown_method() -> Method:
    """Returns a method that no provider can have; it is made here so that it is not known anywhere else."""

    class Unheard(Method):
        type: str = "ftkit-kit-unheard"

    del Method.registry["ftkit-kit-unheard"]
    return Unheard()
