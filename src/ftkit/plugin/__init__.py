"""What a provider is built with: the parts that the built-in ones are made of, for anybody's.

A provider subclasses nothing, and needs none of these. They are what nearly every vendor asks for again: see
docs/write-a-provider.md, which uses them.

* before an upload: `problems_of`, and its parts `option_problems`, `hyperparameter_problems`, `field_problems`
* exactly once: `the_one`, `fits`, `made_since`, `walk`, `page_of`, `read_on`, `seed_of`, `word_of`
* from the vendor's words to ours: `error_of`, `sdk_errors`, `known_id`, `model_of`, `no_options`, `chat_options`,
  `same_named`, `asked_of`
* a vendor over HTTP that has no package: `HttpService`
* deployments where tuned models answer as they are: `NamesModels`, or `Aliases` within a provider of another base
* secrets: `HoldsKey`, `forgetful`, `masked`, `plain`, `raise_alone`
* a chat in OpenAI's form: `ChatEndpoint`, or `request_body`, `reply_of`, `chunks_of` and `to_the_end` behind a
  package
* a download that leaves nothing half-done: `saving`, or `landing` and `disk_errors`
"""

from ftkit.plugin.aliases import Aliases, NamesModels
from ftkit.plugin.asked import asked_of, chat_options, known_id, model_of, no_options, same_named
from ftkit.plugin.chat_wire import ChatEndpoint, chunks_of, reply_of, request_body, to_the_end
from ftkit.plugin.checking import field_problems, hyperparameter_problems, option_problems, problems_of
from ftkit.plugin.disk import disk_errors, landing, saving
from ftkit.plugin.finding import fits, made_since, page_of, read_on, seed_of, the_one, walk, word_of
from ftkit.plugin.http import HttpService
from ftkit.plugin.http_errors import error_of, plain, raise_alone, retry_after_s
from ftkit.plugin.sdk import sdk_errors
from ftkit.plugin.secrets import HoldsKey, forgetful, masked

__all__ = [
    "Aliases",
    "ChatEndpoint",
    "HoldsKey",
    "HttpService",
    "NamesModels",
    "asked_of",
    "chat_options",
    "chunks_of",
    "disk_errors",
    "error_of",
    "field_problems",
    "fits",
    "forgetful",
    "hyperparameter_problems",
    "known_id",
    "landing",
    "made_since",
    "masked",
    "model_of",
    "no_options",
    "option_problems",
    "page_of",
    "plain",
    "problems_of",
    "raise_alone",
    "read_on",
    "reply_of",
    "request_body",
    "retry_after_s",
    "same_named",
    "saving",
    "sdk_errors",
    "seed_of",
    "the_one",
    "to_the_end",
    "walk",
    "word_of",
]
