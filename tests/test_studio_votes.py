"""Votes of a blind test: counts, their exact interval, and a damaged file."""

import numpy as np
from scipy import stats

from vidgen_tf.studio.votes import Votes


def test_preferences_are_counted_from_either_side_with_their_exact_interval(tmp_path):
    votes = Votes(tmp_path / "votes.jsonl")
    assert votes.preference("a", "b") == (0, 0, 0.0, 1.0), "without answers nothing is known"
    for i in range(10):
        votes.add(*(("a", "b") if i < 8 else ("b", "a")))
    votes.add("a", "c")
    wins, count, low, high = votes.preference("a", "b")
    assert (wins, count) == (8, 10)
    assert np.isclose(stats.binom.sf(7, 10, low), 0.025) and np.isclose(stats.binom.cdf(8, 10, high), 0.025)
    wins, count, other_low, other_high = votes.preference("b", "a")
    assert (wins, count) == (2, 10) and np.allclose([other_low, other_high], [1 - high, 1 - low])


def test_an_answer_that_was_cut_off_costs_only_itself(tmp_path):
    votes = Votes(tmp_path / "votes.jsonl")
    votes.add("a", "b")
    with open(votes.path, "a", encoding="utf-8") as file:
        file.write('{"better": "a"\n[1]\n')
    votes.add("b", "a")
    assert votes.preference("a", "b")[:2] == (1, 2)
