"""Whether a text holds a secret: as it is, half of it, or written in one of the ways in which programs write texts."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHORTEST = 16
"""A secret that is shorter stands in texts that have nothing to do with it, and half of it the more."""
_BITS, _SEXTET = 8, 6


class Spotter:
    """Spots secrets.

    Args:
        secrets: The secrets.

    Raises:
        ValueError: One of them is too short to be known again.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets or min(map(len, secrets)) < SHORTEST:
            message = f"a secret to look for needs {SHORTEST} letters or more, or half of it would be seen everywhere"
            raise ValueError(message)
        self._forms: dict[str, str] = {}
        for form, written in (each for secret in secrets for each in _forms(secret)):
            self._forms.setdefault(written, form)
        self._in_bytes = {written.encode(): form for written, form in self._forms.items()}
        self._any = re.compile("|".join(map(re.escape, sorted(self._forms, key=len, reverse=True))))
        self.longest = max(map(len, self._in_bytes))

    def in_text(self, text: str) -> str | None:
        """Returns the form in which a secret stands in a text; None if none does."""
        return next((form for written, form in self._forms.items() if written in text), None)

    def in_bytes(self, data: bytes) -> str | None:
        """Returns the form in which a secret stands in some bytes; None if none does."""
        return next((form for written, form in self._in_bytes.items() if written in data), None)

    def masked(self, text: str) -> str:
        """Returns a text without secrets, for a report."""
        return self._any.sub("***", text)


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    """Yields the forms of a secret, by name; the first of those that are alike gives the name."""
    yield "as it is", secret
    yield "escaped for JSON", json.dumps(secret)[1:-1]
    yield "escaped for Python", repr(secret)[1:-1]
    yield "quoted for an address", quote(secret)
    yield "quoted for an address", quote(secret, safe="")
    yield "quoted for a form", quote_plus(secret)
    yield "hex", secret.encode().hex()
    for shift in range(3):  # where it begins among the bytes that become four letters
        for alphabet in (None, b"-_"):
            yield "base64", _base64(secret, shift, alphabet)
    middle = len(secret) // 2
    yield "half of it", secret[:middle]
    yield "half of it", secret[middle:]


def _base64(secret: str, shift: int, alphabet: bytes | None) -> str:
    """Returns the letters that a secret alone decides, whatever stands before and after it."""
    data = b"\0" * shift + secret.encode()
    first = -(-shift * _BITS // _SEXTET)
    return base64.b64encode(data, alphabet).decode()[first : len(data) * _BITS // _SEXTET]
