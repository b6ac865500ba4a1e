"""What may be asked for when a model is deployed on Inference Endpoints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from ftkit.errors import ConfigurationError
from ftkit.methods import Settings, names_secret

if TYPE_CHECKING:
    from typing import Self

SOURCE = "FTKIT_SOURCE"
"""The variable of an endpoint's environment that says what it was made from: the service tells it again to anybody."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{2,30}[a-z0-9]")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class EndpointsOptions(Settings):
    """How to deploy on Inference Endpoints. `hf endpoints hardware` lists the hardware there is.

    Attributes:
        accelerator: Kind of hardware: gpu, cpu, ...
        instance_type: The hardware, as nvidia-l4.
        instance_size: How much of it, as x1.
        vendor: Whose cloud.
        region: Where in it.
        min_replica: Replicas that always run; 0 lets it sleep, and cost nothing, until it is asked.
        max_replica: Most replicas.
        scale_to_zero_timeout: Minutes without a request after which it sleeps; only where `min_replica` is 0.
        type: Who may ask it. "authenticated": whoever has an account at Hugging Face, and knows the address.
            "private": only the account, or members of the organisation, that it belongs to.
        revision: Revision of the repository; its newest if None.
        image: Address of a container with vLLM.
        max_model_len: Most tokens of question and answer together; the model's own limit if None.
        env: Environment of the container. The service shows it: no secrets.
        start_timeout_s: How long to wait until it answers, in seconds.
    """

    field_noun = "deployment option"
    written_as = "deploy"

    accelerator: _Word = "gpu"
    instance_type: _Word = "nvidia-l4"
    instance_size: _Word = "x1"
    vendor: _Word = "aws"
    region: _Word = "us-east-1"
    min_replica: NonNegativeInt = 0
    max_replica: PositiveInt = 1
    scale_to_zero_timeout: PositiveInt = 15
    type: Literal["authenticated", "private"] = "authenticated"
    revision: Annotated[str, Field(min_length=1)] | None = None
    image: Annotated[str, Field(pattern=r"^\S+$")] = "vllm/vllm-openai:v0.33.0"
    max_model_len: PositiveInt | None = None
    env: dict[str, str] = Field(default_factory=dict[str, str])
    start_timeout_s: PositiveFloat = 1800.0

    @field_validator("env")
    @classmethod
    def _no_secrets(cls, env: dict[str, str]) -> dict[str, str]:
        secret = [name for name in env if names_secret(name)]
        if secret:
            message = f"the service shows it to all who may see the endpoint, so it may not hold {', '.join(secret)}"
            raise ValueError(message)
        if SOURCE in env:
            message = f"{SOURCE} is ftkit's own"
            raise ValueError(message)
        return env

    @model_validator(mode="after")
    def _replicas(self) -> Self:
        if self.max_replica < self.min_replica:
            message = f"max_replica ({self.max_replica}) is less than min_replica ({self.min_replica})"
            raise ValueError(message)
        if self.min_replica and "scale_to_zero_timeout" in self.model_fields_set:
            message = "scale_to_zero_timeout needs min_replica=0: otherwise it never sleeps"
            raise ValueError(message)
        return self

    @property
    def sleeps_after(self) -> int | None:
        """Minutes without a request after which it sleeps; None if it never does."""
        return None if self.min_replica else self.scale_to_zero_timeout


def check_name(name: str) -> None:
    """Refuses a name that the service would. Names are not changed, so that each is found by what it was called.

    Raises:
        ConfigurationError: It would.
    """
    if not _NAME.fullmatch(name):
        message = f"'{name[:80]}' cannot be the name of an Inference Endpoint"
        hint = "Use 4 to 32 lower-case letters, digits and '-', the first and the last no '-'."
        raise ConfigurationError(message, hint=hint)


def check_repository(repository: str) -> None:
    """Refuses what is no name of a repository at the Hub.

    Raises:
        ConfigurationError: It is none.
    """
    if not _REPOSITORY.fullmatch(repository):
        message = f"'{repository[:80]}' is no model at the Hub, and only such can be deployed on Inference Endpoints"
        raise ConfigurationError(message, hint="Write it as 'owner/name'.")
