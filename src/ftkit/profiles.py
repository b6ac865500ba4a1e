"""Profiles: a name for a provider with its options, its models and how it deploys.

A profile lives in `ftkit.toml`, in the project (the working folder or one above it) or in the user's configuration
folder; the project's wins. FTKIT_CONFIG names another file in place of both.

    default = "cheap"

    [profiles.cheap]
    provider = "huggingface"
    options = { compute = "local" }
    models = { small = "ftkit/small" }
    deploy = { ttl_s = 3600 }
    budget = 20

Each option is taken from the keyword, else from the environment (FTKIT_CHEAP_COMPUTE, then
FTKIT_HUGGINGFACE_COMPUTE), else from the profile. A profile holds no secret: keys come from the vendor's own
variables (OPENAI_API_KEY, HF_TOKEN, ...).
"""

from __future__ import annotations

import os
import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field, ValidationError

from ftkit.errors import ConfigurationError, UnknownProviderError, looks_secret
from ftkit.home import config_folder
from ftkit.methods import Settings, explain, names_secret, near, values_in
from ftkit.plugin.secrets import forgetful
from ftkit.registry import provider_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FILE_NAME = "ftkit.toml"
_NOT_OPTIONS = {
    "FTKIT_HOME",
    "FTKIT_CACHE",
    "FTKIT_CONFIG",
    "FTKIT_CONFIG_FOLDER",
    "FTKIT_PROFILE",
    "FTKIT_LOCAL_SLOTS",
}
"""What ftkit reads itself. The last one is for all local providers, whatever a profile is called."""


class Profile(Settings):
    """What a name in `Client(name)` stands for.

    Attributes:
        provider: Name of the provider.
        options: Options of the provider's factory; not shown, since a key may be among those given as keywords.
        models: Which model a role such as "small" means here.
        deploy: Options for `deploy`, `ttl_s` (seconds) among them.
        budget: The most that a job may cost, in the currency of the provider's estimates; None for any amount.
    """

    provider: str
    options: dict[str, Any] = Field(default_factory=dict[str, Any], repr=False)
    models: dict[str, str] = Field(default_factory=dict[str, str])
    deploy: dict[str, Any] = Field(default_factory=dict[str, Any], repr=False)
    budget: Decimal | None = Field(default=None, ge=0)


@forgetful
def default_name() -> str | None:
    """Returns the name that is meant where none is given: FTKIT_PROFILE, else the file's `default`; None if unset.

    Raises:
        ConfigurationError: A file is wrong.
    """
    return os.environ.get("FTKIT_PROFILE") or _read_files()[0] or None


@forgetful
def chosen_name(name: str | None) -> str:
    """Returns the name of the profile or provider that is meant: the one given, FTKIT_PROFILE, the file's `default`.

    Raises:
        ConfigurationError: No name was given anywhere, or a file is wrong.
    """
    found = name or default_name()
    if not found:
        message = "no provider was named"
        raise ConfigurationError(message, hint="Client('huggingface'), or FTKIT_PROFILE, or `default` in ftkit.toml.")
    return found


@forgetful
def resolve_profile(name: str | None, options: Mapping[str, Any]) -> Profile:
    """Finds out what a name stands for, and with which options.

    Args:
        name: Name of a profile or a provider; None for FTKIT_PROFILE, else the file's `default`.
        options: Options given as keywords; they win.

    Raises:
        UnknownProviderError: Neither a profile nor a provider has that name.
        ConfigurationError: No name was given anywhere, or a file is wrong.
    """
    name = chosen_name(name)
    profiles = _read_files()[1]
    profile = profiles.get(name)
    installed = provider_names()
    if profile is None:
        if name not in installed:
            known = sorted({*profiles, *installed})
            message = f"there is no profile and no provider '{name}'{near(name, known)}"
            raise UnknownProviderError(message, hint=f"Known here: {', '.join(known) or 'none'}.")
        profile = Profile(provider=name)
    others = {*profiles, *installed}
    merged = {**profile.options}
    for prefix in dict.fromkeys((profile.provider, name)):
        merged |= _from_environment(prefix, others)
    return profile.model_copy(update={"options": {**merged, **options}})


def profile_names(provider: str) -> tuple[str, ...]:
    """Returns the names of the profiles that stand for a provider, sorted.

    Raises:
        ConfigurationError: A file is wrong.
    """
    return tuple(sorted(name for name, profile in _read_files()[1].items() if profile.provider == provider))


def _prefix(name: str) -> str:
    return f"FTKIT_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_"


def _from_environment(name: str, others: Iterable[str]) -> dict[str, Any]:
    """Reads FTKIT_<NAME>_<OPTION> variables; values are TOML where they can be, else plain text.

    Args:
        name: Name of a profile or provider.
        others: All names there are: FTKIT_AZURE_WEST_KIND is the `kind` of "azure-west", not "azure"'s `west_kind`.
    """
    prefix = _prefix(name)
    longer = tuple(p for p in map(_prefix, others) if p.startswith(prefix) and p != prefix)
    return {
        variable.removeprefix(prefix).lower(): _parse(text)
        for variable, text in os.environ.items()
        if variable.startswith(prefix) and variable not in _NOT_OPTIONS and not variable.startswith(longer)
    }


def _parse(text: str) -> object:
    """Reads a value as TOML has it. A date stays text: an API version looks like one, and no option is one."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value: object = table.pop("value")
    return value if not table and type(value) in {str, bool, int, float, list, dict} else text


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
        for name, table in content.get("profiles", {}).items():
            profiles[name] = _profile(path, name, table)
    if default is not None and default not in profiles and default not in provider_names():
        message = f"`default` names '{default}', which is neither a profile nor a provider"
        raise ConfigurationError(message, hint=f"Profiles: {', '.join(sorted(profiles)) or 'none'}.")
    return default, profiles


def _load(path: Path) -> dict[str, Any]:
    content = _parsed(path)
    unknown = sorted(set(content) - {"default", "profiles"})
    if unknown:
        message = f"{path}: unknown {unknown[0]!r}{near(unknown[0], ['default', 'profiles'])}"
        raise ConfigurationError(message, hint="Only `default` and [profiles.NAME] stand at the top.")
    if not isinstance(content.get("default", ""), str):
        message = f"{path}: `default` is the name of a profile or a provider, in quotes"
        raise ConfigurationError(message)
    if not isinstance(content.get("profiles", {}), dict):
        message = f"{path}: `profiles` is no table"
        raise ConfigurationError(message, hint="Each profile is a table of its own: [profiles.NAME].")
    return content


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{path} cannot be read: {error}"
    raise ConfigurationError(message)  # alone: the error before it may hold the whole file, and a key with it


def _profile(path: Path, name: str, table: object) -> Profile:
    where = f"{path}: [profiles.{name}]"
    profile = _validated(where, table)
    secret = next(_secrets({"options": profile.options, "deploy": profile.deploy}), None)
    if secret is not None:
        message = f"{where}: '{secret}' looks like a secret, and secrets are not kept in a profile"
        raise ConfigurationError(message, hint="Take it out, and set the vendor's environment variable instead.")
    return profile


def _validated(where: str, table: object) -> Profile:
    try:
        return Profile.model_validate(table)
    except ConfigurationError as error:
        wrong = error.message
    except ValidationError as error:
        wrong = explain(Profile, error, "setting")
    message = f"{where}: {wrong}"
    raise ConfigurationError(message)  # alone, likewise


def _secrets(table: object) -> Iterator[str]:
    """Yields where a secret seems to be, however deep: by the name of the option, or by what keys look like."""
    for names, value in values_in(table):
        if (names and names_secret(names[-1])) or (isinstance(value, str) and looks_secret(value)):
            yield ".".join(names)
