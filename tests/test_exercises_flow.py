"""Chapter 09's graders: they accept right answers of other kinds than ours, and refuse the plausible wrong ones by name."""

from graders import GraderTests

SPLAT = """    size = frame.shape[:2]
    total, weight = np.zeros(frame.shape, float), np.zeros(size)
    for y, x in np.ndindex(size):
        place = np.array([y + flow[y, x, 1], x + flow[y, x, 0]])
        for step in np.ndindex(2, 2):
            to = np.floor(place).astype(int) + step
            if (to >= 0).all() and (to < size).all():
                share = np.prod(1 - np.abs(place - to))
                total[tuple(to)] += share * frame[y, x]
                weight[tuple(to)] += share
    return np.divide(total, weight[..., None], out=0 * total, where=weight[..., None] > 0), weight
"""
RIGHT = [
    (
        "solve_window",
        "a = np.stack([ix.ravel(), iy.ravel()], axis=1)\nreturn np.linalg.lstsq(a, -it.ravel(), rcond=1e-2)[0]",
    ),
    (
        "next_frame",
        "    flow = np.broadcast_to(-np.float32(velocity), (1, *picture.shape[:2], 2))",
        "    flow = np.zeros((1, *picture.shape[:2], 2), 'float32') - np.asarray(velocity, 'float32')",
    ),
    ("known_components", "return sum(np.linalg.eigvals(structure_tensor(window)).real >= least)"),
    (
        "splat",
        "    ### BEGIN SOLUTION\n    height,",
        SPLAT + "    height,",
    ),
]

WRONG = [
    ("solve_window", "right = -np", "right = np", "sign"),
    (
        "solve_window",
        "np.linalg.pinv(matrix, rcond=1e-3) @ right",
        "(np.linalg.pinv(matrix, rcond=1e-3) @ right)[::-1]",
        "along x",
    ),
    (
        "solve_window",
        "    return np.linalg.pinv(matrix, rcond=1e-3) @ right",
        "    if abs(np.linalg.det(matrix)) < 1e-6:\n        return np.zeros(2)\n    return np.linalg.solve(matrix, right)",
        "pseudo-inverse",
    ),
    ("solve_window", "    matrix =", "    ix, iy, it = ix[:3], iy[:3], it[:3]\n    matrix =", "all pixels"),
    ("next_frame", "-np.float32(velocity)", "np.float32(velocity)", "looks the other way"),
    ("next_frame", "-np.float32(velocity)", "-np.float32(velocity)[::-1]", "along the columns"),
    ("next_frame", "-np.float32(velocity)", "-np.rint(np.float32(velocity))", "half a pixel"),
    (
        "known_components",
        "int(np.sum(np.linalg.eigvalsh(structure_tensor(window)) >= least))",
        "2 * int(np.linalg.det(structure_tensor(window)) >= least)",
        "determinant",
    ),
    (
        "known_components",
        "int(np.sum(np.linalg.eigvalsh(structure_tensor(window)) >= least))",
        "int(np.trace(structure_tensor(window)) >= least)",
        "trace",
    ),
    ("known_components", ">= least", ">= 1e-9", "edge everywhere|threshold"),
    ("splat", "x + flow[..., 0], y + flow[..., 1]", "x - flow[..., 0], y - flow[..., 1]", "along the arrow"),
    (
        "splat",
        "place_x, place_y = x + flow[..., 0], y + flow[..., 1]",
        "place_x, place_y = np.rint(x + flow[..., 0]), y",
        "rounded|mean of two",
    ),
    ("splat", "total / np.where(weight > 0, weight, 1)[..., None]", "total", "mean of two|mean counts"),
    ("splat", "np.add.at(weight, where, share[inside])", "weight[where] = share[inside]", "middle one|weight|mean"),
    (
        "splat",
        "        where = row[inside], column[inside]",
        "        inside = inside | True\n        where = row.ravel() % height, column.ravel() % width",
        "wraps|weight 0",
    ),
    ("splat", "landed = weight > 0.5", "landed = weight > -1", "holes|same pixels"),
    ("splat", "-flow[None].astype", "flow[None].astype", "by minus the flow"),
]


class TestGraders(GraderTests):
    chapters = ("09_flow_gan",)
    right = RIGHT
    wrong = WRONG
    is_hidden_part_needed = True
