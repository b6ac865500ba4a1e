"""What a server is told when it is started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, Self

from pydantic import Field, PositiveFloat, PositiveInt

from ftkit.errors import ConfigurationError
from ftkit.models import Noun

if TYPE_CHECKING:
    from ftkit.client import Client

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine that nobody else can reach."""

MiB = 2**20
_SMALLEST = "small"
"""The role of the model that a provider starts with."""


class Limits(Noun):
    """The most that is taken. The first four are OpenAI's own (its Files and Uploads documentation, 2026-11).

    Attributes:
        file_bytes: Largest file in one piece.
        part_bytes: Largest part of an upload.
        upload_bytes: Largest upload in parts.
        upload_s: Seconds in which an upload must be complete.
        body_bytes: Largest body that is no file.
        line_bytes: Longest line of a training file.
        files: Most files.
        silence_s: Longest wait for the next piece of a body.
    """

    file_bytes: PositiveInt = 512 * MiB
    part_bytes: PositiveInt = 64 * MiB
    upload_bytes: PositiveInt = 8192 * MiB
    upload_s: PositiveInt = 3600
    body_bytes: PositiveInt = 8 * MiB
    line_bytes: PositiveInt = 16 * MiB
    files: PositiveInt = 10_000
    silence_s: PositiveFloat = 60.0


class ModelMap(NamedTuple):
    """Which of the provider's models stand for which names.

    Attributes:
        names: Names as users write them -> the provider's models.
        default: The provider's model for every other name, or None.
    """

    names: Mapping[str, str]
    default: str | None

    @classmethod
    def parse(cls, given: Iterable[str], default: str | None, client: Client) -> Self:
        """Reads NAME=MODEL, several times. Without any, and without a default, the provider's smallest model is it.

        Args:
            given: What was written.
            default: The model, or role, for every other name.
            client: Knows what a role means.

        Raises:
            ConfigurationError: Something is not of that form.
        """
        names: dict[str, str] = {}
        for text in given:
            name, _, model = (part.strip() for part in text.partition("="))
            if not name or not model:
                hint = "Write it as NAME=MODEL, such as gpt-4o-mini-2024-07-18=ftkit/small."
                raise ConfigurationError(f"--model {text!r} does not say which model stands for which name", hint=hint)
            if name in names:
                raise ConfigurationError(f"--model says twice which model stands for '{name}'", hint="Leave one out.")
            names[name] = client.resolve_model(model)
        if default is None and not names and client.resolve_model(_SMALLEST) != _SMALLEST:
            default = _SMALLEST
        if default is None and not names:
            hint = "Say which model to train, such as --model gpt-4o-mini-2024-07-18=MODEL, or --default-model MODEL."
            raise ConfigurationError(
                f"the provider '{client.provider.name}' has no model of its own to train", hint=hint
            )
        return cls(names, None if default is None else client.resolve_model(default))


class Settings(Noun):
    """How to serve.

    Attributes:
        home: Folder of all that the server keeps.
        models: Names of base models as users write them -> the provider's models.
        default_model: The provider's model for every other name; None refuses those.
        slots: Jobs that are at work at once; others queue.
        served: Models that answer at once because somebody asked them; the one unused for longest makes room.
        idle_s: Seconds after which such a model no longer answers from memory; the next question loads it again.
        poll_s: Seconds between two looks at a job; None lets them grow with its age, from half a second.
        patience_s: Seconds after which a job has failed that could not be begun, since the provider is away.
        auth: Whether a key is asked for.
        limits: The most that is taken.
    """

    home: Path
    models: Mapping[str, str] = Field(default_factory=dict[str, str])
    default_model: str | None = None
    slots: PositiveInt = 1
    served: PositiveInt = 2
    idle_s: PositiveFloat = 900.0
    poll_s: Annotated[float, Field(gt=0)] | None = None
    patience_s: PositiveFloat = 900.0
    auth: bool = True
    limits: Limits = Limits()

    @property
    def files_folder(self) -> Path:
        """Where the bytes of files lie."""
        return self.home / "files"

    @property
    def parts_folder(self) -> Path:
        """Where the bytes of parts lie."""
        return self.home / "parts"

    @property
    def incoming_folder(self) -> Path:
        """Where bytes lie while they come in."""
        return self.home / "incoming"
