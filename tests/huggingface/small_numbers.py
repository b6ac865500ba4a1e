"""Numbers of `ftkit/small`: `python small_numbers.py TOKENIZER [MODEL]`, of one never trained by default; as JSON.

`copies` is the share of random tokens that it says again rightly, `loss` that on texts it has not seen, nats a token.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any


def main(tokenizer: Path, trained: Path | None) -> None:
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    from ftkit.providers.huggingface.small import pretraining
    from ftkit.providers.huggingface.small.corpus import documents
    from ftkit.providers.huggingface.small.tokenizer import plain

    torch.manual_seed(1)
    backend: Any = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    model: Any = AutoModelForCausalLM.from_pretrained(trained) if trained else pretraining._new_model(backend)
    once = torch.randint(300, backend.get_vocab_size(), (16, 48))
    twice = torch.cat([once, once], dim=1)
    texts = "".join(plain(document) for document in islice(documents(Random(99)), 200))  # noqa: S311 - the same every time
    unseen = torch.tensor(backend.encode(texts).ids[: 32 * 128]).view(32, 128)
    with torch.no_grad():
        said = model.eval()(input_ids=twice).logits.argmax(-1)
        loss = model(input_ids=unseen, labels=unseen).loss
    # The first token of the second half is foretold by nothing.
    right = (said[:, 48:-1] == twice[:, 49:]).float().mean()
    print(json.dumps({"copies": float(right), "loss": float(loss)}))  # noqa: T201


if __name__ == "__main__":
    main(*(Path(sys.argv[1]), *map(Path, sys.argv[2:]), None)[:2])
