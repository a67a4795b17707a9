"""`seedspread COMMAND key=value ...`: finds the command and hands it the rest of the line.

Only the command that was asked for is imported, so that the list of commands is there at once.
"""

import atexit
import difflib
import gc
import keyword
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path

COMMANDS = {
    "train": "train a seed, or with -m and seed=range(0,20) a sweep of seeds",
    "run": "run a program of yours once a seed: seedspread run seed=0 -- CMD {seed}",
    "report": "page, tables, figures and TensorBoard bands of a study",
    "compare": "is one study better than another, and how sure is that",
    "decide": "is one better than another: train both until it is decided",
    "reproduce": "train a recorded seed again and compare every bit",
    "audit": "does the seed of a program do what you think: seedspread audit -- CMD {seed}",
    "luck": "how much of a study's spread is luck with the test set",
    "agree": "do the seeds of a study give the same answers",
    "power": "how many seeds show a difference",
    "tune": "search an experiment's settings and judge the best on fresh seeds",
    "sources": "the spread that each source of randomness causes alone",
    "import": "logs of Lightning, TensorBoard, W&B, MLflow, plain tables, or an exported file become a study",
    "export": "a study as one file, to publish it or to move it; seedspread import restores it",
    "status": "how far the studies are",
    "batch_size": "the batch size that trains fastest here",
}

PROGRAMS = {"run", "audit"}  # commands that run what follows --
SEVERAL = {"run": " 'seed=range(0,20)'"}
TEXTS = ("seed", "regex", "file", "events", "resume", "folder")  # keys of theirs that Hydra's grammar would take apart
TRAINING = {"batch_size", "sources", "train", "tune"}  # commands that need the extra `train`
ARMS = ("baseline", "candidate")
KEYS = {"compare": ARMS, "decide": ARMS, **dict.fromkeys(TRAINING, ("experiment",))}  # usual ones; of others, study
MODULES = {*TRAINING, "decide", "reproduce"}  # that import the user's modules; these two need the extra at times


def usage() -> str:
    """The commands in a line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(["usage: seedspread COMMAND [key=value ...]     seedspread COMMAND --help", "", *lines])


def _use_working_directory(arguments: Sequence[str]) -> list[str]:
    """Let `_target_` name the user's modules, and return what lets Hydra find the configs in ./conf."""
    from seedspread.config.compose import find_user_configs  # noqa: PLC0415

    sys.path.insert(0, str(Path.cwd()))
    given = any(argument.startswith(("--config-dir", "-cd", "hydra.searchpath")) for argument in arguments)
    folder = None if given else find_user_configs()
    return ["--config-dir", str(folder)] if folder else []


def split_program(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is seedspread's of a command line, and the program after its first --."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:end]), list(arguments[end + 1 :])


def _check_keys(name: str, arguments: Sequence[str]) -> None:
    """Raise InputError where a value stands without its key, with the keys that values of this command usually have."""
    from seedspread.config.errors import InputError  # noqa: PLC0415
    from seedspread.config.overrides import override_key, show_typed  # noqa: PLC0415

    after_flag = {"", "-m", "--multirun"}  # what follows another option is its value
    words = [
        word
        for before, word in pairwise(["", *arguments])
        if word and "=" not in word and word[0] not in "-~" and (before in after_flag or before[0] != "-")
    ]
    if words:
        given = [override_key(argument) for argument in arguments if "=" in argument]
        free = [key for key in KEYS.get(name, ("study",)) if key not in given] or ["KEY"]
        typed = [show_typed(key, word) for key, word in zip(free, words, strict=False)]
        raise InputError(f"{words[0]}: name its key, for example seedspread {name} {' '.join(typed)}")


def main() -> None:
    """Run the command that the command line names."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return
    name = arguments[0].replace("-", "_")
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        sys.exit(
            f"error: {arguments[0]}: no such command; {f'did you mean {near[0]}?' if near else 'seedspread lists them'}"
        )
    # The list of commands does without these.
    from seedspread.commands.console import plain_errors, run_command  # noqa: PLC0415
    from seedspread.config.errors import InputError  # noqa: PLC0415
    from seedspread.config.extras import check_train_extra  # noqa: PLC0415
    from seedspread.config.overrides import quote_letters  # noqa: PLC0415

    atexit.register(gc.freeze)  # else Python searches all that torch has imported for garbage before it ends: a second
    with plain_errors():
        if {"-h", "--help"} & set(split_program(arguments)[0]):
            from seedspread.config.help import format_help  # noqa: PLC0415

            print(format_help(name, COMMANDS[name], [a for a in arguments[1:] if not a.startswith("-")]))
            return
        if "--" in arguments and name not in PROGRAMS:
            raise InputError(f"--: what follows it is a program of yours, and seedspread {name} runs none")
        arguments, program = split_program(arguments)
        if name in TRAINING:
            check_train_extra()
        if name in MODULES:
            arguments += _use_working_directory(arguments)
        if name == "audit" and not program:
            from seedspread.commands.audit import split_training  # noqa: PLC0415

            own, program = split_training(arguments[1:])
            arguments = [name, *own]
        if name in PROGRAMS:
            from seedspread.config.overrides import quote_text  # noqa: PLC0415

            word = next((a for a in arguments[1:] if "=" not in a and not a.startswith("-")), None)
            if word is not None and not program:
                raise InputError(
                    f"{word}: put -- before the program: seedspread {name}{SEVERAL.get(name, '')} -- {word} ..."
                )
            several = {"-m", "--multirun"}  # of train; here seeds are several without it
            arguments = [arguments[0], *(quote_text(a, TEXTS) for a in arguments[1:] if a not in several)]
        if name == "import":
            from seedspread.config.overrides import gather_paths, quote_text  # noqa: PLC0415
            from seedspread.config.schema import Import  # noqa: PLC0415

            typed = [quote_text(argument, ["seed_from"]) for argument in arguments[1:]]
            arguments = [name, *gather_paths(typed, "logs", [*Import.keys, "hydra"])]
        _check_keys(name, arguments[1:])
        arguments = quote_letters(arguments)
        # argparse takes no override after -m where one stands before it.
        sys.argv = [f"seedspread {name}", *sorted(arguments[1:], key=lambda word: word not in ("-m", "--multirun"))]
        module = f"{name}_" if keyword.iskeyword(name) else name
        command = import_module(f"seedspread.commands.{module}").main  # seconds, where it imports torch
    run_command(partial(command, program) if name in PROGRAMS else command)
