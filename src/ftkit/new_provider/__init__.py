"""Writes a package with a provider of one's own: one that works, and passes the kit, to be changed from there.

    made = new_provider("nova", Path())      ftkit-nova/, in this folder
    print(next_steps(made))

The package is a copy of `template/`, in which every `acme` is replaced: a package that our own checks run on.
"""

from __future__ import annotations

import shlex
import shutil
import uuid
from importlib.resources import files
from pathlib import Path

from ftkit.errors import ConfigurationError
from ftkit.new_provider.naming import Naming

__all__ = ["Naming", "new_provider", "next_steps"]

FILES = (
    ".gitignore",
    "CHANGELOG.md",
    "README.md",
    "pyproject.toml",
    "src/ftkit_acme/__init__.py",
    "src/ftkit_acme/py.typed",
    "tests/test_acme.py",
    "tests/vendor.py",
)
"""The files of the template. They are named, since an installed one has compiled files beside them."""


def new_provider(name: str, folder: Path | None = None, *, class_name: str | None = None) -> Path:
    """Writes the package `ftkit-NAME`, which passes the conformance kit as it is.

    Nothing is overwritten, and it is there as a whole or not at all.

    Args:
        name: Name of the provider, as in `Client("name")`.
        folder: Where the package's own folder is made; the current one if None.
        class_name: Name of the provider's class; made of the name if None.

    Returns:
        The folder of the package.

    Raises:
        ConfigurationError: There can be no provider of that name, or there is something in the way.
    """
    naming = Naming.of(name, class_name)
    template = files(__name__) / "template"
    texts = {path: template.joinpath(path).read_text(encoding="utf-8") for path in FILES}
    naming.must_not_hide("\n".join(text for path, text in texts.items() if path.endswith(".py")))
    target = (folder or Path()).absolute() / naming.folder
    partial = target.with_name(f".{naming.folder}-{uuid.uuid4().hex}")
    try:
        if target.exists() and not _is_empty_folder(target):
            raise ConfigurationError(f"{target} is there already", hint="Move it away, or give another folder.")
        _write({naming.written(path): naming.written(text) for path, text in texts.items()}, partial)
        if target.exists():
            target.rmdir()  # which fails if something has come into it
        partial.rename(target)
    except OSError as error:
        message = f"{target} cannot be made: {error.strerror or error}"
        raise ConfigurationError(message, hint="Give a folder that is there, and that you may write to.") from error
    finally:
        if partial.exists():
            shutil.rmtree(partial)
    return target


def next_steps(made: Path) -> str:
    """Returns the commands that come next, a line each, for whoever has just made a package.

    Args:
        made: The folder of the package.
    """
    return f"cd {shlex.quote(str(made))}\npip install -e '.[dev]'\npytest"


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _write(texts: dict[str, str], folder: Path) -> None:
    folder.mkdir()
    for path, text in texts.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="\n")
