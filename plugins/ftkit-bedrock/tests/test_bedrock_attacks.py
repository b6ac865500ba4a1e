"""The attacks, on the provider `bedrock`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from bedrock_place import bedrock_at
from test_bedrock_conforms import BedrockHooks

from ftkit.testing import ProviderAttacks

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftkit.provider import Provider


class TestBedrock(BedrockHooks, ProviderAttacks):
    only_full: ClassVar = {
        "test_empty_ledger",
        "test_holder_of_the_claim_dies",
        "test_killed_while_deploying",
        "test_lists_that_lag",
        "test_many_at_once",
        "test_storms",
    }
    crowd = 5  # each process makes clients of boto3, which takes most of a second
    sample = 4
    deploy_sample = 2
    orders = 3

    def vendor_url(self) -> str:
        return self.vendor.url

    def elsewhere(self, url: str | None) -> Callable[[], Provider]:
        return partial(bedrock_at, url or "")

    def creates(self, method: str, path: str, body: bytes) -> bool:
        del body
        return method == "POST" and path == "/model-customization-jobs"
