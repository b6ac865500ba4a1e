"""AutoTrain's own environment: found, built, looked at, removed.

`autotrain-advanced` has been frozen since January 2025. Its 45 exact pins rule out every current huggingface_hub,
pydantic and transformers, so it gets an environment of its own (`ftkit.providers._environments`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.providers._environments import OF_ANOTHER_PYTHON, Environment, OwnEnvironment

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["Environment", "check", "folder", "found", "own", "remove", "required", "setup"]

VARIABLE = "FTKIT_AUTOTRAIN_PYTHON"
VERSION = "0.8.36"
REQUIREMENTS = Path(__file__).with_name("requirements-autotrain.txt")

NOT_PASSED_ON = OF_ANOTHER_PYTHON | {"SPACE_ID", "ENDPOINT_ID"}
"""Variables that mislead it: of another Python, or a sign that it is in a Space, which it would pause at the end."""

_PACKAGES = ("autotrain-advanced", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "huggingface-hub")


def own() -> OwnEnvironment:
    """Returns how it is made, and found again."""
    return OwnEnvironment(
        name="AutoTrain",
        slug="autotrain",
        command="ftkit autotrain setup",
        variable=VARIABLE,
        requirements=REQUIREMENTS,
        packages=_PACKAGES,
        size="2 GB",
        pythons=("3.11",),
        known={"autotrain-advanced": VERSION},
        overrides=True,
    )


def folder() -> Path:
    """Returns where the environment of these requirements is, or would be."""
    return own().folder()


def found(python: str | os.PathLike[str] | None = None) -> Environment | None:
    """Returns the environment that is to be used, if there is one. See `OwnEnvironment.found`."""
    return own().found(python)


def required(python: str | os.PathLike[str] | None = None) -> Environment:
    """Returns the environment. See `OwnEnvironment.required`.

    Raises:
        ConfigurationError: There is none.
    """
    return own().required(python)


def check(environment: Environment) -> None:
    """Raises where AutoTrain could not train with an environment. See `OwnEnvironment.check`.

    Raises:
        ConfigurationError: Something is missing, or AutoTrain is of another version than the one that is known.
    """
    own().check(environment)


def setup(say: Callable[[str], object], torch_backend: str | None = None) -> Environment:
    """Builds the environment, or goes on where an earlier attempt stopped. See `OwnEnvironment.setup`.

    Raises:
        ConfigurationError: FTKIT_AUTOTRAIN_PYTHON points at another one.
        FtkitError: It could not be built.
    """
    return own().setup(say, torch_backend)


def remove() -> list[Path]:
    """Removes all environments that were built for AutoTrain. See `OwnEnvironment.remove`."""
    return own().remove()
