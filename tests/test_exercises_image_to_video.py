"""Chapter 14's graders: they accept right answers of other kinds than ours, and refuse the plausible wrong ones by name."""

from graders import GraderTests

RIGHT = [
    (
        "plan_of",
        """at = {moment % num_moments: pose for moment, pose in poses.items()}
size = len(list(poses.values())[0])
latents = np.array([at.get(i, np.zeros(size)) for i in range(num_moments)])
known = np.array([i in at for i in range(num_moments)])
levels = np.array([[0.0 if i in at else 1 - k / steps for i in range(num_moments)] for k in range(steps + 1)])
return latents, known, levels""",
    ),
    (
        "chain_factors",
        """factors = np.zeros(len(scales) + 1)
factors[0] = 1
for i, scale in enumerate(scales):
    factors[i] -= scale
    factors[i + 1] += scale
return factors""",
    ),
    (
        "chamfer_distance",
        """a, b = np.argwhere(drawn), np.argwhere(wanted)
apart = np.linalg.norm(a[:, None] - b[None], axis=-1)
return 0.5 * apart.min(axis=1).mean() + 0.5 * apart.min(axis=0).mean()""",
    ),
    (
        "sample_known_numbers",
        """z = np.array(noise)
for i in range(len(levels) - 1):
    t = levels[i]
    z = np.where(mask, (1 - t) * known + t * noise, z)
    z = z + (levels[i + 1] - t) * velocity_fn(z, np.full((1, 1), t))
z[..., mask] = known[..., mask]
return z""",
    ),
]

WRONG = [
    ("plan_of", "np.where(known, 0, np", "np.where(known, 1, np", "level 0"),
    ("plan_of", "steps + 1)[:, None]", "steps)[:, None]", "three levels"),
    ("plan_of", "np.linspace(1, 0, steps + 1)", "np.linspace(0, 1, steps + 1)", "from 1 to 0"),
    ("plan_of", "[moment], known[moment]", "[moment], known[abs(moment)]", "from the end"),
    ("plan_of", "np.linspace(1, 0, steps + 1)[:", "(np.linspace(1, 0, steps + 1) ** 2)[:", "from 1 to 0"),
    ("plan_of", "np.zeros((num_moments", "np.ones((num_moments", "unknown latents"),
    ("chain_factors", "np.concatenate([[1.0], scales, [0.0]])", "np.concatenate([scales, [0.0]])", "three velocities"),
    ("chain_factors", "padded[:-1] - padded[1:]", "padded[1:] - padded[:-1]", "conditional velocity alone"),
    ("chain_factors", "np.concatenate([[1.0], scales, [0.0]])", "np.concatenate([[0.0], scales, [0.0]])", "all scales 1"),
    (
        "chain_factors",
        "padded[:-1] - padded[1:]",
        "np.append(1 - np.sum(scales), scales)",
        "conditional velocity alone",
    ),
    ("chamfer_distance", "(there + back) / 2", "there", "missing line"),
    ("chamfer_distance", "(there + back) / 2", "back", "superfluous line"),
    ("chamfer_distance", "(there + back) / 2", "there + back", "three pixels apart"),
    ("chamfer_distance", "distance_transform_edt(~wanted)", "distance_transform_edt(wanted)", "three pixels apart"),
    ("chamfer_distance", "[drawn].mean()", "[wanted].mean()", "three pixels apart"),
    (
        "chamfer_distance",
        "    there =",
        "    from scipy.ndimage import distance_transform_cdt as distance_transform_edt\n\n    there =",
        "Euclidean",
    ),
    (
        "chamfer_distance",
        "    return (there",
        "    n, m = drawn.sum(), wanted.sum()\n    return (n * there + m * back) / (n + m)\n    return (there",
        "3 px off",
    ),
    ("sample_known_numbers", "z = noise.copy()", "z = noise.copy()\n    known[..., ~mask] = 0", "unchanged"),
    ("sample_known_numbers", "return np.where(mask, known, z)", "return z", "what was given"),
    ("sample_known_numbers", "add_noise(known, noise, np.full(1, t))[..., mask]", "known[..., mask]", "noise in them"),
    ("sample_known_numbers", "np.full(1, t)", "np.full(1, t + step)", "at the level of the step"),
    (
        "sample_known_numbers",
        "add_noise(known, noise, np.full(1, t))",
        "add_noise(known, np.random.default_rng(1).normal(size=noise.shape), np.full(1, t))",
        "their own noise",
    ),
    ("sample_known_numbers", "velocity_fn(z, t)", "velocity_fn(z, t + step)", "where the step begins"),
    ("sample_known_numbers", "z + step", "z - step", "Euler"),
]


class TestGraders(GraderTests):
    chapters = ("14_image_and_sketch_to_video",)
    right = RIGHT
    wrong = WRONG
    is_hidden_part_needed = True
