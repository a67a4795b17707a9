"""Is the candidate better, trained until that is decided: `seedspread decide baseline=A candidate=B worth=0.2`.

Looks after every pair of seeds with an interval that is valid at every look. Arms train with the same seeds, in their
order; files of scores are decided on without training. Imports neither torch nor Lightning: the workers do.
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig

from seedspread.commands.console import as_list, plain_errors
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.extras import check_train_extra
from seedspread.config.overrides import override_key, quote_overrides
from seedspread.config.resolve import count_workers
from seedspread.config.schema import Decide
from seedspread.decide.arms import SCORE, Arm, check_units, common_metric
from seedspread.decide.decision import ALPHA, Contest, exit_code, open_contest
from seedspread.decide.plan import DecisionPlan
from seedspread.decide.rows import pair_rows, read_pairs, write_pairs
from seedspread.decide.score_files import is_score_file, read_arm
from seedspread.decide.trained_arms import OF_A_RUN, TrainedArm, compose_arm
from seedspread.execution.executors import start_executor
from seedspread.execution.leases import discard_unused
from seedspread.execution.scheduler import run_plan
from seedspread.execution.signals import handle_interrupts, say
from seedspread.records.files import check_writable, combined_folder
from seedspread.records.study import describe_studies
from seedspread.report.decision_page import write_decision
from seedspread.report.decision_words import Cost, look_line, notes, task_rows, verdict_line

OWN = ("baseline", "candidate", "worth", "budget", "direction", "column", "seed_column")
PAIRS_BETWEEN_LINES = 5

Texts = tuple[list[str], list[list[str]]]  # the arms as typed: the baseline's tasks, and each candidate's


def read_arms(cfg: DictConfig) -> Texts:
    """The arms that `cfg` names; InputError where one is missing, or tasks have no partner."""
    named = {"baseline": cfg.baseline, "candidate": cfg.candidate}
    lists = {key: as_list(value) for key, value in named.items()}
    for key, values in lists.items():
        if not values or any(value in (None, "") for value in values):
            raise InputError(
                f"{key}=?: name a study ({cfg.results} has {describe_studies(cfg.results)}), an experiment, overrides "
                f"in quotes ({key}='experiment=digits loss.smoothing=0'), or a file of scores ending in .csv"
            )
    ones, others = ([str(value) for value in values] for values in lists.values())
    for i, text in enumerate(every := [*ones, *others]):
        if text in every[:i]:
            raise InputError(f"candidate={text}: it is named twice; a decision needs two different arms")
    if len(ones) == 1:
        return ones, [[other] for other in others]
    if len(ones) != len(others):
        raise InputError(
            f"baseline={cfg.baseline}: {len(ones)} tasks, and {len(others)} candidates; name one candidate for each"
        )
    return ones, [others]


def decide_files(cfg: DictConfig, arms: Texts) -> tuple[list[Contest], Path]:
    """The decisions on the pairs in files, all of them looked at; and the folder of their page."""
    ones, candidates = arms
    read = {text: read_arm(Path(text), cfg.column, cfg.seed_column) for text in [*ones, *chain(*candidates)]}
    names = [arm.name for arm in read.values()]
    if len(set(names)) < len(names):  # files of one name in several folders
        read = {text: replace(arm, name=f"{Path(text).parent.name}_{arm.name}") for text, arm in read.items()}
    if cfg.direction != "auto":
        read = {text: replace(arm, metric=replace(SCORE, direction=cfg.direction)) for text, arm in read.items()}
    for one, other in ((one, other) for texts in candidates for one, other in zip(ones, texts, strict=True)):
        check_units([read[one], read[other]])
    metric = common_metric(list(read.values()))
    folder = _folder(cfg, [read[text].name for text in ones], [[read[t].name for t in texts] for texts in candidates])
    contests = []
    for texts in candidates:
        rows = []
        for one, other in zip(ones, texts, strict=True):
            place = folder / (f"pairs-{read[other].name}.csv" if len(names) > 2 else "pairs.csv")
            what = f"column={cfg.column} direction={metric.direction}"
            rows.append(pair_rows(read[one], read[other], read_pairs(place, what)))
            write_pairs(place, rows[-1], what)
            _say_unpaired(read[one], read[other], len(rows[-1]))
        sides = [read[text].name for text in ones], [read[text].name for text in texts]
        contest = open_contest(*sides, [metric] * len(ones), _worth(cfg), ALPHA / len(candidates))
        for pairs in zip(*rows, strict=False):
            contest.add(pairs[0][0], [(one, other) for _, one, other in pairs])
        contests.append(contest)
    return contests, folder


def _say_unpaired(baseline: Arm, candidate: Arm, pairs: int) -> None:
    """Say how many rows have no partner; InputError where none has one."""
    if not pairs:
        raise InputError(
            f"{baseline.name} and {candidate.name} have no pair: no seed is in both files, or one has no rows; "
            "seed_column=null pairs row by row"
        )
    alone = [f"{arm.n - pairs:,} rows of {arm.name}" for arm in (baseline, candidate) if arm.n > pairs]
    if alone:
        say(f"{' and '.join(alone)} have no partner yet: they count once the other file has their seed or row")


def decide_by_training(cfg: DictConfig, arms: Texts) -> tuple[list[Contest], list[Cost | None], Path]:
    """The decisions, once the arms have trained what they take; InputError where a seed fails."""
    check_train_extra()
    typed = HydraConfig.get().overrides.task
    if given := [o for o in typed if override_key(o).split(".")[0] in OF_A_RUN]:
        raise InputError(
            f"{given[0]}: not for all arms; a decision trains seeds 0 to {cfg.budget - 1} of each, in order"
        )
    shared = [o for o in typed if override_key(o).split(".")[0] not in OWN]
    ones, candidates = arms
    baselines = [compose_arm(cfg.results, "baseline", text, shared) for text in ones]
    others = [[compose_arm(cfg.results, "candidate", text, shared) for text in texts] for texts in candidates]
    every = [*baselines, *(arm for row in others for arm in row)]
    for i, arm in enumerate(every):
        if arm.folder in [earlier.folder for earlier in every[:i]]:
            raise InputError(
                f"study={arm.name}: two arms have this study; name another in the overrides of one, study="
            )
    folder = _folder(cfg, [arm.name for arm in baselines], [[arm.name for arm in row] for row in others])
    seeds = range(cfg.budget)
    with ExitStack() as made, handle_interrupts():
        for arm in every:
            made.enter_context(discard_unused(arm.folder))
            check_writable(arm.folder)
        executor = made.enter_context(start_executor(every[0].cfg, *count_workers(every[0].cfg)))
        for arm in every:
            arm.prepare(executor, seeds)
        contests = [
            open_contest(
                [arm.name for arm in baselines],
                [arm.name for arm in row],
                [arm.metric for arm in row],
                _worth(cfg),
                ALPHA / len(others),
                [one.digest == other.digest for one, other in zip(baselines, row, strict=True)],
            )
            for row in others
        ]
        for one, other in ((one, other) for row in others for one, other in zip(baselines, row, strict=True)):
            if one.metric != other.metric:
                raise InputError(
                    f"{one.name} is scored by {one.metric.describe()}, {other.name} by {other.metric.describe()}: a "
                    "decision needs one metric; set metric.name= of one"
                )
        tasks = [list(zip(baselines, row, strict=True)) for row in others]
        plan = DecisionPlan(
            list(zip(contests, tasks, strict=True)),
            seeds,
            60 * cfg.lease_minutes,
            lambda contest: _show(contest, cfg.budget),
        )
        run_plan(plan, executor, cfg.fail_fast)
    if plan.failure:
        raise InputError(f"{plan.failure}\nA decision needs every seed; fix the cause and run the same command again.")
    return contests, [_cost(contest, row) for contest, row in zip(contests, tasks, strict=True)], folder


def _show(contest: Contest, budget: int) -> None:
    """Print a line for every fifth pair, and for the one that decides."""
    d = contest.overall
    if d.pairs % PAIRS_BETWEEN_LINES == 0 or d.decided_after == d.pairs:
        say(look_line(contest, budget))


def _cost(contest: Contest, tasks: Sequence[tuple[TrainedArm, TrainedArm]]) -> Cost | None:
    """What the seeds of the pairs that decided cost, or of all pairs: their training, and per seed of either side."""
    used = range(contest.overall.decided_after or contest.overall.pairs)
    both = [
        (one.seconds[seed], other.seconds[seed])
        for one, other in tasks
        for seed in one.seconds.keys() & other.seconds.keys() & set(used)
    ]
    if not both:
        return None
    sides = [sum(side) / len(both) for side in zip(*both, strict=True)]
    arms = [arm for pair in tasks for arm in pair]
    hours = sum(arm.seconds.get(seed, 0.0) for arm in arms for seed in used) / 3600
    return Cost((sides[0], sides[1]), sum(seed in arm.scores for arm in arms for seed in used), hours)


def _worth(cfg: DictConfig) -> float | list[float] | None:
    return [float(w) for w in cfg.worth] if isinstance(cfg.worth, ListConfig) else cfg.worth


def _folder(cfg: DictConfig, baselines: Sequence[str], candidates: Sequence[Sequence[str]]) -> Path:
    names = "+".join(name for row in candidates for name in row)
    return combined_folder(Path(cfg.results), f"{names}-against-{'+'.join(baselines)}-decision")


@hydra.main(version_base="1.3", config_path=CONF, config_name="decide")
def _main(cfg: DictConfig) -> None:
    code = 1
    with plain_errors():
        check_config(cfg, Decide)
        arms = read_arms(cfg)
        files = [is_score_file(text) for text in [*arms[0], *chain(*arms[1])]]
        budget: int | None = None
        if all(files):
            if "budget" in map(override_key, HydraConfig.get().overrides.task):
                raise InputError(f"budget={cfg.budget}: files are decided on as they are; leave it out")
            contests, folder = decide_files(cfg, arms)
            costs: list[Cost | None] = [None] * len(contests)
        elif not any(files):
            budget = cfg.budget
            contests, costs, folder = decide_by_training(cfg, arms)
        else:
            raise InputError(
                "a file of scores cannot be trained further: name files alone, or studies and overrides alone"
            )
        page = write_decision(contests, costs, budget, folder)
        say("\n" + "\n".join(verdict_line(contest) for contest in contests))
        for contest, cost in zip(contests, costs, strict=True):
            if details := _details(contest, cost, budget):
                say("\n".join(["", *([contest.name] if len(contests) > 1 else []), *details]))
        say(f"\npage in {page}")
        code = exit_code([contest.overall.outcome for contest in contests])
    sys.exit(code)


def _details(contest: Contest, cost: Cost | None, budget: int | None) -> list[str]:
    rows = [
        f"{arms} after {pairs} pairs: {difference}, {interval}, {verdict}, {p} by Holm"
        for arms, pairs, difference, interval, verdict, p in _tasks(contest)
    ]
    return [f"  - {line}" for line in [*rows, *notes(contest, cost, budget)]]


def _tasks(contest: Contest) -> list[tuple[str, ...]]:
    return task_rows(contest) if len(contest.tasks) > 1 and contest.overall.looks else []


def main() -> None:
    """Decide between the arms on the command line; exit with the code of the verdict."""
    sys.argv[1:] = quote_overrides(sys.argv[1:], ["baseline", "candidate"])
    _main()
