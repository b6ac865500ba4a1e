"""What a job of the Hub's needs to run: ftkit's own code, the packages that training needs, and a command.

The code goes along, so that the machine there runs the very trainer that runs here, of the very version.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import ftkit
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftkit.providers._hub_account import HubAccount

IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"
"""Where nothing else is asked for: what huggingface_hub itself takes for scripts with dependencies (2.4)."""
CODE = "FTKIT_CODE"
"""Environment variable: where the code is, as `owner/repository/file`."""
_REPO = "ftkit-code"
_DATASET = "dataset"
_SERVES_ONLY = {"starlette", "uvicorn"}
_LEFT_OUT = {"__pycache__"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file knows: the same content is the same file

# It runs before there is any ftkit. What it fetches is named by its content, which it compares.
_BOOT = """
import hashlib, os, sys, zipfile
from huggingface_hub import hf_hub_download
repo, _, name = os.environ["FTKIT_CODE"].rpartition("/")
path = hf_hub_download(repo, name, repo_type="dataset")
found = hashlib.sha256(open(path, "rb").read()).hexdigest()
if f"ftkit-{found}.zip" != name:
    sys.exit(f"{repo}/{name} holds something else: {found}")
code = os.path.abspath("ftkit-code")
zipfile.ZipFile(path).extractall(code)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH")]))
os.execv(sys.executable, [sys.executable, "-m", "ftkit.providers.huggingface.remote.carrier"])
"""


def send_code(account: HubAccount) -> str:
    """Puts ftkit's code on the Hub, if it is not there, and returns where it is."""
    content = archive()
    name = f"ftkit-{hashlib.sha256(content).hexdigest()}.zip"
    repo, api = f"{account.namespace}/{_REPO}", account.api
    account.insist(lambda: api.create_repo(repo, repo_type=_DATASET, private=True, exist_ok=True))
    if not account.insist(lambda: api.file_exists(repo, name, repo_type=_DATASET)):
        account.insist(
            lambda: api.upload_file(
                path_or_fileobj=content,
                path_in_repo=name,
                repo_id=repo,
                repo_type=_DATASET,
                commit_message=f"ftkit {metadata.version('ftkit')}",
            )
        )
    return f"{repo}/{name}"


def archive() -> bytes:
    """Returns ftkit's own package, as it is here, as a zip file: the same code is the same bytes."""
    package = Path(ftkit.__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(package.rglob("*")):
            inside = path.relative_to(package.parent)
            if path.is_file() and not _LEFT_OUT & set(inside.parts):
                target.writestr(zipfile.ZipInfo(inside.as_posix(), _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def command(dependencies: Sequence[str] | None) -> list[str]:
    """Returns the command of a job.

    Args:
        dependencies: Packages to install before, with uv; None for those that training needs, as they are here;
            empty where the image has all of them.

    Raises:
        ConfigurationError: A dependency makes no sense.
    """
    wanted = pins() if dependencies is None else [_checked(each) for each in dependencies]
    python = ["python", "-c", _BOOT]
    if not wanted:
        return python
    return ["uv", "run", "--no-project", *(word for each in wanted for word in ("--with", each)), *python]


def pins() -> list[str]:
    """Returns what training needs: in the versions that are installed here, or else as ftkit asks for them."""
    from packaging.requirements import Requirement

    found: list[str] = []
    for text in metadata.requires("ftkit") or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": "local"})
        if wanted and requirement.name not in _SERVES_ONLY:
            found.append(_pinned(requirement.name, str(requirement.specifier)))
    return sorted(found)


def _pinned(name: str, asked: str) -> str:
    try:
        # A local part, such as +cpu, names a build that is of this machine.
        return f"{name}=={metadata.version(name).partition('+')[0]}"
    except metadata.PackageNotFoundError:
        return f"{name}{asked}"


def _checked(dependency: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return str(Requirement(dependency))
    except InvalidRequirement as error:
        message = f"dependencies: '{dependency[:200]}' is no requirement: {error}"
        raise ConfigurationError(message, hint="Write each as pip would take it, such as 'torch==2.13.0'.") from error
