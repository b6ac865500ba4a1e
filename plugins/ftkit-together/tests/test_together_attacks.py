"""The attacks, on the provider `together`: nothing can be written on a job there, and the list is not paged."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from test_together_conforms import TogetherHooks
from together_vendor import together_at

from ftkit.testing import ProviderAttacks

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftkit.provider import Provider


class TestTogetherUnderAttack(TogetherHooks, ProviderAttacks):
    only_full: ClassVar = {
        "test_empty_ledger",
        "test_holder_of_the_claim_dies",
        "test_killed_while_deploying",
        "test_lists_that_lag",
        "test_many_at_once",
        "test_storms",
    }
    crowd = 5
    sample = 4
    deploy_sample = 3  # nothing is made at Together's: a deployment is a name on this machine
    orders = 4

    def vendor_url(self) -> str:
        return self.vendor.url

    def elsewhere(self, url: str | None) -> Callable[[], Provider]:
        return partial(together_at, url or "")

    def creates(self, method: str, path: str, body: bytes) -> bool:
        del body
        return method == "POST" and path.endswith("/fine-tunes")
