"""The command line. It reads arguments, calls the library, and prints; it decides nothing itself."""

from ftkit.cli import (
    adopting,
    chatting,
    data,
    deploying,
    deployments,
    environments,
    evaluating,
    exporting,
    following,
    history,
    installed,
    jobs,
    measuring,
    moving,
    running,
    serving,
    uploading,
    watching,
)
from ftkit.cli._app import app
from ftkit.cli._completing import join_words
from ftkit.cli._exits import Status

__all__ = [
    "adopting",
    "app",
    "chatting",
    "data",
    "deploying",
    "deployments",
    "environments",
    "evaluating",
    "exporting",
    "following",
    "history",
    "installed",
    "jobs",
    "main",
    "measuring",
    "moving",
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
