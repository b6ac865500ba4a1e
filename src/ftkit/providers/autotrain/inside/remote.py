"""What makes a Space, inside AutoTrain's own environment: `python remote.py CONFIG.yml`, in a folder with the data.

AutoTrain's own parser reads the recipe, its own code lays out the data and pushes them, and its own backend makes the
Space. The token comes in HF_TOKEN, and is put in after the recipe was read: no file holds it. What is begun, and how it
ended, is told in lines of JSON on standard output, where nothing else may write. Nothing of ftkit can be imported here.

Nothing that costs is begun for somebody who has gone; what was begun is finished, since half a Space trains nothing.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any
from urllib.parse import urljoin, urlsplit

from telling import Report


def report_on_stdout() -> Report:
    """Returns the way back: standard output as it was, while whatever else is printed goes to the log."""
    fd = os.dup(1)
    os.dup2(2, 1)
    return Report(fd)


def make(config: str, report: Report) -> None:
    """Pushes the data, and makes the Space."""
    from autotrain.parser import AutoTrainConfigParser
    from autotrain.project import AutoTrainProject, llm_munge_data
    from autotrain.trainers.clm.params import LLMTrainingParams

    stay_home()
    parser = AutoTrainConfigParser(config)
    params = LLMTrainingParams(**parser.parsed_config)
    params.token = os.environ["HF_TOKEN"]
    folder = params.data_path
    report.tell("begun", what="data")
    params = llm_munge_data(params, local=False)
    if params.data_path == folder:  # it passes over what it does not find
        message = f"AutoTrain found no data in {folder}"
        raise ValueError(message)
    report.tell("begun", what="space")
    AutoTrainProject(params=params, backend=parser.backend).create()


def stay_home() -> None:
    """Lets what we write follow no redirect to another host: its body would go along, and one of them holds the token.

    requests itself leaves out no more than the header Authorization.
    """
    requests = sys.modules.get("requests")
    if requests is None:  # what the Hub's client of that time asks with; nothing else here asks anybody
        return
    find = requests.Session.get_redirect_target

    def find_at_home(self: Any, response: Any) -> Any:
        found = find(self, response)
        asked = response.request
        if found and asked.method not in {"GET", "HEAD"} and origin(urljoin(asked.url, found)) != origin(asked.url):
            host = urlsplit(found).netloc
            message = f"{urlsplit(asked.url).netloc} sends us on to {host}, and no redirect to another host is followed"
            raise requests.exceptions.InvalidURL(message, response=None)
        return found

    requests.Session.get_redirect_target = find_at_home


def origin(url: str) -> tuple[str, str]:
    """Returns what two addresses of one host have in common."""
    return urlsplit(url)[:2]


def failure(error: BaseException) -> dict[str, Any]:
    """Tells an error: the Hub's answer where there was one, wherever in its causes it is."""
    told: dict[str, Any] = {"error": f"{type(error).__name__}: {error}", "unreachable": False}
    link: BaseException | None = error
    while link is not None:
        response = getattr(link, "response", None)
        if response is not None:
            return told | answer(link, response)
        is_requests = any(base.__module__ == "requests.exceptions" for base in type(link).__mro__)
        told["unreachable"] |= is_requests or isinstance(link, (ConnectionError, TimeoutError))
        link = link.__cause__ or link.__context__
    return told


def answer(error: BaseException, response: Any) -> dict[str, Any]:
    """Tells what the Hub answered, and to what."""
    headers = response.headers
    return {
        "status": response.status_code,
        "path": urlsplit(str(response.request.url)).path,
        "error": getattr(error, "server_message", None) or str(error),
        "request_id": headers.get("x-request-id") or headers.get("X-Amzn-Trace-Id"),
        "retry_after": headers.get("retry-after"),
    }


def main(config: str) -> int:
    """Makes a Space, and tells how it ended."""
    report = report_on_stdout()
    try:
        make(config, report)
        report.tell("done")
    except BaseException as error:  # all of it is told; the status alone would not say what
        traceback.print_exc()
        report.tell("failed", **failure(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
