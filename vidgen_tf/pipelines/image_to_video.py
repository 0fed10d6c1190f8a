"""Image to video and sketch to video, of drawn faces: what is known and what words ask for in, clips out."""

import re

import numpy as np

from .. import zoo
from ..datasets import load
from ..errors import CourseError
from ..models.conditional_dit import guided_by_each
from ..video import Clip, to_float, to_uint8
from ..worlds import faces
from ..worlds.sketches import draw_sketches, roughen
from .animation import in_batches
from .autoregressive import FACE_ATTRIBUTES, LABELS, attribute_ids

ANIMATOR, MOTION_MODEL = "animator-faces", "motion-diffusion-faces"
LAYOUT_MODEL = "layout-diffusion-faces"
NUM_FRAMES = 16
GUIDANCE_SCALE = 2.0  # of the words, for motion
LAYOUT_GUIDANCE_SCALE = 2.0  # of the words, for colours
# What a prompt may say: words -> an attribute and its value. Longer ones come first, so that "looks surprised" is read whole.
WORDS = {
    **{word: ("expression", i) for i, words in enumerate((
        ("neutral", "calm", "still", "平静"), ("smiles", "smile", "smiling", "微笑"),
        ("surprised", "surprise", "惊讶"), ("blinks", "blink", "blinking", "眨眼"),
        ("talks", "talk", "talking", "speaks", "说话"),
    )) for word in words},
    **{word: ("hair_style", i) for i, words in enumerate((
        ("bald", "光头"), ("short", "短发"), ("bob", "波波头"), ("long", "长发"), ("curly", "卷发"), ("bun", "发髻"),
    )) for word in words},
    **{word: ("hair_colour", i) for i, words in enumerate((
        ("black", "黑色"), ("brown", "棕色"), ("red", "红色"), ("blond", "金色"), ("grey", "灰色"),
    )) for word in words},
    **dict.fromkeys(("beard", "胡子"), ("beard", 1)),
    **dict.fromkeys(("glasses", "眼镜"), ("has_glasses", 1)),
}  # fmt: skip
FILLERS = {"a", "an", "and", "with", "the", "face", "person", "hair", "head", "keeps", "looks", "expression"}


def state_labels(states, names=tuple(FACE_ATTRIBUTES)):
    """The ids of what captions of faces name.

    Args:
        states: dict of arrays `(N,)` or more, of `faces.make` or `faces.parse_captions`.
        names: the attributes to give; those of others are 0, which stands for nothing said.

    Returns:
        int32 `(N, 5)`, ids of `LABELS`, in the order of `FACE_ATTRIBUTES`.
    """
    values = {"has_glasses": np.asarray(states["glasses"]) > 0} | states if "glasses" in states else states
    if "hair_colour" in names:
        is_bald = np.asarray(states["hair_style"]) == faces.HAIR_STYLES.index("bald")
        values = values | {"hair_colour": np.where(is_bald, -1, states["hair_colour"])}
    return attribute_ids({name: values[name] for name in names})


def read_prompt(prompt):
    """The attributes that a prompt names, in English or Chinese; what it leaves open stays open.

    Args:
        prompt: str such as "smiles", "a face with curly red hair and glasses talks" or 微笑; "" asks for nothing.

    Returns:
        int32 `(5,)`, see `state_labels`.

    Raises:
        CourseError: words that the model never saw, or two values of one attribute.
    """
    text, named = prompt.lower(), {}
    for word in sorted(WORDS, key=len, reverse=True):
        pattern = rf"\b{word}\b" if word.isascii() else word
        if re.search(pattern, text):
            attribute, value = WORDS[word]
            if named.setdefault(attribute, value) != value:
                raise CourseError(f"'{prompt}' asks for two kinds of {attribute.replace('_', ' ')}: name one.")
            text = re.sub(pattern, " ", text)
    left = [word for word in re.findall(r"[a-z']+", text) if word not in FILLERS]
    if left:
        known = ", ".join(word for word in WORDS if word.isascii())
        raise CourseError(f"'{prompt}' has words that the model never saw: {' '.join(left)}. It knows {known}.")
    return np.array([LABELS.get((name, named.get(name)), 0) for name in FACE_ATTRIBUTES], np.int32)


def face_parameters(states):
    """The curves of an expression and of the head's sway, as an animator takes them.

    Args:
        states: of N clips of `worlds.faces`.

    Returns:
        float32 `(N, T, 7)`, in the order of `faces.MOTION`.
    """
    return np.stack([states[name] for name in faces.MOTION], axis=-1).astype(np.float32)


def read_parameters(animator, pictures):
    """The parameters that pictures show.

    Args:
        animator: trained `Animator`.
        pictures: uint8 `(N, H, W, C)`.

    Returns:
        float32 `(N, 7)`.
    """
    return in_batches(lambda batch: animator.encoder(to_float(batch)), pictures)


def sample_parameters(
    model,
    labels,
    known,
    known_mask,
    seed=0,
    guidance_scale=GUIDANCE_SCALE,
    num_inference_steps=20,
):
    """Curves for words, around known moments: the first of a picture, both ends to fill in, or any others.

    Args:
        model: trained `ConditionalDiffusion` of motion.
        labels: int `(N, 5)` of `state_labels`.
        known: float `(N, T, 7)`, read where `known_mask` is True.
        known_mask: bool `(T,)`.
        seed: non-negative int.
        guidance_scale: float, of the words.
        num_inference_steps: int, steps of the sampler.

    Returns:
        float32 `(N, T, 7)`.
    """
    velocity_fn = guided_by_each(model, 1, guidance_scale, conditioning={"labels": labels})
    options = {"velocity_fn": velocity_fn, "known_latents": known, "known_mask": known_mask}
    return model.sample(len(labels), num_inference_steps, seed, **options)


def animate_picture(animator, pictures, own, parameters):
    """Pictures with other parameters.

    Args:
        animator: trained `Animator`.
        pictures: uint8 `(N, H, W, C)`.
        own: float `(N, 7)`, the parameters that they show.
        parameters: float `(N, T, 7)`, those to show.

    Returns:
        uint8 `(N, T, H, W, C)`.
    """
    count, num_frames = parameters.shape[:2]
    sources = np.repeat(pictures, num_frames, axis=0)  # (N, H, W, C) -> (N*T, H, W, C)
    pairs = np.stack([np.repeat(own, num_frames, axis=0), parameters.reshape(len(sources), -1)], axis=1)  # (N*T, 2, 7)
    made = in_batches(lambda frames, codes: to_uint8(animator.network([to_float(frames), codes])["frame"]), sources, pairs)
    return made.reshape(count, num_frames, *pictures.shape[1:])


def image_to_video(animator, model, pictures, labels, seed=0, **options):
    """Clips that begin with given pictures and move as words say.

    Args:
        animator: trained `Animator`.
        model: trained `ConditionalDiffusion` of motion.
        pictures: uint8 `(N, H, W, C)`.
        labels: int `(N, 5)` of `state_labels`.
        seed: non-negative int.
        **options: of `sample_parameters`.

    Returns:
        uint8 `(N, T, H, W, C)`; the first frame of each is the picture.
    """
    own = read_parameters(animator, pictures)
    known = np.repeat(own[:, None], NUM_FRAMES, axis=1)
    curves = sample_parameters(model, labels, known, np.arange(NUM_FRAMES) == 0, seed, **options)
    clips = animate_picture(animator, pictures, own, curves)
    clips[:, 0] = pictures
    return clips


def fill_between(animator, model, first, last, labels, seed=0, num_samples=1, **options):
    """Clips between two pictures. Each frame is made from both ends, and the nearer one counts more.

    Args:
        animator: trained `Animator`.
        model: trained `ConditionalDiffusion` of motion.
        first, last: uint8 `(N, H, W, C)`.
        labels: int `(N, 5)` of `state_labels`.
        seed: non-negative int.
        num_samples: int, motions that are drawn; their mean is shown. 1 moves as one clip does, more err less.
        **options: of `sample_parameters`.

    Returns:
        uint8 `(N, T, H, W, C)`, which begins and ends with the pictures.
    """
    ends = [read_parameters(animator, pictures) for pictures in (first, last)]
    known = np.zeros((len(first), NUM_FRAMES, ends[0].shape[1]), np.float32)
    known[:, 0], known[:, -1] = ends
    mask = np.isin(np.arange(NUM_FRAMES), [0, NUM_FRAMES - 1])
    draws = [sample_parameters(model, labels, known, mask, seed + i, **options) for i in range(num_samples)]
    curves = np.mean(draws, axis=0)
    made = [animate_picture(animator, pictures, own, curves) for pictures, own in zip((first, last), ends)]
    share = np.linspace(0, 1, NUM_FRAMES, dtype=np.float32)[:, None, None, None]
    clips = np.rint((1 - share) * made[0] + share * made[1]).astype(np.uint8)
    clips[:, 0], clips[:, -1] = first, last
    return clips


def sample_layouts(
    model,
    sketches,
    labels,
    seed=0,
    strokes=None,
    guidance_scale=LAYOUT_GUIDANCE_SCALE,
    image_scale=1.0,
):
    """Colours for sketches, place by place.

    Args:
        model: trained `ConditionalDiffusion` of colour layouts.
        sketches: bool `(N, H, W)`.
        labels: int `(N, 5)` of `state_labels`.
        seed: non-negative int.
        strokes: None, or uint8 `(h, w, C + 1)`, colours that are wanted, with an alpha channel: above 127 where one is. Of all.
        guidance_scale: float, of the words.
        image_scale: float, of the sketch.

    Returns:
        float32 `(N, h, w, C)` in [-1, 1].
    """
    side = round(model.config.num_frames**0.5)
    image = sketches[..., None].astype(np.float32)
    conditioning = {"labels": labels, "image": image}
    velocity_fn = guided_by_each(model, image_scale, guidance_scale, conditioning=conditioning)
    known = {}
    if strokes is not None:
        colors = to_float(strokes[..., :-1]).reshape(side * side, -1)
        colors = np.broadcast_to(colors, (len(labels), *colors.shape))
        known = {"known_latents": colors, "known_mask": strokes[..., -1].ravel() > 127}
    layouts = model.sample(len(labels), 20, seed, velocity_fn=velocity_fn, **known)
    return np.clip(layouts, -1, 1).reshape(len(labels), side, side, -1)


def colorize(colorizer, sketches, layouts):
    """Pictures of sketches with their colours.

    Args:
        colorizer: trained `Colorizer`.
        sketches: bool `(N, H, W)`.
        layouts: float `(N, h, w, C)` in [-1, 1].

    Returns:
        uint8 `(N, H, W, C)`.
    """
    image = sketches[..., None].astype(np.float32)
    return in_batches(lambda *batch: to_uint8(colorizer(list(batch))), image, layouts)


def sketch_to_video(model, uses, sketches, labels, seed=0, strokes=None):
    """Clips of sketches: first their colours, then pictures, then motion.

    Args:
        model: trained `ConditionalDiffusion` of colour layouts.
        uses: dict from "animator", "motion_model" and "colorizer" to names of models of the zoo.
        sketches: bool `(N, H, W)`.
        labels: int `(N, 5)` of `state_labels`.
        seed: non-negative int.
        strokes: as for `sample_layouts`.

    Returns:
        uint8 `(N, T, H, W, C)`.
    """
    pictures = colorize(zoo.load(uses["colorizer"]), sketches, sample_layouts(model, sketches, labels, seed, strokes))
    return image_to_video(zoo.load(uses["animator"]), zoo.load(uses["motion_model"]), pictures, _of_expression(labels), seed)


def clips_of_picture(first, last=None, *, labels, count=1, seed=0):
    """Clips of a picture by the shipped models.

    Args:
        first: uint8 `(64, 64, 3)`.
        last: None, or the picture that the clips end with.
        labels: int `(5,)` of `read_prompt`; only the expression counts, the rest is in the picture.
        count: int, how many.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    animator, model = zoo.load(ANIMATOR), zoo.load(MOTION_MODEL)
    labels = np.repeat(_of_expression(labels[None]), count, axis=0)
    pictures = [np.repeat(picture[None], count, axis=0) for picture in (first, last) if picture is not None]
    make = image_to_video if last is None else fill_between
    return [Clip(frames) for frames in make(animator, model, *pictures, labels, seed)]


def clips_of_sketch(sketch, labels, count=1, seed=0, strokes=None):
    """Clips of a drawing by the shipped models, each in colours of its own.

    Args:
        sketch: bool `(64, 64)`.
        labels: int `(5,)` of `read_prompt`.
        count: int, how many.
        seed: non-negative int.
        strokes: as for `sample_layouts`.

    Returns:
        list of `Clip`.
    """
    sketches, labels = np.repeat(sketch[None], count, axis=0), np.repeat(labels[None], count, axis=0)
    frames = sketch_to_video(zoo.load(LAYOUT_MODEL), zoo.record(LAYOUT_MODEL)["uses"], sketches, labels, seed, strokes)
    return [Clip(clip) for clip in frames]


def _of_expression(labels):
    """Labels without what a picture shows already."""
    return np.where(np.arange(labels.shape[1]) == list(FACE_ATTRIBUTES).index("expression"), labels, 0)


def image_to_video_samples(model, record, count, seed):
    """Test people, each with an expression of the five in turn.

    Args:
        model: trained `ConditionalDiffusion` of motion.
        record: dict with "dataset" and "uses".
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    clips = load(record["dataset"]["name"], "test").subset(count, seed)
    expression = np.arange(len(clips)) % len(faces.EXPRESSIONS)
    labels = state_labels(clips.states | {"expression": expression}, ("expression",))
    frames = image_to_video(zoo.load(record["uses"]["animator"]), model, clips.frames[:, 0], labels, seed)
    return [Clip(clip) for clip in frames]


def sketch_to_video_samples(model, record, count, seed):
    """Sketches of test people as a hand draws them, coloured by their captions' words and animated.

    Args:
        model: trained `ConditionalDiffusion` of colour layouts.
        record: dict with "dataset" and "uses".
        count: int, how many clips.
        seed: non-negative int.

    Returns:
        list of `Clip`.
    """
    clips, uses = load(record["dataset"]["name"], "test").subset(count, seed), record["uses"]
    lines, labels = roughen(draw_sketches(clips.frames[:, 0]), seed), state_labels(clips.states)
    return [Clip(clip) for clip in sketch_to_video(model, uses, lines, labels, seed)]
