import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from whytrain.cli import main
from whytrain.errors import UserError
from whytrain.kernels import kernel_regime, network_regime
from whytrain.measures import Dense, forward
from whytrain.networks import FullyConnected

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
SIGNS = np.where(X[:, 0] > 0, 1, -1)


def trained(width, step=0.5, steps=100):
    """A network of a width, before and after descent on the square loss."""
    net = FullyConnected((4, width), activation=jnp.tanh, gain=2.5)
    start = params = net.init(jax.random.key(0))

    @jax.jit
    def descend(params):
        slope = jax.grad(lambda p: jnp.mean((net(p, X) - SIGNS) ** 2) / 2)(params)
        return jax.tree.map(lambda p, g: p - step * g, params, slope)

    for _ in range(steps):
        params = descend(params)
    return net, start, params


def test_a_wide_network_is_in_the_regime_and_a_narrow_one_is_out():
    wide, narrow = (kernel_regime(*trained(width), X, SIGNS) for width in (4096, 4))
    assert wide.word == "in"
    assert wide.deciding < 0.1 < narrow.deciding
    assert "kernel regime" in narrow.sentence
    assert wide.predictions.held_out


def test_a_linear_model_is_its_own_linearization():
    found = kernel_regime(lambda w, x: x @ w, np.ones(4), np.zeros(4), X, X @ np.ones(4))
    assert found.drift.frobenius == 0
    assert found.linearization_gap == pytest.approx(0, abs=1e-12)


def test_parameters_that_did_not_move_are_told():
    found = kernel_regime(lambda w, x: x @ w, np.ones(4), np.ones(4), X, SIGNS)
    assert found.linearization_gap is None
    assert "did not move" in found.sentence


def test_a_gap_that_may_be_rounding_is_told():
    """In single precision so small a step leaves nothing of `f - f_lin` but rounding."""
    net, start, _ = trained(4, steps=0)
    start = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), start)
    end = jax.tree.map(lambda leaf: leaf * np.float32(1 + 3e-7), start)
    found = kernel_regime(net, start, end, X.astype(np.float32), SIGNS)
    assert found.linearization_gap > 0.1
    assert "may be rounding" in found.notes[-1]
    doubles = [jax.tree.map(lambda leaf: leaf.astype(float), each) for each in (start, end)]
    found = kernel_regime(net, *doubles, X, SIGNS)
    assert found.linearization_gap < 1e-5
    assert not found.notes


def test_parameters_that_start_at_zero_moved_by_no_share_of_it():
    found = kernel_regime(lambda w, x: x @ w, np.zeros(4), np.ones(4), X, X @ np.ones(4))
    assert found.moved is None
    assert found.word == "in"


def test_whole_numbers_as_inputs_leave_the_parameters_as_they_are():
    """Tokens: the table's rows are the read-out's weights, so that all is linear."""
    tokens, table = np.arange(40) % 7, np.linspace(0.1, 0.7, 7)
    found = kernel_regime(lambda w, x: w[x], table, table + 0.25, tokens, table[tokens] + 0.25)
    assert found.predictions.network_error == pytest.approx(0, abs=1e-12)
    assert found.predictions.kernel_error == pytest.approx(0, abs=1e-12)


def test_many_examples_are_measured_in_part_and_it_is_said():
    found = kernel_regime(
        lambda w, x: x @ w, np.ones(4), np.zeros(4), X, SIGNS, points=20, test=(X, SIGNS)
    )
    assert found.examples == found.predictions.examples == 20
    assert "measured on 20 of 40 training examples, evenly chosen" in found.notes


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.arange(40), "classes from 0 to 1"),
        (np.ones((40, 3)), "one number for each of 2 outputs"),
        (np.ones(39), "one target an example: 40 training examples"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, words):
    with pytest.raises(UserError, match=words):
        kernel_regime(lambda w, x: x @ w, np.ones((4, 2)), np.zeros((4, 2)), X, targets)


@pytest.mark.parametrize(
    ("targets", "more", "words"),
    [
        (3, {}, "one target an example"),
        (None, {}, "training targets must be real numbers, got object"),
        (1j * SIGNS, {}, "training targets must be real numbers, got complex128"),
        (SIGNS * 1e300, {}, r"finite numbers, below 1e\+100"),
        (SIGNS * np.nan, {}, "finite numbers"),
        (np.arange(40), {}, "the sign of one output tells two classes, .*, got 0 to 39"),
        (1 + (SIGNS > 0), {}, "the sign of one output tells two classes, .*, got 1 to 2"),
        (SIGNS, {"points": True}, "points must be a whole number from 10 on, got True"),
        (SIGNS, {"points": 0}, "points must be a whole number from 10 on, got 0"),
        (SIGNS, {"test": (X[:3], SIGNS[:2])}, r"3 test examples, and targets of the shape \(2,\)"),
        (SIGNS, {"test": (X[:, :2], SIGNS)}, r"of shape \(4,\), got \(2,\)"),
    ],
)
def test_what_is_no_target_of_one_output_is_refused(targets, more, words):
    with pytest.raises(UserError, match=words) as told:
        kernel_regime(lambda w, x: x @ w, np.ones(4), np.zeros(4), X, targets, **more)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("classes", [SIGNS > 0, (SIGNS > 0) * 1], ids=["bool", "0, 1"])
def test_two_classes_of_one_output_may_have_other_names(classes):
    w = np.ones(4)
    found, known = (
        kernel_regime(lambda w, x: x @ w, w, 2 * w, X, targets).predictions
        for targets in (classes, SIGNS.astype(int))
    )
    assert found == known
    assert found.classes


# -- a network that is read from a file -------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place = tmp_path_factory.mktemp("kernel")
    shapes = {"0.weight": (6, 4), "0.bias": (6,), "2.weight": (3, 6), "2.bias": (3,)}
    state = {name: RNG.normal(size=shape) for name, shape in shapes.items()}
    after = {name: array + 0.1 * RNG.normal(size=array.shape) for name, array in state.items()}
    save_file(state, place / "a.safetensors")
    save_file(after, place / "b.safetensors")
    outputs = np.maximum(X @ after["0.weight"].T + after["0.bias"], 0) @ after["2.weight"].T
    np.savez(place / "d.npz", inputs=X, labels=np.arange(40) % 3, outputs=outputs + after["2.bias"])
    (place / "net.py").write_text(
        "import jax.numpy as jnp\n"
        "def net(p, x):\n"
        "    h = jnp.maximum(x @ p['0.weight'].T + p['0.bias'], 0)\n"
        "    return h @ p['2.weight'].T + p['2.bias']\n"
    )
    return place, state, after


def command(place, *more):
    return ["measure", "kernel", "--initial", f"{place}/a.safetensors", "--trained",
            f"{place}/b.safetensors", "--data", f"{place}/d.npz", *more]  # fmt: skip


def test_the_command_measures_the_network_in_a_file(files, capsys):
    place, state, after = files
    assert main(command(place, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    right = network_regime(state, after, X, np.arange(40) % 3)
    assert found["checked"]
    assert found["deciding"] == pytest.approx(right.deciding)
    assert main(command(place, "--json", "--python", f"{place}/net.py:net")) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["deciding"] == pytest.approx(found["deciding"])
    assert again["drift"] == pytest.approx(found["drift"])


def test_one_output_is_held_against_the_models():
    before, after = (
        [Dense(RNG.normal(size=(5, 4))), Dense(RNG.normal(size=(1, 5)))] for _ in range(2)
    )
    values = np.asarray(forward(after, X))
    assert network_regime(before, after, X, X[:, 0], outputs=values).checked
    with pytest.raises(UserError, match="is not the model"):
        network_regime(before, after, X, X[:, 0], outputs=values + 1)


def test_the_command_prints_a_sentence_and_tables_that_fit(files, capsys):
    assert main(command(files[0])) == 0
    printed = capsys.readouterr().out
    assert "kernel regime" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_a_mistake_is_one_line(files, capsys):
    place = files[0]
    assert main(command(place, "--python", f"{place}/net.py:nett")) == 2
    assert "did you mean" in capsys.readouterr().err
    assert main(command(place, "--memory", "much")) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_test_inputs_without_labels_are_refused(files, tmp_path, capsys):
    place = files[0]
    np.savez(tmp_path / "d.npz", inputs=X, labels=np.arange(40) % 3, test_inputs=X)
    call = command(place)
    call[call.index(f"{place}/d.npz")] = str(tmp_path / "d.npz")
    assert main(call) == 2
    assert "has 'test_inputs' alone" in capsys.readouterr().err


def test_a_network_that_drops_examples_is_refused():
    x, w = np.random.default_rng(0).normal(size=(20, 3)), np.ones(3)
    with pytest.raises(UserError, match="of a batch of 20 it gives 5; keep the first axis whole"):
        kernel_regime(lambda w, x: (x @ w)[:5], w, w + 1, x, x @ w)
