"""How nouns show themselves in a notebook: plain HTML that takes its colours from the page, light or dark.

Everything is escaped. What looks like a key, or is called so by whoever wrote it, is not shown.
"""

from __future__ import annotations

from ftkit.displays.metrics import metrics_html
from ftkit.displays.nouns import noun_html
from ftkit.displays.problems import report_html

__all__ = ["metrics_html", "noun_html", "report_html"]
