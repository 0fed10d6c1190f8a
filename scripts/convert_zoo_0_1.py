"""Converts the zoo of version 0.1 into that of version 0.2: weight files, records and names. It has been run and is kept.

Version 0.1 stored the weights of a model as datasets "0000", "0001", ... in the order of `model.weights`, in half precision. Here
they are put back in that order and written again as Keras' own .weights.h5, without a change of any number.

    python scripts/convert_zoo_0_1.py OLD_ZOO_FOLDER
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np

from vidgen_tf.recipes import RECIPES
from vidgen_tf.zoo.experiments import EXPERIMENTS
from vidgen_tf.zoo.records import FOLDER, MANIFEST, RENAMED, sha256
from vidgen_tf.zoo.weights import read_weights, write_weights

KEYS = {  # of scores
    "content_distance": "frame_frechet_distance",
    "motion_distance": "video_frechet_distance",
    "motion_floor": "video_frechet_distance_real",
    "frechet_floor": "frechet_distance_real",
    "path_residual": "trajectory_residual",
    "copies": "memorized_share",
    "copy_ratio": "nn_distance_ratio",
    "confident": "confident_share",
    "rarest_digit": "min_class_share",
    "rarest_value": "min_attribute_share",
    "in_order": "temporal_order_share",
    "squared_error": "mse",
    "of_copy_last": "mse_vs_copy_last",
    "of_zeros": "mse_vs_zeros",
    "crisp_of_copy_last": "sharpened_mse_vs_copy_last",
    "crisp_ssim": "sharpened_ssim",
    "next_error": "one_step_error",
    "error_after_walls": "error_after_bounce",
    "future_error": "rollout_mse",
    "variance_after_walls": "prior_variance_after_bounce",
    "spread_before": "variance_before_bounce",
    "spread_behind": "variance_after_bounce",
    "digit_kept_25": "identity_preserved_25",
    "digit_kept_100": "identity_preserved_100",
    "unseen_jointly": "held_out_joint_accuracy",
    "recipe": "variant",
    "seen": "joint_accuracy",
    "seen_motion": "motion_accuracy",
    "unseen": "held_out_joint_accuracy",
    "unseen_motion": "held_out_motion_accuracy",
    "unseen_by_attribute": "held_out_joint_accuracy_by_attribute",
    "one thing": "one_object_joint_accuracy",
    "two things": "two_objects_joint_accuracy",
    "collide": "collision_joint_accuracy",
}
VARIANTS = {
    "as it ships": "baseline",
    "the same, another seed": "baseline",
    "quiet places": "position scale 0.02",
    "uniform noise levels": "uniform timesteps",
    "chapter 05's encoder": "VAE beta 0.1",
    "captions whole or not at all": "no attribute dropout",
    "things left open": "attribute dropout",
    "and twice as many clips": "+ twice as many clips",
    "and digits that wander": "+ free-motion clips",
    "two things in one vector": "one latent per frame",
    "layer by layer": "scene layers",
    "and changes count": "+ frame-difference loss",
    "and meetings come often": "+ collision repeats",
    "and loud noise more often": "+ 25 % uniform timesteps",
}
EXPERIMENT_NAMES = {"ladder": "ablation", "shipped-encoder": "shipped-autoencoder"}


def renamed_key(key):
    """The present name of a score: "asked_X" was the accuracy of a prompt's attribute X, "jointly" of all."""
    if key.startswith("asked_"):
        end = "_reconstruction" if key.endswith("_rebuilt") else ""
        attribute = key.removeprefix("asked_").removesuffix("_rebuilt").replace("jointly", "joint")
        return f"{attribute}_accuracy{end}"
    return KEYS.get(key, key)


def _variant(row, seed):
    """A row of an ablation study with the present name of its variant, and the seed that it was trained with."""
    return row | {"variant": VARIANTS[row["variant"]], "seed": seed + 100 * (row["variant"] == "the same, another seed")}


def main(old):
    """Converts a folder with the .weights.h5 files, manifest.json and experiments.json of version 0.1."""
    records = {}
    for old_name, entry in json.loads((old / "manifest.json").read_text()).items():
        name = RENAMED.get(old_name, old_name)
        recipe, model = RECIPES[name], RECIPES[name].build()
        with h5py.File(old / entry["file"]) as file:
            values = [np.asarray(file[key][()], np.float32) for key in sorted(file)]
        model.set_weights(values)
        path = FOLDER / f"{name}.weights.h5"
        write_weights(model, path)
        again = recipe.build()
        read_weights(again, path)
        for before, after in zip(values, again.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
        scores = {renamed_key(key): value for key, value in entry.pop("exam").items()}
        entry["dataset"]["name"] = recipe.dataset[0]
        command = entry["command"].replace(f"train {old_name} ", f"train {name} ")
        new = {"file": path.name, "sha256": sha256(path), "bytes": path.stat().st_size, "scores": scores, "command": command}
        records[name] = recipe.record() | entry | new
        print(f"{old_name} -> {name}: {path.stat().st_size / 1e6:.2f} MB")
    MANIFEST.write_text(json.dumps(records, indent=1, sort_keys=True) + "\n")

    experiments = {}
    for name, entry in json.loads((old / "experiments.json").read_text()).items():
        for before, after in EXPERIMENT_NAMES.items():
            name = name.replace(before, after)
        command = entry["command"].replace("--encoder-steps", "--autoencoder-steps").replace("--world", "--dataset")
        entry["command"] = command.replace("train", "ablate").replace("--ladder ", "") if "--ladder" in command else command
        rows = [{renamed_key(key): value for key, value in row.items()} for row in entry["rows"]]
        entry["rows"] = [_variant(row, entry["seed"]) if "variant" in row else row for row in rows]
        experiments[name] = entry
    EXPERIMENTS.write_text(json.dumps(experiments, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
