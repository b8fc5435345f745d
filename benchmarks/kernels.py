"""The tangent kernel beside PyTorch: layer by layer as one would write it down, and Jacobians."""

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import best_threads, seconds
from whytrain.kernels import tangent_kernel
from whytrain.lab import Runs
from whytrain.studies.li2020.mean_kernel import MEAN

SIZES, BLOCKS, IMAGE, CLASSES = (64, 512, 512, 1), 3, (3, 32, 32), 10
WIDTHS = {
    "residual": (16,),
    "ResNet-20": (16, 32, 64),
}  # channels of each stage, without batch norm
WHILE = 0.2  # seconds of calls before one that is timed
MEANS, NETWORKS = 1_000_000, 1000  # mean kernels: networks of width 20, and how many a run


def measure(repeats: int) -> dict:
    """Seconds of each contender, by turns, in float32 and without the first call."""
    rng = np.random.default_rng(0)
    weights = [
        (rng.standard_normal((i, o), np.float32) * (2 / i) ** 0.5, np.zeros(o, np.float32))
        for i, o in itertools.pairwise(SIZES)
    ]
    found = {}
    for n in (256, 2048):
        x = rng.standard_normal((n, SIZES[0]), np.float32)
        ours = lambda x=x: tangent_kernel(dense, weights, x)  # noqa: E731
        peers = dense_peers(weights, x)
        found[f"dense, {n} points"] = compare(ours, peers, repeats, slow={"torch.func Jacobians"})
    x = rng.standard_normal((64, *IMAGE), np.float32)
    for name, widths in WIDTHS.items():
        state = draw_residual(rng, widths)
        ours = lambda state=state: tangent_kernel(residual, state, x)  # noqa: E731
        peers = residual_peers(state, x)
        found[f"{name}, 64 images"] = compare(ours, peers, repeats, slow={"torch.func Jacobians"})
    mean = MEAN.settings(width=20, layers=4, networks=NETWORKS)
    runs = MEANS // NETWORKS
    return {
        "kernels": found,
        "means": MEANS,
        "means_seconds": seconds(lambda: MEAN.compute(mean, Runs(0, runs, 0, runs))),
    }


def compare(ours: Callable, peers: dict[str, Callable], repeats: int, slow: set[str]) -> dict:
    """Our time and the peers', by turns, and whether all kernels are one.

    Each is timed right after calls of its own for a while, but for the slow ones: otherwise it
    would pay for what the one before left, cold caches and PyTorch's threads, which spin until
    they sleep. (With OMP_WAIT_POLICY=passive they do not, and a single call is enough.)
    """
    right = np.asarray(ours(), np.float64)
    apart, times = {}, {name: [] for name in ("whytrain", *peers)}
    for name, peer in peers.items():
        there = np.asarray(peer(), np.float64).reshape(right.shape)
        apart[name] = float(np.abs(there - right).max() / np.abs(right).max())
    for turn in range(repeats):
        for name, run in {"whytrain": ours, **peers}.items():
            asleep = time.perf_counter() + WHILE
            while name not in slow:
                run()
                if time.perf_counter() > asleep:
                    break
            if name not in slow or turn < 2:
                times[name].append(seconds(run))
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratios = {name: medians[name] / medians["whytrain"] for name in peers}
    return {"seconds": medians, "ratio": ratios, "apart": apart}


def dense(params: list, x: Any) -> Any:
    """The network of the table, in JAX."""
    for weight, bias in params[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    return (x @ params[-1][0] + params[-1][1])[:, 0]


def dense_peers(weights: list, x: np.ndarray) -> dict[str, Callable]:
    """The same in PyTorch."""
    import torch

    inputs = torch.from_numpy(x)
    layers: list = []
    for weight, bias in weights:
        layer = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight.T))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]

    @torch.no_grad()
    def layerwise() -> Any:
        """Inputs' Gram times backward signals' Gram, layer by layer."""
        seen, h = [], inputs
        for i, layer in enumerate(linear):
            seen.append(h)
            h = layer(h)
            if i < len(linear) - 1:
                h = torch.relu(h)
        signal, kernel = torch.ones(len(inputs), 1), 0
        for i in reversed(range(len(linear))):
            kernel = kernel + (seen[i] @ seen[i].T + 1) * (signal @ signal.T)
            if i:
                signal = (signal @ linear[i].weight) * (seen[i] > 0)
        return kernel

    best_threads(lambda: layerwise)
    peers = {"PyTorch, layer by layer": layerwise, "torch.func Jacobians": jacobians(model, inputs)}
    return peers | gram(model, inputs)


def jacobians(model: Any, inputs: Any) -> Callable[[], Any]:
    """The contraction of whole Jacobians that PyTorch's documentation has."""
    import torch

    params = {name: leaf.detach() for name, leaf in model.named_parameters()}

    def single(params: dict, x: Any) -> Any:
        return torch.func.functional_call(model, params, (x[None],))[0]

    def run() -> Any:
        found = torch.func.vmap(torch.func.jacrev(single), (None, 0))(params, inputs)
        rows = [leaf.flatten(2) for leaf in found.values()]
        return sum(torch.einsum("aop,bqp->aobq", row, row) for row in rows)

    return run


def gram(model: Any, inputs: Any) -> dict[str, Callable]:
    """The Gram matrix of nngeometry, where it is installed."""
    try:
        from nngeometry.backend import TorchHooksJacobianBackend
        from nngeometry.layercollection import LayerCollection
        from nngeometry.object.fspace import FMatDense
    except ImportError:
        return {}
    layers = LayerCollection.from_model(model)

    def run() -> Any:
        backend = TorchHooksJacobianBackend(model, lambda x: model(x), layer_collection=layers)
        data = FMatDense(backend, examples=(inputs,)).data  # (output, example, output, example)
        return data.detach().permute(1, 0, 3, 2)

    return {"nngeometry": run}


def draw_residual(rng: np.random.Generator, widths: tuple[int, ...]) -> dict[str, np.ndarray]:
    """A stem, stages of residual blocks of two convolutions, an average and a linear layer.

    Each stage but the first has half the places a side, and a convolution 1 x 1 as first shortcut.
    """
    shapes = {"stem": (widths[0], IMAGE[0], 3, 3)}
    for stage, (before, width) in enumerate(itertools.pairwise((widths[0], *widths))):
        for block in range(BLOCKS):
            here, seen = f"{stage}{block}", width if block else before
            shapes |= {f"{here}a": (width, seen, 3, 3), f"{here}b": (width, width, 3, 3)}
            if stage and not block:
                shapes[f"{here}shortcut"] = (width, before, 1, 1)
    shapes["linear"] = (CLASSES, widths[-1])
    return {
        name: rng.standard_normal(shape, np.float32) / float(np.prod(shape[1:])) ** 0.5
        for name, shape in shapes.items()
    }


def of_images(params: dict, x: Any, convolve: Callable, tanh: Callable) -> Any:
    """What the residual network's linear layer sees, before the average.

    `convolve(x, name, stride)` keeps the places but for the stride.
    """
    x = convolve(x, "stem", 1)
    for here in sorted(name[:-1] for name in params if name.endswith("a")):
        shortcut = f"{here}shortcut" in params
        stride = 2 if shortcut else 1
        inner = convolve(tanh(convolve(tanh(x), f"{here}a", stride)), f"{here}b", 1)
        x = (convolve(x, f"{here}shortcut", stride) if shortcut else x) + inner
    return tanh(x)


def residual(params: dict, x: Any) -> Any:
    """The residual network, in JAX."""

    def convolve(x: Any, name: str, stride: int) -> Any:
        sides = [(params[name].shape[-1] // 2,) * 2] * 2
        return jax.lax.conv_general_dilated(x, params[name], (stride, stride), sides)

    return of_images(params, x, convolve, jnp.tanh).mean(axis=(2, 3)) @ params["linear"].T


def residual_peers(state: dict[str, np.ndarray], x: np.ndarray) -> dict[str, Callable]:
    """The same in PyTorch."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.ParameterDict(
                {f"w{name}": torch.from_numpy(leaf) for name, leaf in state.items()}
            )

        def forward(self, x: Any) -> Any:
            def convolve(x: Any, name: str, stride: int) -> Any:
                weight = self.weights[f"w{name}"]
                return torch.nn.functional.conv2d(x, weight, None, stride, weight.shape[-1] // 2)

            found = of_images(state, x, convolve, torch.tanh)
            return found.mean(dim=(2, 3)) @ self.weights["wlinear"].T

    run = jacobians(Net(), torch.from_numpy(x))
    best_threads(lambda: run)
    return {"torch.func Jacobians": run}
