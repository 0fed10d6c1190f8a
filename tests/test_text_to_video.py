"""Text to video: prompts in, clips out, and the mistakes that people make."""

import dataclasses

import numpy as np
import pytest

from vidgen_tf import training, zoo
from vidgen_tf.cli import main
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation.adherence import adherence_scores, prompt_accuracy
from vidgen_tf.models.dit import DiffusionConfig, LatentDiffusion
from vidgen_tf.models.flow_matching import guided_velocity
from vidgen_tf.models.vae import VAE, VAEConfig, decode
from vidgen_tf.pipelines import text_to_video as T
from vidgen_tf.pipelines.sampling import sample
from vidgen_tf.pipelines.scene_layers import SEED_STRIDE, encode_scene_layers
from vidgen_tf.pipelines.video import sample_clips
from vidgen_tf.recipes import RECIPES
from vidgen_tf.splits import is_held_out
from vidgen_tf.tokenizer import count_phrases, swap_phrases, tokenize
from vidgen_tf.video import Clip
from vidgen_tf.worlds import shapes
from vidgen_tf.zoo.weights import write_weights

SMALL = DiffusionConfig(hidden_dim=8, num_layers=1, num_heads=2, per_frame_timestep_prob=0.0, has_captions=True)
PROMPTS = ["the digit 3 is moving up then down .", "数字7先向左再向右移动。", "the digit 0 is moving"]


def small_model(**changes):
    """A model with random weights, its zero-initialised ones too."""
    training.set_seed(1)
    model, rng = LatentDiffusion(dataclasses.replace(SMALL, **changes)), np.random.default_rng(1)
    model.network.set_weights([w + 0.2 * rng.normal(size=w.shape) for w in model.network.get_weights()])
    return model


def small_vae(channels):
    training.set_seed(2)
    return VAE(VAEConfig(channels=channels, filters=(4, 4, 4)))


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def vae():
    return small_vae(1)


def test_the_same_seed_gives_the_same_clips_and_the_caption_matters(model, vae):
    sampled = T.sample_captions(model, vae, PROMPTS, 2.0, seed=1, num_inference_steps=3)
    assert sampled.shape == (3, 16, 32, 32, 1) and sampled.dtype == np.uint8
    for captions, seed, equal in ((PROMPTS, 1, True), (PROMPTS, 2, False), (PROMPTS[::-1], 1, False)):
        again = T.sample_captions(model, vae, captions, 2.0, seed=seed, num_inference_steps=3)
        assert np.array_equal(sampled[0], again[0]) == equal
    with pytest.raises(CourseError, match="There is no caption"):
        T.sample_captions(model, vae, [], 2.0)


def test_many_clips_are_sampled_in_batches_with_seeds_of_their_own(model, vae, monkeypatch):
    monkeypatch.setattr(T, "BATCH_SIZE", 2)
    batches = T.sample_captions(model, vae, PROMPTS, 2.0, seed=5, num_inference_steps=2)
    parts = [T.sample_captions(model, vae, PROMPTS[i : i + 2], 2.0, seed=5 + i, num_inference_steps=2) for i in (0, 2)]
    np.testing.assert_array_equal(batches, np.concatenate(parts))


def test_a_second_object_is_conditioned_on_the_first_and_composited_over_it():
    vae, model = small_vae(3), small_model(num_scene_layers=2)
    prompts = ["a red circle falls and bounces", "a red circle moves up and a blue square moves left", "a triangle"]
    tokens = tokenize(prompts)
    np.testing.assert_array_equal(count_phrases(tokens), [1, 2, 1])
    sampled = T.sample_captions(model, vae, prompts, 2.0, seed=5, num_inference_steps=2)

    def latents(tokens, background, seed):
        conditioning = {"tokens": tokens, "background": np.asarray(model.normalization(background))}
        velocity_fn = guided_velocity(model, 2.0, conditioning=conditioning)
        return model.sample(len(tokens), 2, seed, velocity_fn=velocity_fn)

    zeros = np.zeros((3, 16, 32), "float32")
    first = latents(tokens, zeros, 5)
    np.testing.assert_array_equal(sampled[[0, 2]], decode(vae, first)[[0, 2]])
    swapped = swap_phrases(tokens[1:2])
    second = latents(swapped, first[1:2], 5 + SEED_STRIDE)
    np.testing.assert_array_equal(sampled[1:2], shapes.composite(decode(vae, first)[1:2], decode(vae, second)))
    alone = latents(swapped, zeros[1:2], 5 + SEED_STRIDE)
    assert np.abs(alone - second).max() > 1e-3, "the background matters"


def test_an_unconditional_model_samples_its_scene_layers_in_the_same_way():
    vae, model = small_vae(3), small_model(num_scene_layers=2, has_captions=False)
    sampled = sample_clips(model, vae, 3, seed=7, num_inference_steps=2)
    assert sampled.shape == (3, 16, 32, 32, 3) and sampled.dtype == np.uint8
    np.testing.assert_array_equal(sampled, sample_clips(model, vae, 3, seed=7, num_inference_steps=2))
    assert (sampled != sample_clips(model, vae, 3, seed=8, num_inference_steps=2)).any()


def test_scene_layers_are_encoded_beside_their_background():
    vae, clips = small_vae(3), shapes.make(5, seed=1)
    encoded = encode_scene_layers(vae, clips)
    assert {name: array.shape for name, array in encoded.items()} == dict.fromkeys(encoded, (10, 16, 32))
    assert not encoded["background"][:5].any()
    np.testing.assert_array_equal(encoded["background"][5:], encoded["z_mean"][:5])


@pytest.mark.parametrize("dataset", ["digits", "shapes"])
def test_prompts_are_in_both_languages_and_held_out_or_not(dataset):
    for held_out in (False, True):
        clips, prompts = T.evaluation_prompts(dataset, 30, "validation", held_out)
        assert len(clips) == len(prompts) == 30 and (is_held_out(clips.states) == held_out).all()
        assert prompts[:2] == [clips.captions[0], clips.captions_zh[1]]
        assert all(prompt.isascii() == (i % 2 == 0) for i, prompt in enumerate(prompts))


@pytest.fixture
def folder(tmp_path):
    """What a training from scratch leaves behind, untrained."""
    training.set_seed(5)
    for name in ("text-to-video-digits", "vae-digits-low-beta"):
        write_weights(RECIPES[name].build(), tmp_path / f"{name}.weights.h5")
    return tmp_path


def test_prompts_become_clips_on_the_command_line(folder, capsys):
    (folder / "prompts.txt").write_text("\n".join(PROMPTS) + "\n\n", encoding="utf-8")
    start = ["sample", "text-to-video", "--weights", str(folder), "-o", str(folder / "sampled.webp")]
    assert main([*start, "--prompt", PROMPTS[1], "--seed", "4"]) == 0
    one = Clip.load(folder / "sampled.webp")
    assert one.frames.shape[:3] == (16, 192, 192) and one.caption == PROMPTS[1]
    assert main([*start, "--prompts", str(folder / "prompts.txt")]) == 0
    assert Clip.load(folder / "sampled.webp").frames.shape[0] == 16 and "wrote" in capsys.readouterr().out
    clips = T.text_to_video(PROMPTS, seed=4, folder=folder)
    assert [clip.caption for clip in clips] == PROMPTS


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"prompts": []}, "a list with at least one prompt"),
        ({"prompts": "a red circle falls"}, "a list with at least one prompt"),
        ({"prompts": ["a pink cat"]}, "never saw: pink cat"),
        ({"prompts": ["3 left", "left"]}, "names neither a digit nor a shape"),
        ({"prompts": ["3 left", "a red blue circle"]}, "contradicts itself"),
        ({"prompts": ["3 left"], "guidance_scale": float("nan")}, "guidance_scale must be a number from 0"),
        ({"prompts": ["3 left"], "guidance_scale": {"digit": 2.0, "motion": 1e30}}, "guidance_scale must be a number from 0"),
        ({"prompts": ["3 left"], "folder": "nowhere"}, "text-to-video-digits.weights.h5 is missing: train it with python -m"),
        ({"prompts": ["3 left"], "folder": "nowhere/3.weights.h5"}, "is a file: give the folder"),
        ({"prompts": ["3 left"], "folder": __file__}, "is a file: give the folder"),
    ],
)
def test_mistakes_are_told_before_anything_is_sampled(arguments, said):
    with pytest.raises(CourseError, match=said) as error:
        T.text_to_video(**arguments)
    assert "\n" not in str(error.value)


def test_an_empty_file_of_prompts_is_told(tmp_path, capsys):
    (tmp_path / "empty.txt").write_text("\n\n")
    assert main(["sample", "text-to-video", "--prompts", str(tmp_path / "empty.txt")]) == 1
    assert "at least one prompt" in capsys.readouterr().err


@pytest.mark.slow
def test_prompts_of_both_data_sets_come_back_in_their_order():
    prompts = ["a large red circle falls and bounces", "8 left then right", "一个小的绿色圆形和一个大的紫色三角形相撞"]
    clips = T.text_to_video(prompts, seed=3, num_inference_steps=2)
    assert [clip.caption for clip in clips] == prompts
    assert [clip.frames.shape for clip in clips] == [(16, 32, 32, 3), (16, 32, 32, 1), (16, 32, 32, 3)]
    for other in ({"guidance_scale": 5.0}, {"seed": 4}):
        changed = T.text_to_video(prompts, **{"seed": 3, "num_inference_steps": 2} | other)
        assert all((a.frames != b.frames).any() for a, b in zip(clips, changed, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("dataset, bars", [("digits", (0.95, 0.85)), ("shapes", (0.85, 0.75))])
def test_shipped_models_adhere_to_prompts_and_to_held_out_ones(dataset, bars):
    """Measured here, on validation prompts: the records are of test prompts."""
    models, scale = T.load_pretrained(dataset), zoo.record(f"text-to-video-{dataset}")["sampling"]["guidance_scale"]
    for held_out, bar in zip((False, True), bars, strict=True):
        clips, prompts = T.evaluation_prompts(dataset, 100, "validation", held_out)
        assert adherence_scores(*models, clips, prompts, scale, seed=3)["joint_accuracy"] >= bar


@pytest.mark.slow
def test_a_prompt_as_people_write_it_is_adhered_to():
    """The digit is right, with and without the stop words, and it is seen in all frames."""
    scale = zoo.record("text-to-video-digits")["sampling"]["guidance_scale"]
    for prompts in ([f"{i % 10}" for i in range(100)], [f"the digit {i % 10}" for i in range(100)]):
        sampled = T.sample_captions(*T.load_pretrained("digits"), prompts, scale, seed=3)
        states = {"digit": np.arange(100) % 10, "motion": np.zeros(100)}
        assert prompt_accuracy(sampled, "digits", states)["digit_accuracy"].mean() > 0.95
        assert np.mean(sampled.mean(axis=(2, 3, 4)).min(axis=1) > 7) > 0.9


@pytest.mark.slow
def test_objects_that_should_collide_do():
    clips = T.PROMPTS["shapes"].make("validation", 0, 1200)
    clips = clips[clips.states["motion"][:, 0] == shapes.MOTIONS.index("collides")]
    scale = zoo.record("text-to-video-shapes")["sampling"]["guidance_scale"]
    sampled = T.sample_captions(*T.load_pretrained("shapes"), clips.captions, scale, seed=3)
    assert prompt_accuracy(sampled, "shapes", clips)["motion_accuracy"].mean() > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("name", ["diffusion-digits", "text-to-video-shapes"])
def test_a_model_of_the_zoo_is_sampled_by_its_record(name):
    record = zoo.record(name)
    clips = sample(zoo.load(name), record, 3, seed=7)
    assert len(clips) == 3 and all(clip.frames.shape == (16, 32, 32, 3 if "shapes" in name else 1) for clip in clips)
    if record["pipeline"] == "text_to_video":
        expected = T.evaluation_prompts("shapes", 3)[0].captions.tolist()
        assert [clip.caption for clip in clips] == expected
