"""Grades students' copies: each question in a kernel of its own, which executes no more of the chapter than the question needs.

What a chapter defines is taken from the chapter, and what a student has added from the copy: its answers, and the helpers and
imports that they read. So neither a broken or deleted cell elsewhere nor an experiment with the chapter's variables changes a
grade, and nothing has to be trained to grade a function. Where an answer reads a variable that the chapter's own solution does
not need, all of the chapter before it is executed instead: what happened to it on the way can't be read off the code.
"""

import dataclasses
import re
import time
from pathlib import Path

from ..errors import CourseError
from .dependencies import needed, statements, unmet
from .execute import kernel_of
from .notebook import clock, code_cells, find, read, shorten, stated_seconds, title_of
from .student import chapter_version, copies_of

PLACES = ("in the chapter above it: ", "in a cell of yours above it: ", "", "")  # where an error may come from
NO_ANSWER = "no answer yet"
UNANSWERED = "raise NotImplementedError()"  # what nbgrader leaves in the place of a solution


@dataclasses.dataclass(frozen=True)
class Question:
    """An answer's cell and the grader below it, as the chapter has them."""

    name: str
    points: float
    solution: str
    grader: str  # hidden tests included
    page: tuple  # the statements of the chapter that stand above it, without those of other questions


def grade_copies(names, notebooks, work_dir, limit):
    """Grades copies of chapters, and prints points and a message for each question.

    Args:
        names: list of str, numbers of chapters, or paths of copies; empty for every chapter that has a copy. Of several copies of
            a chapter, the one that was saved last and has an answer in it counts.
        notebooks: Path of the folder of the complete notebooks.
        work_dir: Path of the folder of the copies.
        limit: seconds that an answer may take together with its grader.

    Returns:
        bool, True if every question has all of its points.

    Raises:
        CourseError: there is no such chapter or copy, or no kernel starts.
    """
    good = [_check(chapter, copy, limit) for chapter, copy in _pairs(names, notebooks, work_dir)]
    return all(good)


def questions_of(chapter):
    """The questions of a complete notebook.

    Args:
        chapter: nbformat.NotebookNode.

    Returns:
        list of Question, in order.
    """
    found, page, cells = [], [], code_cells(chapter)
    for cell, following in zip(cells, [*cells[1:], None]):
        marks = cell.metadata.get("nbgrader", {})
        if marks.get("solution") and following is not None:
            grader = following.metadata.get("nbgrader", {})
            found.append(Question(marks["grade_id"], grader.get("points", 0), cell.source, following.source, tuple(page)))
        elif not marks:
            page += statements(cell.source)
    return found


def programs_of(question, copy):
    """What a kernel executes to grade a question.

    Args:
        question: Question.
        copy: nbformat.NotebookNode, the student's.

    Returns:
        (context, helpers, answer, everything): three str, what the answer needs of the chapter, of the student's other cells, and
        the answer itself; and bool, whether the context is all of the chapter above the question. None where the copy has no cell
        for the answer.
    """
    cells, places = code_cells(copy), _places(question, copy)
    if not places:
        return None
    answer = "\n\n".join(cells[place].source for place in places)  # a cell that was split is two
    given = set().union(*(line.binds for line in question.page))
    helpers = [line for cell in cells[: places[0]] for line in _own_statements(cell) if not line.binds <= given]
    answering = _statements_or_none(answer)
    if answering is None:
        return "", "", answer, False  # Python says what is wrong with it
    read = unmet(answering + statements(question.grader))
    helpers = needed(helpers, (read - given) | {"*"})
    read |= unmet(helpers)
    solving = needed(question.page, unmet(statements(question.solution) + statements(question.grader)))
    usual = set().union(*(line.binds for line in solving))
    state = [line for line in needed(question.page, read) if not line.is_definition]
    everything = any(not line.binds <= usual for line in state)
    context = question.page if everything else needed(question.page, read)
    return _text(context), _text(helpers), answer, everything


def _check(path, copy_path, limit):
    """Grades one copy; returns whether all is right."""
    chapter = read(path)
    print(f"{path.stem[:2]}  {title_of(chapter, path)}: {copy_path.parent.name}/{copy_path.name}", flush=True)
    try:
        copy = read(copy_path)
    except CourseError as error:
        told = re.sub(r"(: restore it.*|\.)$", "", str(error))
        print(f"    {told}: move it away, and `course.py lab` makes a new copy.", flush=True)
        return False
    version = chapter_version(chapter)
    if copy.metadata.get("vidgen", {}).get("made_from", version) != version:
        print("    This copy is of an older version of the chapter; `course.py lab` puts the new one beside it.", flush=True)
    questions = questions_of(chapter)
    width = max((len(question.name) for question in questions), default=0)
    reached = 0
    for question in questions:
        message = _message(question, copy, copy_path, limit, stated_seconds(chapter))
        points = 0 if message else question.points
        reached += points
        print(f"    {question.name:<{width}}  {points:g} of {question.points:g}  {message or 'right'}", flush=True)
    total = sum(question.points for question in questions)
    print(f"    {'all together':<{max(width, 12)}}  {reached:g} of {total:g} points", flush=True)
    if by_hand := sum(cell.metadata.nbgrader.points for cell in chapter.cells if cell.metadata.get("nbgrader", {}).get("task")):
        print(f"    {by_hand:g} more points are marked by hand", flush=True)
    return reached == total


def _message(question, copy, copy_path, limit, stated):
    """What isn't right yet with an answer, in one line; None where all is."""
    programs = programs_of(question, copy)
    if programs is None:
        return "its cell is gone from the copy: undo that, or move the copy away and let `course.py lab` make a new one"
    *programs, everything = programs
    if programs[2].count(UNANSWERED) == question.solution.count("### BEGIN SOLUTION") > 0:
        return NO_ANSWER
    if everything:
        takes = f", about {clock(stated)} minutes" if stated else ""
        print(f"    {question.name} reads what the chapter computes: executing all that stands above it{takes}", flush=True)
    return _execute([*programs, question.grader], copy_path.parent, limit)


def _execute(programs, folder, limit):
    """Runs the chapter's part, helpers, an answer and a grader in a new kernel; returns what goes wrong, in one line."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbformat import v4

    cells = [v4.new_code_cell(program) for program in programs]
    try:
        with kernel_of(v4.new_notebook(cells=cells), folder, "fast") as client:
            for position, cell in enumerate(cells):
                if position == 1:
                    end = time.monotonic() + limit
                if position:
                    client.timeout = max(1, round(end - time.monotonic()))
                client.execute_cell(cell, position)
    except CellTimeoutError:
        return f"stopped after {limit:g} s: does a loop have no end? (`--limit` gives an answer more time)"
    except DeadKernelError:
        return "Python itself ended: the answer leaves it, crashes it, or takes all of the memory"
    except CellExecutionError as error:
        return PLACES[position] + _in_words(error.ename, error.evalue)
    except RuntimeError as error:
        raise CourseError(f"No kernel started ({shorten(str(error))}): delete .venv and run again.") from error
    return None


def _in_words(kind, text):
    """An exception as a student reads it: a grader's own words, or Python's with the kind of the error."""
    text = shorten(re.sub(r"\s*\((?:<[^>]*>|\d+\.py), line (\d+)\)", r", in line \1", text), 250)
    if kind == "NotImplementedError":
        return NO_ANSWER
    if kind == "AssertionError":
        return text or "one of the answer's own asserts fails"
    return f"{kind}: {text}" if text else kind


def _pairs(names, notebooks, work_dir):
    """(chapter, copy), the paths, for each copy to be graded."""
    pairs = []
    for name in names or [chapter.name[:2] for chapter in find([], notebooks) if copies_of(chapter, work_dir)]:
        path = Path(name)
        is_copy = path.suffix == ".ipynb"
        if is_copy and not (path.is_file() and path.name[:2].isdecimal()):
            raise CourseError(f"There is no copy {path}, or its name doesn't begin with the number of its chapter.")
        (chapter,) = find([path.name[:2] if is_copy else name], notebooks)
        pairs.append((chapter, path.resolve() if is_copy else _copy_that_counts(chapter, work_dir)))
    if not pairs:
        remedy = "`course.py lab` makes one of each chapter, and opens them"
        raise CourseError(f"There is no copy to grade in {work_dir}: {remedy}.")
    return pairs


def _copy_that_counts(chapter, work_dir):
    copies = copies_of(chapter, work_dir)
    if not copies:
        raise CourseError(f"There is no copy of {chapter.name} in {work_dir}: `course.py lab` makes one, and opens it.")
    return next((copy for copy in reversed(copies) if _has_answer(copy)), copies[-1])


def _has_answer(path):
    try:
        cells = code_cells(read(path))
    except CourseError:
        return True  # not what was written: to be told, and not to be passed over
    return any(cell.metadata.get("nbgrader", {}).get("solution") and UNANSWERED not in cell.source for cell in cells)


def _places(question, copy):
    """Where the cells of an answer stand among the code cells of a copy."""
    marks = [cell.metadata.get("nbgrader", {}) for cell in code_cells(copy)]
    return [i for i, mark in enumerate(marks) if mark.get("solution") and mark.get("grade_id") == question.name]


def _own_statements(cell):
    """The statements of a cell that may be a student's: none of a grader, and none where it is no Python."""
    return [] if cell.metadata.get("nbgrader", {}).get("grade") else _statements_or_none(cell.source) or []


def _statements_or_none(source):
    try:
        return statements(source)
    except (SyntaxError, ValueError):  # ValueError: a null character
        return None


def _text(code):
    return "\n".join(line.text for line in code)
