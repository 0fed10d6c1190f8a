"""The studio's page in a real browser: every tab to a finished clip, in both languages, and what axe-core says of it."""

import asyncio
import json
import os
import time
from pathlib import Path

import axe_core_python
import numpy as np
import pytest
from browser import CHROMIUM, chromium, open_page

from vidgen_tf.studio import server
from vidgen_tf.studio.jobs import Result, Step
from vidgen_tf.studio.page import JOBS
from vidgen_tf.studio.texts import TEXTS
from vidgen_tf.video import Clip

LANGUAGES = ("English", "中文")
CLIP = Clip(np.full((16, 32, 32, 1), 90, np.uint8))
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """Address of a running studio."""
    blocks = server.start(tmp_path_factory.mktemp("studio"), 0, is_warm=False)
    yield blocks.local_url
    blocks.close(verbose=False)


@pytest.fixture
def pictures(tmp_path):
    """Where screenshots go: the folder that VIDGEN_SCREENSHOTS names, if it names one."""
    return Path(os.environ.get("VIDGEN_SCREENSHOTS", tmp_path))


def one_with(selector, text):
    """Script of the visible element with a text."""
    return f"[...document.querySelectorAll('{selector}')].find(e => e.innerText.trim() == '{text}' && e.offsetParent)"


async def choose_language(browser, language):
    label = f"l => l.innerText.includes('{LANGUAGES[language]}')"
    await browser.until(f"!![...document.querySelectorAll('label')].find({label})")
    await browser.value(f"[...document.querySelectorAll('label')].find({label}).querySelector('input').click(), 0")


async def open_tab(browser, key, language):
    tab = f"[...document.querySelectorAll('button[role=tab]')].find(b => b.innerText.trim() == '{TEXTS[key][language]}')"
    await browser.until(f"!!{tab}")
    await browser.value(f"{tab}.click()")
    await browser.until(f"{tab}.getAttribute('aria-selected') == 'true'")


# ---- what the page is like


AXE = Path(axe_core_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
# What axe-core calls serious or critical: barriers for whoever uses a keyboard, a screen reader, or has weak eyes.
SERIOUS = """axe.run({resultTypes: ['violations']}).then(found => JSON.stringify(found.violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => [v.id, v.nodes.length, v.nodes[0].html.slice(0, 200), v.nodes[0].failureSummary])))"""
# What a page of this width mustn't have: sideways scrolling, and things to operate or to see that have no name.
PROBLEMS = """(() => {
  const named = e => e.getAttribute('aria-label') || e.labels?.length || e.closest('label') || e.title || e.innerText?.trim()
    || e.getAttribute('aria-labelledby') || e.getAttribute('alt') || e.placeholder;
  const seen = e => e.offsetParent !== null;
  const all = [...document.querySelectorAll('input, textarea, button, select, video, img')];
  const nameless = all.filter(e => seen(e) && !named(e));
  return JSON.stringify({overflow: document.documentElement.scrollWidth - window.innerWidth,
    nameless: nameless.map(e => e.outerHTML.slice(0, 120))});
})()"""


async def look_at_tabs(address, port, pictures):
    """Every tab at two widths, in both languages: what was requested, and what was found wrong."""
    browser = await open_page(port, address, 390, 844)
    await browser.until("document.querySelectorAll('button').length > 5 && document.body.innerText.includes('Make it')")
    await browser.value(f"{one_with('button', 'Make it')}.click()")
    await browser.until("document.querySelector('video')?.readyState >= 2")
    await browser.call("Runtime.evaluate", expression=AXE)
    problems = [json.loads(await browser.value(PROBLEMS))]
    for language in range(2):
        await choose_language(browser, language)
        for key in (*JOBS, "gallery", "history"):
            problems.append(await look_at_tab(browser, key, language, pictures))
    return browser.requests, problems


async def look_at_tab(browser, key, language, pictures):
    """Opens a tab, at 1600 px and then at 390 px, and says what is wrong with it."""
    await browser.resize(1600, 900)
    await open_tab(browser, key, language)
    await asyncio.sleep(1)
    await browser.screenshot(pictures / f"{key}-{language}.png")
    serious = json.loads(await browser.value(SERIOUS))
    await browser.resize(390, 844)
    await asyncio.sleep(1)
    return json.loads(await browser.value(PROBLEMS)) | {"tab": f"{key} {language}", "serious": serious}


@needs_chromium
def test_the_page_works_narrow_in_both_languages_and_asks_nobody_else(studio, tmp_path, pictures, monkeypatch):
    from vidgen_tf.studio import page

    def job(inputs, on_step):  # a clip without a model
        on_step(Step(1, 1, CLIP))
        return [Result(CLIP, inputs[0], {"models": ["none"], "seed": 0})]

    monkeypatch.setitem(page.JOBS, "prompt_to_video", job)
    with chromium(tmp_path / "profile") as port:
        requests, problems = asyncio.run(look_at_tabs(studio, port, pictures))
    assert len(requests) > 5
    assert [url for url in requests if not url.startswith((studio, "data:", "blob:", "about:"))] == []
    found = [one for one in problems if one["overflow"] > 0 or one["nameless"] or one.get("serious")]
    assert not found, json.dumps(found, indent=1)


# ---- what the page does


OUTLINE = [(0.5 + 0.3 * np.sin(t), 0.5 - 0.38 * np.cos(t)) for t in np.linspace(0, 2 * np.pi, 24)]
STROKES = [OUTLINE, [(0.36, 0.45), (0.42, 0.45)], [(0.58, 0.45), (0.64, 0.45)], [(0.4, 0.68), (0.5, 0.72), (0.6, 0.68)]]
STROKES += [[(0.22, 0.4), (0.3, 0.16), (0.5, 0.08), (0.7, 0.16), (0.78, 0.4)]]  # hair
CANVAS = "[...document.querySelectorAll('canvas')].find(c => c.offsetParent && c.getBoundingClientRect().width > 100)"
# Statuses and results of the open tab alone: the other tabs' have no place on the screen.
SAID = "[...document.querySelectorAll('[role=status], [role=alert]')].filter(e => e.offsetParent).map(e => e.innerText).join(' ')"
SHOWN = """JSON.stringify([...document.querySelectorAll('figure:has(figcaption):not(.studio-people *) :is(video, img)')]
  .filter(e => e.offsetParent)
  .map(e => [e.tagName, e.tagName == 'VIDEO' ? e.readyState >= 2 && e.duration > 0.5 : e.complete && e.naturalWidth > 0]))"""


async def draw_a_face(browser):
    """Rough strokes on the canvas of the sketch's tab."""
    await browser.until(f"!!{CANVAS}")
    await browser.value(f"{CANVAS}.scrollIntoView({{block: 'center'}})")
    await asyncio.sleep(1)
    box = json.loads(await browser.value(f"JSON.stringify({CANVAS}.getBoundingClientRect())"))
    side = 0.85 * box["height"]  # of the square in the middle of the canvas
    middle = box["left"] + box["width"] / 2, box["top"] + box["height"] / 2
    for stroke in STROKES:
        await browser.draw([(middle[0] + (x - 0.5) * side, middle[1] + (y - 0.5) * side) for x, y in stroke])


async def make_in_tab(browser, key, language):
    """What a tab says and shows once its job is over, and the seconds that it took."""
    await open_tab(browser, key, language)
    if key == "sketch_to_video":
        await draw_a_face(browser)
    began = time.monotonic()
    await browser.value(f"{one_with('button', TEXTS['make'][language])}.click()")
    done = TEXTS["done"][language].split("{")[0].strip()
    errors = "[...document.querySelectorAll('[role=alert]')].some(e => e.offsetParent && e.innerText.trim())"
    await browser.until(f"{errors} || {SAID}.includes('{done}')", seconds=300)
    seconds = time.monotonic() - began
    for _ in range(40):  # files arrive after the words
        shown = json.loads(await browser.value(SHOWN))
        if shown and all(is_loaded for _, is_loaded in shown):
            break
        await asyncio.sleep(0.25)
    return {"said": await browser.value(SAID), "shown": shown, "seconds": seconds}


async def make_in_all_tabs(address, port, pictures):
    browser = await open_page(port, address, 1600, 1400)
    found = {}
    for language in range(2):
        await choose_language(browser, language)
        for key in JOBS:
            found[key, language] = await make_in_tab(browser, key, language)
            await browser.screenshot(pictures / f"made-{key}-{language}.png")
    return found


@needs_chromium
def test_every_tab_makes_a_clip_in_both_languages(studio, tmp_path, pictures):
    with chromium(tmp_path / "profile") as port:
        found = asyncio.run(make_in_all_tabs(studio, port, pictures))
    for (key, language), made in found.items():
        print(f"{key:18} {LANGUAGES[language]:8} {made['seconds']:6.1f} s  {made['said']}")
        tag = "IMG" if key == "prompt_to_picture" else "VIDEO"
        assert made["shown"] and all(one == [tag, True] for one in made["shown"]), (key, language, made)
        assert TEXTS["done"][language].split("{")[0].strip() in made["said"], (key, language, made)
