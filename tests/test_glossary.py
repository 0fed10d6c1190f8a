"""The glossary: its entries are in order, lead to the chapter that has the term, and every chapter leads to it once."""

import itertools
import re
import shutil
from pathlib import Path

import pytest
from toy_notebooks import write_notebook

from vidgen_tf.coursebook import execute
from vidgen_tf.coursebook.notebook import read
from vidgen_tf.coursebook.pages import glossary_page
from vidgen_tf.errors import CourseError

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "GLOSSARY.md"
COURSE = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
LINE = "**New words** are in the [glossary](../GLOSSARY.md), with their Chinese names and the chapters that explain them."
ENTRY = re.compile(r"- \*\*(?P<term>[^*]+)\*\*(?: \((?P<also>.+?)\))?: (?P<text>.+) \[(?P<number>\d\d)\]\((?P<link>[^)]+)\)")


def entries(text):
    """The entries, each a dict of term, also, text, number, link and letter; and the lines that are none and should be."""
    found, wrong, letter = [], [], None
    for line in text.splitlines():
        if line.startswith("## "):
            letter = line[3:]
        elif letter and line:
            entry = ENTRY.fullmatch(line)
            found += [entry.groupdict() | {"letter": letter}] if entry else []
            wrong += [] if entry else [line]
    return found, wrong


def order(term):
    """What a term is sorted by: its letters, without accents, hyphens and the size of the letter."""
    return re.sub(r"[^a-z ]", "", term.lower().replace("é", "e"))


def flaws(text, prose):
    """A complaint for each thing that is wrong with a glossary. `prose` is a dict from a notebook's path to what it says."""
    found, wrong = entries(text)
    yield from (f"not an entry: {line}" for line in wrong)
    terms = [order(entry["term"]) for entry in found]
    yield from (f"{b!r} stands behind {a!r}" for a, b in itertools.pairwise(terms) if b <= a)
    for entry in found:
        term, link = entry["term"], entry["link"]
        if order(term)[0].upper() != entry["letter"]:
            yield f"{term} stands under {entry['letter']}"
        if link not in prose or f"/{entry['number']}_" not in link:
            yield f"{term} leads to {link}, no chapter {entry['number']}"
        elif not re.search(r"(?<!\w)" + re.escape(term), prose[link], re.IGNORECASE):
            yield f"{link} doesn't say {term!r}"
        if not 1 <= len(re.findall(r"[.!?](?= |$)", entry["text"])) <= 3:
            yield f"{term} is to be explained in a sentence or two"


def prose_of_the_course():
    books = {f"notebooks/{path.name}": read(path) for path in COURSE}
    texts = {link: " ".join(c.source for c in book.cells if c.cell_type == "markdown") for link, book in books.items()}
    return {link: " ".join(text.split()) for link, text in texts.items()}


GOOD = """# Glossary

A word about it.

## A

- **albedo** (反照率): A share of light. It is below 1. [10](notebooks/10_light.ipynb)
- **aliasing**: A change seen as another. [01](notebooks/01_video.ipynb)
"""
PROSE = {"notebooks/10_light.ipynb": "The Albedo.", "notebooks/01_video.ipynb": "Here aliasing comes."}


def test_each_flaw_of_a_glossary_is_noticed():
    assert list(flaws(GOOD, PROSE)) == []
    for old, new, said in (
        ("**albedo**", "**alpha**", "stands behind"),
        ("## A", "## B", "stands under B"),
        ("10_light", "11_light", "no chapter"),
        ("[10]", "[11]", "no chapter"),
        ("**aliasing**", "**aliased**", "doesn't say 'aliased'"),
        ("- **aliasing**: A", "- aliasing: A", "not an entry"),
        ("A share of light.", "A. B. C.", "a sentence or two"),
    ):
        assert old in GOOD and said in " ".join(flaws(GOOD.replace(old, new), PROSE)), new


def test_the_glossary_is_in_order_and_leads_to_chapters_that_have_its_terms():
    text = GLOSSARY.read_text(encoding="utf-8")
    assert list(flaws(text, prose_of_the_course())) == []
    found, _ = entries(text)
    assert len(found) >= 80 and sum(bool(re.search(r"[\u4e00-\u9fff]", entry["also"] or "")) for entry in found) > 60
    assert {entry["link"] for entry in found} == {f"notebooks/{path.name}" for path in COURSE}, "each chapter brings in some"


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_chapter_leads_to_the_glossary_once_in_its_opening_cell(path):
    notebook = read(path)
    assert notebook.cells[0].source.count(LINE) == 1
    assert sum(cell.source.count("GLOSSARY.md") for cell in notebook.cells) == 1


def test_the_glossary_is_a_page_beside_the_others(tmp_path):
    shutil.copy(GLOSSARY, tmp_path)
    path = write_notebook(tmp_path / "notebooks" / "03_toy.ipynb", ("md", "# 03 · Toy\n\n" + LINE), minutes=0.1)
    assert execute.run([path], tmp_path / "build", "fast")
    page = (tmp_path / "build" / "glossary.html").read_text(encoding="utf-8")
    assert "<title>Glossary</title>" in page and 'href="12_diffusion.html"' in page and "消融实验" in page
    assert ".ipynb" not in page and 'href="index.html"' in page
    assert 'href="glossary.html"' in (tmp_path / "build" / "03_toy.html").read_text(encoding="utf-8")
    assert 'href="glossary.html"' in (tmp_path / "build" / "index.html").read_text(encoding="utf-8")


def test_a_course_without_a_glossary_has_no_link_to_one(tmp_path):
    path = write_notebook(tmp_path / "notebooks" / "03_toy.ipynb", ("md", "# 03 · Toy"), minutes=0.1)
    assert execute.run([path], tmp_path / "build", "fast")
    assert "glossary" not in (tmp_path / "build" / "index.html").read_text(encoding="utf-8")
    with pytest.raises(CourseError, match="can't be read"):
        glossary_page(tmp_path / "GLOSSARY.md")
