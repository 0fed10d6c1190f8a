"""An executed notebook as a web page that needs no network."""

import base64
import html
import io
import mimetypes
import re
from pathlib import Path

from ..errors import CourseError
from .notebook import title_of

TEMPLATES = Path(__file__).parent / "templates"
SPELT_OTHERWISE = {  # TeX's commands that matplotlib knows by another name
    r"\le": r"\leq",
    r"\ge": r"\geq",
    r"\ne": r"\neq",
    r"\lVert": r"\Vert",
    r"\rVert": r"\Vert",
    r"\lvert": r"\vert",
    r"\rvert": r"\vert",
    r"\tfrac": r"\frac",
}


def page(notebook, path):
    """An executed notebook as one self-contained HTML page: images, styles and equations inside, no script, no address.

    Args:
        notebook: nbformat.NotebookNode with its outputs.
        path: Path of the notebook that was executed; the images in its prose are relative to its folder.

    Returns:
        str, HTML.

    Raises:
        CourseError: the prose shows an image that isn't there.
    """
    import nbformat
    from jinja2 import FileSystemLoader
    from nbconvert import HTMLExporter

    notebook = nbformat.from_dict(notebook)  # a copy: the prose changes
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = self_contained(cell.source, path.parent)
    exporter = HTMLExporter(template_file="page.html.j2", extra_loaders=[FileSystemLoader(TEMPLATES)])
    title = html.escape(title_of(notebook, path))
    return exporter.from_notebook_node(notebook, resources={"metadata": {"name": title, "path": str(path.parent)}})[0]


def glossary_page(path):
    """The glossary as a page beside those of the notebooks, to which its entries lead.

    Args:
        path: Path of GLOSSARY.md.

    Returns:
        str, HTML.

    Raises:
        CourseError: it can't be read.
    """
    from nbformat import v4

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path} can't be read: restore it from git.") from error
    return page(v4.new_notebook(cells=[v4.new_markdown_cell(text)]), path)


def self_contained(prose, folder):
    """Markdown with images and equations inside it, and links to chapters and the glossary leading to their pages. Code stays.

    The exporter's own `embed_images` would close every inline tag where it opens, <details> among them.

    Args:
        prose: str, Markdown.
        folder: Path of the folder that the images are relative to.

    Returns:
        str, Markdown.

    Raises:
        CourseError: an image isn't there.
    """
    pieces = re.split(r"(```.*?```|`[^`\n]+`)", prose, flags=re.DOTALL)
    for i in range(0, len(pieces), 2):
        text = re.sub(r"\]\((?:notebooks/)?(\d\d_\w+)\.ipynb", r"](\1.html", pieces[i])
        text = text.replace("](../GLOSSARY.md", "](glossary.html")
        text = re.sub(r"(!\[[^\]]*\]\()([^):\s]+)\)", lambda found: found[1] + _embedded(folder / found[2]) + ")", text)
        text = re.sub(r"\$\$(.+?)\$\$", lambda found: _equation(found, display=True), text, flags=re.DOTALL)
        pieces[i] = re.sub(r"(?<![\\$])\$(?!\s)([^$\n]+?)(?<!\s)\$(?!\d)", lambda found: _equation(found, display=False), text)
    return "".join(pieces)


def _embedded(image):
    if not image.is_file():
        raise CourseError(f"The prose shows {image}, which is missing: correct its path.")
    kind = mimetypes.guess_type(image.name)[0] or "image/png"
    return f"data:{kind};base64,{base64.b64encode(image.read_bytes()).decode()}"


def _equation(found, display):
    """A TeX equation as an SVG that sits on the line of the text; what matplotlib can't set stays as it was written."""
    from matplotlib import rc_context
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    tex = re.sub(r"\\[a-zA-Z]+", lambda command: SPELT_OTHERWISE.get(command[0], command[0]), " ".join(found[1].split()))
    drawn = io.BytesIO()
    try:
        with rc_context({"mathtext.fontset": "stix", "svg.fonttype": "path"}):
            depth = math_to_image(f"${tex}$", drawn, prop=FontProperties(size=10), dpi=72, format="svg")
    except ValueError:
        return found[0]
    svg = drawn.getvalue()
    height = float(re.search(rb'height="([\d.]+)pt"', svg)[1])
    size = 1.25 if display else 1.12  # STIX letters are smaller than those of the text around them
    style = f"height:{height / 10 * size:.3f}em; vertical-align:{-depth / 10 * size:.3f}em"
    alt = re.sub(r"[^\w\s]", lambda mark: f"&#{ord(mark[0])};", tex)  # Markdown must not read TeX's signs as its own
    image = f'<img class="equation" style="{style}" alt="{alt}" src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}">'
    return f'<span class="display">{image}</span>' if display else image
