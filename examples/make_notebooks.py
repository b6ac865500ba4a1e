"""Makes the notebooks of the four tutorials from their scripts, which are where the text is.

python examples/make_notebooks.py     # needs jupytext
"""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat

SCRIPTS = ("recipes", "sarcastic_chatbot", "text_to_sql", "no_code")
HERE = Path(__file__).parent
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def notebook(script: Path) -> str:
    """Returns a script as a notebook: the same bytes every time."""
    made = jupytext.read(script)
    made.metadata = nbformat.from_dict(KERNEL)
    for number, cell in enumerate(made.cells):
        cell.id, cell.metadata = f"cell-{number}", nbformat.from_dict({})
    return nbformat.writes(made) + "\n"


def main() -> None:
    """Writes them beside their scripts."""
    for name in SCRIPTS:
        target = HERE / f"{name}.ipynb"
        target.write_text(notebook(HERE / f"{name}.py"), encoding="utf-8")
        print(target)


if __name__ == "__main__":
    main()
