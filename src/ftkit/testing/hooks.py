"""What the author of a provider supplies, for the conformance kit and for the attacks alike.

A check of either kit cannot be overridden. One that is known to fail is named, with the reason, in
`expected_failures`; it is run all the same, and the day it passes the entry has to go.
"""

from __future__ import annotations

import functools
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ftkit.methods import Method
    from ftkit.models import JobRequest, TrainingFile
    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness


class ProviderHooks(ABC):
    """How a provider and its witness are made, and what is asked of them.

    Attributes:
        expected_failures: Name of a check -> the reason why this provider fails it.
    """

    expected_failures: ClassVar[Mapping[str, str]] = {}
    _is_kit: ClassVar[bool] = False
    _put: ClassVar[Mapping[str, Callable[..., None]]] = {}

    def __init_subclass__(cls, *, kit: bool = False, **kwargs: Any) -> None:
        """Refuses a class that overrides a check, and marks the expected failures.

        A check is what a kit brings. What another class has under its name was put there by us, or overrides it.

        Args:
            kit: Whether the class is a kit itself, or a part of one, and brings checks.
            kwargs: What other base classes take.

        Raises:
            TypeError: A check is overridden, or an expected failure names none, or gives no reason.
        """
        super().__init_subclass__(**kwargs)
        cls._is_kit = kit
        checks = _checks_of(cls)
        for base in (base for base in cls.__mro__ if not vars(base).get("_is_kit")):
            ours: Mapping[str, Any] = vars(base).get("_put", {})
            for name in checks.keys() & vars(base).keys():
                if name not in ours or vars(base)[name] is not ours[name]:
                    raise TypeError(f"{base.__name__} overrides {name}: name it in expected_failures, with the reason")
        if kit:
            return
        for name, reason in cls.expected_failures.items() if checks else ():
            if name not in checks or not reason.strip():
                raise TypeError(f"expected_failures[{name!r}] must name a check of the kit, and give the reason")
        cls._put = {
            name: _expected_to_fail(check, cls.expected_failures[name]) if name in cls.expected_failures else check
            for name, check in checks.items()
        }
        for name, check in cls._put.items():
            setattr(cls, name, check)

    @abstractmethod
    def make_provider(self) -> Provider:
        """Returns a provider on a vendor's side where there are no jobs yet."""

    @abstractmethod
    def make_witness(self, provider: Provider) -> Witness:
        """Returns an independent view of that vendor's side."""

    @abstractmethod
    def request(self, training_file: TrainingFile) -> JobRequest:
        """Returns a request that the provider takes."""

    def training_path(self, folder: Path) -> Path:
        """Writes a file that `request` can train on, in the provider's layout; a small chat file by default."""
        path = folder / "train.jsonl"
        rows = [
            {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}."}]}
            for n in range(20)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    def other_request(self, training_file: TrainingFile) -> JobRequest | None:
        """Returns a request that differs from `request` in something small; in the epochs by default."""
        request = self.request(training_file)
        if "n_epochs" not in type(request.method).model_fields:
            return None
        epochs = request.method.hyperparameters().get("n_epochs", 1)
        more = epochs + 1 if isinstance(epochs, int) else 2
        return request.model_copy(update={"method": request.method.model_copy(update={"n_epochs": more})})

    def impossible_requests(self, training_file: TrainingFile) -> Sequence[JobRequest]:
        """Returns requests that this provider must refuse: an unknown model, a hyperparameter that it lacks, ..."""
        del training_file
        return ()

    def method_examples(self, provider: Provider) -> Sequence[Method]:
        """Returns one of each of the provider's methods."""
        return [cast("Callable[[], Method]", method)() for method in provider.methods]

    def deploy_options(self) -> Mapping[str, Any]:
        """Returns the options that `deploy` needs here."""
        return {}

    @pytest.fixture
    def provider(self) -> Provider:
        """The provider of one check."""
        return self.make_provider()

    @pytest.fixture
    def witness(self, provider: Provider) -> Witness:
        """The witness of one check."""
        return self.make_witness(provider)


def _checks_of(cls: type) -> dict[str, Callable[..., None]]:
    """Returns the checks of all the kits that a class is made of, by name.

    Raises:
        TypeError: Two kits have a check of one name: one would hide the other.
    """
    checks: dict[str, Callable[..., None]] = {}
    for base in (base for base in cls.__mro__ if vars(base).get("_is_kit")):
        for name, check in vars(base).items():
            if name.startswith("test_") and checks.setdefault(name, check) is not check:
                raise TypeError(
                    f"{base.__name__} and another kit both have a check {name}: a check cannot be overridden"
                )
    return checks


def _expected_to_fail(check: Callable[..., None], reason: str) -> Callable[..., None]:
    """Returns a copy of a check that is marked; the check itself is shared by all subclasses."""

    @functools.wraps(check)
    def expected(*args: object, **kwargs: object) -> None:
        check(*args, **kwargs)

    return cast("Callable[..., None]", pytest.mark.xfail(reason=reason, strict=True)(expected))
