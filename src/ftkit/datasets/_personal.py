"""Personal data and keys in a text. Only what is rarely mistaken for them: what has check digits is checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ftkit.datasets._counting import contains
from ftkit.datasets._masking import CARD, IBAN, PHONE, SOCIAL
from ftkit.datasets._values import excerpt
from ftkit.errors import first_key

if TYPE_CHECKING:
    from collections.abc import Iterator


class Found(NamedTuple):
    """Something that should not be learnt.

    Attributes:
        what: What it is: "an e-mail address", say.
        shown: As much of it as may be shown.
    """

    what: str
    shown: str


_LOCAL = re.compile(r"[\w.%+-]{1,64}\Z")
_DOMAIN = re.compile(r"(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}\b", re.IGNORECASE)
_NOBODY = re.compile(
    r"(?:.*\.)?(?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost|local)|(?:.*\.)?email\.com|domain\.com",
    re.IGNORECASE,
)
"""Domains that belong to nobody (RFC 2606, 6761), and two that people write for an example."""
_NO_PERSON = {"git", "noreply", "no-reply", "donotreply"}
_FILE = re.compile(
    r".*\.(?:png|jpe?g|gif|webp|svg|bmp|ico|tiff?|avif|heic|css|html?|js|json|pdf|tgz|txt|whl|xml)", re.IGNORECASE
)
"""No domains, but names of files: the picture of an icon in twice its size is `icon@2x.png`."""
_FEWEST_OF_NAME = 3
"""Letters of a name before the @ of which the first one is shown."""
_URL = {":", "/"}
"""What stands before a password or a name in a URL."""
_LONGEST_LOCAL, _LONGEST_DOMAIN = 64, 255

_SIGNS_OF_KEYS = {
    b"_": (b"hf_", b"gh", b"github_pat_", b"k_live_", b"k_test_", b"npm_", b"_v1_", b"aws_secret", b"AWS_SECRET"),
    b"-": (b"sk-", b"glpat-", b"xox", b"KEY-----", b"pypi-Ag"),
    b"@": (b"://",),
    b"=": (b"AccountKey=", b"AccessKey="),
    b"": (b"AKIA", b"AIza", b"eyJ", b"Bearer ", b"SG.", b"hooks.slack.com"),
}
"""A letter -> what a text that has it may have, which is how keys begin. Most texts are done with after the letter."""
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----")

_FEWEST_DIGITS = 8
"""What a text must have, for a number in it to be a person's."""
_FEWEST_OF_PHONE, _MOST_OF_PHONE = 8, 15
_AMEX, _OTHER_CARDS = 15, 16


def is_worth_looking(raw: bytes) -> bool:
    """Whether there may be personal data in a text, as UTF-8. This is much quicker than looking for it."""
    return b"@" in raw or _may_hold_key(raw) or _may_hold_number(raw)


def personal(text: str) -> Iterator[Found]:
    """Yields the first thing of each sort that is found in a text. Nothing of it that is secret is shown."""
    raw = text.encode("utf-8", "surrogatepass")
    if b"@" in raw:
        yield from _address(text)
    if _may_hold_key(raw):
        yield from _key(text)
    if _may_hold_number(raw):
        yield from _numbers(text)


def _address(text: str) -> Iterator[Found]:
    place = text.find("@")
    while place >= 0:
        local = _LOCAL.search(text, max(0, place - _LONGEST_LOCAL), place)
        domain = _DOMAIN.match(text, place + 1, place + 1 + _LONGEST_DOMAIN)
        if local and domain and _is_person(local[0], domain[0]) and text[local.start() - 1 : local.start()] not in _URL:
            first = local[0][0] if len(local[0]) >= _FEWEST_OF_NAME else ""
            yield Found("an e-mail address", excerpt(f"{first}***@{domain[0]}"))
            return
        place = text.find("@", place + 1)


def _is_person(local: str, domain: str) -> bool:
    return local.lower() not in _NO_PERSON and not _NOBODY.fullmatch(domain) and not _FILE.fullmatch(domain)


def _may_hold_key(raw: bytes) -> bool:
    for letter, signs in _SIGNS_OF_KEYS.items():
        if letter in raw:
            for sign in signs:
                if contains(raw, sign):
                    return True
    return False


def _may_hold_number(raw: bytes) -> bool:
    return len(raw) - len(raw.translate(None, b"0123456789")) >= _FEWEST_DIGITS


def _key(text: str) -> Iterator[Found]:
    private = _PRIVATE_KEY.search(text)
    if private is not None:
        yield Found("a private key", f"{private[0].strip('-')} ***")
        return
    shown = first_key(text)  # without its neighbours, which may be a password or a person
    if shown is not None:
        yield Found("a key or a password", shown)


def _numbers(text: str) -> Iterator[Found]:
    for what, pattern, is_one in (
        ("a card number", CARD, _is_card),
        ("a bank account (IBAN)", IBAN, _is_iban),
        ("a phone number", PHONE, _is_phone),
        ("a social security number", SOCIAL, _is_any),
    ):
        number = next((found[0] for found in pattern.finditer(text) if is_one(found[0])), None)
        if number is not None:
            yield Found(what, f"{number[:2]}***{number[-2:]}")


def _plain(number: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", number)


def _is_any(number: str) -> bool:
    return bool(number)


def _is_card(number: str) -> bool:
    """Whether a number is as long as a card's, and its check digit is right (Luhn, ISO/IEC 7812)."""
    digits = [int(digit) for digit in _plain(number)]
    if len(digits) != (_AMEX if digits[0] == 3 else _OTHER_CARDS):  # noqa: PLR2004 - the first digit of that scheme
        return False
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]  # noqa: PLR2004 - its two digits are added
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(number: str) -> bool:
    """Whether the check digits of an account's number are right (ISO 13616)."""
    plain = _plain(number)
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _is_phone(number: str) -> bool:
    return _FEWEST_OF_PHONE <= len(_plain(number)) <= _MOST_OF_PHONE
