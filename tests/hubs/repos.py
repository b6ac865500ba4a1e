"""Repositories of models and of data, as the Hub keeps them, for all that huggingface_hub does with one."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs

from hubs.repo import Commit, Repo, entries, etag, is_lfs
from hubs.uploads import Uploads
from hubs.wire import USER, Answer, RefusedError, error, missing, ok, only, prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ORG = "our-org"
OURS = {USER, ORG}
"""The namespaces that may be written to."""
LISTED_BY = {"author", "search", "limit", "sort", "full", "expand", "cursor"}


class Repositories(Uploads):
    """Keeps repositories.

    Attributes:
        repos: All repositories, by kind ("model" or "dataset") and name.
        page_size: Repositories, or files, on a page.
    """

    fields: ClassVar[dict[str, set[str]]] = {
        "create": {"name", "organization", "type", "visibility"},
        "delete": {"name", "organization", "type"},
        "branch": {"startingPoint"},
        "preupload": {"files"},
        "validate-yaml": {"content", "repoType"},
        "super-squash": {"message"},
    }

    def __init__(self) -> None:
        super().__init__()
        self.repos: dict[tuple[str, str], Repo] = {}
        self.page_size = 100

    def repo(self, name: str, kind: str = "model") -> Repo:
        return self.repos[kind, name]

    def add_repo(
        self, name: str, files: Mapping[str, bytes], kind: str = "model", *, private: bool = True, branch: str = "main"
    ) -> Repo:
        """Puts files into a repository that is there already, or is now; one of somebody else's as well."""
        with self._lock:
            repo = self.repos.setdefault((kind, name), Repo(kind, name, private=private))
            repo.commit(branch, {**repo.files(branch if branch in repo.branches else "main"), **files}, "by the test")
        return repo

    def _routes(self) -> dict[str, Callable[..., Answer]]:
        repo = r"/api/(model|dataset)s/([^/]+/[^/]+)"
        return {
            **super()._routes(),
            "POST /api/repos/create": self._create,
            "DELETE /api/repos/delete": self._delete,
            r"GET /api/(model|dataset)s": self._repos,
            rf"GET {repo}": self._info,
            rf"GET {repo}/revision/([^/]+)": self._info,
            rf"GET {repo}/refs": self._refs,
            rf"GET {repo}/tree/([^/]+)(?:/(.+))?": self._tree,
            rf"POST {repo}/paths-info/([^/]+)": self._paths,
            rf"POST {repo}/branch/([^/]+)": self._branch,
            rf"POST {repo}/preupload/([^/]+)": self._preupload,
            rf"POST {repo}/commit/([^/]+)": self._commit,
            rf"POST {repo}/super-squash/([^/]+)": self._squash,
            r"(?:GET|HEAD) /(?:(dataset)s/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)": self._file,
        }

    def _whoami(self) -> Answer:
        _, shown, _ = super()._whoami()
        return ok({**shown, "id": f"id-of-{USER}", "orgs": [{"type": "org", "id": f"id-of-{ORG}", "name": ORG}]})

    # -- finding -------------------------------------------------------------------------------------------------

    def _takes(self, kind: str, name: str) -> bool:
        self._writable(kind, name)
        return True

    def _found(self, kind: str, name: str) -> Repo:
        if (kind, name) not in self.repos:
            raise RefusedError(missing())
        return self.repos[kind, name]

    def _writable(self, kind: str, name: str) -> Repo:
        self._ours(name)
        return self._found(kind, name)

    def _ours(self, name: str) -> None:
        if name.partition("/")[0] not in OURS:
            raise RefusedError(error(403, f"you have no rights to write to {name}"))

    def _at(self, repo: Repo, revision: str) -> Commit:
        commit = repo.find(revision)
        if commit is None:
            raise RefusedError(error(404, f"Invalid rev id: {revision}", "RevisionNotFound"))
        return commit

    def _head(self, repo: Repo, branch: str) -> Commit:
        """Returns what a commit is made on: a branch, not a commit."""
        if branch not in repo.branches:
            raise RefusedError(error(404, f"Invalid rev id: refs/heads/{branch}", "RevisionNotFound"))
        return self._at(repo, branch)

    # -- repositories --------------------------------------------------------------------------------------------

    def _create(self) -> Answer:
        asked = self._fields("create")
        kind, name = asked.get("type") or "model", f"{asked.get('organization') or USER}/{asked['name']}"
        self._ours(name)
        url = f"{self.url}/{prefix(kind)}{name}"
        if (kind, name) in self.repos:
            status, told, headers = error(409, f"You already created this {kind} repo")
            return status, {**told, "url": url}, headers
        private = asked.get("visibility") == "private"
        if not private:
            self.strange.append(f"{name} is public")
        made = self.repos[kind, name] = Repo(kind, name, private=private)
        return ok({"url": url, "name": name, "id": made.id})

    def _delete(self) -> Answer:
        asked = self._fields("delete")
        repo = self._writable(asked.get("type") or "model", f"{asked.get('organization') or USER}/{asked['name']}")
        del self.repos[repo.kind, repo.name]
        return ok({})

    def _repos(self, kind: str) -> Answer:
        if not self._query.keys() <= LISTED_BY:
            self.strange.append(f"listed by {sorted(self._query.keys() - LISTED_BY)}")
        author, words = self._query.get("author", [""])[0], self._query.get("search", [])
        size = min(self.page_size, int(self._query.get("limit", ["1000"])[0]))
        found = [
            only(repo.shown(self._at(repo, "main")), self._query)
            for repo in self.repos.values()
            if repo.kind == kind
            and (not author or repo.name.startswith(f"{author}/"))
            and all(word.lower() in repo.name.lower() for word in words)
        ]
        if "full" not in self._query and "expand" not in self._query:
            found = [{name: value for name, value in each.items() if name != "siblings"} for each in found]
        return self._page(found, f"/api/{kind}s", size)

    def _info(self, kind: str, name: str, revision: str = "main") -> Answer:
        repo = self._found(kind, name)
        return ok(only(repo.shown(self._at(repo, revision), with_blobs="blobs" in self._query), self._query))

    # -- branches ------------------------------------------------------------------------------------------------

    def _refs(self, kind: str, name: str) -> Answer:
        branches = self._found(kind, name).branches
        shown = [{"name": each, "ref": f"refs/heads/{each}", "targetCommit": oid} for each, oid in branches.items()]
        return ok({"branches": shown, "tags": [], "converts": [], "pullRequests": []})

    def _branch(self, kind: str, name: str, branch: str) -> Answer:
        repo, asked = self._writable(kind, name), self._fields("branch")
        if branch in repo.branches:
            return error(409, f"Reference already exists: refs/heads/{branch}")
        repo.branches[branch] = self._at(repo, asked.get("startingPoint") or "main").oid
        return ok({})

    def _squash(self, kind: str, name: str, branch: str) -> Answer:
        repo, message = self._writable(kind, name), self._fields("super-squash")["message"]
        self._head(repo, branch)
        return ok({"commitId": repo.squash(branch, message).oid})

    # -- files ---------------------------------------------------------------------------------------------------

    def _tree(self, kind: str, name: str, revision: str, folder: str | None) -> Answer:
        if self._query.get("expand", ["false"]) != ["false"]:
            self.strange.append("a tree with expand")
        repo = self._found(kind, name)
        found = entries(self._at(repo, revision).files)
        if folder is not None and found.get(folder, {}).get("type") != "directory":
            return error(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        begin = f"{folder}/" if folder else ""
        inside = [entry for path, entry in found.items() if path.startswith(begin)]
        if self._query.get("recursive") != ["true"]:
            inside = [entry for entry in inside if "/" not in entry["path"].removeprefix(begin)]
        path = f"/api/{kind}s/{name}/tree/{self._at(repo, revision).oid}"
        return self._page(inside, f"{path}/{folder}" if folder else path, self.page_size)

    def _paths(self, kind: str, name: str, revision: str) -> Answer:
        found = entries(self._at(self._found(kind, name), revision).files)
        paths = parse_qs(self._body.decode()).get("paths", [])
        return ok([found[path] for path in paths if path in found])

    def _file(self, kind: str | None, name: str, revision: str, path: str) -> Answer:
        commit = self._at(self._found(kind or "model", name), revision)
        if path not in commit.files:
            status, told, headers = error(404, "Entry not found", "EntryNotFound")
            return status, told, {**headers, "x-repo-commit": commit.oid}
        content = commit.files[path]
        sent = {"content-type": "application/octet-stream", "x-linked-size": str(len(content))}
        return 200, content, {**sent, "etag": f'"{etag(path, content)}"', "x-repo-commit": commit.oid}

    def _preupload(self, kind: str, name: str, branch: str) -> Answer:
        files = self._head(self._writable(kind, name), branch).files
        modes: list[dict[str, Any]] = []
        for asked in self._fields("preupload")["files"]:
            path = asked["path"]
            large = is_lfs(path, base64.b64decode(asked["sample"]), asked["size"])
            there = {"oid": etag(path, files[path])} if path in files else {}
            modes.append({"path": path, "shouldIgnore": False, "uploadMode": "lfs" if large else "regular", **there})
        return ok({"files": modes})

    def _commit(self, kind: str, name: str, branch: str) -> Answer:
        repo = self._writable(kind, name)
        head = self._head(repo, branch)
        if self._query:
            self.strange.append(f"commit: {sorted(self._query)}")
        header, *items = [json.loads(line) for line in self._body.splitlines()]
        if header["value"].get("parentCommit") not in {None, head.oid}:
            return error(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for item in items:
            self._apply(files, item["key"], item["value"])
        made = repo.commit(branch, files, header["value"]["summary"])
        url = f"{self.url}/{prefix(kind)}{name}/commit/{made.oid}"
        return ok({"success": True, "commitOid": made.oid, "commitUrl": url})

    def _apply(self, files: dict[str, bytes], key: str, value: dict[str, Any]) -> None:
        path = value["path"]
        if key == "file":
            files[path] = base64.b64decode(value["content"])
        elif key == "lfsFile" and value["oid"] in self._blobs:
            files[path] = self._blobs[value["oid"]]
        elif key in {"deletedFile", "deletedFolder"}:
            folder = f"{path.rstrip('/')}/"
            gone = [each for each in files if each == path or (key == "deletedFolder" and each.startswith(folder))]
            if not gone:
                raise RefusedError(error(404, f"A file with this name doesn't exist: {path}", "EntryNotFound"))
            for each in gone:
                del files[each]
        else:
            self.strange.append(f"commit: {key} {path}")
            raise RefusedError(error(400, f"cannot apply {key} to {path}"))
