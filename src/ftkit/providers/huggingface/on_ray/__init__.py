"""The same training on a Ray cluster, through Ray Train.

A job is the folder that it is on one machine, and one detached process that looks after it, the driver (`train`). The
driver starts a Ray of this machine (or goes to a cluster), puts what a trainer needs of the folder where the workers
can read it (`storage`), and lets Ray Train start them. Each worker (`worker`) makes a job's folder of its own of that,
and does in it what a rank of local training does, by the same code. What the first worker tells goes to an actor, the
desk (`desk`), and from there, in order, into the job's folder: the driver alone writes in it. Checkpoints, and in the
end the model, come back through the storage.

Nothing in here is imported by the user's process, and `ray` only in the driver and its workers.
"""

from __future__ import annotations

HERE = "ray"
"""Name of the storage in the job's folder, where no other was given."""
