"""Experiments: variants differ in what their name says, rows are of real runs, and a training from scratch can be stopped."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from vidgen_tf import datasets, training
from vidgen_tf.errors import CourseError
from vidgen_tf.evaluation import adherence
from vidgen_tf.experiments import autoregressive, diffusion, guidance, text_to_video, video_gan
from vidgen_tf.pipelines.space_time import VALIDATION_SEED, world_prompts
from vidgen_tf.recipes import RECIPES
from vidgen_tf.recipes import diffusion as diffusion_recipes
from vidgen_tf.recipes import text_to_video as text_recipes
from vidgen_tf.zoo.experiments import read_rows

TINY = {"hidden_dim": 8, "num_layers": 1, "num_heads": 2}


def differences(one, other):
    """Every field of two recipes, their configurations and trainings included, that differs: name -> the other's value."""

    def flat(recipe):
        fields = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
        nested = [dataclasses.asdict(fields.pop("config")), fields.pop("training"), fields.pop("uses")]
        return fields | {key: value for part in nested for key, value in part.items()}

    one, other = flat(one), flat(other)
    return {name: other.get(name) for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


CHANGES = {  # variant -> what its name says of the variant before, or of the baseline
    "baseline": {},
    "position scale 0.02": {"position_scale": 0.02},
    "uniform timesteps": {"uniform_timestep_prob": 1.0},
    "VAE beta 0.1": {"autoencoder": "vae-digits"},
    "attribute dropout": {"attribute_dropout": 0.1},
    "+ twice as many clips": {"num_extra_clips": 8000},
    "+ free-motion clips": {"num_free_motion_clips": 8000},
    "scene layers": {"num_scene_layers": 2},
    "+ frame-difference loss": {"frame_difference_weight": 1.0},
    "+ collision repeats": {"collision_repeats": 4},
    "+ 25 % uniform timesteps": {"uniform_timestep_prob": 0.25},
}


def test_a_variant_of_the_live_transformer_differs_from_the_baseline_in_what_its_name_says():
    variants = autoregressive.variants()
    changes = {name: differences(variants["Muon"], recipe) for name, recipe in variants.items()}
    adamw = {"optimizer": "adamw", "learning_rate": 4e-3}
    assert changes == {"Muon": {}, "AdamW": adamw, "half the clips": {"num_clips": 2500}}


@pytest.mark.parametrize("dataset", ["digits", "shapes"])
def test_a_variant_of_the_diffusion_differs_from_the_baseline_in_what_its_name_says(dataset):
    variants = diffusion.variants(dataset)
    assert variants.keys() == diffusion.ABLATIONS[dataset].keys()
    for name, recipe in variants.items():
        assert differences(variants["baseline"], recipe) == CHANGES[name], name
    change = differences(RECIPES[f"diffusion-{dataset}"], variants["baseline"])
    expected = {"num_extra_clips": 0, "learning_rate": diffusion_recipes.SHORT_RUN_LEARNING_RATE}
    assert change == expected | {"per_frame_timestep_prob": 0.0}, "a short run"
    beta = RECIPES[variants["baseline"].uses["autoencoder"]].config.beta
    assert (beta == 0.1) == ("VAE beta 0.1" not in variants), "what a variant varies is not the baseline's already"


@pytest.mark.parametrize("dataset", ["digits", "shapes"])
def test_a_variant_of_text_to_video_adds_what_its_name_says(dataset):
    variants = text_to_video.variants(dataset)
    names = list(variants)
    assert names == list(text_to_video.ABLATIONS[dataset])
    for before, name in itertools.pairwise(names):
        assert differences(variants[before], variants[name]) == CHANGES[name], name
    shipped, last = RECIPES[f"text-to-video-{dataset}"], variants[names[-1]]
    assert last.config == shipped.config
    lacks = {"digits": {"attribute_dropout": 0.0}, "shapes": {"num_scene_layers": 1, "frame_difference_weight": 0.0}}[dataset]
    assert lacks.items() <= dataclasses.asdict(variants[names[0]].config).items()
    assert last.training["learning_rate"] == diffusion_recipes.SHORT_RUN_LEARNING_RATE


def test_a_variant_of_the_video_gan_is_trained_against_the_discriminators_that_its_name_says(monkeypatch, tmp_path):
    """Neither trained nor measured here: each run gets its own recipe, its seed and as many steps, and its row has its scores."""
    variants, runs = video_gan.variants(), []
    changes = {"image alone": {"discriminators": ("image",)}, "video alone": {"discriminators": ("video",)}}
    changes |= {"both": {}, video_gan.LONGER: {}}
    for name, recipe in variants.items():
        assert differences(RECIPES["video-gan-digits"], recipe) == changes[name], name

    def train(recipe, model, steps, checkpoint):
        runs.append((recipe.training["discriminators"], recipe.seed, steps))

    def scores(model, dataset):
        return {"reference": dataset}

    recipes = {name: dataclasses.replace(recipe, train=train) for name, recipe in variants.items()}
    monkeypatch.setattr(video_gan, "variants", lambda: recipes)
    monkeypatch.setattr(video_gan, "control_scores", scores)
    rows = video_gan.run_ablation("digits", tmp_path / "rows.json", steps=7, seeds=(1, 2))
    order = {"both": 7, "image alone": 7, "video alone": 7, video_gan.LONGER: 28}
    assert [(row["variant"], row["seed"]) for row in rows] == [(name, seed) for name in order for seed in (1, 2)]
    assert all(row["reference"] == "digits" for row in rows)
    assert runs == [(recipes[name].training["discriminators"], seed, n) for name, n in order.items() for seed in (1, 2)]


@pytest.fixture
def few_clips(monkeypatch):
    """Training splits of 100 clips, a tiny network, steps that are too few to be worth tracing, and 100 prompts, the fewest that
    are evaluated, whose clips are sampled in two steps and of which every fourth frame is classified."""
    fit = training.fit

    def fit_eagerly(*arguments, **options):
        tf.config.run_functions_eagerly(True)
        try:
            return fit(*arguments, **options)
        finally:
            tf.config.run_functions_eagerly(False)

    monkeypatch.setattr(training, "fit", fit_eagerly)
    monkeypatch.setattr(diffusion_recipes, "WARMUP_STEPS", 2)
    prompts, sampled, frame_features = (
        text_to_video.evaluation_prompts,
        text_to_video.sample_captions,
        adherence.mean_frame_features,
    )
    monkeypatch.setattr(text_to_video, "sample_captions", functools.partial(sampled, num_inference_steps=2))
    monkeypatch.setattr(adherence, "mean_frame_features", lambda frames, dataset: frame_features(frames[:, ::4], dataset))
    monkeypatch.setattr(
        text_to_video, "evaluation_prompts", lambda dataset, count, *options, **others: prompts(dataset, 100, *options, **others)
    )
    for module in (diffusion_recipes, text_recipes, text_to_video):
        monkeypatch.setattr(module, "load", lambda name, split="train": datasets.load(name, split, 100))
    for name in ("diffusion-digits", "text-to-video-digits"):
        recipe = RECIPES[name]
        changes = {"config": dataclasses.replace(recipe.config, **TINY), "training": {**recipe.training, "ema_decay": 0.5}}
        monkeypatch.setitem(RECIPES, name, dataclasses.replace(recipe, **changes))


@pytest.mark.slow
def test_two_variants_are_trained_with_two_seeds(few_clips, monkeypatch, tmp_path):
    """What is evaluated is each variant's own model: the same seed gives the same, another seed or variant gives another."""

    def evaluated(model, record):
        assert record["config"] == dataclasses.asdict(model.config)
        return {"uniform": model.config.uniform_timestep_prob, "norm": float(np.linalg.norm(model.network.get_weights()[0]))}

    names = ("baseline", "uniform timesteps")
    monkeypatch.setitem(diffusion.ABLATIONS, "digits", {name: diffusion.ABLATIONS["digits"][name] for name in names})
    monkeypatch.setattr(diffusion, "evaluate_trained", evaluated)
    path = tmp_path / "rows.json"
    rows = diffusion.run_ablation("digits", path, steps=4, seeds=(12,))
    assert [(row["variant"], row["seed"], row["uniform"]) for row in rows] == [(names[0], 12, 0.0), (names[1], 12, 1.0)]
    monkeypatch.delitem(diffusion.ABLATIONS["digits"], "uniform timesteps")
    again = diffusion.run_ablation("digits", path, steps=4, seeds=(12, 112))
    assert [(row["variant"], row["seed"]) for row in again] == [("baseline", 12), ("baseline", 112)]
    assert again[0] == rows[0] and len({row["norm"] for row in rows + again}) == 3 and not path.exists()


@pytest.mark.slow
def test_a_tiny_ablation_of_text_to_video_has_accuracies_for_every_variant(few_clips, monkeypatch, tmp_path):
    two = dict(list(text_to_video.ABLATIONS["digits"].items())[:2])
    monkeypatch.setitem(text_to_video.ABLATIONS, "digits", two)
    rows = text_to_video.run_ablation("digits", tmp_path / "rows.json", steps=4, seeds=(13,))
    assert [row["variant"] for row in rows] == ["no attribute dropout", "attribute dropout"]
    for row in rows:
        keys = {"joint_accuracy", "motion_accuracy", "held_out_joint_accuracy", "held_out_motion_accuracy"}
        assert set(row) == {"variant", "seed", "held_out_joint_accuracy_by_attribute"} | keys
        assert all(0 <= row[key] <= 1 for key in keys) and row["joint_accuracy"] <= row["motion_accuracy"]


@pytest.mark.parametrize("dataset", ["digits", "shapes"])
def test_scores_of_an_ablation_are_of_the_prompts_that_their_names_say(dataset, monkeypatch):
    """With real clips for sampled ones: all is right, but for the clips that are exchanged."""
    asked = []

    def sampled(model, vae, prompts, scale, seed):
        clips = next(clips for clips, known in known_prompts if known == prompts)
        asked.append(scale)
        frames = clips.frames.copy()
        frames[clips.states["motion"].reshape(len(clips), -1)[:, 0] == frozen] = 0
        return frames

    frozen = text_to_video.shapes.MOTIONS.index("collides") if dataset == "shapes" else 0
    known_prompts = [text_to_video.evaluation_prompts(dataset, 100, "validation", held_out) for held_out in (False, True)]
    monkeypatch.setattr(text_to_video, "sample_captions", sampled)
    scores = text_to_video.ablation_scores("model", "vae", dataset, count=100)
    assert all(0 <= value <= 1 for value in scores.values())
    if dataset == "shapes":
        assert scores["collision_joint_accuracy"] == 0 and scores["one_object_joint_accuracy"] > 0.95
        assert 0.5 < scores["two_objects_joint_accuracy"] < 0.9 and asked == [2.5, 2.5]
    else:
        share = np.mean(known_prompts[0][0].states["motion"] != 0)
        assert scores["motion_accuracy"] == pytest.approx(share, abs=0.02)
        assert asked == [2.5, 2.5, text_recipes.ATTRIBUTE_GUIDANCE_SCALE]
        assert scores["held_out_joint_accuracy_by_attribute"] == scores["held_out_joint_accuracy"]


@pytest.mark.slow
def test_a_training_from_scratch_that_was_stopped_ends_like_one_that_was_not(few_clips, monkeypatch, tmp_path):
    """The whole way, of a few steps each: what comes out is measured, kept, and read again. Measured is a number that changes
    with every weight, as accuracies of so short a training may agree by chance."""
    options, calls, fit_examples = {"autoencoder_steps": 5, "steps": 6, "eval_interval": 2}, [], text_to_video.fit_examples

    def fit(model, examples, steps, **options):
        return fit_examples(model, examples, steps, **options | {"log_interval": 2, "ema_decay": 0.5})

    def measure(model, vae, clips, prompts, scale):
        calls.append(len(prompts))
        if len(calls) == 6:  # the second measurement of the second training
            raise KeyboardInterrupt
        return {"joint_accuracy": sum(float(np.abs(weight).sum()) for weight in model.get_weights() + vae.get_weights())}

    monkeypatch.setattr(text_to_video, "fit_examples", fit)
    monkeypatch.setattr(text_to_video, "adherence_scores", measure)
    whole = text_to_video.train_from_scratch("digits", tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        text_to_video.train_from_scratch("digits", tmp_path, **options)
    assert not (tmp_path / "curve.json").exists()
    rows = text_to_video.train_from_scratch("digits", tmp_path, **options, resume=True)
    assert rows == read_rows(tmp_path / "curve.json") and [row["step"] for row in rows] == [2, 4, 6, 6]
    scores = [[{key: row[key] for key in row if key.endswith("accuracy")} for row in each] for each in (whole, rows)]
    assert scores[0] == scores[1]
    assert set(rows[-1]) == {"step", "seconds", "transformer_seconds", "joint_accuracy"}
    assert sorted(path.suffix for path in tmp_path.glob("*.*")) == [".h5", ".h5", ".json"], "checkpoints are gone"


def test_each_seed_is_trained_from_scratch_and_keeps_its_curve(monkeypatch, tmp_path):
    asked = []

    def train(dataset, folder, autoencoder_steps, steps, seed):
        asked.append((autoencoder_steps, steps, seed))
        return [{"step": step, "joint_accuracy": 0.5, "seconds": 1.0} for step in (1, 2)]

    monkeypatch.setattr(text_to_video, "train_from_scratch", train)
    rows = text_to_video.run_from_scratch("shapes", tmp_path / "rows.json", seeds=(1, 2))
    assert asked == [(9000, 2500, 1), (9000, 2500, 2), (0, 1000, 1), (0, 1000, 2)]
    names = ["from scratch"] * 4 + ["shipped autoencoder"] * 4
    assert [(row["variant"], row["seed"], row["step"]) for row in rows] == list(zip(names, [1, 1, 2, 2] * 2, [1, 2] * 4))


def test_a_training_from_scratch_of_another_data_set_is_refused(tmp_path):
    with pytest.raises(CourseError, match="no text-to-video of 'faces'; there is one of digits, shapes"):
        text_to_video.train_from_scratch("faces", tmp_path, 100)
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError, match="Can't write"):
        text_to_video.train_from_scratch("digits", tmp_path / "file", 100)


def test_the_study_of_guidance_tries_each_scale_and_interval_on_prompts_for_choosing(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(guidance, "load_pretrained", lambda dataset: (None, None))
    monkeypatch.setattr(guidance, "mean_frame_features", lambda frames, dataset: {"frame": np.eye(4)[:, :2]})
    monkeypatch.setattr(guidance, "prompt_accuracies", lambda frames, said: {"joint_accuracy": 0.5})

    def sample(model, autoencoder, prompts, scale, *, guidance_interval, **options):
        asked.append((scale, guidance_interval[1], tuple(prompts)))

    monkeypatch.setattr(guidance, "sample_prompts", sample)
    rows = guidance.run_ablation("faces", tmp_path / "rows.json", num_prompts=3)
    assert len({row[:2] for row in asked}) == len(rows) == 1 + len(guidance.SCALES) * len(guidance.UNTIL)
    assert {row[2] for row in asked} == {tuple(world_prompts("faces", 3, seed=VALIDATION_SEED)[0])}
    assert not {*asked[0][2]} & {*world_prompts("faces", 3)[0]}  # none that is reported by
    distance = pytest.approx(0, abs=1e-3)
    assert rows[0] == {"guidance_scale": 1.0, "until": 1.0, "joint_accuracy": 0.5, "frechet_distance": distance}
