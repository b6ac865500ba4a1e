"""The image of a job: an environment with all packages that are installed here, but for ftkit, and its own `uv`."""

from __future__ import annotations

import os
import shutil
import sysconfig
import venv
from pathlib import Path

SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
UV = Path(__file__).with_name("uv_shim.py")
OF_OUR_MACHINE = ("UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
"""What the real uv needs to reach an index, which is not the job's to say."""


class Image:
    """A folder with programs.

    `python` and those that it starts with `sys.executable` are of one environment, which no .pth file of ours reaches:
    the packages are links, and those of ftkit are left out, as are their metadata.
    """

    def __init__(self, folder: Path) -> None:
        self._env, self._shims = folder / "env", folder / "shims"
        venv.EnvBuilder(symlinks=True).create(self._env)
        inside = Path(sysconfig.get_path("purelib", vars={"base": str(self._env)}))
        for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
            for package in Path(place).iterdir():
                if not package.name.startswith("ftkit") and package.suffix != ".pth":
                    (inside / package.name).symlink_to(package)
        self._shims.mkdir()
        uv = self._shims / "uv"
        uv.write_text(f'#!/bin/sh\nexec "{self._env}/bin/python" "{UV}" "$@"\n', encoding="utf-8")
        uv.chmod(0o755)

    def environment(self, *, real_uv: bool) -> dict[str, str]:
        """Returns what a process needs to find the programs.

        Raises:
            FileNotFoundError: The real uv is wanted, and this machine has none.
        """
        if not real_uv:
            return {"PATH": os.pathsep.join([str(self._shims), str(self._env / "bin"), *SYSTEM_PATH])}
        uv = shutil.which("uv")
        if uv is None:
            raise FileNotFoundError("this machine has no uv: install it, or leave real_uv = False")
        found = {name: value for name, value in os.environ.items() if name.upper().startswith(OF_OUR_MACHINE)}
        return {**found, "PATH": os.pathsep.join([str(self._env / "bin"), str(Path(uv).parent), *SYSTEM_PATH])}
