"""Pictures in messages: their addresses, or the pictures themselves as `data:image/png;base64,...`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ftkit.datasets._values import is_list, is_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.models import DatasetRules

    Fault = tuple[str, str, str]
    """Code, what is wrong, how to mend it."""

_DATA = re.compile(r"data:image/([a-z0-9.+-]{1,40});base64,", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_SAME = {"jpg": "jpeg", "pjpeg": "jpeg", "x-png": "png"}
_FORM = "Write an address (https://...), or the picture itself as data:image/png;base64,..."


def address_of(part: object) -> str | None:
    """Returns the address of a picture; None for what is no picture."""
    if not is_object(part) or part.get("type") != "image_url":
        return None
    image: object = part.get("image_url")
    url: object = image.get("url") if is_object(image) else None
    return url if isinstance(url, str) else None


def number_in(messages: list[Any]) -> int:
    """Returns how many pictures some messages hold."""
    contents: Iterator[object] = (message.get("content") for message in messages if is_object(message))
    return sum(address_of(part) is not None for content in contents if is_list(content) for part in content)


def faults(address: str, role: object, rules: DatasetRules) -> Iterator[Fault]:
    """Yields what is wrong with a picture in a message of a role."""
    if not rules.images:
        yield "images-not-accepted", "pictures are not accepted here.", "Leave the picture out, or the row."
        return
    if rules.image_roles is not None and role in rules.roles and role not in rules.image_roles:
        wrong = f"a message of the role '{role}' cannot hold a picture here."
        yield "image-in-wrong-role", wrong, f"Roles that can: {', '.join(sorted(rules.image_roles))}."
    if rules.image_formats is not None:
        yield from _bad_form(address, rules.image_formats)
    if rules.max_image_bytes is not None:
        size = _size(address)
        if size > rules.max_image_bytes:
            wrong = f"the picture has {size:,} bytes, and at most {rules.max_image_bytes:,} are accepted."
            yield "image-too-big", wrong, "Make it smaller."


def _bad_form(address: str, formats: frozenset[str]) -> Iterator[Fault]:
    inside = _DATA.match(address)
    if inside is None:
        if not _WEB.match(address):
            yield "bad-image", "this is no address of a picture.", _FORM
        return
    kind = inside[1].lower()
    if _SAME.get(kind, kind) not in formats:
        yield "bad-image", f"pictures of the format '{kind}' are not accepted.", f"Use {', '.join(sorted(formats))}."
    elif len(address) == inside.end():
        yield "bad-image", "the picture is empty.", _FORM


def _size(address: str) -> int:
    """Returns the bytes of a picture that is in its address; 0 for one that is elsewhere."""
    inside = _DATA.match(address)
    if inside is None:
        return 0
    return (len(address) - inside.end()) * 3 // 4 - address[-2:].count("=")
