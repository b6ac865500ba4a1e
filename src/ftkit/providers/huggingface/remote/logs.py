"""The log of one of the Hub's jobs, as far as it goes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from ftkit.errors import NotFoundError, ProviderUnavailableError
from ftkit.providers.huggingface.kinds import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.providers._hub_account import HubAccount

_QUIET_S = 2.0
_LONGEST_S = 60.0
_DATA, _COMMENT = "data: {", ":"


def log_of(account: HubAccount, job: str) -> list[str]:
    """Returns what a job has printed so far; nothing if the Hub does not tell.

    The Hub sends what there is, and then holds the line for what may come. huggingface_hub (2.4) waits five seconds
    more to see that nothing does, and waits for ever where the Hub says meanwhile that it is still there.

    Args:
        account: The account.
        job: The Hub's id of the job.

    Raises:
        ProviderUnavailableError: The Hub cannot be reached, or the line broke.
    """
    try:
        with account.asked():
            return list(_lines(account, job))
    except NotFoundError:
        return []


def _lines(account: HubAccount, job: str) -> Iterator[str]:
    import httpx2
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # no __all__

    url = f"{account.api.endpoint}/api/jobs/{account.namespace}/{job}/logs"
    deadline, begun = time.monotonic() + _LONGEST_S, False
    try:
        # The headers have no name here: a traceback that shows variables would show the token.
        with get_session().stream(
            "GET", url, headers=build_hf_headers(token=account.token), timeout=_QUIET_S
        ) as response:
            hf_raise_for_status(response)
            begun = True
            for line in response.iter_lines():
                if line.startswith(_COMMENT):  # it has nothing more to tell, and says that it is still there
                    return
                if line.startswith(_DATA):
                    yield str(json.loads(line.removeprefix("data: "))["data"]).rstrip("\n")
                if time.monotonic() > deadline:  # it tells faster than we read: what is missing comes the next time
                    return
    except httpx2.ReadTimeout:
        if begun:
            return
    else:
        return
    raise ProviderUnavailableError("the Hub does not answer", provider=NAME)
