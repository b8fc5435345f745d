"""Milliseconds a step of a network: all runs, bits and estimators as one program, against PyTorch.

Networks, batches, epochs, loss, momentum and step size are the same. PyTorch trains one network
after another in one process, with the number of threads with which it is fastest here, and
quantizes through a custom autograd function. `PyTorch, tuned` writes LeNet-5's convolution with its
average pooling as one convolution of stride two, as ours does. Both sides do in turn what the quick
preset of yin2019 does: six epochs over 1000 examples, then the test. A ratio is the median over
several turns.
"""

import statistics
import time
from collections.abc import Callable

import jax
import numpy as np

from benchmarks.timing import best_threads, seconds
from benchmarks.torch_networks import TorchLeNet5, TorchResNet8, train_torch
from whytrain.data import Dataset, load, normalize, subset
from whytrain.data.load import available
from whytrain.dynamics.training import train
from whytrain.networks import LeNet5, ResNet8, quantizer, stack

RUNS, BATCH, EPOCHS = 5, 64, 6
BITS, ESTIMATORS = (2, 4), ("identity", "relu", "clipped_relu")
STEP_SIZE = 0.05
EXAMPLES, TESTED = 1000, 1000
VARIANTS = [(bits, estimator) for bits in BITS for estimator in ESTIMATORS]


def measure(repeats: int) -> dict:
    """Time both networks on both sides.

    Returns:
        For each network: milliseconds a step of one, the ratios, how far the losses of the two
        sides are apart in the first epoch, and the seconds of the first call. The ratio of all
        trainings of both networks.
    """
    threads = _best_threads()
    found = {
        "LeNet-5": _compare(LeNet5, TorchLeNet5, "LeNet-5", repeats, tuned=True),
        "ResNet-8": _compare(ResNet8, TorchResNet8, "ResNet-8", repeats, tuned=False),
    }
    ours, theirs = (
        sum(each["milliseconds"][key] for each in found.values()) for key in ("whytrain", "PyTorch")
    )
    return {
        "runs": RUNS, "batch": BATCH, "torch_threads": threads, "networks": found,
        "ratio": theirs / ours,
    }  # fmt: skip


def _data(examples: int) -> Dataset:
    if available("fashion-mnist"):
        return subset(normalize(load("fashion-mnist")), examples, TESTED, key=jax.random.key(0))
    rng = np.random.default_rng(0)  # the time does not depend on what the images show
    images = rng.random((examples + TESTED, 28, 28, 1), np.float32)
    labels = rng.integers(0, 10, examples + TESTED).astype(np.int32)
    parts = images[:examples], labels[:examples], images[examples:], labels[examples:]
    return Dataset("noise", *parts, tuple("0123456789"))


def _compare(ours: type, theirs: Callable, name: str, repeats: int, *, tuned: bool) -> dict:
    dataset = _data(EXAMPLES)
    network = ours(dataset.shape)
    keys = jax.random.split(jax.random.key(0), RUNS)
    activations = stack([quantizer(*variant) for variant in VARIANTS])

    def one_program():
        return train(
            network, dataset, keys, epochs=EPOCHS, step_size=STEP_SIZE, activations=activations,
            batch=BATCH, test_every=EPOCHS,
        )  # fmt: skip

    before = time.perf_counter()
    trained = one_program()
    first_call = time.perf_counter() - before
    starts = jax.tree.map(np.asarray, trained.initial)

    def one_after_another(fused: bool, cells: list) -> np.ndarray:
        """Losses and accuracies of some (run, variant), in their order."""
        results = []
        for run, variant in cells:
            params = {key: leaf[run, variant] for key, leaf in starts.items()}
            activation = quantizer(*VARIANTS[variant])
            peer = theirs(params, activation, VARIANTS[variant][1], fused)
            order = _orders(keys[run], len(dataset.train_labels))
            results.append(train_torch(peer, dataset, order, STEP_SIZE))
        return np.array(results)

    # A turn of the peer is one run of each variant; the program is all runs of all variants.
    contenders = {"PyTorch": False} | ({"PyTorch, tuned": True} if tuned else {})
    steps = EPOCHS * (len(dataset.train_labels) // BATCH)
    turns: list[dict[str, float]] = []
    said = np.zeros((RUNS, len(VARIANTS), 2))
    for repeat in range(repeats):
        run = repeat % RUNS
        cells = [(run, variant) for variant in range(len(VARIANTS))]
        turn = {"whytrain": seconds(one_program) / (RUNS * len(VARIANTS) * steps)}
        for peer, fused in contenders.items():
            before = time.perf_counter()
            said[run] = one_after_another(fused, cells)
            turn[peer] = (time.perf_counter() - before) / (len(cells) * steps)
        turns.append({key: 1e3 * value for key, value in turn.items()})
    done = np.arange(min(repeats, RUNS))
    apart = np.abs(trained.metrics["train_loss"][..., 0] - said[..., 0])[done]
    return {
        "data": dataset.name,
        "milliseconds": {key: statistics.median(t[key] for t in turns) for key in turns[0]},
        "ratio": {
            key: statistics.median(t[key] / t["whytrain"] for t in turns) for key in contenders
        },
        "median_difference_of_train_loss": float(np.median(apart)),
        "first_call_seconds": first_call,
    }


def _orders(key: jax.Array, examples: int) -> np.ndarray:
    """The same batches as ours, (epoch, step, batch)."""
    from whytrain.dynamics.training import _order

    with jax.enable_x64(False):
        per_epoch = examples // BATCH
        epochs = [_order(key[None], epoch, examples, per_epoch, BATCH) for epoch in range(EPOCHS)]
    return np.stack([np.asarray(order)[:, 0] for order in epochs])


def _best_threads() -> int:
    dataset = _data(256)
    params = jax.tree.map(np.asarray, LeNet5(dataset.shape).init(jax.random.key(0)))
    order = np.arange(256).reshape(1, 4, 64).repeat(5, axis=0)

    def train_one() -> object:
        peer = TorchLeNet5(params, quantizer(2), "clipped_relu", False)
        return train_torch(peer, dataset, order, STEP_SIZE)

    return best_threads(lambda: train_one)
