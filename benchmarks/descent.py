"""Coarse gradient descent: five numbers a run against PyTorch with the whole state of every run."""

import math
import statistics
from collections.abc import Callable
from functools import partial

import jax
import numpy as np

from benchmarks.timing import best_threads, seconds
from whytrain.dynamics import GradientDescent, simulate
from whytrain.gaussian import ESTIMATORS, step
from whytrain.landscapes import PlaneOrder, SharedFilter, Weights

M, N, RUNS, SIZE = 100, 32, 5000, 1e-3
STEPS = {"whytrain": 40_000, "PyTorch": 20}
AGREE = 60  # steps after which the order parameters are compared
NAMES = ("identity", "relu", "clipped_relu")


class TorchPeer:
    """The formulas of Yin et al. 2019 in PyTorch, vectorized over runs, without a gradient tape."""

    def __init__(self, name: str, ws: np.ndarray, vs: np.ndarray, starts: Weights) -> None:
        import torch

        self.torch, self.name = torch, name
        self.ws, self.vs = torch.from_numpy(ws), torch.from_numpy(vs)
        self.w = torch.from_numpy(np.array(starts.filter))
        self.v = torch.from_numpy(np.array(starts.output))

    def steps(self, count: int) -> None:
        """Move every run by some steps."""
        torch, ws, vs = self.torch, self.ws, self.vs
        root = math.sqrt(2 * math.pi)
        with torch.no_grad():
            for _ in range(count):
                v, w = self.v, self.w
                r = torch.linalg.vector_norm(w, dim=1, keepdim=True)
                unit, cos = w / r, (w @ ws)[:, None] / r
                sin = torch.linalg.vector_norm(w - (r * cos) * ws, dim=1, keepdim=True) / r
                kappa = 1 - 2 / math.pi * torch.atan2(sin, cos)
                s, overlap = v.sum(dim=1, keepdim=True), (v @ vs)[:, None]
                size, total = (v * v).sum(dim=1, keepdim=True), vs.sum()
                by_output = (v + s - kappa * vs - total) / 4
                h = size + s**2 - s * total + overlap
                if self.name == "identity":
                    by_filter = (size * unit - overlap * ws) / root
                elif self.name == "relu":
                    by_filter = ((h - overlap) * unit - overlap * ws) / (2 * root)
                else:
                    t = 1 / r
                    near = torch.exp(-(t**2) / 2)
                    share = torch.special.ndtr(t * cos / sin)
                    passed = torch.erf(t / (math.sqrt(2) * sin))
                    along = (1 - near) * h - overlap * (1 - 2 * near * share)
                    by_filter = (along * unit - overlap * passed * ws) / (2 * root)
                self.v, self.w = v - SIZE * by_output, w - SIZE * by_filter

    def weights(self) -> Weights:
        """Where the runs are."""
        return Weights(self.w.numpy(), self.v.numpy())


def measure(repeats: int) -> dict:
    """Time both sides in turn for every estimator, and compare their numbers."""
    rng = np.random.default_rng(0)
    ws, vs = rng.standard_normal(N), rng.standard_normal(M)
    ws, vs = ws / np.linalg.norm(ws), vs / np.linalg.norm(vs)
    filters = rng.standard_normal((RUNS, N))
    filters /= np.linalg.norm(filters, axis=1)[:, None]
    starts = Weights(filters, 0.1 * rng.standard_normal((RUNS, M)))
    threads = best_threads(lambda: partial(TorchPeer("relu", ws, vs, starts).steps, 10))
    estimators = {name: _compare(name, ws, vs, starts, repeats) for name in NAMES}
    return {
        "m": M, "n": N, "runs": RUNS, "steps": STEPS, "repeats": repeats,
        "torch_threads": threads, "estimators": estimators,
    }  # fmt: skip


def _compare(name: str, ws: np.ndarray, vs: np.ndarray, starts: Weights, repeats: int) -> dict:
    network = SharedFilter(ws, vs, step(ESTIMATORS[name]))
    reduction, order = network.in_plane(), _order(network, starts)

    def ours(steps: int) -> np.ndarray:
        ended = simulate(reduction, GradientDescent(SIZE), order, steps)
        return np.stack([ended[f"final_{field}"].values for field in PlaneOrder._fields])

    peer = TorchPeer(name, ws, vs, starts)
    peer.steps(AGREE)
    found, expected = ours(AGREE), np.stack(_order(network, peer.weights()))
    found[1] = np.abs(found[1])
    turns = [
        (_timed(ours, STEPS["whytrain"]), _timed(peer.steps, STEPS["PyTorch"]))
        for _ in range(repeats)
    ]
    return {
        "whytrain": statistics.median(one for one, _ in turns),
        "PyTorch": statistics.median(other for _, other in turns),
        "ratio": statistics.median(other / one for one, other in turns),
        "largest_difference": float(np.abs(found - expected).max()),
    }


def _order(network: SharedFilter, weights: Weights) -> PlaneOrder:
    with jax.enable_x64(True):
        return PlaneOrder(*map(np.asarray, jax.jit(jax.vmap(network.order_in_plane))(weights)))


def _timed(run: Callable[[int], object], steps: int) -> float:
    """Nanoseconds a trajectory-step."""
    return seconds(lambda: run(steps)) / (steps * RUNS) * 1e9
