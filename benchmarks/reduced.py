"""Nanoseconds a trajectory-step: the reduced ensemble against peers that carry the whole state."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import jax
import numpy as np

from benchmarks.peers import NumPyPeer, PlainTorchPeer, Problem, TorchPeer
from benchmarks.timing import best_threads, seconds
from whytrain.dynamics import NormalizedGradientDescent, simulate
from whytrain.gaussian import ReLU
from whytrain.landscapes import SharedFilter, SphereOrder, SphereReduction, Weights

K, P, RUNS = 100, 8, 5000
STEPS = {"whytrain": 200_000, "PyTorch": 40, "PyTorch, tuned": 100, "NumPy, tuned": 40}
AGREE = 60  # steps after which the order parameters are compared


def measure(repeats: int) -> dict:
    """Time all contenders in turn, several times over, and compare their numbers.

    Returns:
        Medians in nanoseconds, ratios (medians of the ratios of each turn), the largest difference
        of the order parameters, and the seconds that the first call took to compile.
    """
    problem = _problem()
    reduction, starts = _reduced(problem)
    before = time.perf_counter()
    ended = _ours(reduction, starts, problem.step_size, AGREE)
    first_call = time.perf_counter() - before
    threads = best_threads(lambda: partial(TorchPeer(problem).steps, 30))
    peers = {
        "PyTorch": PlainTorchPeer(problem),
        "PyTorch, tuned": TorchPeer(problem),
        "NumPy, tuned": NumPyPeer(problem),
    }
    difference = max(_difference(ended, peer) for peer in peers.values())
    contenders: dict[str, Callable[[int], object]] = {
        "whytrain": lambda steps: _ours(reduction, starts, problem.step_size, steps),
        **{name: peer.steps for name, peer in peers.items()},
    }
    turns = [
        {name: _timed(run, STEPS[name]) for name, run in contenders.items()} for _ in range(repeats)
    ]
    nanoseconds = {name: [turn[name] for turn in turns] for name in contenders}
    ratios = {name: [turn[name] / turn["whytrain"] for turn in turns] for name in peers}
    return {
        "k": K,
        "p": P,
        "runs": RUNS,
        "steps": STEPS,
        "repeats": repeats,
        "torch_threads": threads,
        "nanoseconds": {name: statistics.median(times) for name, times in nanoseconds.items()},
        "ratio": {name: statistics.median(values) for name, values in ratios.items()},
        "largest_difference": difference,
        "first_call_seconds": first_call,
    }


def _problem() -> Problem:
    rng = np.random.default_rng(0)
    filters = rng.standard_normal((RUNS, P))
    filters /= np.linalg.norm(filters, axis=1)[:, None]
    filter_star = np.full(P, P**-0.5)
    return Problem(
        filter_star,
        rng.standard_normal(K),
        filters,
        rng.standard_normal((RUNS, K)) / np.sqrt(K),
        1 / K**2,
    )


def _reduced(problem: Problem) -> tuple[SphereReduction, SphereOrder]:
    landscape = SharedFilter(problem.filter_star, problem.output_star)
    with jax.enable_x64(True):
        starts = jax.vmap(landscape.order)(Weights(problem.filters, problem.outputs))
    reduction = SphereReduction.of_teacher(problem.output_star, ReLU())
    return reduction, SphereOrder(*(np.asarray(leaf) for leaf in starts))


def _ours(reduction: SphereReduction, starts: SphereOrder, size: float, steps: int) -> np.ndarray:
    method = NormalizedGradientDescent(Weights(size, size))
    ended = simulate(reduction, method, starts, steps, early=False)
    return np.stack([ended.final_angle, ended.final_total, ended.final_overlap])


def _difference(ended: np.ndarray, peer: NumPyPeer | PlainTorchPeer | TorchPeer) -> float:
    peer.steps(AGREE)
    return float(np.abs(ended - peer.order()).max())


def _timed(run: Callable[[int], object], steps: int) -> float:
    """Nanoseconds a trajectory-step."""
    return seconds(lambda: run(steps)) / (steps * RUNS) * 1e9
