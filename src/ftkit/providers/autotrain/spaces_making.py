"""Making a Space through AutoTrain's own code, in AutoTrain's own environment, in one attempt."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import TYPE_CHECKING, Any, cast

from ftkit.errors import FtkitError, ProviderError, ProviderUnavailableError
from ftkit.plugin.disk import log_tail, take
from ftkit.providers._hub import refusal
from ftkit.providers.autotrain.backends import NAME
from ftkit.providers.autotrain.environment import NOT_PASSED_ON
from ftkit.providers.autotrain.recipe import DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import IO

    from pydantic import SecretStr

_INSIDE = Path(__file__).with_name("inside") / "remote.py"
_LOG = "log.txt"
_CREATE = "/api/repos/create"
_BAD, _CONFLICT, _SERVER = 400, 409, 500


@dataclass(frozen=True)
class Maker:
    """Makes Spaces.

    Args:
        python: Interpreter of AutoTrain's environment.
        endpoint: Where the Hub is.
        token: Its token. The process gets it by its environment, and by no other way.
        limit_s: Seconds that it may take, the data included.
        hide: Takes out of a text what must not be told.
    """

    python: Path
    endpoint: str
    token: SecretStr
    limit_s: float
    hide: Callable[[str], str]

    def make(self, recipe: Mapping[str, Any], training: Path, folder: Path) -> bool:
        """Pushes the data and makes the Space, once.

        Args:
            recipe: AutoTrain's recipe, without a token.
            training: The training file.
            folder: Where a folder for the time of it may be made.

        Returns:
            True if it was made, False if a Space of that name was there already.

        Raises:
            ProviderUnavailableError: It is not known whether it was made, or the Hub could not be reached before.
            ProviderError: The Hub, or AutoTrain, refused it; nothing was made that costs.
            CredentialsError: The token was refused.
        """
        with TemporaryDirectory(prefix="making-", dir=folder, ignore_cleanup_errors=True) as name:
            work = Path(name)
            (work / DATA).mkdir()
            take(training, work / DATA / "train.jsonl")
            (work / "config.yml").write_text(json.dumps(recipe, indent=2), encoding="utf-8")  # JSON is YAML, too
            told = self._run(work)
            return told.has_made(self._why(told, work))

    def _run(self, work: Path) -> Told:
        command = [str(self.python), str(_INSIDE), "config.yml"]
        told = Told()
        # In a session of its own: Ctrl-C must not leave half a Space behind.
        with (
            (work / _LOG).open("wb") as log,
            subprocess.Popen(  # noqa: S603 - AutoTrain's interpreter, and our own script
                command,
                cwd=work,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            ) as process,
        ):
            limit = Timer(self.limit_s, process.kill)
            limit.start()
            try:
                for line in cast("IO[bytes]", process.stdout):
                    told.hear(json.loads(line))
                told.status = process.wait()
            finally:
                limit.cancel()
        return told

    def _environment(self) -> dict[str, str]:
        env = {
            name: value for name, value in os.environ.items() if name not in {*NOT_PASSED_ON, "HUGGING_FACE_HUB_TOKEN"}
        }
        hub = {"HF_TOKEN": self.token.get_secret_value(), "HF_ENDPOINT": self.endpoint}
        return {**env, **hub, "HF_HUB_DISABLE_TELEMETRY": "1"}

    def _why(self, told: Told, work: Path) -> str:
        """Says how it ended, in the Hub's words or AutoTrain's."""
        if told.failed:
            return self.hide(str(told.failed["error"]))
        ended = f"AutoTrain's process ended with status {told.status}, after {self.limit_s:g} s at most"
        return self.hide(f"{ended}{log_tail(work / _LOG)}")


@dataclass
class Told:
    """What the process told.

    Attributes:
        begun: What it began last: "", "data" or "space".
        done: Whether it said that all was done.
        failed: What it said of a failure.
        status: The status that it ended with.
    """

    begun: str = ""
    done: bool = False
    failed: dict[str, Any] = field(default_factory=dict[str, Any])
    status: int | None = None

    def hear(self, line: Mapping[str, Any]) -> None:
        """Takes in a line."""
        match line["kind"]:
            case "begun":
                self.begun = str(line["what"])
            case "done":
                self.done = True
            case _:
                self.failed = dict(line)

    def has_made(self, why: str) -> bool:
        """Returns or raises as `Maker.make` does.

        Args:
            why: What is known of why it failed, if it did.
        """
        if self.done:
            return True
        if self.begun != "space":
            raise self._before(why)
        status = self._answered
        if self.failed.get("path") == _CREATE and _BAD <= status < _SERVER:
            if status == _CONFLICT:
                return False
            raise self._refused(why)
        message = f"the Space may be there, and may lack what it needs: {why}"
        request_id = self.failed.get("request_id")
        raise ProviderUnavailableError(message, provider=NAME, request_id=request_id, status_code=status or None)

    def _before(self, why: str) -> FtkitError:
        """Returns the error of what failed before a Space was asked for."""
        if self._answered:
            return self._refused(why)
        if self.failed.get("unreachable") or not self.failed:
            return ProviderUnavailableError(f"no Space was asked for: {why}", provider=NAME)
        return ProviderError(f"AutoTrain did not get as far as asking for a Space: {why}", provider=NAME)

    def _refused(self, why: str) -> FtkitError:
        where = {name: self.failed.get(name) for name in ("request_id", "retry_after")}
        return refusal(NAME, self._answered, why, **where)

    @property
    def _answered(self) -> int:
        return int(self.failed.get("status") or 0)
