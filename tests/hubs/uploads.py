"""What every stand-in of the Hub answers alike: who asks, whether a card is valid, and large files, by their hash."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from hubs.wire import USER, Answer, Wire, error, missing, ok

if TYPE_CHECKING:
    from collections.abc import Callable


class Uploads(Wire):
    """Takes large files: first they are announced, then they come, and then a commit names them by their hash."""

    def __init__(self) -> None:
        super().__init__()
        self._blobs: dict[str, bytes] = {}

    def _routes(self) -> dict[str, Callable[..., Answer]]:
        return {
            **super()._routes(),
            "GET /api/whoami-v2": self._whoami,
            "POST /api/validate-yaml": self._validate,
            r"POST /(?:(dataset|space)s/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch": self._batch,
            r"PUT /lfs/(\w+)": self._blob,
        }

    def _takes(self, kind: str, name: str) -> bool:
        """Tells whether there is such a repository to upload to."""
        raise NotImplementedError

    def _whoami(self) -> Answer:
        return ok({"type": "user", "name": USER, "auth": {"type": "access_token"}})

    def _validate(self) -> Answer:
        self._fields("validate-yaml")
        return ok({"errors": [], "warnings": []})

    def _batch(self, kind: str | None, name: str) -> Answer:
        if not self._takes(kind or "model", name):
            return missing()
        objects = json.loads(self._body)["objects"]
        upload = [{**each, "actions": {"upload": {"href": f"{self.url}/lfs/{each['oid']}"}}} for each in objects]
        return ok({"transfer": "basic", "objects": upload})

    def _blob(self, name: str) -> Answer:
        if hashlib.sha256(self._body).hexdigest() != name:
            return error(400, "another content was announced")
        self._blobs[name] = self._body
        return ok({})
