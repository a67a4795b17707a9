"""Plans the runs of an audit, a run at a time as the last ones ask for, and judges every source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from seedspread.audit import environment
from seedspread.audit.augmentation import judge_augmentation
from seedspread.audit.data_split import judge_data
from seedspread.audit.difference import Difference, find_difference, locate_module
from seedspread.audit.dropout import judge_dropout
from seedspread.audit.evaluation import judge_evaluation
from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.initialisation import judge_initialisation
from seedspread.audit.kernels import COMPUTED, judge_kernels
from seedspread.audit.order import judge_order
from seedspread.audit.program import HASH_SEEDS, Settings, TracedProgram, is_python_fixed
from seedspread.audit.resume import judge_resume
from seedspread.audit.runs import Runs
from seedspread.audit.trace import Trace

Say = Callable[[str], None]


@dataclass(frozen=True)
class Audit:
    """What came of an audit: the steps that were traced, the first difference of two runs of one seed, findings."""

    steps: int
    difference: Difference | None
    located: Difference | None
    findings: list[Finding] = field(default_factory=list)

    @property
    def alarms(self) -> list[Finding]:
        """The findings that are flaws."""
        return [finding for finding in self.findings if finding.alarm]


def audit_program(
    program: TracedProgram,
    seeds: tuple[int, int] = (0, 1),
    workers: Sequence[int] = (),
    resume: str | None = None,
    say: Say = lambda _: None,
) -> Audit:
    """Run a program three times, more often where runs of one seed differ, and judge. Raises InputError."""
    seed, other_seed = seeds

    def run(name: str, what: str, settings: Settings) -> Trace:
        say(f"{name}: {what}")
        return program.run(name, settings)

    first = run("first", f"seed {seed}", Settings(seed))
    again = run(
        "again", f"seed {seed}, directories in reverse, another PYTHONHASHSEED", Settings(seed, HASH_SEEDS[1], True)
    )
    other = run("other", f"seed {other_seed}", Settings(other_seed))
    runs, found, located, surroundings = Runs(first, again, other), None, None, environment.SAME
    if not first.main.steps:
        surroundings = environment.UNSEEN
    elif is_python_fixed():
        surroundings = environment.FIXED
    apart = find_difference(first.main, again.main)
    if apart is not None:
        third = run("third", f"seed {seed} as the first, by module", Settings(seed, level="modules"))
        found = find_difference(first.main, third.main)
        surroundings = environment.UNKNOWN if found else _find_surroundings(run, seed, first, again)
        if found is not None or surroundings is not environment.UNKNOWN:
            runs = Runs(first, third, other)
        else:  # the third is as the first by chance
            found = apart
        if found is not None and found.part in COMPUTED:
            located = _locate(run, seed, third)
    findings = judge(runs, found, located, surroundings)
    for count in workers:
        findings.append(_judge_workers(run, seed, count, first))
    if resume is not None:
        half = max(1, first.main.steps // 2)
        run("interrupted", f"seed {seed}, ended after step {half}", Settings(seed, limit=half))
        say(f"resumed: {resume}")
        resumed = program.run("resumed", Settings(seed), "interrupted", resume)
        findings.append(judge_resume(first, resumed))
    return Audit(min(trace.main.steps for trace in (first, again)), found or apart, located, findings)


def judge(runs: Runs, found: Difference | None, located: Difference | None, surroundings: Finding) -> list[Finding]:
    """The findings of three runs, source by source."""
    time = environment.judge_time(runs, found)
    return [
        judge_initialisation(runs, found),
        judge_data(runs, found),
        *judge_order(runs),
        *judge_augmentation(runs),
        *judge_dropout(runs),
        *judge_evaluation(runs),
        judge_kernels(runs, found, located),
        surroundings if time is None else time,
    ]


def _find_surroundings(run: Callable[[str, str, Settings], Trace], seed: int, first: Trace, again: Trace) -> Finding:
    """Which of two things that were changed makes the second run another than the first; UNKNOWN where neither does."""
    if not is_python_fixed():
        hashed = run("hashed", f"seed {seed}, another PYTHONHASHSEED alone", Settings(seed, HASH_SEEDS[1]))
        if find_difference(hashed.main, again.main) is None:
            return environment.HASHES
    listed = run("listed", f"seed {seed}, directories in reverse alone", Settings(seed, is_reversed=True))
    return environment.DIRECTORIES if find_difference(listed.main, again.main) is None else environment.UNKNOWN


def _locate(run: Callable[[str, str, Settings], Trace], seed: int, third: Trace) -> Difference | None:
    """Where runs by module first differ; what differs seldom may need several."""
    for name in ("fourth", "fifth", "sixth"):
        trace = run(name, f"seed {seed} as the third, by module", Settings(seed, level="modules"))
        if (found := locate_module(third.main, trace.main)) is not None:
            return found
    return None


def _judge_workers(run: Callable[[str, str, Settings], Trace], seed: int, count: int, first: Trace) -> Finding:
    source = Source.WORKERS
    trace = run(f"workers-{count}", f"seed {seed}, {count} workers", Settings(seed, workers=count))
    if first.main.training_loader is None:
        return Finding(source, Verdict.UNKNOWN, "no DataLoader was seen to train")
    found = find_difference(first.main, trace.main)
    if found is None:
        return Finding(source, Verdict.SAME, f"with {count} workers all {trace.main.steps} steps are the same")
    evidence = f"with {count} workers {found.part} of step {found.step} differs"
    cause = "workers draw from seeds of their own"
    fix = "draw what alters an example from (seed, epoch, index)"
    return Finding(source, Verdict.DIFFERS, evidence, f"{source}.differs", cause, fix)
