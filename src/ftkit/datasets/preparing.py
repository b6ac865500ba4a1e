"""Writes a data set in the layout that a provider asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.datasets._locating import is_part_of, source_name
from ftkit.datasets._writing import atomically
from ftkit.datasets.checking import examine
from ftkit.errors import ConfigurationError, DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ftkit.datasets._locating import Source
    from ftkit.datasets._lockstep import CountTokens
    from ftkit.models import DatasetRules, Report


def prepare(
    source: Source,
    rules: DatasetRules,
    target: Path,
    *,
    columns: Mapping[str, str] | None = None,
    count_tokens: CountTokens | None = None,
    progress: bool = False,
) -> Report:
    """Checks a data set and writes it in the provider's layout, in one pass.

    Records of a kind that the provider does not take are converted where nothing is lost. The file is there whole, or
    not at all.

    Args:
        source: A file, or a folder saved by `datasets.save_to_disk`.
        rules: What the provider asks of it.
        target: The file to write.
        columns: The file's own column names -> those of the record.
        count_tokens: Counts the tokens of records as the training would.
        progress: Whether to show on a terminal how far it is, if it takes more than two seconds.

    Returns:
        What was found; there is no error in it. Its `kind` is the one that was written.

    Raises:
        DatasetError: The data has errors; it holds all of them, and the report. Nothing is written.
        ConfigurationError: `columns` or `rules.layout` names what there is not, or `target` is the source, or cannot be
            written.
        MissingExtraError: pyarrow is needed and not installed.
    """
    if is_part_of(source, target):
        raise ConfigurationError(f"'{target}' is the data set itself.", hint="Write to another file.")
    with atomically([target]) as (file,):
        report, kind = examine(
            source, rules, columns=columns, count_tokens=count_tokens, write=file.write, progress=progress
        )
        if not report.ok:
            errors, few = report.errors, len(report.errors) == 1
            summary = f"{source_name(source)} has {len(errors):,} error{'' if few else 's'}; nothing was written."
            raise DatasetError(summary, errors, report)
    return report.model_copy(update={"kind": kind})
