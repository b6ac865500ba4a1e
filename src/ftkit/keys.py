"""The key of a request: what makes the same request the same job, on any machine and in any version of ftkit.

A key is `v1:` and a hash of the account, of every request field that was set, and of the bytes of the files. A field
that is None or an empty table was not set. Golden keys are tested: a change here would make users pay again.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, cast

from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftkit.models import JobRequest, TrainingFile

VERSION = "v1"


def job_key(identity: str, request: JobRequest, salt: str | None = None) -> str:
    """Returns the key of a job request.

    Args:
        identity: The account (see `Provider.identity`).
        request: What is asked for.
        salt: The caller's own `key=...`, which makes a deliberate second job out of the same request.
    """
    fields = request.model_dump(mode="json", exclude={"training_file", "validation_file"})
    fields["training_file"] = _content(request.training_file)
    fields["validation_file"] = _content(request.validation_file) if request.validation_file else None
    return _digest({"identity": identity, "job": fields, "salt": salt})


def attempt_key(key: str, attempt: int) -> str:
    """Returns the key of the n-th attempt, counted from 1: the key itself, then `key#2`, `key#3`, ..."""
    return key if attempt == 1 else f"{key}#{attempt}"


def base_of(key: str) -> str:
    """Returns the key of the request that an attempt's key belongs to."""
    return key.partition("#")[0]


def content_hash(source_hash: str, columns: Mapping[str, str] | None) -> str:
    """Returns what a data set says: its bytes, and under which names its columns are read."""
    if not columns:
        return source_hash
    return "sha256:" + _digest({"hash": source_hash, "columns": dict(columns)}).removeprefix(f"{VERSION}:")


def upload_key(identity: str, source_hash: str, layout: str, layout_version: int) -> str:
    """Returns the key of an upload: account, content, and the layout that the content is written in."""
    what = {"hash": source_hash, "layout": layout, "layout_version": layout_version}
    return _digest({"identity": identity, "upload": what})


def deployment_name(identity: str, source: str) -> str:
    """Returns the name that a deployment gets where the caller names none: the same for the same model."""
    return f"ftkit-{_digest({'identity': identity, 'deploy': source}).removeprefix(f'{VERSION}:')[:10]}"


def _content(file: TrainingFile) -> dict[str, str]:
    """A file that ftkit wrote is known by its source's bytes; one made elsewhere only by the provider's id."""
    return {"sha256": file.source_hash} if file.source_hash else {"id": file.id}


def _digest(value: object) -> str:
    canonical = json.dumps(_set_only(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return f"{VERSION}:{hashlib.sha256(canonical.encode()).hexdigest()}"
    except UnicodeEncodeError as error:
        message = f"a text holds half a character, which is no text: {error.object[error.start : error.end]!r}"
        raise ConfigurationError(message, hint="Look at where it was cut, or how it was read.") from error


def _set_only(value: object) -> object:
    """Leaves out what was not set: None, and empty tables."""
    if isinstance(value, dict):
        table = {k: _set_only(v) for k, v in cast("dict[str, object]", value).items()}
        return {k: v for k, v in table.items() if v is not None and v != {}}
    if isinstance(value, (list, tuple)):
        return [_set_only(item) for item in cast("list[object]", value)]
    return value
