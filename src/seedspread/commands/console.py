"""How an entry point meets its user: results on standard output, errors in one or two lines, an exit code."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from seedspread.config.errors import InputError
from seedspread.config.explain import explain_error
from seedspread.records.metric import Metric
from seedspread.records.study import Study, last_active, list_studies

STUDIES_IN_A_MESSAGE = 8
_SHOW_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR") == "1"


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn an exception into one or two lines and a non-zero exit; with HYDRA_FULL_ERROR=1 let it through."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\ninterrupted: finished seeds are recorded; the same command resumes", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _lost_its_reader(sys.stdout.fileno()):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush when Python ends
            sys.exit(128 + signal.SIGPIPE)
        if _SHOW_TRACEBACK:
            raise
        sys.exit(f"error: {explain_error(error)}")


def _lost_its_reader(pipe: int) -> bool:
    """Whether nobody reads `pipe` any more, as in `seedspread status | head -1` once it has its line."""
    poll = select.poll()
    poll.register(pipe, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def study_names(cfg: DictConfig) -> list[str]:
    """The names in `cfg.study`: one, a list of several, or none."""
    if isinstance(cfg.study, ListConfig):
        return [str(name) for name in cfg.study]
    return [] if cfg.study is None else [str(cfg.study)]


def wanted_metric(cfg: DictConfig, study: Study) -> Metric | None:
    """The metric of `study` that `cfg` names, in the direction that it names; None where it names none.

    Raises InputError for another direction of the study's own metric.
    """
    metric = study.metric if cfg.metric is None else study.find_metric(cfg.metric)
    wanted = metric if cfg.direction == "auto" else replace(metric, direction=cfg.direction)
    if wanted != metric and metric == study.metric:
        raise InputError(
            f"direction={cfg.direction}: {study.name} is scored by {metric.describe()}; leave direction out, or "
            "name another metric with metric="
        )
    return None if cfg.metric is None else wanted


def describe_studies(results: str) -> str:
    """The names of the latest studies in a folder of results, for an error that asks for one."""
    latest = sorted(list_studies(results), key=lambda name: last_active(Path(results, name)), reverse=True)
    more = len(latest) - STUDIES_IN_A_MESSAGE
    return (", ".join(latest[:STUDIES_IN_A_MESSAGE]) + (f" and {more} more" if more > 0 else "")) or "none"


def run_command(main: Callable[[], Any]) -> None:
    """Run a Hydra main under `plain_errors`: Hydra's own errors read the same way."""
    # With it Hydra raises every exception as it is, instead of printing it over many lines.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with plain_errors():
        main()
