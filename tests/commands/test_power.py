"""`seedspread power` from numbers and from a study."""

import numpy as np
import pytest

from seedspread import statistics as st
from seedspread.commands.power import main as power_main


@pytest.fixture
def power(invoked, tmp_path):
    return lambda *arguments: invoked(power_main, f"results={tmp_path}/results", *arguments)


def test_power_from_numbers_and_from_a_study(power, two):
    out = power("std=0.23", "difference=0.1")[1]
    assert "84 seeds per arm show a difference of 0.1 with 80 % power." in out and "139 seeds" in out
    assert "20 seeds per arm show a difference of 0.209 with 80 % power." in power("std=0.23", "n=20")[1]
    out = power("study=fast", "difference=1", "n=20")[1]
    std, (low, high) = 0.0, (0.0, 0.0)
    scores = np.array([100 * two.record(s).final["val/acc"] for s in range(20)])
    std, (low, high) = scores.std(ddof=1), st.std_interval(scores)
    needed = [st.seeds_needed(s, 1.0) for s in (std, low, high)]
    assert f"{needed[0]:,} ({needed[1]:,} to {needed[2]:,}) seeds per arm show a difference of 1 with 80 % power" in out
    assert "Bonferroni" in power("std=1", "n=20", "candidates=3")[1]


@pytest.mark.parametrize(
    "arguments, why",
    [
        ((), "give the std between seeds"),
        (("std=1",), "give the difference to show"),
        (("std=0", "n=5"), "std=0: a number above 0"),
        (("std=1", "n=1"), "n=1: a whole number of at least 2"),
        (("std=nan", "n=5"), "std=nan: a number above 0"),
        (("std=1", "difference=1e-9"), "less than a millionth of the std"),
        (("study=nope", "n=5"), "no study in"),
    ],
)
def test_power_refuses_in_one_line(power, arguments, why):
    code, out, err = power(*arguments)
    assert code == 1 and why in err and len(err.strip().splitlines()) == 1 and out == ""
