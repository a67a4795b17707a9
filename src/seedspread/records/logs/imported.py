"""Runs become a study: all of them, or none where anything speaks against one of them."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seedspread.config.errors import InputError
from seedspread.records.logs.run import Run, name_some
from seedspread.records.logs.seeds import Seeds, find_seeds
from seedspread.records.metric import Metric
from seedspread.records.record import Record, Status, finite_or_none
from seedspread.records.study import Study

MOST_KEYS = 4  # in a message


@dataclass(frozen=True)
class Imported:
    """Runs that are fit to become a study: their seeds, the settings that all share, and their records."""

    runs: list[Run]
    seeds: Seeds
    metric: Metric
    config: dict[str, Any]

    @property
    def format(self) -> str:
        return str(self.config["import"]["format"])

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(name for run in self.runs for name in run.final))

    @property
    def settings(self) -> dict[str, Any]:
        return self.config["import"]["hparams"]


def prepare_import(
    runs: Sequence[Run],
    format: str,
    metric: Metric,
    seed_from: str | None = None,
    ignore: Sequence[str] = (),
    unequal_steps: bool = False,
) -> Imported:
    """Check runs and find their seeds; InputError names the files of what speaks against them.

    `ignore` are settings and metrics to leave out; with `unequal_steps` runs may be of different lengths.
    """
    runs = [_without(run, ignore) for run in runs]
    seeds = find_seeds(runs, seed_from)
    settings = [{key: value for key, value in run.hparams.items() if key != seeds.key} for run in runs]
    _check_settings(runs, settings)
    _check_seeds(runs, seeds)
    _check_metrics(runs, metric)
    if not unequal_steps:
        _check_steps(runs, metric)
    shared = dict(sorted(settings[0].items()))
    return Imported(list(runs), seeds, metric, {"import": {"format": format, "hparams": shared}})


def write_import(study: Study, found: Imported) -> list[int]:
    """Write the records that `study` does not have yet, and return their seeds.

    Raises InputError where a seed has other values there already; nothing is written then.
    """
    records = [
        _record(study, run, seed, found.format) for run, seed in zip(found.runs, found.seeds.values, strict=True)
    ]
    new = []
    for run, record in zip(found.runs, records, strict=True):
        if (known := study.record(record.seed)) is None:
            new.append(record)
        elif differing := _differences(known, record):
            raise InputError(
                f"{run.source}: seed {record.seed} is in {study.folder} with another {differing[0]}; none is imported\n"
                f"Check the seeds, or name a study of its own, for example study={study.name}_2"
            )
    for record in new:
        study.write(record)
    return [record.seed for record in new]


def _without(run: Run, ignore: Sequence[str]) -> Run:
    def kept(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: value for key, value in values.items() if not any(f"{key}.".startswith(f"{one}.") for one in ignore)
        }

    return replace(run, hparams=kept(run.hparams), curves=kept(run.curves), final=kept(run.final))


def _check_settings(runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError where runs differ in a setting: of which runs are alike, or which keys to leave out."""
    keys = list(dict.fromkeys(key for one in settings for key in one))
    values = {key: [repr(one.get(key, "-")) for one in settings] for key in keys}
    differing = {key: found for key, found in values.items() if len(set(found)) > 1}
    if not differing:
        return
    alone = [key for key, found in differing.items() if len(set(found)) == len(runs) and len(runs) > 2]
    if alone:
        several = len(alone) > 1
        raise InputError(
            f"{name_some(alone, MOST_KEYS)} differ{'' if several else 's'} in every run ({runs[0].source}: "
            f"{values[alone[0]][0]}, {runs[1].source}: {values[alone[0]][1]})\n"
            f"Leave {'them' if several else 'it'} out where nothing depends on {'them' if several else 'it'}, "
            f"'ignore=[{','.join(alone)}]', or import each run as a study of its own"
        )
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for run, *found in zip(runs, *differing.values(), strict=True):
        groups[tuple(found)].append(run.source)
    keys = list(differing)[:MOST_KEYS]
    each = "; ".join(
        f"{', '.join(f'{key}={value}' for key, value in zip(keys, found, strict=False))}: {name_some(sources, 3)}"
        for found, sources in list(groups.items())[:MOST_KEYS]
    )
    more = f"; {len(groups) - MOST_KEYS} more" if len(groups) > MOST_KEYS else ""
    raise InputError(
        f"mixed configs: the runs differ in {name_some(list(differing), MOST_KEYS)} ({each}{more})\n"
        "Import each group as a study of its own; leave out a setting on which nothing depends, "
        f"'ignore=[{keys[0]}]'"
    )


def _check_seeds(runs: Sequence[Run], seeds: Seeds) -> None:
    by_seed: dict[int, list[str]] = defaultdict(list)
    for run, seed in zip(runs, seeds.values, strict=True):
        by_seed[seed].append(run.source)
    if repeated := {seed: sources for seed, sources in by_seed.items() if len(sources) > 1}:
        seed, sources = next(iter(repeated.items()))
        more = f"; {len(repeated) - 1} more seeds repeat" if len(repeated) > 1 else ""
        raise InputError(
            f"seed {seed} is in {name_some(sources)} ({seeds.origin}){more}\n"
            "A seed has one run: leave out the others, or say where the seeds are, seed_from="
        )


def _check_metrics(runs: Sequence[Run], metric: Metric) -> None:
    """Raise InputError where a run lacks a metric, or a score that its metric cannot have."""
    complete = [run for run in runs if run.failed is None]
    names = list(dict.fromkeys(name for run in complete for name in run.final))
    if metric.name not in names:
        raise InputError(
            f"metric.name={metric.name}: in none of the {len(runs):,} runs; they have {', '.join(names) or 'no metric'}"
        )
    healthy = [run for run in complete if _divergence(run, metric) is None]
    for name in [metric.name, *names]:
        among = complete if name == metric.name else healthy
        if without := [run.source for run in among if name not in run.final]:
            leave = "" if name == metric.name else f"; leave the metric out with 'ignore=[{name}]', or these runs"
            raise InputError(f"{name} is missing in {name_some(without)}, of {len(runs):,} runs{leave}")
    for run in healthy:
        scores = [value for value in [*run.curves.get(metric.name, []), run.final[metric.name]] if value is not None]
        for value in filter(math.isfinite, scores):
            if fault := metric.find_fault(value):
                raise InputError(f"{run.source}: {metric.name} is {value:g}: {fault}; say metric.unit=percent, or none")


def _check_steps(runs: Sequence[Run], metric: Metric) -> None:
    """Raise InputError where healthy runs logged a metric at different steps."""
    healthy = [run for run in runs if run.failed is None and _divergence(run, metric) is None]
    for name in dict.fromkeys([metric.name, *(name for run in healthy for name in run.curves)]):
        points = [run.points(name) for run in healthy]
        usual, count = Counter(points).most_common(1)[0]
        odd = [(run.source, at) for run, at in zip(healthy, points, strict=True) if at != usual]
        if odd:
            some = ", ".join(f"{source} {_describe(at)}" for source, at in odd[:3])
            more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
            raise InputError(
                f"unequal steps: {name} has {_describe(usual)} in {count} of {len(healthy)} runs; in {some}{more}\n"
                "Leave out runs that did not end; where they are meant to differ, as with early stopping, say "
                "unequal_steps=true"
            )


def _describe(points: Sequence[int]) -> str:
    return f"{len(points):,} values up to {points[-1]:,}" if points else "1 value"


def _divergence(run: Run, metric: Metric) -> str | None:
    """Why a run counts as diverged: its score or a loss is not finite at the end; None where it does not."""
    for name, value in run.final.items():
        if not math.isfinite(value) and (name == metric.name or "loss" in name.lower()):
            return f"{name} is {value:g} at its end"
    return None


def _record(study: Study, run: Run, seed: int, format: str) -> Record:
    metric = study.metric
    reason = run.failed or _divergence(run, metric)
    status = Status.FAILED if run.failed else Status.DIVERGED if reason else Status.FINISHED
    has_curves = any(run.curves.values())
    return Record(
        seed=seed,
        status=status,
        reason=reason,
        study=study.name,
        config_digest=study.digest,
        environment={"imported_from": run.source, "format": format, **run.environment},
        epochs=run.epochs if has_curves else None,
        steps=run.steps if has_curves else None,
        curves={name: [finite_or_none(value) for value in curve] for name, curve in run.curves.items()},
        final={name: finite_or_none(value) for name, value in run.final.items()},
        seconds={} if run.seconds is None else {"logged": run.seconds},
        ended=run.ended,
    )


def _differences(known: Record, record: Record) -> list[str]:
    """The names of the fields in which two records of a seed differ, with the metrics first."""
    metrics = [name for name in {**known.final, **record.final} if known.final.get(name) != record.final.get(name)]
    fields = ("curves", "steps", "epochs", "status")
    return metrics + [name for name in fields if getattr(known, name) != getattr(record, name)]
