"""Provider names -> providers, through the entry points of the group `ftkit.providers`.

The built-in providers use the same path as anyone's. An entry point is a factory: a class or function that takes
the provider's options as keywords and returns a `Provider`.
"""

from __future__ import annotations

import inspect
import traceback
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConfigurationError, FtkitError, MissingExtraError, UnknownProviderError
from ftkit.methods import near
from ftkit.provider import CONTRACT, Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

GROUP = "ftkit.providers"


def entries() -> tuple[EntryPoint, ...]:
    """Returns the entry points of all installed providers, sorted by name; one that two packages bring is there twice.

    A package whose metadata cannot be read brings none, and disturbs no other.
    """
    return _each_once(_all())


def unreadable() -> tuple[str, ...]:
    """Returns the names of installed packages whose entry points cannot be read."""
    return tuple(sorted(package.name for package in distributions() if _entries_of(package) is None))


def provider_names() -> tuple[str, ...]:
    """Returns the names of all installed providers, sorted."""
    return tuple(sorted({entry.name for entry in _all()}))


def package_of(entry: EntryPoint) -> str:
    """Returns the name of the package that brings a provider."""
    return entry.dist.name if entry.dist is not None else entry.module


def _all() -> Iterable[EntryPoint]:
    try:
        return entry_points(group=GROUP)
    except Exception:  # noqa: BLE001 - one package's broken metadata; `unreadable` names it
        return [entry for package in distributions() for entry in _entries_of(package) or ()]


def _each_once(found: Iterable[EntryPoint]) -> tuple[EntryPoint, ...]:
    """Leaves out what one package brings twice: it is installed twice, say. Reads the metadata of each package."""
    unique = {(entry.name, entry.value, package_of(entry)): entry for entry in found}
    return tuple(unique[key] for key in sorted(unique))


def _entries_of(package: Distribution) -> list[EntryPoint] | None:
    try:
        return [entry for entry in package.entry_points if entry.group == GROUP]
    except Exception:  # noqa: BLE001 - whatever is wrong with its metadata
        return None


def _entry(name: str) -> EntryPoint:
    found = _each_once(entry for entry in _all() if entry.name == name)
    if not found:
        known = provider_names()
        message = f"there is no provider (and no profile) '{name}'{near(name, known)}"
        raise UnknownProviderError(message, hint=f"Installed providers: {', '.join(known) or 'none'}.")
    entry, *others = found
    if others:
        raise brought_twice(name, found)
    return entry


def brought_twice(name: str, found: Iterable[EntryPoint]) -> ConfigurationError:
    """Returns the error for a provider that several packages bring."""
    packages = " and ".join(sorted(package_of(entry) for entry in found))
    message = f"two packages bring a provider named '{name}': {packages}"
    return ConfigurationError(message, hint="Uninstall one of them; neither is used until then.")


def make_provider(name: str, options: Mapping[str, Any]) -> Provider:
    """Makes the provider of a name.

    Args:
        name: Name of an installed provider.
        options: Keywords for its factory.

    Raises:
        UnknownProviderError: No installed package brings a provider of that name.
        MissingExtraError: A package that it needs is not installed.
        CredentialsError: It needs a key, and there is none.
        ConfigurationError: Two packages bring it, it cannot be loaded or made, it has no such option, or it does not
            keep the contract.
    """
    entry = _entry(name)
    return check_contract(call_factory(entry, load_factory(entry), options), name, package_of(entry))


def load_factory(entry: EntryPoint) -> Callable[..., object]:
    """Loads what makes a provider.

    An entry point may name an extra, `acme = "ftkit_acme:AcmeProvider [gpu]"`: what is missing for it is said so.

    Raises:
        MissingExtraError: A package that it needs is not installed.
        ConfigurationError: It cannot be loaded, or is nothing that can be called.
    """
    name, package = entry.name, package_of(entry)
    try:
        factory = entry.load()
    except FtkitError:
        raise
    except ImportError as error:
        if entry.extras:
            raise MissingExtraError(f"The provider '{name}'", entry.extras[0], package) from error
        raise _unloadable(entry, error) from error
    except (Exception, SystemExit) as error:
        raise _unloadable(entry, error) from error
    if not callable(factory):
        message = f"the provider '{name}' of the package '{package}' brings no factory: {entry.value}"
        raise ConfigurationError(message, hint=f"pip install --upgrade {package}, or uninstall it.")
    makes: Callable[..., object] = factory
    return makes


def _unloadable(entry: EntryPoint, error: BaseException) -> ConfigurationError:
    package = package_of(entry)
    message = f"the provider '{entry.name}' of the package '{package}' cannot be loaded: {_told(error)}{_place(error)}"
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and missing.partition(".")[0] != entry.module.partition(".")[0]:
        hint = f"Install what brings '{missing}'; or pip install --upgrade {package}, or uninstall it."
        return ConfigurationError(message, hint=hint)
    return ConfigurationError(message, hint=f"pip install --upgrade {package}, or uninstall it.")


def _place(error: BaseException) -> str:
    """Returns where an error was raised, for the package's author."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    return "".join(f" ({frame.filename}, line {frame.lineno})" for frame in frames[-1:])


def call_factory(entry: EntryPoint, factory: Callable[..., object], options: Mapping[str, Any]) -> object:
    """Calls a factory, having checked that it knows the options.

    Raises:
        ConfigurationError: It has no such option, needs one that was not given, or broke down.
    """
    name = entry.name
    _check_options(name, factory, options)
    try:
        return factory(**options)
    except FtkitError:
        raise
    except (Exception, SystemExit) as error:
        message = f"the provider '{name}' of the package '{package_of(entry)}' could not be made: {_told(error)}"
        raise ConfigurationError(message, hint="See its documentation, or tell its authors.") from error


def _check_options(name: str, factory: Callable[..., object], options: Mapping[str, Any]) -> None:
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


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def check_contract(candidate: object, name: str | None = None, package: str | None = None) -> Provider:
    """Returns the provider itself if it keeps the contract of this version of ftkit.

    Args:
        candidate: What may be a provider.
        name: The name that it was asked for by, where it was.
        package: The package that brings it, where one does.

    Raises:
        ConfigurationError: It was written for another version, or lacks something.
    """
    if isinstance(candidate, type):
        message = f"{candidate.__name__} is a class: a provider is an object made of it"
        raise ConfigurationError(message, hint=f"Client({candidate.__name__}(...)).")
    label = f"'{name or type(candidate).__name__}'{f' of the package {package!r}' if package else ''}"
    if not hasattr(candidate, "contract"):
        message = f"{label} is no provider: it has no `contract`"
        raise ConfigurationError(message, hint="Give the name of a provider or a profile, or a provider.")
    version: object = getattr(candidate, "contract", None)
    if version != CONTRACT:
        message = f"the provider {label} speaks version {version!r} of the contract, this ftkit speaks {CONTRACT}"
        raise ConfigurationError(message, hint=_upgrade(version, package or "the package that brings it"))
    if not isinstance(candidate, Provider):
        wanted = [*Provider.__annotations__, *(n for n, v in vars(Provider).items() if inspect.isfunction(v))]
        missing = [n for n in wanted if not n.startswith("_") and not hasattr(candidate, n)]
        message = f"the provider {label} lacks {', '.join(missing)}"
        raise ConfigurationError(message, hint="See ftkit.provider.Provider for what a provider must have.")
    return candidate


def _upgrade(version: object, package: str) -> str:
    if isinstance(version, int) and version > CONTRACT:
        return f"Upgrade ftkit: {package} is newer."
    return f"Upgrade {package}: ftkit is newer."
