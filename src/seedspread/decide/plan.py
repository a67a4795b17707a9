"""Which seed of which arm is trained next, until each candidate is decided: the plan of `seedspread decide`.

Imports neither torch nor Lightning: the workers do (seedspread.training.worker).
"""

import pickle
import uuid
from collections.abc import Callable, Sequence

from seedspread.decide.decision import Contest
from seedspread.decide.trained_arms import TrainedArm
from seedspread.execution.executors import TRAINING
from seedspread.execution.plan import SeedJob, SeedQueue, record_dead_job, release_job
from seedspread.execution.task import Task
from seedspread.records.record import Status
from seedspread.records.study import Study

FEWEST_AHEAD = 8  # pairs that train before the first look: fewer decide nothing


class DecisionPlan:
    """Trains the arms of contests seed by seed, in the order of `seeds`, those of undecided contests alone.

    A contest looks at a seed once all its arms have it and every seed before: who was faster decides nothing. However
    many workers there are, no more pairs train at once than were looked at: at most half of all seeds is too many.
    """

    def __init__(
        self,
        contests: Sequence[tuple[Contest, Sequence[tuple[TrainedArm, TrainedArm]]]],
        seeds: Sequence[int],
        expiry: float,
        show: Callable[[Contest], None],
    ) -> None:
        """Each contest with the arms, baseline and candidate, of each task. `show` is called after each pair."""
        self._contests, self._seeds, self._show = contests, seeds, show
        self.failure: str | None = None
        self._arms = {arm.name: arm for _, tasks in contests for pair in tasks for arm in pair}
        sweep = uuid.uuid4().hex
        self._queues = {
            name: SeedQueue(
                f"{TRAINING}:train_job",
                pickle.dumps(arm.cfg),
                arm.folder,
                [seed for seed in seeds if seed not in arm.scores],
                sweep,
                expiry,
            )
            for name, arm in self._arms.items()
        }
        self._look()

    @property
    def _wanted(self) -> list[str]:
        """The arms of undecided contests, baselines first, that have seeds left; the one that is behind comes first."""
        tasks = [pair for contest, pairs in self._contests if not contest.overall.decided_after for pair in pairs]
        names = dict.fromkeys(arm.name for side in (0, 1) for arm in (pair[side] for pair in tasks))
        left = [name for name in names if len(self._queues[name])]
        return sorted(left, key=lambda name: -len(self._queues[name]))

    def next_task(self) -> Task | None:
        if self.failure:
            return None
        open_ = [contest.overall.pairs for contest, _ in self._contests if not contest.overall.decided_after]
        limit = min(open_, default=0) + max(FEWEST_AHEAD, min(open_, default=0))
        for name in self._wanted:
            arm = self._arms[name]
            if task := self._queues[name].next_task(
                arm.stack, arm.scores.__contains__, self._seeds[:limit].__contains__
            ):
                return task
        return None

    def is_done(self) -> bool:
        return bool(self.failure) or not self._wanted

    def complete(self, task: Task, value: str | None) -> str | None:
        job: SeedJob = task.payload
        arm, study = self._arms[self._name(job)], Study.load(job.folder)
        for seed in job.seeds:
            record = study.record(seed)
            if record and record.status != Status.FAILED:
                arm.take(record)
            elif value is None:  # another command trains it
                self._queues[arm.name].put_off(seed)
            else:
                self.failure = f"{task.name}: {value}"
        self._look()
        return value

    def release(self, task: Task) -> None:
        release_job(task.payload)

    def give_up(self, task: Task, reason: str) -> None:
        record_dead_job(task.payload, reason)
        self.failure = f"{task.name}: {reason}"

    def stop(self, reason: str) -> None:
        self.failure = reason

    def _name(self, job: SeedJob) -> str:
        return next(arm.name for arm in self._arms.values() if arm.folder == job.folder)

    def _look(self) -> None:
        """Let each undecided contest take in the seeds that all its arms have."""
        for contest, tasks in self._contests:
            overall = contest.overall
            while not overall.decided_after and overall.pairs < len(self._seeds):
                seed = self._seeds[overall.pairs]
                if not all(seed in arm.scores for pair in tasks for arm in pair):
                    break
                contest.add(seed, [(one.scores[seed], other.scores[seed]) for one, other in tasks])
                self._show(contest)
