"""What every Hugging Face provider trains, wherever it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.datasets.rulebook import built_in
from ftkit.errors import ConfigurationError
from ftkit.methods import DPO, Supervised
from ftkit.providers.huggingface.options import LocalOptions
from ftkit.providers.huggingface.plan import longest, positions
from ftkit.providers.huggingface.resolve import resolve_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from huggingface_hub import HfApi
    from pydantic import BaseModel

    from ftkit.methods import Method
    from ftkit.models import DatasetRules

NAME = "huggingface"
"""The provider's name."""


class TunesOpenWeights:
    """Says what is trained, on which data, and counts its tokens."""

    Options: type[BaseModel] = LocalOptions
    methods: frozenset[type[Method]] = frozenset({Supervised, DPO})
    model_roles: Mapping[str, str] = {"small": "ftkit/small"}

    @property
    def _hub_client(self) -> HfApi | None:
        """Who asks the Hub for a tokenizer, if not whoever its own conventions say."""
        return None

    def rules(self, method: Method, model: str) -> DatasetRules:
        """Takes conversations, prompt and completion, or text; for DPO, preferences. Nothing is too long to be cut.

        The longest example is that of the default `max_length`; these rules do not see `provider_options`.
        """
        return built_in(NAME).rules(method, model, max_tokens=longest(LocalOptions(), positions(model)))

    def count_tokens(
        self, model: str, method: Method, records: Iterator[Mapping[str, Any]]
    ) -> Iterator[tuple[int, int]]:
        """Yields (tokens, tokens learnt from) of each record, by the very code that training uses. Loads no torch."""
        from ftkit.providers.huggingface.encode import encode, encode_pair
        from ftkit.providers.huggingface.tokens import Tokens

        tokens = Tokens.load(resolve_tokenizer(model, self._hub_client), model)
        for record in records:
            if isinstance(method, DPO):
                pair = encode_pair(record, tokens)
                yield pair.tokens, pair.learnt
            else:
                try:
                    example = encode(record, tokens)
                except ConfigurationError:  # no answers can be told; train_on="all", which we are not shown, needs none
                    example = encode(record, tokens, "all")
                yield len(example.input_ids), example.learnt
