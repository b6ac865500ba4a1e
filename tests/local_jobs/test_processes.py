"""A process is known by more than its number, and is ended with all its children."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from job_tools import until

from ftkit.providers._processes import end_group, is_alive, process_of, start_detached, this_process

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers._processes import ProcessId

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
SLEEP = "import time; print('up', flush=True); time.sleep(120)\n"
WITH_CHILD = "import subprocess, sys; subprocess.Popen([sys.executable, '-I', '-S', '-c', sys.argv[1], sys.argv[2]])\n"


def start_python(tmp_path: Path, code: str, *arguments: str) -> ProcessId:
    log = tmp_path / "log"
    # The folder is in its arguments, so that the fixture finds what is left.
    process = start_detached([sys.executable, "-I", "-S", "-c", code, *arguments, str(tmp_path)], log=log)
    assert process is not None
    return process


def ups(tmp_path: Path) -> int:
    return (tmp_path / "log").read_text().count("up")


def test_we_are_alive_and_known_again() -> None:
    us = this_process()
    assert us == process_of(os.getpid())
    assert is_alive(us)
    assert not is_alive(us.model_copy(update={"started": us.started + 1}))
    assert not is_alive(us.model_copy(update={"boot": "another"}))


def test_what_has_ended_is_not_alive_even_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    process = process_of(child.pid)
    assert process is not None
    assert is_alive(process)
    child.kill()
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert not is_alive(process)
    assert process_of(child.pid) is None
    child.communicate()
    assert process_of(child.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_name_of_a_program_does_not_hide_when_it_started(tmp_path: Path) -> None:
    found = shutil.which("sleep")
    assert found is not None
    program = tmp_path / "a) R 1 (b"
    program.symlink_to(found)
    child = subprocess.Popen([str(program), "60"])
    try:
        process = process_of(child.pid)
        assert process is not None
        assert abs(process.started - this_process().started) < 3600
        assert process.started >= this_process().started
    finally:
        child.kill()
        child.wait()


def test_it_has_a_session_of_its_own_and_its_output_goes_to_the_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    code = "import os, sys; print(os.getcwd(), os.environ.get('COLOUR'), sys.stdin.read() == '', flush=True)\n"
    log = tmp_path / "log"
    argv = [sys.executable, "-I", "-S", "-c", code + SLEEP, str(tmp_path)]
    process = start_detached(argv, log=log, env={"COLOUR": "blue"}, cwd=tmp_path)
    assert process is not None
    until(lambda: ups(tmp_path))
    assert log.read_text() == f"before\n{tmp_path} blue True\nup\n"
    assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    end_group(process, 10)


def test_what_cannot_be_started_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"could not start /no/such: FileNotFoundError.*'/no/such'"):
        start_detached(["/no/such"], log=tmp_path / "log")
    with pytest.raises(OSError, match="No such file"):
        start_detached([sys.executable], log=tmp_path / "none" / "log")


def test_a_launcher_that_is_killed_is_an_error_that_says_so(tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)  # opening it waits for a reader, and there is none

    def kill_it() -> None:
        until(lambda: any(str(fifo) in child.cmdline() for child in psutil.Process().children()))
        for child in psutil.Process().children():
            if str(fifo) in child.cmdline():
                child.kill()

    killer = threading.Thread(target=kill_it)
    killer.start()
    with pytest.raises(OSError, match=r"could not start .*: the launcher ended with status -9"):
        start_detached([sys.executable], log=fifo)
    killer.join()


def test_one_that_heeds_is_not_killed(tmp_path: Path) -> None:
    code = "import signal, sys\ndef bye(*_): print('bye', flush=True); sys.exit()\nsignal.signal(signal.SIGTERM, bye)\n"
    process = start_python(tmp_path, code + SLEEP)
    until(lambda: ups(tmp_path))
    end_group(process, 10)
    assert not is_alive(process)
    assert (tmp_path / "log").read_text() == "up\nbye\n"
    end_group(process, 10)  # once more is no error


@pytest.mark.parametrize("leader", [SLEEP, DEAF + SLEEP], ids=["heeds", "deaf"])
def test_the_whole_group_ends_whoever_does_not_heed(tmp_path: Path, leader: str) -> None:
    process = start_python(tmp_path, WITH_CHILD + leader, DEAF + SLEEP)
    until(lambda: ups(tmp_path) == 2)
    (child,) = psutil.Process(process.pid).children()
    child_id = process_of(child.pid)
    assert child_id is not None
    began = time.monotonic()
    end_group(process, 0.3)
    assert time.monotonic() - began >= 0.3  # it was asked first
    assert not is_alive(process)
    assert not is_alive(child_id)


def test_a_stranger_of_the_same_number_is_left_alone(tmp_path: Path) -> None:
    process = start_python(tmp_path, SLEEP)
    end_group(process.model_copy(update={"started": process.started - 60}), 0.1)
    assert is_alive(process)
    os.killpg(process.pid, signal.SIGKILL)
