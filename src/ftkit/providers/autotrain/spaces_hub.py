"""What is asked of the Hub about Spaces that AutoTrain trains in, and about what comes of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ftkit.errors import (
    FtkitError,
    NotFoundError,
    ProviderUnavailableError,
)
from ftkit.providers._hub import prices_of

if TYPE_CHECKING:
    from decimal import Decimal

    from huggingface_hub import SpaceInfo, SpaceRuntime

    from ftkit.providers._hub_account import HubAccount

PREFIX = "autotrain-"
"""What AutoTrain puts before the name of a project, for its Space."""

_OURS = f"{PREFIX}ftkit-"
_WEIGHTS = ".safetensors"
_VERDICTS = {"training has failed": False, "training has finished successfully": True}
"""What AutoTrain calls the discussion that it opens in a Space at the end of a training (0.8.36)."""


@dataclass(frozen=True, slots=True)
class Space:
    """A Space, as the Hub knows it.

    Attributes:
        project: AutoTrain's name for the project.
        stage: The Hub's word for where it stands.
        created_at: When it was made.
    """

    project: str
    stage: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What AutoTrain wrote at the end.

    Attributes:
        title: In its own words.
        succeeded: Whether it says that the training succeeded.
        at: When it was written.
    """

    title: str
    succeeded: bool
    at: datetime


class SpacesHub:
    """The Spaces of one user or organisation.

    Args:
        account: The account.
    """

    def __init__(self, account: HubAccount) -> None:
        self._account = account
        self._api = account.api

    @property
    def endpoint(self) -> str:
        """Where the Hub is."""
        return self._api.endpoint

    @property
    def user(self) -> str:
        """The owner of the Spaces."""
        return self._account.namespace

    def space_id(self, project: str) -> str:
        """Returns the Hub's name of a project's Space."""
        return f"{self.user}/{PREFIX}{project}"

    def model_id(self, project: str) -> str:
        """Returns the Hub's name of a project's model."""
        return f"{self.user}/{project}"

    def address(self, project: str) -> str:
        """Returns where a person finds a project's Space."""
        return f"{self.endpoint}/spaces/{self.space_id(project)}"

    # -- Spaces --------------------------------------------------------------------------------------------------

    def space(self, project: str) -> Space:
        """Reads a Space.

        Raises:
            NotFoundError: The Hub says that it is not there.
        """
        name = self.space_id(project)
        with self._account.asked():
            runtime = self._api.get_space_runtime(name)
            return _space(project, self._api.space_info(name, expand=["createdAt"]), runtime)

    def spaces(self) -> list[Space]:
        """Lists our Spaces, newest first."""
        found: list[Space] = []
        with self._account.asked():
            listed = self._api.list_spaces(author=self.user, search=_OURS, expand=["createdAt", "runtime"])
            for info in listed:
                owner, _, name = info.id.partition("/")
                if owner == self.user and name.startswith(_OURS):
                    runtime = info.runtime or self._api.get_space_runtime(info.id)
                    found.append(_space(name.removeprefix(PREFIX), info, runtime))
        return sorted(found, key=lambda space: (space.created_at, space.project), reverse=True)

    def pause(self, project: str) -> None:
        """Stops a Space. What is paused costs nothing."""
        with self._account.asked():
            self._api.pause_space(self.space_id(project))

    def log(self, project: str, *, build: bool = False) -> list[str]:
        """Reads what a Space has printed so far, or what was printed when it was built; nothing if it tells nothing."""
        try:
            with self._account.asked():
                lines = self._api.fetch_space_logs(self.space_id(project), build=build)
                return [self._account.hide(line) for line in lines]
        except NotFoundError:
            return []

    # -- what comes of them --------------------------------------------------------------------------------------

    def has_weights(self, project: str) -> bool:
        """Whether the model of a project is there, with its weights: AutoTrain makes its repository long before."""
        try:
            with self._account.asked():
                tree = self._api.list_repo_tree(self.model_id(project))
                return any(entry.path.endswith(_WEIGHTS) for entry in tree)
        except NotFoundError:
            return False

    def verdict(self, project: str) -> Verdict | None:
        """Returns what AutoTrain wrote at the end of a training, if it did."""
        found: Verdict | None = None
        try:
            with self._account.asked():
                for each in self._api.get_repo_discussions(self.space_id(project), repo_type="space"):
                    for words, succeeded in _VERDICTS.items():
                        if words in each.title and (found is None or each.created_at > found.at):
                            found = Verdict(each.title, succeeded, each.created_at)
        except ProviderUnavailableError:
            raise
        except FtkitError:  # discussions can be switched off
            return None
        return found

    def delete_model(self, project: str) -> None:
        """Deletes the repository of a project's model.

        Raises:
            NotFoundError: It is not there.
        """
        with self._account.asked():
            self._api.delete_repo(self.model_id(project))

    def price_per_hour(self, hardware: str) -> Decimal | None:
        """Asks what a Space costs, in USD an hour; None if the Hub does not say."""
        try:
            with self._account.asked():
                return prices_of(self._api.list_spaces_hardware()).get(hardware)
        except FtkitError:  # a training that can be had is not refused for that
            return None


def _space(project: str, info: SpaceInfo, runtime: SpaceRuntime) -> Space:
    made = info.created_at or datetime.fromtimestamp(0, UTC)
    return Space(project, str(getattr(runtime.stage, "value", runtime.stage)), made)
