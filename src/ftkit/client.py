"""`Client`: fine-tuning on any provider, through flat verbs.

What must be right for every provider is here, or in the small modules beside it: checks before anything is sent
(`datasets`), what a job may cost (`budget`), one job for one request (`once`), waiting (`waiting`), deployments that
are not forgotten (`deploying`), and the end of what a job left behind (`tearing_down`). A provider only translates.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import ValidationError

from ftkit import provider as abilities
from ftkit._preflight import Preflight, Today, request_of, tokens_of, with_rows
from ftkit.adopting import fields_of
from ftkit.budget import Budget, as_budget
from ftkit.deploying import Deployer, Target, source_of
from ftkit.errors import BudgetError, ConfigurationError, ConflictError, NotFoundError
from ftkit.keys import deployment_name, job_key
from ftkit.ledger import JobEntry, Ledger, as_ledger
from ftkit.methods import Method, explain
from ftkit.models import (
    ChatMessage,
    ChatOptions,
    Deployment,
    FineTuningJob,
    JobRequest,
    JobStatus,
    Page,
    Results,
    Supervised,
    TornDown,
    TrainingFile,
)
from ftkit.once import Once
from ftkit.plugin.disk import place_for
from ftkit.plugin.secrets import forgetful, forgets_mistakes
from ftkit.profiles import Profile, chosen_name, resolve_profile
from ftkit.progress import Progress, as_progress
from ftkit.registry import check_contract, make_provider
from ftkit.retrying import read
from ftkit.tearing_down import TearingDown
from ftkit.waiting import Pace, Watch, WatchAll, check_seconds, look, look_all, to_watch

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
    from decimal import Decimal

    from ftkit.models import ChatChunk, ChatReply, Checkpoint, JobEvent, Report
    from ftkit.provider import Provider

A = TypeVar("A")


class Client:
    """Fine-tunes on one provider. Safe to share between threads.

    Args:
        provider: Name of a provider or of a profile, or a ready-made provider; None for the profile's `default` or
            FTKIT_PROFILE.
        ledger: The ledger; the user's own if None.
        budget: The most that each job may cost, in the currency of the provider's estimates; the profile's if None.
            A job whose price is higher, or is not known, is not made.
        options: Options of the provider, such as `compute="local"`. They win over environment and profile.

    Raises:
        UnknownProviderError: Neither a provider nor a profile has that name.
        MissingExtraError: A package that it needs is not installed.
        ConfigurationError: An option or a profile is wrong, or the provider does not keep the contract.
    """

    @forgetful
    def __init__(
        self,
        provider: str | Provider | None = None,
        *,
        ledger: Ledger | None = None,
        budget: float | Decimal | None = None,
        **options: Any,
    ) -> None:
        self._shown = "..."
        if provider is None or isinstance(provider, str):
            name = chosen_name(provider)
            found = resolve_profile(name, options)
            self._provider = make_provider(found.provider, found.options)
            self._profile = found.model_copy(update={"options": {}})  # a key may be among them, and they have served
            self._shown = ", ".join([repr(name), *(f"{option}=..." for option in options)])  # values may be secret
        elif options:
            message = f"options ({', '.join(options)}) go with a provider's name, not with a ready-made provider"
            raise ConfigurationError(message)
        else:
            self._provider = check_contract(provider)
            self._profile = Profile(provider=self._provider.name)
            self._shown = f"{type(provider).__name__}(...)"
        self._ledger = as_ledger(ledger)
        self._amount = as_budget(self._profile.budget if budget is None else budget)
        self._identity: str | None = None
        self._identity_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Client({self._shown})"

    @property
    def provider(self) -> Provider:
        """The provider behind this client."""
        return self._provider

    @property
    def abilities(self) -> frozenset[str]:
        """Names of the optional abilities that the provider has."""
        return abilities.abilities(self._provider)

    def resolve_model(self, name: str) -> str:
        """Returns the model that a role such as "small" stands for; any other name as it is.

        The profile's word counts first, then the provider's.
        """
        own = self._profile.models.get(name)
        if own is None and isinstance(self._provider, abilities.NamesRoles):
            own = self._provider.model_roles.get(name)
        return own if own is not None else name

    # -- data ----------------------------------------------------------------------------------------------------

    @forgets_mistakes
    def check(
        self,
        source: str | os.PathLike[str],
        *,
        model: str,
        method: Method | None = None,
        columns: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        warnings: str | Collection[str] = "default",
        validation: str | os.PathLike[str] | None = None,
        prompt: str | Iterable[Mapping[str, Any]] | None = None,
        calls_per_day: float | None = None,
        cached: float = 0.0,
        progress: bool = True,
    ) -> Report:
        """Looks a data set over as the provider would: rules, tokens, price, dates of the model. Sends nothing.

        Args:
            source: JSONL, JSON, CSV or Parquet file, or a folder saved by `datasets`.
            model: The base model, or a role such as "small".
            method: The fine-tuning method; supervised if None.
            columns: The file's own column names -> those of the record, such as {"question": "prompt"}.
            provider_options: What only this provider has.
            warnings: What to warn of: "default", "all", "none", a name of `ftkit.datasets.WARNINGS`, or several. Those
                that compare rows with each other take more time and memory, and are not among the default ones.
            validation: The validation file. It is looked over by the same rules, and its problems are in the report,
                with its name as their `source`; and rows are told which both files have.
            prompt: The whole prompt of a typical call of the untuned model today, as text or as messages: the report
                then says after how many calls the training has paid for itself (`Report.break_even`).
            calls_per_day: How many calls are made a day.
            cached: Which share of that prompt the provider reads from its cache, 0 to 1.
            progress: Show on a terminal how far it is, if it takes more than two seconds.

        Returns:
            Every problem found: those of model, method and options among them, and that there is no such file, or none
            that can be read. `report.ok` says whether a job may start.

        Raises:
            ConfigurationError: The prompt is empty, or its messages are none; or there is no such warning or column.
        """
        today = None if prompt is None else Today(prompt, calls_per_day, cached)
        wanted = (self.resolve_model(model), method or Supervised(), columns, provider_options)
        return self._preflight().check(source, *wanted, warnings, validation, today, progress=progress)

    @forgets_mistakes
    def upload(
        self,
        source: str | os.PathLike[str],
        *,
        model: str,
        method: Method | None = None,
        columns: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
    ) -> TrainingFile:
        """Checks a data set, writes it in the provider's layout, and sends it; once for the same content.

        Args:
            source: JSONL, JSON, CSV or Parquet file, or a folder saved by `datasets`.
            model: The base model, or a role such as "small".
            method: The fine-tuning method; supervised if None.
            columns: The file's own column names -> those of the record.
            provider_options: What only this provider has.

        Raises:
            DatasetError: The data has errors; it holds all of them. Nothing was sent.
            UnsupportedError: The provider cannot do that. Nothing was sent.
        """
        wanted = (self.resolve_model(model), method or Supervised(), columns, provider_options)
        return self._upload(source, *wanted)

    def _upload(
        self,
        source: str | os.PathLike[str],
        model: str,
        method: Method,
        columns: Mapping[str, str] | None,
        provider_options: Mapping[str, Any] | None,
        **how: bool,
    ) -> TrainingFile:
        preflight = self._preflight()
        with tempfile.TemporaryDirectory(prefix="ftkit-") as folder:
            return preflight.upload(source, model, method, columns, provider_options, Path(folder), **how)

    def list_files(self, *, after: str | None = None, limit: int = 20) -> Page[TrainingFile]:
        """Lists uploaded files, newest first."""
        return read(self._able(abilities.ReadsFiles).list_files, after, _checked(limit))

    def get_file(self, file: TrainingFile | str) -> TrainingFile:
        """Reads what the provider knows of a file."""
        return read(self._able(abilities.ReadsFiles).get_file, self._id(file))

    def download_file(self, file: TrainingFile | str, path: str | os.PathLike[str]) -> Path:
        """Writes the content of a file to `path`, and returns that path.

        Raises:
            ConfigurationError: The path is a folder, or in one that is not there.
        """
        target = place_for(path)
        read(self._able(abilities.ReadsFiles).download_file, self._id(file), target)
        return target

    def delete_file(self, file: TrainingFile | str) -> None:
        """Deletes a file."""
        self._able(abilities.DeletesFiles).delete_file(self._id(file))

    # -- jobs ----------------------------------------------------------------------------------------------------

    @forgets_mistakes
    def create_job(
        self,
        *,
        model: str,
        training_file: TrainingFile | str,
        validation_file: TrainingFile | str | None = None,
        method: Method | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        key: str | None = None,
        retry_failed: bool = False,
        budget: float | Decimal | None = None,
    ) -> FineTuningJob:
        """Makes a fine-tuning job; the same request again is the same job, whatever happened in between.

        Args:
            model: The base model, or a role such as "small".
            training_file: What `upload` returned, or the id of a file that was uploaded otherwise.
            validation_file: Likewise, to validate on.
            method: The fine-tuning method and its hyperparameters; supervised if None.
            suffix: A word that becomes part of the tuned model's name.
            seed: Seed of all randomness, 0 to 2147483647.
            metadata: Labels of your own.
            provider_options: What only this provider has.
            key: Any word of your own: makes a deliberate second job out of the same request.
            retry_failed: Make a new attempt if the job of this request failed or was cancelled.
            budget: The most that the job may cost, in the currency of the provider's estimates; the client's own if
                None. It is no part of the request, and a job that is there already is returned whatever it costs.

        Returns:
            The job. One that was interrupted (its machine died) is going on again.

        Raises:
            UnsupportedError: The provider cannot do that; it holds every reason. Nothing was sent.
            BudgetError: The job would cost more than its budget, or it is not known how much. No job was made.
            JobFailedError: The job of this request failed before, and `retry_failed` is not set.
            JobCancelledError: Likewise, cancelled.
            UnclearOutcomeError: It cannot be known whether there is a job. Nothing more was sent.
            LedgerError: The ledger cannot be written. Nothing was sent.
        """
        request = self._request(model, training_file, validation_file, method, suffix, seed, metadata, provider_options)
        return self._create(request, key, self._budget(budget), tokens=None, retry_failed=retry_failed)

    @forgets_mistakes
    def fine_tune(
        self,
        model: str,
        train: str | os.PathLike[str],
        *,
        validation: str | os.PathLike[str] | None = None,
        method: Method | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        columns: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        key: str | None = None,
        retry_failed: bool = False,
        budget: float | Decimal | None = None,
        wait: bool = True,
        timeout_s: float | None = None,
        progress: bool | Progress = True,
    ) -> FineTuningJob:
        """Checks everything, then uploads, creates the job, and waits for it.

        A job that the ledger knows for this request, and that is alive or has succeeded, is taken up before anything
        is checked: it goes on where it was, whatever the provider or the rules have become since.

        Args:
            model: The base model, or a role such as "small".
            train: The data set to train on.
            validation: The data set to validate on.
            method: The fine-tuning method and its hyperparameters; supervised if None.
            suffix: A word that becomes part of the tuned model's name.
            seed: Seed of all randomness.
            metadata: Labels of your own.
            columns: The files' own column names -> those of the record.
            provider_options: What only this provider has.
            key: Makes a deliberate second job out of the same request.
            retry_failed: Make a new attempt if the job of this request failed or was cancelled.
            budget: The most that the job may cost, as for `create_job`. What is above it is refused before anything
                is uploaded.
            wait: Wait for the end of the job; if False, it is returned as soon as it is made.
            timeout_s: Seconds after which to stop waiting.
            progress: Show how it goes, or where to show it.

        Raises:
            DatasetError: One of the files has errors. Nothing was sent, of neither.
            BudgetError: The job would cost more than its budget, or it is not known how much. Nothing was sent.
            FtkitError: As from `upload`, `create_job` and `wait`.
        """
        check_seconds("timeout_s", timeout_s)
        limit, preflight = self._budget(budget), self._preflight()
        sources = [train] if validation is None else [train, validation]
        files = [preflight.file_to_be(source, columns) for source in sources]
        shared: dict[str, Any] = {"model": model, "method": method, "provider_options": provider_options}
        rest: dict[str, Any] = {"suffix": suffix, "seed": seed, "metadata": metadata, **shared}
        request = self._request(training_file=files[0], validation_file=files[1] if files[1:] else None, **rest)
        once, base_key = self._once(), job_key(self.identity(), request, key)
        job = once.known(base_key)
        if job is None:
            preflight.refuse(request)
            wanted, shows = (request.model, request.method, columns, provider_options), bool(progress)
            reports = [preflight.demand(source, *wanted, progress=shows) for source in sources]
            tokens = tokens_of(reports[0])
            try:
                limit.refuse(with_rows(request, reports[0]), tokens)
            except BudgetError:
                if once.would_make(base_key, request, retry_failed=retry_failed):
                    raise
            files = [self._upload(source, *wanted, is_checked=True, progress=shows) for source in sources]
            request = self._request(training_file=files[0], validation_file=files[1] if files[1:] else None, **rest)
            job = self._create(request, key, limit, tokens=tokens, retry_failed=retry_failed)
        return self.wait(job, timeout_s=timeout_s, progress=progress) if wait else job

    def get_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Reads a job as it is now."""
        return self._mine(read(self._provider.get_job, self._id(job)))

    def list_jobs(
        self, *, metadata: Mapping[str, str] | None = None, after: str | None = None, limit: int = 20
    ) -> Page[FineTuningJob]:
        """Lists jobs, newest first.

        Args:
            metadata: Lists only jobs that bear all of these labels. A provider that cannot look for them is read page
                by page until there is one, so that a page may be shorter than `limit` and not the last.
            after: The `next` of the page before.
            limit: Most jobs on a page, 1 or more.
        """
        _checked(limit)
        metadata = _labels(metadata)
        page = self._jobs_with(metadata, after, limit) if metadata else read(self._provider.list_jobs, after, limit)
        return page.model_copy(update={"items": tuple(self._mine(job) for job in page.items)})

    def cancel_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Asks for the end of a job; one that has ended is returned as it is."""
        return self._mine(self._able(abilities.Cancels).cancel_job(self._id(job)))

    def pause_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Asks a running job to stop where it can go on later."""
        return self._mine(self._able(abilities.Pauses).pause_job(self._id(job)))

    def resume_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Lets a paused job go on."""
        return self._mine(self._able(abilities.Pauses).resume_job(self._id(job)))

    def list_events(self, job: FineTuningJob | str, *, after: str | None = None, limit: int = 100) -> Page[JobEvent]:
        """Lists the events of a job, oldest first; `after` takes an event's id, or the `next` of a page."""
        return read(self._able(abilities.ListsEvents).list_events, self._id(job), after, _checked(limit))

    def list_checkpoints(self, job: FineTuningJob | str) -> list[Checkpoint]:
        """Lists the checkpoints of a job, newest first."""
        return read(self._able(abilities.ListsCheckpoints).list_checkpoints, self._id(job))

    def results(self, job: FineTuningJob | str) -> Results:
        """Returns the metrics of a job, one row a step, in the order of steps: a list, which a notebook draws."""
        return Results(read(self._able(abilities.FetchesResults).results, self._id(job)))

    def delete_model(self, model: FineTuningJob | str) -> None:
        """Deletes a tuned model, given by its name or its job."""
        job_id = self._id(model)
        name = model if isinstance(model, str) else model.fine_tuned_model
        if name is None:
            message = f"the job {job_id} has no tuned model"
            raise NotFoundError(message, provider=self._provider.name)
        self._able(abilities.DeletesModels).delete_model(name)

    @forgets_mistakes
    def adopt(
        self,
        job: FineTuningJob | str,
        *,
        model: str | None = None,
        training_file: TrainingFile | str | None = None,
        validation_file: TrainingFile | str | None = None,
        method: Method | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Any] | None = None,
        key: str | None = None,
        train: str | os.PathLike[str] | None = None,
        validation: str | os.PathLike[str] | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> FineTuningJob:
        """Takes a job that was made without ftkit, or on another machine, as the job of a request.

        `create_job` and `fine_tune` find it by that request from then on, and make no second one: the request must say
        the same, field by field. There are two ways to say it:

        * With `model` and the training data (`train` or `training_file`), the request is what is said here, and no
          more, just as if it were said to `fine_tune` or `create_job`: what is None is not asked for. So
          `adopt("ftjob-1", model="gpt-4.1-mini", train="train.jsonl")` is found by
          `fine_tune("gpt-4.1-mini", "train.jsonl")`, whatever the job was made with.
        * Without one of the two, what is not given is taken from the job as the provider tells it: model, files,
          method, suffix, seed and labels. A provider tells what it did, which may be more than it was asked for: the
          model by its full, dated name; a seed that it drew; numbers in place of "auto". The request that finds the
          job must name them too. A method that it does not tell is taken to be supervised, and what was asked for in
          `provider_options` no job tells.

        The request that finds what `adopt("ftjob-1")` alone took in names the provider's files by their ids:
        `create_job` does, and `fine_tune` does not, since it names data by their content. Give `train` for that.

        Nothing is sent but the question for the job, and what it was made from is not looked into: that it was trained
        on that data is your word.

        Args:
            job: The job, or its id.
            model: The base model, or a role such as "small".
            training_file: The provider's file, or its id, as for `create_job`.
            validation_file: Likewise, to validate on.
            method: The fine-tuning method and its hyperparameters.
            suffix: A word that is part of the tuned model's name.
            seed: Seed of all randomness.
            metadata: Labels of your own.
            provider_options: What only this provider has.
            key: The word of `create_job(key=...)`, if the request has one.
            train: The data set on this machine that it was trained on, in place of `training_file`: `fine_tune` finds
                the job by its content. It is read, and not sent.
            validation: Likewise, that it was validated on.
            columns: The data sets' own column names -> those of the record.

        Returns:
            The job. A failed or cancelled one is in the ledger as well; its request raises, as `create_job` says.

        Raises:
            ConfigurationError: The job is another account's; a file is given in two ways; or the provider does not tell
                what is not given.
            NotFoundError: There is no such job.
            ConflictError: The request has another job, which is alive or has succeeded.
        """
        job = self.get_job(job)
        files = {"training_file": training_file, "validation_file": validation_file}
        said = {"model": model, "method": method, "suffix": suffix, "seed": seed, "metadata": metadata, **files}
        sources = {"training_file": train, "validation_file": validation}
        given = fields_of(job, said, sources, lambda source: self._preflight().file_to_be(source, columns))
        request = self._request(**given, provider_options=provider_options)
        once, base_key = self._once(), job_key(self.identity(), request, key)
        there = once.known(base_key)
        if there is not None and there.id != job.id:
            message = f"the job of this request is {there.id} already, which is {there.status.value}"
            hint = "key='...' makes another request of it. Or say what differs: data, model, hyperparameters."
            raise ConflictError(message, provider=self._provider.name, hint=hint)
        return once.record(base_key, request, job)

    def unclear(self) -> list[JobEntry]:
        """Returns the requests of this account whose outcome nobody has seen."""
        return [entry for entry in self._ledger.unclear_jobs() if entry.identity == self.identity()]

    def resolve(self, key: str, *, job_id: str | None) -> FineTuningJob | None:
        """Settles an unclear outcome by hand, after a look at the provider's own list.

        Args:
            key: The key that the `UnclearOutcomeError` names.
            job_id: The job that the request became; None if there surely is none.

        Raises:
            NotFoundError: The ledger has no such key, or the provider no such job.
        """
        entry = self._ledger.job_entry(key)
        if entry is None or entry.identity != self.identity():
            message = f"the ledger has no request {key!r} of this account"
            raise NotFoundError(message, provider=self._provider.name, hint="client.unclear() names what is open.")
        return self._once().settle(entry, job_id)

    # -- waiting -------------------------------------------------------------------------------------------------

    def wait(
        self,
        job: FineTuningJob | str,
        *,
        timeout_s: float | None = None,
        poll_s: float | None = None,
        stall_s: float = 600.0,
        progress: bool | Progress = True,
    ) -> FineTuningJob:
        """Waits for the end of a job. Ctrl-C leaves the job alive, and says how to take it up again.

        Args:
            job: The job, or its id.
            timeout_s: Seconds after which to stop waiting; None for never.
            poll_s: Seconds between looks; None lets them grow with the time waited.
            stall_s: Seconds without a step after which a running job is reported as standing still.
            progress: Show how it goes, or where to show it.

        Returns:
            The job, which has succeeded.

        Raises:
            JobFailedError: It failed.
            JobCancelledError: It was cancelled.
            JobPausedError: It stands still; the hint is the line that resumes it.
            JobTimeoutError: The time is up; the job goes on.
        """
        pace = Pace(poll_s=poll_s, timeout_s=timeout_s, stall_s=stall_s)
        with Watch(to_watch(self, job), pace, as_progress(progress), client=repr(self)) as watch:
            while (delay := look(self, watch)[1]) is not None:
                time.sleep(delay)
        return watch.outcome()

    def wait_all(
        self,
        jobs: Sequence[FineTuningJob | str],
        *,
        timeout_s: float | None = None,
        poll_s: float | None = None,
        progress: bool | Progress = True,
    ) -> list[FineTuningJob]:
        """Waits until all jobs have ended (or are paused), asking by listing, not one request a job.

        Returns:
            The jobs in the order given, also those that failed: look at their `status`.

        Raises:
            JobTimeoutError: The time is up; it holds one of the jobs that still run.
        """
        watched = [to_watch(self, job) for job in jobs]
        pace, show = Pace(poll_s=poll_s, timeout_s=timeout_s), as_progress(progress, len({job.id for job in watched}))
        with WatchAll(watched, pace, show, client=repr(self)) as all_:
            while (delay := look_all(self, all_)) is not None:
                time.sleep(delay)
        return all_.jobs()

    def follow(
        self, job: FineTuningJob | str, *, after: str | None = None, poll_s: float | None = None
    ) -> Iterator[JobEvent]:
        """Yields the events of a job as they happen, until it ends. Outages are waited out.

        Args:
            job: The job, or its id.
            after: Id of an event: begins with the one that follows it; None for the first of all.
            poll_s: Seconds between looks; None lets them grow with the time waited.
        """
        self._able(abilities.ListsEvents)
        watch = Watch(to_watch(self, job), Pace(poll_s=poll_s), as_progress(progress=False), client=repr(self))
        watch.last_event = after
        return self._follow(watch)

    def _follow(self, watch: Watch) -> Iterator[JobEvent]:
        delay: float | None = 0.0
        while delay is not None:
            time.sleep(delay)
            events, delay = look(self, watch)
            yield from events

    def receive_webhook(self, payload: bytes, headers: Mapping[str, str]) -> FineTuningJob:
        """Reads the job that a vendor's message is about: an alternative to waiting.

        Args:
            payload: The body of the request, as it came.
            headers: Its headers.

        Raises:
            CredentialsError: The message is not the vendor's, or too old.
        """
        return self.get_job(self._able(abilities.ReceivesWebhooks).verify_webhook(payload, headers))

    # -- deployments ---------------------------------------------------------------------------------------------

    @forgets_mistakes
    def deploy(
        self,
        target: Target,
        *,
        name: str | None = None,
        ttl_s: float | None = None,
        **options: Any,
    ) -> Deployment:
        """Makes a model answer, and leaves it there; the same again is the same deployment.

        Args:
            target: A job, a checkpoint, the name of a model, or a role such as "small".
            name: Its name; None for one that is made from the target.
            ttl_s: Seconds to live: `reap` deletes it afterwards. Nothing else does.
            options: What only this provider takes.

        Raises:
            ConflictError: The job has not succeeded, or the name is taken by another model.
        """
        return self._deployer().deploy(*self._deploy_arguments(target, name, ttl_s, options))

    @contextmanager
    def deployed(
        self,
        target: Target,
        *,
        name: str | None = None,
        ttl_s: float | None = None,
        **options: Any,
    ) -> Generator[Deployment]:
        """Deploys for the time of a `with` block. Deletes only what it made, and what nobody else holds."""
        arguments = self._deploy_arguments(target, name, ttl_s, options)
        with self._deployer().deployed(*arguments) as deployment:
            yield deployment

    def get_deployment(self, name: str) -> Deployment:
        """Reads a deployment."""
        return self._deployer().get(self._id(name))

    def list_deployments(self) -> list[Deployment]:
        """Lists the account's deployments, with age and, where it is known, price per hour.

        One that was asked for and is not known to be up, since the reply to it was lost, say, is listed with the status
        UNKNOWN: it may be there, or come up late, and cost.
        """
        return self._deployer().list_all()

    def delete_deployment(self, deployment: Deployment | str) -> None:
        """Deletes a deployment; one that is gone already is no error."""
        self._deployer().delete(self._id(deployment))

    def reap(self, *, dry_run: bool = False) -> list[str]:
        """Deletes the deployments that are past their time to live, or were left by a dead process; names them.

        What is past its time is told by this machine's clock.

        Args:
            dry_run: Delete nothing: only name what would be deleted.

        Raises:
            FtkitError: Some could not be deleted; the notes of the error name them, and those that were.
        """
        return self._deployer().reap(dry_run=dry_run)

    def tear_down(self, job: FineTuningJob | str) -> TornDown:
        """Deletes what a job that has ended left behind, and ftkit made: its deployments, then its files.

        The job and its model stay. So does what ftkit did not make here (going by this ledger), what somebody holds,
        and a file that a job which has not ended uses; each is told with its reason. Twice is harmless.

        Raises:
            ConflictError: The job has not ended.
            FtkitError: Something could not be deleted; the notes of the error name it, and what was. Run it again.
        """
        job = self.get_job(job)
        deployer = self._deployer() if isinstance(self._provider, abilities.Deploys) else None
        return TearingDown(self._provider, self.identity(), self._ledger, deployer).of(job)

    # -- asking --------------------------------------------------------------------------------------------------

    @forgets_mistakes
    def chat(
        self,
        deployment: Deployment | str,
        messages: str | Sequence[ChatMessage | Mapping[str, Any]],
        **options: Any,
    ) -> ChatReply:
        """Asks a deployed model.

        Args:
            deployment: The deployment, or its name.
            messages: The conversation; a single string is one user message.
            options: Fields of `ChatOptions`: temperature, max_tokens, top_p, seed, stop, tools, extra.
        """
        chats = self._able(abilities.Chats)
        return chats.chat(self._deployment(deployment), _messages(messages), _chat_options(options))

    @forgets_mistakes
    def stream_chat(
        self,
        deployment: Deployment | str,
        messages: str | Sequence[ChatMessage | Mapping[str, Any]],
        **options: Any,
    ) -> Iterator[ChatChunk]:
        """Asks a deployed model, and yields the answer piece by piece; `str(piece)` is its text."""
        streams = self._able(abilities.StreamsChat)
        return streams.stream_chat(self._deployment(deployment), _messages(messages), _chat_options(options))

    # -- inside --------------------------------------------------------------------------------------------------

    def identity(self) -> str:
        """Returns the account behind this client: endpoint and owner, no secret."""
        with self._identity_lock:
            if self._identity is None:
                self._identity = read(self._provider.identity)
            return self._identity

    def _budget(self, budget: float | Decimal | None) -> Budget:
        amount = as_budget(budget)
        return Budget(self._provider, self._amount if amount is None else amount)

    def _create(
        self, request: JobRequest, key: str | None, limit: Budget, *, tokens: int | None, retry_failed: bool
    ) -> FineTuningJob:
        preflight = self._preflight()

        def before_it_costs(request: JobRequest) -> None:
            limit.refuse(request, tokens)
            preflight.warn(request)

        base_key = job_key(self.identity(), request, key)
        return self._once().create(
            base_key, request, retry_failed=retry_failed, refuse=preflight.refuse, warn=before_it_costs
        )

    def _once(self) -> Once:
        return Once(self._provider, self.identity(), self._ledger)

    def _preflight(self) -> Preflight:
        return Preflight(self._provider, self.identity, self._ledger)

    def _request(
        self,
        model: str,
        training_file: TrainingFile | str,
        validation_file: TrainingFile | str | None,
        method: Method | None,
        suffix: str | None,
        seed: int | None,
        metadata: Mapping[str, str] | None,
        provider_options: Mapping[str, Any] | None,
    ) -> JobRequest:
        return request_of(
            model=self.resolve_model(model),
            training_file=self._file(training_file),
            validation_file=None if validation_file is None else self._file(validation_file),
            method=method or Supervised(),
            suffix=suffix,
            seed=seed,
            metadata=metadata or {},
            provider_options=provider_options or {},
        )

    def _file(self, file: TrainingFile | str) -> TrainingFile:
        file_id = self._id(file, "upload() returns one")
        if isinstance(file, str) and Path(file).suffix and Path(file).is_file():
            message = f"'{file}' is a file on this machine, and no file of the provider's"
            raise ConfigurationError(message, hint=f"Send it first: client.upload('{file}', model=...).")
        return file if isinstance(file, TrainingFile) else TrainingFile(id=file_id, provider=self._provider.name)

    def _jobs_with(self, metadata: Mapping[str, str], after: str | None, limit: int) -> Page[FineTuningJob]:
        if isinstance(self._provider, abilities.FiltersJobs):
            return read(self._provider.list_jobs_with, metadata, after, limit)
        while True:
            page = read(self._provider.list_jobs, after, limit)
            found = tuple(job for job in page.items if metadata.items() <= job.metadata.items())
            if found or page.next is None:
                return page.model_copy(update={"items": found})
            after = page.next

    def _mine(self, job: FineTuningJob) -> FineTuningJob:
        return job if job.identity else job.model_copy(update={"identity": self.identity()})

    def _id(self, thing: FineTuningJob | TrainingFile | Deployment | str, wanted: str = "") -> str:
        """Returns the id of a thing of this account; a thing of another account is refused.

        Raises:
            ConfigurationError: It is another account's, or no such thing.
        """
        if isinstance(thing, str) and thing and _is_text(thing):
            return thing
        if not isinstance(thing, (FineTuningJob, TrainingFile, Deployment)):
            message = f"{thing!r} is neither an id nor what has one"
            raise ConfigurationError(message, hint=wanted or None)
        found = thing.name if isinstance(thing, Deployment) else thing.id
        if thing.identity not in {None, self.identity()}:
            noun = {"FineTuningJob": "job", "TrainingFile": "file"}.get(type(thing).__name__, "deployment")
            message = f"the {noun} {found} belongs to {thing.identity}, this client to {self.identity()}"
            raise ConfigurationError(message, hint=f"Make a Client for the account it was made in ({thing.provider}).")
        return found

    def _able(self, ability: type[A]) -> A:
        return abilities.require(self._provider, ability)

    def _deployer(self) -> Deployer:
        provider = self._able(abilities.Deploys)
        return Deployer(provider, self._provider.name, self.identity(), self._ledger)

    def _deploy_arguments(
        self, target: Target, name: str | None, ttl_s: float | None, options: Mapping[str, Any]
    ) -> tuple[Target, str, float | None, Mapping[str, Any]]:
        if isinstance(target, str):
            target = self.resolve_model(target)
        elif isinstance(target, FineTuningJob):
            target = self._finished(target)
        source = source_of(target)
        name = deployment_name(self.identity(), source) if name is None else self._id(name)
        merged = {**self._profile.deploy, **options}
        default_ttl = merged.pop("ttl_s", None)
        ttl_s = ttl_s if ttl_s is not None else default_ttl
        check_seconds("ttl_s", ttl_s)
        return target, name, ttl_s, merged

    def _finished(self, job: FineTuningJob) -> FineTuningJob:
        """A job is plain data, and may be old: what was running when it was read may have succeeded since."""
        job_id = self._id(job)
        now = job if job.status is JobStatus.SUCCEEDED else self.get_job(job_id)
        if now.status is not JobStatus.SUCCEEDED:
            message = f"the job {job_id} is {now.status.value}: there is no model to deploy"
            raise ConflictError(message, provider=self._provider.name, hint="Wait for it, or deploy a checkpoint.")
        return now

    def _deployment(self, deployment: Deployment | str) -> Deployment:
        if isinstance(deployment, Deployment):
            self._id(deployment)
            return deployment
        if isinstance(deployment, FineTuningJob):
            message = "a chat asks a deployment, and a job is none"
            raise ConfigurationError(message, hint="client.deploy(job) makes one; it costs what the provider asks.")
        try:
            return self.get_deployment(deployment)
        except NotFoundError as error:
            error.hint = error.hint or "client.deploy(job) makes one; client.list_deployments() names those there are."
            raise


def _is_text(word: str) -> bool:
    """Whether a word can be written down: half a character cannot."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _checked(limit: int) -> int:
    if limit < 1:
        message = f"limit is the most entries of a page, 1 or more (got {limit!r})"
        raise ConfigurationError(message)
    return limit


def _labels(metadata: object) -> Mapping[str, str]:
    if metadata is None:
        return {}
    if isinstance(metadata, dict):
        labels = cast("dict[object, object]", metadata)
        if all(isinstance(part, str) for pair in labels.items() for part in pair):
            return cast("dict[str, str]", labels)
    message = f"metadata is labels, and what they are (got {metadata!r:.80})"
    raise ConfigurationError(message, hint='Write metadata={"team": "blue"}: both are text.')


def _messages(messages: object) -> list[ChatMessage]:
    if isinstance(messages, str):
        return [ChatMessage(role="user", content=messages)]
    if not isinstance(messages, Sequence) or not messages:
        message = "messages is a text, or a list of messages with at least one"
        raise ConfigurationError(message)
    return [_parsed(ChatMessage, message) for message in cast("Sequence[Mapping[str, Any]]", messages)]


def _chat_options(options: Mapping[str, Any]) -> ChatOptions:
    stop = options.get("stop")
    return _parsed(ChatOptions, {**options, "stop": (stop,)} if isinstance(stop, str) else options)


N = TypeVar("N", ChatMessage, ChatOptions)


def _parsed(noun: type[N], value: N | Mapping[str, Any]) -> N:
    try:
        return noun.model_validate(value)
    except ValidationError as error:
        message = explain(noun, error, "field")
    raise ConfigurationError(message)
