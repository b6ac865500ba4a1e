"""Stands in for vLLM's `vllm serve`, at the wire. It computes nothing, and says what it was asked to serve.

It takes the options that `vllm serve --help=all` of 0.33.0 has under these names, and no abbreviations of them; its own
check of the token covers what vLLM's covers. Like vLLM, it wants the model first, binds its port early and listens
late, loads ASGI middleware by its name, and has a process beside it that holds the GPU.

A model's folder may hold a file `breaks`: then it ends as vLLM does when its engine cannot start.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GUARDED = ("/v1", "/v2", "/inference", "/cohere")


def parse(argv: list[str]) -> argparse.Namespace:
    if argv[:1] != ["serve"] or argv[1:2] == [] or argv[1].startswith("-"):
        raise ValueError("`model` should be provided as the first positional argument when using `vllm serve`.")
    parser = argparse.ArgumentParser(prog="vllm serve", allow_abbrev=False)
    parser.add_argument("model")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--served-model-name", nargs="+")
    parser.add_argument("--api-key", nargs="+")
    parser.add_argument("--middleware", action="append", default=[])
    parser.add_argument("--load-format", default="auto")
    parser.add_argument("--tokenizer")
    parser.add_argument("--disable-uvicorn-access-log", action="store_true")
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--lora-modules", nargs="+", default=[], type=json.loads)
    parser.add_argument("--max-lora-rank", type=int, default=16, choices=[1, 8, 16, 32, 64, 128, 256, 320, 512])
    return parser.parse_args(argv[1:])


class Model:
    """The ASGI application: what is behind the guard."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._keys = args.api_key or [os.environ.get("VLLM_API_KEY")]
        self._names = [*args.served_model_name, *(module["name"] for module in args.lora_modules)]

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path, bearer = scope["path"], dict(scope["headers"]).get(b"authorization", b"").decode()
        body = (await receive())["body"]
        if path.startswith(GUARDED) and bearer not in {f"Bearer {key}" for key in self._keys if key}:
            status, answer = 401, json.dumps({"error": "Unauthorized"})
        elif path == "/health":
            status, answer = 200, ""
        elif path in {"/v1/chat/completions", "/invocations"}:
            status, answer = self._chat(json.loads(body))
        else:
            status, answer = 404, json.dumps({"detail": "Not Found"})
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": answer.encode()})

    def _chat(self, asked: dict[str, Any]) -> tuple[int, str]:
        if asked["model"] not in self._names:
            error = {"message": f"The model `{asked['model']}` does not exist.", "type": "NotFoundError", "code": 404}
            return 404, json.dumps({"error": error})
        text = json.dumps({"argv": sys.argv[2:], "threads": os.environ.get("OMP_NUM_THREADS")})
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        if asked.get("stream"):
            chunks = [{"delta": {"content": text}}, {"delta": {}, "finish_reason": "stop"}]
            lines = [json.dumps({"choices": [{"index": 0, **chunk}]}) for chunk in chunks]
            lines += [json.dumps({"choices": [], "usage": usage}), "[DONE]"]
            return 200, "".join(f"data: {line}\n\n" for line in lines)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return 200, json.dumps({"model": asked["model"], "choices": [choice], "usage": usage})


def guarded(app: Any, middleware: list[str]) -> Any:
    for name in middleware:
        module, _, what = name.rpartition(".")
        app = getattr(importlib.import_module(module), what)(app)
    return app


def handler(app: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asyncio.run(self._answer(b""))

        def do_POST(self) -> None:
            asyncio.run(self._answer(self.rfile.read(int(self.headers.get("content-length") or 0))))

        def log_message(self, *args: Any) -> None:
            pass

        async def _answer(self, body: bytes) -> None:
            headers = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
            scope = {"type": "http", "method": self.command, "path": self.path, "headers": headers}

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": body}

            async def send(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    self.send_response(message["status"])
                    self.send_header("content-type", "text/event-stream" if b'"stream"' in body else "application/json")
                    self.end_headers()
                else:
                    self.wfile.write(message["body"])

            await app(scope, receive, send)

    return Handler


class Server(ThreadingHTTPServer):
    def server_bind(self) -> None:
        """It is bound already."""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    args = parse(sys.argv[1:])
    early = socket.socket()
    early.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    early.bind((args.host or "", args.port))
    if (Path(args.model) / "breaks").exists():
        say("(EngineCore pid=7) ERROR 11-27 08:54:25 [core.py:1057] Traceback (most recent call last):")
        say("(EngineCore pid=7) ERROR 11-27 08:54:25 [core.py:1057] ValueError: Free memory on device is less")
        raise RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {}")
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "engine-core"])
    server = Server(
        (args.host or "", args.port), handler(guarded(Model(args), args.middleware)), bind_and_activate=False
    )
    server.socket.close()
    server.socket = early
    server.server_activate()
    say(f"Starting vLLM server on {args.host}:{args.port}")
    server.serve_forever()


if __name__ == "__main__":
    main()
