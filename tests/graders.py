"""What the graders of all chapters must do, as tests: a file for some chapters hands over its right and wrong answers.

An answer runs above its grader in the way that `course.py check` has it: with what it reads of the chapter, and no more.
"""

import functools
import re
from pathlib import Path

import nbformat.v4 as v4
import numpy as np
import pytest

from vidgen_tf.coursebook.check import programs_of, questions_of
from vidgen_tf.coursebook.notebook import read

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOLUTION = re.compile(r"( *)### BEGIN SOLUTION\n.*?### END SOLUTION", re.DOTALL)
HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", re.DOTALL)


class GraderTests:
    """Base class of the tests of some chapters' graders.

    An answer is the lines that stand in the place of a question's first solution, or two texts: a part of the chapter's own
    solution, and what stands in its place. `right` has tuples (name, *answer) of other forms than the chapter's, `wrong` tuples
    (name, *answer, said), the last of which is a regular expression for the words of the refusal.
    """

    chapters = ()  # names of notebooks
    right = ()
    wrong = ()
    is_hidden_part_needed = False  # to refuse the wrong answers: what a student sees of a grader should do

    def pytest_generate_tests(self, metafunc):
        for argument, cases in {"question": _questions(self.chapters), "right": self.right, "wrong": self.wrong}.items():
            if argument in metafunc.fixturenames:
                ids = [f"{i}-{case if argument == 'question' else case[0]}" for i, case in enumerate(cases)]
                metafunc.parametrize(argument, list(cases), ids=ids)

    def grade(self, name, *answer, with_hidden=True):
        """Runs the chapter's solution, or another answer, and then its grader."""
        question = _questions(self.chapters)[name]
        marks = {"nbgrader": {"solution": True, "grade_id": question.name}}
        copy = v4.new_notebook(cells=[v4.new_code_cell(_answered(question.solution, *answer), metadata=marks)])
        context, _, source, everything = programs_of(question, copy)
        assert not everything, "the answer reads what the chapter computes"
        names = {"__name__": "notebook"}
        for program in (context, source, question.grader if with_hidden else HIDDEN.sub("", question.grader)):
            exec(program, names)

    def test_the_solution_passes(self, question):
        self.grade(question)

    def test_another_right_answer_passes(self, right):
        self.grade(*right)

    def test_a_plausible_wrong_answer_is_refused_by_name(self, wrong):
        *answer, said = wrong
        with np.errstate(all="ignore"), pytest.raises(AssertionError, match=said):
            self.grade(*answer, with_hidden=self.is_hidden_part_needed)

    def test_no_answer_is_refused(self, question):
        with pytest.raises((AssertionError, AttributeError, IndexError, TypeError, ValueError)):
            self.grade(question, "pass", with_hidden=False)

    def test_each_question_has_two_wrong_answers_and_another_right_one(self):
        for name in _questions(self.chapters):
            assert sum(name == answer[0] for answer in self.wrong) >= 2, name
            assert any(name == answer[0] for answer in self.right), name


@functools.cache
def _questions(chapters):
    """Name -> Question, those of all chapters."""
    found = [each for chapter in chapters for each in questions_of(read(NOTEBOOKS / f"{chapter}.ipynb"))]
    return {each.name.replace("-", "_"): each for each in found}


def _answered(cell, *answer):
    """A solution's cell with an answer in it: lines indented as the solution is, or a part of it replaced."""
    if not answer:
        return cell
    if len(answer) == 2:
        assert answer[0] in cell
        return cell.replace(*answer)
    lines = answer[0].strip("\n").splitlines()
    return SOLUTION.sub(lambda found: "\n".join(found[1] + line for line in lines), cell)
