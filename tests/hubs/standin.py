"""A stand-in for the Hub, on loopback: repositories with branches, and jobs that really run.

It is made to be asked by huggingface_hub, with HF_HUB_DISABLE_XET=1, here and in the jobs. Levers cut lines, refuse,
hang, lose machines and logs. What it does not know, what a field holds that it does not do, and what nobody should send
(a public repository, a token in plain sight) it keeps in `strange`.

A fault is named after its route: "GET whoami", "POST create", "DELETE delete", "GET repos" (a list), "GET info",
"GET refs", "POST branch", "GET tree", "POST paths", "POST validate", "POST preupload", "POST batch", "PUT blob",
"POST commit", "POST squash", "GET file", "HEAD file"; "POST job", "GET job", "GET jobs" (a list), "GET logs",
"POST cancel", "GET hardware". The requests of the jobs meet the same faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubs.jobs import Jobs
from hubs.repos import ORG, Repositories
from hubs.wire import HANG, HANG_S, RESET, TOKEN, USER, Fault, ending, error, ok, online

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = [
    "HANG",
    "HANG_S",
    "ORG",
    "RESET",
    "TOKEN",
    "USER",
    "Fault",
    "HubStandIn",
    "error",
    "ok",
    "online",
    "standing",
]


class HubStandIn(Repositories, Jobs):
    """The Hub of one user, who is of one organisation."""


def standing() -> AbstractContextManager[HubStandIn]:
    """Returns a stand-in for the time of a `with` block."""
    return ending(HubStandIn())
