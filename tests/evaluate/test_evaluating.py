"""Evaluations from their rows to their verdict, on a provider that trains nothing and answers by a rule."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from oracle import Oracle, allows, rows, write

from ftkit import Client, ConfigurationError, DatasetError, Estimate, ProviderUnavailableError, RateLimitError
from ftkit.errors import ProviderError
from ftkit.evaluate import (
    Candidate,
    Evaluation,
    ExecutionMatch,
    Finding,
    Question,
    Record,
    compare,
    evaluate,
    exact_match,
    few_shot,
    json_match,
    metric_named,
    questions_of,
    set_f1,
    suited,
)
from ftkit.pricing import known_prices, training_estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ftkit import ChatMessage, FineTuningJob, JobRequest

TESTED = rows(*range(100, 140))
PRICES = """
[[prices]]
provider = "memory"
model = "base"
training = 100
input = 4
output = 4
tuned_input = 5
tuned_output = 5
hosting_hour = 0
source = "ours"
as_of = 2026-11-28
"""


class Priced(Oracle):
    """Knows what a training costs, by the user's own prices."""

    def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
        return training_estimate(request, tokens, prices=known_prices(), provider=self.name)


def gives(value: Any) -> Callable[[str, Question], Any]:
    """Returns a scorer with one score for all."""
    return lambda _answer, _question: value


def divides(answer: str, question: Question) -> float:
    """A scorer that fails."""
    return len(question.wanted) / (len(answer) - len(answer))


def trained(oracle: Oracle, folder: Path) -> tuple[Client, FineTuningJob]:
    client = Client(oracle)
    job = client.fine_tune("base", write(folder / "train.jsonl", rows(*range(20))), wait=False)
    return client, client.wait(job, poll_s=0.01, progress=False)


def known(count: int) -> dict[str, str]:
    """Returns what a base model knows that has so many of the tested answers."""
    return {row["messages"][0]["content"]: row["messages"][1]["content"] for row in TESTED[:count]}


class TestVerdict:
    def test_yes_where_it_is_surely_better(self, tmp_path: Path) -> None:
        client, job = trained(Oracle(known(10)), tmp_path)
        found = evaluate(client, TESTED, job, few_shot=tmp_path / "train.jsonl")
        assert [(each.name, each.scores["exact match"].mean) for each in found.standings] == [
            ("base", 0.25),
            ("few-shot", 0.25),
            ("tuned", 1.0),
        ]
        assert found.verdict is not None
        assert found.verdict.finding is Finding.YES
        assert str(found.verdict).startswith("Did the tuning pay? Yes: tuned scores 1.00 by exact match, base 0.25: a ")
        assert found.verdict.difference.low > 0.5

    def test_no_where_the_training_was_useless(self, tmp_path: Path) -> None:
        client, job = trained(Oracle(known(10), learns=False), tmp_path)
        found = evaluate(client, TESTED, job).verdict
        assert found is not None
        assert (found.finding, found.difference.mean) == (Finding.NO, 0)

    def test_unproven_where_chance_could_do_it(self, tmp_path: Path) -> None:
        client, job = trained(Oracle(known(5)), tmp_path)
        found = evaluate(client, TESTED, job, limit=6).verdict
        assert found is not None
        assert found.finding is Finding.UNPROVEN
        assert found.rows_needed is not None
        assert found.rows_needed > 6
        assert f"About {found.rows_needed} rows would tell." in str(found)
        more = evaluate(client, TESTED, job, limit=40).verdict
        assert more is not None
        assert more.finding is Finding.YES

    @pytest.mark.parametrize(
        ("rows_asked", "base_knows", "finding", "needed"),
        [
            (1, 0, Finding.UNPROVEN, 6),
            (2, 0, Finding.UNPROVEN, 6),
            (5, 5, Finding.UNPROVEN, 6),
            (8, 5, Finding.UNPROVEN, None),
            (6, 0, Finding.YES, None),
            (6, 6, Finding.NO, None),
        ],
    )
    def test_few_rows_prove_little(
        self, rows_asked: int, base_knows: int, finding: Finding, needed: int | None, tmp_path: Path
    ) -> None:
        """Two of two come by chance every second time, three of three every fourth."""
        client, job = trained(Oracle(known(base_knows)), tmp_path)
        found = evaluate(client, TESTED, job, limit=rows_asked).verdict
        assert found is not None
        assert found.finding is finding
        assert needed in {None, found.rows_needed}
        assert f"over {rows_asked} row{'s' * (rows_asked > 1)})" in str(found)

    def test_rows_that_were_trained_on_are_told(self, tmp_path: Path) -> None:
        client, job = trained(Oracle(), tmp_path)
        found = evaluate(client, [*rows(3, 4), *TESTED], job, few_shot=tmp_path / "train.jsonl")
        assert found.seen == 2
        assert "Beware: 2 of the rows stand in the file that was trained on" in found.markdown

    def test_a_gain_can_be_asked_for(self, tmp_path: Path) -> None:
        client, job = trained(Oracle(known(38)), tmp_path)
        asked = evaluate(client, TESTED, job, least_gain=0.1).verdict
        assert asked is not None
        assert asked.finding is Finding.NO
        assert "10 points more are asked for." in str(asked)

    def test_the_best_of_the_others_is_the_rival(self, tmp_path: Path) -> None:
        client, job = trained(Oracle(known(10)), tmp_path)
        models = [Candidate("worse", "other", client), Candidate("twin", job, client), Candidate("tuned", job, client)]
        found = compare(TESTED, models).verdict
        assert found is not None
        assert found.rival == "twin"
        named = compare(TESTED, models, rivals=["worse"]).verdict
        assert named is not None
        assert named.rival == "worse"


class TestAsking:
    def test_several_at_a_time_and_no_more(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        oracle.takes_s = 0.02
        found = evaluate(client, TESTED, job, at_once=3)
        assert oracle.most_at_once == 3
        assert found.at_once == 3
        assert {tuned for tuned, _, _ in oracle.asked[:6]} == {True, False}  # in turn, and not one after the other
        assert found["tuned"].seconds == pytest.approx(0.02, abs=0.02)

    def test_nothing_stands_afterwards(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        evaluate(client, TESTED, job, few_shot=tmp_path / "train.jsonl")
        assert client.list_deployments() == []
        oracle.refuses = lambda _, tuned: ProviderUnavailableError("away", provider="memory") if tuned else None
        with pytest.raises(ProviderUnavailableError, match="away"):
            evaluate(client, TESTED, job)
        assert client.list_deployments() == []

    def test_a_deployment_is_asked_as_it_stands(self, tmp_path: Path) -> None:
        client, job = trained(Oracle(), tmp_path)
        with client.deployed(job) as tuned:
            found = evaluate(client, TESTED, tuned, base="base")
            assert [each.name for each in client.list_deployments()] == [tuned.name]
        assert found["tuned"].scores["exact match"].mean == 1

    def test_how_to_answer_is_passed_on(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        evaluate(client, TESTED, job, limit=1, max_tokens=7)
        assert {(options.temperature, options.max_tokens) for _, _, options in oracle.asked} == {(0.0, 7)}
        evaluate(client, TESTED, job, limit=1, temperature=None)
        assert oracle.asked[-1][2].temperature is None

    def test_what_was_turned_away_is_sent_again(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        turned: list[str] = []

        def once_each(messages: Sequence[ChatMessage], tuned: bool) -> Exception | None:  # noqa: FBT001
            mark = f"{messages[-1].content} {tuned}"
            if mark in turned:
                return None
            turned.append(mark)
            return RateLimitError("slowly", provider="memory", retry_after_s=0.01)

        oracle.refuses = once_each
        found = evaluate(client, TESTED, job, limit=3)
        assert (len(turned), len(oracle.asked)) == (6, 12)
        assert found["tuned"].unanswered == 0

    def test_a_refused_question_is_wrong_and_told(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        too_long = ProviderError("the prompt is too long", provider="memory", status_code=400)
        oracle.refuses = lambda messages, tuned: too_long if tuned and "109" in str(messages[-1].content) else None
        found = evaluate(client, TESTED, job)
        assert (found["tuned"].unanswered, found["tuned"].scores["exact match"].mean) == (1, 39 / 40)
        assert "tuned: 1 of 40 were refused, and count as wrong: " in str(found)
        assert "the prompt is too long" in str(found)
        assert found.rows[9].answers == {"base": "no idea", "tuned": None}

    def test_who_answers_nothing_is_no_rival(self, tmp_path: Path) -> None:
        oracle = Oracle(known(10))
        client, job = trained(oracle, tmp_path)
        too_long = ProviderError("the prompt is too long", provider="memory", status_code=400)
        oracle.refuses = lambda messages, _: too_long if len(messages) > 1 else None
        found = evaluate(client, TESTED, job, few_shot=tmp_path / "train.jsonl")
        assert found["few-shot"].unanswered == 40
        assert found.verdict is not None
        assert found.verdict.rival == "base"
        oracle.refuses = lambda _, tuned: too_long if tuned else None
        assert evaluate(client, TESTED, job).verdict is None


class TestRecord:
    def test_what_was_answered_is_not_asked_again(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        path = tmp_path / "answers.jsonl"
        oracle.refuses = lambda messages, _: (
            ProviderUnavailableError("cut", provider="memory") if "130" in str(messages[-1].content) else None
        )
        with pytest.raises(ProviderUnavailableError) as raised:
            evaluate(client, TESTED, job, at_once=1, record=path)
        assert f"60 answers so far are kept in '{path}'" in raised.value.__notes__[0]
        asked = len(oracle.asked)
        oracle.refuses = allows
        first = evaluate(client, TESTED, job, record=path)
        assert len(oracle.asked) - asked == 20
        assert evaluate(client, TESTED, job, record=path) == first
        assert len(oracle.asked) - asked == 20
        assert path.stat().st_mode & 0o777 == 0o600

    def test_a_line_that_was_not_finished_is_asked_again(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        path = tmp_path / "answers.jsonl"
        evaluate(client, TESTED, job, limit=2, record=path)
        path.write_bytes(path.read_bytes()[:-20])
        assert len(Record(path)) == 3
        evaluate(client, TESTED, job, limit=2, record=path)
        assert len(oracle.asked) == 5
        assert len(path.read_text().splitlines()) == 4

    def test_another_file_is_left_alone(self, tmp_path: Path) -> None:
        other = write(tmp_path / "train.jsonl", rows(1, 2))
        before = other.read_bytes()
        with pytest.raises(ConfigurationError, match=r"train.jsonl', line 1: it is no answer"):
            Record(other)
        assert other.read_bytes() == before
        with pytest.raises(ConfigurationError, match="cannot be kept in"):
            Record(tmp_path / "nowhere" / "answers.jsonl")

    def test_who_is_gone_answers_from_the_record(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        path = tmp_path / "answers.jsonl"
        compare(TESTED[:5], [Candidate("old", job, client)], record=path, max_tokens=9)
        asked = len(oracle.asked)
        found = compare(TESTED[:5], [Candidate("old", job)], record=path)  # with other options, even
        assert found["old"].scores["exact match"].mean == 1
        assert len(oracle.asked) == asked
        with pytest.raises(ConfigurationError, match="1 answer of 'old' are not recorded"):
            compare(TESTED[:6], [Candidate("old", job)], record=path)

    def test_two_programs_with_one_file_ask_once(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        oracle.takes_s = 0.02
        records = [Record(tmp_path / "answers.jsonl") for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            found = [*pool.map(lambda record: evaluate(client, TESTED, job, limit=10, record=record), records)]
        assert found[0] == found[1]
        assert len(oracle.asked) == 20


class TestFewShot:
    def test_examples_stand_before_the_question(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        evaluate(client, TESTED, job, few_shot=tmp_path / "train.jsonl", shots=2, limit=1)
        longest = max((messages for _, messages, _ in oracle.asked), key=len)
        assert [each.role for each in longest] == ["user", "assistant", "user", "assistant", "user"]
        assert longest[-1].content == "After 100?"
        assert few_shot(tmp_path / "train.jsonl", 2) == few_shot(tmp_path / "train.jsonl", 2)

    @pytest.mark.parametrize(
        ("systems", "roles", "first"),
        [
            (("S", "S"), ["system", "user", "assistant", "user"], "S"),
            (("A", "B"), ["user", "assistant", "user"], "A\n\nAfter 1?"),
            ((None, "B"), ["user", "assistant", "user"], "After 1?"),
        ],
    )
    def test_a_system_message_stands_once(
        self, tmp_path: Path, systems: tuple[str | None, str | None], roles: list[str], first: str
    ) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        example, asked = (
            [*([{"role": "system", "content": system}] if system else []), *rows(n)[0]["messages"]]
            for n, system in enumerate(systems, 1)
        )
        evaluate(client, [asked], job, few_shot=[example], shots=1)
        longest = max((messages for _, messages, _ in oracle.asked), key=len)
        assert ([each.role for each in longest], longest[0].content) == (roles, first)

    def test_more_examples_than_rows(self) -> None:
        with pytest.raises(ConfigurationError, match="shots is how many of the 2 rows"):
            few_shot(rows(1, 2), 3)


class TestQuestions:
    def test_any_kind_of_record(self) -> None:
        found = questions_of(
            [
                {"prompt": "a", "completion": "b"},
                {
                    "prompt": [{"role": "user", "content": "c"}],
                    "chosen": [{"role": "assistant", "content": "d"}],
                    "rejected": [{"role": "assistant", "content": "e"}],
                },
                rows(1)[0]["messages"],
            ]
        )
        assert [(each.messages[-1].content, each.wanted, each.line) for each in found] == [
            ("a", "b", 1),
            ("c", "d", 2),
            ("After 1?", "2", 3),
        ]

    def test_all_that_is_wrong_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "test.jsonl"
        lines = [
            *map(json.dumps, rows(1)),
            "{",
            json.dumps({"messages": [{"role": "user", "content": "x"}]}),
            '{"text": "y"}',
        ]
        path.write_text("\n".join(lines))
        with pytest.raises(DatasetError, match="3 of the rows cannot be asked") as raised:
            questions_of(path)
        assert [each.line for each in raised.value.problems] == [2, 3, 4]
        assert {each.source for each in raised.value.problems} == {str(path)}
        assert "its last message is of the role 'user'" in raised.value.problems[1].message

    @pytest.mark.parametrize(("given", "word"), [([], "there is no row"), ([5], "it is int, and no record")])
    def test_nothing_to_ask(self, given: list[Any], word: str) -> None:
        with pytest.raises(DatasetError, match=word):
            questions_of(given)


class TestMetrics:
    def test_several_and_the_first_decides(self, tmp_path: Path) -> None:
        client, job = trained(Oracle(known(10)), tmp_path)

        def is_short(answer: str, question: Question) -> bool:
            return len(answer) <= len(question.wanted)

        found = evaluate(client, TESTED, job, metric=[is_short, exact_match])
        assert [*found["base"].scores] == ["is short", "exact match"]
        assert found.verdict is not None
        assert found.verdict.metric == "is short"

    @pytest.mark.parametrize(
        ("metric", "word"),
        [
            (gives(7), "gives 7 for line 1"),
            (gives(float("nan")), "gives nan for line 1"),
            (gives(None), "gives None for line 1"),
            (divides, "fails on line 1: ZeroDivisionError"),
            ([], "metric is a function"),
            (5, "metric is a function"),
            ([exact_match, exact_match], "two metrics have one name"),
        ],
    )
    def test_one_that_is_none(self, tmp_path: Path, metric: Any, word: str) -> None:
        client, job = trained(Oracle(), tmp_path)
        with pytest.raises(ConfigurationError, match=word):
            evaluate(client, TESTED, job, metric=metric, limit=2)

    def test_one_that_fails_ends_it_at_once(self, tmp_path: Path) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        with pytest.raises(ConfigurationError, match="fails on line") as raised:
            evaluate(client, TESTED, job, metric=divides, at_once=2, record=tmp_path / "answers.jsonl")
        assert len(oracle.asked) <= 4
        assert "so far are kept in" in raised.value.__notes__[0]

    @pytest.mark.parametrize(
        ("wanted", "metric"),
        [
            ('["a", "b"]', set_f1),
            ("[1, 2]", json_match),
            ('{"a": 1}', json_match),
            ("5", exact_match),
            ("x", exact_match),
        ],
    )
    def test_the_one_that_suits(self, wanted: str, metric: Callable[..., float]) -> None:
        assert suited(questions_of([{"prompt": "a", "completion": wanted}])) is metric

    def test_queries_are_run(self) -> None:
        asked = "CREATE TABLE singer (name TEXT)\nAll names?"
        assert isinstance(
            suited(questions_of([{"prompt": asked, "completion": "SELECT name FROM singer"}])), ExecutionMatch
        )
        assert suited(questions_of([{"prompt": asked, "completion": "none"}])) is exact_match

    def test_by_name(self) -> None:
        assert metric_named("json") is json_match
        with pytest.raises(ConfigurationError, match="there is no metric 'jsn'"):
            metric_named("jsn")


class TestArguments:
    @pytest.mark.parametrize(
        ("given", "word"),
        [
            ({"confidence": 95}, "confidence lies between 0 and 1"),
            ({"at_once": 0}, "at_once is how many"),
            ({"least_gain": 5}, "least_gain is a share"),
            ({"limit": 0}, "limit is the most rows"),
        ],
    )
    def test_wrong_ones_cost_nothing(self, tmp_path: Path, given: dict[str, Any], word: str) -> None:
        oracle = Oracle()
        client, job = trained(oracle, tmp_path)
        with pytest.raises(ConfigurationError, match=word):
            evaluate(client, TESTED, job, **given)
        assert not oracle.asked

    def test_no_base_is_known(self, tmp_path: Path) -> None:
        client, _ = trained(Oracle(), tmp_path)
        with pytest.raises(ConfigurationError, match="which base model was tuned"):
            evaluate(client, TESTED, "base:tuned")


class TestTelling:
    @pytest.fixture
    def found(self, tmp_path: Path) -> Evaluation:
        client, job = trained(Oracle(known(10)), tmp_path)
        hostile = rows(1)[0]["messages"]
        hostile[-1] = {"role": "assistant", "content": "<script>|`x`</script>"}
        return evaluate(client, [*TESTED, hostile], job)

    def test_it_round_trips(self, found: Evaluation) -> None:
        assert Evaluation.model_validate_json(found.model_dump_json()) == found

    def test_as_text(self, found: Evaluation) -> None:
        head, base, tuned, *_ = str(found).splitlines()
        assert head.split() == ["exact", "match", "tokens", "in", "tokens", "out", "seconds", "p95", "seconds"]
        assert base.startswith("base   0.24 (0.14 to 0.39)  10         3 ")
        assert tuned.startswith("tuned  0.98 (0.87 to 1.00)")
        assert "41 rows; scores with 95% intervals" in str(found)

    def test_as_markdown_and_html(self, found: Evaluation, tmp_path: Path) -> None:
        assert found.markdown.startswith("|  | exact match | tokens in")
        assert "Did the tuning pay? Yes" in found.markdown
        assert "<script>" not in found.html
        assert "yes" in found.html
        for ending in ("md", "html", "json"):
            found.save(tmp_path / f"found.{ending}")
        assert Evaluation.model_validate_json((tmp_path / "found.json").read_text()) == found
        assert (tmp_path / "found.html").read_text().startswith("<!doctype html>")
        with pytest.raises(ConfigurationError, match="has none of the endings"):
            found.save(tmp_path / "found.txt")

    def test_what_it_costs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "prices.toml").write_text(PRICES)
        monkeypatch.setenv("FTKIT_CONFIG_FOLDER", str(tmp_path))
        client, job = trained(Priced(known(10)), tmp_path)
        job = job.model_copy(update={"trained_tokens": 1_000_000})
        found = evaluate(client, TESTED, job, few_shot=tmp_path / "train.jsonl")
        assert found.break_even is not None
        # a call: 70 tokens in and 3 out at 4 a million, against 10 and 3 at 5
        assert found.break_even.calls == round(100 / ((73 * 4 - 13 * 5) / 1e6) + 0.5)
        assert "What it costs: it pays after" in str(found)
