"""No link of the built site is dead, and a reader's browser fetches nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from built_site import HERE, BuiltPage, absolute, address, build, is_ours, read_built, target

if TYPE_CHECKING:
    from pathlib import Path

if any(importlib.util.find_spec(name) is None for name in ("material", "mkdocs", "mkdocstrings")):
    pytest.skip("what builds the site is not installed", allow_module_level=True)

pytestmark = pytest.mark.xdist_group("site")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, BuiltPage]:
    return {path: read_built(path) for path in sorted(site.rglob("*.html"))}


def dead(pages: dict[Path, BuiltPage], site: Path) -> list[str]:
    """Returns the links within the site that lead nowhere."""
    found: list[str] = []
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            whole = absolute(link, address(path, site))
            if not is_ours(whole):
                continue
            file, anchor = target(whole, site)
            known = anchor in {"", "__codelineno"} or (file in pages and anchor in pages[file].anchors)
            if not file.is_file() or not known:
                found.append(f"{path.relative_to(site)}: {link}")
    return found


def test_every_link_within_the_site_leads_somewhere(pages: dict[Path, BuiltPage], site: Path) -> None:
    assert len(pages) > 30
    assert dead(pages, site) == []


def test_a_dead_link_is_seen(pages: dict[Path, BuiltPage], site: Path) -> None:
    wrong = BuiltPage(links=["data/", "data/#no-such-place", "no-such-page/"], loaded=["images/none.png"])
    home = site / "index.html"
    links = ["data/#no-such-place", "no-such-page/", "images/none.png"]
    assert dead({**pages, home: wrong}, site)[: len(links)] == [f"index.html: {link}" for link in links]


def test_links_to_elsewhere_are_https_and_well_formed(pages: dict[Path, BuiltPage], site: Path) -> None:
    elsewhere = {absolute(link, address(path, site)) for path, page in pages.items() for link in page.links}
    for link in sorted(link for link in elsewhere if not is_ours(link)):
        parts = urlsplit(link)
        assert (parts.scheme, parts.username, parts.port) == ("https", None, None), link
        assert re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", parts.netloc), link
        assert not re.search(r"\s", link), link


def test_nothing_is_fetched_from_elsewhere(pages: dict[Path, BuiltPage], site: Path) -> None:
    fetched = {absolute(link, address(path, site)) for path, page in pages.items() for link in page.loaded}
    assert [link for link in fetched if not is_ours(link) and not link.startswith("data:")] == []
    assert not any("mermaid" in page.classes for page in pages.values())  # the theme would fetch what draws it
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"""url\(["']?(?:https?:)?//[^)]*""", styles) == []


def test_every_page_is_in_the_navigation(pages: dict[Path, BuiltPage], site: Path) -> None:
    home = site / "index.html"
    reached = {target(absolute(link, HERE), site)[0] for link in pages[home].links if is_ours(absolute(link, HERE))}
    for path in sorted(reached - {home}):
        reached |= {target(absolute(link, address(path, site)), site)[0] for link in pages[path].links}
    assert [address(path, site) for path in pages if path not in reached and path.name != "404.html"] == []
