import functools
import subprocess
import sys
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from whytrain.data import Dataset, load, subset
from whytrain.dynamics import evaluate, load_checkpoint, save_checkpoint, train, training
from whytrain.dynamics.checkpoints import CheckpointFile
from whytrain.errors import UserError
from whytrain.networks import EmpiricalRisk, LeNet5, ResNet8, TwoLayer, quantizer, stack

KEYS = jax.random.split(jax.random.key(1), 3)
DIGITS = subset(load("digits"), 256, 100, key=jax.random.key(0))
SMALL = TwoLayer(DIGITS.shape, width=16)


def framed(dataset=DIGITS, size=16):
    """The digits on a larger black sheet, for networks that need one."""
    border = (size - 8) // 2
    frame = ((0, 0), (border, border), (border, border), (0, 0))
    images = [np.pad(part, frame) for part in (dataset.train_images, dataset.test_images)]
    return Dataset(
        "framed", images[0], dataset.train_labels, images[1], dataset.test_labels, dataset.classes
    )


FRAMED = framed()
VARIANTS = stack([quantizer(b, e) for b in (2, 4) for e in ("identity", "relu", "clipped_relu")])


def one_of(tree, run, variant=0):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[run, variant], tree)


def test_training_is_the_formula_step_by_step():
    trained = train(SMALL, DIGITS, KEYS, epochs=2, step_size=0.05)
    with jax.enable_x64(False):
        params = one_of(trained.initial, 1)
        speed = jax.tree.map(jnp.zeros_like, params)
        losses = []
        for epoch in (0, 1):
            order = jax.random.permutation(jax.random.fold_in(KEYS[1], 1 + epoch), 256)
            for chosen in np.asarray(order).reshape(4, 64):
                risk = EmpiricalRisk(
                    SMALL, DIGITS.train_images[chosen], DIGITS.train_labels[chosen]
                )
                losses.append(float(risk.loss(params)))
                slope = risk.grad(params)
                speed = jax.tree.map(lambda m, g: 0.9 * m + g, speed, slope)
                params = jax.tree.map(lambda p, m: p - 0.05 * m, params, speed)
    ours = one_of(trained.params, 1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, params)
    np.testing.assert_allclose(
        trained.metrics["train_loss"][1, 0], np.mean(np.reshape(losses, (2, 4)), 1), rtol=1e-5
    )


sign = 1.0


def signed(x):
    return jax.nn.relu(sign * x)


def test_an_activation_that_reads_what_has_changed_is_trained_as_it_is_now(monkeypatch):
    images = training._examples(DIGITS.train_images, DIGITS.train_labels)
    with jax.enable_x64(False):
        now = training.begin(SMALL, optax.identity(), KEYS[:1], 1, None)

    def look():
        step = training._step_now(SMALL, optax.identity(), signed, images, 8, now.position)
        return step, evaluate(SMALL, DIGITS, now, signed).test_loss.item()

    first = look()
    assert look() == first
    monkeypatch.setitem(globals(), "sign", 0.0)
    assert all(one != other for one, other in zip(look(), first, strict=True))


def test_a_step_size_may_be_any_schedule():
    rates = optax.piecewise_constant_schedule(0.05, {4: 0.0})
    trained = train(SMALL, DIGITS, KEYS, epochs=2, step_size=rates)
    half = train(SMALL, DIGITS, KEYS, epochs=1, step_size=0.05)
    jax.tree.map(np.testing.assert_array_equal, trained.params, half.params)


RESIDUAL = pytest.param(ResNet8((16, 16, 1), width=4), marks=pytest.mark.slow)


@pytest.mark.parametrize("network", [SMALL, LeNet5((16, 16, 1)), RESIDUAL])
def test_a_run_does_not_depend_on_the_other_runs(network):
    data = DIGITS if network is SMALL else FRAMED
    activations = jax.nn.relu if network is SMALL else VARIANTS

    def go(keys):
        return train(network, data, keys, epochs=2, step_size=0.05, activations=activations)

    some, all_of_them = go(KEYS[1:2]), go(KEYS)
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a[0], b[1]), some.params, all_of_them.params
    )


@pytest.mark.parametrize("network", [LeNet5((16, 16, 1)), RESIDUAL])
def test_a_variant_does_not_depend_on_the_other_variants(network):
    def go(activations):
        return train(network, FRAMED, KEYS, epochs=1, step_size=0.05, activations=activations)

    # With all estimators at hand in both: how many there are to choose from is the program's.
    some = jax.tree.map(lambda leaf: leaf[[1, 4]], VARIANTS)
    several, alone = go(VARIANTS), go(some)
    for name in ("train_loss", "test_loss"):
        np.testing.assert_array_equal(alone.metrics[name], several.metrics[name][:, [1, 4]])
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a, b[:, [1, 4]]), alone.params, several.params
    )


def test_an_activation_with_a_number_in_it_is_one_variant():
    class Leaky(eqx.Module):
        slope: float

        def __call__(self, x):
            return jnp.where(x > 0, x, self.slope * x)

    def go(activation):
        return train(
            SMALL, DIGITS, KEYS[:1], epochs=1, step_size=0.05, activations=activation
        ).metrics["train_loss"]

    np.testing.assert_allclose(go(Leaky(0.2)), go(lambda x: jnp.where(x > 0, x, 0.2 * x)))


def test_all_variants_of_a_run_start_alike_and_learn():
    network = ResNet8((16, 16, 1), width=4)
    trained = train(network, FRAMED, KEYS, epochs=4, step_size=0.1, activations=VARIANTS)
    for leaf in jax.tree.leaves(trained.initial):
        np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[:, :1], leaf.shape))
    history = trained.history()
    assert dict(history.sizes) == {"run": 3, "variant": 6, "epoch": 4}
    falls = history.train_loss.isel(epoch=0) - history.train_loss.isel(epoch=3)
    assert (falls > 0.3).all()
    again = evaluate(network, FRAMED, trained, VARIANTS)
    np.testing.assert_allclose(again.test_loss, trained.metrics["test_loss"][..., -1], rtol=1e-5)


def test_test_loss_is_over_every_test_example_once(monkeypatch):
    monkeypatch.setattr("whytrain.dynamics.training.CHUNK", 33)  # 100 examples: 33, 33, 33, 1
    network = TwoLayer(DIGITS.shape, width=17)  # a size that no compiled program is kept for
    trained = train(network, DIGITS, KEYS, epochs=1, step_size=0.05)
    with jax.enable_x64(False):
        risk = EmpiricalRisk(network, DIGITS.test_images, DIGITS.test_labels)
        expected = float(risk.loss(one_of(trained.params, 2)))
    assert trained.metrics["test_loss"][2, 0, 0] == pytest.approx(expected, rel=1e-5)


def test_a_network_that_has_reached_the_target_stands_still():
    trained = train(SMALL, DIGITS, KEYS, epochs=60, step_size=0.1, target=0.3, test_every=100)
    losses = trained.metrics["train_loss"][:, 0]
    assert trained.epochs < 60
    assert not np.asarray(trained.position.training).any()
    for run, row in enumerate(losses):
        taken = int(np.isfinite(row).sum())
        assert row[taken - 1] < 0.3
        assert (row[: taken - 1] >= 0.3).all()
        alone = train(SMALL, DIGITS, KEYS[run : run + 1], epochs=taken, step_size=0.1)
        jax.tree.map(
            np.testing.assert_array_equal, one_of(alone.params, 0), one_of(trained.params, run)
        )
    assert np.isfinite(trained.metrics["test_loss"][..., -1]).all()


def test_divergence_is_reported_and_stays_with_its_run():
    starts = jax.vmap(SMALL.init)(KEYS)
    starts = jax.tree.map(lambda leaf: leaf[:, None].at[0].mul(1e30), starts)
    trained = train(SMALL, DIGITS, KEYS, epochs=1, step_size=0.05, starts=starts)
    assert not np.isfinite(trained.metrics["train_loss"][0]).any()
    assert np.isfinite(trained.metrics["train_loss"][1:]).all()


@pytest.mark.parametrize("optimizer", [optax.trace(0.9), optax.scale_by_adam()])
def test_training_goes_on_from_a_checkpoint_as_if_never_interrupted(tmp_path, optimizer):
    network = LeNet5((16, 16, 1))
    path = tmp_path / "half.safetensors"

    def go(epochs, resume=None):
        return train(
            network, FRAMED, KEYS, epochs=epochs, step_size=0.01, activations=VARIANTS,
            optimizer=optimizer, resume=resume,
        )  # fmt: skip

    whole, half = go(2), go(1)
    save_checkpoint(path, half)
    kept = load_checkpoint(path, network, optimizer)
    assert [file.name for file in tmp_path.iterdir()] == ["half.safetensors"]
    later = go(2, resume=kept)
    for part in ("initial", "position", "metrics"):
        jax.tree.map(np.testing.assert_array_equal, getattr(later, part), getattr(whole, part))


class Interrupted:
    """A file that takes a checkpoint, and then the power fails."""

    def __init__(self, path, after):
        self.file, self.left = CheckpointFile(path), after

    def read(self):
        return self.file.read()

    def write(self, arrays):
        self.file.write(arrays)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_an_interrupted_training_ends_with_the_same_bits(tmp_path, monkeypatch):
    network = LeNet5((16, 16, 1))

    def go(checkpoint=None, epochs=5):
        return train(
            network, FRAMED, KEYS, epochs=epochs, step_size=0.01, activations=VARIANTS, target=2.0,
            test_every=2, checkpoint=checkpoint,
        )  # fmt: skip

    whole, path = go(), tmp_path / "training.safetensors"
    monkeypatch.setattr(training, "SECONDS", 0)  # a checkpoint after every epoch
    for after in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            go(Interrupted(path, after))
    later, again = go(str(path)), go(path)
    for found in (later, again):  # the second one finds nothing left to do
        for part in ("initial", "position", "metrics"):
            jax.tree.map(np.testing.assert_array_equal, getattr(found, part), getattr(whole, part))


def kept(path, **changed):
    """A training of a few steps with a checkpoint, changed or not."""
    given = {
        "network": SMALL, "dataset": DIGITS, "keys": KEYS, "epochs": 2, "step_size": 0.1,
        "activations": TWO, "starts": SMALL.init(KEYS[0]),
    } | changed  # fmt: skip
    if given["starts"] is not None:
        given["starts"] = jax.tree.map(lambda leaf: leaf[None, None], given["starts"])
    return train(
        given.pop("network"), given.pop("dataset"), given.pop("keys"), checkpoint=path, **given
    )


TWO = stack([quantizer(2, "relu"), quantizer(4, "identity")])
DARKER = replace(DIGITS, train_images=DIGITS.train_images // 2)
RELABELED = replace(DIGITS, train_labels=DIGITS.train_labels[::-1])
FEWER = replace(DIGITS, test_images=DIGITS.test_images[1:], test_labels=DIGITS.test_labels[1:])


class Doubled(TwoLayer):
    def __call__(self, *given):
        output = super().__call__(*given)
        return output._replace(logits=2 * output.logits)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"network": Doubled(DIGITS.shape, width=16)}, "the networks differ"),
        ({"network": TwoLayer(DIGITS.shape, width=17), "starts": None}, "the networks differ"),
        ({"dataset": DARKER}, "the training examples differ"),
        ({"dataset": RELABELED}, "the training examples differ"),
        ({"dataset": subset(DIGITS, 128, key=KEYS[0])}, "the training examples differ"),
        ({"dataset": FEWER}, "the test examples differ"),
        ({"keys": KEYS[::-1]}, "the keys differ"),
        ({"keys": KEYS[:2]}, "the keys differ"),
        ({"batch": 32}, "the batches differ"),
        ({"test_every": 2}, "the values of test_every differ"),
        ({"target": 0.1}, "the targets differ"),
        ({"optimizer": optax.trace(0.8)}, "the optimizers differ"),
        ({"optimizer": optax.scale_by_adam()}, "the optimizers differ"),
        ({"activations": jax.tree.map(lambda leaf: leaf[::-1], TWO)}, "the activations differ"),
        ({"activations": jax.nn.tanh}, "the activations differ"),
        ({"starts": SMALL.init(KEYS[1])}, "the starts differ"),
        ({"starts": None}, "the starts differ"),
        ({"step_size": 0.2}, "the step sizes differ"),
        ({"step_size": lambda step: 0.1 + 0.1 * (step == 7), "epochs": 4}, "the step sizes differ"),
        ({"epochs": 1}, "2 epochs behind it"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path_factory, changed, words):
    path = tmp_path_factory.getbasetemp() / "one.safetensors"  # trained once
    if not path.exists():
        kept(path)
    before = path.read_bytes()
    with pytest.raises(UserError, match=rf"the checkpoint .*one\.safetensors .*{words}"):
        kept(path, **changed)
    assert path.read_bytes() == before


def test_a_longer_training_goes_on_where_the_steps_were_the_same(tmp_path):
    path = tmp_path / "a.safetensors"
    kept(path)
    longer = kept(path, epochs=3, step_size=lambda step: 0.1 - 0.05 * (step >= 8))
    whole = kept(None, epochs=3, step_size=lambda step: 0.1 - 0.05 * (step >= 8))
    jax.tree.map(np.testing.assert_array_equal, longer.position, whole.position)


def test_a_checkpoint_says_the_same_in_another_process(tmp_path):
    """Names, addresses and the order of sets must not count."""
    code = (
        "import sys, jax; from whytrain.data import load; from whytrain.dynamics import train\n"
        "from whytrain.networks import TwoLayer\n"
        "digits = load('digits')\n"
        "softer = lambda x: jax.nn.softplus(x) if 'a' in {'a', 'b', 'c'} else x\n"
        "train(TwoLayer(digits.shape, 4), digits, jax.random.split(jax.random.key(0), 1),\n"
        "      epochs=1, step_size=lambda s: 0.1, activations=softer, checkpoint=sys.argv[1])"
    )
    for lines in ("", "\n\n"):  # the second one is further down in the file
        path = str(tmp_path / "a.safetensors")
        subprocess.run([sys.executable, "-c", lines + code, path], check=True)


def test_what_save_checkpoint_wrote_is_for_resume(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, train(SMALL, DIGITS, KEYS, epochs=1, step_size=0.1))
    with pytest.raises(UserError, match=r"does not say of which training.*resume=load_checkpoint"):
        train(SMALL, DIGITS, KEYS, epochs=1, step_size=0.1, checkpoint=path)


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("metrics/train_loss", None),
        ("metrics/test_loss", np.zeros((3, 1, 2), np.float32)),
        ("metrics/test_loss", np.zeros((3, 2, 1), np.float32)),
        ("metrics/test_loss", np.zeros((), np.float32)),
        ("position/steps", np.zeros((0, 1), np.int32)),
        ("position/memory/more", np.zeros(1, np.float32)),
    ],
)
def test_a_checkpoint_that_lacks_a_part_is_refused(tmp_path, name, held):
    path = tmp_path / "a.safetensors"

    def go():
        return train(SMALL, DIGITS, KEYS, epochs=1, step_size=0.1, checkpoint=path)

    go()
    place = CheckpointFile(path)
    arrays = place.read() | {name: held}
    place.write({name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(UserError, match=r"cannot go on from the checkpoint .*a\.safetensors: .+"):
        go()
    with pytest.raises(UserError, match=r"cannot go on from .*a\.safetensors: .+"):
        load_checkpoint(path, SMALL)


def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(UserError, match="cannot read the checkpoint"):
        load_checkpoint(path, SMALL)
    save_checkpoint(path, train(SMALL, DIGITS, KEYS, epochs=1, step_size=0.1))
    with pytest.raises(UserError, match="another network or optimizer"):
        load_checkpoint(path, TwoLayer(DIGITS.shape, width=17))
    with pytest.raises(UserError, match="another network or optimizer"):
        load_checkpoint(path, SMALL, optax.scale_by_adam())
    whole = path.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    for damaged in (b"", whole[:7], whole[:100], whole[:-1], flipped):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="cannot read the checkpoint"):
            load_checkpoint(path, SMALL)


class Scaled(TwoLayer):
    """With one number for all that it gives."""

    def init(self, key):
        return super().init(key) | {"scale": jnp.ones(())}

    def __call__(self, params, x, *rest):
        output = super().__call__(params, x, *rest)
        return output._replace(logits=params["scale"] * output.logits)


def changed_to(**fields):
    """The digits with other arrays, past the types that are checked in tests."""
    other = replace(DIGITS)
    for name, held in fields.items():
        object.__setattr__(other, name, np.asarray(held))
    return other


def labeled(labels):
    return changed_to(train_labels=labels)


def without(part):
    images, labels = DIGITS.train_images[:0], DIGITS.train_labels[:0]
    return changed_to(**{f"{part}_images": images, f"{part}_labels": labels})


UNTYPED = getattr(train, "__wrapped__", train)
LABELS = DIGITS.train_labels


@functools.cache
def half():
    return train(SMALL, DIGITS, KEYS, epochs=2, step_size=0.1)


STARTS = jax.tree.map(lambda leaf: leaf[None, None], SMALL.init(KEYS[0]))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"batch": 257}, "batch must be 1 to 256"),
        ({"batch": 32.0}, "batch must be .* got 32.0: a whole number"),
        ({"batch": "3"}, "batch must be .* got '3'"),
        ({"epochs": 0}, "epochs must be a whole number from 1 on, got 0"),
        ({"epochs": 2.0}, "epochs must be a whole number"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"test_every": 1.5}, "test_every must be a whole number"),
        ({"target": np.nan}, "target must be a number"),
        ({"target": "1"}, "target must be a number"),
        ({"step_size": "0.1"}, "step_size must be a finite number >= 0, .* got '0.1'"),
        ({"step_size": -0.1}, "step_size must be a finite number"),
        ({"step_size": np.nan}, "step_size must be a finite number"),
        ({"step_size": np.ones(2)}, "step_size must be a finite number"),
        (
            {"step_size": lambda step: 0.1 * step - 0.3 * (step == 2)},
            r"step_size gives -0\.1\d* at step 2",
        ),
        ({"step_size": lambda step: 1.0 / (step - 3)}, "gives -0.33.* at step 0"),
        ({"keys": KEYS[0]}, "one random key a run"),
        ({"keys": 3}, "one random key a run, .* got 3"),
        ({"keys": [0, 1]}, "one random key a run, .* got a list"),
        ({"keys": jnp.arange(2)}, "one random key a run"),
        ({"keys": jax.random.PRNGKey(0)}, "one random key a run"),
        ({"activations": "relu"}, "activations must be a function"),
        ({"activations": None}, "activations must be a function"),
        ({"activations": [jax.nn.relu]}, "activations must be .*stack"),
        ({"optimizer": "adam"}, "optimizer must be an Optax transformation"),
        ({"optimizer": optax.adam}, "optimizer must be an Optax transformation"),
        ({"checkpoint": 3}, "checkpoint must be a path"),
        ({"network": TwoLayer((9, 9, 1), 4)}, "images of shape"),
        ({"network": None}, "network must be an ImageNetwork"),
        ({"network": TwoLayer}, "make one of it"),
        ({"dataset": DIGITS.train_images}, "dataset must be a Dataset"),
        ({"dataset": labeled(LABELS - 1)}, "training labels .* classes from 0 to 9, got -1"),
        ({"dataset": labeled(LABELS + 1)}, "training labels .* classes from 0 to 9, got 10"),
        ({"dataset": labeled(LABELS.astype(np.int64) + 2**32)}, "from 0 to 9, got 42949"),
        ({"dataset": changed_to(test_labels=DIGITS.test_labels - 1)}, "test labels .* got -1"),
        ({"dataset": labeled(LABELS * 1.0)}, "training labels .* whole numbers .* got float"),
        ({"dataset": labeled(LABELS > 4)}, "whole numbers .* got bool"),
        ({"dataset": labeled(LABELS.astype(str))}, "whole numbers .* got <U"),
        ({"dataset": without("test")}, "no test examples"),
        ({"dataset": without("train")}, "no training examples"),
        ({"dataset": changed_to(test_images=DIGITS.test_images[:, 1:])}, "the test images"),
        ({"starts": jax.tree.map(lambda leaf: leaf[0], STARTS)}, "starts must have leading axes"),
        ({"starts": jax.tree.map(lambda leaf: leaf[..., :-1], STARTS)}, "behind the axes"),
        ({"starts": STARTS | {"W": STARTS["V"]}}, "starts/W is not one of them"),
        ({"starts": {"U": STARTS["U"]}}, "starts/V is missing"),
        ({"starts": STARTS, "resume": half}, "both given"),
        ({"resume": "half.safetensors"}, "read by load_checkpoint"),
        ({"resume": half, "keys": KEYS[:2]}, r"\(runs, variants\) = \(3, 1\), .* \(2, 1\)"),
        ({"resume": half, "activations": TWO}, r"\(runs, variants\) = \(3, 1\)"),
        ({"resume": half, "optimizer": optax.scale_by_adam()}, "another network or optimizer"),
        ({"resume": half, "optimizer": optax.identity()}, "another network or optimizer"),
        ({"resume": half, "network": TwoLayer(DIGITS.shape, 17)}, "another network or optimizer"),
        ({"resume": half, "network": Scaled(DIGITS.shape, 16)}, "another network or optimizer"),
        ({"resume": half}, "resume has 2 epochs behind it"),
    ],
)
def test_mistakes_are_told_in_one_line(changed, words):
    given = {
        "network": SMALL, "dataset": DIGITS, "keys": KEYS, "epochs": 1, "step_size": 0.1,
    } | changed  # fmt: skip
    if given.get("resume") is half:
        given["resume"] = half()
    with pytest.raises(UserError, match=words) as found:
        UNTYPED(given.pop("network"), given.pop("dataset"), given.pop("keys"), **given)
    assert "\n" not in str(found.value)


def test_networks_that_stand_still_are_not_resumed_with_another_target():
    def go(epochs, target, resume=None):
        return train(
            SMALL, DIGITS, KEYS, epochs=epochs, step_size=0.1, target=target, resume=resume
        )

    ended = go(9, 2.0)
    assert not np.asarray(ended.position.training).any()
    assert go(9, 2.0, ended) is ended
    for target in (None, 0.01):
        with pytest.raises(UserError, match=r"run 0, variant 0 of resume stands still at a loss"):
            go(9, target, ended)


def test_networks_are_not_evaluated_with_activations_of_others():
    trained = train(SMALL, DIGITS, KEYS, epochs=1, step_size=0.1, activations=VARIANTS)
    with pytest.raises(UserError, match="activations must be one, or 6"):
        evaluate(SMALL, DIGITS, trained, TWO)


def test_a_parameter_that_is_one_number_may_be_given():
    network = Scaled(DIGITS.shape, width=4)
    params = network.init(jax.random.key(0))
    starts = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None, None], params)
    assert starts["scale"].shape == (1, 1)
    trained = train(network, DIGITS, KEYS, epochs=1, step_size=0.05, starts=starts)
    assert np.isfinite(trained.metrics["train_loss"]).all()
