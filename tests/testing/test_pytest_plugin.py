from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from acme_project import BY_HAND, HOOKS, SETTINGS, make_project
from memory_kit import GiftedProvider

from ftkit.testing import MemoryProvider, ProviderAttacks, ProviderConformance, abilities_table
from ftkit.testing.table import Capabilities, capabilities

if TYPE_CHECKING:
    from collections.abc import Iterable

pytest_plugins = ["pytester"]

CONFORMANCE = {name for name in dir(ProviderConformance) if name.startswith("test_")}
ATTACKS = {name for name in dir(ProviderAttacks) if name.startswith("test_")}
IDS = {*(f"ftkit::AcmeHooks::{name}" for name in CONFORMANCE)} | {
    *(f"ftkit::AcmeHooksUnderAttack::{name}" for name in ATTACKS)
}


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """An author's project: hooks in its tests folder, and no test."""
    make_project(pytester)
    return pytester


def ids_of(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line and " " not in line]


def collected(project: pytest.Pytester, *args: str) -> list[str]:
    return ids_of(project.runpytest_inprocess("--collect-only", "-q", *args))


def block_of(lines: Iterable[str]) -> list[str]:
    """Returns what is told of the first provider."""
    text = "\n".join(lines)
    found = re.search(r"^=+ ftkit: what was found =+\n(.*?)^=", text, re.MULTILINE | re.DOTALL)
    return re.sub(r"\n {12}", " ", found[1]).splitlines() if found else []


def test_one_line_runs_both_kits_and_tells_what_was_found(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--ftkit", "acme_hooks:AcmeHooks", "--ftkit-table=able.md", "-v")
    assert result.ret == pytest.ExitCode.OK
    ran = dict(re.findall(r"^(ftkit::\S+).* (PASSED|SKIPPED|XFAIL)\b", result.stdout.str(), re.MULTILINE))
    assert set(ran) == IDS
    assert ran["ftkit::AcmeHooksUnderAttack::test_any_order"] == "PASSED"
    assert ran["ftkit::AcmeHooks::test_pause"] == "SKIPPED"
    ended = result.parseoutcomes()
    head, *told = block_of(result.outlines)
    assert head == "acme (AcmeHooks)"
    lines = {line[:12].strip(): line[12:] for line in told}
    assert lines["methods"] == "dpo, supervised"
    assert lines["has"].startswith("Cancels, ListsEvents,")
    assert "Pauses" in lines["has not"].split(", ")
    assert not {*lines["has"].split(", ")} & {*lines["has not"].split(", ")}
    assert lines["checks"] == f"{ended['passed']} passed, {ended['skipped']} skipped, 1 expected to fail"
    assert "  skipped   3: vendor_url() names no server on loopback" in told
    assert not any("has no Pauses" in line for line in told)
    assert lines["expected"] == "test_cancel: Acme cancels at noon only"
    table = (project.path / "able.md").read_text(encoding="utf-8")
    rows = table.splitlines()
    assert rows[0] == "|  | acme |"
    assert {"| method `dpo` | yes |", "| `Cancels` | yes \\* |", "| `Deploys` | yes |", "| `Pauses` | - |"} <= {*rows}
    assert table.endswith("\n- acme, `test_cancel`: Acme cancels at noon only\n")


def test_workers_of_xdist_send_what_they_found(project: pytest.Pytester) -> None:
    arguments = ["--ftkit", "acme_hooks:AcmeHooks", "-k", "cancel or events or pause or identity or storms"]
    alone = project.runpytest_inprocess(*arguments, "--ftkit-table=alone.md")
    both = project.runpytest_subprocess(*arguments, "--ftkit-table=both.md", "-n", "2")
    assert both.ret == alone.ret == pytest.ExitCode.OK
    assert "2 workers" in both.stdout.str()
    assert sorted(block_of(both.outlines)) == sorted(block_of(alone.outlines)) != []
    written = [(project.path / name).read_text(encoding="utf-8") for name in ("alone.md", "both.md")]
    assert written[0] == written[1] != ""


def test_a_class_that_is_named_often_runs_once(project: pytest.Pytester) -> None:
    """And whatever the author calls tests."""
    project.makepyprojecttoml(f'{SETTINGS}ftkit_hooks = ["acme_hooks:AcmeHooks"]\npython_functions = ["check_*"]')
    assert sorted(collected(project)) == sorted(IDS)
    again = ["--ftkit", "acme_hooks:AcmeHooks", "--ftkit", " acme_hooks:AcmeHooks"]
    assert sorted(collected(project, *again)) == sorted(IDS)


def test_the_setting_is_for_whole_runs_and_the_option_for_any(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(f'{SETTINGS}ftkit_hooks = ["acme_hooks:AcmeHooks"]')
    project.path.joinpath("tests/test_mine.py").write_text("def test_mine(): pass", encoding="utf-8")
    mine = "tests/test_mine.py::test_mine"
    assert set(collected(project, "tests")) == {mine, *IDS}
    assert collected(project, "tests/test_mine.py") == [mine]
    assert set(collected(project, mine, "--ftkit", "acme_hooks:AcmeHooks")) == {mine, *IDS}


def test_one_id_runs_again_by_itself(project: pytest.Pytester) -> None:
    one = "ftkit::AcmeHooks::test_events"
    result = project.runpytest_inprocess(one, "--ftkit", "acme_hooks:AcmeHooks", "-v")
    result.assert_outcomes(passed=1)
    assert "collected 1 item" in result.stdout.str()
    assert f"{one} PASSED" in result.stdout.str()
    attacks = collected(project, "ftkit::AcmeHooksUnderAttack", one, "--ftkit", "acme_hooks:AcmeHooks")
    assert set(attacks) == {one, *(each for each in IDS if "UnderAttack" in each)}
    assert collected(project, "--ftkit", "acme_hooks:AcmeHooks", "-k", "test_events_after") == [f"{one}_after"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ftkit::AcmeHooks::test_evens", "--ftkit", "acme_hooks:AcmeHooks"], "not found: *::test_evens; *"),
        (["ftkit::Acme", "--ftkit", "acme_hooks:AcmeHooks"], "not found: ftkit::Acme; there is ftkit::AcmeHooks, *"),
        (["ftkit::AcmeHooks"], "ftkit::AcmeHooks: on what class? Name it: --ftkit MODULE:CLASS"),
        (["--ftkit", "acme_hooks"], "--ftkit acme_hooks: that is no MODULE:CLASS, such as *"),
        (["-o", "ftkit_hooks=acme:"], "ftkit_hooks acme:: that is no MODULE:CLASS, such as *"),
        (["--ftkit", "acme.kit:Acme"], "*: there is no module acme in *tests, nor elsewhere on sys.path"),
        (["--ftkit", "broken:Acme"], "*: broken cannot be imported: * No module named 'acme' (*broken.py:2)"),
        (["--ftkit", "skips:Acme"], "*: skips cannot be imported: Skipped: not here (*skips.py:2)"),
        (["--ftkit", "wrong:Acme"], "*: wrong cannot be imported: SyntaxError: * (*wrong.py:1)"),
        (["--ftkit", "acme_hooks:Acmehooks"], "*: acme_hooks has no Acmehooks; it has * AcmeHooks, *"),
        (["--ftkit", "acme_hooks:API_KEY"], "*: API_KEY must be a subclass of ftkit.testing.ProviderHooks"),
        (["--ftkit", "acme_hooks:Unfinished"], "*: Unfinished must have make_witness, request"),
        (["--ftkit", "acme_hooks:WithInit"], "*: WithInit has an __init__, and pytest makes no tests of *"),
        (["--ftkit", "acme_hooks:Ready"], "*: Ready brings the checks of ProviderConformance already: *"),
        (["--ftkit", "acme_hooks:Stranger"], "*: expected_failures names 'test_tea', which is a check of neither kit"),
        (["--ftkit", "acme_hooks:NoReason"], "*: expected_failures?'test_cancel'? must * give the reason"),
        (["--ftkit", "acme_hooks:Overrides"], "*: Overrides overrides test_cancel: name it in expected_failures, *"),
        (["--ftkit-table", "tests/acme_hooks.py"], "--ftkit-table=tests/acme_hooks.py: name a .md file in a folder *"),
        (["--ftkit-table=nowhere/able.md"], "--ftkit-table=nowhere/able.md: name a .md file in *"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(project: pytest.Pytester, arguments: list[str], told: str) -> None:
    for name, text in (
        ("broken", "\nimport acme"),
        ("wrong", "class"),
        ("skips", "import pytest\npytest.skip('not here')"),
    ):
        (project.path / "tests" / f"{name}.py").write_text(text, encoding="utf-8")
    result = project.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {told}"])
    assert len(result.stderr.str().strip().splitlines()) == 1


def test_failures_stop_the_run_and_come_again_with_lf(project: pytest.Pytester) -> None:
    """Also where a test beside the kit failed: pytest then skips all files that had no failure."""
    hooks = HOOKS.replace(
        "def cancel_job", "def list_checkpoints(self, job_id):\n        raise OSError(5)\n\n    def cancel_job"
    )
    (project.path / "tests/acme_hooks.py").write_text(hooks, encoding="utf-8")
    (project.path / "tests/test_mine.py").write_text("def test_mine(): assert not 1", encoding="utf-8")
    arguments = ["--ftkit", "acme_hooks:AcmeHooks", "-k", "mine or test_checkpoints or test_identity or test_pause_of"]
    result = project.runpytest_inprocess(*arguments)
    result.assert_outcomes(failed=2, passed=1, skipped=1, deselected=len(IDS) - 3)
    assert "  checks    1 passed, 1 failed, 1 skipped" in block_of(result.outlines)
    again = project.runpytest_inprocess("--lf", "--ftkit", "acme_hooks:AcmeHooks")
    assert again.parseoutcomes()["failed"] == 2
    assert "passed" not in again.parseoutcomes()
    first = project.runpytest_inprocess("-x", *arguments)
    first.assert_outcomes(failed=1, deselected=len(IDS) - 3)


def test_a_class_written_by_hand_is_told_of_when_asked(project: pytest.Pytester) -> None:
    (project.path / "tests/test_hand.py").write_text(BY_HAND, encoding="utf-8")
    quiet = project.runpytest_inprocess("-k", "test_identity")
    quiet.assert_outcomes(passed=1, deselected=len(CONFORMANCE) - 1)
    assert "ftkit: what" not in quiet.stdout.str()
    asked = project.runpytest_inprocess("-k", "test_identity", "--ftkit-abilities")
    assert block_of(asked.outlines)[0] == "acme (TestByHand)"
    table = project.runpytest_inprocess("-k", "test_identity", "--ftkit-table")
    assert not block_of(table.outlines)
    assert {"|  | acme |", "| `Cancels` | yes |"} <= {*table.outlines}
    both = project.runpytest_inprocess("-k", "test_identity", "--ftkit", "acme_hooks:AcmeHooks")
    assert block_of(both.outlines)[0] == "acme (TestByHand, AcmeHooks)"


def test_hooks_of_one_name_are_told_apart_by_their_modules(project: pytest.Pytester) -> None:
    (project.path / "tests/other_hooks.py").write_text(HOOKS.replace('"acme"', '"other"'), encoding="utf-8")
    named = ["--ftkit", "acme_hooks:AcmeHooks", "--ftkit", "other_hooks:AcmeHooks", "-k", "test_identity"]
    result = project.runpytest_inprocess(*named, "-v")
    for name in ("acme", "other"):
        result.stdout.fnmatch_lines([f"ftkit::{name}_hooks.AcmeHooks::test_identity PASSED*"])
        assert f"{name} ({name}_hooks.AcmeHooks)" in block_of(result.outlines)


def test_hooks_without_a_provider_are_told_of_too(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--ftkit", "acme_hooks:ShyHooks", "--ftkit-table=t.md", "-k", "test_identity")
    result.assert_outcomes(errors=1, deselected=len(IDS) - 1)
    head, checks = block_of(result.outlines)
    assert head == "ShyHooks: no check came so far as to have a provider"
    assert checks == "  checks    0 passed, 1 failed"
    assert not (project.path / "t.md").exists()
    assert "The kit ran on no provider, so there is no table." in result.outlines


def test_a_check_that_fails_as_it_is_tidied_up_has_failed(project: pytest.Pytester) -> None:
    (project.path / "tests/conftest.py").unlink()  # nor does pytest go into the folder by itself, then
    result = project.runpytest_inprocess("--ftkit", "acme_hooks:LeakyHooks", "-k", "test_identity")
    result.assert_outcomes(passed=1, errors=1, deselected=len(IDS) - 1)
    assert block_of(result.outlines)[-1] == "  checks    0 passed, 1 failed"


def test_a_session_that_asks_for_nothing_loads_nothing(project: pytest.Pytester) -> None:
    """In a process of its own, with all plug-ins found as an installed pytest finds them."""
    project.makepyfile(
        test_loaded="""
        import sys

        import ftkit  # "Module already imported so cannot be rewritten" would be an error

        def test_loaded():
            assert {name for name in sys.modules if name.startswith("ftkit")} == {"ftkit", "ftkit.pytest_plugin"}
            assert not {"pydantic", "hypothesis"} & {*sys.modules}

        def test_no_module_of_ftkit_is_rewritten():
            import ftkit.errors
            assert "Rewrit" not in type(ftkit.errors.__loader__).__name__
        """
    )
    result = project.runpytest_subprocess("-W", "error")
    result.assert_outcomes(passed=2)
    assert "ftkit: what" not in result.stdout.str()


def test_what_was_sent_makes_the_same_table_as_the_providers() -> None:
    providers = [MemoryProvider(name="plain"), GiftedProvider(name="gifted")]
    assert abilities_table(map(capabilities, providers)) == abilities_table(providers)
    doubted = Capabilities("acme", frozenset(), frozenset({"Cancels", "Chats"}), frozenset({"Cancels", "Pauses"}))
    rows = abilities_table([doubted, *providers]).splitlines()
    assert "| `Cancels` | yes \\* | yes | yes |" in rows
    assert "| `Chats` | yes | yes | yes |" in rows
    assert "| `Pauses` | - | - | yes |" in rows


def test_a_provider_that_breaks_the_contract_is_told_as_far_as_it_can_be() -> None:
    class Odd:
        methods = None

        def cancel_job(self, job_id: str) -> None: ...

    assert capabilities(Odd()) == Capabilities("Odd", frozenset(), frozenset({"Cancels"}))  # type: ignore[arg-type]
