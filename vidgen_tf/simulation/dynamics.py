"""Mechanics of rigid balls: integrators of the equation of motion, collisions as impulses, and exact times of impact.

Positions and velocities are float64 arrays whose last axis has the coordinates x, y, z; y points up. Any unit of length will do;
the chapter's is the metre.
"""

import dataclasses

import numpy as np

from ..errors import CourseError, check_whole

MAX_EVENTS = 200  # collisions that are resolved within one step: a ball that comes to rest collides ever more often
INERTIA = 2 / 5  # of a solid ball about its centre, as a multiple of mass * radius**2


@dataclasses.dataclass(frozen=True)
class Balls:
    """The state of N solid balls at one moment.

    Args:
        position: float array `(N, 3)`, the centres.
        velocity: float array `(N, 3)`.
        spin: float array `(N, 3)`, angular velocity, radians per unit of time about the axis that it points along.
        radius: float array `(N,)`.
        mass: float array `(N,)`.

    Raises:
        CourseError: the arrays disagree about the number of balls, or a radius or mass is not above 0.
    """

    position: np.ndarray
    velocity: np.ndarray
    spin: np.ndarray
    radius: np.ndarray
    mass: np.ndarray

    def __post_init__(self):
        count = len(self.radius)
        shapes = [np.shape(value) for value in (self.position, self.velocity, self.spin, self.radius, self.mass)]
        if shapes != [(count, 3)] * 3 + [(count,)] * 2:
            raise CourseError(f"Balls need three arrays (N, 3), then a radius (N,) and a mass (N,), got the shapes {shapes}.")
        if not (np.min(self.radius) > 0 and np.min(self.mass) > 0):
            raise CourseError("Every ball needs a radius and a mass above 0.")


def make_balls(position, velocity, radius, density=1000.0):
    """Balls of one material that don't spin yet.

    Args:
        position: array `(N, 3)`, the centres.
        velocity: array `(N, 3)`.
        radius: array `(N,)`.
        density: float, mass per volume.

    Returns:
        `Balls`.
    """
    position, velocity, radius = (np.array(value, np.float64) for value in (position, velocity, radius))
    return Balls(position, velocity, np.zeros_like(position), radius, density * 4 / 3 * np.pi * radius**3)


def explicit_euler(position, velocity, acceleration, dt):
    """One step of the explicit Euler method: both updates use what was known at the start of the step.

    Args:
        position: float array.
        velocity: float array of its shape.
        acceleration: function of a position, returns an array of its shape.
        dt: float, the time step.

    Returns:
        position and velocity, float arrays, after the step.
    """
    return position + dt * velocity, velocity + dt * acceleration(position)


def semi_implicit_euler(position, velocity, acceleration, dt):
    """One step of the semi-implicit (symplectic) Euler method: the new velocity moves the position.

    Args:
        position: float array.
        velocity: float array of its shape.
        acceleration: function of a position, returns an array of its shape.
        dt: float, the time step.

    Returns:
        position and velocity, float arrays, after the step.
    """
    velocity = velocity + dt * acceleration(position)
    return position + dt * velocity, velocity


def velocity_verlet(position, velocity, acceleration, dt):
    """One step of the velocity Verlet method, of second order: half a kick, a drift, half a kick.

    Args:
        position: float array.
        velocity: float array of its shape.
        acceleration: function of a position, returns an array of its shape.
        dt: float, the time step.

    Returns:
        position and velocity, float arrays, after the step.

    References:
        Verlet, 1967, "Computer 'experiments' on classical fluids. I. Thermodynamical properties of Lennard-Jones molecules".
        Hairer, Lubich and Wanner, 2003, "Geometric numerical integration illustrated by the Störmer-Verlet method".
    """
    halfway = velocity + dt / 2 * acceleration(position)
    position = position + dt * halfway
    return position, halfway + dt / 2 * acceleration(position)


def integrate(method, position, velocity, acceleration, dt, num_steps):
    """Many steps of an integrator.

    Args:
        method: `explicit_euler`, `semi_implicit_euler`, `velocity_verlet`, or a function with their arguments.
        position: array of any shape, where it starts.
        velocity: array of that shape.
        acceleration: function of a position, returns an array of its shape.
        dt: float, the time step.
        num_steps: int, at least 1.

    Returns:
        positions and velocities, float arrays `(num_steps + 1, ...)`, the start first.

    Raises:
        CourseError: fewer steps.
    """
    check_whole(1, num_steps=num_steps)
    states = [(np.array(position, np.float64), np.array(velocity, np.float64))]
    for _ in range(num_steps):
        states.append(method(*states[-1], acceleration, dt))
    positions, velocities = zip(*states)
    return np.stack(positions), np.stack(velocities)


def time_of_impact(position, velocity, distance):
    """When a point that moves uniformly first comes within a distance of the origin.

    This is continuous collision detection. For two balls give the difference of their positions, that of their velocities, and
    the sum of their radii. The result is exact under gravity too, which pulls both alike and so leaves the difference moving
    uniformly.

    Args:
        position: float array `(..., 3)`.
        velocity: float array `(..., 3)`.
        distance: float array `(...)`.

    Returns:
        float array `(...)`, times from 0; 0 for those that touch or overlap and approach, inf for those that never meet.

    References:
        Ericson, 2005, "Real-time collision detection", section 5.5.5.
    """
    a = np.sum(velocity * velocity, axis=-1)
    b = np.sum(position * velocity, axis=-1)  # negative: they approach
    c = np.sum(position * position, axis=-1) - distance**2
    discriminant = b * b - a * c
    meets = (b < 0) & (discriminant >= 0)
    time = np.maximum(c, 0) / np.where(meets, -b + np.sqrt(np.maximum(discriminant, 0)), 1.0)
    return np.where(meets, time, np.inf)


def time_to_plane(height, speed, acceleration):
    """When a point that falls freely first comes down to a plane: the first root of h + v t + a t^2 / 2 = 0 on its way down.

    Args:
        height: float array, distances from the plane, of any shape.
        speed: float array, velocities away from the plane.
        acceleration: float array, accelerations away from the plane.

    Returns:
        float array, times from 0; 0 for those that are at the plane or behind it and go on into it, inf for those that never
        come.
    """
    height, speed, acceleration = np.broadcast_arrays(np.maximum(height, 0.0), speed, acceleration)
    discriminant = speed**2 - 2 * acceleration * height
    root = np.sqrt(np.maximum(discriminant, 0.0))
    upward = speed + root > 0
    falling = (acceleration < 0) & upward  # thrown up or at rest: (v + root) / |a| has no cancellation
    sinking = (speed < 0) & (discriminant >= 0)  # else 2 h / (-v + root)
    late = (speed + root) / np.where(falling, -acceleration, 1.0)
    early = 2 * height / np.where(sinking, -speed + root, 1.0)
    time = np.where(sinking, early, np.where(falling, late, np.inf))
    return np.where((speed == 0) & (height == 0), np.where(acceleration < 0, 0.0, np.inf), time)


def contact_impulse(velocity, spin_velocity, normal, inverse_mass, restitution, friction):
    """The impulse between two bodies at a point of contact: Newton's restitution, Coulomb's friction.

    Args:
        velocity: float array `(3,)`, velocity of the first body's centre relative to the second's.
        spin_velocity: float array `(3,)`, what both spins add to the relative velocity at the point of contact.
        normal: float array `(3,)`, unit vector from the second body to the first.
        inverse_mass: float, the sum of 1 / mass; a wall contributes 0.
        restitution: float, rebound speed / approach speed, 0 to 1.
        friction: float, Coulomb's coefficient.

    Returns:
        float array `(3,)`, the change of the first body's momentum; the second's is the opposite.

    References:
        Mirtich and Canny, 1995, "Impulse-based simulation of rigid bodies".
    """
    approach = velocity @ normal
    normal_impulse = -(1 + restitution) * approach / inverse_mass
    slip = velocity - approach * normal + spin_velocity
    slip_speed = np.sqrt(slip @ slip)
    sticking = slip_speed / (inverse_mass * (1 + 1 / INERTIA))  # ends all slip; solid balls turn as well
    tangential = min(sticking, friction * normal_impulse)
    return normal_impulse * normal - (tangential / slip_speed * slip if slip_speed > 0 else 0)


def collide(balls, i, j=None, normal=None, restitution=1.0, friction=0.0):
    """What an impact makes of the velocities of two balls, or of a ball and a wall.

    Args:
        balls: `Balls` at the moment of impact.
        i: int, the ball.
        j: int, the other ball; None for a wall.
        normal: float array `(3,)`, unit vector from the wall into the box; not used for two balls.
        restitution: float, rebound speed / approach speed, 0 to 1.
        friction: float, Coulomb's coefficient.

    Returns:
        `Balls` with new velocities and spins; the same where they don't approach.
    """
    if j is not None:
        normal = balls.position[i] - balls.position[j]
        normal = normal / np.sqrt(normal @ normal)
    others = [] if j is None else [j]
    velocity = balls.velocity[i] - sum(balls.velocity[k] for k in others)
    if velocity @ normal >= 0:
        return balls
    arms = {i: -balls.radius[i] * normal} | {k: balls.radius[k] * normal for k in others}  # to the contact
    spin_velocity = np.cross(balls.spin[i], arms[i]) - sum(np.cross(balls.spin[k], arms[k]) for k in others)
    inverse_mass = sum(1 / balls.mass[k] for k in arms)
    impulse = contact_impulse(velocity, spin_velocity, normal, inverse_mass, restitution, friction)
    new_velocity, new_spin = balls.velocity.copy(), balls.spin.copy()
    for k, sign in zip(arms, (1, -1)):
        new_velocity[k] += sign * impulse / balls.mass[k]
        new_spin[k] += sign * np.cross(arms[k], impulse) / (INERTIA * balls.mass[k] * balls.radius[k] ** 2)
    return dataclasses.replace(balls, velocity=new_velocity, spin=new_spin)


def advance(balls, dt, gravity, box, restitution=1.0, friction=0.0):
    """A time step that misses no collision: free flight to the next impact, an impulse, and so on.

    Between impacts the flight is a parabola, which is exact. A ball that meets a wall slower than gravity makes it within the
    step stops bouncing and is carried by the wall for the rest of the step.

    Args:
        balls: `Balls`, inside the box.
        dt: float, the time step.
        gravity: float array `(3,)`.
        box: float array `(2, 3)`, the corner with the lowest coordinates and that with the highest.
        restitution: float, rebound speed / approach speed, 0 to 1.
        friction: float, Coulomb's coefficient.

    Returns:
        `Balls` after the step.
    """
    acceleration = np.tile(np.asarray(gravity, np.float64), (len(balls.radius), 1))
    rest_speed = 2 * dt * np.sqrt(np.sum(np.square(gravity)))
    left = dt
    for _ in range(MAX_EVENTS):
        time, i, j, axis, side = next_impact(balls, acceleration, np.asarray(box, np.float64))
        balls = free_flight(balls, acceleration, min(time, left))
        left -= min(time, left)
        if left <= 0:
            return balls
        if j is not None:
            balls = collide(balls, i, j, restitution=restitution, friction=friction)
            continue
        normal = np.zeros(3)
        normal[axis] = 1 - 2 * side
        rests = abs(balls.velocity[i, axis]) < rest_speed and acceleration[i] @ normal < 0
        if rests:  # the wall's push against gravity is one impulse, and friction follows from it
            balls.velocity[i, axis] += left * acceleration[i, axis]
            acceleration[i, axis] = 0
        balls = collide(balls, i, normal=normal, restitution=0 if rests else restitution, friction=friction)
    return free_flight(balls, acceleration, left)


def simulate(balls, times, gravity, box, restitution=1.0, friction=0.0):
    """The states of balls in a box at given moments.

    Args:
        balls: `Balls` at the first of the moments.
        times: increasing sequence of float.
        gravity: float array `(3,)`.
        box: float array `(2, 3)`, the corner with the lowest coordinates and that with the highest.
        restitution: float, rebound speed / approach speed, 0 to 1.
        friction: float, Coulomb's coefficient.

    Returns:
        list of `Balls`, one for each moment.
    """
    states = [balls]
    for dt in np.diff(times):
        states.append(advance(states[-1], dt, gravity, box, restitution, friction))
    return states


def total_energy(balls, gravity):
    """Kinetic, rotational and potential energy of balls; the potential is 0 at the origin.

    Args:
        balls: `Balls`.
        gravity: float array `(3,)`.

    Returns:
        float.
    """
    kinetic = balls.mass @ np.sum(balls.velocity**2, axis=1) / 2
    rotational = (INERTIA * balls.mass * balls.radius**2) @ np.sum(balls.spin**2, axis=1) / 2
    return kinetic + rotational - balls.mass @ (balls.position @ np.asarray(gravity))


def free_flight(balls, acceleration, time):
    """Balls that nothing touches: exact parabolas.

    Args:
        balls: `Balls`.
        acceleration: float array `(N, 3)`.
        time: float, how long they fly.

    Returns:
        `Balls`.
    """
    position = balls.position + time * balls.velocity + time**2 / 2 * acceleration
    return dataclasses.replace(balls, position=position, velocity=balls.velocity + time * acceleration)


def next_impact(balls, acceleration, box):
    """The next impact of balls in free flight.

    Args:
        balls: `Balls`.
        acceleration: float array `(N, 3)`.
        box: float array `(2, 3)`, the corner with the lowest coordinates and that with the highest.

    Returns:
        the time until then; the ball; the other ball, or None for a wall; the axis of the wall's normal, 0 to 2; and the wall's
        side, 0 for the lower one.
    """
    events = [(np.inf, 0, None, 0, 0)]
    for side in (0, 1):
        outward = 1 - 2 * side
        height = outward * (balls.position - box[side]) - balls.radius[:, None]
        times = time_to_plane(height, outward * balls.velocity, outward * acceleration)
        i, axis = np.unravel_index(np.argmin(times), times.shape)
        events.append((times[i, axis], i, None, axis, side))
    first, second = np.triu_indices(len(balls.radius), 1)
    if len(first):
        apart, closing = balls.position[first] - balls.position[second], balls.velocity[first] - balls.velocity[second]
        times = time_of_impact(apart, closing, balls.radius[first] + balls.radius[second])
        k = np.argmin(times)
        events.append((times[k], first[k], second[k], 0, 0))
    return min(events, key=lambda event: event[0])
