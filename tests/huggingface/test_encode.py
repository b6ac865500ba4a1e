"""Which tokens are learnt: as trl has it where trl can, and as we say where it cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hf_tools import chat
from templates import CALL, CALLING, CHATML, CONVERSATIONS, EOS, MARKED, PAIRS, PROMPTS, TEXTS, THINKING, TOOLS, said

from ftkit.errors import ConfigurationError, DatasetError
from ftkit.providers.huggingface.encode import NOT_LEARNT, Encoded, Pair, encode, encode_pair
from ftkit.providers.huggingface.tokens import Tokens

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("hf-reference")


@pytest.fixture
def tokens(model: Path) -> Tokens:
    return Tokens.load(model, "m")


def with_template(model: Path, template: str) -> Tokens:
    light = Tokens.load(model, "m")
    return Tokens("m", light._backend, template, {"eos_token": EOS, "bos_token": "<|im_start|>"})


def learnt(example: Encoded, tokens: Tokens) -> str:
    return tokens._backend.decode([i for i in example.labels if i != NOT_LEARNT], skip_special_tokens=False)


def text_of(ids: list[int], tokens: Tokens) -> str:
    return tokens._backend.decode(ids, skip_special_tokens=False)


def test_answers_are_learnt_just_as_trl_learns_them(reference: dict[str, Any]) -> None:
    for name in MARKED:
        tokens = Tokens.load(reference["tokenizers"] / name, name)
        for case, messages in CONVERSATIONS.items():
            example, wanted = encode({"messages": messages}, tokens), reference["assistant"][name][case]
            assert example.input_ids == wanted["input_ids"], (name, case)
            assert example.labels == wanted["labels"], (name, case)


def test_without_marks_the_same_answers_are_found(reference: dict[str, Any], tokens: Tokens) -> None:
    # The template of the tiny model writes what CHATML does, and has no {% generation %}.
    for case, messages in CONVERSATIONS.items():
        if case != "answer first":
            assert encode({"messages": messages}, tokens).labels == reference["assistant"]["chatml"][case]["labels"]


def test_completions_texts_and_pairs_are_as_trl_has_them(reference: dict[str, Any]) -> None:
    tokens = Tokens.load(reference["tokenizers"] / "chatml", "m")
    for records, wanted in ((PROMPTS, reference["prompts"]), (TEXTS, reference["texts"])):
        for record, row in zip(records, wanted, strict=True):
            assert encode(record, tokens) == Encoded(row["input_ids"], row.get("labels", row["input_ids"]))
    for record, row in zip(PAIRS, reference["pairs"], strict=True):
        pair = encode_pair(record, tokens)
        assert pair.prompt_ids == row["prompt_ids"]
        # trl learns the white space after the end as well: nothing that is ever generated.
        for mine, theirs in ((pair.chosen_ids, row["chosen_ids"]), (pair.rejected_ids, row["rejected_ids"])):
            assert text_of(mine, tokens) == text_of(theirs, tokens).rstrip("\n")


def test_an_answer_of_weight_0_is_read_and_not_learnt(tokens: Tokens) -> None:
    messages = said(("user", "a"), ("assistant", "bad"), ("user", "b"), ("assistant", "good"))
    messages[1]["weight"], messages[3]["weight"] = 0, 1
    example = encode({"messages": messages}, tokens)
    assert learnt(example, tokens) == "good<|im_end|>"
    assert "bad<|im_end|>" in text_of(example.input_ids, tokens)


def test_an_end_is_learnt_that_the_template_leaves_out_of_its_mark(model: Path) -> None:
    template = CHATML.replace(
        "{{- message.content + '<|im_end|>' }}{% endgeneration %}",
        "{{- message.content }}{% endgeneration %}{{- '<|im_end|>' }}",
    )
    tokens = with_template(model, template)
    assert learnt(encode(chat("a", "b"), tokens), tokens) == "b<|im_end|>"


def test_a_call_without_content_is_learnt(tokens: Tokens, reference: dict[str, Any]) -> None:
    call = {**CALL, "function": {"name": "weather", "arguments": json.dumps(CALL["function"]["arguments"])}}
    asked: list[dict[str, Any]] = [
        CALLING[0],
        {"role": "assistant", "content": None, "tool_calls": [call]},
        *CALLING[2:],
    ]
    record = {"messages": asked, "tools": json.dumps(TOOLS)}
    example = encode(record, tokens)
    assert example == encode({"messages": CALLING, "tools": TOOLS}, tokens)
    assert example.input_ids == reference["rendered"]["plain"]["calling"]["whole"]["ids"]
    assert learnt(example, tokens) == (
        '{"name": "weather", "arguments": {"city": "Zürich <&>"}}<|im_end|>Sunny.<|im_end|>'
    )


def test_arguments_that_are_no_json_are_an_error_of_the_data(tokens: Tokens) -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": "{broken"}}
    record = {"messages": [*said(("user", "a")), {"role": "assistant", "content": None, "tool_calls": [call]}]}
    with pytest.raises(DatasetError, match="arguments of the call of 'f' are no JSON"):
        encode(record, tokens)


def test_parts_of_text_are_joined_and_others_refused(tokens: Tokens) -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    record = {"messages": [{"role": "user", "content": parts}, *said(("assistant", "x"))]}
    assert encode(record, tokens) == encode(chat("one two", "x"), tokens)
    parts.append({"type": "image_url", "text": ""})
    with pytest.raises(DatasetError, match="type 'text'"):
        encode(record, tokens)


def test_an_end_is_learnt_once_whoever_adds_it(model: Path, tokens: Tokens) -> None:
    for answer in (" b", " b<|im_end|>"):
        record = {"prompt": "a", "completion": answer}
        assert learnt(encode(record, tokens), tokens) == " b<|im_end|>"
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    adds = Tokenizer.from_file(str(model / "tokenizer.json"))
    adds.post_processor = TemplateProcessing(single="$A <|im_end|>", special_tokens=[(EOS, 257)])
    eager = Tokens("m", adds, CHATML, {"eos_token": EOS})
    assert encode({"text": "abc"}, eager).input_ids == encode({"text": "abc"}, tokens).input_ids
    pair = encode_pair({"prompt": "a", "chosen": "b", "rejected": "c"}, eager)
    assert (text_of(pair.prompt_ids, eager), text_of(pair.chosen_ids, eager)) == ("a", "b<|im_end|>")


def test_everything_is_learnt_if_asked_for(tokens: Tokens) -> None:
    for record in (chat("a", "b"), PROMPTS[0], TEXTS[0]):
        example = encode(record, tokens, "all")
        assert example.labels == example.input_ids == encode(record, tokens).input_ids


def test_what_cannot_be_told_apart_is_refused_unless_all_is_learnt(model: Path) -> None:
    tokens = with_template(model, THINKING)
    two = {"messages": said(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))}
    with pytest.raises(ConfigurationError, match="cannot be told") as caught:
        encode(two, tokens)
    assert "train_on='all'" in str(caught.value)
    assert encode(two, tokens, "all").learnt > 0
    assert learnt(encode(chat("a", "b"), tokens), tokens) == "<think>\n\n</think>\nb<|im_end|>"


def test_the_half_of_a_letter_belongs_to_the_answer(tokens: Tokens) -> None:
    # A byte vocabulary writes one cookie as four tokens; all of them stand for the same letter.
    example = encode({"prompt": "🍪", "completion": "é🍪"}, tokens)
    assert [label == NOT_LEARNT for label in example.labels] == [True] * 4 + [False] * 7
    pair = encode_pair({"prompt": "🍪", "chosen": "🍪", "rejected": "🍫"}, tokens)
    assert [len(ids) for ids in (pair.prompt_ids, pair.chosen_ids, pair.rejected_ids)] == [4, 5, 5]


def test_pairs_are_read_in_every_form(tokens: Tokens) -> None:
    ask, good, bad = said(("user", "Best?")), said(("assistant", "yes")), said(("assistant", "no"))
    forms = [
        {"prompt": ask, "chosen": good, "rejected": bad},
        {"prompt": ask, "chosen": good[0], "rejected": bad[0]},
        {"prompt": "Best?", "chosen": good, "rejected": bad},
        {"input": {"messages": ask}, "preferred_output": good, "non_preferred_output": bad},
    ]
    pairs = [encode_pair(form, tokens) for form in forms]
    assert all(pair == pairs[0] for pair in pairs)
    assert text_of(pairs[0].chosen_ids, tokens) == "yes<|im_end|>"
    assert text_of(pairs[0].prompt_ids, tokens).endswith("<|im_start|>assistant\n")


def test_a_row_is_cut_at_its_end(tokens: Tokens) -> None:
    example = encode({"prompt": "abc", "completion": "def"}, tokens)
    assert (len(example.cut(5).input_ids), example.cut(5).learnt, example.cut(3).learnt) == (5, 2, 0)
    pair = Pair([1, 2, 3], [4, 5], [6])
    assert (pair.longest, pair.tokens, pair.learnt) == (5, 9, 3)
    assert pair.cut(4) == Pair([1, 2, 3], [4], [6])
    assert pair.cut(2) == Pair([1, 2], [], [])


@pytest.mark.parametrize("record", [{}, {"question": "a"}, {"prompt": "a"}])
def test_a_record_of_no_kind_is_refused(tokens: Tokens, record: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match="cannot be learnt from"):
        encode(record, tokens)
    with pytest.raises(DatasetError, match="states no preference"):
        encode_pair(record, tokens)
