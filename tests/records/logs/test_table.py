"""Plain tables in each of their shapes."""

import math

import pandas as pd
import pytest

from seedspread.config.errors import InputError
from seedspread.records.logs.seeds import find_seeds
from seedspread.records.logs.wandb import is_wandb

LONG = "seed,step,loss,acc,lr\n0,0,2,0.5,0.1\n0,1,1,0.75,0.1\n5,0,2.5,0.5,0.1\n5,1,1.5,0.625,0.1\n"


def seeds_and_scores(runs, metric="loss"):
    return dict(zip(find_seeds(runs).values, [run.final[metric] for run in runs], strict=True))


@pytest.mark.parametrize(
    "name, text, metric",
    [
        ("long.csv", LONG, "loss"),
        ("semicolons.csv", "seed;step;loss\n0;0;2,0\n0;1;1,0\n5;0;2,5\n5;1;1,5\n", "loss"),
        ("wide.csv", "seed,loss,lr\n0,1,0.1\n5,1.5,0.1\n", "loss"),
        ("tidy.csv", "seed,step,metric,value\n0,0,loss,2\n0,1,loss,1\n5,0,loss,2.5\n5,1,loss,1.5\n", "loss"),
        ("columns.csv", "step,seed_0,seed_5\n0,2,2.5\n1,1,1.5\n", "loss"),
        ("runs.csv", "run,epoch,loss\nnet_0,1,2\nnet_0,2,1\nnet_5,1,2.5\nnet_5,2,1.5\n", "loss"),
        ("tabs.tsv", LONG.replace(",", "\t"), "loss"),
    ],
)
def test_each_shape_gives_the_same_scores(read, write, name, text, metric):
    runs = read(write(name, text), metric=metric)
    assert seeds_and_scores(runs, metric) == {0: 1.0, 5: 1.5}
    if name != "wide.csv":
        assert [run.curves["loss"] for run in runs] == [[2.0, 1.0], [2.5, 1.5]]


def test_a_file_for_each_run(read, write):
    for seed, last in ((3, 1.0), (4, 1.5)):
        write(f"out/run{seed}.csv", f"epoch,loss\n0,2\n1,{last}\n")
    runs = read(write("out/run3.csv", "epoch,loss\n0,2\n1,1\n").parent, metric="loss")
    assert seeds_and_scores(runs) == {3: 1.0, 4: 1.5} and runs[0].epochs == [0, 1] and runs[0].steps is None


def test_parquet(read, tmp_path):
    frame = pd.DataFrame({"seed": [0, 0, 5, 5], "step": [0, 1, 0, 1], "loss": [2, 1, 2.5, 1 / 3]})
    frame.to_parquet(tmp_path / "runs.parquet")
    assert seeds_and_scores(read(tmp_path / "runs.parquet", metric="loss")) == {0: 1.0, 5: 1 / 3}


def test_epochs_that_count_from_1_count_from_0_in_records(read, write):
    (run,) = read(write("seed_1.csv", "epoch,loss\n1,3\n2,2\n3,1\n"), metric="loss")
    assert run.epochs == [0, 1, 2]


def test_numbers_that_vary_are_metrics_and_what_does_not_is_a_setting(read, write):
    run = read(write("long.csv", LONG.replace("lr\n", "lr,net\n").replace("0.1\n", "0.1,small\n")), metric="loss")[0]
    assert run.hparams == {"seed": 0, "lr": 0.1, "net": "small"} and set(run.final) == {"loss", "acc"}


def test_an_empty_cell_was_not_logged_and_nan_was(read, write):
    (run,) = read(write("seed_1.csv", "step,loss,acc\n0,2,\n1,NaN,0.5\n2,inf,\n"), metric="loss")
    assert run.curves["loss"][0] == 2 and math.isnan(run.curves["loss"][1]) and run.final["loss"] == math.inf
    assert run.final["acc"] == 0.5 and run.points("loss") == (0, 1, 2)


def test_named_columns_are_used(read, write):
    path = write("t.csv", "job,tick,random_state,loss\n9,1,4,2\n9,2,4,1\n8,1,6,2\n8,2,6,3\n")
    runs = read(path, metric="loss", step="tick", run="job")
    assert seeds_and_scores(runs) == {4: 1.0, 6: 3.0} and runs[0].steps == [1, 2]


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "cannot be read as a table"),
        ("seed,loss\n", "it has no rows"),
        ("seed,loss,loss\n0,1,2\n", "2 columns are named loss"),
        ("seed,step,loss\n0,0,1\n0,0,2\n", "loss is 1 and 2 at step 0"),
        ("seed,step,loss\n0,0.5,1\n0,1,2\n", "loss is logged at step 0.5"),
        ("seed,step,loss\n,0,1\n0,1,2\n", "seed is missing in row 1"),
        ("seed,step,loss\n0,,1\n0,1,2\n", "step is None"),
        ("seed,step,loss\n0,0,1,7\n", "cannot be read as a table"),
    ],
)
def test_what_is_no_table_of_runs_is_refused_with_its_file(read, write, text, why):
    with pytest.raises(InputError, match=rf"bad\.csv.*{why}"):
        read(write("bad.csv", text), metric="loss")


def test_a_file_that_is_not_utf8_is_refused(read, tmp_path):
    (tmp_path / "latin.csv").write_bytes("seed,né,loss\n0,é,1\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.csv: .*not UTF-8; save it as UTF-8"):
        read(tmp_path / "latin.csv", format="table", metric="loss")


def test_an_unknown_column_is_refused(read, write):
    with pytest.raises(InputError, match="step=tick: no such column; .* has seed, step, loss, acc, lr"):
        read(write("long.csv", LONG), metric="loss", step="tick")


def test_charts_that_average_are_refused(read, write):
    text = '"Step","a1 - loss","a1 - loss__MIN","a1 - loss__MAX"\n"0","2","1","3"\n'
    assert is_wandb(["Step", "a1 - loss", "a1 - loss__MIN", "a1 - loss__MAX"])
    with pytest.raises(InputError, match="a1 - loss is an average"):
        read(write("chart.csv", text))
