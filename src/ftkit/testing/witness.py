"""A witness: a second view of the vendor's side, for the conformance kit.

A provider that is asked about itself can agree with itself and still be wrong. So the kit looks at what arrived at
the vendor's by another way: the fake server behind a transport, a job folder read by hand, a recording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ftkit.models import JobStatus


class Witness(Protocol):
    """What every witness tells. It must not ask the provider under test."""

    def jobs(self) -> int:
        """Returns how many jobs there are at the vendor's."""
        ...

    def creates(self) -> int:
        """Returns how many requests to create a job have arrived so far, whatever became of them."""
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
