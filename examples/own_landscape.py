"""A landscape and a method of one's own, and their phase diagram.

A ball in the wrong one of two valleys: how much momentum takes it across the ridge?
"""
# ruff: noqa: D101, D102, D103 - this is the README's example as it is printed

import jax
import numpy as np

import whytrain as wt
from whytrain.dynamics.methods import Method, State


class TwoValleys(wt.Landscape):
    tilt: float

    def loss(self, x):
        return (x**2 - 1) ** 2 / 4 + self.tilt * x


class HeavyBall(Method):
    momentum: float

    def init(self, landscape, x):
        return State(x, memory=0 * x)

    def step(self, landscape, state, step, key):
        speed = self.momentum * state.memory - 0.1 * landscape.grad(state.params)
        return State(state.params + speed, speed)


def success_rate(keys, tilt, momentum):
    starts = 1.5 + 0.3 * jax.vmap(jax.random.normal)(keys)
    runs = wt.simulate(TwoValleys(tilt), HeavyBall(momentum), starts, steps=1000)
    return {"success_rate": (runs.final < 0).mean()}


axes = {"tilt": np.linspace(0, 0.45, 10), "momentum": np.linspace(0, 0.95, 8)}
diagram = wt.sweep(success_rate, runs=200, **axes)
border = ("the right valley ends", [2 / 27**0.5] * 2, [0, 1])
figure = wt.figures.phase_diagram(diagram, x="tilt", y="momentum", borders=[border])
figure.savefig("phase-diagram.png")
