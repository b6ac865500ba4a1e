"""An environment of its own, for a package that cannot be installed beside ftkit: made, found, looked at, removed.

It is a virtual environment in ftkit's cache folder, named by what is in it: another content is another folder. ftkit
never imports what is in there, and starts its interpreter instead.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from ftkit.errors import ConfigurationError, FtkitError
from ftkit.home import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OF_ANOTHER_PYTHON = frozenset({"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"})
"""Variables that mislead the interpreter of an environment: they are those of ours."""

_READY = "ftkit-ready"
_PROBE = """
import json, sys
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
print(json.dumps({"python": ".".join(map(str, sys.version_info[:3])), **{n: version(n) for n in sys.argv[1:]}}))
"""
_PROBE_S = 60.0


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a package is.

    Attributes:
        python: Its interpreter.
        is_ours: Whether ftkit built it, and may remove it.
    """

    python: Path
    is_ours: bool


@dataclass(frozen=True, slots=True)
class OwnEnvironment:
    """How the environment of one package is made, and found again.

    Attributes:
        name: What the package is called in messages.
        slug: What its folders are called.
        command: The command that builds it.
        variable: Environment variable that names the interpreter of one that the user has.
        requirements: What is in it, as pip is told.
        packages: Those that must be there.
        size: How large it is.
        pythons: Versions of Python that will do. Ours is taken if it is one of them, else the first.
        known: Versions of packages without which nothing is known to work.
        overrides: Whether the requirements hold for what those packages ask for as well.
    """

    name: str
    slug: str
    command: str
    variable: str
    requirements: Path
    packages: tuple[str, ...]
    size: str
    pythons: tuple[str, ...]
    known: Mapping[str, str] = field(default_factory=dict[str, str])
    overrides: bool = False

    # -- finding it ----------------------------------------------------------------------------------------------

    def folder(self) -> Path:
        """Returns where the environment of these requirements is, or would be."""
        content = hashlib.sha256(self.requirements.read_bytes() + self.pythons[0].encode()).hexdigest()[:12]
        return _all() / f"{self.slug}-{content}"

    def found(self, python: str | os.PathLike[str] | None = None) -> Environment | None:
        """Returns the environment that is to be used, if there is one.

        Args:
            python: The interpreter of one that the user has; that which the variable names if None.
        """
        given = python or os.environ.get(self.variable)
        if given:
            return Environment(Path(given).expanduser().absolute(), is_ours=False)
        place = self.folder()
        return Environment(_python_in(place), is_ours=True) if (place / _READY).is_file() else None

    def required(self, python: str | os.PathLike[str] | None = None) -> Environment:
        """Returns the environment. Arguments as for `found`.

        Raises:
            ConfigurationError: There is none. Nothing of its gigabytes is fetched before the user says so.
        """
        environment = self.found(python)
        if environment is None:
            message = f"{self.name} has an environment of its own, which is not there yet"
            raise ConfigurationError(message, hint=f"Build it once, about {self.size}: `{self.command}`")
        if not environment.python.is_file():
            raise ConfigurationError(f"there is no {environment.python}", hint=self._hint(environment))
        return environment

    # -- looking at it -------------------------------------------------------------------------------------------

    def versions(self, environment: Environment) -> dict[str, str | None]:
        """Asks an environment what is installed there, without importing any of it.

        Raises:
            ConfigurationError: It is no Python that runs.
        """
        command = [str(environment.python), "-I", "-c", _PROBE, *self.packages]
        try:
            done = subprocess.run(  # noqa: S603 - the interpreter that the user, or we, set up
                command, capture_output=True, text=True, check=True, timeout=_PROBE_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            message = f"{environment.python} does not run: {error}"
            raise ConfigurationError(message, hint=self._hint(environment)) from error
        found: dict[str, str | None] = json.loads(done.stdout)
        return found

    def check(self, environment: Environment) -> dict[str, str | None]:
        """Raises where an environment would not do, and returns what is installed there.

        Raises:
            ConfigurationError: Something is missing, or of another version than the one that is known.
        """
        versions = self.versions(environment)
        wrong = [f"{name} is missing" for name in self.packages if versions[name] is None]
        for name, version in self.known.items():
            if versions[name] not in {None, version}:
                wrong.append(f"{name} is {versions[name]}, and {version} is the one that is known")
        if wrong:
            raise ConfigurationError(f"{environment.python}: {'; '.join(wrong)}", hint=self._hint(environment))
        return versions

    # -- making and removing it ----------------------------------------------------------------------------------

    def setup(self, say: Callable[[str], object], torch_backend: str | None = None) -> Environment:
        """Builds the environment, or goes on where an earlier attempt stopped. One that is there is returned.

        Args:
            say: Told what is being done.
            torch_backend: Which build of torch, in uv's words: "cpu", "cu128", "auto"; that of the index if None.

        Raises:
            ConfigurationError: The variable points at another one.
            FtkitError: It could not be built; what was fetched is kept for the next attempt.
        """
        if os.environ.get(self.variable):
            hint = f"Unset {self.variable} first, if you want ftkit to build one."
            message = f"{self.variable} names an environment of yours, which ftkit leaves alone"
            raise ConfigurationError(message, hint=hint)
        place = self.folder()
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{place}.lock", timeout=0):
                if not (place / _READY).is_file():
                    self._build(place, say, torch_backend)
        except Timeout as error:
            raise FtkitError(f"{place} is being built by another process", hint="Wait for it.") from error
        return Environment(_python_in(place), is_ours=True)

    def remove(self) -> list[Path]:
        """Removes all environments that were built for the package, also of earlier requirements, and returns them."""
        gone = [path for path in _all().glob(f"{self.slug}-*") if path.is_dir()]
        for path in gone:
            (path / _READY).unlink(missing_ok=True)  # first: half of one must never be taken for a whole one
            shutil.rmtree(path)
        return gone

    def _build(self, place: Path, say: Callable[[str], object], torch_backend: str | None) -> None:
        uv = self._uv(say)
        if not _python_in(place).exists():
            say(f"Making {place}")
            self._run([uv, "venv", "--quiet", "--python", self._interpreter(), str(place)])
        say(f"Installing {self.name} (about {self.size}; a minute or some, depending on the network)")
        install = [uv, "pip", "install", "--python", str(_python_in(place)), "-r", str(self.requirements)]
        overrides = ["--overrides", str(self.requirements)] if self.overrides else []
        backend = ["--torch-backend", torch_backend] if torch_backend else []
        self._run([*install, *overrides, *backend])
        self.check(Environment(_python_in(place), is_ours=True))
        (place / _READY).touch()
        say(f"{self.name} is ready")

    def _uv(self, say: Callable[[str], object]) -> str:
        """Returns uv: that of the machine, that of our own environment, or one that is fetched for this."""
        on_path = shutil.which("uv")
        if on_path:
            return on_path
        if importlib.util.find_spec("uv"):
            return str(importlib.import_module("uv").find_uv_bin())
        tools = _all() / "uv"
        if not (tools / "bin" / "uv").is_file():
            say("Fetching uv")
            self._run([sys.executable, "-m", "venv", str(tools)])
            self._run([str(tools / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv"])
        return str(tools / "bin" / "uv")

    def _interpreter(self) -> str:
        """Returns the Python for it: ours where that will do, else one that uv finds or fetches."""
        ours = f"{sys.version_info.major}.{sys.version_info.minor}"
        return sys.executable if ours in self.pythons else self.pythons[0]

    def _run(self, command: list[str]) -> None:
        try:
            subprocess.run(command, check=True, env=_environment(os.environ))  # noqa: S603 - our own command
        except (OSError, subprocess.CalledProcessError) as error:
            message = f"{self.name}'s environment could not be built: {' '.join(command[:3])} ... failed"
            hint = f"What it printed says why. `{self.command}` goes on where it stopped."
            raise FtkitError(message, hint=hint) from error

    def _hint(self, environment: Environment) -> str:
        if environment.is_ours:
            return f"Build it anew: `{self.command} --remove`, then `{self.command}`."
        return f"Name another one in {self.variable}, or unset it and run `{self.command}`."


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Passes on what the user told pip about wheels and indexes: uv has other names for it."""
    told = {"UV_FIND_LINKS": ("PIP_FIND_LINKS", ","), "UV_DEFAULT_INDEX": ("PIP_INDEX_URL", " ")}
    env = {name: value for name, value in given.items() if name not in OF_ANOTHER_PYTHON}
    for uv_name, (pip_name, between) in told.items():
        if pip_name in given:
            env.setdefault(uv_name, between.join(given[pip_name].split()))
    return env


def _python_in(place: Path) -> Path:
    return place / "bin" / "python"


def _all() -> Path:
    return cache_folder() / "environments"
