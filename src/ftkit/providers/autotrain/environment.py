"""AutoTrain's own environment: found, built, looked at, removed.

`autotrain-advanced` has been frozen since January 2025. Its 45 exact pins rule out every current huggingface_hub,
pydantic and transformers, so it gets a virtual environment of its own, which is named by what is in it: another content
is another folder. ftkit never imports it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from ftkit.errors import ConfigurationError, FtkitError
from ftkit.home import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VARIABLE = "FTKIT_AUTOTRAIN_PYTHON"
COMMAND = "ftkit autotrain setup"
VERSION = "0.8.36"
REQUIREMENTS = Path(__file__).with_name("requirements-autotrain.txt")

NOT_PASSED_ON = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "SPACE_ID", "ENDPOINT_ID"}
"""Variables that mislead it: of another Python, or a sign that it is in a Space, which it would pause at the end."""

_PYTHON = "3.11"
_PACKAGES = ("autotrain-advanced", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "huggingface-hub")
_READY = "ftkit-ready"
_PROBE = f"""
import json, sys
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
print(json.dumps({{"python": ".".join(map(str, sys.version_info[:3])), **{{n: version(n) for n in {_PACKAGES}}}}}))
"""
_PROBE_S = 60.0


@dataclass(frozen=True, slots=True)
class Environment:
    """Where AutoTrain is.

    Attributes:
        python: Its interpreter.
        is_ours: Whether `ftkit autotrain setup` built it, and may remove it.
    """

    python: Path
    is_ours: bool

    def versions(self) -> dict[str, str | None]:
        """Asks it what is installed there, without importing any of it.

        Raises:
            ConfigurationError: It is no Python that runs.
        """
        try:
            done = subprocess.run(  # noqa: S603 - the interpreter that the user, or we, set up
                [str(self.python), "-I", "-c", _PROBE], capture_output=True, text=True, check=True, timeout=_PROBE_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigurationError(f"{self.python} does not run: {error}", hint=_hint(self)) from error
        found: dict[str, str | None] = json.loads(done.stdout)
        return found


def folder() -> Path:
    """Returns where the environment of these requirements is, or would be."""
    content = hashlib.sha256(REQUIREMENTS.read_bytes() + _PYTHON.encode()).hexdigest()[:12]
    return _all() / f"autotrain-{content}"


def found(python: str | os.PathLike[str] | None = None) -> Environment | None:
    """Returns the environment that is to be used, if there is one.

    Args:
        python: The interpreter of one that the user has; FTKIT_AUTOTRAIN_PYTHON if None.
    """
    given = python or os.environ.get(VARIABLE)
    if given:
        return Environment(Path(given).expanduser().absolute(), is_ours=False)
    place = folder()
    return Environment(_python_in(place), is_ours=True) if (place / _READY).is_file() else None


def required(python: str | os.PathLike[str] | None = None) -> Environment:
    """Returns the environment. Arguments as for `found`.

    Raises:
        ConfigurationError: There is none. Nothing of its two gigabytes is fetched before the user says so.
    """
    environment = found(python)
    if environment is None:
        message = "AutoTrain has an environment of its own, which is not there yet"
        raise ConfigurationError(message, hint=f"Build it once, about 2 GB: `{COMMAND}`")
    if not environment.python.is_file():
        raise ConfigurationError(f"there is no {environment.python}", hint=_hint(environment))
    return environment


def check(environment: Environment) -> None:
    """Raises where AutoTrain could not train with an environment.

    Raises:
        ConfigurationError: Something is missing, or AutoTrain is of another version than the one that is known.
    """
    versions = environment.versions()
    wrong = [f"{name} is missing" for name in _PACKAGES if versions[name] is None]
    if versions["autotrain-advanced"] not in {None, VERSION}:
        wrong.append(f"autotrain-advanced is {versions['autotrain-advanced']}, and {VERSION} is the one that is known")
    if wrong:
        raise ConfigurationError(f"{environment.python}: {'; '.join(wrong)}", hint=_hint(environment))


def setup(say: Callable[[str], object], torch_backend: str | None = None) -> Environment:
    """Builds the environment, or goes on where an earlier attempt stopped. One that is there is returned.

    Args:
        say: Told what is being done.
        torch_backend: Which build of torch, in uv's words: "cpu", "cu128", "auto"; that of the index if None.

    Raises:
        ConfigurationError: FTKIT_AUTOTRAIN_PYTHON points at another one.
        FtkitError: It could not be built; what was fetched is kept for the next attempt.
    """
    if os.environ.get(VARIABLE):
        hint = f"Unset {VARIABLE} first, if you want ftkit to build one."
        raise ConfigurationError(f"{VARIABLE} names an environment of yours, which ftkit leaves alone", hint=hint)
    place = folder()
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{place}.lock", timeout=0):
            if not (place / _READY).is_file():
                _build(place, say, torch_backend)
    except Timeout as error:
        raise FtkitError(f"{place} is being built by another process", hint="Wait for it.") from error
    return Environment(_python_in(place), is_ours=True)


def remove() -> list[Path]:
    """Removes all environments that were built for AutoTrain, also of earlier requirements, and returns them."""
    gone = [path for path in _all().glob("autotrain-*") if path.is_dir()]
    for path in gone:
        (path / _READY).unlink(missing_ok=True)  # first: half of one must never be taken for a whole one
        shutil.rmtree(path)
    return gone


def _build(place: Path, say: Callable[[str], object], torch_backend: str | None) -> None:
    uv = _uv(say)
    if not _python_in(place).exists():
        say(f"Making {place}")
        _run([uv, "venv", "--quiet", "--python", _interpreter(), str(place)])
    say("Installing AutoTrain (about 2 GB; a minute or some, depending on the network)")
    install = [uv, "pip", "install", "--python", str(_python_in(place)), "-r", str(REQUIREMENTS)]
    backend = ["--torch-backend", torch_backend] if torch_backend else []
    _run([*install, "--overrides", str(REQUIREMENTS), *backend])
    check(Environment(_python_in(place), is_ours=True))
    (place / _READY).touch()
    say("AutoTrain is ready")


def _uv(say: Callable[[str], object]) -> str:
    """Returns uv: that of the machine, that of our own environment, or one that is fetched for this."""
    on_path = shutil.which("uv")
    if on_path:
        return on_path
    if importlib.util.find_spec("uv"):
        return str(importlib.import_module("uv").find_uv_bin())
    tools = _all() / "uv"
    if not (tools / "bin" / "uv").is_file():
        say("Fetching uv")
        _run([sys.executable, "-m", "venv", str(tools)])
        _run([str(tools / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv"])
    return str(tools / "bin" / "uv")


def _interpreter() -> str:
    """Returns the Python for it: ours where that is of the right version, else one that uv finds or fetches."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    return sys.executable if ours == _PYTHON else _PYTHON


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, env=_environment(os.environ))  # noqa: S603 - our own command
    except (OSError, subprocess.CalledProcessError) as error:
        message = f"AutoTrain's environment could not be built: {' '.join(command[:3])} ... failed"
        raise FtkitError(message, hint=f"What it printed says why. `{COMMAND}` goes on where it stopped.") from error


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Passes on what the user told pip about wheels and indexes: uv has other names for it."""
    told = {"UV_FIND_LINKS": ("PIP_FIND_LINKS", ","), "UV_DEFAULT_INDEX": ("PIP_INDEX_URL", " ")}
    env = {name: value for name, value in given.items() if name not in NOT_PASSED_ON}
    for uv_name, (pip_name, between) in told.items():
        if pip_name in given:
            env.setdefault(uv_name, between.join(given[pip_name].split()))
    return env


def _hint(environment: Environment) -> str:
    if environment.is_ours:
        return f"Build it anew: `{COMMAND} --remove`, then `{COMMAND}`."
    return f"Name another one in {VARIABLE}, or unset it and run `{COMMAND}`."


def _python_in(place: Path) -> Path:
    return place / "bin" / "python"


def _all() -> Path:
    return cache_folder() / "environments"
