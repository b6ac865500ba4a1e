"""What a provider says of itself."""

from __future__ import annotations

import inspect
import math
import re
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel

from ftkit.methods import Method
from ftkit.models import DatasetRules
from ftkit.provider import CONTRACT, NamesRoles, Provider, Settles
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ftkit.testing.witness import Witness


class Declared(ProviderHooks, kit=True):
    """Checks of what it says of itself."""

    def test_contract(self, provider: Provider) -> None:
        """It was written for this version of the contract, and has everything that the contract asks for."""
        must(provider.contract == CONTRACT, f"contract must be {CONTRACT}, and is {provider.contract!r}")
        lacks = [name for name in rules.members(Provider) if not hasattr(provider, name)]
        must(isinstance(cast("object", provider), Provider), f"it lacks {', '.join(lacks)}")

    def test_attributes(self, provider: Provider) -> None:
        """Its name is a plain word, `methods` is a frozenset of Method classes, and Options refuses unknown fields."""
        must(re.fullmatch(r"[a-z][a-z0-9_-]*", provider.name), f"{provider.name!r} is no plain lower-case name")
        must(isinstance(cast("object", provider.methods), frozenset), "methods must be a frozenset")
        must(provider.methods, "methods is empty: there is nothing that it can do")
        must(all(map(_is_method, provider.methods)), "methods must hold subclasses of Method, not instances")
        must(_is_model(provider.Options), "Options must be a pydantic model")
        must(provider.Options.model_config.get("extra") == "forbid", 'Options must have extra="forbid"')

    def test_signatures(self, provider: Provider) -> None:
        """Every method of the contract and of its abilities takes the contract's arguments, by position."""
        for protocol in rules.protocols_of(provider):
            for name in rules.members(protocol):
                if not inspect.isfunction(vars(protocol).get(name)):
                    continue
                wanted = list(inspect.signature(vars(protocol)[name]).parameters)[1:]
                given = inspect.signature(getattr(provider, name))
                must(_binds(given, wanted), f"{name}{given} does not take ({', '.join(wanted)}) by position")

    def test_abilities_are_whole(self, provider: Provider) -> None:
        """It has an ability with all of its methods, or not at all: half of one would count for nothing, in silence."""
        must(not rules.halves(provider), f"half an ability: {'; '.join(rules.halves(provider))}")

    def test_identity(self, provider: Provider, witness: Witness) -> None:
        """Its identity is a text that stays the same and holds no secret."""
        identity = provider.identity()
        must(isinstance(cast("object", identity), str) and identity.strip(), f"{identity!r} is no identity")
        must(provider.identity() == identity, "identity changes from one call to the next")
        rules.shows_none(witness.secrets(), identity, "identity")

    def test_rules(self, provider: Provider, tmp_path: Path) -> None:
        """It has rules for a data set for every method that it declares."""
        model = self.request(basics.a_file(self, provider, tmp_path)).model
        for method in self.method_examples(provider):
            found = provider.rules(method, model)
            rules.round_trips(DatasetRules, found)
            must(found.accepts and found.layout, f"the rules for {method.type} accept nothing")

    def test_declared_values(self, provider: Provider) -> None:
        """settle_s is a time, and model_roles a table of names, where it has them."""
        if isinstance(provider, Settles):
            settle = cast("object", provider.settle_s)
            must(isinstance(settle, int | float) and math.isfinite(settle) and settle >= 0, f"settle_s is {settle!r}")
        if isinstance(provider, NamesRoles):
            words = [*provider.model_roles, *provider.model_roles.values()]
            must(all(map(_is_word, words)), f"model_roles is {provider.model_roles!r}")


def _is_method(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, Method)


def _is_word(candidate: object) -> bool:
    return isinstance(candidate, str) and bool(candidate)


def _is_model(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _binds(given: inspect.Signature, wanted: Sequence[str]) -> bool:
    try:
        given.bind(*wanted)
    except TypeError:
        return False
    return True
