"""Notebooks as files: find, read, bring into normal form, write; and the source that a source cell shows."""

import ast
import importlib.util
import itertools
import re
import textwrap
from pathlib import Path

from ..errors import CourseError
from ..files import atomic_path

MAX_BYTES = 1_500_000  # of a committed notebook, whose clips have true colours
IGNORED = "nbval-ignore-output"  # the tag of a cell whose output depends on training


def find(numbers, folder):
    """The notebooks with these numbers.

    Args:
        numbers: list of str such as "2" or "02"; empty for all notebooks.
        folder: Path of the folder notebooks/ of a clone of the repository.

    Returns:
        list of Path in the order of the course, each once.

    Raises:
        CourseError: the folder isn't there or holds no notebook, there is no notebook with such a number, or two notebooks
            have the same one.
    """
    if not folder.is_dir():
        raise CourseError(
            f"There is no folder {folder}: the notebooks come with the repository, not with the installed package, "
            "so clone it and call the course.py in it."
        )
    there = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        first = there.setdefault(int(path.name[:2]), path)
        if first != path:
            raise CourseError(
                f"{first.name} and {path.name} have the same number: rename one of them, or move it out of {folder}."
            )
    if not there:
        raise CourseError(f"There is no notebook in {folder}: is the repository complete?")
    wanted = set()
    for number in numbers:
        if not (number.isdecimal() and int(number) in there):
            names = ", ".join(f"{n:02d}" for n in there)
            raise CourseError(f"There is no notebook {number}; choose from {names}.")
        wanted.add(int(number))
    return [path for n, path in there.items() if n in wanted or not numbers]


def read(path):
    """The notebook in a file, in nbformat 4.5, every cell with an id of its own.

    Args:
        path: Path of an .ipynb file.

    Returns:
        nbformat.NotebookNode.

    Raises:
        CourseError: the file can't be read, is no notebook, or has metadata that the course can't use.
    """
    import nbformat  # takes two seconds: not before a mistyped number is told

    try:
        notebook = nbformat.v4.reads(path.read_text(encoding="utf-8"))
        notebook.nbformat_minor = 5
        _give_ids(notebook.cells)
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise CourseError(f"There is no notebook {path}.") from None
    except OSError as error:
        raise CourseError(f"{path} can't be read, {error.strerror}: restore it from git, or move it away.") from error
    except (ValueError, TypeError, AttributeError, KeyError, nbformat.ValidationError) as error:  # no JSON, or other JSON
        raise CourseError(f"{path} is no notebook of format 4: restore it from git.") from error
    flaw = _flaw_of_metadata(notebook)
    if flaw:
        raise CourseError(f"{path} has metadata that can't be used: {flaw}.")
    return notebook


def normalize(notebook):
    """Takes out, in place, what differs between machines and editors, and joins what a kernel sent in pieces.

    Args:
        notebook: nbformat.NotebookNode.
    """
    import nbformat

    kept = {key: notebook.metadata[key] for key in ("vidgen",) if key in notebook.metadata}
    notebook.metadata.clear()
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata.update(nbformat.from_dict({**kept, "kernelspec": kernel, "language_info": {"name": "python"}}))
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in ("nbgrader", "source", "tags") if cell.metadata.get(key)}
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type != "code":
            continue
        joined = []
        for output in cell.outputs:
            if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
                joined[-1].text += output.text
            else:
                joined.append(output)
        cell.outputs = joined


def as_text(notebook):
    """What stands in the file of a notebook.

    Args:
        notebook: nbformat.NotebookNode.

    Returns:
        str, JSON with a newline at its end.
    """
    import nbformat

    return nbformat.v4.writes(notebook) + "\n"


def write(text, path):
    """Writes a text file whole or not at all, in UTF-8 with newlines as they are.

    Args:
        text: str.
        path: Path of the file.

    Raises:
        CourseError: it can't be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def source_text(spec):
    """A definition of the package as a notebook shows it: its source with comments, docstrings cut to their first lines.

    Args:
        spec: "module:name" of a function or class at the top level of a module, such as "vidgen_tf.models.vae:VAE".

    Returns:
        str, decorators included, without a newline at its end.

    Raises:
        CourseError: there is no such module or name.
    """
    module, _, name = spec.partition(":")
    path = _file_of(module)
    if path is None:
        raise CourseError(f"There is no module {module!r} for a source cell: correct the cell's metadata.")
    text = path.read_text(encoding="utf-8")
    nodes = [node for node in ast.parse(text).body if getattr(node, "name", None) == name]
    if not nodes:
        raise CourseError(f"{module} defines no function or class {name!r} for a source cell: correct the cell's metadata.")
    node = nodes[-1]
    first = min([node.lineno] + [decorator.lineno for decorator in node.decorator_list])
    lines = text.splitlines()[: node.end_lineno]
    for docstring in sorted(_docstrings(node), key=lambda d: -d.lineno):  # from below, so that line numbers above stay true
        start, end = docstring.lineno - 1, docstring.end_lineno
        lines[start:end] = [_first_line(lines[start:end])]
    return "\n".join(lines[first - 1 :])


def title_of(notebook, path):
    """What stands behind the number in the notebook's first heading, `# 02 · A dense frame generator`.

    Args:
        notebook: nbformat.NotebookNode.
        path: Path of its file, whose name serves where there is no such heading.

    Returns:
        str.
    """
    heading = re.search(r"^#\s+(?:\d+\s*·\s*)?(.+)", notebook.cells[0].source if notebook.cells else "", re.MULTILINE)
    return heading[1].strip() if heading else path.stem[3:].replace("_", " ")


def stated_seconds(notebook):
    """How long the notebook says that it takes with the budget "fast".

    Args:
        notebook: nbformat.NotebookNode.

    Returns:
        float or int, seconds; 0 where it states nothing.
    """
    return 60 * (notebook.metadata.get("vidgen", {}).get("minutes") or 0)


def last_run(notebook):
    """What `execute.run` noted in an executed copy.

    Args:
        notebook: nbformat.NotebookNode.

    Returns:
        dict with passed, bool; seconds, float; and sources, str, the fingerprint of what was executed. None where there is none.
    """
    noted = notebook.metadata.get("vidgen", {}).get("run")
    kinds = {"passed": bool, "seconds": (int, float), "sources": str}
    if isinstance(noted, dict) and all(isinstance(noted.get(key), kind) for key, kind in kinds.items()):
        return noted
    return None


def code_cells(notebook):
    """The code cells of a notebook.

    Args:
        notebook: nbformat.NotebookNode.

    Returns:
        list of nbformat.NotebookNode, in order.
    """
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def describe_cell(number, cell):
    """A code cell as a message names it.

    Args:
        number: int, its number among the code cells, from 1.
        cell: nbformat.NotebookNode.

    Returns:
        str such as "Code cell 2 ('import sys')".
    """
    return f"Code cell {number} ({shorten(cell.source, 60)!r})"


def shorten(text, width=150):
    """The first line of a text that says something.

    Args:
        text: str.
        width: int, the number of characters that it is cut to.

    Returns:
        str.
    """
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return textwrap.shorten(line, width, placeholder=" ...")


def clock(seconds):
    """Seconds as minutes:seconds.

    Args:
        seconds: int or float.

    Returns:
        str such as "1:05".
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _give_ids(cells):
    """An id of its own for each cell that has none, or another's; those that are there stay."""
    ids = [cell.get("id") for cell in cells]
    for i, cell in enumerate(cells):
        if ids[i] is None or ids[i] in ids[:i]:
            ids[i] = cell.id = next(name for k in itertools.count(i) if (name := f"cell-{k}") not in ids)


def _flaw_of_metadata(notebook):
    """What the course can't use of the metadata that it reads, which nbformat lets pass; None where all is well."""
    vidgen = notebook.metadata.get("vidgen", {})
    if not isinstance(vidgen, dict) or not isinstance(vidgen.get("minutes") or 0, (int, float)):
        return f'"vidgen" is {vidgen!r}, and must be such as {{"minutes": 2.0}}'
    for number, cell in enumerate(notebook.cells):
        for key, kind, wanted in (("source", str, '"module:name"'), ("nbgrader", dict, "nbgrader's own")):
            if not isinstance(cell.metadata.get(key, kind()), kind):
                return f'"{key}" of cell {number} is {cell.metadata[key]!r}, and must be {wanted}'
    return None


def _file_of(module):
    """Path of a module's file; None where there is none. No package on the way is imported: some bring TensorFlow in."""
    top, *parts = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin:
        return None
    if not parts:
        return Path(spec.origin)
    below = Path(spec.origin).parent.joinpath(*parts)
    return next((path for path in (below.with_suffix(".py"), below / "__init__.py") if path.is_file()), None)


def _docstrings(node):
    """The docstring expressions of a definition and of all definitions inside it."""
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(inner) is not None:
            yield inner.body[0]


def _first_line(lines):
    """The docstring on these source lines as one line: its opening quotes, first words and closing quotes."""
    if len(lines) == 1:
        return lines[0]
    indent, opening, first = re.match(r"(\s*)([rRuU]?(?:\"\"\"|'''))(.*)", lines[0]).groups()
    quotes = opening[-3:]
    words = first.strip() or next(line.strip() for line in lines[1:] if line.strip())
    return indent + opening + words.removesuffix(quotes) + quotes
