"""Tokens counted by ftkit and by a plain loop of tiktoken, on real text, on many languages, and on conversations.

    pip install tiktoken
    pip download litellm --no-deps && unzip -q litellm-*.whl 'litellm/litellm_core_utils/tokenizers/*'
    TIKTOKEN_CACHE_DIR=litellm/litellm_core_utils/tokenizers python benchmarks/token_counting.py

tiktoken fetches its encodings from the network, and cannot everywhere; the wheel of litellm, which is only unpacked
here, has those two in it. The real text is what is on any machine: the sources, manuals and licences of this Python,
and this repository's documentation. Each contender runs three times, each time in a fresh process that knows no text
yet, of which the best counts. What is told is the time of the processor, on one core, since others may work on the same
machine; loading the encoding is not counted. Fails if a count differs, or ftkit is less than 2.5 times as fast on real
text.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sys
import sysconfig
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).parents[1]
ENCODINGS = ("o200k_base", "cl100k_base")
RUNS, SAMPLE, LEAST = 3, 5000, 2.5
MOST_LETTERS, LONGEST = 20_000_000, 4000
Texts = list[str]


def real_texts() -> Texts:
    """Returns paragraphs of what is on any machine, always in the same order."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    files = [*ROOT.glob("docs/**/*.md"), *stdlib.glob("pydoc_data/*.py"), *stdlib.rglob("*.txt"), *stdlib.rglob("*.py")]
    paragraphs = [
        part[:LONGEST]
        for file in dict.fromkeys(sorted(files))
        for part in file.read_text(encoding="utf-8", errors="replace").split("\n\n")
        if part.strip()
    ]
    return shuffled(paragraphs)


def many_languages() -> Texts:
    """Returns made-up sentences of the words of many languages."""
    rows = json.loads((ROOT / "tests/costs/token_samples.json").read_text(encoding="utf-8"))["rows"]
    vocabularies = [text.split() or [text] for text, times, *_ in rows if times == 1 and len(text) > len("Hi")]
    letters = [list(text) for text, times, *_ in rows if times == 1 and " " not in text and len(text) > len("Hi")]
    chance = random.Random(3)  # noqa: S311 - the same texts every time
    texts = [" ".join(chance.choices(chance.choice(vocabularies), k=chance.randrange(5, 80))) for _ in range(30_000)]
    return texts + ["".join(chance.choices(chance.choice(letters), k=chance.randrange(5, 200))) for _ in range(10_000)]


def shuffled(texts: Texts) -> Texts:
    """Returns as many texts as are enough, from all over."""
    random.Random(1).shuffle(texts)  # noqa: S311 - the same order every time
    enough, letters = Texts(), 0
    for text in texts:
        letters += len(text)
        if letters > MOST_LETTERS:
            break
        enough.append(text)
    return enough


def conversations(texts: Texts) -> list[dict[str, Any]]:
    """Returns conversations, all with the same system message, as training files have them."""
    system = {
        "role": "system",
        "content": "You explain code and manuals. " + "Be short, and say where it is from. " * 20,
    }
    pairs = zip(texts[::2], texts[1::2], strict=False)
    return [
        {"messages": [system, {"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}
        for asked, answer in pairs
    ]


def by_tiktoken(encoding: str, texts: Texts) -> Callable[[], list[int]]:
    """The plain loop."""
    import tiktoken

    encode = tiktoken.get_encoding(encoding).encode
    encode("warm")
    return lambda: [len(encode(text, disallowed_special=())) for text in texts]


def by_ftkit(encoding: str, texts: Texts) -> Callable[[], list[int]]:
    """What `ftkit.tokens` makes of each text."""
    from ftkit.tokens import text_counter

    count = text_counter(encoding)
    count("warm")
    return lambda: [count(text) for text in texts]


def chats_by_tiktoken(encoding: str, texts: Texts) -> Callable[[], list[int]]:
    """The loop of OpenAI's cookbook."""
    import tiktoken

    encode, chats = tiktoken.get_encoding(encoding).encode, conversations(texts)

    def of(messages: Iterable[dict[str, str]]) -> int:
        return 3 + sum(3 + sum(len(encode(value, disallowed_special=())) for value in m.values()) for m in messages)

    return lambda: [of(chat["messages"]) for chat in chats]


def chats_by_ftkit(encoding: str, texts: Texts) -> Callable[[], list[int]]:
    """What a check does."""
    from ftkit.tokens import ChatCounter

    counter, chats = ChatCounter(encoding), conversations(texts)
    next(counter.count(chats))
    return lambda: [tokens for tokens, _ in counter.count(chats)]


def timed(make: Callable[[str, Texts], Callable[[], list[int]]], encoding: str, of: str) -> tuple[float, list[int]]:
    """Runs a contender once; returns seconds of the processor, and the counts."""
    run = make(encoding, {"real": real_texts, "languages": many_languages}[of]())
    begun = time.process_time()
    counts = run()
    return time.process_time() - begun, counts


def best(make: Callable[[str, Texts], Callable[[], list[int]]], encoding: str, of: str) -> tuple[float, list[int]]:
    """Runs a contender some times, each in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return min(pool.apply(timed, (make, encoding, of)) for _ in range(RUNS))


def main() -> None:
    """Compares them, and says so in the last line.

    Raises:
        SystemExit: tiktoken or its files are not there, or ftkit is slower than promised, or wrong.
    """
    if find_spec("tiktoken") is None or not os.environ.get("TIKTOKEN_CACHE_DIR"):
        raise SystemExit(f"tiktoken or its files are not here. {__doc__}")
    ratios: dict[str, float] = {}
    for encoding in ENCODINGS:
        for name, of, theirs, ours in (
            ("real text", "real", by_tiktoken, by_ftkit),
            ("many languages", "languages", by_tiktoken, by_ftkit),
            ("conversations", "real", chats_by_tiktoken, chats_by_ftkit),
        ):
            (slow, expected), (fast, counts) = best(theirs, encoding, of), best(ours, encoding, of)
            if counts[:SAMPLE] != expected[:SAMPLE] or sum(counts) != sum(expected):
                raise SystemExit(f"{encoding}, {name}: the counts differ")
            ratios[f"{name}, {encoding}"] = slow / fast
            rate = sum(counts) / 1e6
            print(
                f"{encoding}  {name:<15} {len(counts):>7,} texts, {rate:5.1f}M tokens: tiktoken {slow:5.2f} s "
                f"({rate / slow:4.1f}M/s), ftkit {fast:5.2f} s ({rate / fast:4.1f}M/s), {slow / fast:.1f} times"
            )
    real = min(ratio for name, ratio in ratios.items() if name.startswith("real"))
    most = max(ratios.values())
    print(f"ftkit counts real text {real:.1f} times as fast as a plain tiktoken loop, on one core, with equal counts"
          f" ({min(ratios.values()):.1f} to {most:.1f} times over all texts)")  # fmt: skip
    if real < LEAST:
        sys.exit(f"that is less than {LEAST} times")


if __name__ == "__main__":
    main()
