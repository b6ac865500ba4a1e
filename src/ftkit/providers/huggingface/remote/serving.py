"""Serving models of the Hub on Inference Endpoints."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConflictError, NotFoundError, UnsupportedError
from ftkit.models import Checkpoint, FineTuningJob, JobStatus
from ftkit.providers._local_jobs.folder import JOB_ID
from ftkit.providers.huggingface.kinds import NAME
from ftkit.providers.huggingface.remote.results import job_of_model
from ftkit.providers.huggingface.resolve import is_folder, model_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ftkit.models import ChatChunk, ChatMessage, ChatOptions, ChatReply, Deployment
    from ftkit.providers._hub_account import HubAccount
    from ftkit.providers.huggingface.endpoints import HubEndpoints


class ServesOnEndpoints:
    """The verbs of deployments, for a provider whose models are at the Hub."""

    _account: HubAccount

    def identity(self) -> str:
        """Returns the account."""
        raise NotImplementedError

    def get_job(self, job_id: str) -> FineTuningJob:
        """Reads a job."""
        raise NotImplementedError

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        """Serves a job's model, or a model of the Hub, on an Inference Endpoint, which costs by the hour.

        Raises:
            ConflictError: The job has no model yet, or the name stands for another model.
            UnsupportedError: It is a checkpoint.
            NotFoundError: There is no such model.
        """
        if isinstance(target, Checkpoint):
            message = "a checkpoint at the Hub cannot be deployed: an endpoint serves the top of a repository"
            raise UnsupportedError(message, hint="Deploy the job once it has succeeded.")
        job_id = self._job_in(target)
        if job_id is None:
            problem = model_problem(str(target))
            if problem or is_folder(str(target)) or "/" not in str(target):
                raise NotFoundError(problem or f"'{target}' is no model of the Hub", provider=NAME)
            return self._endpoints.deploy(name, str(target), str(target), options)
        job = self.get_job(job_id)
        if job.fine_tuned_model is None:
            hint = "Make it anew with retry_failed=True." if job.status.is_terminal else "Wait for it."
            if job.status is JobStatus.PAUSED:
                hint = f"client.resume_job('{job_id}') lets it go on."
            message = f"job '{job_id}' is {job.status.value}: no model yet"
            raise ConflictError(message, provider=NAME, hint=hint)
        source = target if isinstance(target, str) else job_id
        return self._endpoints.deploy(name, job.fine_tuned_model, source, options)

    def get_deployment(self, name: str) -> Deployment:
        """Reads a deployment."""
        return self._endpoints.get_deployment(name)

    def list_deployments(self) -> list[Deployment]:
        """Lists all endpoints of the owner, with what they cost by the hour."""
        return self._endpoints.list_deployments()

    def delete_deployment(self, name: str) -> None:
        """Deletes an endpoint; one that is gone already is no error. The model stays."""
        self._endpoints.delete_deployment(name)

    def pause_deployment(self, name: str) -> Deployment:
        """Lets an endpoint stand still, which costs nothing; asked, it does not wake up by itself."""
        return self._endpoints.pause_deployment(name)

    def resume_deployment(self, name: str) -> Deployment:
        """Lets a paused endpoint go on."""
        return self._endpoints.resume_deployment(name)

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Asks a deployed model."""
        return self._endpoints.chat(deployment, messages, options)

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        """Asks a deployed model, and yields the answer as it comes."""
        return self._endpoints.stream_chat(deployment, messages, options)

    def _job_in(self, target: FineTuningJob | str) -> str | None:
        """Returns the job that a target stands for; None if it is a model that was not tuned here."""
        if isinstance(target, FineTuningJob):
            return target.id
        return target if JOB_ID.fullmatch(target) else job_of_model(self._account.namespace, target)

    @cached_property
    def _endpoints(self) -> HubEndpoints:
        from ftkit.providers.huggingface.endpoints import HubEndpoints

        return HubEndpoints(self._account, self.identity())
