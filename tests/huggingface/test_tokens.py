"""Our light tokens against transformers: templates written out, ids, and what is wrong said plainly."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hf_tools import run_python
from templates import CALLING, CHATML, CONVERSATIONS, TEMPLATES, TOOLS, said

from ftkit.errors import ConfigurationError, DatasetError
from ftkit.providers.huggingface.tokens import Tokens

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("hf-reference")
HELLO = said(("user", "Hi"), ("assistant", "Hello"))


def test_conversations_are_written_and_numbered_as_transformers_does(reference: dict[str, Any]) -> None:
    compared = 0
    for name in ("plain", *TEMPLATES):
        tokens = Tokens.load(reference["tokenizers"] / name, name)
        for case, wanted in reference["rendered"][name].items():
            messages, tools = (CALLING, TOOLS) if case == "calling" else (CONVERSATIONS[case], None)
            for mode, expected in wanted.items():
                asking = mode == "asking"
                if "error" in expected:
                    with pytest.raises(DatasetError, match=expected["error"]):
                        tokens.render(messages, tools, generation_prompt=asking)
                    continue
                text = tokens.render(messages, tools, generation_prompt=asking)
                assert text == expected["text"], (name, case, mode)
                assert tokens.ids(text, special=False)[0] == expected["ids"], (name, case, mode)
                compared += 1
    assert compared > 50


def test_a_tool_template_is_used_for_tools_only(reference: dict[str, Any]) -> None:
    tokens = Tokens.load(reference["tokenizers"] / "tools", "m")
    assert "<tool>" in tokens.render(HELLO, TOOLS)
    assert "<tool>" not in tokens.render(HELLO)


@pytest.fixture
def folder(tmp_path: Path, model: Path) -> Path:
    """A copy of the tiny model's tokenizer, to be spoilt."""
    place = tmp_path / "copy"
    place.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(model / name, place / name)
    return place


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_a_limit_that_was_saved_with_the_tokenizer_cuts_nothing(folder: Path) -> None:
    plain = Tokens.load(folder, "m").ids("ten letters", special=False)
    cut = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    pad = {
        "strategy": {"Fixed": 32},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 258,
        "pad_type_id": 0,
        "pad_token": "<pad>",
    }
    edit(folder / "tokenizer.json", truncation=cut, padding=pad)
    assert Tokens.load(folder, "m").ids("ten letters", special=False) == plain


def test_the_end_and_special_tokens_are_found_in_all_their_forms(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", eos_token={"content": "<|im_end|>", "lstrip": False})
    assert Tokens.load(folder, "m").eos == "<|im_end|>"
    (folder / "tokenizer_config.json").write_text("{}")
    tokens = Tokens.load(folder, "m")
    assert not tokens.ends_with_eos("anything")
    with pytest.raises(ConfigurationError, match="'m' has no eos_token"):
        _ = tokens.eos
    (folder / "special_tokens_map.json").write_text('{"eos_token": "<pad>"}')
    assert Tokens.load(folder, "m").eos == "<pad>"


def test_templates_are_found_in_the_configuration_too(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ConfigurationError, match="'m' has no chat template"):
        Tokens.load(folder, "m").render(HELLO)
    edit(folder / "tokenizer_config.json", chat_template=CHATML)
    assert "<|im_start|>user\nHi<|im_end|>" in Tokens.load(folder, "m").render(HELLO)
    named = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "with tools"}]
    edit(folder / "tokenizer_config.json", chat_template=named)
    tokens = Tokens.load(folder, "m")
    assert (tokens.render(HELLO), tokens.render(HELLO, TOOLS)) == ("plain", "with tools")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ raise_exception('no such role') }}", "refuses the conversation: no such role"),
        ("{{ messages[0].nothing.at_all }}", "refuses the conversation"),
        ("{{ messages[7].content + 'x' }}", "refuses the conversation"),
        ("{{ 1 / 0 }}", "refuses the conversation"),
        ("{{ 'x'.index('y') }}", "refuses the conversation"),
        ("{{ messages.append(1) }}", "refuses the conversation"),
        ("{{ ''.__class__.__mro__ }}", "refuses the conversation"),
        ("{% set ns = namespace(__class__=1) %}", "refuses the conversation"),
    ],
)
def test_whatever_a_template_raises_is_one_error_of_ours(folder: Path, template: str, told: str) -> None:
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(DatasetError, match=f"chat template of 'm' {told}"):
        Tokens.load(folder, "m").render(HELLO)


def test_a_template_that_is_none_is_told_as_such(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for message in %}")
    with pytest.raises(ConfigurationError, match="chat template of 'm' is no template"):
        Tokens.load(folder, "m").render(HELLO)


def test_a_tokenizer_that_cannot_be_read_is_told_as_such(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{ not json")
        with pytest.raises(ConfigurationError, match=f"{name} of the model 'm' cannot be read"):
            Tokens.load(folder, "m")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigurationError, match=r"'m' has no tokenizer\.json"):
        Tokens.load(folder, "m")


def test_nothing_of_it_loads_torch(model: Path, tmp_path: Path) -> None:
    script = tmp_path / "light.py"
    script.write_text(
        "import sys\n"
        "from ftkit.providers.huggingface import huggingface\n"
        "from ftkit import Supervised\n"
        f"provider = huggingface(jobs_folder={str(tmp_path / 'jobs')!r})\n"
        "record = {'messages': [{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'bc'}]}\n"
        f"print(list(provider.count_tokens({str(model)!r}, Supervised(), iter([record]))))\n"
        "print([name for name in ('torch', 'transformers', 'trl', 'peft', 'datasets') if name in sys.modules])\n"
    )
    # "bc" and the token that ends it are learnt.
    assert run_python(script).splitlines() == ["[(24, 3)]", "[]"]
