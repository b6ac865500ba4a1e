"""What the providers `openai` and `azure` share: one API, through the official package, with nothing sent twice."""

from ftkit.providers._openai_wire.line import Line
from ftkit.providers._openai_wire.provider import OpenAIWire

__all__ = ["Line", "OpenAIWire"]
