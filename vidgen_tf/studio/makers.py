"""What the studio makes, a function a tab: plain values in, results out, a step now and then.

Every function takes `on_step` last, a function of a `jobs.Step`, which may raise to stop it. The models are the shipped ones,
each read once; the same inputs give the same clip.
"""

import dataclasses
import functools
import random

import numpy as np

from ..datasets import DATASETS
from ..errors import CourseError
from ..video import Clip
from ..worlds.faces import EXPRESSIONS
from ..worlds.styles import STYLES
from .jobs import Result, Step, model_in_use
from .prompts import check_prompt, replace_word
from .texts import Refused
from .uploads import read_clip, read_picture

SCENES = {name: dataclasses.replace(DATASETS[name], seed=DATASETS[name].seed + 3000) for name in DATASETS}  # in no training
NUM_SCENES = 1000
NUM_PEOPLE = 12
NUM_BLIND_PROMPTS = 200  # of the test split
PREDICTORS = {"simvp-digits": 10, "svg-digits": 5, "simvp-spheres": 4}  # name in the zoo -> context frames
NUM_FRAMES, STYLE_SIZE = 16, 128  # of a clip in a style; its height and width, px
EDGE = np.array([255, 140, 0], np.uint8)  # around predicted frames


def _watched_euler(model, decode, on_step, done, total):
    """Euler's method whose every step is shown: what the clip would be if its velocity stayed what it is."""
    from ..models.flow_matching import euler, velocity_to_clip

    def solver(velocity_fn, z, timesteps):
        def shown(noisy, t):
            velocity = velocity_fn(noisy, t)
            latents = model.normalization.denormalize(velocity_to_clip(velocity, noisy, t))
            done[0] += 1
            on_step(Step(done[0], total, Clip(decode(np.asarray(latents))[0])))
            return velocity

        return euler(shown, z, timesteps)

    return solver


def prompt_to_video(prompt, seed, guidance_scale, on_step):
    """Text-to-video by the shipped diffusion models, see `pipelines.text_to_video`.

    Args:
        prompt: str, English or Chinese.
        seed: int from 0.
        guidance_scale: float from 0 to 20, or None for that of the model's record.
        on_step: function of a `Step`.

    Returns:
        list of one `Result`.

    Raises:
        CourseError: a prompt that can't be made, see `check_prompt`.
    """
    prompt, dataset = prompt.strip(), check_prompt(prompt)
    from .. import zoo
    from ..models.patch_autoencoder import decode_clips
    from ..models.vae import decode
    from ..pipelines.text_to_video import load_pretrained, text_to_video
    from ..tokenizer import count_phrases, tokenize

    name = f"text-to-video-{dataset}"
    with model_in_use(name):
        model, autoencoder = load_pretrained(dataset)
        two = dataset == "shapes" and count_phrases(tokenize([prompt]))[0] > 1
        layers = model.config.num_scene_layers if two else 1
        total = layers * zoo.record(name)["sampling"]["num_inference_steps"]
        shown = functools.partial(decode_clips if dataset == "faces" else decode, autoencoder)
        solver = _watched_euler(model, shown, on_step, [0], total)
        clip = text_to_video([prompt], int(seed), guidance_scale, solver=solver)[0]
    settings = {"task": "prompt_to_video", "models": [name], "seed": int(seed), "guidance_scale": guidance_scale}
    return [Result(clip, prompt, settings)]


def prompt_to_picture(prompt, seed, frame, on_step):
    """A frame of the clip of a prompt.

    Args:
        prompt: str.
        seed: int from 0.
        frame: int from 1 to 16.
        on_step: function of a `Step`.

    Returns:
        list of one `Result`, whose clip has a single frame.

    Raises:
        CourseError: as `prompt_to_video`, or no such frame.
    """
    if not 1 <= int(frame) <= 16:
        raise CourseError(f"The clips have frames 1 to 16: there is no frame {frame}.")
    (result,) = prompt_to_video(prompt, seed, None, on_step)
    chosen = dataclasses.replace(result.clip, frames=result.clip.frames[int(frame) - 1 :][:1])
    settings = result.settings | {"task": "prompt_to_picture", "frame": int(frame)}
    return [dataclasses.replace(result, clip=chosen, settings=settings)]


def edit_prompt(prompt, old, new, seed, on_step):
    """Two clips from the same noise, whose prompts differ in a word.

    Args:
        prompt: str.
        old, new: str, what is replaced in it, and by what.
        seed: int from 0.
        on_step: function of a `Step`.

    Returns:
        list of two `Result`: before and after.

    Raises:
        CourseError: as `replace_word`.
    """
    edited, results = replace_word(prompt, old, new), []
    for i, text in enumerate((prompt.strip(), edited)):
        results += prompt_to_video(text, seed, None, lambda s, i=i: on_step(Step(s.done + i * s.total, 2 * s.total, s.preview)))
    return [dataclasses.replace(r, settings=r.settings | {"task": "edit_prompt"}) for r in results]


def compare_models(prompt, seed, on_step):
    """The same prompt to the diffusion model and to the autoregressive transformer of digits.

    Args:
        prompt: str, of digits.
        seed: int from 0.
        on_step: function of a `Step`.

    Returns:
        list of two `Result`.

    Raises:
        CourseError: a prompt that can't be made, or one of shapes, which a single model knows.
    """
    if check_prompt(prompt) != "digits":
        raise CourseError("Two models know digits, one knows shapes: compare them on 'the digit 3 is moving up then down .'")
    from .. import zoo
    from ..pipelines.autoregressive import condition_ids, generate_clips
    from ..pipelines.video import load_autoencoder

    (diffusion,) = prompt_to_video(prompt, seed, None, on_step)
    with model_in_use("gpt-digits"):
        record = zoo.record("gpt-digits")
        models = load_autoencoder("gpt-digits"), load_autoencoder(record["uses"]["tokenizer"])
        frames = generate_clips(*models, condition_ids([diffusion.title], "digits"), int(seed), **record["sampling"])
    settings = {"task": "compare_models", "models": ["gpt-digits"], "seed": int(seed)}
    gpt = Result(Clip(frames[0]), diffusion.title, settings)
    return [dataclasses.replace(diffusion, settings=diffusion.settings | {"task": "compare_models"}), gpt]


def blind_pair(on_step):
    """Clips of two models for one prompt of the test split, in a random order.

    Args:
        on_step: function of a `Step`.

    Returns:
        list of two `Result`.
    """
    from ..pipelines.autoregressive import prompts_of

    def without_preview(step):  # it would show whose clip is whose
        on_step(dataclasses.replace(step, preview=None))

    chance = random.SystemRandom()
    prompt = chance.choice(prompts_of("digits", NUM_BLIND_PROMPTS)[1])
    results = compare_models(prompt, chance.randrange(2**31), without_preview)
    chance.shuffle(results)
    return results


@functools.cache
def people(size):
    """Drawn faces that no model was trained on, all with another expression in turn.

    Args:
        size: height and width, px.

    Returns:
        `LabelledClips` of `NUM_PEOPLE` clips.
    """
    return dataclasses.replace(SCENES["faces"], options={"size": size}).make("test", 0, NUM_PEOPLE)


def image_to_video(picture, person, expression, seed, on_step):
    """A clip that begins with a picture of a face, with a chosen expression, by chapter 14's models of motion and of pixels.

    Args:
        picture: path of an uploaded picture, or None for one of `people`.
        person: int from 1 to `NUM_PEOPLE`, which of them.
        expression: str, one of the world's `EXPRESSIONS`.
        seed: int from 0.
        on_step: function of a `Step`.

    Returns:
        list of one `Result`.

    Raises:
        CourseError: no such person or expression, or a file that is no usable picture.
    """
    if expression not in EXPRESSIONS:
        raise CourseError(f"A face can show {', '.join(EXPRESSIONS)}, not {expression!r}.")
    first = _first_frame(picture, person, 64)
    from ..pipelines.image_to_video import ANIMATOR, MOTION_MODEL, clips_of_picture, read_prompt

    with model_in_use(MOTION_MODEL):
        on_step(Step(0, 1))
        (clip,) = clips_of_picture(first, labels=read_prompt(expression), seed=int(seed))
        on_step(Step(1, 1))
    settings = {"task": "image_to_video", "models": [MOTION_MODEL, ANIMATOR], "seed": int(seed), "expression": expression}
    settings |= {"person": None if picture else int(person)}
    return [Result(clip, f"{_name_of(picture, person)}: {expression}", settings, is_composite=True)]


def sketch_to_video(sketch, prompt, seed, on_step):
    """A drawing of a face that is coloured and moves, by chapter 14's four models.

    Args:
        sketch: path of a drawing, dark lines on a light ground or the reverse; None if there is none.
        prompt: str such as "red hair, smiles", English or Chinese, or "".
        seed: int from 0.
        on_step: function of a `Step`.

    Returns:
        list of one `Result`.

    Raises:
        CourseError: no drawing, one without lines, or words that the models never saw.
    """
    if not sketch:
        raise Refused("no_sketch")
    from .. import zoo
    from ..pipelines.image_to_video import LAYOUT_MODEL, clips_of_sketch, read_prompt
    from ..pipelines.pictures import FINE, SIZE, find_lines

    labels, drawing = read_prompt(prompt), read_picture(sketch, SIZE * FINE).mean(axis=-1).astype(np.uint8)
    if not np.any(drawing != drawing[0, 0]):
        raise Refused("no_sketch")
    lines = find_lines(drawing)
    with model_in_use(LAYOUT_MODEL):
        on_step(Step(0, 1))
        (clip,) = clips_of_sketch(lines, labels, seed=int(seed))
        on_step(Step(1, 1))
    models = [LAYOUT_MODEL, *zoo.record(LAYOUT_MODEL)["uses"].values()]
    return [
        Result(
            clip, f"a drawing: {prompt.strip() or 'no words'}", {"task": "sketch_to_video", "models": models, "seed": int(seed)}
        )
    ]


def stylize_clip(clip, person, style, picture, on_step):
    """Two seconds of a clip, drawn in a style by chapter 15's network.

    Args:
        clip: path of an uploaded clip of 2 seconds or more, or None for that of one of `people`.
        person: int from 1 to `NUM_PEOPLE`, which of them.
        style: str, one of `worlds.styles.STYLES`.
        picture: path of an uploaded picture whose style is taken, or None for `style`.
        on_step: function of a `Step`.

    Returns:
        list of one `Result`.

    Raises:
        CourseError: no such person or style, or files that are no usable clip or picture.
    """
    if style not in STYLES:
        raise CourseError(f"There are the styles {', '.join(STYLES)}, not {style!r}.")
    frames = read_clip(clip, STYLE_SIZE, NUM_FRAMES) if clip else people(STYLE_SIZE).frames[_index(person)]
    look = read_picture(picture, 256) if picture else style
    from ..pipelines.stylize import stylize

    made = []
    with model_in_use("style-network"):
        on_step(Step(0, NUM_FRAMES))
        for frame in stylize(frames, look):
            made.append(frame)
            on_step(Step(len(made), NUM_FRAMES, Clip(np.stack(made))))
    settings = {"task": "stylize", "models": ["style-network", "texture-network"], "style": None if picture else style}
    settings |= {"person": None if clip else int(person)}
    title = f"{_name_of(clip, person)} in {'the style of an uploaded file' if picture else style}"
    return [Result(Clip(np.stack(made)), title, settings, is_composite=True)]


def transfer_motion(picture, person, driving, driver, on_step):
    """A picture of a face that moves as another clip does, by chapter 09's network.

    Args:
        picture: path of an uploaded picture, or None for one of `people`.
        person: int from 1 to `NUM_PEOPLE`, who is seen.
        driving: path of an uploaded clip of 2 seconds or more, or None for that of one of `people`.
        driver: int from 1 to `NUM_PEOPLE`, whose motion it is.
        on_step: function of a `Step`.

    Returns:
        list of one `Result`.

    Raises:
        CourseError: no such person, or files that are no usable picture or clip.
    """
    first = _first_frame(picture, person, 64)
    clip = read_clip(driving, 64, 16) if driving else people(64).frames[_index(driver)]
    from ..pipelines.animation import animate, reduce_driving
    from ..pipelines.video import load_autoencoder

    with model_in_use("flow-gan-faces"):
        on_step(Step(0, 1))
        frames = animate(load_autoencoder("flow-gan-faces"), first[None], reduce_driving(clip[None]))[0]
        on_step(Step(1, 1))
    settings = {"task": "transfer_motion", "models": ["flow-gan-faces"]}
    settings |= {"person": None if picture else int(person), "driver": None if driving else int(driver)}
    title = f"{_name_of(picture, person)}, moved by {_name_of(driving, driver)}"
    return [Result(Clip(frames), title, settings, is_composite=True)]


def predict_next(name, scene, seed, on_step):
    """A scene whose last frames a model predicts from its first ones; what is predicted has an edge.

    Args:
        name: str, a predictor of the zoo, a key of `PREDICTORS`.
        scene: int from 1 to `NUM_SCENES`, which of the scenes that no model was trained on.
        seed: int from 0, of a model that samples one of several futures.
        on_step: function of a `Step`.

    Returns:
        list of one `Result`.

    Raises:
        CourseError: no such model or scene.
    """
    if name not in PREDICTORS or not 1 <= int(scene) <= NUM_SCENES:
        raise CourseError(f"Predictors are {', '.join(PREDICTORS)}, and scenes 1 to {NUM_SCENES}.")
    from .. import zoo
    from ..pipelines.prediction import rollout
    from ..pipelines.video import load_autoencoder

    record, known = zoo.record(name), PREDICTORS[name]
    true = SCENES[record["dataset"]["name"]].make("test", int(scene) - 1, 1).frames
    with model_in_use(name):
        on_step(Step(0, 1))
        model = load_autoencoder(name)
        if name == "svg-digits":
            future = _sampled_future(model, load_autoencoder(record["uses"]["autoencoder"]), true, known, int(seed))
        else:
            future = rollout(model, true[:, :known], true.shape[1] - known, record["sampling"]["inverse_temperature"])
        on_step(Step(1, 1))
    frames = with_edge(np.concatenate([true[:, :known], future], axis=1)[0], known)
    settings = {"task": "predict_next", "models": [name], "scene": int(scene), "seed": int(seed), "context_frames": known}
    return [Result(Clip(frames), f"{name}, scene {int(scene)}", settings, is_composite=True)]


def _sampled_future(model, vae, true, known, seed):
    from ..models.vae import decode, encode

    return decode(vae, model.rollout(encode(vae, true[:, :known])[0], true.shape[1] - known, seed=seed))


def with_edge(frames, known):
    """Frames in colour, with an orange edge around those that were not given.

    Args:
        frames: uint8 `(T, H, W, 1 or 3)`.
        known: int, how many of the first were given.

    Returns:
        uint8 `(T, H, W, 3)`.
    """
    coloured = np.broadcast_to(frames, (*frames.shape[:3], 3)).copy()
    for side in (coloured[known:, 0], coloured[known:, -1], coloured[known:, :, 0], coloured[known:, :, -1]):
        side[:] = EDGE
    return coloured


def _first_frame(picture, person, size):
    return read_picture(picture, size) if picture else people(size).frames[_index(person), 0]


def _index(person):
    if not 1 <= int(person) <= NUM_PEOPLE:
        raise CourseError(f"There are people 1 to {NUM_PEOPLE}, there is no person {person}.")
    return int(person) - 1


def _name_of(file, person):
    return "an uploaded file" if file else f"person {int(person)}"
