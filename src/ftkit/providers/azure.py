"""The provider `azure`: fine-tuning at Azure OpenAI, in either of its dialects."""

from __future__ import annotations

import os
import re
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import openai

from ftkit.errors import ConfigurationError, CredentialsError, MissingExtraError, NotFoundError
from ftkit.lifecycles import announced
from ftkit.methods import Settings, Supervised
from ftkit.models import Checkpoint, Deployment, FineTuningJob, Lifecycle, Problem
from ftkit.plugin import model_of, option_problems, seed_of, the_one
from ftkit.plugin.http_errors import plain
from ftkit.plugin.secrets import forgetful, url_shown
from ftkit.providers._openai_wire import Line, OpenAIWire
from ftkit.providers._openai_wire.bodies import method_body
from ftkit.providers._openai_wire.limits import problems_of
from ftkit.providers._openai_wire.opening import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import httpx2
    from azure.core.credentials import TokenCredential
    from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient
    from pydantic import BaseModel

    from ftkit.models import ChatChunk, ChatMessage, ChatOptions, ChatReply, JobRequest
    from ftkit.providers._azure_deployments import Account

_NAME = "azure"
_SUFFIX = re.compile(r"[A-Za-z0-9_-]{1,18}")
_SUFFIX_RULE = "Use 1 to 18 letters, digits, '_' and '-' (Azure's pages say 18 and 40; 18 is safe)."
_HINT = "Set AZURE_OPENAI_API_KEY, give api_key=..., or credential=DefaultAzureCredential()."
_SCOPE = {True: "https://ai.azure.com/.default", False: "https://cognitiveservices.azure.com/.default"}
"""The scope of a token for the data plane: of the v1 dialect, and of the dated one."""
_VARIABLES = {
    "subscription_id": "AZURE_SUBSCRIPTION_ID",
    "resource_group": "AZURE_RESOURCE_GROUP",
    "account": "AZURE_OPENAI_ACCOUNT",
}
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_PART = re.compile(r"[\w().-]*[\w()-]")
"""A part of an address at the control plane, where a name of dots alone would lead to the part above."""
_SERVABLE_PAUSE_S = 10.0


class AzureOptions(Settings):
    """What only Azure has.

    Attributes:
        training_type: Where it trains, and at which price; the resource's own default if None.
    """

    field_noun = "option"
    written_as = "provider_options"

    training_type: Literal["Standard", "GlobalStandard", "developerTier"] | None = None


class AzureProvider(OpenAIWire):
    """Fine-tunes at Azure OpenAI.

    Args:
        client: A ready-made client of the `openai` package: `OpenAI` at `.../openai/v1`, or `AzureOpenAI`.
        endpoint: Address of the resource; AZURE_OPENAI_ENDPOINT.
        api_key: Its key; AZURE_OPENAI_API_KEY.
        api_version: Speaks the dated dialect, of that version; OPENAI_API_VERSION. None speaks v1.
        credential: Of `azure.identity`, in place of a key, and for deployments; `DefaultAzureCredential` if None.
        subscription_id: For deployments; AZURE_SUBSCRIPTION_ID.
        resource_group: For deployments; AZURE_RESOURCE_GROUP.
        account: Name of the resource; AZURE_OPENAI_ACCOUNT, or the first part of the endpoint.
        management: A ready-made `CognitiveServicesManagementClient`.
        timeout_s: Seconds that a request may take.
        processing_s: Seconds that an uploaded file may be processed.
        servable_s: Seconds after which a model must answer that was just deployed.
        poll_s: Seconds between two looks at an operation of the control plane.

    Raises:
        ConfigurationError: The endpoint is not known.
        CredentialsError: There is neither a key nor a credential.
    """

    Options: type[BaseModel] = AzureOptions
    name: str = _NAME
    wire = _NAME

    @forgetful
    def __init__(
        self,
        client: openai.OpenAI | None = None,
        *,
        endpoint: str | None = None,
        api_key: str | None = None,
        api_version: str | None = None,
        credential: TokenCredential | None = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        account: str | None = None,
        management: CognitiveServicesManagementClient | None = None,
        timeout_s: float = 600.0,
        processing_s: float = 1800.0,
        servable_s: float = 900.0,
        poll_s: float = 10.0,
    ) -> None:
        if credential is not None and not hasattr(credential, "get_token"):
            hint = "Give one of azure.identity, such as DefaultAzureCredential(); a key goes into api_key=..."
            raise CredentialsError(f"a {type(credential).__name__} is no credential", hint=hint)
        address = _endpoint(endpoint, client)
        self._endpoint = url_shown(address)
        key = api_key or (None if credential else os.environ.get("AZURE_OPENAI_API_KEY"))
        version = api_version or os.environ.get("OPENAI_API_VERSION") or None
        if version and not _VERSION.fullmatch(version):
            hint = "Write one such as 2024-10-21, or leave it out: the v1 dialect needs none."
            raise ConfigurationError(f"{version!r} is no api-version", hint=hint)
        client = client or _client(address, key, version, credential, timeout_s)
        super().__init__(Line(client, _NAME, _HINT), processing_s)
        self._credential = credential
        self._management = management
        self._control = {
            "subscription_id": subscription_id or os.environ.get(_VARIABLES["subscription_id"]),
            "resource_group": resource_group or os.environ.get(_VARIABLES["resource_group"]),
            "account": account or os.environ.get(_VARIABLES["account"]) or _resource(self._endpoint),
        }
        self._servable_s = servable_s
        self._poll_s = poll_s

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint!r})"

    # -- what every provider has ---------------------------------------------------------------------------------

    def problems(self, request: JobRequest) -> list[Problem]:
        """Says what Azure is certain to refuse, and warns of what is about to end."""
        found = list(problems_of(request, suffix=_SUFFIX, suffix_rule=_SUFFIX_RULE))
        if not self._is_v1 and request.metadata:
            message = "Azure's dated dialect keeps no metadata."
            fix = "Leave it out, or leave out api_version: the v1 dialect keeps it."
            found.append(Problem(code="unsupported-field", field="metadata", message=message, fix=fix))
        return [*found, *option_problems(self.Options, request.provider_options), *self._told_of(request)]

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Knows a job by its key where Azure keeps it, else by all that was asked for.

        A request without a seed of its own was sent one that comes from the key: it tells two jobs apart that are
        otherwise alike.
        """
        wanted = self._order(request, key)
        found = [
            job
            for job in self._made_since(since)
            if job.key == key or (job.key is None and _is_it(job, request, wanted))
        ]
        return the_one(found, key, self.name)

    def lifecycle(self, model: str) -> Lifecycle | None:
        """Returns until when a model can be tuned and asked, as was announced.

        The service itself is not asked: of a model it tells when the base model retires, and what was tuned on it
        answers for longer.
        """
        return announced(self.wire, model) if self._has_vendors_prices else None

    # -- deployments ---------------------------------------------------------------------------------------------

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        """Deploys a model through the control plane, and returns when it is there. It costs by the hour."""
        from ftkit.providers._azure_deployments import DeployOptions

        checked = DeployOptions(**options)
        return self._account.put(name, *model_of(target, self.name), checked)

    def get_deployment(self, name: str) -> Deployment:
        """Reads a deployment."""
        return self._account.get(self._known("deployment", name))

    def list_deployments(self) -> list[Deployment]:
        """Lists all deployments of the resource."""
        return self._account.all()

    def delete_deployment(self, name: str) -> None:
        """Deletes a deployment; its price by the hour ends. One that is gone already is no error."""
        self._account.delete(name)

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Asks a deployment; one that was just made is given its time until it answers."""
        deadline = time.monotonic() + self._servable_s
        while True:
            try:
                return super().chat(deployment, messages, options)
            except NotFoundError:
                if not self._may_come(deployment, deadline):
                    raise

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        """Asks a deployment, which is given its time like that of `chat`, and yields the answer as it comes."""
        deadline = time.monotonic() + self._servable_s
        while True:
            try:
                yield from super().stream_chat(deployment, messages, options)
            except NotFoundError:  # told in place of the first piece
                if not self._may_come(deployment, deadline):
                    raise
            else:
                return

    # -- inside --------------------------------------------------------------------------------------------------

    @property
    def _is_v1(self) -> bool:
        return not isinstance(self._line.client, openai.AzureOpenAI)

    @property
    def _is_local(self) -> bool:
        """Whether it is `ftkit serve` that answers: Azure's own is never there without TLS."""
        return urlsplit(self._endpoint).scheme == "http"

    @property
    def _has_vendors_prices(self) -> bool:
        return not self._is_local

    def _tier(self, request: JobRequest) -> str | None:
        try:
            return AzureOptions(**request.provider_options).training_type
        except ConfigurationError:  # which is a problem of the request, and told as one
            return None

    def _whose(self) -> tuple[str, str | None]:
        return self._endpoint, "resource"  # whatever dialect is spoken

    @cached_property
    def _account(self) -> Account:
        from ftkit.providers._azure_deployments import Account

        if self._is_local:
            self._control = {name: value or "local" for name, value in self._control.items()}
        needed = ("resource_group", "account", *([] if self._management else ["subscription_id"]))
        missing = [name for name in needed if not self._control[name]]
        for name, value in self._control.items():
            if value and not _PART.fullmatch(value):
                raise ConfigurationError(
                    f"{name}={value[:80]!r} can be no name at Azure", hint=f"See {_VARIABLES[name]}."
                )
        if missing:
            variables = " and ".join(_VARIABLES[name] for name in missing)
            message = f"deployments need {' and '.join(missing)}, which nobody told"
            hint = f"Give them as keywords, or set {variables}. They need a login as well (az login), whatever the key."
            raise ConfigurationError(message, hint=hint)
        return Account(
            self._management or self._management_client(),
            str(self._control["resource_group"]),
            str(self._control["account"]),
            provider=_NAME,
            identity=self.identity(),
            folder=self._folder,
            poll_s=self._poll_s,
            is_paid=not self._is_local,
        )

    def _management_client(self) -> CognitiveServicesManagementClient:
        try:
            from azure.identity import DefaultAzureCredential
            from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient as Client
        except ImportError as error:
            raise MissingExtraError("Deploying at Azure", "azure") from error
        if self._is_local:
            return self._loopback_client()
        return Client(self._credential or DefaultAzureCredential(), str(self._control["subscription_id"]))

    def _loopback_client(self) -> CognitiveServicesManagementClient:
        """`ftkit serve` has the control plane at the same address, and takes the same key for it."""
        from azure.core.credentials import AzureKeyCredential
        from azure.core.pipeline.policies import AzureKeyCredentialPolicy
        from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient as Client

        key = AzureKeyCredential(self._line.client.api_key)
        make_policy: Any = AzureKeyCredentialPolicy  # generic in requests and responses, which nobody here names
        policy = make_policy(key, "Authorization", prefix="Bearer")
        # The type wants a credential for tokens, which the policy takes the place of.
        return Client(key, "local", base_url=self._endpoint, authentication_policy=policy)  # type: ignore[arg-type]

    def _question(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> dict[str, Any]:
        if not self._is_v1:  # there, it becomes a part of the address
            self._known("deployment", deployment.model)
        return super()._question(deployment, messages, options)

    def _order(self, request: JobRequest, key: str) -> dict[str, Any]:
        asked = {**super()._order(request, key)}
        asked.setdefault("seed", seed_of(key))
        if not self._is_v1:
            asked.pop("metadata")
        if not self._is_v1 and isinstance(request.method, Supervised):
            asked.pop("method")
            asked["hyperparameters"] = method_body(request.method)["supervised"].get("hyperparameters", {})
        training_type = AzureOptions(**request.provider_options).training_type
        return {**asked, **({"extra_body": {"trainingType": training_type}} if training_type else {})}

    def _may_come(self, deployment: Deployment, deadline: float) -> bool:
        """Whether a deployment that was not found may answer yet: its control plane knows it. If so, waits a while."""
        if time.monotonic() >= deadline:
            return False
        try:
            self.get_deployment(deployment.name)
        except NotFoundError:
            return False
        time.sleep(min(_SERVABLE_PAUSE_S, self._poll_s))
        return True


def _endpoint(given: str | None, client: openai.OpenAI | None) -> str:
    if client is not None:
        parts = urlsplit(str(client.base_url))
        return f"{parts.scheme}://{parts.netloc}"
    found = given or os.environ.get("AZURE_OPENAI_ENDPOINT")
    if found and not urlsplit(found).scheme.startswith("http"):
        shown = found.rpartition("@")[2]  # what may stand before it is nobody's business
        raise ConfigurationError(f"the endpoint {shown!r} is no address", hint=f"Write https://{shown}")
    if not found or not urlsplit(found).hostname:
        hint = "Give endpoint='https://my-resource.openai.azure.com', or set AZURE_OPENAI_ENDPOINT."
        raise ConfigurationError("the endpoint of the Azure resource is not known", hint=hint)
    parts = urlsplit(found)
    return f"{parts.scheme}://{parts.netloc}"


def _client(
    endpoint: str, key: str | None, version: str | None, credential: TokenCredential | None, timeout_s: float
) -> openai.OpenAI:
    token = None if key else _token_provider(credential, _SCOPE[version is None])

    def made(address: str | None, http: httpx2.Client | None) -> openai.OpenAI:
        if version is None:
            url = f"{address}/openai/v1/"
            return openai.OpenAI(base_url=url, api_key=key or token, timeout=timeout_s, http_client=http)
        return openai.AzureOpenAI(
            azure_endpoint=str(address),
            api_version=version,
            api_key=key,
            azure_ad_token_provider=token,
            timeout=timeout_s,
            http_client=http,
        )

    return opened(made, endpoint, _NAME, _HINT)


def _token_provider(credential: TokenCredential | None, scope: str) -> Any:  # noqa: ANN401 - a callable of azure.identity
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import DefaultAzureCredential, get_bearer_token_provider
    except ImportError as error:
        raise MissingExtraError("Entra ID", "azure") from error
    get_token = get_bearer_token_provider(credential or DefaultAzureCredential(), scope)

    def token() -> str:
        try:
            return get_token()
        except AzureError as error:
            message = f"{_NAME}: no token could be had: {plain(str(error).partition(chr(10))[0], ())}"
        raise CredentialsError(message, hint=_HINT)

    return token


def _resource(endpoint: str) -> str:
    return (urlsplit(endpoint).hostname or "").partition(".")[0]


def _is_it(job: FineTuningJob, request: JobRequest, wanted: Mapping[str, Any]) -> bool:
    """Whether a job that bears no key is what was asked for, as far as Azure tells.

    What it does not tell (a suffix, or a hyperparameter that it chose itself) speaks neither for nor against.
    """
    asked_of_method = {name: value for name, value in request.method.hyperparameters().items() if value != "auto"}
    told_of_method = job.method.hyperparameters() if job.method else {}
    if any(asked_of_method.get(name, value) != value for name, value in told_of_method.items()):
        return False
    if job.suffix is not None and (job.suffix or None) != request.suffix:
        return False
    told = {
        "model": job.model,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "seed": job.seed,
    }
    return all(wanted.get(name) == value for name, value in told.items())
