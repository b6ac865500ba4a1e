"""The command line. It reads arguments, calls the library, and prints; it decides nothing itself."""

from ftkit.cli import data, deployments, environments, installed, running, serving
from ftkit.cli._app import app
from ftkit.cli._exits import Status

__all__ = ["app", "data", "deployments", "environments", "installed", "main", "running", "serving"]


def main() -> None:
    """Runs a command."""
    try:
        app()
    except KeyboardInterrupt:  # before the command had begun, or as it ended
        raise SystemExit(Status.INTERRUPTED) from None
