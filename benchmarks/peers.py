"""The same ensemble with the whole state of every run, in NumPy and in PyTorch.

Each peer has `steps(count)`, which moves all runs, and `order()`, the order parameters
`(angle, total, overlap)`. `PlainTorchPeer` is the paper's formulas, vectorized over runs, as one
would write them down. The other two are tuned by hand: a step is the two products with matrices
that it is, with the teacher's two directions side by side, and nothing the size of the output
weights is allocated:

    (u, s) = a (a*, 1),    a <- keep a + size / (2 pi) (g - 1, S - s) (a*, 1)^T

with `keep = 1 - size (pi - 1) / (2 pi)`, and the filter moves by `size u (pi - angle) / (2 pi)`
times the tangent part of the teacher's.
"""

import math
from dataclasses import dataclass

import numpy as np

TURN = 2 * math.pi


@dataclass(frozen=True)
class Problem:
    """One teacher, one step size for everything, and the starts of all runs."""

    filter_star: np.ndarray
    output_star: np.ndarray
    filters: np.ndarray
    outputs: np.ndarray
    step_size: float


class NumPyPeer:
    """NumPy tuned by hand, float64."""

    def __init__(self, problem: Problem) -> None:
        self.star, self.size = problem.filter_star, problem.step_size
        self.v, self.a = problem.filters.copy(), problem.outputs.copy()
        self.pair = np.stack([problem.output_star, np.ones_like(problem.output_star)])
        self.total_star = problem.output_star.sum()
        self.push = np.empty((len(self.a), 2))
        self.moved = np.empty_like(self.a)

    def steps(self, count: int) -> None:
        """Move every run by some steps."""
        size, keep = self.size / TURN, 1 - self.size * (math.pi - 1) / TURN
        for _ in range(count):
            u, s = (self.a @ self.pair.T).T
            cos = np.clip(self.v @ self.star, -1, 1)
            angle = np.arccos(cos)
            g = (math.pi - angle) * cos + np.sqrt(1 - cos**2)
            pull = size * u * (math.pi - angle)
            self.push[:, 0], self.push[:, 1] = size * (g - 1), size * (self.total_star - s)
            np.matmul(self.push, self.pair, out=self.moved)
            self.a *= keep
            self.a += self.moved
            self.v += pull[:, None] * (self.star - cos[:, None] * self.v)
            self.v /= np.sqrt(np.einsum("np,np->n", self.v, self.v))[:, None]

    def order(self) -> np.ndarray:
        """Angle, total and overlap of every run."""
        return _order(self.v, self.a, self.star, self.pair)


class PlainTorchPeer:
    """The formulas of the paper in PyTorch, float64, without a gradient tape."""

    def __init__(self, problem: Problem) -> None:
        import torch

        self.torch, self.size = torch, problem.step_size
        self.v_star = torch.from_numpy(problem.filter_star)
        self.a_star = torch.from_numpy(problem.output_star)
        self.v = torch.from_numpy(problem.filters.copy())
        self.a = torch.from_numpy(problem.outputs.copy())

    def steps(self, count: int) -> None:
        """Move every run by some steps."""
        torch = self.torch
        v, a, v_star, a_star, size = self.v, self.a, self.v_star, self.a_star, self.size
        with torch.no_grad():
            for _ in range(count):
                s, u = a.sum(dim=1, keepdim=True), (a @ a_star)[:, None]
                cos = (v @ v_star)[:, None].clamp(-1, 1)
                angle = torch.arccos(cos)
                g = (math.pi - angle) * cos + torch.sin(angle)
                by_output = ((math.pi - 1) * a + s - (g - 1) * a_star - a_star.sum()) / TURN
                by_filter = -(math.pi - angle) * u / TURN * (v_star - cos * v)
                a, v = a - size * by_output, v - size * by_filter
                v = v / torch.linalg.vector_norm(v, dim=1, keepdim=True)
        self.v, self.a = v, a

    def order(self) -> np.ndarray:
        """Angle, total and overlap of every run."""
        pair = np.stack([self.a_star.numpy(), np.ones(len(self.a_star))])
        return _order(self.v.numpy(), self.a.numpy(), self.v_star.numpy(), pair)


class TorchPeer:
    """PyTorch tuned by hand, float64, without a gradient tape."""

    def __init__(self, problem: Problem) -> None:
        import torch

        self.torch, self.size = torch, problem.step_size
        self.star = torch.from_numpy(problem.filter_star)
        self.v = torch.from_numpy(problem.filters.copy())
        self.a = torch.from_numpy(problem.outputs.copy())
        star = torch.from_numpy(problem.output_star)
        self.pair = torch.stack([star, torch.ones_like(star)])
        self.total_star = float(problem.output_star.sum())
        self.push = torch.empty((len(self.a), 2), dtype=torch.float64)

    def steps(self, count: int) -> None:
        """Move every run by some steps."""
        torch = self.torch
        size, keep = self.size / TURN, 1 - self.size * (math.pi - 1) / TURN
        with torch.no_grad():
            for _ in range(count):
                u, s = (self.a @ self.pair.T).unbind(1)
                cos = (self.v @ self.star).clamp_(-1, 1)
                rest = math.pi - torch.arccos(cos)
                g = rest * cos + torch.sqrt(1 - cos**2)
                pull = size * u * rest
                torch.mul(g - 1, size, out=self.push[:, 0])
                torch.mul(self.total_star - s, size, out=self.push[:, 1])
                self.a.addmm_(self.push, self.pair, beta=keep)
                self.v.addcmul_(pull[:, None], self.star - cos[:, None] * self.v)
                self.v.div_(torch.linalg.vector_norm(self.v, dim=1, keepdim=True))

    def order(self) -> np.ndarray:
        """Angle, total and overlap of every run."""
        return _order(self.v.numpy(), self.a.numpy(), self.star.numpy(), self.pair.numpy())


def _order(v: np.ndarray, a: np.ndarray, star: np.ndarray, pair: np.ndarray) -> np.ndarray:
    apart = np.linalg.norm(v - star, axis=1), np.linalg.norm(v + star, axis=1)
    return np.stack([2 * np.arctan2(*apart), a.sum(axis=1), a @ pair[0]])
