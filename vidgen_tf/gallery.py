"""Executed notebooks as web pages that need no network: one page per notebook, and a gallery of all of them."""

import base64
import contextlib
import datetime
import html
import io
import math
import mimetypes
import re

from .errors import CourseError
from .notebooks import clock, read, title_of

CLIPS_PER_CARD = 3
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
    """An executed notebook as one self-contained HTML page: pictures, styles and equations inside, no script, no address.

    Args:
        notebook: nbformat.NotebookNode with its outputs.
        path: Path of the notebook that was executed; the pictures in its prose are relative to its folder.

    Returns:
        str, HTML.

    Raises:
        CourseError: the prose shows a picture that isn't there.
    """
    import nbformat
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    notebook = nbformat.from_dict(notebook)  # a copy: the prose changes
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _ready_for_paper(cell.source, path.parent)
    exporter = HTMLExporter(template_file="page.html.j2", extra_loaders=[DictLoader({"page.html.j2": PAGE})])
    title = html.escape(title_of(notebook, path))
    return exporter.from_notebook_node(notebook, resources={"metadata": {"name": title, "path": str(path.parent)}})[0]


def index(build_dir):
    """The gallery: a card with the clips of each executed notebook in a folder, then a table.

    Args:
        build_dir: Path of the folder that `notebooks.run` filled; what else lies there is left out.

    Returns:
        str, HTML.
    """
    entries = []
    for path in sorted(build_dir.glob("[0-9][0-9]_*.ipynb")):
        with contextlib.suppress(CourseError):  # damaged since its run, or never ours
            entries.append((path, read(path)))
    entries = [(path, notebook) for path, notebook in entries if "run" in notebook.metadata.get("vidgen", {})]
    passed = sum(notebook.metadata.vidgen.run.passed for _, notebook in entries)
    seconds = sum(notebook.metadata.vidgen.run.seconds for _, notebook in entries)
    return INDEX.format(
        summary=f"{passed} of {len(entries)} notebooks passed, {clock(seconds)} minutes in all, {datetime.date.today():%d %B %Y}",
        cards="\n".join(_card(path, notebook) for path, notebook in entries),
        rows="\n".join(_row(path, notebook) for path, notebook in entries),
    )


def _card(path, notebook):
    run = notebook.metadata.vidgen.run
    verdict = "passed" if run.passed else "failed"
    clips = _clips(notebook)
    width, height = _size(clips[0]) if clips else (1, 1)
    stage = "".join(f'<img src="data:image/png;base64,{data}" alt="">' for data in clips)
    return f"""<a class="card" href="{path.stem}.html">
  <div class="stage {"wide" if width > 1.4 * height else "square"}">{stage or f'<span class="blank">{path.stem[:2]}</span>'}</div>
  <div class="label"><span class="number">{path.stem[:2]}</span><h2>{html.escape(title_of(notebook, path))}</h2></div>
  <p><span class="{verdict}">{verdict}</span> in {clock(run.seconds)} minutes</p>
</a>"""


def _row(path, notebook):
    run = notebook.metadata.vidgen.run
    link = f'<a href="{path.stem}.html">{html.escape(title_of(notebook, path))}</a>'
    verdict = '<td class="passed">yes</td>' if run.passed else '<td class="failed">no</td>'
    return f"<tr><td>{path.stem[:2]}</td><td>{link}</td><td>{clock(run.seconds)}</td>{verdict}</tr>"


def _clips(notebook):
    """The most telling pictures of a notebook, as base64: clips, else figures; large before small, late before early."""
    pictures = [
        output.data["image/png"].replace("\n", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    moving = [data for data in pictures if _is_animated(data)]
    newest_first = list(dict.fromkeys(reversed(moving or pictures[-1:])))
    return sorted(newest_first, key=lambda data: math.prod(_size(data)), reverse=True)[:CLIPS_PER_CARD]  # sorted is stable


def _is_animated(data):
    return b"acTL" in base64.b64decode(data).split(b"IDAT", 1)[0]  # the animation chunk comes before the first frame


def _size(data):
    header = base64.b64decode(data[:32])  # signature 8, length 4, "IHDR" 4, width 4, height 4
    return int.from_bytes(header[16:20]), int.from_bytes(header[20:24])


def _ready_for_paper(source, folder):
    """Prose with its pictures and equations inside it, and links to other chapters leading to their pages; code stays as it is.

    The exporter's own `embed_images` would close every inline tag where it opens, <details> among them.
    """
    pieces = re.split(r"(```.*?```|`[^`\n]+`)", source, flags=re.DOTALL)
    for i in range(0, len(pieces), 2):
        text = re.sub(r"\]\((\d\d_\w+)\.ipynb", r"](\1.html", pieces[i])
        text = re.sub(r"(!\[[^\]]*\]\()([^):\s]+)\)", lambda found: found[1] + _embedded(folder / found[2]) + ")", text)
        text = re.sub(r"\$\$(.+?)\$\$", lambda found: _equation(found, display=True), text, flags=re.DOTALL)
        pieces[i] = re.sub(r"(?<![\\$])\$(?!\s)([^$\n]+?)(?<!\s)\$(?!\d)", lambda found: _equation(found, display=False), text)
    return "".join(pieces)


def _embedded(picture):
    if not picture.is_file():
        raise CourseError(f"The prose shows {picture}, which is missing: correct its path.")
    kind = mimetypes.guess_type(picture.name)[0] or "image/png"
    return f"data:{kind};base64,{base64.b64encode(picture.read_bytes()).decode()}"


def _equation(found, display):
    """A TeX equation as an SVG that sits on the line of the text; what matplotlib can't set stays as it was written."""
    from matplotlib import rc_context
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    tex = re.sub(r"\\[a-zA-Z]+", lambda command: SPELT_OTHERWISE.get(command[0], command[0]), " ".join(found[1].split()))
    picture = io.BytesIO()
    try:
        with rc_context({"mathtext.fontset": "stix", "svg.fonttype": "path"}):
            depth = math_to_image(f"${tex}$", picture, prop=FontProperties(size=10), dpi=72, format="svg")
    except ValueError:
        return found[0]
    svg = picture.getvalue()
    height = float(re.search(rb'height="([\d.]+)pt"', svg)[1])
    size = 1.25 if display else 1.12  # STIX letters are smaller than those of the text around them
    style = f"height:{height / 10 * size:.3f}em; vertical-align:{-depth / 10 * size:.3f}em"
    alt = re.sub(r"[^\w\s]", lambda mark: f"&#{ord(mark[0])};", tex)  # Markdown must not read TeX's signs as its own
    image = f'<img class="equation" style="{style}" alt="{alt}" src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}">'
    return f'<span class="display">{image}</span>' if display else image


PAGE = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
<style>
main { max-width: 66rem; margin: 0 auto; padding: 1rem 0 4rem; }
.gallery { margin-left: 1rem; color: #2456c9; font: 0.9rem system-ui, sans-serif; }
.display { display: block; text-align: center; margin: 1em 0; }
img.equation { max-width: 100%; }
.jp-InputPrompt, .jp-OutputPrompt { flex-basis: 4rem; min-width: 4rem; }
@media (max-width: 40rem) { .jp-InputPrompt, .jp-OutputPrompt { display: none; } }
</style>
{%- endblock -%}
{%- block body_header -%}
{{ super() }}
<a class="gallery" href="index.html">All notebooks</a>
{%- endblock -%}
"""

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Video generation with Keras 3: the executed notebooks</title>
<style>
:root {{ color-scheme: light dark; --page: #f6f6f3; --card: #fff; --ink: #1c1d22; --soft: #676a75; --line: #e2e2dc;
  --stage: #16171c; --link: #2456c9; --good: #1c7c3f; --bad: #c22f2f; }}
@media (prefers-color-scheme: dark) {{ :root {{ --page: #111216; --card: #1b1d23; --ink: #ececf0; --soft: #9a9daa;
  --line: #2c2f38; --stage: #08090b; --link: #8fb1ff; --good: #62cf8a; --bad: #ff8a80; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; max-width: 76rem; padding: 3rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }}
h1 {{ margin: 0; font-size: clamp(1.7rem, 4vw, 2.6rem); line-height: 1.15; letter-spacing: -0.02em; }}
header p {{ margin: 0.6rem 0 2.2rem; color: var(--soft); }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1.4rem; }}
.card {{ display: flex; flex-direction: column; overflow: hidden; border: 1px solid var(--line); border-radius: 14px;
  background: var(--card); color: inherit; text-decoration: none; transition: transform 0.15s, box-shadow 0.15s; }}
.card:hover, .card:focus-visible {{ transform: translateY(-3px); box-shadow: 0 10px 28px rgb(0 0 0 / 0.18); }}
.stage {{ display: grid; gap: 4px; aspect-ratio: 3 / 2; overflow: hidden; padding: 4px; background: var(--stage); }}
.stage.square {{ grid-template: minmax(0, 1fr) minmax(0, 1fr) / minmax(0, 2fr) minmax(0, 1fr); }}
.stage.wide {{ grid-template: minmax(0, 3fr) minmax(0, 2fr) / minmax(0, 1fr) minmax(0, 1fr); }}
.stage img {{ width: 100%; height: 100%; object-fit: contain; }}
.square img:first-child, .square img:nth-child(2):last-child {{ grid-row: 1 / -1; }}
.wide img:first-child, .wide img:nth-child(2):last-child {{ grid-column: 1 / -1; }}
.stage img:only-child, .blank {{ grid-area: 1 / 1 / -1 / -1; }}
.blank {{ display: grid; place-items: center; color: #565a66; font-size: 5rem; font-weight: 700; }}
.label {{ display: flex; gap: 0.7rem; align-items: baseline; padding: 1rem 1.1rem 0; }}
.number {{ color: var(--soft); font-variant-numeric: tabular-nums; }}
h2 {{ margin: 0; font-size: 1.15rem; line-height: 1.3; }}
.card p {{ margin: 0.3rem 0 1.1rem; padding: 0 1.1rem; color: var(--soft); font-size: 0.9rem; }}
.passed {{ color: var(--good); font-weight: 600; }}
.failed {{ color: var(--bad); font-weight: 600; }}
table {{ width: 100%; margin-top: 3rem; border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.5rem 0.7rem; border-bottom: 1px solid var(--line); text-align: left; }}
th {{ color: var(--soft); font-weight: 500; font-size: 0.9rem; }}
td a {{ color: var(--link); }}
</style>
</head>
<body>
<header>
<h1>Video generation with Keras&nbsp;3</h1>
<p>{summary}</p>
</header>
<main>
<div class="cards">
{cards}
</div>
<table>
<thead><tr><th>no.</th><th>notebook</th><th>minutes</th><th>passed</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
</body>
</html>
"""
