"""Chapter 11's graders: they accept right answers of other kinds than ours, and refuse the plausible wrong ones."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from vidgen_tf.coursebook.notebook import code_cells, read

NOTEBOOK = read(Path(__file__).parents[1] / "notebooks" / "11_autoregressive.ipynb")
CELLS = {cell.metadata.nbgrader.grade_id: cell.source for cell in code_cells(NOTEBOOK) if "nbgrader" in cell.metadata}
EXERCISES = ["fsq_gradient", "rate_of", "min_p", "decode_in_parallel"]


def grade(exercise, old=None, new=None):
    """Runs the notebook's solution, with a part of it replaced, through its grader."""
    solution = CELLS[exercise]
    if old is not None:
        assert old in solution
        solution = solution.replace(old, new)
    names = {"np": np, "math": math}
    exec(solution, names)
    exec(CELLS[f"{exercise}_test"], names)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_solution_passes(exercise):
    grade(exercise)


def test_another_right_answer_passes():
    grade("fsq_gradient", "upstream * (1 - np.tanh(z) ** 2)", "upstream * 4 / (np.exp(z) + np.exp(-z)) ** 2")
    grade("rate_of", "float(2 ** bits.mean())", "float(np.exp(np.log(2.0) * bits.mean()))")
    most = "np.argsort(-confidence)[:, : tokens.shape[1] - still_hidden]"
    grade("decode_in_parallel", "np.argsort(confidence, axis=1)[:, still_hidden:]", most)


WRONG = [
    ("fsq_gradient", "upstream * (1 - np.tanh(z) ** 2)", "upstream", "not the bound"),
    ("fsq_gradient", "upstream * (1 - np.tanh(z) ** 2)", "0 * z", "true derivative"),
    ("fsq_gradient", "upstream * (1 - np.tanh(z) ** 2)", "3.5 * upstream * (1 - np.tanh(z) ** 2)", "cancel"),
    ("rate_of", "2 ** bits.mean()", "(2**bits).mean()", "average the bits first"),
    ("rate_of", "bits.sum(axis=1).mean() / num_pixels", "bits.mean() / num_pixels", "sum of its tokens"),
    ("rate_of", "bits.sum(axis=1).mean() / num_pixels", "bits.sum() / num_pixels", "sum of its tokens"),
    ("rate_of", "2 ** bits.mean()", "np.exp(bits.mean())", "2 \\*\\*"),
    ("min_p", "share * highest", "share", "not of 1"),
    ("min_p", "return kept / kept.sum(axis=-1, keepdims=True)", "return kept", "sum to 1"),
    ("min_p", "probabilities.max(axis=-1, keepdims=True)", "probabilities.max()", "its own likeliest"),
    ("decode_in_parallel", "tokens.copy()", "tokens", "copy them"),
    ("decode_in_parallel", "math.cos(math.pi * step / (2 * num_steps))", "(1 - step / num_steps)", "cos"),
    ("decode_in_parallel", "(p.cumsum(axis=-1) <= uniforms).sum(axis=-1)", "p.argmax(axis=-1)", "draw codes"),
    ("decode_in_parallel", "    filled = np.where(tokens >= 0, tokens, drawn)\n", "    filled = drawn\n", "never change"),
    ("decode_in_parallel", "np.take_along_axis(p, drawn[..., None], axis=-1)[..., 0]", "rng.random(tokens.shape)", "kept first"),
    ("decode_in_parallel", "range(1, num_steps + 1)", "range(num_steps)", "nothing is hidden|before each step"),
]  # fmt: skip


@pytest.mark.parametrize("exercise, old, new, said", WRONG, ids=range(len(WRONG)))
def test_a_plausible_wrong_answer_is_refused_by_name(exercise, old, new, said):
    with pytest.raises(AssertionError, match=said):
        grade(exercise, old, new)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_no_answer_is_refused(exercise):
    empty = re.sub(r"### BEGIN SOLUTION.*### END SOLUTION", "pass", CELLS[exercise], flags=re.DOTALL)
    names = {"np": np, "math": math}
    exec(empty, names)
    with pytest.raises((AssertionError, AttributeError, IndexError, TypeError)):
        exec(CELLS[f"{exercise}_test"], names)
