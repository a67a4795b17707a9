"""Does what surrounds the program matter: PYTHONHASHSEED, the order of directories, time?"""

from seedspread.audit.difference import Difference, Part
from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.runs import Runs
from seedspread.audit.seeding import find_changing

SOURCE = Source.ENVIRONMENT
HASHES = Finding(
    SOURCE,
    Verdict.DIFFERS,
    "another PYTHONHASHSEED is another training, all else held",
    f"{SOURCE}.hash",
    "the order of a set, or hash() of a text",
    "sorted(...) of the set, hashlib instead of hash(), or PYTHONHASHSEED=0 in the environment",
)
DIRECTORIES = Finding(
    SOURCE,
    Verdict.DIFFERS,
    "directories listed in another order are another training, all else held",
    f"{SOURCE}.directories",
    "files are taken in the order of os.listdir, glob or iterdir, which no file system promises",
    "sorted(os.listdir(path))",
)
SAME = Finding(SOURCE, Verdict.SAME, "another PYTHONHASHSEED and another order of directories give the same training")
FIXED = Finding(
    SOURCE, Verdict.SAME, "another order of directories gives the same training; PYTHONHASHSEED is fixed where it ran"
)
UNSEEN = Finding(SOURCE, Verdict.UNKNOWN, "no training step was seen")
UNKNOWN = Finding(SOURCE, Verdict.UNKNOWN, "two runs of one seed differ in one environment already")


def judge_time(runs: Runs, found: Difference | None = None) -> Finding | None:
    """What follows the clock: a call that seeds with another value each run, a learning rate, the number of steps.

    `found` is the first difference of two runs of one seed.
    """
    if found is not None and found.part == Part.SETTINGS:
        evidence = f"step {found.step}: {Part.SETTINGS}, differs in two runs of one seed, with equal gradients"
        cause = "it follows the clock, or another measure of time"
        return Finding(SOURCE, Verdict.DIFFERS, evidence, f"{SOURCE}.time", cause, "a schedule that counts steps")
    if found is not None and found.part == Part.LENGTH:
        counts = " and ".join(str(process.steps) for process in (runs.first.main, runs.again.main))
        evidence = f"two runs of one seed take {counts} steps, all equal up to there"
        cause = "training ends by the clock"
        return Finding(SOURCE, Verdict.DIFFERS, evidence, f"{SOURCE}.time", cause, "end after a number of steps")
    call = find_changing(runs.first.main, runs.again.main)
    if call is None or call.generator.startswith("rng of"):
        return None
    value = (
        "a value of the operating system's" if call.value is None else f"{call.value} in one run and not in the other"
    )
    evidence = f"{call.caller} calls {call.function} with {value}"
    cause = "the clock, the process id, or a draw from an unseeded generator"
    return Finding(SOURCE, Verdict.DIFFERS, evidence, f"{SOURCE}.time", cause, f"{call.function}(seed)")
