"""The Hub, for one user or organisation."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from ftkit.errors import ConfigurationError
from ftkit.plugin.disk import saving
from ftkit.plugin.http_errors import plain
from ftkit.plugin.secrets import HoldsKey, forgetful, masked
from ftkit.providers._hub import client_and_token, hub_asked
from ftkit.retrying import read

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from huggingface_hub import HfApi

T = TypeVar("T")
_OWNER = re.compile(r"\w(?:[\w.-]{0,94}\w)?", re.ASCII)


class HubAccount(HoldsKey):
    """Who asks the Hub.

    Args:
        provider: Name of the provider.
        namespace: The user or organisation that owns, and pays for, what is made; the token's own if None.
        token: A token of the Hub that may write; HF_TOKEN, or that of `hf auth login`, if None.
        hub: A ready-made client of huggingface_hub, in place of `token`.
        secrets: Names of environment variables that nobody may see the values of either.

    Raises:
        ConfigurationError: The namespace, or the address of the Hub, cannot be one.
        CredentialsError: There is no token.
        MissingExtraError: huggingface_hub is not installed.
    """

    @forgetful
    def __init__(
        self,
        provider: str,
        namespace: str | None,
        token: str | None,
        hub: HfApi | None,
        secrets: Sequence[str] = (),
    ) -> None:
        if namespace is not None and not _OWNER.fullmatch(namespace):
            raise ConfigurationError(f"'{namespace[:100]}' is no name of a user or organisation of the Hub")
        self.api, found = client_and_token(provider, hub, token)
        if "@" in urlsplit(self.api.endpoint).netloc:  # they would be sent in place of the token, and logged
            hint = "Leave them out of HF_ENDPOINT, or of the client's endpoint."
            raise ConfigurationError("the address of the Hub holds a user and a password", hint=hint)
        self._token = SecretStr(found)
        self._secrets = tuple(secrets)
        self._provider = provider
        self._given = namespace

    @property
    def token(self) -> str:
        """The token. It is handed on to those that need it, and never kept by them."""
        return self._token.get_secret_value()

    @property
    def host(self) -> str:
        """The Hub's host."""
        return urlsplit(self.api.endpoint).netloc

    @cached_property
    def namespace(self) -> str:
        """The owner. It is asked for once, where nobody has said it."""
        if self._given is not None:
            return self._given
        with self.asked():
            whoami = cast("Callable[[], dict[str, Any]]", self.api.whoami)  # pyright: ignore[reportUnknownMemberType]
            return str(whoami()["name"])

    def hide(self, text: str) -> str:
        """Returns a text without the token, and no longer than anybody reads."""
        return plain(text, list(self._hidden()))

    def masked(self, text: str) -> str:
        """Returns a text without the token, however long it is."""
        return masked(text, self._hidden())

    @contextmanager
    def asked(self) -> Generator[None]:
        """Limits what is asked in it, and turns what goes wrong into errors of ours. See `hub_asked`."""
        with hub_asked(self._provider, self.hide):
            yield

    def _hidden(self) -> Iterator[str]:
        yield self.token
        yield from (os.environ[name] for name in self._secrets if name in os.environ)

    def ask(self, call: Callable[[], T]) -> T:
        """Asks once."""
        with self.asked():
            return call()

    def insist(self, call: Callable[[], T]) -> T:
        """Asks, and again if the Hub is busy or away: for what may be done twice without being done twice.

        huggingface_hub itself tries uploads again, and neither repositories nor jobs.
        """
        return read(self.ask, call)

    def fetch(self, repo: str, name: str, *, repo_type: str = "model", revision: str = "main") -> bytes:
        """Reads a small file, as it is now.

        Never from the Hub's cache on this machine: where the Hub does not answer, or says that a file is gone,
        huggingface_hub would return the last that it had of it.

        Raises:
            NotFoundError: There is no such file, branch or repository.
        """
        fetch = cast("Callable[..., str]", self.api.hf_hub_download)  # pyright: ignore[reportUnknownMemberType]
        with TemporaryDirectory() as folder:
            where = {"repo_type": repo_type, "revision": revision, "local_dir": folder}
            return Path(self.ask(lambda: fetch(repo, name, **where))).read_bytes()

    def download(self, repo: str, name: str, path: Path, *, repo_type: str) -> None:
        """Writes a large file to `path`. What is there of it from a try before is not fetched again.

        Raises:
            NotFoundError: There is no such file or repository.
        """
        fetch = cast("Callable[..., str]", self.api.hf_hub_download)  # pyright: ignore[reportUnknownMemberType]
        source = Path(self.insist(lambda: fetch(repo, name, repo_type=repo_type)))
        with saving(path, self._provider) as other, source.open("rb") as one:
            shutil.copyfileobj(one, other)

    def push(self, folder: Path, repo: str, message: str, *, private: bool = True) -> str:
        """Puts a folder into a repository of a model, in one commit, and returns its address.

        Args:
            folder: The folder. What the Hub has of it already is not sent again.
            repo: The repository, which is made if need be.
            message: What the commit is called.
            private: Whether only the owner sees it, where it is made now.
        """
        url = self.insist(lambda: self.api.create_repo(repo, private=private, exist_ok=True))
        self.insist(lambda: self.api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message))
        return str(url)
