"""Failures of seeds: how many in a row, and those by the death of a worker."""

from dataclasses import dataclass

from seedspread.records.study import Study, record_failure

DEATHS = 3  # of workers on one seed, after which it is recorded as failed


def record_dead_worker(study: Study, seed: int, died: Exception) -> None:
    """Record `seed` as failed because its workers died."""
    reason = f"its worker died {DEATHS} times; is there enough memory for so many workers? (jobs=)"
    header = {"config_digest": study.digest, "study": study.name}
    record_failure(study, seed, reason, f"{type(died).__name__}: {died}\n", header)


@dataclass
class FailureStreak:
    """Consecutive failures with the same reason."""

    reason: str | None = None
    length: int = 0

    def add(self, reason: str | None) -> int:
        """Count a failure, or a success where `reason` is empty, which resets the count; return the count."""
        self.length = 0 if not reason else self.length + 1 if reason == self.reason else 1
        self.reason = reason
        return self.length
