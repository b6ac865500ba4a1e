"""A table of prices: each with its source and its date. What is not in it is not known."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field

from ftkit.errors import ConfigurationError
from ftkit.home import config_folder
from ftkit.methods import Settings
from ftkit.models import Noun
from ftkit.tables import rows_of
from ftkit.tokens import base_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Name: TypeAlias = Literal[
    "training",
    "training_hour",
    "hosting_hour",
    "input",
    "cached_input",
    "output",
    "tuned_input",
    "tuned_cached_input",
    "tuned_output",
]
"""The prices that there are. Those of training and of calls are for a million tokens; the others by the hour."""
NAMES: tuple[Name, ...] = get_args(Name)
FILE_NAME = "prices.toml"
"""The name of the user's own table, in the folder of the user's `ftkit.toml`."""
MILLION = 1_000_000


class Price(Noun):
    """One price, with where it comes from. `str(price)` is the amount with its currency.

    Attributes:
        amount: How much; 0 only where it is known to cost nothing.
        currency: Its currency.
        source: The document that says so.
        as_of: The date on which it was read there; None if nobody told.
    """

    amount: Decimal
    currency: str
    source: str
    as_of: date | None = None

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"

    @property
    def origin(self) -> str:
        """The document and the date, for people."""
        return f"{self.source}, as of {self.as_of}" if self.as_of else self.source


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _exact(value: object) -> object:
    return Decimal(repr(value)) if isinstance(value, float) else value  # by its digits: 0.1 is a tenth


_Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_one_or_more), Field(min_length=1)]
_Amount = Annotated[Decimal | None, BeforeValidator(_exact), Field(ge=0)]


class PriceRow(Settings):
    """A row of a table of prices.

    Attributes:
        provider: The providers that it is for, with * for any letters.
        model: The models that it is for, likewise, by their names before they are tuned.
        tier: The ways of training or serving that it is for, such as "GlobalStandard"; capitals do not matter.
        currency: The currency of its prices.
        source: The document that they come from.
        as_of: The date on which it was read.
    """

    field_noun = "price"

    provider: _Texts = ("*",)
    model: _Texts = ("*",)
    tier: _Texts | None = None
    training: _Amount = None
    training_hour: _Amount = None
    hosting_hour: _Amount = None
    input: _Amount = None
    cached_input: _Amount = None
    output: _Amount = None
    tuned_input: _Amount = None
    tuned_cached_input: _Amount = None
    tuned_output: _Amount = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    source: str | None = None
    as_of: date | None = None

    def fits(self, provider: str, model: str, tier: str | None) -> bool:
        """Whether it is for that. A row for some tiers is for nobody who does not know the tier."""
        if self.tier is not None and (tier is None or tier.lower() not in {each.lower() for each in self.tier}):
            return False
        return _any(self.provider, provider) and _any(self.model, model)

    def amount(self, name: Name) -> Decimal | None:
        """Returns one of its prices."""
        found: Decimal | None = getattr(self, name)
        return found


def _any(globs: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


class PriceList:
    """A table of prices.

    Args:
        rows: The rows, the more special ones later: each price is that of the last row that fits and has it.
        name: What the table is called in errors, and as the source of rows that name none.

    Raises:
        ConfigurationError: A row has a field that there is not, or a value that cannot be.
    """

    def __init__(self, *rows: Mapping[str, object], name: str = "the prices") -> None:
        self.name = name
        self._rows = tuple(_read(f"{name}, row {number}", row, name) for number, row in enumerate(rows, 1))

    @classmethod
    def from_toml(cls, text: str, *, name: str = "the prices") -> PriceList:
        """Reads a table that is written as `[[prices]]` in TOML.

        Args:
            text: The TOML.
            name: What it is called in errors: its file, say.

        Raises:
            ConfigurationError: It is no TOML, or not of this form.
        """
        return cls(*rows_of(text, "prices", name), name=name)

    def __add__(self, other: PriceList) -> PriceList:
        """Returns both tables as one, in which the other's rows win."""
        both = PriceList(name=f"{self.name}, {other.name}" if other._rows else self.name)
        both._rows = (*self._rows, *other._rows)
        return both

    def price(self, provider: str, model: str, name: Name, tier: str | None = None) -> Price | None:
        """Returns a price, or None if it is not known.

        Args:
            provider: Name of the provider.
            model: The model, tuned or not.
            name: Which price.
            tier: The way of training or serving, if it is known.
        """
        base = base_of(model)
        for row in reversed(self._rows):
            amount = row.amount(name)
            if amount is not None and row.fits(provider, base, tier):
                return Price(amount=amount, currency=row.currency, source=row.source or self.name, as_of=row.as_of)
        return None

    def tiers(self, provider: str, model: str, name: Name) -> tuple[str, ...]:
        """Returns the ways of training or serving for which a price is known, each once.

        Args:
            provider: Name of the provider.
            model: The model, tuned or not.
            name: Which price.
        """
        base = base_of(model)
        rows = (row for row in self._rows if row.tier is not None and row.amount(name) is not None)
        return tuple(dict.fromkeys(each for row in rows for each in row.tier or () if row.fits(provider, base, each)))


def _read(where: str, row: Mapping[str, object], name: str) -> PriceRow:
    values: dict[str, Any] = {"source": name, **row}
    try:
        found = PriceRow(**values)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error.message}") from None
    if all(found.amount(each) is None for each in NAMES):
        raise ConfigurationError(f"{where}: the row has no price.", hint=f"The prices are: {', '.join(NAMES)}.")
    return found


@cache
def built_in_prices() -> PriceList:
    """Returns ftkit's own table."""
    text = files("ftkit").joinpath(FILE_NAME).read_text(encoding="utf-8")
    return PriceList.from_toml(text, name=f"ftkit/{FILE_NAME}")


def known_prices() -> PriceList:
    """Returns ftkit's own table, and after it the user's: `prices.toml` in the folder of the user's `ftkit.toml`.

    Raises:
        ConfigurationError: The user's table cannot be read, or is not of the right form.
    """
    path = config_folder() / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return built_in_prices()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}", hint="Mend it, or move it away.") from error
    return built_in_prices() + PriceList.from_toml(text, name=str(path))
