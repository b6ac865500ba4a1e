"""Azure's control plane: deployments, through `azure-mgmt-cognitiveservices`."""

from __future__ import annotations

import logging
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.mgmt.cognitiveservices.models import Deployment as ARMDeployment
from azure.mgmt.cognitiveservices.models import DeploymentModel, DeploymentProperties, Sku
from azure.mgmt.core.polling.arm_polling import ARMPolling
from filelock import FileLock, Timeout
from pydantic import PositiveFloat, PositiveInt

from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    CredentialsError,
    FtkitError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
)
from ftkit.methods import Settings
from ftkit.models import Deployment, DeploymentStatus
from ftkit.plugin.http_errors import (
    kind_of,
    origin_of,
    plain,
    raise_alone,
    retry_after_s,
    sent_elsewhere,
)
from ftkit.plugin.secrets import HoldsKey, borne_by, forget
from ftkit.pricing import built_in_prices, known_prices

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from decimal import Decimal
    from pathlib import Path

    from azure.core.polling import LROPoller
    from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient

logger = logging.getLogger("ftkit")

T = TypeVar("T")

_TUNED = re.compile(r"\.ft-|^ft:")
"""What tells a tuned model by its name. Others are paid in other ways, by the token, say."""
_LIFETIMES = {
    "developertier": "Azure removes it after 24 hours.",
    "standard": "Azure removes it after 15 days without a question, and keeps the model.",
    "globalstandard": "Azure removes it after 15 days without a question, and keeps the model.",
}
_STATES = {
    "accepted": DeploymentStatus.CREATING,
    "creating": DeploymentStatus.CREATING,
    "moving": DeploymentStatus.CREATING,
    "succeeded": DeploymentStatus.RUNNING,
    "deleting": DeploymentStatus.DELETING,
    "failed": DeploymentStatus.FAILED,
    "canceled": DeploymentStatus.FAILED,
    "disabled": DeploymentStatus.PAUSED,
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BUSY_CODES = {"RequestConflict", "AnotherOperationInProgress", "Conflict"}
_QUOTA_CODES = {"InsufficientQuota", "QuotaExceeded", "DeploymentQuotaExceeded"}
_TOO_MANY = 429
_REDIRECTS = range(300, 400)
_STAY: Mapping[str, Any] = {"permit_redirects": False}
"""No redirect is followed: the body would go along, and on the same host in plain HTTP the token, too."""
_BUSY_PAUSE_S = 5.0
_HINT = "Log in (az login), or give a credential that may manage the resource (Cognitive Services Contributor)."


class DeployOptions(Settings):
    """How to deploy.

    Attributes:
        sku: Name of the SKU: Standard, GlobalStandard or DeveloperTier.
        capacity: Its capacity: thousands of tokens a minute.
        wait_s: Seconds to wait for it, and for others who write to the same account.
    """

    field_noun = "option"
    written_as = "deploy"

    sku: str = "Standard"
    capacity: PositiveInt = 1
    wait_s: PositiveFloat = 1800.0


class _AtHome(ARMPolling):
    """Asks how far an operation is, with the token, of the control plane alone: a write's answer says where to ask."""

    def __init__(self, pause_s: float) -> None:
        super().__init__(pause_s, lro_options={"final-state-via": "azure-async-operation"}, **_STAY)

    def request_status(self, status_link: str) -> Any:  # noqa: ANN401 - the package's own generic class
        begun: Any = cast("Any", self)._initial_response  # noqa: SLF001 - the package's own generic class
        if not _is_of(status_link, begun.http_request.url):
            message = f"the control plane names {urlsplit(status_link).netloc[:200]!r} to ask how far it is"
            raise ServiceResponseError(f"{message}, which is another host")
        ask: Any = super().request_status
        return ask(status_link)


def _is_of(link: str, home: str) -> bool:
    """Whether an address is of the same service: of the same host, or of a region's below it."""
    scheme, host, port = origin_of(link)
    return (scheme, port) == origin_of(home)[::2] and f".{host}".endswith(f".{origin_of(home)[1]}")


class Account(HoldsKey):
    """One Azure OpenAI resource, as its control plane knows it.

    Args:
        client: The management client.
        group: Its resource group.
        name: Its name.
        provider: Name of the provider.
        identity: The account, for our nouns.
        folder: Where writes of this machine's processes wait for one another.
        poll_s: Seconds between two looks at an operation.
        is_paid: Whether it is Azure's own, with its prices, and no `ftkit serve`.
    """

    def __init__(
        self,
        client: CognitiveServicesManagementClient,
        group: str,
        name: str,
        *,
        provider: str,
        identity: str,
        folder: Path,
        poll_s: float,
        is_paid: bool = True,
    ) -> None:
        self._deployments = client.deployments
        self._where = (group, name)
        self._provider = provider
        self._identity = identity
        self._folder = folder
        self._poll_s = poll_s
        self._is_paid = is_paid

    def put(self, name: str, model: str, source: str, options: DeployOptions) -> Deployment:
        """Deploys a model, and returns when it is there. The same again is the same deployment.

        Args:
            name: Name of the deployment.
            model: Name of the model at Azure.
            source: What it comes from: a job, a checkpoint, or the model.
            options: How to deploy.

        Raises:
            ConfigurationError: The name can be none.
            ConflictError: The name stands for another model, or others write to the account all the time.
            QuotaError: The subscription has no capacity left.
            ProviderUnavailableError: It is not there in time; it may still come.
        """
        if not _NAME.fullmatch(name):
            hint = "Use 1 to 64 letters, digits, '.', '_' and '-', the first a letter or digit."
            raise ConfigurationError(f"{name[:80]!r} cannot be the name of a deployment", hint=hint)
        there = self._look(name)
        if there is not None and _model(there) != model:
            message = f"a deployment '{name}' is there already, of {_model(there)}"
            raise self._error(ConflictError, message, hint="Choose another name, or delete that one first.")
        if there is None or self._noun(there).status is not DeploymentStatus.RUNNING:
            if self._is_paid:
                _announce(name, model, options)
            there = self._make(name, model, options)
        return self._noun(there).model_copy(update={"source": source})

    def get(self, name: str) -> Deployment:
        """Reads a deployment.

        Raises:
            NotFoundError: There is none of that name.
        """
        there = self._look(name) if _NAME.fullmatch(name) else None
        if there is None:
            raise self._error(NotFoundError, f"there is no deployment {name[:80]!r}")
        return self._noun(there)

    def all(self) -> list[Deployment]:
        """Lists all deployments of the account."""
        with self._errors():
            return [self._noun(each) for each in self._deployments.list(*self._where, **_STAY)]

    def delete(self, name: str) -> None:
        """Deletes a deployment, and returns when it is gone. One that is not there, or can never be, is no error."""
        if not _NAME.fullmatch(name):  # '..' would be the whole account: the path is made plain before it is sent
            return
        deadline = time.monotonic() + DeployOptions().wait_s
        with self._errors():
            self._in_turn(
                lambda: self._deployments.begin_delete(*self._where, name, polling=_AtHome(self._poll_s), **_STAY),
                deadline,
            )

    def _look(self, name: str) -> ARMDeployment | None:
        with self._errors():
            try:
                return self._deployments.get(*self._where, name, **_STAY)
            except ResourceNotFoundError:
                return None

    def _make(self, name: str, model: str, options: DeployOptions) -> ARMDeployment:
        asked = ARMDeployment(
            sku=Sku(name=options.sku, capacity=options.capacity),
            properties=DeploymentProperties(model=DeploymentModel(format="OpenAI", name=model, version="1")),
        )
        begin = self._deployments.begin_create_or_update
        with self._errors():
            made = self._in_turn(
                lambda: begin(*self._where, name, asked, polling=_AtHome(self._poll_s), **_STAY),
                time.monotonic() + options.wait_s,
            )
        if made is None:
            message = f"the deployment '{name}' is not there after {options.wait_s:g} s; it may still come"
            raise self._error(ProviderUnavailableError, message, hint="Ask for it again later, by the same name.")
        return made

    def _in_turn(self, begin: Callable[[], LROPoller[T]], deadline: float) -> T | None:
        """Begins an operation, and waits for its end; None if that does not come in time.

        Azure lets one write at a time into an account. Those of this machine wait for one another here, and those of
        others are waited out: a write that was refused has changed nothing, and by its name it is the same again.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(self._folder / "writes.lock", timeout=max(0.0, deadline - time.monotonic())):
            while True:
                try:
                    poller = begin()
                    break
                except ResourceExistsError as error:
                    if _code(error) not in _BUSY_CODES or time.monotonic() + _BUSY_PAUSE_S > deadline:
                        raise
                    logger.info("%s: the account is busy; waiting", self._provider)
                    time.sleep(min(_BUSY_PAUSE_S, self._poll_s))
            result = poller.result(timeout=max(0.0, deadline - time.monotonic()))
            return result if poller.done() else None

    def _noun(self, found: ARMDeployment) -> Deployment:
        properties = found.properties
        state = str(getattr(properties, "provisioning_state", None) or "unknown")
        made = found.system_data.created_at if found.system_data else None
        return Deployment(
            name=str(found.name),
            provider=self._provider,
            identity=self._identity,
            status=_STATES.get(state.lower(), DeploymentStatus.UNKNOWN),
            provider_status=state,
            model=str(found.name),
            source=_model(found),
            created_at=made,
            price_per_hour=self._price(found),
        )

    def _price(self, found: ARMDeployment) -> Decimal | None:
        if not self._is_paid or found.sku is None or not _TUNED.search(_model(found) or ""):
            return None
        return _hosting_hour(_model(found) or "", found.sku.name)

    @contextmanager
    def _errors(self) -> Generator[None]:
        """The one place where exceptions of the management package become ours."""
        failure: FtkitError
        try:
            yield
        except FtkitError:
            raise
        except HttpResponseError as error:
            failure = self._of_status(error)
        except (ServiceRequestError, ServiceResponseError) as error:
            message = f"the control plane cannot be reached: {plain(str(error), ())}"
            failure = self._error(ProviderUnavailableError, message)
        except Timeout:
            failure = self._error(ConflictError, "another process is writing to the account", hint="Try again later.")
        except AzureError as error:  # no token could be had
            failure = CredentialsError(f"{self._provider}: {plain(str(error), ())}", hint=_HINT)
        except BaseException as error:  # Ctrl-C, say: the package's frames hold the request, and with it the token
            forget(error)
            raise
        else:
            return
        raise_alone(failure)

    def _of_status(self, error: HttpResponseError) -> FtkitError:
        status, code = error.status_code or 0, _code(error)
        location = _header(error, "location")
        if location and status in _REDIRECTS:
            asked: Any = error.response.request if error.response else None
            where_to, request_id = _hidden(location, error), _request_id(error)
            return sent_elsewhere(self._provider, asked.method, asked.url, status, where_to, request_id)
        message = _hidden(f"{code}: {error.error.message}" if error.error else error.message, error)
        if isinstance(error, ClientAuthenticationError):
            return CredentialsError(f"{self._provider}: {message}", hint=_HINT)
        where: dict[str, Any] = {"status_code": status, "request_id": _request_id(error)}
        if code in _QUOTA_CODES:
            hint = (
                "Delete deployments that are not needed (client.list_deployments()), ask for a smaller capacity=..., "
                "or for more quota in the Azure portal; sku='DeveloperTier' has a quota of its own."
            )
            return self._error(QuotaError, message, hint=hint, **where)
        if status == _TOO_MANY:
            asked = retry_after_s(_header(error, "retry-after"), _header(error, "date"))
            return RateLimitError(message, provider=self._provider, retry_after_s=asked, **where)
        return self._error(kind_of(status), message, **where)

    def _error(self, kind: type[ProviderError], message: str, **where: Any) -> ProviderError:
        return kind(message, provider=self._provider, **where)


def _request_id(error: HttpResponseError) -> str | None:
    return _hidden(_header(error, "x-ms-request-id") or "", error) or None


def _announce(name: str, model: str, options: DeployOptions) -> None:
    """Tells what a deployment costs before it does."""
    sku = options.sku.lower()
    price = _hosting_hour(model, options.sku) if _TUNED.search(model) else None
    costs = "at a price that ftkit does not know" if price is None else f"for ${price} an hour, used or not"
    logger.warning("deploying '%s' (%s) %s. %s", name, options.sku, costs, _LIFETIMES.get(sku, ""))


def _hosting_hour(model: str, sku: str) -> Decimal | None:
    """Returns what a deployment of a tuned model costs an hour, used or not; None if that is not known."""
    try:
        prices = known_prices()
    except ConfigurationError as error:  # a deployment can be seen, and deleted, whatever is wrong with that file
        logger.warning("%s", error.message)
        prices = built_in_prices()
    price = prices.price("azure", model, "hosting_hour", sku)
    return None if price is None else price.amount


def _model(found: ARMDeployment) -> str | None:
    model = found.properties.model if found.properties else None
    return model.name if model else None


def _code(error: HttpResponseError) -> str:
    return str(error.error.code) if error.error and error.error.code else ""


def _hidden(text: str, error: HttpResponseError) -> str:
    """Returns a text without the token that was sent: some services repeat what they are shown."""
    asked: Any = error.response.request if error.response else None
    return plain(text, list(borne_by(asked)) if asked else [])


def _header(error: HttpResponseError, name: str) -> str | None:
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    return headers.get(name)
