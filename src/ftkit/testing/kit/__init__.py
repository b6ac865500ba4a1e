"""The conformance kit: what every provider must keep, as tests that its author runs by subclassing.

    class TestMine(ProviderConformance):
        def make_provider(self) -> MyProvider:
            self.server = FakeServer()
            return MyProvider(api_key="sk-test", transport=self.server.transport)

        def make_witness(self, provider: Provider) -> Witness:
            return FakeServerWitness(self.server)

        def request(self, training_file: TrainingFile) -> JobRequest:
            return JobRequest(model="my-base-model", training_file=training_file)

A check cannot be overridden. One that is known to fail is named, with the reason, in `expected_failures`; it is run
all the same, and the day it passes the entry has to go. Checks of abilities that a provider lacks are skipped.
"""

from __future__ import annotations

from ftkit.testing.kit.around import Around
from ftkit.testing.kit.breaking import Breaking
from ftkit.testing.kit.declared import Declared
from ftkit.testing.kit.files import Files
from ftkit.testing.kit.foreseen import Foreseen
from ftkit.testing.kit.listing import Listing
from ftkit.testing.kit.making import Making
from ftkit.testing.kit.ordering import Ordering
from ftkit.testing.kit.pausing import Pausing
from ftkit.testing.kit.reading import Reading
from ftkit.testing.kit.refusals import Refusals
from ftkit.testing.kit.serving import Serving
from ftkit.testing.kit.shown import Shown
from ftkit.testing.kit.threads import Threads

__all__ = ["ProviderConformance"]


class ProviderConformance(
    Declared,
    Foreseen,
    Making,
    Ordering,
    Refusals,
    Breaking,
    Reading,
    Listing,
    Shown,
    Files,
    Around,
    Pausing,
    Serving,
    Threads,
    kit=True,
):
    """The checks. Subclass it as `TestSomething`, and say how the provider and its witness are made.

    Each check gets a provider of its own, on a vendor's side where there are no jobs yet. To tidy up afterwards,
    override the fixture `provider` with one that yields.

    Attributes:
        jobs_to_list: How many jobs are made to see how they are listed.
        deploy_timeout_s: How long a deployment may take until it answers.
        threads: How many threads ask at once.
    """
