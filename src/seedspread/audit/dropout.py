"""Does what a forward pass draws, dropout and the like, follow the seed, and does each rank draw its own?"""

from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.runs import Runs
from seedspread.audit.seeding import explain_repeats, explain_unseeded
from seedspread.audit.trace import FUNCTIONAL, Forward, Process, Trace

SOURCE = Source.DROPOUT
Draw = tuple[str, str, int]  # a generator, its state, the network
AGAIN = "a generator is seeded again while it trains", "seed once, before training"


def judge_dropout(runs: Runs) -> list[Finding]:
    """The states of generators before the training passes that draw."""
    drawn = [_list_draws(process) for process in runs.mains]
    ours, same, others = drawn
    if not ours:
        if not runs.first.main.training:
            return [Finding(SOURCE, Verdict.UNKNOWN, "no training forward pass was seen")]
        if all(forward.root == FUNCTIONAL for forward in runs.first.main.training):
            return [Finding(SOURCE, Verdict.UNKNOWN, "no module was called: all that is drawn counts as augmentation")]
        return [Finding(SOURCE, Verdict.NONE, "no forward pass draws random numbers")]
    if not _agree(ours, same):
        name = next(a[0] for a, b in zip(ours, same, strict=False) if a != b)
        cause, fix = explain_unseeded(runs.first.main, name)
        evidence = f"the state of {name} differs before the same forward pass in two runs of one seed"
        return [Finding(SOURCE, Verdict.UNSEEDED, evidence, f"{SOURCE}.unseeded", cause, fix)]
    found = []
    if len(set(ours)) <= len(ours) / 2 and len(ours) > 2:
        evidence = f"{len(ours)} forward passes draw from only {len(set(ours))} states"
        cause, fix = explain_repeats(runs.first, ours[0][0]) or AGAIN
        found.append(Finding(SOURCE, Verdict.STEPS, evidence, f"{SOURCE}.steps", cause, fix))
    if _agree(ours, others):
        evidence = "forward passes draw the same numbers for both seeds"
        cause, fix = "the generator is seeded with a constant", "torch.manual_seed(seed)"
        found.append(Finding(SOURCE, Verdict.FIXED, evidence, f"{SOURCE}.fixed", cause, fix))
    found += judge_ranks(runs.first)
    return found or [Finding(SOURCE, Verdict.VARIES, "forward passes draw other numbers for another seed")]


def _list_draws(process: Process) -> list[Draw]:
    """Each training pass that draws; another network, as that of another fold, may draw the same numbers."""
    return [(name, f.states.get(name, ""), f.root) for f in process.training for name in sorted(f.during)]


def _agree(one: list[Draw], other: list[Draw]) -> bool:
    n = min(len(one), len(other))
    return one[:n] == other[:n]


def judge_ranks(trace: Trace) -> list[Finding]:
    """Ranks that draw the same numbers for other batches; nothing where there is one rank, or none draws."""
    if len(trace.ranks) < 2:
        return []
    one, other = trace.ranks[:2]
    pairs = [(a.inputs != b.inputs, _drawn(a), _drawn(b)) for a, b in zip(one.training, other.training, strict=False)]
    made = zip(trace.batches_by(one), trace.batches_by(other), strict=False)
    pairs += [(a.rows != b.rows, a.drawn, b.drawn) for a, b in made]
    judged = [a == b for differ, a, b in pairs if differ and a]
    if sum(judged) <= len(judged) / 2:
        return []
    evidence = f"for {sum(judged)} of {len(judged)} batches that differ, two ranks draw the same numbers"
    cause, fix = "each rank seeds with the same number", "torch.manual_seed(seed + rank) once the weights are equal"
    return [Finding(SOURCE, Verdict.RANKS, evidence, f"{SOURCE}.ranks", cause, fix)]


def _drawn(forward: Forward) -> dict[str, str]:
    """The states before a pass of the generators that it, or what came before it, drew from."""
    return {name: forward.states.get(name, "") for name in forward.during}
