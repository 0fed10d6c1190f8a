"""A differentiable renderer: a flying ball under a distant lamp, whose parameters are the weights of a Keras model.

Only direct light is computed, so a pixel is a closed formula of the parameters. Where the formula would jump, at the edges of the
ball and of its shadow, it is softened over a few pixels, so that gradients know of edges.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from .base import Config, ConfiguredModel

GRAVITY = (0.0, -9.81, 0.0)  # metres per second squared
WALLS = (((0.0, 1.0, 0.0), 0.0), ((0.0, 0.0, 1.0), -1.5))  # floor and back wall: normal, and normal . p for their points p
WHITE = 0.8  # albedo of both


@keras.saving.register_keras_serializable(package="vidgen_tf")
@dataclasses.dataclass(frozen=True)
class RendererConfig(Config):
    """Sizes of a differentiable renderer.

    Args:
        image_size: int, height and width of a frame, px.
        radius: float, of the ball, metres.
        field_of_view: float, angle between top and bottom of a frame, degrees.
        camera_position: float tuple `(3,)`; the camera looks along the negative z axis.

    Raises:
        CourseError: a size that is no whole number or below 1.
    """

    image_size: int = 48
    radius: float = 0.3
    field_of_view: float = 44.0
    camera_position: tuple = (0.0, 1.1, 3.5)


def inner(a, b):
    """Scalar products along the last axis, which is kept with length 1.

    Args:
        a: float tensor `(..., 3)`.
        b: float tensor `(..., 3)`.

    Returns:
        float tensor `(..., 1)`.
    """
    return ops.sum(a * b, axis=-1, keepdims=True)


def unit(vectors):
    """Unit vectors of the same directions.

    Args:
        vectors: float tensor `(..., 3)`.

    Returns:
        float tensor `(..., 3)`.
    """
    return vectors / ops.sqrt(inner(vectors, vectors))


def ball_positions(position, velocity, times):
    """Where a ball in free flight is: p + v t + g t^2 / 2.

    Args:
        position: float tensor `(3,)`, at time 0, metres.
        velocity: float tensor `(3,)`, at time 0, metres per second.
        times: float tensor `(T,)`, seconds.

    Returns:
        float tensor `(T, 3)`.
    """
    times = ops.expand_dims(times, -1)
    return position + times * velocity + times**2 / 2 * ops.cast(ops.array(GRAVITY), times.dtype)


def inside(distance, width):
    """How much of the neighbourhood of a point lies inside an edge: a step, softened.

    Args:
        distance: float tensor, distances from the edge, positive inside.
        width: float or tensor, over which the step is softened; 0 for a hard step, whose derivative is 0 everywhere.

    Returns:
        float tensor of the distances' shape, 0 to 1.
    """
    if isinstance(width, (int, float)) and width == 0:
        return ops.cast(distance > 0, distance.dtype)
    return ops.sigmoid(4 * distance / width)  # its slope in the middle is 1 / width


def shade_ball(origin, rays, center, radius, light, color, width):
    """A Lambertian ball before a camera.

    Args:
        origin: float tensor `(3,)`, the camera.
        rays: float tensor `(H, W, 3)`, unit vectors, one for each pixel.
        center: float tensor `(T, 1, 1, 3)`, the ball in each frame.
        radius: float.
        light: float tensor `(3,)`, unit vector toward the lamp.
        color: float tensor `(3,)`, albedo times the lamp's irradiance over pi.
        width: float or tensor, pixels' size at distance 1 over which the silhouette is softened; 0 for a hard one.

    Returns:
        color, float tensor `(T, H, W, 3)`, and coverage, `(T, H, W, 1)`: how much of each pixel is ball.
    """
    to_center = center - origin
    along = inner(to_center, rays)  # (T, H, W, 1): where on the ray the centre is closest
    past = to_center - along * rays
    squared = inner(past, past)
    half = ops.sqrt(ops.maximum(radius**2 - squared, 1e-4 * radius**2))
    normals = unit((along - half) * rays - to_center)
    coverage = inside((radius - ops.sqrt(squared + 1e-9)) / along, width)
    return color * ops.maximum(inner(normals, light), 0.0), coverage


def cast_shadow(points, center, radius, light, width):
    """How much of a distant lamp's light reaches points past a ball.

    Args:
        points: float tensor `(H, W, 3)`.
        center: float tensor `(T, 1, 1, 3)`, the ball in each frame.
        radius: float.
        light: float tensor `(3,)`, unit vector toward the lamp.
        width: float or tensor, over which the shadow's edge is softened; 0 for a hard one.

    Returns:
        float tensor `(T, H, W, 1)`, 0 in the shadow, 1 outside.
    """
    to_center = center - points
    along = inner(to_center, light)  # positive: the ball is on the lamp's side
    past = to_center - along * light
    return 1 - inside(radius - ops.sqrt(inner(past, past) + 1e-9), width) * inside(along, width)


def render_direct(view, center, radius, light, color, softness):
    """Frames of a ball between a floor and a wall, in direct light: a formula that can be differentiated.

    Args:
        view: dict of float arrays as `make_view` returns it.
        center: float tensor `(T, 3)`, the ball in each frame.
        radius: float.
        light: float tensor `(3,)`, toward the lamp; its length is the lamp's irradiance over pi.
        color: float tensor `(3,)`, the ball's albedo.
        softness: float or tensor, width of soft edges, px; 0 for hard ones.

    Returns:
        float tensor `(T, H, W, 3)`, linear radiance.
    """
    strength = ops.sqrt(inner(light, light))
    light = light / strength
    center = ops.reshape(center, (-1, 1, 1, 3))
    width = softness * view["pixel"]
    ball, coverage = shade_ball(view["origin"], view["rays"], center, radius, light, strength * color, width)
    lit = cast_shadow(view["points"], center, radius, light, width * view["depth"])
    walls = WHITE * strength * ops.maximum(inner(view["normals"], light), 0.0) * lit  # (T, H, W, 1)
    return coverage * ball + (1 - coverage) * walls


def make_view(config, dtype="float32"):
    """What a camera sees of floor and wall, which doesn't depend on what is sought.

    Args:
        config: `RendererConfig`.
        dtype: str, "float32" or "float64".

    Returns:
        dict of arrays: "origin" `(3,)`; "rays", "points" and "normals" `(H, W, 3)`; and two float, "depth", from the camera to
        the middle of the walls, and "pixel", a pixel's size at distance 1.
    """
    size, half = config.image_size, np.tan(np.radians(config.field_of_view) / 2)
    grid = (2 * np.arange(size) + 1 - size) / size * half
    x, y = np.meshgrid(grid, -grid)
    rays = np.stack([x, y, -np.ones_like(x)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    origin = np.array(config.camera_position)
    with np.errstate(divide="ignore"):
        distances = np.stack([(offset - origin @ normal) / (rays @ np.array(normal)) for normal, offset in WALLS])
    distances[distances <= 0] = np.inf
    nearest = distances.argmin(axis=0)
    points = origin + distances.min(axis=0)[..., None] * rays
    normals = np.array([normal for normal, _ in WALLS])[nearest]
    arrays = {"origin": origin, "rays": rays, "points": points, "normals": normals}
    numbers = {"depth": float(distances.min(axis=0).mean()), "pixel": float(2 * half / size)}
    return {name: values.astype(dtype) for name, values in arrays.items()} | numbers


@keras.saving.register_keras_serializable(package="vidgen_tf")
class BallScene(ConfiguredModel):
    """A ball in flight, whose light, colour, place and velocity are weights: a clip trains them.

    Args:
        config: `RendererConfig`.

    Call arguments:
        times: float tensor `(T,)`, seconds.

    References:
        Loper and Black, 2014, "OpenDR: an approximate differentiable renderer".
        Liu, Li, Chen and Li, 2019, "Soft rasterizer: a differentiable renderer for image-based 3D reasoning".
    """

    def __init__(self, config):
        super().__init__(name="ball_scene", dtype="float32")  # geometry needs the digits
        self.config = config
        self.view = make_view(config)
        self.build((None,))

    def build(self, times_shape):
        """Makes the weights: a grey ball at rest, lit from above.

        Args:
            times_shape: shape of the times.
        """
        start = {"light": (0, 1, 0.5), "color": (0.4,) * 3, "position": (0, 1.2, 0), "velocity": (0, 2, 0)}
        for name, values in start.items():
            setattr(self, name, self.add_weight((3,), "zeros", name=name))
            getattr(self, name).assign(values)
        self.softness = self.add_weight((), "ones", trainable=False, name="softness")

    def call(self, times):
        centers = ball_positions(self.position, self.velocity, times)
        return render_direct(self.view, centers, self.config.radius, self.light, self.color, self.softness)
