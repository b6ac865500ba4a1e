"""What `--json` prints where the library has no noun for it: small, frozen, and read again by its class."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ftkit.models import Noun, UtcDatetime

__all__ = ["Place", "ReapedDeployment", "ServerKey", "Version", "WrittenPackage"]


class Version(Noun):
    """What `ftkit --version` tells.

    Attributes:
        version: The version of ftkit.
    """

    version: str


class ReapedDeployment(Noun):
    """A deployment that was due.

    Attributes:
        name: Its name.
        identity: The account that paid for it.
        deleted: Whether it was deleted; a dry run only names it.
    """

    name: str
    identity: str
    deleted: bool


class ServerKey(Noun):
    """A key of a server that `ftkit serve` runs.

    Attributes:
        name: What it is called.
        created_at: When it was made; None of one that was revoked.
        key: The key itself: once, when it is made.
        revoked: Whether it opens nothing any more.
    """

    name: str
    created_at: UtcDatetime | None = None
    key: str | None = Field(default=None, repr=False)
    revoked: bool = False


class WrittenPackage(Noun):
    """What `ftkit new-provider` wrote.

    Attributes:
        folder: The folder of the package.
        next: The commands that come next.
    """

    folder: str
    next: tuple[str, ...]


class Place(Noun):
    """An environment of its own, of AutoTrain or vLLM.

    Attributes:
        path: Its interpreter; of one that was removed, its folder.
        state: What became of it.
    """

    path: str
    state: Literal["ready", "removed"]
