"""The archive: what a provider tells of jobs, in a folder of one's own, to be read when the provider is no more.

    export(Client("openai"), "ftkit-archive")        # all jobs; the same again goes on where it was
    job = Archive("ftkit-archive").get_job("ftjob-...")

Modules: `layout` has the nouns and the names of folders, `writing` saves, `reading` reads.
"""

from ftkit.archive.layout import ArchiveError, Exported, Missing
from ftkit.archive.reading import Archive
from ftkit.archive.writing import export

__all__ = ["Archive", "ArchiveError", "Exported", "Missing", "export"]
