"""The provider `openai`: fine-tuning at OpenAI, until it takes no more jobs on 2027-01-06."""

from __future__ import annotations

import os
import re
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import openai
from pydantic import Field, SecretStr, ValidationError

from ftkit.errors import ConfigurationError, CredentialsError, NotFoundError
from ftkit.lifecycles import announced, with_shutdown
from ftkit.methods import Settings
from ftkit.plugin import Aliases, model_of, no_options, option_problems
from ftkit.plugin.secrets import forgetful, url_shown
from ftkit.providers._openai_wire import Line, OpenAIWire
from ftkit.providers._openai_wire.bodies import Body, JobBody, ModelBody
from ftkit.providers._openai_wire.limits import problems_of
from ftkit.providers._openai_wire.opening import opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from ftkit.models import Checkpoint, Deployment, FineTuningJob, JobRequest, Lifecycle, Page, Problem

_NAME = "openai"
_HOST = "api.openai.com"
_HINT = "Set OPENAI_API_KEY, or give api_key=..."
_SUFFIX = re.compile(r".{1,64}", re.DOTALL)

_PARTS = 5
"""Parts of the name of a tuned model, with colons between."""
_JOB_EVENTS = "fine_tuning.job."


class Message(Body):
    """A webhook's message."""

    type: str
    data: dict[str, str]


class OpenAIOptions(Settings):
    """What only OpenAI has.

    Attributes:
        integrations: Where its metrics go besides, in OpenAI's own form, such as Weights & Biases.
    """

    field_noun = "option"
    written_as = "provider_options"

    integrations: list[dict[str, Any]] | None = Field(default=None, min_length=1)


class OpenAIProvider(OpenAIWire):
    """Fine-tunes at OpenAI, or wherever its API is spoken.

    Args:
        client: A ready-made client of the `openai` package; the arguments below make one otherwise.
        api_key: The key; OPENAI_API_KEY by default.
        base_url: Where the API is; OPENAI_BASE_URL, or OpenAI itself.
        organization: The organisation; OPENAI_ORG_ID.
        project: The project; OPENAI_PROJECT_ID.
        timeout_s: Seconds that a request may take.
        processing_s: Seconds that an uploaded file may be processed.
        webhook_secret: What messages are signed with; OPENAI_WEBHOOK_SECRET.

    Raises:
        CredentialsError: There is no key.
    """

    Options: type[BaseModel] = OpenAIOptions
    name: str = _NAME
    wire = _NAME

    @forgetful
    def __init__(
        self,
        client: openai.OpenAI | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        timeout_s: float = 600.0,
        processing_s: float = 1800.0,
        webhook_secret: str | None = None,
    ) -> None:
        if client is None:
            client = opened(
                lambda address, http: openai.OpenAI(
                    api_key=api_key,
                    base_url=address,
                    organization=organization,
                    project=project,
                    timeout=timeout_s,
                    http_client=http,
                ),
                base_url or os.environ.get("OPENAI_BASE_URL"),
                _NAME,
                _HINT,
            )
        elif any(given is not None for given in (api_key, base_url, organization, project)):
            raise ConfigurationError("a ready-made client has its own key, address, organisation and project")
        super().__init__(Line(client, _NAME, _HINT), processing_s)
        secret = webhook_secret or client.webhook_secret
        self._webhook_secret = SecretStr(secret) if secret else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    # -- what every provider has ---------------------------------------------------------------------------------

    def problems(self, request: JobRequest) -> list[Problem]:
        """Says what OpenAI is certain to refuse, and warns of what is about to end."""
        found = list(problems_of(request, suffix=_SUFFIX, suffix_rule="Use 1 to 64 characters."))
        return [*found, *option_problems(self.Options, request.provider_options), *self._told_of(request)]

    # -- abilities -----------------------------------------------------------------------------------------------

    def list_jobs_with(self, metadata: Mapping[str, str], after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists the jobs that bear all of these labels, newest first."""
        return self._jobs_page(after, limit, metadata=dict(metadata))

    def delete_model(self, model: str) -> None:
        """Deletes a tuned model, and the names that it was given on this machine."""
        super().delete_model(model)
        for deployment in self.list_deployments():
            if deployment.model == model:
                self.delete_deployment(deployment.name)

    def lifecycle(self, model: str) -> Lifecycle | None:
        """Returns until when a model can be tuned and asked: as the service says, else as was announced."""
        if not self._has_vendors_prices:
            return None
        known = announced(self.wire, model)
        retrieve = self._line.client.models.with_raw_response.retrieve
        try:
            told = self._line.ask(ModelBody, retrieve, self._known_model(model)).shutdown_date
        except NotFoundError:
            told = None
        return with_shutdown(known, model, date.fromisoformat(told), "GET /v1/models") if told else known

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        """Gives a model a name, and returns at once: OpenAI's models can be asked as they are."""
        no_options(options)
        model, source = model_of(target, self.name)
        if isinstance(target, str):  # that of a job is there; what a user wrote may be none
            self._line.ask(ModelBody, self._line.client.models.with_raw_response.retrieve, self._known_model(model))
        return self._aliases.put(name, model, source)

    def get_deployment(self, name: str) -> Deployment:
        """Returns what a name stands for."""
        return self._aliases.get(name)

    def list_deployments(self) -> list[Deployment]:
        """Lists the names that were given on this machine."""
        return self._aliases.all()

    def delete_deployment(self, name: str) -> None:
        """Forgets a name. The model stays, and costs nothing while nobody asks it."""
        self._aliases.delete(name)

    def verify_webhook(self, payload: bytes, headers: Mapping[str, str]) -> str:
        """Returns the id of the job that a message is about, by the secret of OPENAI_WEBHOOK_SECRET."""
        try:
            self._line.client.webhooks.verify_signature(
                payload,
                dict(headers),
                secret=self._webhook_secret.get_secret_value() if self._webhook_secret else None,
            )
        except openai.InvalidWebhookSignatureError:
            failure: Exception = CredentialsError("the message is not OpenAI's, or is too old; pay no heed to it")
        except ValueError as error:
            hint = "Set OPENAI_WEBHOOK_SECRET, or give webhook_secret=..."
            failure = CredentialsError(f"the message cannot be verified: {error}", hint=hint)
        else:
            return _job_of_message(payload)
        raise failure

    # -- inside --------------------------------------------------------------------------------------------------

    @property
    def _url(self) -> str:
        return url_shown(self._line.client.base_url)

    @property
    def _has_vendors_prices(self) -> bool:
        host = urlsplit(self._url).hostname or ""
        return f".{host}".endswith(f".{_HOST}")  # data may stay in a region: eu.api.openai.com

    def _whose(self) -> tuple[str, str | None]:
        return self._url, self._line.client.project or self._line.client.organization

    @cached_property
    def _aliases(self) -> Aliases:
        return Aliases(_NAME, self.identity(), Decimal(0))  # it is a name, and no machine waits behind it

    def _order(self, request: JobRequest, key: str) -> dict[str, Any]:
        options = OpenAIOptions(**request.provider_options).model_dump(exclude_none=True)
        return {**super()._order(request, key), **options}

    def _job(self, body: JobBody) -> FineTuningJob:
        """Reads a job. Its suffix is told only as a part of the name of its model."""
        job = super()._job(body)
        return job if job.suffix else job.model_copy(update={"suffix": _suffix_in(job.fine_tuned_model or "")})


def _job_of_message(payload: bytes) -> str:
    """Returns the id of the job of a verified message."""
    try:
        message = Message.model_validate_json(payload)
    except ValidationError:
        message = None
    if message is None or not message.type.startswith(_JOB_EVENTS):
        raise NotFoundError("the message is about no fine-tuning job", provider=_NAME)
    return message.data["id"]


def _suffix_in(model: str) -> str | None:
    """Returns the suffix in a name such as ft:gpt-4o-mini-2024-07-18:my-org:my-suffix:8xYz; None if it has none."""
    parts = model.split(":")
    return (parts[3] or None) if len(parts) == _PARTS and parts[0] == "ft" else None
