"""The batch size that trains fastest here: `seedspread batch_size experiment=cifar_short`."""

import os
import tempfile

import hydra
from omegaconf import DictConfig, open_dict

from seedspread.commands.console import plain_errors
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.schema import BatchSize
from seedspread.records.files import unwritable_error
from seedspread.records.study import study_folder
from seedspread.report.batch_size import REMINDER, TABLE_HEAD, table_line, write_batch_size
from seedspread.training.batch_size import (  # noqa: TID253 - processes of their own import torch
    Measurement,
    double_batch_size,
    free_memory,
    measure_batch_size,
    prepare_features,
    recommend,
    run_in_process,
)


@hydra.main(version_base="1.3", config_path=CONF, config_name="batch_size")
def main(cfg: DictConfig) -> None:
    """Measure, print the table and the recommended size, and write both."""
    with plain_errors():
        check_config(cfg, BatchSize)
        with open_dict(cfg):  # what is left is the config of a seed
            start, gain, within = (cfg.pop(key) for key in ("start", "gain", "within"))
        folder = study_folder(cfg.results, cfg.study) / "batch_size"
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):  # before minutes of measuring
            raise unwritable_error(folder, OSError(0, f"{there} is no folder that can be written to"))
        with tempfile.TemporaryDirectory() as scratch:

            def measure(batch: int) -> Measurement:
                try:
                    return run_in_process(measure_batch_size, cfg, batch, scratch)
                except InputError as error:
                    if str(error).startswith(key := f"data.batch_size={batch}"):
                        raise InputError(f"start={batch}{str(error).removeprefix(key)}") from None
                    raise

            def show(one: Measurement) -> None:
                print(*([TABLE_HEAD] if one.batch == start else []), table_line(one), sep="\n", flush=True)

            if cfg.data.get("backbone"):
                run_in_process(prepare_features, cfg, scratch)
                print("of one head alone; stacks of heads (stack=) are not measured")
            found, reason = double_batch_size(measure, start, gain, free_memory, show)
        choice = recommend(found, within)
        write_batch_size(found, choice, folder)
        print(f"ended: {reason}\n")
        print(f"recommended: data.batch_size={choice.batch}, the smallest within {within:g} % of the best rate")
        print(f"{REMINDER}\ntable and figure in {folder}")
