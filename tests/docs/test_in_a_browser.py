"""Every page of the built site in a real browser, wide and narrow, light and dark."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import shutil
import threading
from typing import TYPE_CHECKING, Literal

import pytest
from built_site import build

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BUILDS = all(importlib.util.find_spec(name) for name in ("material", "mkdocs", "mkdocstrings"))

if importlib.util.find_spec("playwright") is None or not BUILDS:
    pytest.skip("playwright, or what builds the site, is not installed", allow_module_level=True)
if CHROMIUM is None:
    pytest.skip("there is no Chromium on the path", allow_module_level=True)

pytestmark = pytest.mark.full

SIZES = {"wide": (1440, 900), "narrow": (390, 844)}
OVERFLOW = """() => {
    const width = document.documentElement.clientWidth
    if (document.documentElement.scrollWidth <= width) return []
    return [...document.querySelectorAll("article *")]
        .filter(each => each.getBoundingClientRect().right > width + 1)
        .map(each => each.tagName + ": " + each.textContent.trim().slice(0, 60))
        .concat(["the page is " + document.documentElement.scrollWidth + " wide"])
}"""
CUT = """() => [...document.querySelectorAll("article pre > code, article .md-typeset__scrollwrap")]
    .filter(each => each.scrollWidth > each.clientWidth + 1)
    .filter(each => !["auto", "scroll"].includes(getComputedStyle(each).overflowX))
    .map(each => each.textContent.trim().slice(0, 60))"""
ENDS = """() => {
    const nodes = document.createTreeWalker(document.querySelector(".language-text code"), NodeFilter.SHOW_TEXT)
    const ends = []
    while (nodes.nextNode())
        for (const bar of nodes.currentNode.data.matchAll(/\u2502(?=\\n)/g)) {
            const range = document.createRange()
            range.setStart(nodes.currentNode, bar.index)
            range.setEnd(nodes.currentNode, bar.index + 1)
            ends.push(Math.round(range.getBoundingClientRect().right))
        }
    return ends
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        del format, args


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Generator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


def listened(page: Page, address: str) -> list[str]:
    """Returns a list that fills with whatever goes wrong in a page."""
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(f"{said.type}: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.on("request", lambda each: None if each.url.startswith((address, "data:")) else wrong.append(f"to {each.url}"))
    page.on("response", lambda reply: wrong.append(f"{reply.status}: {reply.url}") if reply.status >= 400 else None)
    return wrong


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_every_page_is_whole(
    browser: Browser, site: Path, address: str, size: str, scheme: Literal["light", "dark"]
) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    wrong = listened(page, address)
    found: dict[str, list[str]] = {}
    names = sorted(path.relative_to(site).parent.as_posix() + "/" for path in site.rglob("index.html"))
    for name in names:
        page.goto(address + name.removeprefix("./"), wait_until="networkidle")
        found[name] = [*page.evaluate(OVERFLOW), *page.evaluate(CUT), *wrong]
        wrong.clear()
    dark = page.evaluate("() => document.body.dataset.mdColorScheme") == "slate"
    context.close()
    assert len(names) > 30
    assert {name: each for name, each in found.items() if each} == {}
    assert dark == (scheme == "dark")  # the page follows the system


def test_the_lines_of_a_drawn_curve_end_at_one_place(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{address}pictures/", wait_until="networkidle")
    ends = page.evaluate(ENDS)
    page.close()
    assert len(ends) > 10
    assert len({*ends}) == 1


def test_the_search_finds_a_page(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    wrong = listened(page, address)
    page.goto(address)
    page.get_by_role("textbox", name="Search").fill("tear down")
    page.locator(".md-search-result__item").first.wait_for()
    page.close()
    assert wrong == []


def test_what_is_wrong_is_seen(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    wrong = listened(page, address)
    page.goto(address)
    assert (page.evaluate(OVERFLOW), page.evaluate(CUT), wrong) == ([], [], [])
    page.evaluate("document.querySelector('article').innerHTML = '<pre style=width:900px>wide</pre><img src=none.png>'")
    page.evaluate("console.error('broken')")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(OVERFLOW)[-1].startswith("the page is ")
    assert any(each == "error: broken" for each in wrong)
    assert any(each.startswith("404: ") for each in wrong)
    page.close()
