"""Does what alters the examples at random follow the seed, and is it new each time?"""

from collections.abc import Iterable

from seedspread.audit.draws import OFTEN, list_regular, list_states
from seedspread.audit.examples_seen import ExamplesSeen, overlap
from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.runs import Runs
from seedspread.audit.seeding import explain_repeats, explain_unseeded, find_changing, list_seeded_examples
from seedspread.audit.trace import Batch

SOURCE = Source.AUGMENTATION
UNALTERED = 0.95  # of the examples of an epoch
AGAIN = "a generator is seeded again each epoch", "seed once, before training"
WORKER_FIX = "worker_init_fn=lambda worker: numpy.random.seed(torch.initial_seed() % 2**32)"
Epoch = tuple[int, int]  # a loader, and its pass
Key = tuple[int, int, int, str]  # epoch, worker, number of the batch, generator


def judge_augmentation(runs: Runs) -> list[Finding]:
    """What loaders make of the examples; without a loader, what is drawn before each training step."""
    loader = runs.first.main.training_loader
    ours, same, others = (trace.batches_of(loader) for trace in runs.traces)
    if loader is None or not ours:
        return _judge_draws(runs)
    if _is_order(ours, others):
        return [Finding(SOURCE, Verdict.NONE, "what is drawn is an order: the examples are those of the other seed")]
    if not any(batch.drawn for batch in ours) and not _changes(ours):
        return _judge_still(ours, same, others, runs)
    found = [*_find_unseeded(runs, ours, same), *_find_repeats(runs, ours), *_find_fixed(ours, others)]
    return found or [Finding(SOURCE, Verdict.VARIES, f"drawn anew for another seed, from {_name(ours)}")]


def _is_order(ours: list[Batch], others: list[Batch]) -> bool:
    """Whether the draws of a data set that is iterated over shuffle its examples, and alter none."""
    if any(batch.indices is not None for batch in ours):
        return False
    epoch = min(batch.epoch for batch in ours)
    rows, theirs = ([row for b in made if b.epoch == epoch for row in b.rows] for made in (ours, others))
    return rows != theirs and overlap(set(rows), set(theirs)) > UNALTERED


def _name(batches: Iterable[Batch]) -> str:
    names = sorted({name.partition("@")[0] for batch in batches for name in batch.drawn})
    return ", ".join(names) or "a generator that is not seen"


def _states(batches: Iterable[Batch]) -> dict[Key, str]:
    return {(b.epoch, b.worker, b.number, name): state for b in batches for name, state in b.drawn.items()}


def _contents(batches: Iterable[Batch]) -> dict[tuple[int, int], int]:
    """The hash of each example by epoch and index."""
    return {(b.epoch, i): row for b in batches for i, row in zip(b.indices or (), b.rows, strict=False)}


def _changes(batches: Iterable[Batch]) -> bool:
    """Whether an example is another in another epoch."""
    seen: dict[int, int] = {}
    return any(seen.setdefault(index, row) != row for (_, index), row in _contents(batches).items())


def _share(one: dict, other: dict) -> float | None:
    """The share of equal values of common keys; None without such keys."""
    common = one.keys() & other.keys()
    return sum(one[key] == other[key] for key in common) / len(common) if common else None


def _judge_still(ours: list[Batch], same: list[Batch], others: list[Batch], runs: Runs) -> list[Finding]:
    """Examples that a loader gives as they are; a module or the program may still alter batches."""
    later = _judge_draws(runs)
    if any(finding.verdict not in (Verdict.NONE, Verdict.UNKNOWN) for finding in later):
        return later
    if ours and all(batch.indices is not None for batch in ours):
        if (
            (share := _share(_contents(ours), _contents(same))) is not None
            and share < 1
            and len({b.epoch for b in ours}) > 1
        ):
            return [Finding(SOURCE, Verdict.UNKNOWN, "the data themselves differ between two runs of one seed")]
        if (caller := _find_own_seed(runs)) is not None:
            evidence = f"{caller} seeds each example with a number of its own, the same for both seeds of the program"
            cause = "right where it makes the data; where it alters them, seed it with (seed, epoch, index)"
            return [Finding(SOURCE, Verdict.FIXED, evidence, cause=cause)]
        return [Finding(SOURCE, Verdict.NONE, "nothing was drawn while the examples were made")]
    return [Finding(SOURCE, Verdict.UNKNOWN, "no generator that is seen was drawn from while the examples were made")]


def _find_own_seed(runs: Runs) -> str | None:
    """The line that makes a generator for each example, with the same seeds for both seeds of the program."""
    ours, others = (list_seeded_examples(trace) for trace in (runs.first, runs.other))
    several = (caller for caller in ours if len(ours[caller]) > 1)
    return next((c for c in several if len(ours[c] & others.get(c, set())) > len(ours[c]) / 2), None)


def _find_unseeded(runs: Runs, ours: list[Batch], same: list[Batch]) -> list[Finding]:
    before, after = _states(ours), _states(same)
    unequal = sorted({key[3] for key in before.keys() & after.keys() if before[key] != after[key]})
    if unequal:
        name = unequal[0]
        cause, fix = explain_unseeded(runs.first.main, name)
        if any(batch.worker >= 0 for batch in ours):
            cause, fix = _explain_workers(runs, name)
        evidence = f"the state of {name.partition('@')[0]} differs before the same batch in two runs of one seed"
        return [Finding(SOURCE, Verdict.UNSEEDED, evidence, f"{SOURCE}.unseeded", cause, fix)]
    share = _share(_contents(ours), _contents(same))
    if not unequal and share is not None and share < 1 and _changes(ours):
        evidence = f"{100 * (1 - share):.0f} % of the examples differ between two runs of one seed"
        cause = "a generator that is made without a seed while examples are made"
        return [Finding(SOURCE, Verdict.UNSEEDED, evidence, f"{SOURCE}.unseeded", cause, "give it a seed")]
    return []


def _explain_workers(runs: Runs, name: str) -> tuple[str, str]:
    """Why workers draw other numbers in two runs of one seed."""
    pairs = zip(runs.first.workers, runs.again.workers, strict=False)
    call = next((call for one, other in pairs if (call := find_changing(one, other))), None)
    if call is not None:
        return f"{call.caller} calls {call.function} in each worker with another value in each run", WORKER_FIX
    cause = f"workers draw from {name.partition('@')[0]}, whose seed follows that of torch"
    return f"{cause}, which is not seeded before the loader is iterated over", "torch.manual_seed(seed) first"


def _find_repeats(runs: Runs, ours: list[Batch]) -> list[Finding]:
    found = []
    by_worker: dict[tuple[Epoch, int], set[tuple[str, str]]] = {}
    by_epoch: dict[Epoch, set[tuple[str, str]]] = {}
    for batch in (batch for loader in runs.first.main.training_loaders for batch in runs.first.batches_of(loader)):
        drawn = {(name.partition("@")[0], state) for name, state in batch.drawn.items()}
        epoch = batch.loader, batch.epoch
        by_worker.setdefault((epoch, batch.worker), set()).update(drawn)
        by_epoch.setdefault(epoch, set()).update(drawn)
    pairs = [(a, b) for a in by_worker for b in by_worker if a[0] == b[0] and a[1] < b[1]]
    repeated = [by_worker[a] & by_worker[b] for a, b in pairs]
    if any(repeated):
        name = next(iter(sorted(next(both for both in repeated if both))))[0]
        evidence = f"{sum(map(bool, repeated))} of {len(pairs)} pairs of workers draw the same numbers from {name}"
        cause, fix = f"each worker seeds {name} alike, or has a copy of one generator", WORKER_FIX
        if name not in ("python", "numpy", "torch"):
            cause = f"each worker has a copy of the generator {name}, in the same state"
            fix = "make it in worker_init_fn, seeded with torch.initial_seed(), which each worker has of its own"
        found.append(Finding(SOURCE, Verdict.WORKERS, evidence, f"{SOURCE}.workers", cause, fix))
    epochs = sorted(by_epoch)
    again = [e for i, e in enumerate(epochs) if i and by_epoch[e] & set().union(*(by_epoch[o] for o in epochs[:i]))]
    drawing = [e for e in epochs if by_epoch[e]]
    if again:
        evidence = f"{len(again)} of {len(epochs) - 1} later epochs draw numbers that an epoch before drew"
        cause = "a generator is seeded again each epoch, or workers get copies of one state"
        fix = "seed with the epoch as well, or with torch.initial_seed() in workers"
        known_cause, known_fix = explain_repeats(runs.first, min(by_epoch[again[0]])[0]) or (cause, fix)
        cause, fix = known_cause, fix if any(batch.worker >= 0 for batch in ours) else known_fix
        found.append(Finding(SOURCE, Verdict.EPOCHS, evidence, f"{SOURCE}.epochs", cause, fix))
    elif len(epochs) > 1 and not _changes(ours) and _recurs(ours):
        cached = drawing and len(drawing) < len(epochs)
        evidence = f"in all {len(epochs)} epochs each example is the same" + (
            ", and only the first draws random numbers" if cached else ", though random numbers are drawn"
        )
        cause = "what was drawn once is stored" if cached else "each example is drawn from a seed of its own"
        kind = f"{SOURCE}.{'cached' if cached else 'epochs'}"
        found.append(Finding(SOURCE, Verdict.EPOCHS, evidence, kind, cause, "store examples before they are altered"))
    return found


def _recurs(batches: list[Batch]) -> bool:
    counts: dict[int, int] = {}
    for _, index in _contents(batches):
        counts[index] = counts.get(index, 0) + 1
    return max(counts.values(), default=0) > 1


def _find_fixed(ours: list[Batch], others: list[Batch]) -> list[Finding]:
    states, content = _share(_states(ours), _states(others)), _share(_contents(ours), _contents(others))
    same_content = content == 1 and _changes(ours)
    if (states is None or states < OFTEN) and not same_content:
        return []
    evidence = f"the numbers drawn from {_name(ours)} are the same for both seeds"
    if same_content:
        evidence = "each example is altered alike for both seeds"
    cause, fix = "what alters examples is seeded with a constant", "seed it with the seed of the run"
    if any(batch.worker >= 0 for batch in ours):
        fix = (
            WORKER_FIX
            if "numpy" in _name(ours)
            else "seed it with torch.initial_seed(), which each worker has of its own"
        )
    return [Finding(SOURCE, Verdict.FIXED, evidence, f"{SOURCE}.fixed", cause, fix)]


def _judge_draws(runs: Runs) -> list[Finding]:
    """Draws of the training process itself between steps."""
    first = runs.first.main
    seen = ExamplesSeen.of(first)
    names = list_regular(first)
    found = [finding for name in names for finding in _judge_generator(runs, name)]
    if (seen.recur or seen.is_one_batch) and not any(finding.verdict == Verdict.EPOCHS for finding in found):
        return [Finding(SOURCE, Verdict.NONE, "the examples come again unchanged")]
    if not names:
        return [Finding(SOURCE, Verdict.UNKNOWN, "no example came twice, and nothing was seen to draw for each batch")]
    if not found:
        shown = " and ".join(names[:2])
        return [
            Finding(SOURCE, Verdict.VARIES, f"what is drawn for the batches, from {shown}, is other for another seed")
        ]
    return list({finding.kind: finding for finding in reversed(found)}.values())


def _judge_generator(runs: Runs, name: str) -> list[Finding]:
    first = runs.first.main
    ours, same, others = (list_states(process, name) for process in runs.mains)
    if not _agree(ours, same):
        cause, fix = explain_unseeded(first, name)
        evidence = f"the state of {name} differs before the same batch in two runs of one seed"
        return [Finding(SOURCE, Verdict.UNSEEDED, evidence, f"{SOURCE}.unseeded", cause, fix)]
    found = []
    if len(set(ours)) <= OFTEN * len(ours):
        evidence = f"{name} has only {len(set(ours))} states before {len(ours)} batches"
        cause, fix = explain_repeats(runs.first, name) or AGAIN
        found.append(Finding(SOURCE, Verdict.EPOCHS, evidence, f"{SOURCE}.epochs", cause, fix))
    if _agree(ours, others):
        evidence = f"{name} has the same states before all batches for both seeds"
        cause, fix = f"{name} is seeded with a constant", "seed it with the seed of the run"
        found.append(Finding(SOURCE, Verdict.FIXED, evidence, f"{SOURCE}.fixed", cause, fix))
    return found


def _agree(one: list[tuple[str, int]], other: list[tuple[str, int]]) -> bool:
    n = min(len(one), len(other))
    return one[:n] == other[:n]
