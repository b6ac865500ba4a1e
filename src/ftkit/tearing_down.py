"""The end of what a job left behind: its deployments, and the files that it was made from. The model stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.errors import ConflictError, FtkitError, NotFoundError
from ftkit.models import Kept, TornDown
from ftkit.provider import DeletesFiles, ListsCheckpoints, Provider
from ftkit.retrying import read

if TYPE_CHECKING:
    from ftkit.deploying import Deployer
    from ftkit.ledger import Ledger
    from ftkit.models import FineTuningJob


class TearingDown:
    """Takes down what ftkit made for jobs of one account, and nothing else.

    Args:
        provider: The provider.
        identity: The account.
        ledger: The ledger, which tells what ftkit made.
        deployer: The account's deployments; None where the provider has none.
    """

    def __init__(self, provider: Provider, identity: str, ledger: Ledger, deployer: Deployer | None) -> None:
        self._provider = provider
        self._identity = identity
        self._ledger = ledger
        self._deployer = deployer

    def of(self, job: FineTuningJob) -> TornDown:
        """Deletes the deployments of a job, which cost, and then its files.

        Args:
            job: The job, as it is now.

        Raises:
            ConflictError: It has not ended.
            FtkitError: Something could not be deleted; the notes say what was.
        """
        if not job.status.is_terminal:
            message = f"the job {job.id} is {job.status.value}, and what it was made from may be needed yet"
            hint = "Wait for it, or cancel it: client.cancel_job(...)."
            raise ConflictError(message, provider=self._provider.name, hint=hint)
        deployments, kept = self._deployer.delete_serving(self._names(job)) if self._deployer else ([], [])
        files: list[str] = []
        try:
            for file_id in dict.fromkeys(each for each in (job.training_file, job.validation_file) if each):
                reason = self._reason_to_keep(file_id, job)
                if reason is not None:
                    kept.append(Kept(kind="file", name=file_id, reason=reason))
                elif self._delete_file(file_id):
                    files.append(file_id)
        except FtkitError as error:
            error.add_note(f"Deleted before that: {', '.join([*deployments, *files]) or 'none'}. Run it again.")
            raise
        return TornDown(job_id=job.id, deployments=tuple(deployments), files=tuple(files), kept=tuple(kept))

    def _names(self, job: FineTuningJob) -> set[str]:
        """Returns all that a deployment of the job can name as its source: the job, its model, its checkpoints."""
        names = {job.id, job.fine_tuned_model}
        if isinstance(self._provider, ListsCheckpoints):
            for checkpoint in read(self._provider.list_checkpoints, job.id):
                names |= {checkpoint.id, checkpoint.model}
        return {name for name in names if name}

    def _reason_to_keep(self, file_id: str, job: FineTuningJob) -> str | None:
        if not self._ledger.has_uploaded(self._identity, file_id):
            return "ftkit did not upload it, going by the ledger of this machine"
        if not isinstance(self._provider, DeletesFiles):
            return f"the provider '{self._provider.name}' cannot delete files"
        for entry in self._ledger.jobs_with_file(self._identity, file_id):
            if entry.job_id is None:
                return "a job that uses it was asked for, and it is not known whether it was made"
            if entry.job_id != job.id and not self._has_ended(entry.job_id):
                return f"the job {entry.job_id} uses it, and has not ended"
        return None

    def _has_ended(self, job_id: str) -> bool:
        try:
            return read(self._provider.get_job, job_id).status.is_terminal
        except NotFoundError:
            return True

    def _delete_file(self, file_id: str) -> bool:
        """Deletes a file, and says whether it was there. Twice is harmless, so it may be tried again."""
        if not isinstance(self._provider, DeletesFiles):
            return False
        try:
            read(self._provider.delete_file, file_id)
        except NotFoundError:
            return False
        return True
