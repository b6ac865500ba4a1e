"""The site as it is built: where its pages are, and what they point at."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

ROOT = Path(__file__).parents[2]
HERE = "https://here.invalid/"
"""Stands for the address at which the site will be."""


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Builds the site into a folder: with one warning, it fails. With `--quiet`, warnings would not count."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@dataclass
class BuiltPage(HTMLParser):
    """What a page of HTML holds.

    Attributes:
        links: What a reader can follow.
        loaded: What a browser fetches by itself: pictures, styles, scripts.
        anchors: The places in it that a link can name.
        classes: All classes of its elements.
    """

    links: list[str] = field(default_factory=list[str])
    loaded: list[str] = field(default_factory=list[str])
    anchors: set[str] = field(default_factory=set[str])
    classes: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what an element points at, and what it is called."""
        given = {name: value or "" for name, value in attrs}
        self.classes.update(given.get("class", "").split())
        self.anchors.update(given[name] for name in ("id", "name") if name in given and tag != "meta")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") in {"stylesheet", "icon", "preload", "modulepreload"}:
            self.loaded.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])


def read_built(path: Path) -> BuiltPage:
    """Reads a page of HTML."""
    page = BuiltPage()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


def address(path: Path, site: Path) -> str:
    """Returns the address of a page, as a browser has it: folders end with a slash."""
    return urljoin(HERE, path.relative_to(site).as_posix().removesuffix("index.html"))


def absolute(link: str, base: str) -> str:
    """Returns a link as a whole address."""
    return urljoin(base, link.strip())


def is_ours(link: str) -> bool:
    """Whether a whole address is one of the site."""
    return link.startswith(HERE)


def target(link: str, site: Path) -> tuple[Path, str]:
    """Returns the file that a whole address of the site names, and the place in it."""
    page, anchor = urldefrag(link)
    name = unquote(urlsplit(page).path).lstrip("/")
    return site / (f"{name}index.html" if not name or name.endswith("/") else name), unquote(anchor)
