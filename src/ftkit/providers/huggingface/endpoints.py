"""Deployments on Hugging Face Inference Endpoints: a model of the Hub behind vLLM, which sleeps when nobody asks it.

An endpoint bears the name of its deployment as it is given, and serves its model by that name and by the repository's.
What it was made from is in its environment, so that any process finds it again. See `endpoint_options` for what may
be asked for, `endpoint_reading` for what the service tells, `endpoint_prices` for what it costs, and `endpoint_chat`
for asking it.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any, cast

from ftkit.errors import (
    ConflictError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
)
from ftkit.models import Deployment
from ftkit.providers.huggingface.endpoint_chat import LOG_PAGE, EndpointLines
from ftkit.providers.huggingface.endpoint_options import SOURCE, EndpointsOptions, check_name, check_repository
from ftkit.providers.huggingface.endpoint_prices import EndpointPrices
from ftkit.providers.huggingface.endpoint_reading import ASLEEP, FAILED, PAUSED, RUNNING, seen_of
from ftkit.providers.huggingface.kinds import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from huggingface_hub import InferenceEndpoint, InferenceEndpointHardware

    from ftkit.models import ChatChunk, ChatMessage, ChatOptions, ChatReply
    from ftkit.providers._hub_account import HubAccount
    from ftkit.providers.huggingface.endpoint_reading import Seen

logger = logging.getLogger("ftkit")

_PORT = 8000
_HEALTH = "/health"
_SAFETENSORS = ("--load-format", "safetensors")
"""The other format is a pickle, which can run code as it is read."""
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What can stand in an address: others may have made endpoints whose names we would not give."""


class HubEndpoints:
    """The Inference Endpoints of one user or organisation.

    Args:
        account: The account.
        identity: The same, for our nouns.
        provider: Name of the provider.
        poll_s: Seconds between two looks at an endpoint.
        wake_timeout_s: How long a chat waits for an endpoint that sleeps, in seconds.
    """

    def __init__(
        self,
        account: HubAccount,
        identity: str,
        *,
        provider: str = NAME,
        poll_s: float = 5.0,
        wake_timeout_s: float = 600.0,
    ) -> None:
        self._account = account
        self._api = account.api
        self._identity = identity
        self._provider = provider
        self._poll_s = poll_s
        self._prices = EndpointPrices(self._offers)
        self._lines = EndpointLines(
            account.token, provider=provider, look=self._read, poll_s=poll_s, wake_timeout_s=wake_timeout_s
        )

    def deploy(self, name: str, repository: str, source: str, options: Mapping[str, Any]) -> Deployment:
        """Deploys a model, and returns when it answers. The same again is the same endpoint, resumed if it is paused.

        Options other than the revision count only when an endpoint is made, not for one that is there.

        Args:
            name: Name of the deployment, and of the endpoint.
            repository: The model at the Hub, "owner/name".
            source: What it comes from: a job, a checkpoint, or the model.
            options: See `EndpointsOptions`.

        Raises:
            ConfigurationError: The name, the repository or an option makes no sense; nothing was sent.
            ConflictError: The name stands for another model.
            ProviderUnavailableError: It does not answer in time. It may still come, and costs meanwhile.
            ProviderError: It has failed; the message is the service's own. It is still there, to be looked at.
        """
        checked = EndpointsOptions(**options)
        check_name(name)
        check_repository(repository)
        seen = self._find(name) or self._make(name, repository, source, checked)
        self._refuse_another(seen, repository, source, checked)
        try:
            if seen.state == PAUSED:
                seen = self._resume(name)
            return self._noun(self._started(seen, checked.start_timeout_s))
        except BaseException as error:  # a Ctrl-C as well: what stands is not to be forgotten
            error.add_note(f"The endpoint '{name}' may stand, and cost: client.delete_deployment({name!r}).")
            raise

    def get_deployment(self, name: str) -> Deployment:
        """Reads a deployment.

        Raises:
            NotFoundError: There is none of that name.
        """
        return self._noun(self._read(name))

    def list_deployments(self) -> list[Deployment]:
        """Lists all endpoints of the account, whoever made them."""
        with self._account.asked():
            found = [seen_of(each) for each in self._api.list_inference_endpoints(self._account.namespace)]
        return [self._told(*pair) for pair in zip(found, self._prices.of_all(found), strict=True)]

    def delete_deployment(self, name: str) -> None:
        """Deletes an endpoint. One that is not there is no error.

        Raises:
            ConfigurationError: No endpoint can have that name.
        """
        if not _SAFE.fullmatch(name):
            check_name(name)
        try:
            with self._account.asked():
                self._api.delete_inference_endpoint(name, namespace=self._account.namespace)
        except NotFoundError:
            return

    def pause_deployment(self, name: str) -> Deployment:
        """Stops an endpoint: it costs nothing, and answers nobody until it is resumed. One that is paused stays so.

        Raises:
            NotFoundError: There is none of that name.
        """
        seen = self._read(name)
        if seen.state != PAUSED:
            with self._account.asked():
                seen = seen_of(self._api.pause_inference_endpoint(name, namespace=self._account.namespace))
        return self._noun(seen)

    def resume_deployment(self, name: str) -> Deployment:
        """Starts an endpoint that was paused, and returns before it answers. One that is not paused is left as it is.

        Raises:
            NotFoundError: There is none of that name.
        """
        seen = self._read(name)
        return self._noun(self._resume(name) if seen.state == PAUSED else seen)

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Asks a deployed model. One that sleeps is woken, and waited for: that takes minutes.

        Raises:
            CredentialsError: The endpoint refuses the token.
            ProviderUnavailableError: It is paused, has failed, breaks down, or does not wake in time.
            ProviderError: It refuses the request, or its address is none that the token may be sent to.
        """
        return self._lines.chat(deployment, messages, options)

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        """Asks a deployed model, and yields the answer as it comes. Errors as for `chat`."""
        return self._lines.stream(deployment, messages, options)

    # -- inside --------------------------------------------------------------------------------------------------

    def _make(self, name: str, repository: str, source: str, options: EndpointsOptions) -> Seen:
        """Makes an endpoint, in one attempt. If the name is taken all of a sudden, what has it is returned."""
        self._prices.announce(name, options)
        create = cast("Callable[..., InferenceEndpoint]", self._api.create_inference_endpoint)  # pyright: ignore[reportUnknownMemberType]
        limit = [] if options.max_model_len is None else ["--max-model-len", str(options.max_model_len)]
        try:
            with self._account.asked():
                made = create(
                    name,
                    repository=repository,
                    revision=options.revision,
                    framework="pytorch",
                    task="text-generation",
                    accelerator=options.accelerator,
                    instance_type=options.instance_type,
                    instance_size=options.instance_size,
                    vendor=options.vendor,
                    region=options.region,
                    min_replica=options.min_replica,
                    max_replica=options.max_replica,
                    scale_to_zero_timeout=options.sleeps_after,
                    custom_image={"vLLM": {"url": options.image, "port": _PORT, "healthRoute": _HEALTH}},
                    container_args=["--served-model-name", name, repository, *_SAFETENSORS, *limit],
                    env={**options.env, SOURCE: source},
                    type=options.type,
                    namespace=self._account.namespace,
                )
                return seen_of(made)
        except ConflictError:
            there = self._find(name)
            if there is None:
                raise
            return there

    def _refuse_another(self, seen: Seen, repository: str, source: str, options: EndpointsOptions) -> None:
        same = (
            seen.repository == repository
            and seen.source in {None, source}
            and options.revision in {None, seen.revision}
        )
        if not same:
            known = f"of {seen.source or seen.repository}"
            where = f", revision {seen.revision}" if options.revision not in {None, seen.revision} else ""
            hint = "Choose another name, or delete that one first."
            raise self._error(ConflictError, f"a deployment '{seen.name}' is there already, {known}{where}", hint)

    def _started(self, seen: Seen, timeout_s: float) -> Seen:
        """Waits until an endpoint answers, or sleeps, which is as good: a request wakes it up."""
        deadline = time.monotonic() + timeout_s
        while True:
            trouble = self._trouble(seen)
            if trouble is None:
                return seen
            pause = self._poll_s
            while True:
                if time.monotonic() + pause > deadline:
                    raise self._late(seen, trouble, timeout_s)
                time.sleep(pause)
                try:
                    seen = self._read(seen.name)
                    break
                except RateLimitError as error:
                    trouble, pause = error.message, max(self._poll_s, error.retry_after_s or 0.0)
                except ProviderUnavailableError as error:  # it was only a look
                    trouble, pause = error.message, self._poll_s

    def _trouble(self, seen: Seen) -> str | None:
        """Returns why an endpoint cannot be asked yet.

        Raises:
            ProviderError: It never will.
        """
        if seen.state in FAILED:
            said = seen.message or "the service does not say why"
            hint = f"Its log is at {LOG_PAGE}. It stays until it is deleted: client.delete_deployment({seen.name!r})."
            raise self._error(ProviderError, f"the endpoint '{seen.name}' has failed ({seen.state}): {said}", hint)
        if seen.state == RUNNING:
            return self._lines.trouble(seen)
        return None if seen.state == ASLEEP else f"the service calls it '{seen.state}'"

    def _late(self, seen: Seen, trouble: str, timeout_s: float) -> ProviderError:
        message = f"the endpoint '{seen.name}' does not answer after {timeout_s:g} s ({trouble}); it is still coming up"
        hint = (
            "It costs meanwhile. Deploy again under the same name to go on waiting, or delete it: "
            f"client.delete_deployment({seen.name!r})."
        )
        return self._error(ProviderUnavailableError, message, hint)

    def _resume(self, name: str) -> Seen:
        with self._account.asked():
            seen = seen_of(self._api.resume_inference_endpoint(name, namespace=self._account.namespace))
        if seen.min_replica:  # the service's documentation says that resuming sets it to 1
            told = "'%s' is resumed, and keeps %d awake, used or not: pause it, or delete it, when it is not needed"
            logger.warning(told, name, seen.min_replica)
        return seen

    def _read(self, name: str) -> Seen:
        seen = self._find(name) if _SAFE.fullmatch(name) else None
        if seen is None:
            hint = "client.list_deployments() names those there are."
            raise self._error(NotFoundError, f"there is no deployment '{name[:80]}'", hint)
        return seen

    def _find(self, name: str) -> Seen | None:
        try:
            with self._account.asked():
                return seen_of(self._api.get_inference_endpoint(name, namespace=self._account.namespace))
        except NotFoundError:
            return None

    def _noun(self, seen: Seen) -> Deployment:
        return self._told(seen, self._prices.of_all([seen])[0])

    def _told(self, seen: Seen, price: object) -> Deployment:
        return Deployment.model_validate(
            {
                "name": seen.name,
                "provider": self._provider,
                "identity": self._identity,
                "status": seen.status,
                "provider_status": seen.state,
                "model": seen.model,
                "source": seen.source or seen.repository,
                "url": f"{seen.url.rstrip('/')}/v1" if seen.url else None,
                "created_at": seen.created_at,
                "price_per_hour": price,
                "error": (self._account.hide(seen.message) or None) if seen.state in FAILED else None,
            }
        )

    def _offers(self) -> list[InferenceEndpointHardware]:
        with self._account.asked():
            return self._api.list_inference_endpoints_hardware(namespace=self._account.namespace)

    def _error(self, kind: type[ProviderError], message: str, hint: str) -> ProviderError:
        return kind(self._account.hide(message), provider=self._provider, hint=hint)
