from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

from ftkit.datasets.layouts import LAYOUTS
from ftkit.datasets.records import FIELD_NAMES, SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Makes what a test registered unknown again; but not AutoTrain's, which a module registers only once."""
    importlib.import_module("ftkit.providers.autotrain.recipe")
    layouts, shapes, names = dict(LAYOUTS), list(SHAPES), set(FIELD_NAMES)
    yield
    LAYOUTS.clear()
    LAYOUTS.update(layouts)
    SHAPES[:] = shapes
    FIELD_NAMES.clear()
    FIELD_NAMES.update(names)
