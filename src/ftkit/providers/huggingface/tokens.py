"""Tokens and chat templates without torch, exactly as transformers does it.

`transformers.AutoTokenizer` imports torch, which takes seconds and hundreds of megabytes: too much for counting
tokens in the user's process. What lies below it is light: the `tokenizers` library and a sandboxed jinja template.
A test holds both against transformers.
"""

# pyright: basic
# jinja2 and tokenizers say too little of their types for the strict mode.

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, cast

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.utils
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from ftkit.errors import ConfigurationError, DatasetError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from jinja2.parser import Parser

Span = tuple[int, int]
SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

_REASONING = ("reasoning_content", "thinking", "reasoning")


class Tokens:
    """Turns text and conversations into tokens for one model.

    Args:
        model: Name of the model, for messages.
        backend: The tokenizer.
        template: Its chat template, or several by name; None if it has none.
        special: The texts of its special tokens, by role ("eos_token", ...).
    """

    def __init__(
        self,
        model: str,
        backend: Tokenizer,
        template: str | Mapping[str, str] | None,
        special: Mapping[str, str],
    ) -> None:
        self.model = model
        backend.no_truncation()  # some are saved with a limit of their own, which transformers does not heed either
        backend.no_padding()
        self._backend = backend
        self._template = template
        self._special = dict(special)

    @classmethod
    def load(cls, folder: Path, model: str) -> Tokens:
        """Reads the tokenizer in a model's folder.

        Raises:
            ConfigurationError: The folder holds none that can be read without its own code.
        """
        path = folder / "tokenizer.json"
        if not path.is_file():
            message = f"the model '{model}' has no tokenizer.json"
            hint = "Write one: transformers.AutoTokenizer.from_pretrained(model).save_pretrained(folder)."
            raise ConfigurationError(message, hint=hint)
        config = _table(folder / "tokenizer_config.json", model)
        written = {**_table(folder / "special_tokens_map.json", model), **config}
        special = {name: _text_of(written[name]) for name in SPECIAL if written.get(name)}
        try:
            backend = Tokenizer.from_file(str(path))
        except Exception as error:  # it raises nothing more precise
            raise _unreadable(path, model, error) from error
        return cls(model, backend, _templates(folder, config), special)

    @property
    def eos(self) -> str:
        """The text of the token that ends an answer.

        Raises:
            ConfigurationError: There is none.
        """
        if "eos_token" not in self._special:
            message = f"the tokenizer of '{self.model}' has no eos_token: a model could not learn where to stop"
            raise ConfigurationError(message, hint="Set eos_token in its tokenizer_config.json.")
        return self._special["eos_token"]

    def ends_with_eos(self, text: str) -> bool:
        """Whether a text ends with the token that ends an answer."""
        return "eos_token" in self._special and text.endswith(self._special["eos_token"])

    def begins_with_eos(self, text: str) -> bool:
        """Whether a text begins with the token that ends an answer."""
        return "eos_token" in self._special and text.startswith(self._special["eos_token"])

    def ids(self, text: str, *, special: bool) -> tuple[list[int], list[Span]]:
        """Returns the tokens of a text, and where in the text each stands.

        Args:
            text: The text.
            special: Add what the tokenizer puts around a plain text, such as a token for its beginning.
        """
        encoded = self._backend.encode(text, add_special_tokens=special)
        return encoded.ids, encoded.offsets

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        generation_prompt: bool = False,
    ) -> str:
        """Writes a conversation as the model reads it.

        Raises:
            ConfigurationError: There is no chat template, or it is none.
            DatasetError: It refuses the conversation.
        """
        return self.render_marked(messages, tools, generation_prompt=generation_prompt)[0]

    def render_marked(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        generation_prompt: bool = False,
    ) -> tuple[str, list[Span]]:
        """Writes a conversation, and says what of it the template marks as generated by the model. Errors as above."""
        source = self._chosen_template(has_tools=tools is not None)
        try:
            template = _compiled(source)
        except jinja2.TemplateError as error:
            message = f"the chat template of '{self.model}' is no template: {error}"
            raise ConfigurationError(message, hint="Mend its chat_template.jinja, or take another model.") from error
        tracker = cast("_Generated", template.environment.extensions[_Generated.identifier])
        fields: dict[str, Any] = {
            **self._special,
            "messages": [_plain(message) for message in messages],
            "tools": list(tools) if tools is not None else None,
            "documents": None,
            "add_generation_prompt": generation_prompt,
        }
        try:
            with tracker.tracking() as (blocks, spans):
                for block in template.generate(fields):
                    blocks.append(block)  # one by one: the tracker looks at what is there so far
        except Exception as error:  # it is a stranger's program, and may raise anything
            raise DatasetError(f"the chat template of '{self.model}' refuses the conversation: {error}") from error
        return "".join(blocks), spans

    def _chosen_template(self, *, has_tools: bool) -> str:
        template = self._template
        if template is not None and not isinstance(template, str):
            name = "tool_use" if has_tools and "tool_use" in template else "default"
            template = template.get(name)
        if template is None:
            message = f"the model '{self.model}' has no chat template"
            hint = "Train it on prompt and completion, or on text; or choose the model's 'instruct' or 'chat' variant."
            raise ConfigurationError(message, hint=hint)
        return template


class _Generated(jinja2.ext.Extension):
    """The tag {% generation %}: notes where in the output what the model generates begins and ends."""

    tags = {"generation"}  # noqa: RUF012 - jinja's own name and type

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self._blocks: list[str] | None = None
        self._spans: list[Span] = []
        self._one_at_a_time = threading.Lock()  # a compiled template is shared

    def parse(self, parser: Parser) -> jinja2.nodes.CallBlock:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_mark"), [], [], body, lineno=line)

    @jinja2.pass_eval_context
    def _mark(self, _: jinja2.nodes.EvalContext, caller: Any) -> str:  # noqa: ANN401 - a macro of jinja's
        text: str = caller()
        if self._blocks is not None:
            start = len("".join(self._blocks))
            self._spans.append((start, start + len(text)))
        return text

    @contextmanager
    def tracking(self) -> Generator[tuple[list[str], list[Span]]]:
        with self._one_at_a_time:
            self._blocks, self._spans = [], []
            try:
                yield self._blocks, self._spans
            finally:
                self._blocks = None


class _Dict:
    """All that a template may do with `dict`: it comes from the Hub, and is nobody we know."""

    def __call__(self, *args: Any, **fields: Any) -> dict[Any, Any]:
        return dict(*args, **fields)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class _Namespace(jinja2.utils.Namespace):
    """A namespace of which nothing inside can be reached."""

    def __init__(*args: Any, **fields: Any) -> None:
        self, *given = args
        values = dict(*given, **fields)
        for name in values:
            _refuse_private(name)
        jinja2.utils.Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever the template puts there
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        message = f"a chat template cannot store '{name}' in a namespace"
        raise jinja2.exceptions.SecurityError(message)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(
    value: object,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - templates give it by position as well
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002 - likewise
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - the local date, as transformers writes it


@lru_cache(maxsize=8)
def _compiled(template: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generated, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    known: dict[str, Any] = environment.globals
    known |= {"raise_exception": _refuse, "strftime_now": _now, "dict": _Dict(), "namespace": _Namespace}
    return environment.from_string(template)


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message without what is not set, as templates write None out as a word; and reasoning by all its names."""
    plain = {name: value for name, value in message.items() if value is not None}
    reasoning = next((plain[name] for name in _REASONING if name in plain), None)
    return plain if reasoning is None else {"thinking": reasoning, **plain, "reasoning_content": reasoning}


def _table(path: Path, model: str) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise _unreadable(path, model, error) from error


def _unreadable(path: Path, model: str, error: Exception) -> ConfigurationError:
    message = f"the {path.name} of the model '{model}' cannot be read: {error}"
    return ConfigurationError(message, hint=f"See that {path} is whole; fetch or save the model again.")


def _text_of(token: object) -> str:
    return str(cast("dict[str, Any]", token)["content"]) if isinstance(token, dict) else str(token)


def _templates(folder: Path, config: Mapping[str, Any]) -> str | dict[str, str] | None:
    """Finds the template where transformers does: files of their own come before the tokenizer's configuration."""
    found: dict[str, str] = {}
    own = folder / "chat_template.jinja"
    if own.is_file():
        found["default"] = own.read_text(encoding="utf-8")
    for path in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        found[path.stem] = path.read_text(encoding="utf-8")
    if found:
        return found["default"] if list(found) == ["default"] else found
    written: Any = config.get("chat_template")
    if isinstance(written, list):
        return {entry["name"]: entry["template"] for entry in cast("list[dict[str, str]]", written)}
    return cast("str | None", written)
