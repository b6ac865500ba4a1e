"""Profiles: a name for a provider with its options, its models and how it deploys.

A profile lives in `ftkit.toml`, in the project (the working folder or one above it) or in the user's configuration
folder; the project's wins. FTKIT_CONFIG names another file in place of both.

    default = "cheap"

    [profiles.cheap]
    provider = "huggingface"
    options = { compute = "local" }
    models = { small = "ftkit/small" }
    deploy = { ttl_s = 3600 }

Each option is taken from the keyword, else from the environment (FTKIT_CHEAP_COMPUTE, then
FTKIT_HUGGINGFACE_COMPUTE), else from the profile. A profile holds no secret: keys come from the vendor's own
variables (OPENAI_API_KEY, HF_TOKEN, ...).
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field, ValidationError

from ftkit.errors import ConfigurationError, UnknownProviderError
from ftkit.home import config_folder
from ftkit.methods import Settings, explain, near
from ftkit.registry import provider_names

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME = "ftkit.toml"
_SECRET = re.compile(r"(^|_)(api_?key|key|token|secrets?|passwords?|credentials?)$", re.IGNORECASE)
_NOT_OPTIONS = {"FTKIT_HOME", "FTKIT_CONFIG", "FTKIT_PROFILE"}


class Profile(Settings):
    """What a name in `Client(name)` stands for.

    Attributes:
        provider: Name of the provider.
        options: Options of the provider's factory.
        models: Which model a role such as "small" means here.
        deploy: Options for `deploy`, `ttl_s` (seconds) among them.
    """

    provider: str
    options: dict[str, Any] = Field(default_factory=dict[str, Any])
    models: dict[str, str] = Field(default_factory=dict[str, str])
    deploy: dict[str, Any] = Field(default_factory=dict[str, Any])


def resolve_profile(name: str | None, options: Mapping[str, Any]) -> Profile:
    """Finds out what a name stands for, and with which options.

    Args:
        name: Name of a profile or a provider; None for FTKIT_PROFILE, else the file's `default`.
        options: Options given as keywords; they win.

    Raises:
        UnknownProviderError: Neither a profile nor a provider has that name.
        ConfigurationError: No name was given anywhere, or a file is wrong.
    """
    default, profiles = _read_files()
    name = name or os.environ.get("FTKIT_PROFILE") or default
    if not name:
        message = "no provider was named"
        raise ConfigurationError(message, hint="Client('huggingface'), or FTKIT_PROFILE, or `default` in ftkit.toml.")
    profile = profiles.get(name)
    if profile is None:
        installed = provider_names()
        if name not in installed:
            known = sorted({*profiles, *installed})
            message = f"there is no profile and no provider '{name}'{near(name, known)}"
            raise UnknownProviderError(message, hint=f"Known here: {', '.join(known) or 'none'}.")
        profile = Profile(provider=name)
    merged = {**profile.options, **_from_environment(profile.provider), **_from_environment(name), **options}
    return profile.model_copy(update={"options": merged})


def _from_environment(name: str) -> dict[str, Any]:
    """Reads FTKIT_<NAME>_<OPTION> variables; values are TOML where they can be, else plain text."""
    prefix = f"FTKIT_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_"
    return {
        variable.removeprefix(prefix).lower(): _parse(text)
        for variable, text in os.environ.items()
        if variable.startswith(prefix) and variable not in _NOT_OPTIONS
    }


def _parse(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _files() -> list[Path]:
    """Returns the files to read, the one that wins last."""
    named = os.environ.get("FTKIT_CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            message = f"FTKIT_CONFIG names '{named}', which is not a file"
            raise ConfigurationError(message)
        return [path]
    here = Path.cwd()
    project = next((p / FILE_NAME for p in (here, *here.parents) if (p / FILE_NAME).is_file()), None)
    user = config_folder() / FILE_NAME
    return [path for path in (user, project) if path is not None and path.is_file()]


def _read_files() -> tuple[str | None, dict[str, Profile]]:
    default: str | None = None
    profiles: dict[str, Profile] = {}
    for path in _files():
        content = _load(path)
        default = cast("str | None", content.get("default", default))
        for name, table in cast("dict[str, Any]", content.get("profiles", {})).items():
            profiles[name] = _profile(path, name, table)
    if default is not None and default not in profiles and default not in provider_names():
        message = f"`default` names '{default}', which is neither a profile nor a provider"
        raise ConfigurationError(message, hint=f"Profiles: {', '.join(sorted(profiles)) or 'none'}.")
    return default, profiles


def _load(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{path} cannot be read: {error}"
        raise ConfigurationError(message) from error
    unknown = sorted(set(content) - {"default", "profiles"})
    if unknown:
        message = f"{path}: unknown {unknown[0]!r}{near(unknown[0], ['default', 'profiles'])}"
        raise ConfigurationError(message, hint="Only `default` and [profiles.NAME] stand at the top.")
    return content


def _profile(path: Path, name: str, table: object) -> Profile:
    where = f"{path}: [profiles.{name}]"
    try:
        profile = Profile.model_validate(table)
    except ConfigurationError as error:
        message = f"{where}: {error.message}"
        raise ConfigurationError(message) from error
    except ValidationError as error:
        message = f"{where}: {explain(Profile, error, 'setting')}"
        raise ConfigurationError(message) from error
    for option in profile.options:
        if _SECRET.search(option):
            message = f"{where}: '{option}' looks like a secret, and secrets are not kept in a profile"
            raise ConfigurationError(message, hint="Take it out, and set the vendor's environment variable instead.")
    return profile
