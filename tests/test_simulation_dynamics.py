"""Mechanics against closed forms: integrators, collisions, times of impact, balls in a box."""

import numpy as np
import pytest

from vidgen_tf.errors import CourseError
from vidgen_tf.simulation import dynamics
from vidgen_tf.simulation.dynamics import Balls, collide, make_balls, simulate, total_energy

GRAVITY = np.array([0.0, -9.81, 0.0])
BOX = np.array([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])


def spring(x):
    return -x


def final_error(method, num_steps):
    """Distance from the closed form of a spring after one unit of time."""
    x, v = dynamics.integrate(method, 1.0, 0.0, spring, 1 / num_steps, num_steps)
    return np.hypot(x[-1] - np.cos(1), v[-1] + np.sin(1))


@pytest.mark.parametrize(
    "method, order", [(dynamics.explicit_euler, 1), (dynamics.semi_implicit_euler, 1), (dynamics.velocity_verlet, 2)]
)
def test_halving_the_step_shows_the_order_of_an_integrator(method, order):
    ratio = final_error(method, 100) / final_error(method, 200)
    assert np.log2(ratio) == pytest.approx(order, abs=0.05)


def test_verlet_keeps_energy_in_free_flight_and_explicit_euler_gains_it_on_a_spring():
    height, speed = dynamics.integrate(dynamics.velocity_verlet, 0.0, 30.0, lambda x: -9.81, 0.01, 1000)
    total = speed**2 / 2 + 9.81 * height
    assert np.abs(total / total[0] - 1).max() < 1e-9
    x, v = dynamics.integrate(dynamics.explicit_euler, 1.0, 0.0, spring, 0.1, 100)
    assert x[-1] ** 2 + v[-1] ** 2 == pytest.approx(1.01**100)  # each step multiplies it by 1 + dt**2


def test_integrate_wants_a_step():
    with pytest.raises(CourseError, match="num_steps"):
        dynamics.integrate(dynamics.velocity_verlet, 0.0, 0.0, spring, 0.1, 0)


def two_balls(masses=(2.0, 3.0), velocity=((2.0, 0.0, 0.0), (-1.0, 0.0, 0.0))):
    zeros = np.zeros((2, 3))
    return Balls(np.array([[0.0, 0, 0], [1.0, 0, 0]]), np.array(velocity), zeros, np.array([0.5, 0.5]), np.array(masses))


@pytest.mark.parametrize("restitution", [0.0, 0.6, 1.0])
def test_a_central_collision_has_the_velocities_of_the_closed_form(restitution):
    a, b = 2.0, 3.0
    u, w = 2.0, -1.0
    expected = [
        (a * u + b * w + b * restitution * (w - u)) / (a + b),
        (a * u + b * w + a * restitution * (u - w)) / (a + b),
    ]
    after = collide(two_balls((a, b)), 0, 1, restitution=restitution)
    assert after.velocity[:, 0] == pytest.approx(expected)
    assert after.velocity[:, 1:] == pytest.approx(np.zeros((2, 2)))


def test_momentum_and_energy_of_elastic_collisions_in_any_direction():
    rng = np.random.default_rng(0)
    for _ in range(50):
        direction = rng.normal(size=3)
        position = np.array([np.zeros(3), 0.7 * direction / np.linalg.norm(direction)])
        balls = make_balls(position, rng.normal(size=(2, 3)), rng.uniform(0.3, 0.4, 2))
        after = collide(balls, 0, 1)
        assert after.mass @ after.velocity == pytest.approx(balls.mass @ balls.velocity)
        assert total_energy(after, GRAVITY) == pytest.approx(total_energy(balls, GRAVITY))


def test_friction_keeps_momentum_and_angular_momentum_and_takes_energy():
    rng = np.random.default_rng(1)
    position = np.array([[0.0, 0, 0], [0.5, 0.3, 0.1]])
    velocity = np.array([[1.0, 2.0, 0.5], [-1.0, 0.0, 0.2]])
    balls = Balls(position, velocity, rng.normal(size=(2, 3)), np.array([0.3, 0.3]), np.array([2.0, 3.0]))
    after = collide(balls, 0, 1, restitution=0.8, friction=0.3)

    def angular(b):
        spin = (dynamics.INERTIA * b.mass * b.radius**2) @ b.spin
        return spin + (b.mass[:, None] * np.cross(b.position, b.velocity)).sum(axis=0)

    assert after.mass @ after.velocity == pytest.approx(balls.mass @ balls.velocity)
    moved = np.linalg.norm(position[0] - position[1]) - 0.6  # they should touch for the arms to meet
    assert angular(after) == pytest.approx(angular(balls), abs=5 * abs(moved) + 1e-9)
    assert total_energy(after, GRAVITY) < total_energy(balls, GRAVITY)
    assert np.any(after.spin != balls.spin)


def test_balls_that_part_are_left_alone():
    balls = two_balls(velocity=((-1.0, 0, 0), (1.0, 0, 0)))
    assert collide(balls, 0, 1) is balls


def test_the_time_of_impact_is_that_of_the_closed_form():
    time = dynamics.time_of_impact(
        np.array([[3.0, 0, 0], [3.0, 0, 0], [3.0, 0, 0]]), np.array([[-2.0, 0, 0], [2.0, 0, 0], [-2.0, 1.5, 0]]), 1.0
    )
    assert time[:2] == pytest.approx([1.0, np.inf])
    assert time[2] == np.inf  # passes at a distance of 1.8
    assert dynamics.time_of_impact(np.array([0.9, 0, 0]), np.array([-1.0, 0, 0]), 1.0) == 0  # overlapping, approaching


def test_the_time_of_impact_brings_random_balls_to_touch():
    rng = np.random.default_rng(2)
    position = 3 * rng.normal(size=(200, 3))
    velocity = 0.2 * rng.normal(size=(200, 3)) - position / 2
    apart = np.linalg.norm(position, axis=1) > 1
    time = dynamics.time_of_impact(position, velocity, np.ones(200))
    hits = apart & np.isfinite(time)
    assert hits.sum() > 5
    there = position[hits] + time[hits, None] * velocity[hits]
    assert np.linalg.norm(there, axis=1) == pytest.approx(np.ones(hits.sum()))


@pytest.mark.parametrize(
    "height, speed, acceleration, expected",
    [
        (2.0, 0.0, -4.0, 1.0),  # dropped
        (0.0, 2.0, -4.0, 1.0),  # thrown up from the plane
        (1.0, -2.0, 0.0, 0.5),  # no gravity
        (1.0, 2.0, 0.0, np.inf),
        (0.0, -1.0, -4.0, 0.0),  # touches and goes in
        (0.0, 0.0, -4.0, 0.0),  # rests
        (0.0, 0.0, 0.0, np.inf),  # rests without gravity
        (3.0, -2.0, 2.0, np.inf),  # turns before the plane
        (1.0, -4.0, 6.0, 1 / 3),  # accelerated away, but it reaches it
        (1.0, 1.0, 6.0, np.inf),
    ],
)
def test_the_time_to_a_plane_is_that_of_the_closed_form(height, speed, acceleration, expected):
    assert dynamics.time_to_plane(height, speed, acceleration) == pytest.approx(expected)


def test_elastic_balls_in_a_box_keep_their_energy_through_hundreds_of_impacts():
    rng = np.random.default_rng(3)
    balls = make_balls([[0.5, 1, 0.5], [1.5, 1.2, 0.6], [1, 0.7, 1.4]], 3 * rng.normal(size=(3, 3)), [0.2, 0.25, 0.15])
    states = simulate(balls, np.linspace(0, 20, 401), GRAVITY, BOX)
    assert total_energy(states[-1], GRAVITY) == pytest.approx(total_energy(balls, GRAVITY), rel=1e-9)
    for state in states:
        assert np.all(state.position - state.radius[:, None] > -1e-9) and np.all(
            state.position + state.radius[:, None] < 2 + 1e-9
        )
        gaps = np.linalg.norm(state.position[[0, 0, 1]] - state.position[[1, 2, 2]], axis=1)
        assert np.all(gaps > state.radius[[0, 0, 1]] + state.radius[[1, 2, 2]] - 1e-9)


def test_a_fast_ball_does_not_tunnel():
    balls = make_balls([[0.2, 1, 1], [1.0, 1, 1]], [[100.0, 0, 0], [0.0, 0, 0]], [0.05, 0.05])
    after = dynamics.advance(balls, 0.012, np.zeros(3), BOX)  # 1.2 m in a step, through a ball of 0.1 m
    assert after.velocity[:, 0] == pytest.approx([0, 100])


def test_rebounds_lose_the_square_of_the_restitution():
    balls = make_balls([[1, 1.1, 1]], [[0, 0, 0]], [0.1])
    floor = np.array([[-9.0, 0, -9], [9, 9, 9]])
    states = simulate(balls, np.linspace(0, 1.2, 241), GRAVITY, floor, 0.8)
    heights = [state.position[0, 1] - 0.1 for state in states]
    assert max(heights[120:]) == pytest.approx(0.64, abs=1e-3)


def test_a_sliding_ball_ends_rolling_with_five_sevenths_of_its_speed():
    balls = make_balls([[0.2, 0.2, 1]], [[1.0, 0, 0]], [0.2])
    floor = np.array([[0.0, 0, 0], [100.0, 2, 2]])
    last = simulate(balls, np.linspace(0, 4, 97), GRAVITY, floor, 0.7, 0.2)[-1]
    assert last.velocity[0] == pytest.approx([5 / 7, 0, 0])
    assert last.spin[0, 2] * last.radius[0] == pytest.approx(-5 / 7)  # the point of contact is at rest
    assert last.position[0, 1] == pytest.approx(0.2)


def test_balls_come_to_rest_and_the_same_start_gives_the_same_end():
    rng = np.random.default_rng(4)
    balls = make_balls([[0.5, 1, 0.5], [1.5, 1.2, 1.6]], rng.normal(size=(2, 3)), [0.2, 0.25])
    last = [simulate(balls, np.linspace(0, 8, 193), GRAVITY, BOX, 0.5, 0.3)[-1] for _ in range(2)]
    assert np.array_equal(last[0].position, last[1].position)
    assert last[0].position[:, 1] == pytest.approx(last[0].radius, abs=1e-6)


@pytest.mark.parametrize("change", [{"radius": [0.1, 0.1]}, {"radius": [0.0]}])
def test_balls_refuse_what_is_no_ball(change):
    with pytest.raises((CourseError, ValueError)):
        make_balls([[0, 0, 0]], [[0, 0, 0]], change["radius"])
