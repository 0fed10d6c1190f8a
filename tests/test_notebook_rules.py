"""The rules of the notebooks that a machine can check.

A rule is a function of a notebook that yields a complaint for each breach. Every rule is tried on a notebook made here that
keeps all of them and on one that breaks it, and then on each notebook of the course.
"""

import ast
import functools
import itertools
import re
import symtable
from pathlib import Path

import nbformat.v4 as v4
import pytest
from toy_notebooks import good_notebook

from vidgen_tf.coursebook.notebook import IGNORED, MAX_BYTES, as_text, code_cells, normalize, read
from vidgen_tf.coursebook.pages import self_contained
from vidgen_tf.coursebook.student import write_versions

ROOT = Path(__file__).parents[1]
COURSE = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
LEADS = ["You will be able to", "You need first", "Time", "The number to reach"]
CLOSING = ["Remember", "Results", "Exercises", "Check yourself", "References"]
EMOJI = "[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f]"


def code_is_in_small_cells(notebook):
    """Lines are counted without blank ones, with comments; source and grader cells count too."""
    lengths = [len(code_lines(cell)) for cell in code_cells(notebook)]
    mean = sum(lengths) / max(1, len(lengths))
    if not 4 <= mean <= 9:
        yield f"the code cells have {mean:.1f} lines on average, wanted are 4 to 9"
    yield from (f"code cell {i} has {length} lines, at most 45 are allowed" for i, length in enumerate(lengths, 1) if length > 45)
    for i, cell in enumerate(code_cells(notebook), 1):
        if max(map(len, cell.source.splitlines()), default=0) > 110:
            yield f"code cell {i} has a line of over 110 characters: a page cuts it off"


def there_are_six_words_for_each_line_of_code(notebook):
    words = len(re.findall(r"[^\W_]+", prose(notebook)))
    lines = sum(len(code_lines(cell)) for cell in code_cells(notebook))
    if words < 6 * lines:
        yield f"{words} words of prose for {lines} lines of code make {words / lines:.1f} a line, wanted are 6"


def every_cell_was_executed_in_order(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the execution counts are {counts}: run course.py refresh"


def nothing_went_wrong(notebook):
    for i, cell in enumerate(code_cells(notebook), 1):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                yield f"code cell {i} writes to stderr: {output.text[:80]!r}"
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                yield f"code cell {i} failed: {output.ename}"


def source_cells_equal_the_package(notebook):
    for cell in code_cells(notebook):
        if "source" in cell.metadata:
            module, _, name = cell.metadata.source.partition(":")
            place = ROOT / module.replace(".", "/")
            texts = [p.read_text(encoding="utf-8") for p in (place.with_suffix(".py"), place / "__init__.py") if p.exists()]
            definitions = [node for text in texts for node in ast.parse(text).body]
            theirs = [ast.dump(without_docstrings(node)) for node in definitions if getattr(node, "name", None) == name]
            ours = [ast.dump(without_docstrings(node)) for node in ast.parse(cell.source).body]
            if not theirs or ours != theirs:
                yield f"the cell of {cell.metadata.source} differs from the package: run course.py refresh"


def definitions_of_the_package_are_imported(notebook):
    package = package_definitions()
    for cell in code_cells(notebook):
        if "source" not in cell.metadata:
            for name in defined_names(plain_python(cell)) & package.keys():
                yield f"{name} is defined in {package[name]} already: import it, or make this a source cell"


def no_function_reads_a_variable_of_the_notebook(notebook):
    """Imports, definitions and ALL_CAPS constants may be read. Expressions of the page itself, a comprehension, a lambda handed
    over on the spot, are no functions in this sense."""
    page = symtable.symtable("\n".join(plain_python(cell) for cell in code_cells(notebook)), "notebook", "exec")
    variables = {
        symbol.get_name()
        for symbol in page.get_symbols()
        if symbol.is_assigned() and not (symbol.is_imported() or symbol.is_namespace() or symbol.get_name().isupper())
    }

    def reads(table, function):
        for inner in table.get_children():
            named = inner.get_type() == "function" and inner.get_name() not in (
                "lambda",
                "listcomp",
                "setcomp",
                "dictcomp",
                "genexpr",
            )
            name = inner.get_name() if named else function
            if name and inner.get_type() == "function":
                yield from ((name, s.get_name()) for s in inner.get_symbols() if s.is_global() and s.get_name() in variables)
            yield from reads(inner, name)

    yield from (
        f"{function} reads the notebook's variable {name}: pass it in" for function, name in sorted(set(reads(page, None)))
    )


SLOW = ("# 08 ", "# 11 ", "# 18 ")  # measured at 4 minutes: they say so until they are quicker


def metadata_are_complete(notebook):
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel must be python3"
    if notebook.metadata.get("language_info") != {"name": "python"}:
        yield "language_info says more than the language's name: run course.py refresh"
    minutes = notebook.metadata.get("vidgen", {}).get("minutes")
    most = 4 if notebook.cells[0].source.startswith(SLOW) else 2
    if not isinstance(minutes, (int, float)) or not 0 < minutes <= most:
        yield f"the metadata must state vidgen.minutes, above 0 and at most {most}, not {minutes}"
        return
    stated = re.search(r"\*\*Time\*\*.*?([\d.]+) (second|minute)s? on two CPU cores", notebook.cells[0].source)
    if not stated:
        yield "the first cell must say **Time**: about N minutes (or seconds) on two CPU cores"
    elif abs(float(stated[1]) / (60 if stated[2] == "second" else 1) - minutes) > 0.005:
        yield f"the first cell says {stated[1]} {stated[2]}s, the metadata {minutes} minutes"


def it_opens_with_what_to_expect(notebook):
    opening = notebook.cells[0].source
    if not re.match(r"# \d\d · \S", opening):
        yield "the first line must be a title such as # 02 · A dense frame generator"
    leads = [lead for lead in re.findall(r"^\*\*(.+?)\*\*", opening, re.MULTILINE) if lead.strip(":.") in LEADS]
    if [lead.strip(":.") for lead in leads] != LEADS:
        yield f"the first cell must have the bold leads {LEADS} in this order, not {leads}"
    goals = re.findall(r"^[-*] \S|^\d\. \S", opening.partition("You need first")[0], re.MULTILINE)
    if not 3 <= len(goals) <= 5:
        yield f"it must promise 3 to 5 things that the reader will be able to do, not {len(goals)}"


def it_closes_with_what_to_keep(notebook):
    headings = re.findall(r"^## (.+?)\s*$", markdown(notebook), re.MULTILINE)
    if headings[-len(CLOSING) :] != CLOSING:
        yield f"the last headings must be {CLOSING}, not {headings[-len(CLOSING) :]}"
        return
    questions = section(notebook, "Check yourself").count("<details>")
    if questions != 5:
        yield f"five questions with folded answers belong to Check yourself, not {questions}"
    if not re.search(r"\b(19|20)\d\d\b", section(notebook, "References")):
        yield "References must name at least one work with its year"


def exercises_can_be_graded(notebook):
    cells = code_cells(notebook)
    solutions = [i for i, cell in enumerate(cells) if cell.metadata.get("nbgrader", {}).get("solution")]
    if len(solutions) < 3:
        yield f"it needs at least three graded exercises, not {len(solutions)}"
    for i in solutions:
        grader = cells[i + 1] if i + 1 < len(cells) else v4.new_code_cell()
        yield from (f"{cells[i].metadata.nbgrader.grade_id}: {flaw}" for flaw in flaws_of_exercise(cells[i], grader))
    marked = re.compile(r"### (BEGIN|END) (SOLUTION|HIDDEN TESTS)")
    if any(marked.search(cell.source) for cell in cells if "nbgrader" not in cell.metadata):
        yield "a cell with nbgrader's markers has no nbgrader metadata"
    ids = [cell.metadata.nbgrader.grade_id for cell in notebook.cells if "nbgrader" in cell.metadata]
    if len(ids) != len(set(ids)):
        yield f"each grade_id may stand once: {ids}"


def flaws_of_exercise(solution, grader):
    common = {"schema_version": 3, "task": False}
    wanted = common | {"grade": False, "solution": True, "locked": False}
    if not wanted.items() <= solution.metadata.nbgrader.items():
        yield f"the solution's metadata must have {wanted}"
    if not re.search(r"### BEGIN SOLUTION\n.*### END SOLUTION", solution.source, re.DOTALL):
        yield "the solution has no ### BEGIN SOLUTION and ### END SOLUTION"
    wanted = common | {"grade": True, "solution": False, "locked": True}
    metadata = grader.metadata.get("nbgrader", {})
    if not (wanted.items() <= metadata.items() and metadata.get("points", 0) > 0):
        yield f"the next code cell must grade it, with the metadata {wanted} and points"
    if not re.search(r"### BEGIN HIDDEN TESTS\n.*### END HIDDEN TESTS", grader.source, re.DOTALL):
        yield "its grader has no hidden tests"
    asserts = [node for node in ast.walk(ast.parse(plain_python(grader))) if isinstance(node, ast.Assert)]
    if not asserts or any(node.msg is None for node in asserts):
        yield "its grader must be made of asserts, each with a message that helps"


def it_needs_no_installation_and_no_network(notebook):
    forbidden = r"^\s*[!%]+\s*(?:pip|conda|apt|uv)\b|sys\.path\b|PYTHONPATH|\bget_file\(|\burlretrieve\(|\brequests\.|https?://"
    for i, cell in enumerate(code_cells(notebook), 1):
        found = re.search(forbidden, cell.source, re.MULTILINE)
        if found:
            yield f"code cell {i} has {found[0].strip()!r}: a notebook needs neither installation nor network nor paths"


def prose_is_plain(notebook):
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and not cell.source.strip():
            yield f"cell {i} is empty: write its prose or delete it"
    for word in re.findall(rf"\b(?:simply|just)\b|{EMOJI}", prose(notebook), re.IGNORECASE):
        yield f"the prose says {word!r}: leave it out"


def trained_results_are_asserted(notebook):
    """Cells that nbval must not compare are tagged, and the next compared cell asserts."""
    cells = code_cells(notebook)
    for i, cell in enumerate(cells):
        if "nbval-skip" in tags(cell) or re.search(r"#\s*NBVAL_|#\s*PYTEST_VALIDATE", cell.source):
            yield f"code cell {i + 1} is hidden from nbval: use the tag {IGNORED} alone"
        if IGNORED in tags(cell):
            compared = next((later for later in cells[i + 1 :] if IGNORED not in tags(later)), v4.new_code_cell())
            if not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(plain_python(compared)))):
                yield f"code cell {i + 1} isn't compared, so the next compared one must assert what it should have reached"


def equations_can_be_set_without_a_network(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            ready = self_contained(cell.source, ROOT / "notebooks")
            left = re.sub(r"```.*?```|`[^`\n]+`|<img [^>]*>", "", ready, flags=re.DOTALL)
            yield from (
                f"{command} can't be set by matplotlib: write it another way" for command in re.findall(r"\\[a-zA-Z]{2,}", left)
            )


def symbols_defined_twice(course):
    """Complaints about definitions that two notebooks share. `course` is a dict from a name to a notebook."""
    definitions = {
        name: set().union(*(defined_names(plain_python(c)) for c in code_cells(book))) for name, book in course.items()
    }
    for (a, ours), (b, theirs) in itertools.combinations(definitions.items(), 2):
        yield from (f"{symbol} is defined in {a} and in {b}: define it once" for symbol in sorted(ours & theirs))


def replace(number, old, new):
    """A breach: `old` becomes `new` in the cell of this number."""

    def breach(notebook):
        assert old in notebook.cells[number].source
        notebook.cells[number].source = notebook.cells[number].source.replace(old, new)

    return breach


def put(place, value):
    """A breach: the item at a path such as "cells.3.execution_count" gets a value."""

    def breach(notebook):
        *way, last = [int(step) if step.lstrip("-").isdigit() else step for step in place.split(".")]
        for step in way:
            notebook = notebook[step]
        notebook[last] = v4.new_output(**value) if isinstance(value, dict) and last == 0 else value

    return breach


def output(number, **fields):
    """A breach: an output is added to the cell of this number."""
    return lambda notebook: notebook.cells[number].outputs.append(v4.new_output(**fields))


BREACHES = {
    code_is_in_small_cells: [
        replace(3, "total =", "loss\n" * 42 + "total ="),  # one long cell: the mean stays below 9
        lambda notebook: [cell.update(source="1\n" * 3) for cell in code_cells(notebook)],
        lambda notebook: [cell.update(source="1\n" * 10) for cell in code_cells(notebook)],
        replace(3, "total =", f"text = '{'x' * 110}'\ntotal ="),
    ],
    there_are_six_words_for_each_line_of_code: [replace(4, "Some more words of prose are here. ", "")],
    every_cell_was_executed_in_order: [put("cells.2.execution_count", None), put("cells.1.execution_count", 2)],
    nothing_went_wrong: [
        output(2, output_type="stream", name="stderr", text="oh"),
        output(2, output_type="error", ename="ValueError", evalue="", traceback=[]),
    ],
    source_cells_equal_the_package: [
        replace(1, "ValueError", "TypeError"),
        put("cells.1.metadata.source", "vidgen_tf.errors:Nothing"),
        put("cells.1.metadata.source", "vidgen_tf.nowhere:CourseError"),
    ],
    definitions_of_the_package_are_imported: [
        replace(3, "double", "to_uint8"),
        replace(3, "def double(x):", "class Clip:\n  def y(x):"),
    ],
    no_function_reads_a_variable_of_the_notebook: [
        replace(3, "2 * STEPS", "2 * int(loss)"),
        replace(3, "[x for", "[loss for"),
        replace(3, "return [x", "def inner(): return loss\n    return [x"),
        replace(3, "def double", "class A:\n    def call(self):\n        return lambda: loss\ndef double"),
    ],
    metadata_are_complete: [
        put("metadata.vidgen.minutes", 0.6),
        put("metadata.vidgen.minutes", 3),
        put("metadata.vidgen", {}),
        put("metadata.language_info", {"name": "python", "version": "3"}),
        put("metadata.kernelspec", {"name": "mine"}),
        replace(0, "30 seconds", "a while"),
        replace(0, "30 seconds", "30 minutes"),
    ],
    it_opens_with_what_to_expect: [
        replace(0, "# 07 · A", "# A"),
        replace(0, "**You need first**", "You need first"),
        replace(0, "- see\n- say\n", ""),
        replace(0, "- see\n", "- see\n" * 4),
    ],
    it_closes_with_what_to_keep: [
        replace(5, "## Remember", "## In short"),
        replace(-1, "2020", "long ago"),
        replace(-2, "<details>answer</details>\n" * 5, "<details>answer</details>\n" * 4),
    ],
    exercises_can_be_graded: [
        put("cells.8.metadata", {}),
        put("cells.9.metadata.nbgrader.points", 0),
        put("cells.9.metadata.nbgrader.locked", False),
        put("cells.9.metadata.nbgrader.grade_id", "task-0"),
        put("cells.8.metadata.nbgrader.schema_version", 2),
        replace(8, "### END SOLUTION", ""),
        replace(9, "### BEGIN HIDDEN TESTS", ""),
        replace(9, ", 'say one'", ""),
        lambda notebook: notebook.cells.pop(9),
        lambda notebook: [notebook.cells.pop(12) for _ in range(2)],
    ],
    it_needs_no_installation_and_no_network: [
        replace(3, "total =", "!pip install x\ntotal ="),
        replace(3, "total =", "%pip install x\ntotal ="),
        replace(3, "total =", "import sys; sys.path.append('..')\ntotal ="),
        replace(3, "total =", "keras.utils.get_file('x')\ntotal ="),
    ],
    prose_is_plain: [
        replace(4, "Some more", "Simply more"),
        replace(4, "Some more", "just more"),
        lambda notebook: notebook.cells.insert(4, v4.new_markdown_cell(" \n")),
        replace(4, "Some more", "\N{PARTY POPPER} more"),
    ],
    trained_results_are_asserted: [
        replace(3, "assert total < 7, loss", ""),
        put("cells.3.metadata.tags", ["nbval-skip"]),
        replace(3, "total =", "# NBVAL_IGNORE_OUTPUT\ntotal ="),
        put("cells.-3.metadata.tags", [IGNORED]),
    ],
    equations_can_be_set_without_a_network: [replace(4, "\\leq", "\\nonsense")],
}


@pytest.mark.parametrize("rule", BREACHES, ids=lambda rule: rule.__name__)
def test_a_rule_accepts_what_keeps_it_and_notices_each_breach(rule):
    assert list(rule(good_notebook())) == []
    for i, breach in enumerate(BREACHES[rule]):
        bad = good_notebook()
        breach(bad)
        assert list(rule(bad)), f"breach {i} went unnoticed"


def test_symbols_defined_twice_are_noticed():
    a, b = good_notebook(), good_notebook()
    assert list(symbols_defined_twice({"a": a, "b": b})) == [
        f"{n} is defined in a and in b: define it once" for n in ("CourseError", "double")
    ]
    for cell in b.cells[1:4]:
        cell.source = ""
    assert list(symbols_defined_twice({"a": a, "b": b})) == []


@pytest.mark.parametrize("rule", BREACHES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_the_notebook_keeps_the_rule(path, rule):
    assert list(rule(read(path))) == []


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_the_file_is_small_and_as_refresh_writes_it(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) <= MAX_BYTES, "make its clips smaller"
    notebook = read(path)
    normalize(notebook)
    assert as_text(notebook) == text, "run course.py refresh"
    assert notebook.cells[0].source.startswith(f"# {path.stem[:2]} · "), "the title has the file's number"


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_the_students_version_can_be_made(path, tmp_path):
    pytest.importorskip("nbgrader")
    assert write_versions([path], tmp_path)
    made = read(tmp_path / "student" / path.name)
    assert not re.search("### (BEGIN|END)", "".join(cell.source for cell in made.cells))
    assert all(cell.outputs == [] for cell in code_cells(made))


def test_no_symbol_is_defined_in_two_notebooks():
    assert list(symbols_defined_twice({path.stem: read(path) for path in COURSE})) == []


def code_lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def plain_python(cell):
    """The cell without IPython's own lines, which Python can't parse."""
    return "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in cell.source.splitlines())


def defined_names(source):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse(source).body if isinstance(node, kinds)}


@functools.cache
def package_definitions():
    """Name -> file of every public function and class of the package."""
    modules = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in (ROOT / "vidgen_tf").rglob("*.py")}
    return {name: path for path, text in modules.items() for name in defined_names(text) if not name.startswith("_")}


def without_docstrings(node):
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(inner) is not None:
            inner.body = inner.body[1:]
    return node


def markdown(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def prose(notebook):
    """What a reader reads: the Markdown without code, equations, tags and addresses."""
    return re.sub(r"```.*?```|`[^`\n]+`|\$\$.*?\$\$|\$[^$\n]+\$|<[^>]+>|\]\([^)]*\)", " ", markdown(notebook), flags=re.DOTALL)


def section(notebook, heading):
    return markdown(notebook).partition(f"## {heading}")[2].partition("\n## ")[0]


def tags(cell):
    return cell.metadata.get("tags", [])
