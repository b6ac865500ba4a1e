"""Bare FastAPI routes, each with as little in it as does the same work: what server.py measures `ftkit serve` against.

python benchmarks/_bare_server.py ANSWERS.json FOLDER

`ANSWERS.json` holds, for each route, the path that is asked for and the text to answer with.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Form, Request, Response, UploadFile


def create_app(answers: dict[str, Any], folder: Path) -> FastAPI:
    """Makes the application.

    Args:
        answers: Route -> its path and answer.
        folder: Where files are kept.
    """
    app = FastAPI()
    known = {path: text.encode() for path, text in answers.values()}

    def read(request: Request) -> Response:
        return Response(known[request.scope["path"]], media_type="application/json")

    def create_file(file: UploadFile, purpose: Annotated[str, Form()]) -> dict[str, Any]:
        name = secrets.token_hex(12)
        with (folder / name).open("xb") as copy:
            shutil.copyfileobj(file.file, copy)
            copy.flush()
            os.fsync(copy.fileno())
            return {"id": name, "bytes": copy.tell(), "purpose": purpose}

    def delete_file(file_id: str) -> dict[str, Any]:
        (folder / file_id).unlink()
        return {"id": file_id, "deleted": True}

    for route in answers:
        app.add_api_route(route, read, methods=["GET"])
    app.add_api_route("/v1/files", create_file, methods=["POST"])
    app.add_api_route("/v1/files/{file_id}", delete_file, methods=["DELETE"])
    return app


def main(answers: Path, folder: Path) -> None:
    """Serves until it is terminated; prints its address."""
    tempfile.tempdir = str(folder)  # as ftkit does: what comes in lies on the disk where it is kept
    app = create_app(json.loads(answers.read_text(encoding="utf-8")), folder)
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
    # Sockets must say that they are TCP for asyncio to send small answers at once; those of `create_server` do not.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
