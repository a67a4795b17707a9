"""Do equal inputs and equal weights give equal outputs, gradients and updates?"""

from seedspread.audit.difference import Difference, Part
from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.runs import Runs

SOURCE = Source.KERNELS
COMPUTED = {
    Part.OUTPUT: "same input, same weights, other output",
    Part.RECEIVED: "equal outputs before, other input",
    Part.LOSS: "same outputs, other loss",
    Part.GRADIENTS: "same loss, other gradients",
    Part.UPDATE: "same gradients, other weights after the step",
}


def judge_kernels(runs: Runs, found: Difference | None, located: Difference | None) -> Finding:
    """`found` is the first difference of two runs of one seed, `located` that of two more, by module."""
    steps = min(runs.first.main.steps, runs.again.main.steps)
    if not steps:
        return Finding(SOURCE, Verdict.UNKNOWN, "no training step was seen")
    if found is None and located is None:
        return Finding(SOURCE, Verdict.NONE, f"two runs of one seed compute the same in all {steps} steps")
    if found is not None and found.part not in COMPUTED:
        return Finding(
            SOURCE, Verdict.UNKNOWN, f"two runs differ in {found.part} before anything is computed otherwise"
        )
    place = located if located is not None and located.part in COMPUTED else found
    assert place is not None
    cause = "a nondeterministic kernel, or a generator that the trace does not see"
    fix = "torch.use_deterministic_algorithms(True), which names the operation; one thread; or another operation"
    if place.part == Part.LOSS:
        cause = "what the loss takes beside the outputs: targets, weights, noise; or it sums in no fixed order"
        fix = "seed what the loss takes beside the outputs; add up the results of threads in a fixed order"
    where = f" in `{place.where}`" if place.where else ""
    evidence = f"step {place.step}{where}: {COMPUTED[place.part]}"
    return Finding(SOURCE, Verdict.DIFFERS, evidence, f"{SOURCE}.nondeterministic", cause, fix)
