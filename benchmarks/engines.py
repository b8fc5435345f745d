"""What a step of a network costs in `simulate`, and what it costs in `train`.

Both do the same: momentum in float32 on minibatches without replacement, one network from the same
start, with nothing looked at on the way. A step is the difference of two calls of different
lengths, so that what is done once drops out; what `train` does once an epoch does not. Seconds are
those of the processor, on all cores, so that what else the machine does counts less. On a batch of
all examples both take the same steps, whatever the order: so they are held against each other.
"""

import statistics
import time
from collections.abc import Callable

import jax
import numpy as np
import optax

from whytrain.data import Dataset
from whytrain.dynamics import Epochs, OptaxMethod, simulate, train
from whytrain.networks import EmpiricalRisk, ImageNetwork, LeNet5, ResNet8, TwoLayer

EXAMPLES, BATCH, STEP_SIZE, SHORT, LONG = 512, 64, 0.05, 1, 5
METHOD = optax.sgd(STEP_SIZE, momentum=0.9)


def noise() -> Dataset:
    """Images of 28 by 28 whose classes mean nothing: a step takes as long on any."""
    rng = np.random.default_rng(0)
    images = rng.random((EXAMPLES, 28, 28, 1), np.float32)
    labels = rng.integers(0, 10, EXAMPLES).astype(np.int32)
    return Dataset("noise", images, labels, images[:8], labels[:8], tuple("0123456789"))


def compare(network: ImageNetwork, dataset: Dataset, repeats: int) -> dict:
    """Both engines on one network.

    Returns:
        Milliseconds of processor a step on each side, one a repeat, and the median of their ratio;
        how far six steps on all examples move the parameters, and how far apart the two sides end.
    """
    keys = jax.random.split(jax.random.key(0), 1)
    starts = jax.tree.map(
        np.asarray, train(network, dataset, keys, epochs=1, step_size=0.0).initial
    )
    risk = EmpiricalRisk(network, dataset.train_images, dataset.train_labels)
    first = {name: leaf[:, 0] for name, leaf in starts.items()}

    def trained(epochs: int, batch: int) -> dict:
        ended = train(
            network, dataset, keys, epochs=epochs, step_size=STEP_SIZE, batch=batch, starts=starts,
            test_every=1000,
        )  # fmt: skip
        return {name: np.asarray(leaf)[:, 0] for name, leaf in ended.params.items()}

    def simulated(epochs: int, batch: int) -> dict:
        method = OptaxMethod(METHOD, gradient=Epochs(batch))
        steps = epochs * (EXAMPLES // batch)
        ended = simulate(risk, method, first, steps, keys=keys, dtype=np.float32)
        assert (ended.steps == steps).all()
        return {name: ended[f"final_{name}"].values for name in starts}

    engines = {"train": trained, "simulate": simulated}
    for engine in engines.values():
        engine(SHORT, BATCH)  # compiles
    spent = [
        {name: _milliseconds(engine) for name, engine in engines.items()} for _ in range(repeats)
    ]
    ours, theirs = trained(6, EXAMPLES), simulated(6, EXAMPLES)
    return {
        **{name: [round(float(each[name]), 2) for each in spent] for name in engines},
        "ratio": float(statistics.median(each["train"] / each["simulate"] for each in spent)),
        "moved": _apart(ours, first),
        "apart": _apart(ours, theirs),
    }


def _milliseconds(engine: Callable) -> float:
    marks = [time.process_time()]
    for epochs in (SHORT, LONG):
        engine(epochs, BATCH)
        marks.append(time.process_time())
    short, long = np.diff(marks)
    return 1e3 * (long - short) / ((LONG - SHORT) * (EXAMPLES // BATCH))


def _apart(some: dict, others: dict) -> float:
    return max(float(np.abs(some[name] - others[name]).max()) for name in some)


if __name__ == "__main__":
    data = noise()
    for each in (ResNet8(data.shape), TwoLayer(data.shape, width=256), LeNet5(data.shape)):
        print(type(each).__name__, compare(each, data, repeats=3), flush=True)
