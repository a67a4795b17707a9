"""Does what surrounds the program matter: PYTHONHASHSEED, the order of directories, time?"""

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


def judge_time(runs: Runs) -> Finding | None:
    """A call that seeds with another value each run: of the clock, or of an unseeded generator."""
    call = find_changing(runs.first.main, runs.again.main)
    if call is None or call.generator.startswith("rng of"):
        return None
    value = (
        "a value of the operating system's" if call.value is None else f"{call.value} in one run and not in the other"
    )
    evidence = f"{call.caller} calls {call.function} with {value}"
    cause = "the clock, the process id, or a draw from an unseeded generator"
    return Finding(SOURCE, Verdict.DIFFERS, evidence, f"{SOURCE}.time", cause, f"{call.function}(seed)")
