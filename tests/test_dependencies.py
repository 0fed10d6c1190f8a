"""What code on a page needs of the statements before it, on pages of a few lines, and on the chapters."""

from pathlib import Path

import pytest

from vidgen_tf.coursebook.check import programs_of, questions_of
from vidgen_tf.coursebook.dependencies import needed, statements, unmet
from vidgen_tf.coursebook.notebook import code_cells, read

COURSE = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def reads(source):
    return unmet(statements(source))


@pytest.mark.parametrize(
    "source, names",
    [
        ("x = y + 1\nprint(x)", {"y"}),
        ("x = x + 1", {"x"}),
        ("x += 1", {"x"}),
        ("x[0] = y", {"x", "y"}),
        ("x.a[0] += 1", {"x"}),
        ("for x in y:\n    z = x\nprint(z)", {"y"}),
        ("with a as b:\n    print(b, c)", {"a", "c"}),
        ("try:\n    a()\nexcept OSError as error:\n    print(error)", {"a"}),
        ("def f(x, y=z):\n    w = g(x)\n    return w + h\nf(1)", {"z", "g", "h"}),
        ("def f(n):\n    return n and f(n - 1)", set()),
        ("class A(B):\n    size = C\n    def f(self):\n        return size + self.size", {"B", "C", "size"}),
        ("z = [x * y for x in xs if x]\n(lambda a: a + b)(1)", {"xs", "y", "b"}),
        ("import a.b\nfrom c import d as e\nprint(a, e, d)", {"d"}),
        ("if (n := f()) > 1:\n    print(n)", {"f"}),
        ("x: int = y\na, *b = c\nx, a, b", {"y", "c"}),
        ("%matplotlib inline\n!ls {folder}\nx", {"x"}),
        ("%%time\nx = y", {"y"}),
    ],
)
def test_names_that_code_reads_and_does_not_set_before(source, names):
    assert reads(source) == names


def test_a_cell_that_is_no_python_is_said_so():
    with pytest.raises(SyntaxError):
        statements("def f(:")


PAGE = """import math
import random
SIZE = 3
x = 1
y = x
x = 2
data = [0] * SIZE
data[0] = y
print(data)
def area(r):
    return scale(r) * math.pi
for k in data:
    total = k
def scale(r):
    return FACTOR * r
FACTOR = 2
model = random.random()
"""


@pytest.mark.parametrize(
    "name, lines",
    [
        ("SIZE", [2]),
        ("x", [5]),  # the first x is gone
        ("y", [3, 4]),  # and here it isn't
        ("data", [2, 3, 4, 6, 7]),  # but for what is printed
        ("area", [0, 9, 11, 12]),  # a function's names may stand below it
        ("total", [2, 3, 4, 6, 7, 10]),
        ("nothing", []),
    ],
)
def test_the_statements_that_a_name_rests_on(name, lines):
    page = statements(PAGE)
    assert [page.index(line) for line in needed(page, {name})] == lines
    space = {}
    exec("\n".join(line.text for line in needed(page, {name})), space)
    assert name == "nothing" or name in space


def test_definitions_are_told_from_what_a_page_computes():
    kinds = {line.text.split("\n")[0]: line.is_definition for line in statements(PAGE)}
    assert [text for text, is_definition in kinds.items() if not is_definition] == [
        "y = x",
        "data = [0] * SIZE",
        "data[0] = y",
        "print(data)",
        "for k in data:",
        "model = random.random()",
    ]


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_chapter_needs_nothing_of_another(path):
    """Run alone, from its first cell, each name that it reads is its own."""
    page = [line for cell in code_cells(read(path)) for line in statements(cell.source)]
    assert unmet(page) - set().union(*(line.binds for line in page)) == set()


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_no_question_of_a_chapter_needs_a_training(path):
    chapter = read(path)
    for question in questions_of(chapter):
        context, helpers, _, everything = programs_of(question, chapter)
        assert not (helpers or everything) and ".fit(" not in context and ".compile(" not in context
        assert len(context) < 4000, "imports, a definition or two, a few clips"
