"""A repository of the stand-in: branches, each a line of commits, each with all its files."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hubs.wire import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_FILES = {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}
"""What the Hub puts into every new repository."""
LFS_ENDINGS = (".bin", ".parquet", ".pt", ".safetensors")
LARGE = 10_000_000


@dataclass(frozen=True)
class Commit:
    """All files as they were, and whence they came."""

    files: Mapping[str, bytes]
    title: str
    parent: str | None
    oid: str = field(default_factory=lambda: secrets.token_hex(20))
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Repo:
    """A repository.

    Attributes:
        branches: The commit that each branch is at.
        commits: All commits that can be had, by their oid.
    """

    def __init__(self, kind: str, name: str, *, private: bool = True) -> None:
        self.kind, self.name, self.private = kind, name, private
        self.id = secrets.token_hex(12)
        self.created_at = datetime.now(UTC)
        self.branches: dict[str, str] = {}
        self.commits: dict[str, Commit] = {}
        self.commit("main", FIRST_FILES, "initial commit")

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Returns the files of a branch or of a commit; a lever for tests, as `find` is what the wire uses."""
        return dict(self.commits[self.branches.get(revision, revision)].files)

    def find(self, revision: str) -> Commit | None:
        return self.commits.get(self.branches.get(revision, revision))

    def commit(self, branch: str, files: Mapping[str, bytes], title: str) -> Commit:
        made = Commit(dict(files), title, self.branches.get(branch))
        self.commits[made.oid] = made
        self.branches[branch] = made.oid
        return made

    def squash(self, branch: str, title: str) -> Commit:
        """Makes one commit of a branch; what no other branch needs is gone."""
        files = self.files(branch)
        del self.branches[branch]
        made = self.commit(branch, files, title)
        kept: set[str] = set()
        for tip in self.branches.values():
            at: str | None = tip
            while at is not None:
                kept.add(at)
                at = self.commits[at].parent
        self.commits = {oid: commit for oid, commit in self.commits.items() if oid in kept}
        return made

    def shown(self, commit: Commit, *, with_blobs: bool = False) -> dict[str, Any]:
        siblings = [
            {"rfilename": path, **(blob_shown(path, content) if with_blobs else {})}
            for path, content in sorted(commit.files.items())
        ]
        return {
            "_id": self.id,
            "id": self.name,
            **({"modelId": self.name} if self.kind == "model" else {}),
            "author": self.name.partition("/")[0],
            "sha": commit.oid,
            "createdAt": stamp(self.created_at),
            "lastModified": stamp(commit.at),
            "private": self.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "usedStorage": sum(map(len, commit.files.values())),
            "siblings": siblings,
        }


def is_lfs(path: str, sample: bytes, size: int) -> bool:
    return size > 0 and (path.endswith(LFS_ENDINGS) or b"\0" in sample or size > LARGE)


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()


def pointer(content: bytes) -> bytes:
    """Returns what git keeps in place of a large file."""
    spec, sha = "https://git-lfs.github.com/spec/v1", hashlib.sha256(content).hexdigest()
    return f"version {spec}\noid sha256:{sha}\nsize {len(content)}\n".encode()


def etag(path: str, content: bytes) -> str:
    """Returns the hash that tells whether a file has changed: of a large one that of its content alone."""
    large = is_lfs(path, content[:512], len(content))
    return hashlib.sha256(content).hexdigest() if large else git_oid(content)


def blob_shown(path: str, content: bytes) -> dict[str, Any]:
    entry = file_shown(path, content)
    lfs = entry.get("lfs")
    shown = {"size": entry["size"], "blobId": entry["oid"]}
    large = lfs and {"sha256": lfs["oid"], "size": lfs["size"], "pointerSize": lfs["pointerSize"]}
    return {**shown, **({"lfs": large} if large else {})}


def file_shown(path: str, content: bytes) -> dict[str, Any]:
    shown = {"type": "file", "path": path, "size": len(content), "oid": git_oid(content)}
    if not is_lfs(path, content[:512], len(content)):
        return shown
    kept = pointer(content)
    lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": len(kept)}
    return {**shown, "oid": git_oid(kept), "lfs": lfs}


def entries(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Returns all files and folders, by their path."""
    found: dict[str, dict[str, Any]] = {}
    for path, content in sorted(files.items()):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            found[folder] = {"type": "directory", "path": folder, "size": 0, "oid": git_oid(folder.encode())}
        found[path] = file_shown(path, content)
    return found
