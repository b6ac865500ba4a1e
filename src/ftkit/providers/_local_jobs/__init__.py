"""Training jobs on this machine: detached processes, each in a folder of its own. POSIX only.

    <jobs>/ftjob-<24 hex digits, from the key>/
      request.json    what was asked for, and the command that does it; written once, before the folder has its name
      status.json     how far it is; written only by whoever holds `lock`, under another name and then renamed
      events.jsonl    what happened, and what was measured; written by the same
      control.json    what is wanted of it: {"want": "paused" | "cancelled", "run": n}; written by whoever wants it
      log.txt         the output of its process
      lock            held by its process for as long as that lives
    <jobs>/queue/     a ticket for each job that waits, held by its process
    <jobs>/slots/     one lock for each job that may train at once, held by the process that does

The name of the folder comes from the key, so a key has one job, and it is found again without a list. One process
does it all: a runner takes the job's lock, waits for a slot, and then becomes the trainer (`exec`), so that process id,
start time and locks stay what they are. Whether a job runs is derived when it is read: reads write nothing.

A trainer is any program that takes the folder as its last argument, reports through `Reporter`, and on SIGTERM looks at
`Reporter.want()`. Nothing in here knows who trains what.
"""

from __future__ import annotations

from ftkit.providers._local_jobs.folder import JobFolder, JobRecord, JobState
from ftkit.providers._local_jobs.jobs import LocalJobs
from ftkit.providers._local_jobs.reporter import Reporter

__all__ = ["JobFolder", "JobRecord", "JobState", "LocalJobs", "Reporter"]
