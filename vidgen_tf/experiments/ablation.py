"""Ablation studies: recipes with a choice changed, trained equally long with several seeds, and scored."""

import dataclasses

from .. import training, zoo


def change_recipe(recipe, *, config=None, training=None, uses=None):
    """A variant of a recipe.

    Args:
        recipe: `Recipe`.
        config: dict of fields of its configuration to replace, or None.
        training: dict to merge into its training, or None.
        uses: dict to merge into its uses, or None.

    Returns:
        `Recipe`.
    """
    return dataclasses.replace(
        recipe,
        config=dataclasses.replace(recipe.config, **(config or {})),
        training=dict(recipe.training) | (training or {}),
        uses=dict(recipe.uses) | (uses or {}),
    )


def train_variants(variants, path, steps, seeds, score, other_steps=None):
    """Trains each variant once with each seed, and scores it.

    Args:
        variants: dict from a name to a `Recipe`.
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        steps: training steps of each.
        seeds: sequence of non-negative int.
        score: function from a trained model and its `Recipe` to a dict of float.
        other_steps: dict from names of variants whose steps take another time to their number of steps, or None.

    Returns:
        list of dicts, one for each variant and seed: "variant", the name; "seed"; and the scores.
    """

    def make(name, seed):
        recipe = dataclasses.replace(variants[name], seed=seed)
        model = recipe.build()
        recipe.train(recipe, model, (other_steps or {}).get(name, steps), None)
        return score(model, recipe)

    return run_variants(variants, path, seeds, make)


def run_variants(names, path, seeds, make):
    """Makes each variant once with each seed; all random numbers of a run begin with its seed.

    Args:
        names: iterable of str, of the variants.
        path: Path of a file (.json) that keeps the rows until all are there: those in it are not made again.
        seeds: sequence of non-negative int.
        make: function from a name and a seed to a dict of float, the scores.

    Returns:
        list of dicts, one for each variant and seed: "variant", the name; "seed"; and the scores.
    """

    def row(run):
        name, seed = run
        training.set_seed(seed)
        return {"variant": name, "seed": seed} | make(name, seed)

    return zoo.run_rows(path, [(name, seed) for name in names for seed in seeds], row)
