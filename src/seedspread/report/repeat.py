"""What a reader needs to repeat a study: commands, data, settings, hardware and time."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from seedspread.config.identity import flatten
from seedspread.config.overrides import TRAIN, results_override, shorten_seeds, split_command
from seedspread.records.progress import format_duration
from seedspread.records.scores import Scores
from seedspread.report.document import Code, Section, Strong, Table, Text


def how_to_repeat(scores: Scores) -> Section:
    """What others need to repeat a study: commands, data, settings, hardware, time, the whole config.

    Of an imported study where it comes from.
    """
    config = yaml.safe_dump(scores.study.config, sort_keys=False, allow_unicode=True).rstrip()
    whole = Code(config, "yaml", summary=f"The whole config (digest {scores.study.digest[:12]})")
    title = f"Where {scores.name} comes from" if scores.study.is_imported else f"How to repeat {scores.name}"
    short = "Source" if scores.study.is_imported else "Repeat"
    return Section(title, [commands(scores), Table(["", ""], list(_facts(scores))), whole], short)


def commands(scores: Scores) -> Code:
    """The commands that train the study and its best seed again, and write its report."""
    overrides, seeds = _overrides(scores), sorted(scores.records)
    where = results_override(scores.study.folder.parent)
    report = shlex.join(["seedspread", "report", f"study={scores.name}", *where])
    if scores.study.is_imported:
        return Code(report)
    span = f"range({seeds[0]}, {seeds[-1] + 1})" if _are_near(seeds) else str(seeds)
    if scores.study.kind == "function":
        name = scores.study.config["function"]["name"]
        return Code(f'ss.sweep({name}, seeds={span}, study="{scores.name}")   # in Python\n{report}')
    value = span.replace(" ", "") if _are_near(seeds) else ",".join(map(str, seeds))
    again = shlex.join(["seedspread", "reproduce", f"study={scores.name}", f"seed={scores.best}", *where])
    if scores.study.kind == "command":
        value = value if _are_near(seeds) else f"[{value}]"
        train = shlex.join(["seedspread", "run", f"seed={value}", *overrides])
    else:
        train = shlex.join([*TRAIN, "-m", f"seed={value}", *overrides])
    return Code(f"{train}\n{again}   # trains the best seed again and compares every bit\n{report}")


def _are_near(seeds: Sequence[int]) -> bool:
    """Whether a range names them, of which some may be missing."""
    return len(seeds) > 1 and seeds[-1] - seeds[0] < 2 * len(seeds)


def _overrides(scores: Scores) -> list[str]:
    """The overrides in most of the study's records, without seed and results folder."""
    found: Counter[str] = Counter(record.command for record in scores.finished if record.command)
    counted: Counter[tuple[str, ...]] = Counter()
    for command, count in found.items():
        words = split_command(command)
        counted[tuple(word for word in words if not word.startswith(("seed=", "results=")))] += count
    return list(counted.most_common(1)[0][0]) if counted else [f"study={scores.name}"]


def _facts(scores: Scores) -> Iterator[tuple[str, Text]]:
    config: dict[str, Any] = dict(flatten(scores.study.config))
    first = scores.finished[0]
    yield "seeds", f"{len(scores.seeds):,} finished: {shorten_seeds(scores.seeds.tolist())}"
    streams = {key: value for key, value in config.items() if key.startswith("streams.") and value is not None}
    if held := [f"{key.removeprefix('streams.')}={value}" for key, value in streams.items()]:
        yield "streams held", ", ".join(held)
    shas = sorted({record.data_sha256 for record in scores.finished if record.data_sha256})
    hashed = "the features" if first.features else "the pictures as read"
    name = config.get("data.name") or config.get("data._target_") or "unknown"
    yield "metric", scores.metric.describe()
    if scores.study.is_imported:
        yield (
            "logs",
            f"{first.environment.get('imported_from')} and those of the other seeds: column imported_from of seeds.csv",
        )
        yield "training", _duration(scores)
        return
    if scores.study.kind != "config":
        if first.test_examples:
            yield "test examples", f"{first.test_examples:,}"
        yield from _cost(scores, _duration(scores))
        return
    yield "data", name + (f", SHA-256 of {hashed} {', '.join(shas)}" if shas else "")
    if first.features:
        known = dict(flatten(first.features))
        yield "backbone", ", ".join(f"{key} {value}" for key, value in known.items())
    if first.pretrained:
        yield "fine-tuned from", ", ".join(f"{key} {value}" for key, value in first.pretrained.items())
    sizes = {"training": config.get("data.train_size"), "test": config.get("data.test_size")}
    counted = {"training": first.train_examples, "test": first.test_examples}
    split = ", ".join(
        f"{part} {counted[part] or 'all'}{f' (a balanced subset of {size:,})' if size else ''}"
        for part, size in sizes.items()
        if counted[part] or not config.get("module._target_")  # a module of the user's may say nothing of its data
    )
    yield "split", "; ".join(filter(None, (split, _when_scored(scores))))
    preprocessing = {key: value for key, value in config.items() if re.match(r"data\.(mean|std|size|augment)", key)}
    if preprocessing:
        yield "preprocessing", ", ".join(f"{key[5:]} {value}" for key, value in preprocessing.items())
    batch = config.get("data.batch_size")
    yield from _cost(scores, _duration(scores) + (f", batch {batch}" if batch else ""))


def _cost(scores: Scores, training: str) -> Iterator[tuple[str, Text]]:
    """How long it was trained, and on what."""
    first = scores.finished[0]
    yield "training", training
    parts = {part: sum(record.seconds[part] for record in scores.finished) for part in first.seconds}
    each = ", ".join(f"{part} {format_duration(seconds)}" for part, seconds in parts.items())
    yield "time", f"{format_duration(sum(parts.values()))} in total: {each}"
    for key, values in scores.environments.items():
        if len(values) == 1:
            if (value := next(iter(values))) != "None":
                yield key, value
        else:
            which = "; ".join(f"{value} (seed {shorten_seeds(sorted(seeds))})" for value, seeds in values.items())
            yield key, (Strong("mixed:"), f" {which}")


def _when_scored(scores: Scores) -> str:
    """When the test examples were scored."""
    if scores.test_metric:
        return "scored on validation data in training, and on the test examples once, at the end"
    if scores.is_of_test_set:
        return "scored on the test examples after every epoch"
    return f"scored {len(scores.points):,} times"


def _duration(scores: Scores) -> str:
    """How long a seed was trained, in epochs or steps."""
    unit = scores.axis.removesuffix(" trained")
    low, high = int(scores.lengths.min()), int(scores.lengths.max())
    return f"{high:,} {unit}" if low == high else f"{low:,} to {high:,} {unit}"
