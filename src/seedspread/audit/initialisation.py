"""Do the initial weights follow the seed?"""

from seedspread.audit.difference import Difference, Part
from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.runs import Runs
from seedspread.audit.seeding import explain_unseeded, find_unequal, list_seedings
from seedspread.audit.trace import FUNCTIONAL

SOURCE = Source.INITIALISATION


def judge_initialisation(runs: Runs, found: Difference | None = None) -> Finding:
    """The initial weights of two runs of one seed, and of another seed; `found` is where the former first differ."""
    first, again, other = (process.weights() for process in runs.mains)
    if runs.first.main.boundary == "fit" and runs.first.main.steps:
        return _judge_fits(runs)
    if not first:
        return Finding(SOURCE, Verdict.UNKNOWN, "no forward pass of a module and no backward pass was seen")
    unequal = [key for key in first if first[key] != again.get(key)]
    if found is not None and found.part != Part.WEIGHTS:
        unequal = [key for key in unequal if key[0] not in runs.first.main.late]
    if unequal:
        calls = [call for call in list_seedings(runs.first.main) if call.generator == "torch"]
        cause, fix = explain_unseeded(runs.first.main, "torch")
        late = bool(calls) and calls[0].drawn
        evidence = f"{len(unequal)} of {len(first)} initial tensors differ between two runs of one seed"
        if len(unequal) < len(first) and not late:
            evidence += f": {', '.join(f'`{name}`' for _, name in unequal[:3])}"
            if calls and calls[0].value is not None:
                cause = "they are not drawn from torch's generator, or never set, as torch.empty leaves them"
                fix = "draw them with torch.nn.init once torch is seeded"
        if late:
            cause = f"the network is built before {calls[0].caller} seeds torch"
            fix = f"build it after {calls[0].function}"
        return Finding(SOURCE, Verdict.UNSEEDED, evidence, f"{SOURCE}.{'late' if late else 'unseeded'}", cause, fix)
    constant = {(event[1], name) for event in runs.first.main.of("weights") for name in event[4]}
    drawn = [key for key in first if key not in constant]
    if not drawn:
        return Finding(SOURCE, Verdict.NONE, "all initial weights are constants")
    same = [key for key in drawn if first[key] == other.get(key)]
    if len(same) < len(drawn):
        held = f"; {len(same)} are the same for every seed" if same else ""
        return Finding(SOURCE, Verdict.VARIES, f"{len(drawn) - len(same)} of {len(drawn)} drawn tensors vary{held}")
    if any(True for _ in runs.first.main.of("load")):
        return Finding(SOURCE, Verdict.FIXED, "all initial weights are the same for both seeds: they were loaded")
    evidence = f"all {len(drawn)} drawn tensors are the same for both seeds"
    calls = [call for call in list_seedings(runs.first.main) if call.generator == "torch"]
    if all(root == FUNCTIONAL for root, _ in drawn):
        others = list_seedings(runs.other.main)
        calls = [c for c in list_seedings(runs.first.main) if c.value is not None and c in others]
        if not calls:
            return Finding(SOURCE, Verdict.FIXED, "all initial weights are the same for both seeds: none may be drawn")
        call = next((one for one in calls if one.function.startswith("torch.")), calls[0])
        cause = f"{call.caller} seeds {call.generator.partition(' of')[0]} with {call.value}"
        fix = "draw the weights from a generator with the seed of the run"
        return Finding(SOURCE, Verdict.FIXED, evidence, f"{SOURCE}.fixed", f"{cause}, whatever the seed", fix)
    cause = f"{calls[0].caller} seeds torch with {calls[0].value}, whatever the seed" if calls else ""
    return Finding(
        SOURCE, Verdict.FIXED, evidence, f"{SOURCE}.fixed", cause, "torch.manual_seed(seed) before it is built"
    )


def _judge_fits(runs: Runs) -> Finding:
    """What the fits of estimators draw from generators that all share; a random_state of their own is not seen."""
    drawn = [[(e[1], [e[5].get(name) for name in e[6]], e[7]) for e in p.of("fit") if e[6]] for p in runs.mains]
    ours, same, others = drawn
    if not ours:
        return Finding(SOURCE, Verdict.NONE, "no fit draws from a generator that it shares with others")
    if ours[: len(same)] != same[: len(ours)]:
        name = find_unequal(runs.first.main, runs.again.main)
        cause, fix = explain_unseeded(runs.first.main, name or "numpy")
        estimator, _, unset = next((a for a, b in zip(ours, same, strict=False) if a != b), ours[0])
        evidence = f"{estimator}.fit draws other numbers in two runs of one seed"
        fix = f"{unset[0]}=seed of {estimator}, or {fix}" if unset else fix
        return Finding(SOURCE, Verdict.UNSEEDED, evidence, f"{SOURCE}.unseeded", cause, fix)
    if ours[: len(others)] == others[: len(ours)]:
        evidence = "fits draw the same numbers for both seeds"
        return Finding(SOURCE, Verdict.FIXED, evidence, f"{SOURCE}.fixed", "numpy is seeded with a constant", "")
    return Finding(SOURCE, Verdict.VARIES, "fits draw other numbers for another seed")
