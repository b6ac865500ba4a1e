"""Ctrl-C at a command that waits: status 130, and the line that it shows takes the job up again."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from chats import chats
from scripts import scripts_in
from served_vendor import ServedVendor
from wire_vendor import KEY, WireVendor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

MODEL = "gpt-4o-mini-2024-07-18"


def command(arguments: Sequence[str]) -> None:
    from ftkit import cli

    sys.argv = ["ftkit", *arguments]
    cli.main()


def test_each_is_taken_up_again_by_the_line_that_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = WireVendor()
    server = ServedVendor(vendor)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    run = ["run", "--train", str(chats(tmp_path)), "--model", MODEL, "-p", "openai"]
    try:
        with scripts_in(tmp_path) as start:

            def stopped(arguments: Sequence[str], seen: str) -> tuple[str, str]:
                script = start(partial(command, arguments))
                script.until(lambda: seen in script.output + script.errors)
                script.signal(signal.SIGINT)
                assert script.end_by(signal.SIGINT) == 130, script.errors
                assert "Traceback" not in script.errors
                assert "Client(" not in script.errors
                return script.output, script.errors

            _, errors = stopped(run, "validating")
            (job_id,) = vendor.jobs
            name = f"openai:{job_id}"
            assert f"The job {name} goes on; the same command again takes it up" in errors
            _, errors = stopped(["wait", name], "validating")
            lines = [run, shlex.split(errors.splitlines()[-1])[1:]]
            assert lines[1] == ["wait", name]
            before, errors = stopped(["follow", name, "--json"], '"message"')
            lines.append([*shlex.split(errors.splitlines()[-1])[1:], "--json"])
            assert lines[2][:3] == ["follow", name, "--after"]
            assert lines[2][3] == re.findall(r'^{"id":"([^"]+)"', before, re.MULTILINE)[-1]
            vendor.set_status(job_id, "succeeded")
            again = [start(partial(command, line)) for line in lines]
            assert [script.end() for script in again] == [0, 0, 0], [script.errors for script in again]
            assert f"job: {job_id}" in again[0].output
            assert f"job: {job_id}" in again[1].output
            assert not {*before.splitlines()} & {*again[2].output.splitlines()}
    finally:
        server.stop()
    assert vendor.requests["POST /fine_tuning/jobs"] == 1
