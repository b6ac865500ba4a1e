"""What is noticed of rows one by one, or counted over all of them. None of it keeps more than a few lines in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ftkit.datasets._personal import is_worth_looking, personal
from ftkit.datasets._values import excerpt
from ftkit.models import Problem, RecordKind, Severity, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ftkit.datasets._said import Said

_MOST_KEPT = 999  # a thousand of a sort are kept of a whole check: these, and how many more there are


class Look(Protocol):
    """Looks at every good record for one thing."""

    def see(self, line: int, said: Said) -> Iterable[Problem]:
        """Takes one record, and returns what is to be said of it at once."""
        ...

    def end(self) -> Iterable[Problem]:
        """Returns what can be said only of the whole."""
        ...


class Alone:
    """What looks at rows one by one: several processes can share the work. This one keeps nothing between rows."""

    def told(self) -> dict[str, Any]:
        """Has nothing to tell."""
        return {}

    def take(self, told: Mapping[str, Any], lines: int) -> None:
        """Has nothing to take."""

    def end(self) -> Iterable[Problem]:
        """Has nothing to add."""
        return ()


def warning(code: str, message: str, fix: str, **where: object) -> Problem:
    """Returns a warning."""
    return Problem.model_validate({"severity": Severity.WARNING, "code": code, "message": message, "fix": fix, **where})


class PersonalData(Alone):
    """E-mail addresses, keys, and numbers that are a person's."""

    def see(self, line: int, said: Said) -> Iterator[Problem]:
        """Looks into all texts of a record; of each sort, the first is told."""
        del line
        if not is_worth_looking(said.raw):
            return
        told: set[str] = set()
        for place, text in said.texts():
            for found in personal(text):
                if found.what not in told:
                    told.add(found.what)
                    message = f"the text seems to hold {found.what}, and a model may repeat what it learnt."
                    fix = "Take it out, or put another in its place."
                    yield warning("personal-data", message, fix, field=place, excerpt=found.shown)


class ShortAnswers(Alone):
    """Answers of a letter or two, where most are longer: what was cut off, or left for later."""

    MOST = 2
    """Letters of a very short answer."""
    SHARE = 0.1
    """If more than a tenth of all answers are so short, that is what they are meant to be."""

    def __init__(self) -> None:
        self._rows = self._short = 0
        self._kept: list[Problem] = []

    def see(self, line: int, said: Said) -> Iterable[Problem]:
        """Looks at the last answer."""
        if said.answer is None:
            return ()
        field, index, text = said.answer
        self._rows += 1
        if len(text) > 2 * self.MOST + 8:  # a quick no to nearly all
            return ()
        place = field if index is None else f"{field}[{index}].content"
        bare = text.strip()
        if 0 < len(bare) <= self.MOST:  # one that is empty is told by the rules
            self._short += 1
            if len(self._kept) < _MOST_KEPT:
                message = f"the answer is {counted(len(bare), 'letter')} long, and most are longer."
                fix = "Look whether it is whole."
                self._kept.append(warning("short-answer", message, fix, line=line, field=place, excerpt=excerpt(bare)))
        return ()

    def told(self) -> dict[str, Any]:
        """Returns what was counted, and the answers."""
        kept = [problem.model_dump(mode="json", exclude_defaults=True) for problem in self._kept]
        return {"rows": self._rows, "short": self._short, "kept": kept}

    def take(self, told: Mapping[str, Any], lines: int) -> None:
        """Takes what another process counted in the lines that follow so many."""
        self._rows += told["rows"]
        self._short += told["short"]
        for each in told["kept"][: _MOST_KEPT - len(self._kept)]:
            self._kept.append(Problem.model_validate({**each, "line": each["line"] + lines}))

    def end(self) -> Iterator[Problem]:
        """Tells them if they are few."""
        if self._short > self.SHARE * self._rows:
            return
        yield from self._kept
        rest = self._short - len(self._kept)
        if rest:
            yield warning("short-answer", f"and {rest:,} more like these: short-answer.", "", count=rest)


class Roles(Alone):
    """Who speaks how much: system messages in some rows only, questions without answers, and little to learn."""

    FEW = 0.02
    """The share below which it is worth saying that little is learnt from."""
    _COUNTS = ("_rows", "_with_system", "_asked", "_answered", "_letters", "_learnt", "_is_chat")

    def __init__(self) -> None:
        self._rows = self._with_system = self._asked = self._answered = 0
        self._letters = self._learnt = 0
        self._first: tuple[int, bool] | None = None
        self._odd: tuple[int, bool] | None = None
        self._is_chat = False

    def see(self, line: int, said: Said) -> Iterable[Problem]:
        """Counts the messages of a conversation."""
        messages = said.messages
        if not messages:
            return ()
        self._rows += 1
        has_system = False
        for message in messages:
            role, content = message.get("role"), message.get("content")
            length = len(content) if isinstance(content, str) else 0
            self._letters += length
            if role == "assistant":
                self._answered += 1
                self._learnt += length if message.get("weight") != 0 else 0
            elif role == "user":
                self._asked += 1
            elif role in {"system", "developer"}:
                has_system = True
        self._with_system += has_system
        if self._first is None:
            self._first = (line, has_system)
        elif has_system is not self._first[1] and self._odd is None:
            self._odd = (line, has_system)
        self._is_chat |= said.kind is RecordKind.CHAT
        return ()

    def told(self) -> dict[str, Any]:
        """Returns what was counted, and the first rows with and without a system message."""
        return {"counts": {name: getattr(self, name) for name in self._COUNTS}, "first": self._first, "odd": self._odd}

    def take(self, told: Mapping[str, Any], lines: int) -> None:
        """Takes what another process counted in the lines that follow so many."""
        for name in self._COUNTS:
            setattr(self, name, getattr(self, name) + told["counts"][name])
        for line, has in filter(None, (told["first"], told["odd"])):
            if self._first is None:
                self._first = (line + lines, has)
            elif has is not self._first[1] and self._odd is None:
                self._odd = (line + lines, has)

    def end(self) -> Iterator[Problem]:
        """Tells what is out of balance."""
        if not self._rows:
            return
        without = self._rows - self._with_system
        if self._odd is not None:
            line, has = self._odd
            message = (
                f"{self._with_system:,} of {self._rows:,} rows have a system message, and {without:,} not; "
                f"line {line} is the first {'with' if has else 'without'} one."
            )
            fix = "Train with the system message that the model will be asked with, in all rows or in none."
            yield warning("role-imbalance", message, fix, count=min(without, self._with_system))
        if not self._is_chat:
            return
        if self._answered * 2 < self._asked:
            message = f"there are {self._asked:,} messages of users, and {self._answered:,} answers to them."
            yield warning("role-imbalance", message, "Look whether answers are missing.")
        if self._learnt < self.FEW * self._letters:
            share = self._learnt / self._letters
            message = f"{share:.1%} of all letters are learnt from: the rest are prompts, which are paid for as well."
            yield warning("role-imbalance", message, "Shorten the prompts, or write longer answers.")


class Tools(Alone):
    """Calls that nobody answers, and calls of what is not among the tools."""

    def see(self, line: int, said: Said) -> Iterator[Problem]:
        """Looks at the calls of a conversation; the last message may end with calls, which is what is learnt then."""
        del line
        messages = said.messages
        for message in messages:
            if "tool_calls" in message:
                break
        else:  # as in nearly all
            return
        offered = {tool["function"]["name"] for tool in said.record.get("tools", ())}
        for index, message in enumerate(messages):
            calls = message.get("tool_calls")
            if not calls:
                continue
            answered = {later.get("tool_call_id") for later in messages[index + 1 :]}
            for number, call in enumerate(calls):
                place = f"messages[{index}].tool_calls[{number}]"
                name = call["function"]["name"]
                if offered and name not in offered:
                    message_ = f"the function '{excerpt(name)}' is not among the tools of the row."
                    yield warning("unknown-tool", message_, "Add it to the tools.", field=f"{place}.function.name")
                if index < len(messages) - 1 and call.get("id") not in answered:
                    fix = "Add the result as a message of the role 'tool', or end the row with the call."
                    yield warning("unanswered-call", "the row goes on, and nobody answers the call.", fix, field=place)
