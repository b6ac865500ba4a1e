"""A file of chat rows, the same on any machine: several languages, one row in a thousand broken in a known way."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VERSION = 1
"""Raised when the bytes change."""
EVERY = 1000
"""One row in so many is broken."""
_TEXTS = (
    "the cake needs flour sugar eggs milk and butter before it goes into the oven until it is golden and then cools",
    "please read the schema below and answer with one query that counts orders by month and customer in that year",
    "der größte Bär läuft über die Straße während schöne Äpfel süß duften und die Glocken leise läuten am Abend",
    "où est la bibliothèque près de l'hôtel demanda-t-elle avant de boire un café crème à côté du théâtre",
    "mañana comeremos más piñas y jamón en la montaña según el señor que vive allí con su perro pequeño",
    "мы читаем книги о машинном обучении и пишем короткие ответы на длинные вопросы каждый вечер дома",  # noqa: RUF001 - Russian
    "我们 今天 用 很多 数据 训练 一个 小 模型 然后 检查 它 的 回答 是否 正确 并且 完整",
    "この モデル は 短い 質問 に 丁寧 な 答え を 返す よう に 訓練 されて います 明日 も",
    "مرحبا كيف حالك اليوم نريد أن ندرب نموذجا صغيرا على بيانات كثيرة ونقيس النتائج بعد ذلك",
    "हम आज एक छोटे मॉडल को बहुत सारे डेटा पर प्रशिक्षित करेंगे और फिर उत्तर जाँचेंगे",
    "오늘 우리는 작은 모델을 많은 데이터로 훈련하고 그 대답이 옳은지 천천히 확인할 것입니다",
    "def add(a, b): return a + b # {'x': [1, 2]} \t <b>bold</b> \\d+ \"quoted\" & so on; SELECT * FROM t;",
)
_ENGLISH = 6
"""How often English is taken, where each other language is taken once."""


def write(path: Path, rows: int) -> dict[int, str]:
    """Writes a file.

    Args:
        path: Where to.
        rows: How many, of about 1 kB each.

    Returns:
        The lines that are broken, each with the code of its problem.
    """
    broken: dict[int, str] = {}
    with path.open("wb") as file:
        for line, (row, code) in enumerate(_rows(rows), start=1):
            file.write(row + b"\n")
            if code is not None:
                broken[line] = code
    return broken


def _rows(count: int) -> Iterator[tuple[bytes, str | None]]:
    chance = random.Random(20261127)  # noqa: S311 - it is to be the same each time
    say = _sentences(chance)
    ways = sorted(_BREAKS)
    place = 0
    for number in range(count):
        if number % EVERY == 0:
            place = chance.randrange(EVERY)
        messages = _conversation(chance, say)
        if number > 0.98 * count:
            messages[-1]["weight"] = 1
        if number % EVERY != place:
            yield _written(messages, escaped=number % 10 == 0), None
            continue
        code = ways[number // EVERY % len(ways)]
        yield _BREAKS[code](messages), code


def _sentences(chance: random.Random) -> Callable[[int], str]:
    words = [text.split() for text in _TEXTS]
    ready = [
        [" ".join(chance.choices(language, k=size)) for _ in range(200)] for language in words for size in (6, 9, 14)
    ]
    languages = ready + ready[:3] * _ENGLISH

    def say(sentences: int) -> str:
        return ". ".join(chance.choices(chance.choice(languages), k=sentences))

    return say


def _conversation(chance: random.Random, say: Callable[[int], str]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": say(2)}]
    for _ in range(2 if chance.random() < 0.2 else 1):  # noqa: PLR2004
        messages.append({"role": "user", "content": say(chance.randint(1, 6))})
        messages.append({"role": "assistant", "content": say(chance.randint(1, 8))})
    return messages


def _written(messages: list[dict[str, Any]], *, escaped: bool = False) -> bytes:
    return json.dumps({"messages": messages}, ensure_ascii=escaped).encode()


def _with(messages: list[dict[str, Any]], place: int, **fields: Any) -> bytes:
    return _written([*messages[:place], {**messages[place], **fields}, *messages[place + 1 :]])


_BREAKS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "bad-json": lambda m: _written(m)[:-30],
    "bad-encoding": lambda m: _written(m)[:-10] + b"\xff" + _written(m)[-10:],
    "bad-content": lambda m: _with(m, 1, content=42),
    "bad-weight": lambda m: _with(m, 2, weight=0.5),
    "duplicate-key": lambda m: _written(m).replace(b'"role": "user"', b'"role": "system", "role": "user"', 1),
    "empty-messages": lambda _: _written([]),
    "missing-content": lambda m: _written([{"role": "user"}, *m[2:]]),
    "unknown-kind": lambda m: json.dumps({"conversation": m}).encode(),
    "missing-role": lambda m: _written([{"content": m[1]["content"]}, *m[2:]]),
    "no-assistant": lambda m: _written(m[:2]),
    "not-an-object": lambda m: json.dumps(m).encode(),
    "unknown-role": lambda m: _with(m, 1, role="human"),
}
"""How a row is broken, by the code of the problem that tells it."""
