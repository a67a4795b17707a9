"""Are the training examples themselves the same in two runs of one seed: data and split?"""

from seedspread.audit.difference import Difference, Part
from seedspread.audit.draws import list_regular
from seedspread.audit.examples_seen import ExamplesSeen, overlap
from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.runs import Runs
from seedspread.audit.seeding import (
    explain_difference,
    explain_unseeded,
    find_changing,
    find_unequal,
    list_seedings,
)
from seedspread.audit.trace import Trace

SOURCE = Source.DATA
FIXES = {
    "python": "random.seed(seed) before the data are shuffled or split",
    "numpy": "numpy.random.seed(seed), or random_state=seed of what splits or samples",
    "torch": "torch.manual_seed(seed), or generator=torch.Generator().manual_seed(seed) of random_split",
}
FIX = "a seed for what splits: random_state=seed, or generator=torch.Generator().manual_seed(seed)"


def judge_data(runs: Runs, found: Difference | None = None) -> Finding:
    """Which examples train, as a loader's subset or as the set of all that were seen.

    `found` is the first difference of two runs of one seed.
    """
    if found is not None and found.part == Part.TARGETS:
        evidence = f"step {found.step}: other targets with equal inputs in two runs of one seed"
        cause, _ = explain_difference(runs.first.main, runs.again.main)
        return Finding(
            SOURCE, Verdict.UNSEEDED, evidence, "targets.unseeded", cause, "seed what draws or numbers the targets"
        )
    if runs.first.main.boundary == "fit":
        return _judge_fits(runs)
    loader = runs.first.main.training_loader
    splits = [_split_of(trace, loader) for trace in (runs.first, runs.again, runs.other)]
    if splits[0] is not None:
        if splits[0] != splits[1]:
            evidence = "other examples train in two runs of one seed"
            return Finding(SOURCE, Verdict.UNSEEDED, evidence, "split.unseeded", *_explain(runs))
        if splits[0] != splits[2]:
            return Finding(SOURCE, Verdict.VARIES, "other examples train for another seed")
        return Finding(SOURCE, Verdict.FIXED, "the same examples train for every seed")
    sets = [_find_set(trace, loader) for trace in (runs.first, runs.again, runs.other)]
    ours, same, others = sets
    if ours is None or same is None:
        why = "no example came twice unchanged within the traced steps"
        return Finding(SOURCE, Verdict.UNKNOWN, why)
    if ours != same:
        shared = overlap(ours, same)
        kind, what = ("split", "other examples train") if shared > 0.02 else ("data", "other data train")
        evidence = f"{what} in two runs of one seed: they share {100 * shared:.0f} %"
        return Finding(SOURCE, Verdict.UNSEEDED, evidence, f"{kind}.unseeded", *_explain(runs))
    if others is None or ours != others:
        if loader is None and list_regular(runs.first.main):
            return Finding(SOURCE, Verdict.UNKNOWN, "the examples are altered by what is drawn for each batch")
        return Finding(SOURCE, Verdict.VARIES, "other examples train for another seed")
    return Finding(SOURCE, Verdict.FIXED, "the same examples train for every seed")


def _judge_fits(runs: Runs) -> Finding:
    """What estimators are fitted to."""
    given = [[event[2] for event in process.of("fit")] for process in runs.mains]
    ours, same, others = given
    estimators = [event[1] for event in runs.first.main.of("fit")]
    unequal = [name for name, a, b in zip(estimators, ours, same, strict=False) if a != b]
    if unequal:
        evidence = f"{unequal[0]}.fit is given other data in two runs of one seed"
        return Finding(SOURCE, Verdict.UNSEEDED, evidence, "split.unseeded", *_explain(runs))
    if ours[: len(others)] != others[: len(ours)]:
        return Finding(SOURCE, Verdict.VARIES, "estimators are fitted to other data for another seed")
    return Finding(SOURCE, Verdict.FIXED, "estimators are fitted to the same data for every seed")


def _explain(runs: Runs) -> tuple[str, str]:
    first, again = runs.first.main, runs.again.main
    if (changing := find_changing(first, again)) is not None and changing.value is not None:
        return f"{changing.caller} seeds with another value in each run", FIX
    if (name := find_unequal(first, again)) is not None:
        cause, line = explain_unseeded(first, name)
        return cause, FIXES.get(name, line) if cause.startswith("no call") else line
    if not list_seedings(first):
        return "no call seeds a generator", FIX
    return "the split is drawn before its generator is seeded, or from one that is not", FIX


def _split_of(trace: Trace, loader: int | None) -> str | None:
    found = [event[2].get("split") for event in trace.main.of("loader") if event[1] == loader]
    return found[0] if found else None


def _find_set(trace: Trace, loader: int | None) -> set[int] | None:
    """The hashes of all training examples, where nothing alters them at random and all were seen."""
    batches = trace.batches_of(loader) if loader is not None else []
    if batches:
        by_index: dict[int, set[int]] = {}
        for batch in batches:
            for index, row in zip(batch.indices or (), batch.rows, strict=False):
                by_index.setdefault(index, set()).add(row)
        seen = [row for batch in batches for row in batch.rows]
        if any(len(rows) > 1 for rows in by_index.values()) or not ExamplesSeen([tuple(seen)]).recur:
            return None
        return set(seen)
    seen_by_module = ExamplesSeen.of(trace.main)
    return seen_by_module.all if seen_by_module.recur else None
