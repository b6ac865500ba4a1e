"""A witness: a second view of the vendor's side, for the conformance kit.

A provider that is asked about itself can agree with itself and still be wrong. So the kit looks at what arrived at
the vendor's by another way: the fake server behind a transport, a job folder read by hand, a recording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ftkit.errors import FtkitError
    from ftkit.models import DeploymentStatus, JobStatus


class Witness(Protocol):
    """What every witness tells. It must not ask the provider under test."""

    def jobs(self) -> int:
        """Returns how many jobs there are at the vendor's."""
        ...

    def creates(self) -> int:
        """Returns how many requests to create a job have arrived so far, whatever became of them: refused or not."""
        ...

    def set_status(self, job_id: str, word: str) -> None:
        """Puts a job into a state, by the vendor's own word for it; it stays there."""
        ...

    def known_status_words(self) -> Mapping[str, JobStatus]:
        """Returns every word that the vendor documents for a job's state, and what it means."""
        ...

    def secrets(self) -> Sequence[str]:
        """Returns the secrets that the provider was given."""
        ...


@runtime_checkable
class LosesReplies(Protocol):
    """A witness that can cut the line after a request has arrived."""

    def lose_replies(self, n: int) -> None:
        """Lets the next n requests to create a job be taken, and their replies get lost."""
        ...


@runtime_checkable
class CountsRequests(Protocol):
    """A witness that sees every request, and so can tell that none was sent."""

    def requests(self) -> int:
        """Returns how many requests of any kind have arrived so far."""
        ...


@runtime_checkable
class AddsEvents(Protocol):
    """A witness that can let something happen in a job."""

    def add_event(self, job_id: str, message: str) -> None:
        """Adds an event to a job."""
        ...


@runtime_checkable
class CountsUploads(Protocol):
    """A witness that sees the files at the vendor's."""

    def uploads(self) -> int:
        """Returns how many files there are at the vendor's."""
        ...


@runtime_checkable
class CountsDeployments(Protocol):
    """A witness that sees what answers at the vendor's."""

    def deployments(self) -> int:
        """Returns how many deployments there are at the vendor's."""
        ...


@runtime_checkable
class Refuses(Protocol):
    """A witness that can let the vendor refuse what it is asked."""

    def known_refusals(self) -> Mapping[str, type[FtkitError]]:
        """Returns every word that the vendor has for a refusal, and which error of ftkit's it is.

        A word is an HTTP status ("429"), a code ("ThrottlingException"), or both ("429 insufficient_quota"). Where it
        begins with a status, that is the error's `status_code`.
        """
        ...

    def refuse(self, word: str, message: str, request_id: str) -> None:
        """Lets the vendor refuse the next request that reads a job, lists jobs or asks for one. Once.

        It is refused in the vendor's own form, before anything is done, and counts as one that arrived. What else a
        provider asks on the way (for a price, say) may be answered as ever.

        Args:
            word: Which refusal.
            message: What the vendor says.
            request_id: The vendor's id of that request.
        """
        ...


@runtime_checkable
class RefusesDeployments(Protocol):
    """A witness that can let the vendor refuse deployments, in words that may be others than those for jobs."""

    def known_deployment_refusals(self) -> Mapping[str, type[FtkitError]]:
        """Returns every word that the vendor has for the refusal of a deployment, as `Refuses.known_refusals` does."""
        ...

    def refuse_deployment(self, word: str, message: str, request_id: str) -> None:
        """Lets the vendor refuse the next request that lists deployments or asks for one. Once, as `Refuses.refuse`."""
        ...


@runtime_checkable
class Breaks(Protocol):
    """A witness that can let the line to the vendor break."""

    def known_breaks(self) -> Mapping[str, str]:
        """Returns the ways in which no answer comes, or none that can be read, and words that the error must hold.

        {"timeout": "did not answer in time", "html": "what it sent is no job"}, say: those are the words of
        `ftkit.plugin.HttpService`, for a model of the answer that is called `Job` or `JobBody`.
        """
        ...

    def break_line(self, way: str) -> None:
        """Lets the next request that reads a job, or asks for one, end in that way. Once."""
        ...


@runtime_checkable
class ShowsOrders(Protocol):
    """A witness that sees what was ordered."""

    def order(self, job_id: str) -> object:
        """Returns what a job was ordered with, as it arrived: the body of the request, say."""
        ...


@runtime_checkable
class SetsDeployments(Protocol):
    """A witness that can put a deployment into a state."""

    def known_deployment_words(self) -> Mapping[str, DeploymentStatus]:
        """Returns every word that the vendor documents for a deployment's state, and what it means."""
        ...

    def set_deployment(self, name: str, word: str) -> None:
        """Puts a deployment into a state, by the vendor's own word for it; it stays there."""
        ...
