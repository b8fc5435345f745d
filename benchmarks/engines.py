"""What a step of a network costs in `simulate`, and what it costs in `train`.

Both do the same: momentum in float32 on minibatches without replacement, from the same starts, with
nothing looked at on the way. Two calls of different lengths, so that what is not a step drops out;
seconds of all cores, so that what else the machine does counts little. On a batch of all examples
both take the same steps, whatever the order: so they are held against each other.
"""

import time

import jax
import numpy as np
import optax

from whytrain.data import Dataset
from whytrain.dynamics import Epochs, OptaxMethod, simulate, train
from whytrain.networks import EmpiricalRisk, ImageNetwork, ResNet8, TwoLayer

EXAMPLES, BATCH, STEP_SIZE, EPOCHS = 512, 64, 0.05, (1, 5)


def noise() -> Dataset:
    """Images of 8 by 8 whose classes mean nothing: a step takes as long on any."""
    rng = np.random.default_rng(0)
    images = rng.random((EXAMPLES, 8, 8, 1), np.float32)
    labels = rng.integers(0, 10, EXAMPLES).astype(np.int32)
    return Dataset("noise", images, labels, images[:8], labels[:8], tuple("0123456789"))


def compare(network: ImageNetwork, dataset: Dataset) -> dict[str, float]:
    """Milliseconds of processor a step on either side; the largest difference of a parameter."""
    keys = jax.random.split(jax.random.key(0), 1)
    starts = train(network, dataset, keys, epochs=1, step_size=0.0).initial
    risk = EmpiricalRisk(network, dataset.train_images, dataset.train_labels)

    def trained(epochs: int, batch: int):
        return train(
            network, dataset, keys, epochs=epochs, step_size=STEP_SIZE, batch=batch, starts=starts,
            test_every=1000,
        ).params  # fmt: skip

    def simulated(epochs: int, batch: int):
        method = OptaxMethod(METHOD, gradient=Epochs(batch))
        ended = simulate(
            risk, method, {name: leaf[:, 0] for name, leaf in starts.items()},
            epochs * (EXAMPLES // batch), keys=keys, dtype=np.float32,
        )  # fmt: skip
        return {name: ended[f"final_{name}"].values for name in starts}

    found = {}
    for name, engine in (("train", trained), ("simulate", simulated)):
        spent = []
        for epochs in (EPOCHS[0], *EPOCHS):  # the first call compiles
            before = time.process_time()
            engine(epochs, BATCH)
            spent.append(time.process_time() - before)
        steps = (EPOCHS[1] - EPOCHS[0]) * (EXAMPLES // BATCH)
        found[name] = 1e3 * (spent[2] - spent[1]) / steps
    ours, theirs = trained(5, EXAMPLES), simulated(5, EXAMPLES)
    found["difference"] = max(
        float(np.abs(np.asarray(ours[name])[:, 0] - theirs[name]).max()) for name in starts
    )
    return found


METHOD = optax.sgd(STEP_SIZE, momentum=0.9)

if __name__ == "__main__":
    data = noise()
    for each in (TwoLayer(data.shape, width=256), ResNet8(data.shape)):
        print(type(each).__name__, compare(each, data), flush=True)
