"""A path tracer for spheres and planes, vectorised over rays: each array operation does one thing for all pixels of a picture.

Points, directions and colours of N rays are float32 arrays `(3, N)`: NumPy is quickest where the long axis comes last. Directions
are unit vectors, and y points up. Light is measured as *radiance*, in linear units without an upper limit; `develop` makes pixels
of it.
"""

import dataclasses
import functools

import numpy as np

from ..errors import CourseError, check_whole

OFFSET = 1e-3  # by which a ray starts above the surface that it leaves, so that rounding doesn't make it hit that surface again
MAX_SURVIVAL = 0.95  # highest probability with which a path goes on in Russian roulette, so that each ends at some time


@dataclasses.dataclass(frozen=True)
class Sphere:
    """A ball, or a lamp.

    Args:
        center: float tuple `(3,)`.
        radius: float.
        albedo: float tuple `(3,)`, the share of red, green and blue light that is reflected, 0 to 1.
        emission: float tuple `(3,)`, radiance that it emits; not 0 for a lamp.
        is_mirror: bool, whether it reflects like a mirror instead of scattering.
    """

    center: tuple
    radius: float
    albedo: tuple = (0.8, 0.8, 0.8)
    emission: tuple = (0.0, 0.0, 0.0)
    is_mirror: bool = False

    def distance(self, origins, directions):
        """How far it is to the surface along rays.

        Args:
            origins: float array `(3, N)`.
            directions: float array `(3, N)`, unit vectors.

        Returns:
            float array `(N,)`, inf for rays that miss.

        References:
            Haines, Günther and Akenine-Möller, 2019, "Precision improvements for ray/sphere intersection".
        """
        to_center = column(self.center) - origins
        along = dot(to_center, directions)
        past = to_center - along * directions  # from the ray's closest point to the centre
        inside = self.radius**2 - dot(past, past)
        half = np.sqrt(np.maximum(inside, 0))
        near, far = along - half, along + half
        first = np.where(near > 0, near, far)
        return np.where((inside > 0) & (first > 0), first, np.float32(np.inf))

    def normals(self, points):
        """Unit vectors that point outward.

        Args:
            points: float array `(3, N)` on the surface.

        Returns:
            float array `(3, N)`.
        """
        return (points - column(self.center)) / np.float32(self.radius)

    def colors(self, points):
        """The albedo at points of the surface.

        Args:
            points: float array `(3, N)`.

        Returns:
            float array `(3, N)` or `(3, 1)`.
        """
        return column(self.albedo)


@dataclasses.dataclass(frozen=True)
class Plane:
    """A wall without end, seen from both sides.

    Args:
        normal: float tuple `(3,)`, a unit vector.
        offset: float: the points p with normal . p = offset are the plane.
        albedo: float tuple `(3,)`, the share of red, green and blue light that is reflected, 0 to 1.
        second_albedo: None, or the albedo of every other square of a chequered floor, whose normal is the y axis.
        square: float, side of these squares.
    """

    normal: tuple
    offset: float
    albedo: tuple = (0.8, 0.8, 0.8)
    second_albedo: tuple | None = None
    square: float = 0.5
    emission = (0.0, 0.0, 0.0)
    is_mirror = False

    def distance(self, origins, directions):
        """How far it is to the plane along rays.

        Args:
            origins: float array `(3, N)`.
            directions: float array `(3, N)`, unit vectors.

        Returns:
            float array `(N,)`, inf for rays that miss.
        """
        normal = column(self.normal)
        toward = dot(normal, directions)
        t = (np.float32(self.offset) - dot(normal, origins)) / np.where(toward == 0, np.float32(1), toward)
        return np.where((toward != 0) & (t > 0), t, np.float32(np.inf))

    def normals(self, points):
        """The normal, for each point.

        Args:
            points: float array `(3, N)` on the plane.

        Returns:
            float array `(3, N)`.
        """
        return np.broadcast_to(column(self.normal), points.shape)

    def colors(self, points):
        """The albedo at points of the plane.

        Args:
            points: float array `(3, N)`.

        Returns:
            float array `(3, N)` or `(3, 1)`.
        """
        if self.second_albedo is None:
            return column(self.albedo)
        is_second = (np.floor(points[0] / self.square) + np.floor(points[2] / self.square)) % 2 == 1
        return np.where(is_second, column(self.second_albedo), column(self.albedo))


@dataclasses.dataclass(frozen=True)
class Scene:
    """What there is to see.

    Args:
        objects: tuple of `Sphere` and `Plane`.
        sky: float tuple `(3,)`, radiance that comes from where there is no object.
    """

    objects: tuple
    sky: tuple = (0.0, 0.0, 0.0)

    @functools.cached_property
    def lights(self):
        """Indices of the lamps among the objects."""
        return [k for k, thing in enumerate(self.objects) if max(thing.emission) > 0]


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Args:
        position: float tuple `(3,)`.
        target: float tuple `(3,)`, the point that it looks at.
        field_of_view: float, angle between the picture's top and bottom, degrees.
    """

    position: tuple
    target: tuple
    field_of_view: float = 40.0


def column(values):
    """Three numbers as an array that combines with those of many rays.

    Args:
        values: sequence of 3 float.

    Returns:
        float32 array `(3, 1)`.
    """
    return np.asarray(values, np.float32)[:, None]


def dot(a, b):
    """Scalar products of vectors.

    Args:
        a: float array `(3, N)`.
        b: float array `(3, N)`.

    Returns:
        float array `(N,)`.
    """
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def normalized(vectors):
    """Unit vectors of the same directions.

    Args:
        vectors: float array `(3, N)`.

    Returns:
        float array `(3, N)`.
    """
    return vectors / np.sqrt(dot(vectors, vectors))


def camera_rays(camera, height, width, jitter=(0.5, 0.5)):
    """A ray through each pixel.

    Args:
        camera: `Camera`.
        height: int, pixels.
        width: int, pixels.
        jitter: where in its pixel a ray passes, from left and from above, 0 to 1: two floats or an array `(2, height * width)`.

    Returns:
        origins and directions, float32 arrays `(3, height * width)`, row by row from the top left.
    """
    forward = normalized(column(camera.target) - column(camera.position))
    right = normalized(np.cross(forward, column((0, 1, 0)), axis=0))
    up = np.cross(right, forward, axis=0)
    y, x = np.divmod(np.arange(height * width), width)
    half = np.tan(np.radians(camera.field_of_view) / 2) / height
    u, v = (2 * (x + jitter[0]) - width) * half, (height - 2 * (y + jitter[1])) * half
    directions = normalized(forward + np.float32(u) * right + np.float32(v) * up)
    return np.broadcast_to(column(camera.position), directions.shape), directions


def intersect(scene, origins, directions):
    """What rays hit first.

    Args:
        scene: `Scene`.
        origins: float array `(3, N)`.
        directions: float array `(3, N)`, unit vectors.

    Returns:
        distance, float array `(N,)`, inf where there is nothing; and index, int array `(N,)`, of the object, -1 for none.
    """
    distance = np.full(origins.shape[1], np.inf, np.float32)
    index = np.full(origins.shape[1], -1)
    for k, thing in enumerate(scene.objects):
        t = thing.distance(origins, directions)
        closer = t < distance
        distance = np.where(closer, t, distance)
        index[closer] = k
    return distance, index


def surface(scene, points, index, directions):
    """Normals and albedos at points that rays have hit.

    Args:
        scene: `Scene`.
        points: float array `(3, N)`.
        index: int array `(N,)`, the object of each point.
        directions: float array `(3, N)` of the rays: normals are turned against them.

    Returns:
        normals and albedo, float32 arrays `(3, N)`.
    """
    normals, albedo = np.empty_like(points), np.empty_like(points)
    for k, thing in enumerate(scene.objects):
        here = np.flatnonzero(index == k)
        normals[:, here] = thing.normals(points[:, here])
        albedo[:, here] = thing.colors(points[:, here])
    return np.where(dot(normals, directions) > 0, -normals, normals), albedo


def cosine_directions(normals, rng):
    """Random directions about normals, of density cos(angle) / pi: the normal plus a random unit vector.

    Args:
        normals: float array `(3, N)`.
        rng: numpy Generator.

    Returns:
        float32 array `(3, N)`, unit vectors.
    """
    z, turn = rng.random((2, normals.shape[1]), np.float32)
    z, turn = 2 * z - 1, np.float32(2 * np.pi) * turn
    side = np.sqrt(1 - z * z)
    return normalized(normals + np.float32(0.9999) * np.stack([side * np.cos(turn), side * np.sin(turn), z]))


def light_directions(light, points, rng):
    """Random directions in the cone under which a spherical lamp is seen, each equally likely.

    Args:
        light: `Sphere`.
        points: float array `(3, N)`, outside the lamp.
        rng: numpy Generator.

    Returns:
        directions, float32 array `(3, N)`; and the cone's solid angle, float array `(N,)`, one over their density.

    References:
        Shirley, Wang and Zimmerman, 1996, "Monte Carlo techniques for direct lighting calculations".
    """
    to_center = column(light.center) - points
    squared = dot(to_center, to_center)
    axis = to_center / np.sqrt(squared)
    sin_max_squared = np.minimum(np.float32(light.radius**2) / squared, np.float32(0.9999))
    height = sin_max_squared / (1 + np.sqrt(1 - sin_max_squared))  # 1 - cos(max), without cancellation
    first, second = rng.random((2, points.shape[1]), np.float32)
    cos, turn = 1 - first * height, np.float32(2 * np.pi) * second
    sin = np.sqrt(first * height * (1 + cos))  # as sqrt(1 - cos**2), without cancellation
    helper = np.where(np.abs(axis[0]) > 0.5, column((0, 1, 0)), column((1, 0, 0)))
    u = normalized(np.cross(axis, helper, axis=0))
    v = np.cross(axis, u, axis=0)
    return cos * axis + sin * (np.cos(turn) * u + np.sin(turn) * v), np.float32(2 * np.pi) * height


def direct_light(scene, points, normals, rng):
    """Light that lamps send straight to points, by a random shadow ray to each (next-event estimation).

    Args:
        scene: `Scene`.
        points: float array `(3, N)`, a little above the surface.
        normals: float array `(3, N)`.
        rng: numpy Generator.

    Returns:
        float array `(3, N)`: radiance that a white Lambertian surface reflects there.
    """
    total = np.zeros_like(points)
    for k in scene.lights:
        directions, solid_angle = light_directions(scene.objects[k], points, rng)
        cos = np.maximum(dot(normals, directions), 0)
        is_visible = intersect(scene, points, directions)[1] == k
        total += column(scene.objects[k].emission) * (is_visible * cos * solid_angle / np.float32(np.pi))
    return total


def trace(scene, origins, directions, rng, max_bounces=32, use_light_sampling=True, roulette_start=2):
    """Radiance that comes back along rays, by one random path for each.

    Args:
        scene: `Scene`.
        origins: float array `(3, N)`.
        directions: float array `(3, N)`, unit vectors.
        rng: numpy Generator.
        max_bounces: int, after which a path ends, and with it the light that more bounces would have brought.
        use_light_sampling: bool, next-event estimation: a shadow ray to each lamp at each diffuse bounce. Without it a lamp
            gives light only to paths that run into it.
        roulette_start: int, the bounce from which on Russian roulette ends weak paths; None for never.

    Returns:
        float32 array `(3, N)`.

    References:
        Kajiya, 1986, "The rendering equation".
        Arvo and Kirk, 1990, "Particle transport and image synthesis" (Russian roulette).
    """
    radiance, throughput = np.zeros_like(directions), np.ones_like(directions)
    ray, sees_lamps = np.arange(directions.shape[1]), np.ones(directions.shape[1], bool)
    emission = np.float32([thing.emission for thing in scene.objects] + [scene.sky]).T  # index -1 is the sky
    is_mirror = np.array([thing.is_mirror for thing in scene.objects])
    for bounce in range(max_bounces + 1):
        distance, index = intersect(scene, origins, directions)
        radiance[:, ray] += np.where(sees_lamps | (index < 0), throughput * emission[:, index], 0)
        keep = np.flatnonzero(index >= 0)
        index, ray, throughput, directions = index[keep], ray[keep], throughput[:, keep], directions[:, keep]
        points = origins[:, keep] + distance[keep] * directions
        normals, albedo = surface(scene, points, index, directions)
        points, throughput = points + np.float32(OFFSET) * normals, throughput * albedo
        mirror = is_mirror[index]
        if bounce == max_bounces or not len(ray):
            return radiance
        if use_light_sampling:
            radiance[:, ray] += np.where(mirror, 0, throughput * direct_light(scene, points, normals, rng))
        reflected = directions - 2 * dot(normals, directions) * normals
        directions = np.where(mirror, reflected, cosine_directions(normals, rng))
        origins, sees_lamps = points, mirror | (not use_light_sampling)
        if roulette_start is not None and bounce >= roulette_start:
            survival = np.clip(throughput.max(axis=0), 0, np.float32(MAX_SURVIVAL))
            alive = np.flatnonzero(rng.random(len(ray), np.float32) < survival)
            throughput = throughput[:, alive] / survival[alive]
            ray, sees_lamps = ray[alive], sees_lamps[alive]
            origins, directions = origins[:, alive], directions[:, alive]
    return radiance


def render(scene, camera, size, num_samples, seed=0, shutter=(0.0, 0.0), clamp=None, **options):
    """A picture: the mean over random paths, anywhere in their pixel and at any moment of the exposure.

    Args:
        scene: `Scene`, or a function of time that returns one.
        camera: `Camera`, or a function of time that returns one.
        size: height and width, two int, pixels.
        num_samples: int, paths for each pixel.
        seed: int, or a sequence of int.
        shutter: when the exposure begins and ends: what moves in between is blurred.
        clamp: None, or the largest radiance that a path may bring: it ends bright speckles, and loses their light.
        **options: as `trace`.

    Returns:
        float32 array `(height, width, 3)`, linear radiance.

    Raises:
        CourseError: no samples, or an empty picture.

    References:
        Cook, Porter and Carpenter, 1984, "Distributed ray tracing" (motion blur).
    """
    check_whole(1, num_samples=num_samples, height=size[0], width=size[1])
    if shutter[1] < shutter[0]:
        raise CourseError(f"The shutter must open before it closes, got shutter={shutter}.")
    rng = np.random.default_rng(seed)
    scene_at = scene if callable(scene) else lambda time: scene
    camera_at = camera if callable(camera) else lambda time: camera
    total = np.zeros((3, size[0] * size[1]), np.float64)
    for share in (np.arange(num_samples) + rng.random(num_samples)) / num_samples:
        time = shutter[0] + share * (shutter[1] - shutter[0])
        rays = camera_rays(camera_at(time), *size, rng.random((2, size[0] * size[1]), np.float32))
        radiance = trace(scene_at(time), *rays, rng, **options)
        total += radiance if clamp is None else np.minimum(radiance, np.float32(clamp))
    return np.float32(total / num_samples).T.reshape(*size, 3)


def develop(radiance, exposure=1.0, gamma=2.2):
    """Pixels of a picture: scaled, clipped at white, and encoded for a screen.

    Args:
        radiance: float array, linear, of any shape.
        exposure: float, the factor that makes 1 of what should be white.
        gamma: float; a screen raises what it is sent to this power, so we send its root.

    Returns:
        uint8 array of that shape.
    """
    return np.uint8(np.rint(255 * np.clip(exposure * radiance, 0, 1) ** (1 / gamma)))
