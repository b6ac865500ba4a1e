"""What a new package is called, and its words in place of the template's."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from ftkit.errors import ConfigurationError
from ftkit.registry import provider_names

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*")
_LONGEST = 30
_TAKEN = frozenset({"ftkit", "provider", "providers", "test", "tests"})
"""Names that would mean something else: `Client("test")`, or the package ftkit-ftkit."""
_PLACEHOLDER = "acme"
_WORD = re.compile(r"\w*acme\w*", re.IGNORECASE)
_ANY_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Naming:
    """The names of a new package.

    Attributes:
        name: Name of the provider, as in `Client("name")`.
        class_name: Name of its class.
    """

    name: str
    class_name: str

    @classmethod
    def of(cls, name: str, class_name: str | None = None) -> Naming:
        """Returns the names of a package.

        Args:
            name: Name of the provider.
            class_name: Name of its class; made of the name if None: `NovaProvider` for nova.

        Raises:
            ConfigurationError: There can be none of that name, or there is one.
        """
        if not _NAME.fullmatch(name) or len(name) > _LONGEST:
            message = f"{name[: 2 * _LONGEST]!r} is no name of a provider"
            raise ConfigurationError(message, hint=f"A lower-case word of up to {_LONGEST} characters, such as nova-2.")
        if name in _TAKEN or keyword.iskeyword(name):
            raise ConfigurationError(f"'{name}' means something else", hint="Name it after the vendor.")
        if name in provider_names():
            raise ConfigurationError(f"a provider '{name}' is installed", hint="`ftkit providers` lists them all.")
        camel = "".join(part.capitalize() for part in re.split("[-_]", name))
        wanted = f"{camel}Provider" if class_name is None else class_name
        if not _CLASS.fullmatch(wanted) or keyword.iskeyword(wanted):
            message = f"{wanted[: 2 * _LONGEST]!r} is no name of a class"
            raise ConfigurationError(message, hint=f"Such as {camel}Provider.")
        return cls(name, wanted)

    @property
    def folder(self) -> str:
        """The folder of the package, and its name where packages are installed from."""
        return f"ftkit-{self.name}"

    def written(self, text: str) -> str:
        """Returns a text of the template in the words of this package."""
        return _WORD.sub(lambda found: self._word(found[0]), text)

    def must_not_hide(self, text: str) -> None:
        """Sees that no new word is one that the template uses for something else: a class that it imports, say.

        Raises:
            ConfigurationError: One is.
        """
        words = {*_ANY_WORD.findall(text)}
        for word in sorted(each for each in words if _WORD.fullmatch(each) and each.lower() != _PLACEHOLDER):
            new = self._word(word)
            if new != word and new in words:
                message = f"'{self.name}' does not go: it needs the name {new}, which means something else there"
                raise ConfigurationError(message, hint="Give the class another name with --class-name.")

    def _word(self, word: str) -> str:
        """Returns a word of the template in this package's: `ftkit_acme`, `ACME_API_KEY`, `AcmeProvider`, `acme`."""
        snake = self.name.replace("-", "_")
        word = word.replace("AcmeProvider", self.class_name)
        word = word.replace("_acme", f"_{snake}").replace("ACME", snake.upper())
        return word.replace("Acme", self.class_name.removesuffix("Provider")).replace("acme", self.name)
