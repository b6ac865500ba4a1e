"""The provider `autotrain` with backend="spaces-...": AutoTrain in a Space of the Hub, on hardware by the hour."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import SecretStr

from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    FtkitError,
    NotFoundError,
    ProviderUnavailableError,
)
from ftkit.home import state_folder
from ftkit.methods import near
from ftkit.models import DatasetRules, Estimate, FineTuningJob, Page
from ftkit.plugin.asked import asked_of
from ftkit.plugin.notes import Notes
from ftkit.providers._hub_account import HubAccount
from ftkit.providers._local_jobs.files import KeepsFiles, LocalFiles
from ftkit.providers.autotrain import environment
from ftkit.providers.autotrain.backends import NAME, SPACES
from ftkit.providers.autotrain.options import AutoTrainOptions
from ftkit.providers.autotrain.recipe import TASKS, config_of, kind_of, rules_of
from ftkit.providers.autotrain.spaces_hub import SpacesHub
from ftkit.providers.autotrain.spaces_jobs import SpaceJobs
from ftkit.providers.autotrain.spaces_log import page_of
from ftkit.providers.autotrain.spaces_making import Maker
from ftkit.providers.autotrain.spaces_problems import is_cpu, spaces_problems_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from huggingface_hub import HfApi
    from pydantic import BaseModel

    from ftkit.methods import Method
    from ftkit.models import JobEvent, JobRequest, Metrics, Problem, TrainingFile
    from ftkit.providers.autotrain.spaces_hub import Space

logger = logging.getLogger("ftkit")

_JOB_ID = re.compile(r"ftkit-[0-9a-f]{24}")
_SMALL = "HuggingFaceTB/SmolLM2-135M-Instruct"


class AutoTrainSpaces(KeepsFiles):
    """Trains with AutoTrain in Spaces of the Hub, and leaves the models there.

    The files, and what was asked for, are kept on this machine; what became of it is read from the Hub alone. A job is
    known by the name of its Space, which comes from its key: two of the same name cannot be.

    Args:
        backend: AutoTrain's name for the hardware: "spaces-t4-small", ...
        username: User or organisation that owns (and pays for) the Spaces; whoever the token belongs to by default.
        token: A token of the Hub that may write; HF_TOKEN, or that of `hf auth login`.
        python: Interpreter of an environment that holds AutoTrain; FTKIT_AUTOTRAIN_PYTHON, or that of
            `ftkit autotrain setup`.
        hub: A ready-made client of huggingface_hub, in place of `token`.
        jobs_folder: Folder of the files and of what was asked for; `autotrain-spaces` in ftkit's state folder.
        making_s: Seconds that the making of a job may take, most of which is the sending of the data.

    Raises:
        ConfigurationError: There is no such backend, or the name of the owner cannot be one.
        CredentialsError: There is no token.
        MissingExtraError: huggingface_hub is not installed.
    """

    contract: ClassVar[int] = 1
    name: str = NAME
    Options: type[BaseModel] = AutoTrainOptions

    def __init__(
        self,
        *,
        backend: str,
        username: str | None = None,
        token: str | None = None,
        python: str | os.PathLike[str] | None = None,
        hub: HfApi | None = None,
        jobs_folder: str | os.PathLike[str] | None = None,
        making_s: float = 3600.0,
    ) -> None:
        if backend not in SPACES:
            hint = f"Choose one of: {', '.join(SPACES)}; or leave it out, to train on this machine."
            raise ConfigurationError(f"there is no backend '{backend}'{near(backend, SPACES)}", hint=hint)
        if not making_s > 0:
            raise ConfigurationError(f"making_s is a number of seconds above 0 (got {making_s})")
        self._account = HubAccount(NAME, username, token, hub)
        self._hub = SpacesHub(self._account)
        self._hardware = backend.removeprefix("spaces-")
        self._backend = backend
        self._python = python
        self._making_s = making_s
        self._jobs_folder = jobs_folder
        self.settle_s = 10.0
        self.methods: frozenset[type[Method]] = frozenset(TASKS)
        self.model_roles: Mapping[str, str] = {"small": _SMALL}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._backend!r} at {self._hub.endpoint!r})"

    # -- what every provider has ---------------------------------------------------------------------------------

    def identity(self) -> str:
        """Returns the Hub and the owner of the Spaces; the owner is asked for once, where nobody has said it."""
        return f"{NAME}:{self._account.host}:{self._hub.user}"

    def rules(self, method: Method, model: str) -> DatasetRules:
        """Takes what AutoTrain takes on this machine: conversations or text, and preferences."""
        return rules_of(method, model)

    def problems(self, request: JobRequest) -> list[Problem]:
        """Says what AutoTrain cannot train in a Space, and what it passes over, without asking anybody."""
        return list(spaces_problems_of(request, self._hardware))

    def upload(self, path: Path, key: str) -> TrainingFile:
        """Takes a copy of a file. It goes to the Hub with the job, as a private data set.

        Raises:
            ConfigurationError: AutoTrain's environment is not there, which a job would need.
        """
        environment.required(self._python)
        return self._files.add(path, key)

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Pushes the data, and makes the Space that trains on them: once. Where there is one of this key, that is it.

        Raises:
            ProviderUnavailableError: It is not known whether the Space was made.
            QuotaError: The account cannot pay for it.
            ConfigurationError: AutoTrain's environment is not there.
        """
        python = environment.required(self._python).python
        training = self._files.path(request.training_file.id)
        project = project_of(key)
        recipe = self._recipe(request, project, training)
        self._announce(project)
        self._jobs.note(project, key=key, request=request.model_dump(mode="json", exclude_none=True))
        maker = Maker(python, self._hub.endpoint, SecretStr(self._account.token), self._making_s, self._account.hide)
        maker.make(recipe, training, self._folder)
        try:
            return self.get_job(project)
        except NotFoundError as error:
            message = f"the Space {self._hub.space_id(project)} was asked for, and cannot be seen: {error.message}"
            raise ProviderUnavailableError(message, provider=NAME) from None

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Asks for the Space of a key, by its name."""
        del since
        project = project_of(key)
        try:
            space = self._hub.space(project)
        except NotFoundError:
            return None
        job = self._jobs.job(space, with_log=True)
        return job if job.key is not None else job.model_copy(update={**asked_of(request), "key": key})

    def get_job(self, job_id: str) -> FineTuningJob:
        """Reads a job."""
        return self._jobs.job(self._space(job_id), with_log=True)

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists jobs, newest first. Why one failed is told in full by `get_job` alone."""
        spaces = self._hub.spaces()
        if after is not None:
            projects = [space.project for space in spaces]
            if after not in projects:
                raise _no_job(after)
            spaces = spaces[projects.index(after) + 1 :]
        page = tuple(self._jobs.job(space, with_log=False) for space in spaces[:limit])
        return Page(items=page, next=page[-1].id if len(spaces) > limit else None)

    # -- around a job --------------------------------------------------------------------------------------------

    def cancel_job(self, job_id: str) -> FineTuningJob:
        """Pauses the Space of a job, which ends its costs; AutoTrain cannot go on where it was."""
        job = self.get_job(job_id)
        if job.status.is_terminal:
            return job
        self._jobs.note(job_id, cancelled=True)  # before: the reply to what follows may be lost
        try:
            self._hub.pause(job_id)
        except ProviderUnavailableError:
            raise
        except FtkitError:
            self._jobs.note(job_id, cancelled=False)
            raise
        return self.get_job(job_id)

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        """Lists what AutoTrain has printed in the Space, oldest first."""
        return page_of(self._jobs.events(self._space(job_id)), after, limit)

    def results(self, job_id: str) -> list[Metrics]:
        """Returns one row a measurement. AutoTrain prints no steps with them: they are counted."""
        return [event.metrics for event in self._jobs.events(self._space(job_id)) if event.metrics is not None]

    def delete_model(self, model: str) -> None:
        """Deletes the repository of a job's model. The Space, and its data set, stay.

        Raises:
            NotFoundError: It is no tuned model of this account.
            ConflictError: The job is still at work.
        """
        owner, _, project = model.partition("/")
        if owner != self._hub.user or not _JOB_ID.fullmatch(project):
            raise NotFoundError(f"'{model[:200]}' is no model that was tuned here", provider=NAME)
        if not self.get_job(project).status.is_terminal:
            raise ConflictError(f"job '{project}' is still at work", provider=NAME, hint="Cancel it first.")
        if self._hub.has_weights(project):
            self._jobs.note(project, deleted=True)  # before it is: a job that has succeeded stays one
        self._hub.delete_model(project)

    def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
        """Returns 0 for hardware that is free; else nothing is known, since a Space is paid until it is paused."""
        del request
        price, today = self._hub.price_per_hour(self._hardware), datetime.now(UTC).date()
        if price == 0:
            free, source = Decimal(0), f"{self._hardware} is free, by the Hub's own list of prices"
            return Estimate(tokens=tokens, cost=free, at_most=free, source=source, as_of=today)
        by_the_hour = "by the hour" if price is None else f"${price.normalize():f} an hour"
        source = f"a Space with {self._hardware} costs {by_the_hour}, and nothing limits its hours"
        return Estimate(tokens=tokens, source=source, as_of=today)

    # -- inside --------------------------------------------------------------------------------------------------

    @cached_property
    def _folder(self) -> Path:
        whole = Path(self._jobs_folder).expanduser() if self._jobs_folder else state_folder() / "autotrain-spaces"
        return whole.resolve() / re.sub(r"[^\w.-]", "_", f"{self._account.host}_{self._hub.user}")

    @cached_property
    def _files(self) -> LocalFiles:
        return LocalFiles(self._folder / "files", NAME, self.identity())

    @cached_property
    def _jobs(self) -> SpaceJobs:
        return SpaceJobs(self._hub, Notes(self._folder / "jobs.json", NAME), self.identity())

    def _recipe(self, request: JobRequest, project: str, training: Path) -> dict[str, Any]:
        """Writes AutoTrain's recipe. The token is put in where it is read, and nowhere else."""
        with training.open(encoding="utf-8") as lines:
            recipe = config_of(request, request.model, kind_of(json.loads(next(lines))))
        if is_cpu(self._hardware):
            recipe["params"]["quantization"] = None  # AutoTrain's own default with LoRA is 4 bits
        hub = {"username": self._hub.user, "token": None, "push_to_hub": True}
        return {**recipe, "project_name": project, "backend": self._backend, "hub": hub}

    def _announce(self, project: str) -> None:
        """Tells what a Space costs before it does."""
        price = self._hub.price_per_hour(self._hardware)
        today = datetime.now(UTC).date()
        costs = f"${price.normalize():f} an hour (the Hub's own list, asked on {today})" if price is not None else None
        logger.warning(
            "training on a Space with %s, for %s. It pauses itself at the end; should it not, it goes on to cost: "
            "client.cancel_job('%s') stops it, or Pause in its settings at %s",
            self._hardware,
            costs or "a price that ftkit does not know (https://huggingface.co/pricing)",
            project,
            self._hub.address(project),
        )

    def _space(self, job_id: str) -> Space:
        if not _JOB_ID.fullmatch(job_id):
            raise _no_job(job_id)
        try:
            return self._hub.space(job_id)
        except NotFoundError as error:
            raise _no_job(job_id, error) from None


def project_of(key: str) -> str:
    """Returns AutoTrain's name for the project of a key, which is the id of its job."""
    return f"ftkit-{hashlib.sha256(key.encode()).hexdigest()[:24]}"


def _no_job(job_id: str, told: NotFoundError | None = None) -> NotFoundError:
    message = f"there is no job {job_id[:80]!r}"
    if told is None:
        return NotFoundError(message, provider=NAME)
    message = f"{message}: {told.args[0]}"
    return NotFoundError(message, provider=NAME, request_id=told.request_id, status_code=told.status_code)
