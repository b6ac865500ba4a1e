"""The address of a Ray cluster. Loads no ray."""

from __future__ import annotations

import re
import socket

import psutil

from ftkit.errors import ConfigurationError, ProviderUnavailableError

_OF_THIS_MACHINE = {"auto", "localhost", "127.0.0.1", "[::1]"}
_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_PATIENCE_S = 5.0
_RAYLET = "raylet"


def check(address: str, storage_path: str | None) -> None:
    """Sees that an address is one, and that a storage goes with it where one is needed.

    Raises:
        ConfigurationError: It is none, or there is none.
    """
    if address.startswith("ray://"):
        message = f"address={address!r} is one of Ray's client protocol, through which no training is started here"
        raise ConfigurationError(
            message, hint="On a machine of the cluster, give host:port of its head (6379), or 'auto'."
        )
    match = _ADDRESS.fullmatch(address)
    if address != "auto" and match is None:
        raise ConfigurationError(f"address={address!r} is no address", hint="Give host:port of the head, or 'auto'.")
    host = match[1] if match else address
    if storage_path is None and host not in _OF_THIS_MACHINE:
        message = f"the cluster at {address} needs a storage_path that its machines and this one can reach"
        raise ConfigurationError(message, hint="Set storage_path to a shared folder, or to a URI such as s3://....")


def probe(address: str) -> None:
    """Sees that somebody answers at an address. Ray itself would try for a minute, and end the process.

    Raises:
        ProviderUnavailableError: Nobody does, within five seconds.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:  # "auto": Ray itself looks for its processes on this machine
        if any(process.info["name"] == _RAYLET for process in psutil.process_iter(["name"])):
            return
        hint = "Start one with `ray start --head`, give host:port of a head, or leave out the address."
        raise ProviderUnavailableError("no Ray runs on this machine", provider="huggingface", hint=hint)
    try:
        socket.create_connection((match[1].strip("[]"), int(match[2])), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        message = f"no Ray cluster answers at {address}: {getattr(error, 'strerror', None) or error}"
        hint = "See that it runs, and that its port can be reached from here."
        raise ProviderUnavailableError(message, provider="huggingface", hint=hint) from error
