"""`ftkit chat`: one answer, as it comes, or a conversation in a real terminal."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab_provider import ftkit
from talker import CTRL_C, ODD, Person, laid, path_with, trained
from typer.testing import CliRunner

from ftkit import Client
from ftkit.checkup import examine
from ftkit.cli import app
from ftkit.cli._asking import for_terminal
from ftkit.models import ChatReply, RecordKind

if TYPE_CHECKING:
    from ftkit.testing import MemoryVendor


@pytest.fixture
def talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryVendor:
    return laid(tmp_path, monkeypatch)


@pytest.fixture
def tea(talking: MemoryVendor) -> str:
    del talking
    Client("talker").deploy("base", name="tea")
    return "talker:tea"


# -- one answer ----------------------------------------------------------------------------------------------------


def test_an_answer_is_printed_and_options_arrive(tea: str) -> None:
    assert ftkit("chat", tea, "hello") == (0, "1 hello None\n", "")
    assert (
        ftkit("chat", "tea", "hello", "-p", "talker", "--system", "Brief.", "--temperature", 0).output
        == "2 hello 0.0\n"
    )
    assert ftkit("chat", tea, "hello", "--temperature", -1).status == 2


def test_a_message_may_come_from_a_pipe(tea: str) -> None:
    piped = CliRunner().invoke(app, ["chat", tea], input="what\nis this?\n")
    assert (piped.exit_code, piped.stdout) == (0, "1 what\nis this? None\n")
    nothing = CliRunner().invoke(app, ["chat", tea], input=" \n")
    assert (nothing.exit_code, nothing.stdout) == (2, "")
    assert "there is no message" in nothing.stderr
    no_text = CliRunner().invoke(app, ["chat", tea], input=b"\xff\xfe\xfa")
    assert (no_text.exit_code, "is no text" in no_text.stderr) == (2, True)


def test_as_json_it_is_a_reply(tea: str) -> None:
    done = ftkit("chat", tea, "hello", "--json")
    reply = ChatReply.model_validate_json(done.output)
    assert (reply.text, reply.finish_reason, done.errors) == (
        "[base: nothing was trained, this is an echo] hello",
        "stop",
        "",
    )
    missing = ftkit("chat", "talker:coffee", "hello", "--json")
    assert (missing.status, json.loads(missing.errors)["error"]["type"]) == (1, "NotFoundError")


def test_a_provider_that_cannot_stream_answers_at_once() -> None:
    done = ftkit("chat", "memory:base", "hello", "--deploy", "--model")
    assert done == (0, "[base: nothing was trained, this is an echo] hello\n", "")


def test_an_answer_that_breaks_off_is_an_error_after_what_came(tea: str) -> None:
    done = ftkit("chat", tea, "fail")
    assert (done.status, done.output) == (1, "1 \n")
    assert done.errors.startswith("error: talker: too many")


def test_what_is_not_there_is_told_with_the_commands_that_help(tea: str) -> None:
    done = ftkit("chat", tea.replace("tea", "coffee"), "hello")
    assert (done.status, done.output) == (1, "")
    assert "`ftkit deployments talker` lists those there are" in done.errors
    assert "client." not in done.errors


def test_the_words_of_a_model_are_shown_as_they_are_and_steer_no_terminal(
    tea: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ftkit("chat", tea, "odd").output == f"1 {ODD}\n"
    assert for_terminal(ODD) == r"[red]x[/red] \x1b[31mé 日本\u202e"
    assert for_terminal("a\tb\r\nc\u00a0👩\u200d🔬\x9b") == "a\tb\nc\u00a0👩\u200d🔬\\x9b"
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    with pytest.raises(SystemExit) as ended:
        app(["chat", tea, "odd"])
    narrow.flush()
    assert ended.value.code == 0
    assert narrow.buffer.getvalue() == b"1 [red]x[/red] \x1b[31m\\xe9 \\u65e5\\u672c\\u202e\n"


# -- deployed for it alone -----------------------------------------------------------------------------------------


def test_a_job_is_deployed_for_as_long_as_it_lasts(talking: MemoryVendor) -> None:
    job = f"talker:{trained().id}"
    assert ftkit("chat", job, "hello", "--deploy").output == "1 hello None\n"
    assert ftkit("chat", "talker:base", "hello", "--deploy", "--model").output == "1 hello None\n"
    assert ftkit("chat", job, "fail", "--deploy").status == 1
    assert ChatReply.model_validate_json(ftkit("chat", job, "hello", "--deploy", "--json").output).text
    assert (talking.list_deployments(), talking.calls["create_deployment"]) == ([], 4)
    alone = ftkit("chat", job, "hello", "--model")
    assert (alone.status, "Add --deploy." in alone.errors) == (2, True)


def test_what_stood_before_stays(talking: MemoryVendor) -> None:
    job = trained()
    stood = Client("talker").deploy(job)
    assert ftkit("chat", f"talker:{job.id}", "hello", "--deploy").status == 0
    assert [each.name for each in talking.list_deployments()] == [stood.name]


# -- a conversation ------------------------------------------------------------------------------------------------


class Talk(Person):
    """A person who talks with a model that is deployed for that alone, since the other process has its own vendor."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        variables = {**os.environ, "PYTHONPATH": path_with(folder), "TERM": "dumb"}
        command = [sys.executable, "-m", "ftkit", "chat", "talker:base", "--deploy", "--model", *arguments]
        super().__init__(command, variables)
        self.sees("serves base. /help tells what can be done, Ctrl-D ends.")
        self.sees("> ")

    def says(self, line: str, answer: str) -> None:
        self.types(f"{line}\n")
        self.sees(answer)
        self.sees("> ")


posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals on Windows")


@posix
@pytest.mark.usefixtures("talking")
def test_a_conversation_in_a_terminal(tmp_path: Path) -> None:
    person = Talk(tmp_path, "--system", "Brief.")
    person.says("one", "2 one None")
    person.says("two", "4 two None")
    person.says("fail", "error: talker: too many")
    person.says("odd", f"6 {for_terminal(ODD)}")
    person.says("/nothing", "there is no command /nothing")
    person.says("/save said.jsonl", "(added to said.jsonl: 7 messages)")
    person.says("/save no/folder/x", "'no/folder/x' cannot be written: No such file or directory")
    person.types("slow\n")
    person.sees("8 ....")
    person.types(CTRL_C)
    person.sees("(stopped: question and answer are forgotten)")
    person.sees("> ")
    person.says("three", "8 three None")
    person.says("/reset", "(forgotten)")
    person.says("/save said.jsonl", "nothing was said so far")
    person.types("\x1b[A\x1b[A\x1b[A\n")  # the line editor's history: three lines up is "three"
    person.sees("2 three None")
    person.sees("> ")
    person.says("/save said.jsonl", "(added to said.jsonl: 3 messages)")
    person.types("\x04")
    assert (person.status(), "Traceback" in person.shown) == (0, False)
    rows = [json.loads(line)["messages"] for line in Path("said.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [len(row) for row in rows] == [7, 3]
    assert rows[0][0] == {"role": "system", "content": "Brief."}
    assert rows[0][-1] == {"role": "assistant", "content": f"6 {ODD}"}
    report = examine("said.jsonl")
    assert (report.kind, report.errors) == (RecordKind.CHAT, ())


@posix
@pytest.mark.usefixtures("talking")
def test_ctrl_c_twice_ends_and_takes_down_what_was_deployed(tmp_path: Path) -> None:
    person = Talk(tmp_path)
    person.types("slow\n")
    person.sees("1 ...")
    person.types(CTRL_C)
    person.sees("> ")
    person.stops()
    assert (person.status(), "Traceback" in person.shown) == (130, False)
    assert ftkit("history").output == "", "it is forgotten, since it was deleted"


@posix
@pytest.mark.usefixtures("talking")
def test_one_ctrl_c_at_the_prompt_ends_nothing(tmp_path: Path) -> None:
    person = Talk(tmp_path)
    person.types("half a line")
    person.sees("half a line")
    person.stops()
    person.sees("(Ctrl-C once more ends; so do Ctrl-D and /quit)")
    person.sees("> ")
    person.says("one", "1 one None")
    person.stops()
    person.sees("(Ctrl-C once more ends")
    person.sees("> ")
    person.types("/quit\n")
    assert person.status() == 0


@posix
def test_json_in_a_terminal_asks_for_the_message(tea: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ftkit.cli import chatting

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(chatting.typer.Exit) as ended:
        chatting.chat(tea, as_json=True)
    assert ended.value.exit_code == 2


def test_a_file_without_a_last_line_end_is_not_spoilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ftkit.cli._asking import Asking
    from ftkit.cli._conversation import Conversation

    laid(tmp_path, monkeypatch)
    client = Client("talker")
    asking = Asking(client, client.deploy("base"), {})
    Path("said.jsonl").write_text('{"messages": []}')
    lines = iter(["hello", "/save said.jsonl", "/quit"])

    def typed(prompt: str) -> str:
        del prompt
        return next(lines)

    monkeypatch.setattr("builtins.input", typed)
    Conversation(asking, None).run()
    first, second = Path("said.jsonl").read_text(encoding="utf-8").splitlines()
    assert (first, len(json.loads(second)["messages"])) == ('{"messages": []}', 2)
    assert re.fullmatch(r".*\n", Path("said.jsonl").read_text(encoding="utf-8"), re.DOTALL)
