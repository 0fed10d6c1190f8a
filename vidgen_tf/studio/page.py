"""The page: a tab for each thing that the shipped models can do, in two languages, around the functions of `makers`."""

import functools
import json
import sys
import threading
import time
import traceback
from pathlib import Path

import gradio as gr

from ..errors import CourseError
from ..worlds.styles import STYLES
from . import makers, view
from .jobs import Step, Stopped, iter_steps
from .mark import CORNERS
from .texts import LANGUAGES, TEXTS, Refused, explain, say
from .votes import Votes

PREVIEW_EVERY = 4  # steps: encoding a preview takes about as long as a step
NUM_SHOWN = 12  # results in the history at once
MAX_SEED = 2**31 - 1
EXAMPLES = (
    "someone with curly red hair and glasses smiles",
    "一个人，金色的长头发，开口说话",
    "a large red circle falls and bounces",
    "a small blue square moves left and a large yellow triangle moves up",
    "一个大的橙色正方形静止不动，一个小的红色圆形下落并弹起",
    "the digit 3 is moving up then down .",
    "数字7先向左再向右移动。",
)
DIGIT_EXAMPLES = EXAMPLES[-2:]
ACTS = ("surprise", "talk", "blink", "smile")  # the clearest first
PEN = gr.Brush(default_size=5, colors=["#000000"], default_color="#000000", color_mode="fixed")
CANVAS = {"canvas_size": (384, 384), "height": 480, "layers": False, "brush": PEN}
# The canvas starts without a tool, so that a stroke would leave nothing; the brush is there a moment after its tab.
TAKE_BRUSH = """() => {
    const take = tries => {
        const brush = [...document.querySelectorAll("button[aria-label=Brush]")].find(button => button.offsetParent);
        if (brush) brush.click(); else if (tries) setTimeout(take, 100, tries - 1);
    };
    take(50);
}"""
GALLERY = Path(__file__).with_name("gallery.json")  # made by scripts/make_gallery.py
QUIETLY = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}  # events of the page alone


class Page:
    """The components of the page, and what they do.

    Args:
        history: `History`, where results are kept.

    `blocks` is the `gradio.Blocks` to be served.
    """

    def __init__(self, history):
        self.history, self.stops, self.relabelled = history, {}, []
        self.votes, self.pairs = Votes(history.folder.with_name("votes.jsonl")), {}
        with gr.Blocks(title=TEXTS["title"][0], analytics_enabled=False, delete_cache=(3600, 3600)) as self.blocks:
            self._header()
            with gr.Tabs():
                self._prompt_tab("prompt_to_video", self._guidance)
                self._prompt_tab("prompt_to_picture", lambda: [self._number("frame", 16)])
                self._face_tab("image_to_video", self._picture_inputs)
                self._sketch_tab()
                self._face_tab("transfer_motion", self._motion_inputs)
                self._style_tab()
                self._predict_tab()
                self._edit_tab()
                self._compare_tab()
                self._blind_tab()
                self._gallery_tab()
                self._history_tab()
            components = [component for component, _ in self.relabelled]
            self.language.change(self._relabel, self.language, components, **QUIETLY)
            self.blocks.load(_language_of_browser, None, self.language, **QUIETLY)

    def _add(self, kind, key=None, prop="label", more=None, **options):
        """A component whose text follows the language; `more` gives further properties in a language."""

        def properties(language):
            return ({prop: say(key, language)} if key else {}) | (more(language) if more else {})

        component = kind(**properties(LANGUAGES[0]), **options)
        self.relabelled.append((component, properties))
        return component

    def _relabel(self, language):
        return [gr.update(**properties(language)) for _, properties in self.relabelled]

    def _header(self):
        self._add(
            gr.Markdown, "title", "value", lambda language: {"value": f"# {say('title', language)}\n{say('intro', language)}"}
        )
        with gr.Row():
            self.language = self._add(gr.Radio, "language", choices=list(LANGUAGES), value=LANGUAGES[0])
            self.corner = self._choice("corner", CORNERS, gr.Radio)
        self._add(gr.Markdown, "why_labels", "value")

    def _choice(self, key, values, kind=gr.Dropdown):
        def choices(language):
            return {"choices": [(say(value, language), value) for value in values]}

        return self._add(kind, key, more=choices, value=values[0])

    def _number(self, key, value):
        return self._add(gr.Number, key, value=value)  # its range is checked by the jobs, who say it in both languages

    def _prompt(self, examples=EXAMPLES, key="prompt"):
        prompt = self._add(gr.Textbox, key, value=examples[0], lines=2)
        chosen = self._add(gr.Dropdown, "examples", choices=list(examples), value=None)
        chosen.input(lambda text: text, chosen, prompt, **QUIETLY)
        return prompt

    def _guidance(self):
        own = self._add(gr.Checkbox, "own_guidance", value=True)
        return [own, self._add(gr.Slider, "guidance", minimum=0, maximum=20, step=0.5, value=2)]

    def _prompt_tab(self, key, more):
        with self._add(gr.Tab, key):
            self._job(key, [self._prompt(), self._number("seed", 0), *more()], "text-to-video")

    def _face_tab(self, key, inputs):
        with self._add(gr.Tab, key):
            self._add(gr.Markdown, "drawn_faces_only", "value")
            self._add(gr.Markdown, f"limits_of_{key}", "value")
            self._add(gr.Markdown, "people", "value")
            gr.HTML(view.people(makers.people(64).frames[:, 0]))
            self._job(key, inputs(), {"image_to_video": "motion-diffusion-faces"}.get(key, "flow-gan-faces"))

    def _picture_inputs(self):
        person = self._number("person", 1)
        return [self._add(gr.File, "picture"), person, self._choice("expression", ACTS), self._number("seed", 0)]

    def _motion_inputs(self):
        inputs = [self._add(gr.File, "picture"), self._number("person", 1)]
        return [*inputs, self._add(gr.File, "driving"), self._number("driver", 3)]

    def _sketch_tab(self):
        with self._add(gr.Tab, "sketch_to_video") as tab:
            tab.select(None, js=TAKE_BRUSH, **QUIETLY)
            self._add(gr.Markdown, "limits_of_sketch_to_video", "value")
            canvas = self._add(gr.Sketchpad, "canvas", type="filepath", **CANVAS)
            file = self._add(gr.File, "sketch")
            prompt = self._add(gr.Textbox, "sketch_prompt", value="brown hair, smiles")
            self._job("sketch_to_video", [canvas, file, prompt, self._number("seed", 0)], "motion-diffusion-faces")

    def _style_tab(self):
        with self._add(gr.Tab, "stylize"):
            self._add(gr.Markdown, "limits_of_stylize", "value")
            inputs = [self._add(gr.File, "clip"), self._number("person", 1), self._choice("style", STYLES)]
            self._job("stylize", [*inputs, self._add(gr.File, "style_picture")], "style-network")

    def _predict_tab(self):
        with self._add(gr.Tab, "predict_next"):
            self._add(gr.Markdown, "orange", "value")
            scene = self._number("scene", 1)
            self._job(
                "predict_next", [self._choice("model", list(makers.PREDICTORS)), scene, self._number("seed", 0)], "predictors"
            )

    def _edit_tab(self):
        with self._add(gr.Tab, "edit_prompt"):
            words = self._add(gr.Textbox, "old_word", value="red"), self._add(gr.Textbox, "new_word", value="black")
            self._job("edit_prompt", [self._prompt(), *words, self._number("seed", 0)], "text-to-video")

    def _compare_tab(self):
        with self._add(gr.Tab, "compare_models"):
            self._job("compare_models", [self._prompt(DIGIT_EXAMPLES, "digits_prompt"), self._number("seed", 0)], "text-to-video")

    def _blind_tab(self):
        with self._add(gr.Tab, "blind_test"):
            self._add(gr.Markdown, "limits_of_blind_test", "value")
            outputs = self._job("blind_test", [], "text-to-video", self._show_blind)
            with gr.Row():
                for which in "ab":
                    button = self._add(gr.Button, f"{which}_is_better", "value")
                    vote = self._voter("ab".index(which))
                    button.click(vote, self.language, outputs, show_progress="hidden", api_name=f"vote_{which}")

    def _show_blind(self, entries, language, session):
        self.pairs[session] = entries
        return view.figures(entries, language, names=["A", "B"])

    def _voter(self, which):
        def vote(request: gr.Request, language):
            return self._vote(which, request.session_hash, language)

        return vote

    def _vote(self, which, session, language):
        if (entries := self.pairs.pop(session, None)) is None:
            return view.status(say("no_pair", language), is_error=True), ""
        models = [entry.settings["models"][0] for entry in entries]
        self.votes.add(models[which], models[1 - which])
        one, other = sorted(models)
        wins, count, low, high = self.votes.preference(one, other)
        text = say("voted", language, a=models[0], b=models[1], one=one, wins=wins, count=count, low=100 * low, high=100 * high)
        return view.status(text), view.figures(entries, language)

    def _gallery_tab(self):
        entries = json.loads(GALLERY.read_text(encoding="utf-8"))
        with self._add(gr.Tab, "gallery"):
            self._add(gr.HTML, more=lambda language: {"value": view.gallery(entries, language)})

    def _history_tab(self):
        with self._add(gr.Tab, "history") as tab:
            self._add(gr.Markdown, "shared_history", "value")
            again, shown = self._add(gr.Button, "refresh", "value"), gr.HTML()
            for event in (again.click, tab.select):
                event(self._show_history, self.language, shown, show_progress="hidden", api_name="history")

    def _show_history(self, language):
        entries = self.history.entries(NUM_SHOWN)
        if not entries:
            return view.status(say("nothing_yet", language))
        count, megabytes = self.history.usage()
        folder = "/".join(self.history.folder.parts[-2:])
        usage = say("usage", language, count=count, megabytes=megabytes, folder=folder)
        return view.status(usage) + view.figures(entries, language, autoplay=False)

    def _job(self, key, inputs, queue_name, show=None):
        """Buttons, status and result of a tab, and the events that join them. `show` makes HTML of the saved results, their
        language and the visitor's session. Gives the components of status and result."""
        show = show or (lambda entries, language, session: view.figures(entries, language))

        def run(request: gr.Request, language, corner, *values):  # Gradio reads the signature: a partial has none that it knows
            yield from self._run(key, request.session_hash, language, corner, values, show)

        def cancel(request: gr.Request, language):
            if running := self.stops.get((key, request.session_hash)):
                running.set()
            return view.status(say("stopped", language))

        with gr.Row():
            start = self._add(gr.Button, "make", "value", variant="primary")
            stop = self._add(gr.Button, "cancel", "value")
        status, shown = gr.HTML(view.status("")), gr.HTML()
        options = {"concurrency_limit": 1, "concurrency_id": queue_name, "show_progress": "hidden", "api_name": key}
        event = start.click(run, [self.language, self.corner, *inputs], [status, shown], **options)
        stop.click(cancel, self.language, status, cancels=[event], queue=False, show_progress="hidden", api_name=f"stop_{key}")
        return [status, shown]

    def _run(self, key, session, language, corner, inputs, show):
        """A job from the click to the saved result: pairs of HTML, of the status and of what is shown."""
        language = language if language in LANGUAGES else LANGUAGES[0]
        stop = self.stops[key, session] = threading.Event()
        began, shown, results = time.monotonic(), "", []
        yield view.status(say("waiting", language)), ""
        try:
            for step in iter_steps(functools.partial(JOBS[key], inputs), stop):
                if not isinstance(step, Step):
                    results = step
                    continue
                if step.preview is not None and step.done % PREVIEW_EVERY == 0:
                    shown = view.preview(step.preview, say("step", language, done=step.done, total=step.total))
                yield view.status(say("step", language, done=step.done, total=step.total), step.done, step.total), shown
            yield view.status(say("saving", language)), shown
            entries = [self.history.add(result, corner) for result in results]
            names, seconds = ", ".join(entry.id for entry in entries), time.monotonic() - began
            yield view.status(say("done", language, seconds=seconds, names=names)), show(entries, language, session)
        except Stopped:
            yield view.status(say("stopped", language)), ""
        except Exception as error:  # the page says it in a sentence, and goes on
            if not isinstance(error, CourseError):
                traceback.print_exception(error, file=sys.stderr)
            yield view.status(explain(error, language), is_error=True), ""
        finally:
            self.stops.pop((key, session), None)


def _whole(value, low, high):
    """A number of the page as an int; browsers and programs may send anything."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or not low <= value <= high or value % 1:
        raise Refused("bad_number")
    return int(value)


def _seed_of(value):
    return _whole(value, 0, MAX_SEED)


def _person(value):
    return _whole(value, 1, makers.NUM_PEOPLE)


def _prompt_to_video(inputs, on_step):
    prompt, seed, own, scale = inputs
    return makers.prompt_to_video(prompt, _seed_of(seed), None if own else scale, on_step)


def _prompt_to_picture(inputs, on_step):
    prompt, seed, frame = inputs
    return makers.prompt_to_picture(prompt, _seed_of(seed), _whole(frame, 1, 16), on_step)


def _image_to_video(inputs, on_step):
    picture, person, expression, seed = inputs
    return makers.image_to_video(picture, _person(person), expression, _seed_of(seed), on_step)


def _sketch_to_video(inputs, on_step):
    canvas, file, prompt, seed = inputs
    return makers.sketch_to_video(file or (canvas or {}).get("composite"), prompt or "", _seed_of(seed), on_step)


def _stylize(inputs, on_step):
    clip, person, style, picture = inputs
    return makers.stylize_clip(clip, _person(person), style, picture, on_step)


def _transfer_motion(inputs, on_step):
    picture, person, driving, driver = inputs
    return makers.transfer_motion(picture, _person(person), driving, _person(driver), on_step)


def _predict_next(inputs, on_step):
    name, scene, seed = inputs
    return makers.predict_next(name, _whole(scene, 1, makers.NUM_SCENES), _seed_of(seed), on_step)


def _edit_prompt(inputs, on_step):
    prompt, old, new, seed = inputs
    return makers.edit_prompt(prompt, old, new, _seed_of(seed), on_step)


def _compare_models(inputs, on_step):
    prompt, seed = inputs
    return makers.compare_models(prompt, _seed_of(seed), on_step)


def _blind_test(inputs, on_step):
    return makers.blind_pair(on_step)


JOBS = {  # key of a tab -> function of what its components hold and of `on_step`
    "prompt_to_video": _prompt_to_video,
    "prompt_to_picture": _prompt_to_picture,
    "image_to_video": _image_to_video,
    "sketch_to_video": _sketch_to_video,
    "transfer_motion": _transfer_motion,
    "stylize": _stylize,
    "predict_next": _predict_next,
    "edit_prompt": _edit_prompt,
    "compare_models": _compare_models,
    "blind_test": _blind_test,
}


def _language_of_browser(request: gr.Request):
    return LANGUAGES[request.headers.get("accept-language", "").lower().startswith("zh")]
