"""Provider names -> providers, through the entry points of the group `ftkit.providers`.

The built-in providers use the same path as anyone's. An entry point is a factory: a class or function that takes
the provider's options as keywords and returns a `Provider`.
"""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConfigurationError, FtkitError, UnknownProviderError
from ftkit.methods import near
from ftkit.provider import CONTRACT, Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GROUP = "ftkit.providers"


def provider_names() -> tuple[str, ...]:
    """Returns the names of all installed providers, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def _entry(name: str) -> EntryPoint:
    found = {(entry.value, _package(entry)): entry for entry in entry_points(group=GROUP, name=name)}
    if not found:
        known = provider_names()
        message = f"there is no provider (and no profile) '{name}'{near(name, known)}"
        raise UnknownProviderError(message, hint=f"Installed providers: {', '.join(known) or 'none'}.")
    if len(found) > 1:
        packages = " and ".join(sorted(package for _, package in found))
        message = f"two packages bring a provider named '{name}': {packages}"
        raise ConfigurationError(message, hint="Uninstall one of them; neither is used until then.")
    return next(iter(found.values()))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module


def make_provider(name: str, options: Mapping[str, Any]) -> Provider:
    """Makes the provider of a name.

    Args:
        name: Name of an installed provider.
        options: Keywords for its factory.

    Raises:
        UnknownProviderError: No installed package brings a provider of that name.
        MissingExtraError: A package that it needs is not installed.
        ConfigurationError: Two packages bring it, it cannot be loaded, it has no such option, or it does not keep
            the contract.
    """
    entry = _entry(name)
    try:
        factory = entry.load()
    except FtkitError:
        raise
    except Exception as error:
        message = f"the provider '{name}' of the package '{_package(entry)}' cannot be loaded: {error}"
        raise ConfigurationError(message, hint="Upgrade or uninstall that package.") from error
    if not callable(factory):
        message = f"the provider '{name}' of the package '{_package(entry)}' brings no factory: {entry.value}"
        raise ConfigurationError(message, hint="Upgrade or uninstall that package.")
    return check_contract(_call(name, factory, options), name)


def _call(name: str, factory: Callable[..., object], options: Mapping[str, Any]) -> object:
    """Calls a factory, having checked that it knows the options: its own TypeErrors are not ours to explain."""
    parameters = inspect.signature(factory).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for option in options:
            if option not in parameters:
                message = f"the provider '{name}' has no option '{option}'{near(option, parameters)}"
                raise ConfigurationError(message, hint=f"Its options: {', '.join(parameters) or 'none'}.")
    optional = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    needed = [n for n, p in parameters.items() if p.default is p.empty and p.kind not in optional]
    missing = [n for n in needed if n not in options]
    if missing:
        message = f"the provider '{name}' needs {', '.join(missing)}"
        raise ConfigurationError(message, hint=f"Client('{name}', {missing[0]}=...), or in a profile.")
    return factory(**options)


def check_contract(candidate: object, name: str | None = None) -> Provider:
    """Returns the provider itself if it keeps the contract of this version of ftkit.

    Raises:
        ConfigurationError: It was written for another version, or lacks something.
    """
    if isinstance(candidate, type):
        message = f"{candidate.__name__} is a class: a provider is an object made of it"
        raise ConfigurationError(message, hint=f"Client({candidate.__name__}(...)).")
    label = name or type(candidate).__name__
    if not hasattr(candidate, "contract"):
        message = f"'{label}' is no provider"
        raise ConfigurationError(message, hint="Give the name of a provider or a profile, or a provider.")
    version = getattr(candidate, "contract", None)
    if version != CONTRACT:
        message = f"the provider '{label}' speaks version {version!r} of the contract, this ftkit speaks {CONTRACT}"
        raise ConfigurationError(message, hint="Upgrade whichever of the two is older.")
    if not isinstance(candidate, Provider):
        wanted = [*Provider.__annotations__, *(n for n, v in vars(Provider).items() if inspect.isfunction(v))]
        missing = [n for n in wanted if not n.startswith("_") and not hasattr(candidate, n)]
        message = f"the provider '{label}' lacks {', '.join(missing)}"
        raise ConfigurationError(message, hint="See ftkit.provider.Provider for what a provider must have.")
    return candidate
