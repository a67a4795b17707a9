"""The page of a comparison."""

import numpy as np

from seedspread.decide.score_files import Arm
from seedspread.decide.verdict import compare_arms
from seedspread.report.comparison_page import comparison_document
from seedspread.report.document import render_markdown

RNG = np.random.default_rng(3)
A, B = RNG.normal(90, 0.2, 24), RNG.normal(90.1, 0.3, 17)


def test_names_on_the_page_are_text_not_markup():
    text = render_markdown(comparison_document(compare_arms(Arm("a|b", A[:9]), [Arm("<i>_c_", B[:9])])))
    assert text.startswith(r"# &lt;i>\_c\_ against a\|b") and "<i>" not in text and "a|b" not in text
