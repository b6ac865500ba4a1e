"""Chat templates of the kinds that are met on the Hub, and conversations to write with them."""

from __future__ import annotations

from typing import Any

EOS = "<|im_end|>"

CHATML = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.role == 'assistant' %}{% generation %}{{- message.content + '<|im_end|>' }}{% endgeneration %}"
    "{%- else %}{{- message.content + '<|im_end|>' }}{%- endif %}{{- '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
LLAMA = (
    "{{- bos_token }}{%- set ns = namespace(tools=tools | default(none), turn=0) %}"
    "{%- if messages[0].role == 'system' %}{%- set system = messages[0].content | trim %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system = '' %}{%- endif %}"
    "{{- '<|head|>system<|/head|>\\n\\nToday: ' + (strftime_now('%Y') | length | string) + '\\n' }}"
    "{%- for tool in ns.tools or [] %}{{- tool | tojson(indent=4) + '\\n\\n' }}{%- endfor %}{{- system + eos_token }}"
    "{%- for message in messages %}{%- set ns.turn = ns.turn + 1 %}"
    "{%- if message.tool_calls %}{{- '<|head|>assistant<|/head|>\\n\\n' }}{% generation %}"
    "{{- message.tool_calls[0].function | tojson + eos_token }}{% endgeneration %}{%- continue %}{%- endif %}"
    "{{- '<|head|>' + message.role + '<|/head|>\\n\\n' }}"
    "{%- if message.role == 'assistant' %}{% generation %}{{- message.content | trim + eos_token }}{% endgeneration %}"
    "{%- else %}{{- message.content | trim + eos_token }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|head|>assistant<|/head|>\\n\\n' }}{%- endif %}"
)
"""As Llama 3 writes: a beginning, a system message that is always there, tools, white space cut off."""

STRICT = (
    "{%- for message in messages %}{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('roles must alternate') }}{%- endif %}"
    "{{- '[' + message.role + ']' + message.content + '<|im_end|>' }}{%- endfor %}"
)
TOOL_USE = "{%- for tool in tools %}{{- '<tool>' + tool | tojson + '</tool>' }}{%- endfor %}" + CHATML
THINKING = (
    "{%- set last = messages | length - 1 %}{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.role == 'assistant' and loop.index0 == last %}{{- '<think>\\n\\n</think>\\n' }}{%- endif %}"
    "{{- message.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""Writes an answer differently once others follow it, and marks none of them as generated."""

TEMPLATES: dict[str, str | dict[str, str]] = {
    "chatml": CHATML,
    "llama": LLAMA,
    "strict": STRICT,
    "tools": {"default": CHATML, "tool_use": TOOL_USE},
}
MARKED = ("chatml", "llama")
"""Those with {% generation %}."""

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "weather", "parameters": {"city": {"type": "string"}}}}
]
CALL: dict[str, Any] = {
    "id": "call-1",
    "type": "function",
    "function": {"name": "weather", "arguments": {"city": "Zürich <&>"}},
}


def said(*turns: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in turns]


CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "short": said(("user", "Hi?"), ("assistant", "Hello.")),
    "system": said(("system", " Be brief. "), ("user", "2+2?"), ("assistant", "4")),
    "long": said(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d\n"), ("user", "e")),
    "letters": said(("user", "Grüße 🍪?"), ("assistant", "日本語 — 🍪🍪 naïve\u200d")),
    "answer first": said(("assistant", "Welcome."), ("user", "Hi"), ("assistant", "How can I help?")),
    "nothing": said(("user", ""), ("assistant", "")),
}
CALLING: list[dict[str, Any]] = [
    {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "sunny", "tool_call_id": "call-1"},
    {"role": "assistant", "content": "Sunny."},
]
PROMPTS: list[dict[str, Any]] = [
    {"prompt": "The capital of France is", "completion": " Paris."},
    {"prompt": "Grüße", "completion": " 🍪<|im_end|>"},
]
TEXTS = [{"text": "Once upon a time"}, {"text": "日本語<|im_end|>"}]
PAIRS: list[dict[str, Any]] = [
    {"prompt": said(("user", "Best?")), "chosen": said(("assistant", "🍪")), "rejected": said(("assistant", "Kale."))},
    {"prompt": "2+2=", "chosen": "4", "rejected": "5"},
]
