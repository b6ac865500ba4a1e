"""The command line. It reads arguments, calls the library, and prints; it decides nothing itself."""

from ftkit.cli import (
    chatting,
    data,
    deploying,
    deployments,
    environments,
    following,
    history,
    installed,
    jobs,
    measuring,
    running,
    serving,
    uploading,
    watching,
)
from ftkit.cli._app import app
from ftkit.cli._completing import join_words
from ftkit.cli._exits import Status

__all__ = [
    "app",
    "chatting",
    "data",
    "deploying",
    "deployments",
    "environments",
    "following",
    "history",
    "installed",
    "jobs",
    "main",
    "measuring",
    "running",
    "serving",
    "uploading",
    "watching",
]


def main() -> None:
    """Runs a command."""
    join_words()
    try:
        app()
    except KeyboardInterrupt:  # before the command had begun, or as it ended
        raise SystemExit(Status.INTERRUPTED) from None
