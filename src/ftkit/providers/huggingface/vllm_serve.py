"""vLLM as the server of a local deployment. It runs in vLLM's own environment, and this in ours, around it.

    python -m ftkit.providers.huggingface.vllm_serve --python PYTHON --model REF --folder F --name N [--port P] ...

It sees to what `ftkit.providers._local_endpoints` wants of a server: the lock, the port, what becomes of it. And to it
that vLLM, which is several processes and holds most of a GPU's memory, never outlives us.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.errors import ConfigurationError, FtkitError
from ftkit.providers._environments import OF_ANOTHER_PYTHON
from ftkit.providers._local_endpoints import LOG, TOKEN
from ftkit.providers._local_servers import HOST, Report, arguments, run, take_port
from ftkit.providers.huggingface import guard, small
from ftkit.providers.huggingface.adapters import base_of, is_adapter, rank_of
from ftkit.providers.huggingface.guard import ftkit_bearer
from ftkit.providers.huggingface.resolve import absolute, is_folder, resolve_model
from ftkit.providers.huggingface.weights import check_adapter, read_numbers_only

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_POLL_S = 0.2
_HEALTH_S = 5.0
_END_S = 10.0
_VLLM = ("-P", "-m", "vllm.entrypoints.cli.main", "serve")  # -P: no module of the user's folder
_OPTIONS = (
    f"--host={HOST}",
    f"--middleware={ftkit_bearer.__name__.rpartition('.')[2]}.{ftkit_bearer.BearerOnly.__name__}",
    "--load-format=safetensors",  # the other format can run code as it is read
    "--disable-uvicorn-access-log",
)

_CAUSE = re.compile(r"(?:^|\] )((?:\w+\.)*\w*(?:Error|Exception): .+)", re.MULTILINE)
"""An exception at its end, of vLLM itself, or as it logs those of the processes that it starts."""
_CAUSE_BYTES = 64 * 1024

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as --max-lora-rank."""

# It waits until we are gone, however we went, and ends what is left of our group: vLLM, and the processes that it
# started. In a session of its own, or it would end with the group.
_UNDERTAKER = """
import os, signal, sys, time
group, grace_s = int(sys.argv[1]), float(sys.argv[2])
sys.stdin.buffer.read()
for order in (signal.SIGTERM, signal.SIGKILL):
    deadline = time.monotonic() + grace_s
    try:
        os.killpg(group, order)
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.05)
    except OSError:
        break
"""


def _serve(args: argparse.Namespace, report: Report) -> int:
    held = take_port(args.port, report, listen=False)  # vLLM binds it after half a minute of imports
    if held is None:
        return 1
    _hire_undertaker()
    with held:
        port = held.getsockname()[1]
        try:
            # The model comes first, or vLLM takes it for none.
            command = [args.python, *_VLLM, *_model(args.model, args.name), f"--port={port}", *_OPTIONS]
        except FtkitError as error:
            report.tell(problem=str(error))
            return 1
        token = (args.folder / TOKEN).read_text(encoding="utf-8")
        env = _environment(args, token)
        log = args.folder / LOG
        before = log.stat().st_size if log.exists() else 0
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=env) as vllm:  # noqa: S603 - see engines.py
            if _is_well_before_it_ends(vllm, port):
                report.tell(ready=True)
            status = vllm.wait()
        report.tell(ready=False, problem=f"vLLM ended with status {status}{_cause(log, before)}")
    return 1


def _model(model: str, name: str) -> list[str]:
    """Returns what vLLM is told of a model: where it is, or where its base and the adapter are, and its name.

    Raises:
        ConfigurationError: The adapter's folder does not say what it is an adapter for, or is no safetensors.
        FtkitError: `ftkit/small` could not be built.
    """
    folder = Path(absolute(model)) if is_folder(model) else None
    if folder is None or not is_adapter(folder):
        return [_place(model), f"--served-model-name={name}"]
    base = base_of(folder)
    if base is None:
        message = f"the adapter in '{folder}' does not say which model it is for"
        raise ConfigurationError(message, hint="Set base_model_name_or_path in its adapter_config.json.")
    check_adapter(folder)
    tokenizer = [f"--tokenizer={folder}"] if (folder / "tokenizer_config.json").is_file() else []
    return [
        _place(base),
        f"--served-model-name={name}-base",
        "--enable-lora",
        f"--lora-modules={json.dumps({'name': name, 'path': str(folder)})}",
        f"--max-lora-rank={_rank(folder)}",
        *tokenizer,
    ]


def _place(model: str) -> str:
    """Returns where a model is, or its name at the Hub, of which vLLM fetches safetensors alone."""
    return str(resolve_model(model)) if model == small.NAME or is_folder(model) else model


def _rank(folder: Path) -> int:
    rank = rank_of(folder)
    fitting = [most for most in _RANKS if most >= rank]
    if not fitting:
        message = f"the adapter in '{folder}' is of rank {rank}, and vLLM takes {_RANKS[-1]} at most"
        raise ConfigurationError(message, hint="Deploy it with engine='transformers'.")
    return fitting[0]


def _environment(args: argparse.Namespace, token: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in OF_ANOTHER_PYTHON}
    read_numbers_only(env)
    env["VLLM_NO_USAGE_STATS"] = env.get("VLLM_NO_USAGE_STATS", "1")
    if args.threads is not None:
        env["OMP_NUM_THREADS"] = str(args.threads)
    return env | {
        ftkit_bearer.TOKEN_VARIABLE: token,  # and never on the command line, which anyone can read
        "PATH": f"{Path(args.python).parent}{os.pathsep}{env.get('PATH', '')}",  # ninja is there
        "PYTHONPATH": str(Path(guard.__file__).parent),
    }


def _cause(log: Path, before: int) -> str:
    """Returns the first error of several: the last, which the end of the log shows, says no more than "see above"."""
    if not log.exists():  # started by hand
        return ""
    with log.open("rb") as file:
        file.seek(max(before, file.seek(0, os.SEEK_END) - _CAUSE_BYTES))
        found = _CAUSE.search(file.read().decode(errors="replace"))
    return f": {found[1]}" if found else ""


def _hire_undertaker() -> None:
    if os.getpgrp() != os.getpid():  # started by hand: the group is that of others as well
        os.setpgid(0, 0)
    theirs, _ours = os.pipe()  # ours is never closed: when it is, we are gone
    subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-S", "-c", _UNDERTAKER, str(os.getpid()), str(_END_S)],
        stdin=theirs,
        start_new_session=True,
    )
    os.close(theirs)


def _is_well_before_it_ends(vllm: subprocess.Popen[bytes], port: int) -> bool:
    import httpx2

    with httpx2.Client(base_url=f"http://{HOST}:{port}", timeout=_HEALTH_S, trust_env=False) as client:
        while vllm.poll() is None:
            with suppress(httpx2.TransportError):  # it does not listen yet
                if client.get("/health").is_success:
                    return True
            time.sleep(_POLL_S)
    return False


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until it is ended. Returns the exit status if it cannot."""
    parser = arguments("ftkit.providers.huggingface.vllm_serve", __doc__)
    parser.add_argument("--python", required=True, help="the interpreter of vLLM's environment")
    return run(parser, argv, _serve)


if __name__ == "__main__":
    sys.exit(main())
