"""A model that answers: conversations in, pieces of text out, several at a time. Knows nothing of HTTP."""
# pyright: basic
# torch and transformers are typed in part only; mypy still checks this file strictly.

from __future__ import annotations

import copy
import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, StoppingCriteriaList
from transformers.utils.logging import disable_progress_bar

from ftkit.errors import ConfigurationError
from ftkit.providers.huggingface.adapters import base_of, is_adapter
from ftkit.providers.huggingface.resolve import is_folder, resolve_model
from ftkit.providers.huggingface.weights import check_adapter, read_numbers_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LOG = logging.getLogger(__name__)

_DEFAULT_MAX_TOKENS = 1024
"""Where neither request nor model sets a limit: a small model that never stops must not hold up all others."""

_GATHER_S = 0.005
"""How long the first of several requests waits for the others that were sent with it."""

_MOST_ROWS = 16
_MOST_BATCH_TOKENS = 32_768
"""Bounds of a batch, padding included: they bound the memory of its key-value cache."""

_SAMPLING_DEFAULTS = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty")
_UNFINISHED = "\N{REPLACEMENT CHARACTER}"


class PromptError(ValueError):
    """The model's chat template does not take this conversation."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to pick tokens. None: as the model's own generation_config.json says."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None


class Piece(NamedTuple):
    """A piece of an answer. The last one has a finish_reason: "stop" or "length"."""

    text: str
    tokens: int
    finish_reason: str | None = None


@dataclass(slots=True)
class Generation:
    """An answer that is wanted.

    Attributes:
        prompt: The tokens to go on from.
        max_tokens: Most tokens in the answer.
        stop: Strings that end it.
        sampling: How to pick tokens.
        deliver: Called from the model's thread with each piece, or with the error that ended it.
        cancelled: Set it, from any thread, when nobody waits for the answer any more.
    """

    prompt: Sequence[int]
    max_tokens: int
    deliver: Callable[[Piece | Exception], None]
    stop: Sequence[str] = ()
    sampling: Sampling = field(default_factory=Sampling)
    cancelled: bool = False


class Text:
    """Tokens to text as they come: no half characters, nothing of a stop string.

    The pieces joined are the text of all tokens: both ways of answering use it, so they cannot differ.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str] = ()) -> None:  # noqa: ANN401 - transformers is untyped
        self._tokenizer = tokenizer
        self._stop = stop
        self._tokens: list[int] = []
        self._start = self._read = 0  # what is decoded anew each time: some tokenizers need what stands before
        self._held = ""
        self.stopped = False

    def add(self, token: int) -> str:
        """Returns the text that is certain now."""
        self._tokens.append(token)
        fresh = self._fresh()
        return "" if fresh.endswith(_UNFINISHED) else self._release(self._advance(fresh))

    def end(self) -> str:
        """Returns what was held back, when no more tokens come."""
        certain = self._release(self._advance(self._fresh()))
        rest, self._held = self._held, ""
        return certain + rest

    def _fresh(self) -> str:
        before = self._decode(self._tokens[self._start : self._read])
        return self._decode(self._tokens[self._start :])[len(before) :]

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _advance(self, fresh: str) -> str:
        if fresh:
            self._start, self._read = self._read, len(self._tokens)
        return fresh

    def _release(self, fresh: str) -> str:
        text = self._held + fresh
        ends = [at for word in self._stop if (at := text.find(word)) >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return text[: min(ends)]
        # The end of it may be the beginning of a stop string.
        kept = max((n for word in self._stop for n in range(1, len(word)) if text.endswith(word[:n])), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]


class _Row:
    """One answer of a batch as it grows."""

    def __init__(self, wanted: Generation, tokenizer: Any, ends: frozenset[int]) -> None:  # noqa: ANN401
        self.wanted = wanted
        self._text = Text(tokenizer, wanted.stop)
        self._ends = ends
        self._tokens = 0
        self.done = False

    def add(self, token: int) -> None:
        """Takes the next token, and passes on what it brings."""
        if self.done:
            return  # it waits for the rest of the batch; what comes now is padding
        self._tokens += 1
        text, finish_reason = "", None
        if token in self._ends:
            finish_reason = "stop"
        else:
            text = self._text.add(token)
            if self._text.stopped:
                finish_reason = "stop"
            elif self._tokens >= self.wanted.max_tokens:
                finish_reason = "length"
        if finish_reason and not self._text.stopped:
            text += self._text.end()
            finish_reason = "stop" if self._text.stopped else finish_reason
        self.done = finish_reason is not None or self.wanted.cancelled
        if text or finish_reason:
            self.wanted.deliver(Piece(text, self._tokens, finish_reason))


class _Watch:
    """Sees each step of `generate`: hands the new tokens to their rows, and says which rows are done."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: Any, scores: Any, **_: object) -> Any:  # noqa: ANN401, ARG002 - transformers' own
        for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
            row.add(token)
        return torch.tensor([row.done for row in self._rows], dtype=torch.bool, device=input_ids.device)


class ChatModel:
    """A loaded model with its tokenizer. `prompt` may be called from any thread, `generate` from one at a time."""

    def __init__(self, model: Any, tokenizer: Any) -> None:  # noqa: ANN401 - transformers is untyped
        self._model = model
        self._tokenizer = tokenizer
        self._prompts = threading.Lock()
        # A fast tokenizer may not decode in one thread while it encodes in another.
        self._decoder = copy.deepcopy(tokenizer)
        self._defaults = model.generation_config
        ends = self._defaults.eos_token_id
        self._ends = frozenset(
            token
            for token in (*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id)
            if token is not None
        )
        pad = tokenizer.pad_token_id
        self._pad: int = pad if pad is not None else min(self._ends, default=0)
        # `generate` fills what we leave out from here. What we take over from it, we take over by name (see _config).
        model.generation_config = GenerationConfig()
        sizes = model.config.get_text_config()
        self.context: int | None = getattr(sizes, "max_position_embeddings", None)
        """Most tokens of prompt and answer together; None if the model sets no bound."""
        self.default_max_tokens: int = self._defaults.max_new_tokens or _DEFAULT_MAX_TOKENS

    def prompt(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> list[int]:
        """Returns the tokens of a conversation, up to where the answer begins.

        Raises:
            PromptError: The chat template refuses it.
        """
        try:
            with self._prompts:
                encoded = self._tokenizer.apply_chat_template(
                    list(messages),
                    tools=list(tools) if tools else None,
                    add_generation_prompt=True,
                    tokenize=True,
                    return_dict=True,
                )
        except (TemplateError, TypeError) as error:  # TypeError: a template adds to a content that is null
            message = f"the model's chat template does not take these messages: {error}"
            raise PromptError(message) from error
        tokens: list[int] = encoded["input_ids"]
        return tokens

    def is_greedy(self, sampling: Sampling) -> bool:
        """Whether the likeliest token is picked every time."""
        if sampling.temperature is None and sampling.top_p is None:
            return not self._defaults.do_sample
        return sampling.temperature == 0

    def generate(self, batch: Sequence[Generation]) -> None:
        """Answers all of a batch. More than one: greedy ones only, so that none has a say in another's draw."""
        rows = [_Row(wanted, self._decoder, self._ends) for wanted in batch]
        width = max(len(wanted.prompt) for wanted in batch)
        ids = torch.full((len(batch), width), self._pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for n, wanted in enumerate(batch):  # padded on the left: the answers begin in the same column
            ids[n, width - len(wanted.prompt) :] = torch.tensor(wanted.prompt, dtype=torch.long)
            mask[n, width - len(wanted.prompt) :] = 1
        sampling = batch[0].sampling
        if not self.is_greedy(sampling):
            torch.seed() if sampling.seed is None else torch.manual_seed(sampling.seed)
        self._model.generate(  # without gradients, by itself
            input_ids=ids.to(self._model.device),
            attention_mask=mask.to(self._model.device),
            generation_config=self._config(sampling, max(wanted.max_tokens for wanted in batch)),
            stopping_criteria=StoppingCriteriaList([_Watch(rows)]),
        )
        if not all(row.done for row in rows):  # else somebody would wait for ever
            message = "generate ended before every answer had"
            raise RuntimeError(message)

    def _config(self, sampling: Sampling, max_tokens: int) -> Any:  # noqa: ANN401 - transformers is untyped
        values: dict[str, Any] = {
            "max_new_tokens": max_tokens,
            "eos_token_id": sorted(self._ends) or None,
            "pad_token_id": self._pad,
            "do_sample": not self.is_greedy(sampling),
        }
        if values["do_sample"]:
            values |= {name: getattr(self._defaults, name) for name in _SAMPLING_DEFAULTS}
            values["top_k"] = values["top_k"] or 0  # None would mean 50
            asked = {"temperature": sampling.temperature, "top_p": sampling.top_p}
            values |= {name: value for name, value in asked.items() if value is not None}
        return GenerationConfig(**values)


class Batches:
    """Those who wait for a model. Greedy requests that wait together are answered together.

    Args:
        model: The model; from now on only `run` generates with it.
    """

    def __init__(self, model: ChatModel) -> None:
        self.model = model
        self._waiting: deque[Generation] = deque()
        self._changed = threading.Condition()

    def submit(self, wanted: Generation) -> None:
        """Lines up; returns at once."""
        with self._changed:
            self._waiting.append(wanted)
            self._changed.notify()

    def run(self) -> None:
        """Answers for ever."""
        while True:
            self.run_once()

    def run_once(self) -> None:
        """Answers the next batch, once there is one."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
        time.sleep(_GATHER_S)
        batch = self._take()
        if not batch:
            return  # all were cancelled meanwhile
        try:
            self.model.generate(batch)
        except Exception as error:  # noqa: BLE001 - such as out of memory; the next batch is to be answered
            _LOG.exception("a batch of %d failed", len(batch))
            for wanted in batch:
                wanted.deliver(error)

    def _take(self) -> list[Generation]:
        with self._changed:
            waiting = [wanted for wanted in self._waiting if not wanted.cancelled]
            batch = waiting[:1]
            if batch and self.model.is_greedy(batch[0].sampling):
                for wanted in waiting[1:]:
                    if self.model.is_greedy(wanted.sampling) and _fits([*batch, wanted], self.model.context):
                        batch.append(wanted)
            taken = {id(wanted) for wanted in batch}
            self._waiting = deque(wanted for wanted in waiting if id(wanted) not in taken)
            return batch


def _fits(batch: Sequence[Generation], context: int | None) -> bool:
    # A row that is done goes on with padding until the last one is: not beyond the positions that the model has.
    width = max(len(wanted.prompt) for wanted in batch) + max(wanted.max_tokens for wanted in batch)
    in_context = context is None or width <= context
    return in_context and len(batch) <= _MOST_ROWS and len(batch) * width <= _MOST_BATCH_TOKENS


def load(model: str, threads: int | None = None) -> ChatModel:
    """Loads a model: in bfloat16 on the GPU where there is one, else in float32.

    Args:
        model: `ftkit/small`, a folder (of a model, or of an adapter alone), or a name on the Hub.
        threads: Threads to compute with on the CPU.

    Raises:
        ConfigurationError: It has no chat template, or its folder does not hold all of its weights as safetensors.
        NotFoundError: There is no such model.
        ProviderUnavailableError: The Hub cannot be reached.
        OSError: Its files cannot be read.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    disable_progress_bar()  # what it writes goes to a log file
    read_numbers_only(os.environ)
    adapter = _adapter(model)
    folder = resolve_model(_base_of(adapter) if adapter else model)
    tokenizer = _tokenizer(adapter or folder, folder)
    gpu = torch.cuda.is_available()
    read: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.bfloat16 if gpu else torch.float32,
        use_safetensors=True,  # the other format can run code as it is read
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    loaded, told = read
    if told["missing_keys"]:  # transformers would fill them with random numbers, and only warn
        message = f"the model '{model}' lacks weights: {', '.join(sorted(told['missing_keys'])[:5])}"
        raise ConfigurationError(message, hint="Save the whole model again, or train it again.")
    if adapter:
        from peft import PeftModel

        loaded = PeftModel.from_pretrained(loaded, adapter).merge_and_unload()
    return ChatModel(loaded.eval().to("cuda" if gpu else "cpu"), tokenizer)


def _adapter(model: str) -> Path | None:
    folder = Path(model).expanduser().resolve()
    return folder if is_folder(model) and is_adapter(folder) else None


def _base_of(adapter: Path) -> str:
    check_adapter(adapter)
    base = base_of(adapter)
    if base is None:
        message = f"the adapter in '{adapter}' does not say which model it is for"
        raise ConfigurationError(message, hint="Set base_model_name_or_path in its adapter_config.json.")
    return base


def _tokenizer(folder: Path, base: Path) -> Any:  # noqa: ANN401 - transformers is untyped
    own = (folder / "tokenizer_config.json").exists()
    tokenizer = AutoTokenizer.from_pretrained(folder if own else base, trust_remote_code=False, local_files_only=True)
    if tokenizer.chat_template is None:
        message = f"the model in '{folder}' has no chat template, so it cannot take messages"
        raise ConfigurationError(message, hint="Choose an instruction-tuned model, or add a chat_template.jinja.")
    return tokenizer
