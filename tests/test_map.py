"""The map of the chapters, drawn from what the notebooks themselves say that they need."""

import runpy
from pathlib import Path

import imageio.v3 as imageio
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "scripts" / "draw_map.py"))


def test_the_map_has_a_place_for_each_chapter_and_no_two_share_one(script):
    chapters, places = script["read_chapters"](), script["PLACES"]
    assert chapters.keys() == places.keys()
    assert len({place[:2] for place in places.values()}) == len(places)


def test_arrows_lead_downwards_from_what_a_chapter_says_that_it_needs(script):
    chapters, places = script["read_chapters"](), script["PLACES"]
    assert chapters["13"][1] == {"05", "12"} and chapters["16"][1] == {"01", "03", "04", "05"}
    arrows = script["direct_needs"](chapters)
    assert arrows["13"] == {"12"}  # 12 needs 05 already
    assert all(places[other][1] < places[number][1] for number, needs in arrows.items() for other in needs)


def test_the_map_is_drawn(script, tmp_path):
    script["draw"](script["read_chapters"](), tmp_path / "map.png")
    drawn, shown = imageio.imread(tmp_path / "map.png"), imageio.imread(ROOT / "assets" / "map.png")
    assert drawn.shape == shown.shape and drawn.std() > 20
