"""What is public says what it is: every docstring of the package, read without importing it."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vidgen_tf"
LONGEST = 45  # lines of a function without its docstring
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def problems(source):
    """One sentence for each thing that a module's docstrings lack.

    Keras calls `call` of a layer or model, whose "Call arguments:" stand in the docstring of the class, and a callback's
    `on_...`: these need none of their own. `__init__` and `__post_init__` are documented by their class as well.
    """
    module = ast.parse(source)
    yield from _missing(module, "the module")
    for node in ast.walk(module):
        if isinstance(node, FUNCTIONS) and _length(node) > LONGEST:
            yield f"{node.name} is {_length(node)} lines long"
    for node in module.body:
        if isinstance(node, FUNCTIONS) and not node.name.startswith("_"):
            yield from _of_function(node, node.name)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _of_class(node)


def _of_class(node):
    yield from _missing(node, node.name)
    document = ast.get_docstring(node) or ""
    for method in node.body:
        if not isinstance(method, FUNCTIONS):
            continue
        name = f"{node.name}.{method.name}"
        if method.name in ("__init__", "__post_init__"):
            yield from _sections(method, name, document, returns=False)
        elif method.name == "call":
            if "Call arguments:" not in document:
                yield f"{node.name} has no Call arguments:"
        elif method.name.startswith("__"):
            if len(method.body) > 1:
                yield from _missing(method, name)
        elif not method.name.startswith(("_", "on_")) and not _is_property(method):
            yield from _of_function(method, name)


def _of_function(node, name):
    yield from _missing(node, name)
    yield from _sections(node, name, ast.get_docstring(node) or "")


def _sections(node, name, document, returns=True):
    """What a function's parameters, results and errors need in a docstring."""
    sections = dict(re.findall(r"^(Args|Returns|Yields|Raises):((?:\n| .*)*)", document, re.MULTILINE))
    arguments = node.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    parameters = {parameter.arg for parameter in parameters if parameter} - {"self", "cls"}
    if parameters and "Args" not in sections:
        yield f"{name} has no Args:"
    elif unnamed := [name for name in sorted(parameters) if not re.search(rf"\b{name}\b", sections["Args"])]:
        yield f"{name} says nothing of {', '.join(unnamed)}"
    own = list(_own(node))
    if returns and any(isinstance(part, ast.Yield | ast.YieldFrom) for part in own):
        if not {"Yields", "Returns"} & sections.keys():
            yield f"{name} has no Yields:"
    elif returns and any(isinstance(part, ast.Return) and not _is_none(part.value) for part in own) and "Returns" not in sections:
        yield f"{name} has no Returns:"
    if any(isinstance(part, ast.Raise) and _names(part.exc) == "CourseError" for part in own) and "Raises" not in sections:
        yield f"{name} has no Raises:"


def _own(node):
    """The parts of a function that aren't parts of a function within it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            yield child
            yield from _own(child)


def _missing(node, name):
    if not (ast.get_docstring(node) or "").strip():
        yield f"{name} has no docstring"


def _length(node):
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is None:
        return lines
    return lines - (node.body[0].end_lineno - node.body[0].lineno + 1)


def _is_property(node):
    return any(isinstance(d, ast.Attribute) or _names(d) in ("property", "cached_property") for d in node.decorator_list)


def _is_none(value):
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _names(node):
    node = node.func if isinstance(node, ast.Call) else node
    return getattr(node, "id", getattr(node, "attr", None))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_public_name_says_what_it_is(path):
    assert list(problems(path.read_text(encoding="utf-8"))) == []


GOOD = '''
"""A module."""

class Layer:
    """A layer.

    Args:
        units: int.

    Call arguments:
        x: tensor.

    Raises:
        CourseError: no units.
    """

    def __init__(self, units):
        if not units:
            raise CourseError("none")

    def __len__(self):
        return 3

    def __repr__(self):
        """A line."""
        text = "a line"
        return text

    def call(self, x):
        return x

    def on_epoch_end(self, epoch, logs=None):
        return None

    @property
    def size(self):
        return 3

    def _private(self, x):
        return x

def double(x):
    """Twice it.

    Args:
        x: float.

    Returns:
        float.
    """
    def helper(y):
        raise CourseError("not double's own")
    return 2 * x

def count():
    """Counts.

    Yields:
        int.
    """
    yield 1

def show():
    """Prints."""
    return
'''


def test_the_checker_is_content_with_what_is_complete():
    assert list(problems(GOOD)) == []


@pytest.mark.parametrize(
    "old, new, said",
    [
        ('"""A module."""', "", "the module has no docstring"),
        ("        units: int.\n", "        size: int.\n", "Layer.__init__ says nothing of units"),
        ("    Args:\n        units: int.\n", "", "Layer.__init__ has no Args:"),
        ("    Call arguments:", "    Arguments:", "Layer has no Call arguments:"),
        ("    Raises:", "    Errors:", "Layer.__init__ has no Raises:"),
        ('        """A line."""\n', "", "Layer.__repr__ has no docstring"),
        ("on_epoch_end", "at_epoch_end", "Layer.at_epoch_end has no docstring"),
        ("    @property\n", "", "Layer.size has no docstring"),
        ("    Args:\n        x: float.\n", "", "double has no Args:"),
        ("        x: float.\n", "        y: float.\n", "double says nothing of x"),
        ("    Returns:", "    Result:", "double has no Returns:"),
        ('        raise CourseError("not', '        pass\n    raise CourseError("', "double has no Raises:"),
        ("    Yields:", "    Gives:", "count has no Yields:"),
        ('    """Prints."""\n', "", "show has no docstring"),
        ("    return\n", "    return 3\n", "show has no Returns:"),
        ("    return\n", "    print()\n" * 45, "show is 46 lines long"),
        ("    return 2 * x\n", "    print()\n" * 45, "double is 48 lines long"),
    ],
)
def test_the_checker_sees_what_is_missing(old, new, said):
    assert old in GOOD
    found = list(problems(GOOD.replace(old, new, 1)))
    assert said in found
