"""Where the seeds of runs come from."""

import pytest

from seedspread.config.errors import InputError
from seedspread.records.logs.run import Run, path_names
from seedspread.records.logs.seeds import find_seeds


def runs(*sources, **hparams):
    """Runs at these paths; each of `hparams` has a value for each run."""
    from pathlib import Path

    return [
        Run(
            source=source,
            names=path_names(Path(source)),
            hparams={key: values[i] for key, values in hparams.items()},
            steps=[0],
            epochs=None,
            curves={},
            final={},
            ended="2026-01-01T00:00:00+00:00",
        )
        for i, source in enumerate(sources)
    ]


@pytest.mark.parametrize(
    "sources, seeds",
    [
        (["logs/version_3", "logs/version_12"], [3, 12]),
        (["logs/lr0.1-seed3", "logs/lr0.1-seed12"], [3, 12]),
        (["a/seed=3/version_0", "a/seed=12/version_0"], [3, 12]),
        (["a/net2-3-x", "a/net2-12-x"], [3, 12]),
        (["a/3/f00", "a/12/c0ffee"], [3, 12]),
        (["out/run7.csv"], [7]),
    ],
)
def test_digits_that_differ_in_names_are_seeds(sources, seeds):
    found = find_seeds(runs(*sources))
    assert found.values == seeds and found.key is None and f"is seed {seeds[0]}" in found.origin


@pytest.mark.parametrize(
    "sources",
    [
        ["logs/brave-sky", "logs/lucky-sun"],
        ["logs/brave-sky-1", "logs/lucky-sun-2"],
        ["a/x3-lr1", "a/x4-lr2"],
        ["a/2026-01-02_10-11-12", "a/2026-01-02_10-11-13"],
        ["out/run7-3.csv"],
    ],
)
def test_names_that_do_not_say_a_seed_are_refused(sources):
    with pytest.raises(InputError, match=r"(?s)no seed found: .*seed_from=NAME"):
        find_seeds(runs(*sources))


def test_a_setting_comes_before_digits_and_one_that_all_share_is_none():
    found = find_seeds(runs("v_0", "v_1", **{"trainer.random_seed": [5, "6"], "seed": [42, 42]}))
    assert found.values == [5, 6] and found.key == "trainer.random_seed"
    assert find_seeds(runs("v_0", "v_1", seed=[42, 42])).values == [0, 1]


def test_what_is_named_is_taken():
    both = runs("a_0/v_7", "a_1/v_8", init=[3, 4.0], seed=[1, 2])
    assert find_seeds(both, "init").values == [3, 4]
    assert find_seeds(both, r"a_(\d)").values == [0, 1]


@pytest.mark.parametrize(
    "seed_from, why",
    [
        ("nothing", r"seed_from=nothing: the runs have the settings init, name; a regular expression"),
        (r"w_(\d+)", r"seed_from=w_\(\\d\+\): it does not match v_0"),
        ("(", "nor a regular expression"),
        ("name", "v_0: name=x: a seed is a whole number"),
        ("init", "v_1: init=-4: a seed is a whole number"),
    ],
)
def test_what_is_named_and_is_no_seed_is_refused(seed_from, why):
    with pytest.raises(InputError, match=why):
        find_seeds(runs("v_0", "v_1", init=[3, -4], name=["x", "y"]), seed_from)
