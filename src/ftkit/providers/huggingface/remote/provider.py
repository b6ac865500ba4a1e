"""Training on machines of the Hub, by the minute: the provider `huggingface(compute="jobs")`."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from ftkit.errors import ConfigurationError, ConflictError, NotFoundError
from ftkit.methods import near
from ftkit.models import Estimate, FineTuningJob, JobStatus, Page, Problem
from ftkit.plugin.secrets import NAMES as SECRET_NAMES
from ftkit.providers._hub_account import HubAccount
from ftkit.providers._local_jobs import JobRecord
from ftkit.providers._local_jobs.events import events_page, number_of
from ftkit.providers._local_jobs.files import KeepsFiles
from ftkit.providers._local_jobs.jobs import job_id as id_of
from ftkit.providers._local_jobs.metrics import table_of
from ftkit.providers.huggingface import checkpoints
from ftkit.providers.huggingface.kinds import NAME, TunesOpenWeights
from ftkit.providers.huggingface.problems import problems_of
from ftkit.providers.huggingface.remote.carrier import OWNER
from ftkit.providers.huggingface.remote.files import HubFiles
from ftkit.providers.huggingface.remote.reading import Reader
from ftkit.providers.huggingface.remote.results import job_of_model
from ftkit.providers.huggingface.remote.runs import HubRuns, Order, seconds_of
from ftkit.providers.huggingface.remote.serving import ServesOnEndpoints
from ftkit.providers.huggingface.remote.shipping import CODE, IMAGE, command, send_code
from ftkit.providers.huggingface.resolve import is_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from huggingface_hub import HfApi

    from ftkit.models import (
        Checkpoint,
        JobEvent,
        JobRequest,
        Metrics,
        TrainingFile,
    )
    from ftkit.providers.huggingface.remote.runs import Run

logger = logging.getLogger("ftkit")

FLAVOR = "a10g-small"
TIMEOUT = "6h"
_DEFAULT_HUB = "https://huggingface.co"
_HOUR = Decimal(3600)
_CENT = Decimal("0.01")


class JobsHuggingFace(TunesOpenWeights, KeepsFiles, ServesOnEndpoints):
    """Trains on the Hub's machines with HF Jobs, and serves with Inference Endpoints.

    Where a job runs, and for how long, is no part of what is asked for: the same request on other hardware is the same
    job, and goes on there if it was interrupted.

    Args:
        flavor: The Hub's name for the hardware ("cpu-basic", "a10g-small", "h200x8", ...).
        timeout: When a run is ended at the latest: "30m", "6h", "2d", or seconds. What was trained until the last
            checkpoint is kept, and the same request goes on from there.
        image: The image to run in; one with uv by default, into which `dependencies` are installed.
        dependencies: Packages to install, as pip would take them; those that training needs, in the versions that are
            installed here, by default. Empty, if the image has all of them: then it needs no uv.
        secrets: Names of environment variables of this machine that the job gets as secrets, besides the token.
        namespace: The user or organisation that owns all, and pays for it; the token's own by default.
        token: A token of the Hub that may write; HF_TOKEN, or that of `hf auth login`.
        hub: A ready-made client of huggingface_hub, in place of `token`.

    Raises:
        ConfigurationError: An argument makes no sense.
        CredentialsError: There is no token.
        MissingExtraError: huggingface_hub is not installed.
    """

    contract: ClassVar[int] = 1
    name: str = NAME

    def __init__(
        self,
        *,
        flavor: str = FLAVOR,
        timeout: str | int = TIMEOUT,
        image: str | None = None,
        dependencies: Sequence[str] | None = None,
        secrets: Sequence[str] = (),
        namespace: str | None = None,
        token: str | None = None,
        hub: HfApi | None = None,
    ) -> None:
        for name, value in (("dependencies", dependencies), ("secrets", secrets)):
            if isinstance(value, str):
                raise ConfigurationError(f"{name}={value!r} is one text", hint=f"Write a list: {name}=[{value!r}].")
        self._seconds = seconds_of(str(timeout))
        if self._seconds is None:
            hint = "Write a number with s, m, h or d, such as '90m', or seconds."
            raise ConfigurationError(f"timeout={timeout!r} is no time", hint=hint)
        missing = [name for name in secrets if name not in os.environ]
        if missing:
            message = f"secrets: the environment holds no {', '.join(missing)}"
            raise ConfigurationError(message, hint="Name variables that are set here; their values go along.")
        self._command = command(dependencies)
        self._account = HubAccount(NAME, namespace, token, hub, secrets)
        self._flavor, self._timeout, self._image = flavor, str(timeout), image or IMAGE
        self._secrets = tuple(secrets)
        self._runs = HubRuns(self._account)
        self.settle_s = 10.0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._flavor!r} at {self._account.api.endpoint!r})"

    # -- what every provider has ---------------------------------------------------------------------------------

    def identity(self) -> str:
        """Returns the Hub and the owner; the owner is asked for once, where nobody has said it."""
        return f"{NAME}-jobs:{self._account.host}:{self._account.namespace}"

    def problems(self, request: JobRequest) -> list[Problem]:
        """Says what cannot be trained there, without asking anybody."""
        found = problems_of(request, self.methods)
        if is_folder(request.model):
            message = f"'{request.model}' is on this machine, where a machine of the Hub cannot see it."
            fix = "Name a model of the Hub (organisation/model), or push it there first."
            found = [problem for problem in found if problem.field != "model"]
            found.insert(0, Problem(code="unknown-model", field="model", message=message, fix=fix))
        return found

    def upload(self, path: Path, key: str) -> TrainingFile:
        """Puts a file on the Hub, as a private data set that is named by its key.

        Raises:
            ConfigurationError: The Hub has no such hardware; nothing was sent.
        """
        self._price_per_hour()
        return self._files.add(path, key)

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Asks for a machine that trains, once. What costs nothing, ftkit's own code at the Hub, is seen to before.

        Raises:
            ProviderUnavailableError: It is not known whether the job was made.
            QuotaError: The account cannot pay for it.
            ProviderError: The Hub refuses it.
        """
        job = id_of(key)
        record = JobRecord(
            key=key,
            provider=NAME,
            identity=self.identity(),
            created_at=datetime.now(UTC),
            request=request,
            command=("python",),
            extra={"model": request.model, "job": job},
            can_resume=True,
        )
        return self._reader.job([self._start(job, 1, record)])

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Asks for the job of a key, by its label."""
        del request, since
        runs = self._runs.found(id_of(key))
        return self._reader.job(runs) if runs else None

    def get_job(self, job_id: str) -> FineTuningJob:
        """Reads a job."""
        return self._reader.job(self._runs.of(job_id))

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists jobs, newest first."""
        found = self._runs.all()
        ids = list(found)
        if after is not None:
            if after not in found:
                self._runs.of(after)  # which raises that it is not there
                ids = []
            else:
                ids = ids[ids.index(after) + 1 :]
        page = tuple(self._reader.job(found[job]) for job in ids[:limit])
        return Page(items=page, next=page[-1].id if len(ids) > limit else None)

    # -- around a job --------------------------------------------------------------------------------------------

    def cancel_job(self, job_id: str) -> FineTuningJob:
        """Ends a job for good, and with it its costs; one that has ended is returned as it is."""
        runs = self._runs.of(job_id)
        job = self._reader.job(runs)
        if job.status.is_terminal:
            return job
        self._runs.wish(runs[-1], "cancelled")  # before: the reply to what follows may be lost
        if job.status is not JobStatus.PAUSED:
            self._runs.cancel(runs[-1])
        self._reader.forget(runs[-1])
        return self.get_job(job_id)

    def pause_job(self, job_id: str) -> FineTuningJob:
        """Asks a job to stop after the step it is in. It keeps a checkpoint at the Hub, and gives its machine back.

        Raises:
            ConflictError: It neither runs nor waits.
        """
        runs = self._runs.of(job_id)
        job = self._reader.job(runs)
        if job.status not in {JobStatus.QUEUED, JobStatus.RUNNING}:
            message = f"job '{job_id}' is {job.provider_status}: there is nothing to pause"
            raise ConflictError(message, provider=NAME)
        self._runs.wish(runs[-1], "paused")
        if job.status is JobStatus.QUEUED:  # there is nothing to keep yet
            self._runs.cancel(runs[-1])
        return self.get_job(job_id)

    def resume_job(self, job_id: str) -> FineTuningJob:
        """Asks for another machine, which goes on from the last checkpoint. One that is at it already is no error.

        Raises:
            ConflictError: The job is not paused.
            ProviderUnavailableError: It is not known whether it goes on; ask again, and it is looked for first.
        """
        runs = self._runs.of(job_id)
        job, last = self._reader.job(runs), runs[-1]
        if job.status in {JobStatus.QUEUED, JobStatus.RUNNING} and last.number > 1 and last.want is None:
            return job
        if job.status is not JobStatus.PAUSED:
            message = f"job '{job_id}' is {job.provider_status}: only a paused one can be resumed"
            raise ConflictError(message, provider=NAME)
        if last.record is None:
            message = f"what job '{job_id}' was asked for cannot be read by this version of ftkit"
            raise ConflictError(message, provider=NAME, hint="Resume it with the version that made it, or a newer one.")
        return self._reader.job([*runs, self._start(job_id, last.number + 1, last.record)])

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        """Lists what happened, oldest first, while the job runs as well."""
        number = number_of(after, job_id, NAME)
        events = self._reader.events(self._runs.of(job_id))
        return events_page((event for event in events if int(event.id) > number), limit)

    def results(self, job_id: str) -> list[Metrics]:
        """Returns one row a step, with what was measured on the training and the validation file."""
        return table_of(self._reader.events(self._runs.of(job_id)))

    def list_checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Lists the checkpoints at the Hub, newest first. Jobs go on from them; they are not deployed."""
        runs = self._runs.of(job_id)
        repository = self._reader.repository(runs)
        marks = repository.checkpoints()
        measured = table_of(self._reader.events(runs)) if marks else []
        return checkpoints.told(job_id, marks, measured, lambda step: f"{repository.name}:step-{step}")

    def delete_model(self, model: str) -> None:
        """Deletes the repository of a job: its model, and its checkpoints. The job itself stays known.

        Raises:
            NotFoundError: It is no tuned model of this account.
            ConflictError: The job is still at work.
        """
        job_id = job_of_model(self._account.namespace, model)
        if job_id is None:
            raise NotFoundError(f"'{model[:200]}' is no model that was tuned here", provider=NAME)
        runs = self._runs.of(job_id)
        job = self._reader.job(runs)
        if not job.status.is_terminal:
            raise ConflictError(f"job '{job_id}' is still at work", provider=NAME, hint="Cancel it first.")
        if job.status is JobStatus.SUCCEEDED:
            self._runs.note_deleted(runs[-1])  # before it is: a job that has succeeded stays one
        self._reader.repository(runs).delete()

    def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
        """Returns the most that one run can cost, until its timeout; it costs no more once it has ended."""
        del request
        price = self._price_per_hour()
        today, most = datetime.now(UTC).date(), self._bound(price)
        if most is None:
            return Estimate(tokens=tokens, source=f"the Hub does not say what {self._flavor} costs", as_of=today)
        source = f"at most: {self._flavor} for {self._timeout}, by the Hub's own list of prices"
        return Estimate(tokens=tokens, cost=most, at_most=most, source=source, as_of=today)

    # -- inside --------------------------------------------------------------------------------------------------

    @property
    def _hub_client(self) -> HfApi:
        return self._account.api

    @cached_property
    def _files(self) -> HubFiles:
        return HubFiles(self._account, self.identity())

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self._account, self._runs, self.identity())

    def _start(self, job: str, number: int, record: JobRecord) -> Run:
        """Asks for a run, once, after all that costs nothing, and after its price was told."""
        account = self._account
        price = self._price_per_hour()
        environment = {CODE: send_code(account), OWNER: account.namespace, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        if self._secrets:
            environment[SECRET_NAMES] = ",".join(self._secrets)
        if account.api.endpoint != _DEFAULT_HUB:
            environment["HF_ENDPOINT"] = account.api.endpoint
        order = Order(
            flavor=self._flavor,
            timeout=self._timeout,
            image=self._image,
            command=self._command,
            secrets=self._secret_environment(),
            environment=environment,
        )
        self._announce(job, price)
        return self._runs.start(job, number, record, order)

    def _secret_environment(self) -> dict[str, str]:
        """Returns what a job gets as secrets; never to be given a name where something may fail."""
        return {"HF_TOKEN": self._account.token, **{name: os.environ[name] for name in self._secrets}}

    def _announce(self, job: str, price: Decimal | None) -> None:
        """Tells what a run costs before it does."""
        if price is None:
            costs = "a price that ftkit does not know (https://huggingface.co/pricing)"
        else:
            most = f"at most ${self._bound(price)} until its timeout of {self._timeout}"
            costs = f"${price.normalize():f} an hour (the Hub's own list, asked on {datetime.now(UTC).date()}), {most}"
        logger.warning(
            "training on %s, for %s. It ends by itself; client.cancel_job('%s') ends it sooner",
            self._flavor,
            costs,
            job,
        )

    def _price_per_hour(self) -> Decimal | None:
        """Asks what the hardware costs, in USD an hour; None if the Hub does not say.

        Raises:
            ConfigurationError: The Hub says what it has, and has none of that name.
        """
        prices = self._runs.prices()
        if prices and self._flavor not in prices:
            message = f"the Hub has no flavor '{self._flavor}'{near(self._flavor, prices)}"
            raise ConfigurationError(message, hint=f"It has: {', '.join(prices)}.")
        return prices.get(self._flavor)

    def _bound(self, price: Decimal | None) -> Decimal | None:
        if price is None or self._seconds is None:
            return None
        return (price * Decimal(self._seconds) / _HOUR).quantize(_CENT, ROUND_UP)
