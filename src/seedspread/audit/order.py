"""Does the order of the examples follow the seed?"""

from itertools import pairwise
from typing import Any

from seedspread.audit.draws import list_regular
from seedspread.audit.examples_seen import ExamplesSeen, overlap
from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.runs import Runs
from seedspread.audit.seeding import (
    explain_difference,
    explain_repeats,
    explain_unseeded,
    find_repeated,
    find_unequal,
    list_seedings,
)
from seedspread.audit.trace import Process

SOURCE = Source.ORDER
FEW = 8  # examples, of which an order says little
Streams = dict[tuple[int, int, int], tuple[int, ...]]  # examples by epoch, worker and number of the batch
Passes = dict[tuple[int, int], list[Any]]  # batches by loader and epoch


def judge_order(runs: Runs) -> list[Finding]:
    """The order in which a sampler, or the program itself, takes the training examples."""
    first, again, other = runs.mains
    loader = first.training_loader
    if loader is not None:
        ours, same, others = (process.orders(first.training_loaders) for process in (first, again, other))
        if _holds_indices(ours):
            return _judge_indices(runs, ours, same, others)
        if ours and any(batch.worker >= 0 for batch in runs.first.batches_of(loader)):
            return _judge_streams(runs, loader)
    return [_judge_rows(runs)]


def _holds_indices(passes: Passes) -> bool:
    batches = [batch for one in passes.values() for batch in one]
    return bool(batches) and all(isinstance(batch, list) for batch in batches) and any(any(b) for b in batches)


def _judge_indices(runs: Runs, ours: Passes, same: Passes, others: Passes) -> list[Finding]:
    if not _agree(ours, same):
        return [_unseeded(runs, "the indices that the sampler draws differ between two runs of one seed")]
    flat = [_flatten(ours[epoch]) for epoch in sorted(ours)]
    sequential = all(indices == sorted(indices) for indices in flat)
    if sequential:
        return [Finding(SOURCE, Verdict.NONE, "the examples are taken in their order, not shuffled")]
    found = []
    if _agree(ours, others):
        found.append(_fixed(runs, "the sampler draws the same indices for both seeds"))
    again = [one for one, later in pairwise(flat) if _is_prefix(one, later)]
    if again:
        evidence = f"{len(again)} of {len(flat) - 1} later epochs take the examples in the order of the one before"
        found.append(_repeats(runs, evidence))
    return found or [Finding(SOURCE, Verdict.VARIES, "the sampler draws other indices for another seed")]


def _repeats(runs: Runs, evidence: str) -> Finding:
    cause = "the sampler begins each epoch from one state"
    fix = "sampler.set_epoch(epoch) of a DistributedSampler, or a generator that is not seeded again each epoch"
    cause, fix = explain_repeats(runs.first, next(iter(_order_generators(runs.first.main)), None)) or (cause, fix)
    return Finding(SOURCE, Verdict.EPOCHS, evidence, f"{SOURCE}.epochs", cause, fix)


def _flatten(batches: list[Any]) -> list[int]:
    return [index for batch in batches for index in (batch if isinstance(batch, list) else [batch])]


def _is_prefix(one: list[int], other: list[int]) -> bool:
    n = min(len(one), len(other))
    return n >= FEW and one[:n] == other[:n]


def _agree(one: Passes, other: Passes) -> bool:
    """Whether two runs take the same batches, as far as both go."""
    pairs = [(a, b) for e in one.keys() & other.keys() for a, b in zip(one[e], other[e], strict=False)]
    return all(a == b for a, b in pairs)


def _judge_streams(runs: Runs, loader: int) -> list[Finding]:
    """Batches of workers without indices: of a data set that is iterated over."""
    made = [{(b.epoch, b.worker, b.number): b.rows for b in t.batches_of(loader)} for t in runs.traces]
    ours, same, others = made
    if any(ours[key] != same[key] for key in ours.keys() & same.keys()):
        return [_unseeded(runs, "the batches that workers make differ between two runs of one seed")]
    if (copies := _find_copies(ours)) is not None:
        return [copies]
    if (again := _find_same_streams(runs, ours, others)) is not None:
        return [again]
    shared = ours.keys() & others.keys()
    if shared and all(ours[key] == others[key] for key in shared):
        drawn = sorted({name.partition("@")[0] for b in runs.first.batches_of(loader) for name in b.drawn})
        if drawn:
            evidence = f"workers draw from {drawn[0]}, and make the same batches for both seeds"
            return [_fixed(runs, evidence, drawn[0])]
        return [Finding(SOURCE, Verdict.FIXED, "workers make the same batches for both seeds")]
    return [Finding(SOURCE, Verdict.VARIES, "workers make other batches for another seed")]


def _find_copies(made: Streams) -> Finding | None:
    """Workers that give the examples of other workers, in one pass."""
    given: dict[tuple[int, int], set[int]] = {}
    for (epoch, worker, _), rows in made.items():
        given.setdefault((epoch, worker), set()).update(rows)
    pairs = [(a, b) for a in given for b in given if a[0] == b[0] and a[1] < b[1]]
    same = [pair for pair in pairs if overlap(given[pair[0]], given[pair[1]]) > 0.5]
    if not same:
        return None
    evidence = f"{len(same)} of {len(pairs)} pairs of workers give the same examples"
    cause, fix = "the stream is not split between workers", "split it by torch.utils.data.get_worker_info()"
    return Finding(SOURCE, Verdict.WORKERS, evidence, f"{SOURCE}.workers", cause, fix)


def _find_same_streams(runs: Runs, ours: Streams, others: Streams) -> Finding | None:
    """Workers that give examples in another order for another seed, and in the same in each epoch."""
    given, theirs = _join(ours), _join(others)
    later = [key for key in given if (key[0] - 1, key[1]) in given]
    same = [key for key in later if _is_prefix(given[key[0] - 1, key[1]], given[key])]
    drawn = [
        key for key in same if given[key] != theirs.get(key) and overlap({*given[key]}, {*theirs.get(key, ())}) > 0.5
    ]
    if not drawn:
        return None
    epochs, all_epochs = {key[0] for key in drawn}, {key[0] for key in later}
    return _repeats(
        runs, f"{len(epochs)} of {len(all_epochs)} later epochs give the examples in the order of the one before"
    )


def _join(made: Streams) -> dict[tuple[int, int], list[int]]:
    """The examples that each worker gives in each epoch, in their order."""
    found: dict[tuple[int, int], list[int]] = {}
    for epoch, worker, number in sorted(made):
        found.setdefault((epoch, worker), []).extend(made[epoch, worker, number])
    return found


def _judge_rows(runs: Runs) -> Finding:
    """The examples as the network receives them, and the permutations that were drawn."""
    first = runs.first.main
    ours, same, others = (ExamplesSeen.of(process) for process in runs.mains)
    if not ours.batches:
        return _judge_permutations(runs) or Finding(SOURCE, Verdict.UNKNOWN, "no training batch was seen")
    if ours.is_one_batch:
        return Finding(SOURCE, Verdict.NONE, "each step takes all examples")
    if not ours.recur:
        return _judge_permutations(runs) or _judge_batches(runs, ours, same, others)
    if ours.sequence[: len(same.sequence)] != same.sequence[: len(ours.sequence)]:
        if overlap(ours.all, same.all) > 0.98 or ours.by_appearance != same.by_appearance:
            return _unseeded(runs, "the examples come in another order in two runs of one seed")
    elif (found := _judge_permutations(runs)) is not None:
        return found
    if ours.repeats and others.repeats and ours.sequence != others.sequence and overlap(ours.all, others.all) < 0.5:
        return Finding(SOURCE, Verdict.NONE, "each epoch takes the examples in one order: not shuffled, or once")
    if ours.sequence == others.sequence:
        if ours.repeats:
            return Finding(SOURCE, Verdict.NONE, "each epoch of both seeds takes the examples in one order")
        return _fixed(runs, "the examples come in the same order for both seeds")
    repeated, of_other = find_repeated(first), find_repeated(runs.other.main)
    follows = repeated is not None and of_other is not None and repeated.value != of_other.value
    if ours.repeats and follows and overlap(ours.all, others.all) > 0.5:
        return _repeats(runs, "each epoch takes the examples in the order of the first")
    if overlap(ours.all, others.all) > 0.5 or ours.by_appearance != others.by_appearance:
        return Finding(SOURCE, Verdict.VARIES, "the examples come in another order for another seed")
    return Finding(SOURCE, Verdict.UNKNOWN, "the seeds have other data")


def _judge_batches(runs: Runs, ours: ExamplesSeen, same: ExamplesSeen, others: ExamplesSeen) -> Finding:
    """Batches of examples that never come again: order and augmentation are not told apart."""
    if _common(ours, same) < 1:
        return _unseeded(runs, "the training batches differ between two runs of one seed")
    if _common(ours, others) == 1 and not list_regular(runs.first.main):
        return Finding(SOURCE, Verdict.NONE, "both seeds take the same batches, and nothing is drawn for them")
    if _common(ours, others) == 1:
        evidence = "the training batches are the same for both seeds; no example came twice"
        return Finding(SOURCE, Verdict.FIXED, evidence, f"{SOURCE}.fixed", *_why_fixed(runs))
    return Finding(SOURCE, Verdict.VARIES, "other batches for another seed; no example came twice")


def _common(one: ExamplesSeen, other: ExamplesSeen) -> float:
    pairs = list(zip(one.batches, other.batches, strict=False))
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 1.0


def _judge_permutations(runs: Runs) -> Finding | None:
    """Permutations that were drawn now and then while it trained; None where there are none."""
    drawn = [_list_permutations(process) for process in runs.mains]
    ours, same, others = drawn
    if not ours:
        return None
    where = ours[0][3]
    if [event[2] for event in ours] != [event[2] for event in same][: len(ours)]:
        return _unseeded(runs, f"the permutations drawn at {where} differ between two runs of one seed")
    hashes = [event[2] for event in ours]
    found = [event[2] for event in others][: len(ours)] == hashes
    if found:
        return _fixed(runs, f"the permutations drawn at {where} are the same for both seeds")
    if len(hashes) > 1 and len(set(hashes)) == 1:
        evidence = f"the permutation drawn at {where} is the same each time"
        return _repeats(runs, evidence)
    return Finding(SOURCE, Verdict.VARIES, f"other permutations are drawn at {where} for another seed")


def _list_permutations(process: Process) -> list[Any]:
    """As the fields of the commonest place, where it draws in fewer than half of the steps: an order, no mixing."""
    events = [event[1:] for event in process.of("permutation") if event[2] >= FEW and "DataLoader" not in event[1]]
    places: dict[str, list[Any]] = {}
    for event in events:
        places.setdefault(event[3], []).append(event)
    rare = [found for found in places.values() if 2 * len(found) <= max(process.steps, 2)]
    return max(rare, key=lambda found: (len(found), found[0][1]), default=[])


def _unseeded(runs: Runs, evidence: str) -> Finding:
    first = runs.first.main
    cause, fix = explain_difference(first, runs.again.main)
    if find_unequal(first, runs.again.main) is None and (names := _order_generators(first)):
        cause, fix = explain_unseeded(first, names[0])
    return Finding(SOURCE, Verdict.UNSEEDED, evidence, f"{SOURCE}.unseeded", cause, fix)


def _order_generators(process: Process) -> list[str]:
    moved = [name for event in process.of("order") for name in event[3]]
    moved += [name for event in process.of("pass") for name in event[4]]
    return sorted(set(moved), key=lambda name: -moved.count(name))


def _fixed(runs: Runs, evidence: str, generator: str = "a generator") -> Finding:
    return Finding(SOURCE, Verdict.FIXED, evidence, f"{SOURCE}.fixed", *_why_fixed(runs, generator))


def _why_fixed(runs: Runs, generator: str = "a generator") -> tuple[str, str]:
    """The cause, with a call that seeds with the same value for both seeds where there is one."""
    ours, others = (list_seedings(process) for process in (runs.first.main, runs.other.main))
    constant = [call for call in ours if call.value is not None and call in others]
    seeded = f"{generator} is seeded with a constant" + (f" ({constant[0].caller})" if constant else "")
    return f"{seeded}, or an order was stored", "seed what draws the order with the seed of the run"
