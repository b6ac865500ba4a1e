"""An archive on the disk: files that are there whole or not at all, for their owner alone, and held to their hashes."""

from __future__ import annotations

import errno
import hashlib
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import to_json

from ftkit.archive.layout import FORMAT, ArchiveError, Written
from ftkit.errors import ConfigurationError, FtkitError, ProviderError, ProviderUnavailableError
from ftkit.models import Noun
from ftkit.plugin.disk import landing

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import BinaryIO

N = TypeVar("N", bound=Noun)

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_CHUNK = 1 << 20
_OF_A_DISK = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENOTDIR, errno.ENOENT),
    }
)
"""What says that a file could not be written, and not that a vendor could not be reached, which is an OSError too."""


class NewerLayoutError(ArchiveError):
    """A newer ftkit wrote it."""


def is_of_disk(error: FtkitError) -> bool:
    """Whether a provider tells that this machine's disk refused what it sent."""
    cause = error.__cause__
    if not isinstance(error, ProviderError) or isinstance(error, ProviderUnavailableError):
        return False
    return isinstance(cause, OSError) and not isinstance(cause, FtkitError) and cause.errno in _OF_A_DISK


@contextmanager
def written_to(folder: Path, what: str = "the archive") -> Generator[None]:
    """Turns what the disk refuses into one error.

    Args:
        folder: Where it is written.
        what: What is written.

    Raises:
        ArchiveError: Something could not be written.
    """
    try:
        yield
    except FtkitError as error:
        if not is_of_disk(error):
            raise
        raise _refused(folder, what, cast("OSError", error.__cause__)) from error
    except OSError as error:
        raise _refused(folder, what, error) from error


def _refused(folder: Path, what: str, error: OSError) -> ArchiveError:
    message = f"{what} could not be written in '{folder}': {error.strerror or error}"
    hint = "Make room there" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "See that the folder can be written"
    return ArchiveError(message, hint=f"{hint}, or name another one.")


def make_folder(path: Path) -> Path:
    """Makes a folder that only its owner may look into; one that is there stays as it is."""
    path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    return path


def close_to_others(path: Path) -> None:
    """Lets only its owner read a file."""
    path.chmod(_FILE_MODE)


def write(path: Path, content: bytes) -> None:
    """Writes a file, whole or not at all, and returns only when it would survive a loss of power."""
    with landing(path) as file:
        close_to_others(Path(file.name))
        file.write(content)


def as_json(noun: Noun) -> bytes:
    """Writes a noun as a line of JSON that reads as the same noun: what is no number is a word, and not left out."""
    return to_json(noun.model_dump(mode="json"), inf_nan_mode="strings") + b"\n"


def as_lines(nouns: Iterable[Noun]) -> bytes:
    """Writes nouns as JSON Lines."""
    return b"".join(map(as_json, nouns))


def is_there(folder: Path, file: Written) -> bool:
    """Whether a file lies there with the size that was written down. Its bytes are not read."""
    path = folder / file.name
    try:
        return path.is_file() and path.stat().st_size == file.size
    except OSError:
        return False


def sha256_of(content: bytes) -> str:
    """Returns the hash of bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def hash_of(path: Path) -> tuple[int, str]:
    """Returns size and hash of a file."""
    with path.open("rb") as file:
        return _copy(file, None)


def _copy(source: BinaryIO, target: BinaryIO | None) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if target is not None:
            target.write(chunk)
    return size, digest.hexdigest()


def sweep(folder: Path, keep: Iterable[str]) -> None:
    """Removes what an export that was killed, or an earlier one, has left in the folder of a thing."""
    names = set(keep)
    for path in folder.iterdir():
        if path.name not in names and (path.is_file() or path.is_symlink()):
            path.unlink(missing_ok=True)


# -- reading -----------------------------------------------------------------------------------------------------------


def has(path: Path) -> bool:
    """Whether there is a file.

    Raises:
        ArchiveError: Nobody but its owner may know.
    """
    with _reading(path):
        return path.exists()


def load(path: Path, noun: type[N]) -> N:
    """Reads the .json file of a thing.

    Raises:
        FileNotFoundError: There is none.
        NewerLayoutError: It is of a newer layout.
        ArchiveError: It is damaged.
    """
    with _reading(path):
        content = path.read_bytes()
    try:
        told: object = json.loads(content)
        version = cast("dict[str, Any]", told).get("format") if isinstance(told, dict) else None
        if not isinstance(version, int) or version < 1:
            raise damaged(path, "it names no version of the layout")
        if version > FORMAT:
            message = f"'{path}' is of layout {version}, and this ftkit reads layouts up to {FORMAT}"
            raise NewerLayoutError(message, hint="A newer ftkit wrote it: pip install -U ftkit.")
        return noun.model_validate_json(content)
    except (ValidationError, ConfigurationError, ValueError) as error:
        raise damaged(path, f"it is no {noun.__name__} ({_first_line(error)})") from error


def load_content(folder: Path, file: Written) -> bytes:
    """Reads a file that a noun names.

    Raises:
        ArchiveError: It is damaged, or not there.
    """
    path = folder / file.name
    try:
        with _reading(path):
            content = path.read_bytes()
    except FileNotFoundError as error:
        raise damaged(path, "it is not there") from error
    if sha256_of(content) != file.sha256:
        raise damaged(path, "its bytes are not those that were written")
    return content


def load_lines(folder: Path, file: Written, noun: type[N]) -> list[N]:
    """Reads the nouns in a file that another noun names.

    Raises:
        ArchiveError: It is damaged.
    """
    lines = load_content(folder, file).splitlines()
    try:
        return [noun.model_validate_json(line) for line in lines]
    except (ValidationError, ConfigurationError) as error:
        raise damaged(folder / file.name, f"a line is no {noun.__name__} ({_first_line(error)})") from error


def copy_content(folder: Path, file: Written, target: Path) -> None:
    """Copies a file that a noun names; of one that is damaged, nothing is left at the target.

    Raises:
        ArchiveError: It is damaged, or not there.
    """
    path = folder / file.name
    try:
        with _reading(path):
            source = path.open("rb")
    except FileNotFoundError as error:
        raise damaged(path, "it is not there") from error
    with source, landing(target) as copy:
        if _copy(source, copy)[1] != file.sha256:
            raise damaged(path, "its bytes are not those that were written")


def damaged(path: Path, why: str) -> ArchiveError:
    """Returns the error about a file that is not as it was written."""
    hint = f"Delete '{path.parent}' and export again, while the provider has it; or bring the file back from a copy."
    return ArchiveError(f"'{path}' is damaged: {why}", hint=hint)


@contextmanager
def _reading(path: Path) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        message = f"'{path}' cannot be read: {error.strerror or error}"
        raise ArchiveError(message, hint="See whose it is, and who may read it.") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
