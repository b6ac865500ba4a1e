"""Hides what is a person's or a key in a short piece of data. Better a star too many than a number too much."""

from __future__ import annotations

import re

from ftkit.errors import without_keys

_BREAK = r"(?<=\\[nrt])"  # JSON that was not read has a break of the line as two letters
_START = rf"(?:(?<![\w.-])|{_BREAK})"
CARD = re.compile(_START + r"(?:3[47]\d{2}|[2456]\d{3})(?:[ -]?\d){11,12}(?![\w-])")
IBAN = re.compile(rf"(?:(?<!\w)|{_BREAK})" + r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
PHONE = re.compile(
    rf"(?:(?<![\w+])|{_BREAK})" + r"\+[1-9]\d{0,2}(?:[ .-]?\(\d{1,4}\)|[ .-]\d{1,4})(?:[ .-]?\d{2,4}){2,4}(?!\w)"
)
SOCIAL = re.compile(_START + r"(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])")

_ADDRESS = re.compile(r"[\w.%+-]{1,64}@(?=[\w-]{1,63}\.[A-Za-z])")
_QUERY = re.compile(r"(https?://[^\s\"'?#]{1,2000})\?[^\s\"']+")
_LIKE_A_KEY = re.compile(r"(?<![\w/+])(?=[A-Za-z/+]*\d)[A-Za-z0-9/+]{40}(?![\w/+])")
"""The secret half of the keys of Amazon, which nothing but its length tells."""
_NAMED = re.compile(
    r"(\b(?:pass(?:word|wd|phrase)|pwd|secret|(?:access_?|auth_?)?token|api[_-]?key)[\"']?\s?[:=]\s?[\"']?)[^\s\"',;&]{4,}",
    re.IGNORECASE,
)
"""What is called a password. Too many texts speak of one to warn of it, but it need not be shown."""


def masked(text: str) -> str:
    """Returns a text with stars for keys and passwords, names of e-mail addresses, numbers of people, and queries."""
    text = _ADDRESS.sub("***@", _QUERY.sub(r"\1?***", without_keys(text)))
    for number in (CARD, IBAN, PHONE, SOCIAL, _LIKE_A_KEY):
        text = number.sub("***", text)
    return _NAMED.sub(r"\1***", text)
