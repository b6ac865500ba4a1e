"""All that a server is made of, put together in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.server.catalogue import Catalogue
from ftkit.server.deployments import Deployments
from ftkit.server.files import Files
from ftkit.server.foreman import Foreman
from ftkit.server.jobs import Jobs
from ftkit.server.keys import Keys
from ftkit.server.moving import Mover
from ftkit.server.serving import Serving
from ftkit.server.store import Store
from ftkit.server.uploads import Uploads

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.client import Client
    from ftkit.server.settings import Settings

_DATABASE = "server.sqlite3"


def open_store(home: Path) -> Store:
    """Opens the database of a server's folder; both are made if they are not there."""
    os.umask(0o077)  # what lies there is nobody else's
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Store(home / _DATABASE)


def has_store(home: Path) -> bool:
    """Whether a server has ever been started in a folder."""
    return (home / _DATABASE).is_file()


@dataclass(frozen=True, slots=True)
class Office:
    """The parts of a server. Make one with `open_office`, start it, and stop it.

    Attributes:
        settings: What it was told.
        client: The provider's client.
        store: Its database.
        keys: Who may ask.
        files: Files.
        uploads: Files that come in parts.
        catalogue: Models by name.
        jobs: Jobs as users see them.
        foreman: Moves jobs on.
        serving: Models that answer.
        deployments: Deployments by name.
    """

    settings: Settings
    client: Client
    store: Store
    keys: Keys
    files: Files
    uploads: Uploads
    catalogue: Catalogue
    jobs: Jobs
    foreman: Foreman
    serving: Serving
    deployments: Deployments

    def start(self) -> None:
        """Takes up what an earlier process left, and begins to work."""
        self.files.sweep()
        self.serving.sweep()
        self.foreman.start()
        self.deployments.start()

    def stop(self) -> None:
        """Stops working. Jobs go on at the provider; models that were deployed because somebody asked are let go."""
        self.foreman.stop()
        self.deployments.stop()
        self.serving.close()
        self.store.close()


def open_office(client: Client, settings: Settings) -> Office:
    """Puts a server's parts together.

    Args:
        client: The provider's client; its ledger should be the server's own.
        settings: What the server is told.
    """
    store = open_store(settings.home)
    files = Files(settings, store)
    uploads = Uploads(settings, store, files)
    catalogue = Catalogue(settings.models, settings.default_model, store)
    serving = Serving(client, store, catalogue, settings)
    mover = Mover(client, store, files)
    return Office(
        settings=settings,
        client=client,
        store=store,
        keys=Keys(store),
        files=files,
        uploads=uploads,
        catalogue=catalogue,
        jobs=Jobs(client, store, files, catalogue),
        foreman=Foreman(mover, store, settings, files.tidy, uploads.tidy, serving.tidy),
        serving=serving,
        deployments=Deployments(client, store, serving),
    )
