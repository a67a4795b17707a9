"""What an audit found, in words: ten lines for a terminal, and the sentences of its page."""

from seedspread.audit.audit import Audit
from seedspread.audit.difference import Difference
from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.kernels import COMPUTED

CHANGED = {
    Source.INITIALISATION: "initial weights",
    Source.DATA: "training examples",
    Source.ORDER: "order",
    Source.AUGMENTATION: "augmentation",
    Source.DROPOUT: "dropout",
}
ANSWERS = {
    Verdict.VARIES: "yes",
    Verdict.NONE: "none seen",
    Verdict.UNSEEDED: "UNSEEDED",
}


def same_seed(audit: Audit) -> str:
    """What one seed gives twice."""
    return describe_difference(audit.located or audit.difference, audit.steps, "Same seed twice")


def describe_difference(found: Difference | None, steps: int, what: str) -> str:
    """Where two traces first differ."""
    if found is None and not steps:
        return f"{what}: cannot be said: no training step was seen"
    if found is None:
        return f"{what}: identical for all {steps} steps"
    return f"{what}: first differ at step {found.step}{_place(found)}"


def _place(found: Difference) -> str:
    where = f", in `{found.where}`" if found.where else ""
    return f"{where}: {COMPUTED[found.part]}" if found.part in COMPUTED else f", in {found.part}"


def other_seed(audit: Audit) -> str:
    """What another seed changes: of each source yes or no, in capitals where it should not be so."""
    answers, unknown = [], []
    for source, name in CHANGED.items():
        found = [finding for finding in audit.findings if finding.source == source]
        if not found:
            continue
        worst = next((finding for finding in found if finding.verdict == Verdict.FIXED), found[0])
        if worst.verdict == Verdict.UNKNOWN:
            unknown.append(name)
        elif worst.verdict == Verdict.FIXED:
            answers.append(f"{name} {'NO' if worst.alarm else 'no'}")
        else:
            answers.append(f"{name} {ANSWERS.get(worst.verdict, 'yes')}")
    rest = [f"cannot be said: {', '.join(unknown)}"] if unknown else []
    return f"Another seed changes: {'; '.join([', '.join(answers)] * bool(answers) + rest)}"


def audit_lines(audit: Audit) -> list[str]:
    """The lines for a terminal."""
    lines = [same_seed(audit), other_seed(audit)]
    for finding in audit.alarms:
        lines.append(f"! {finding.source}: {finding.verdict}: {finding.evidence}")
        lines.append(f"    likely: {finding.cause}" + (f"; add: {finding.fix}" if finding.fix else ""))
    rest = [f for f in audit.findings if not f.alarm and (f.source not in CHANGED or f.cause)]
    lines += [f"  {f.source}: {f.verdict}: {f.evidence}" + (f"; {f.cause}" if f.cause else "") for f in rest]
    return lines


def summarise_alarms(alarms: list[Finding]) -> str:
    """How many flaws there are."""
    if not alarms:
        return "The traces show no flaw."
    return f"The traces show {len(alarms)} flaw{'s' if len(alarms) > 1 else ''}."
