"""Chapter 10's graders: they accept right answers of other kinds than ours, and refuse the plausible wrong ones."""

from graders import GraderTests

GLASS = """
along = np.einsum("dn,dn->n", directions, normals)
n1, n2 = np.where(along < 0, [[1.0], [index_of_refraction]], [[index_of_refraction], [1.0]])
facing, c1 = -np.sign(along) * normals, np.abs(along)
c2 = np.emath.sqrt(1 - (n1 / n2) ** 2 * (1 - c1**2)) + 0j
amplitudes = [(n1 * c1 - n2 * c2) / (n1 * c1 + n2 * c2), (n1 * c2 - n2 * c1) / (n1 * c2 + n2 * c1)]
refracts = rng.uniform(size=c1.size) > np.mean(np.abs(amplitudes) ** 2, axis=0) + 1e-12
bent = directions * n1 / n2 + (c1 * n1 / n2 - c2.real) * facing
return np.where(refracts, bent, directions + 2 * c1 * facing)"""  # a complex cosine: total reflection comes by itself
RIGHT = [
    (
        "bounce_factor",
        "return {'cosine': albedo, 'hemisphere': 2 * albedo * cosine, 'sphere': 4 * albedo * cosine}[density] * (cosine > 0)",
    ),
    (
        "restitution_from_heights",
        "    slope = np.polyfit(np.arange(len(fallen)), np.log(fallen), 1)[0]",
        "    slope = np.log(fallen[-1] / fallen[0]) / (len(fallen) - 1)",
    ),
    (
        "blend_pictures",
        "light = sum((np.float64(picture) / 255) ** gamma for picture in pictures) / len(pictures)\n"
        "return np.floor(255 * light ** (1 / gamma) + 0.5).astype('uint8')",
    ),
    ("scatter_glass", GLASS),
]

WRONG = [
    ("bounce_factor", "        return np.where(cosine > 0, albedo, 0.0)", "        return albedo * cosine", "cancel"),
    ("bounce_factor", "albedo / np.pi * cosine", "albedo * cosine", "albedo / pi"),
    ("bounce_factor", "2 * np.pi if density", "4 * np.pi if density", "albedo / pi"),
    ("bounce_factor", "    cosine = np.maximum(cosine, 0)\n", "", "from below"),
    ("bounce_factor", "else 4 * np.pi", "else 2 * np.pi", "mean must be the albedo"),
    ("restitution_from_heights", "slope / 2", "slope", "squared"),
    ("restitution_from_heights", "np.asarray(heights) - radius", "np.asarray(heights)", "lowest point"),
    (
        "restitution_from_heights",
        "fallen = np.asarray(heights) - radius",
        "fallen = np.asarray(heights)[:2] - radius",
        "all heights",
    ),
    ("blend_pictures", "** gamma", "** 1.0", "decode as they were encoded"),
    (
        "blend_pictures",
        "    radiance = (pictures / 255.0) ** gamma\n",
        "    return np.uint8(pictures.mean(axis=0))\n",
        "not its code",
    ),
    ("blend_pictures", "pictures / 255.0", "pictures", "186"),
    (
        "blend_pictures",
        "return develop(radiance.mean(axis=0), gamma=gamma)",
        "return np.uint8(255 * radiance.mean(axis=0) ** (1 / gamma) - 0.3)",
        "round",
    ),
    ("blend_pictures", "** gamma\n", "** 2.2\n", "gamma that is given|alike"),
    (
        "scatter_glass",
        "np.where(leaves, index_of_refraction, 1 / index_of_refraction)",
        "1 / index_of_refraction",
        "change places|negative",
    ),
    ("scatter_glass", "np.where(leaves, -normals, normals)", "normals", "change places|negative|reflected"),
    ("scatter_glass", "(first**2 + second**2) / 2", "0.04 + 0.96 * (1 - cos) ** 5", "Schlick"),
    ("scatter_glass", "(first**2 + second**2) / 2", "first**2", "Fresnel"),
    ("scatter_glass", "ratio * directions + (ratio * cos - inner_cos) * facing", "directions / index_of_refraction", "unit"),
    ("scatter_glass", "squared < 0, 1.0,", "squared < 0, 0.0,", "critical|negative"),
    ("scatter_glass", "rng.random(len(cos)) < share", "share > 0.5", "4 %"),
]


class TestGraders(GraderTests):
    chapters = ("10_physics_rendering",)
    right = RIGHT
    wrong = WRONG
    is_hidden_part_needed = True
