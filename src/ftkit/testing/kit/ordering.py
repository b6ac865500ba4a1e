"""What is ordered of the vendor: all that was asked for, and nothing left out in silence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ftkit.errors import FtkitError
from ftkit.methods import LoRA
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics
from ftkit.testing.witness import ShowsOrders

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ftkit.models import JobRequest, TrainingFile
    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness

_HYPERPARAMETERS: Mapping[str, tuple[Any, Any]] = {
    "n_epochs": (2, 3),
    "batch_size": (4, 8),
    "learning_rate": (0.0001, 0.0002),
    "learning_rate_multiplier": (0.5, 1.5),
    "beta": (0.1, 0.2),
    "lora": (LoRA(r=8), LoRA(r=16)),
}
"""Two values of each that every method may have."""


class Ordering(ProviderHooks, kit=True):
    """Checks of orders. They need a witness that `ShowsOrders`."""

    def test_orders_tell_all_that_was_asked_for(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Two requests that differ in one thing, which the provider takes, are two orders."""
        if not isinstance(witness, ShowsOrders):
            pytest.skip("the witness does not show orders")
        file, other = basics.a_file(self, provider, tmp_path), self._another_file(provider, tmp_path)
        tried = 0
        for what, one, two in self._pairs(provider, file, other):
            if basics.errors([*provider.problems(one), *provider.problems(two)]):
                continue
            key = rules.new_key()
            orders = [_order(provider, witness, request, key) for request in (one, one, two)]
            if orders[0] != orders[1]:  # it tells a moment, say
                continue
            tried += 1
            must(orders[0] != orders[2], f"requests that differ in {what} were ordered alike: it is left out")
        must(tried, "no two orders could be held against each other: the same request is ordered in two ways")

    def _another_file(self, provider: Provider, folder: Path) -> TrainingFile:
        """Sends a file that has its first line twice: some vendors know a file by its content."""
        path = self.training_path(folder)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([lines[0], *lines]))
        return provider.upload(path, rules.new_key())

    def _pairs(
        self, provider: Provider, file: TrainingFile, other: TrainingFile
    ) -> Iterator[tuple[str, JobRequest, JobRequest]]:
        """Yields what two requests differ in, and those."""
        plain = self.request(file)
        fields: dict[str, tuple[Any, Any]] = {
            "training_file": (file, other),
            "validation_file": (None, other),
            "suffix": ("kit-one", "kit-two"),
            "seed": (1, 2),
            "metadata": ({"team": "one"}, {"team": "two"}),
        }
        for name, values in fields.items():
            one, two = (plain.model_copy(update={name: value}) for value in values)
            yield name, one, two
        for method in self.method_examples(provider):
            whole = plain.model_copy(update={"method": method})
            for name in _HYPERPARAMETERS.keys() & type(method).model_fields.keys():
                methods = [method.model_copy(update={name: value}) for value in _HYPERPARAMETERS[name]]
                one, two = (whole.model_copy(update={"method": each}) for each in methods)
                yield f"{name} of the method '{method.type}'", one, two


def _order(provider: Provider, witness: ShowsOrders, request: JobRequest, key: str) -> str:
    try:
        job = provider.create_job(request, key)
    except FtkitError as error:
        message = f"problems() has no error for {request!r}, and creating it ends with {error!r}"
        raise rules.BrokenRuleError(message[:1000]) from error
    return json.dumps(witness.order(job.id), sort_keys=True, default=str)
