"""Linearity of a user's network: certificates against the network itself, and refusals."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from whytrain.errors import UserError
from whytrain.measures import certified_linear, certified_signs, linearity, weight_clusters
from whytrain.measures.linearity import SignedNetwork
from whytrain.report import draw_linearity_page


def leaky(z, slope):
    return np.where(z > 0, z, slope * z)


def clusters(rng, n, m, d, radius):
    centers = rng.standard_normal((2, d))
    return [
        center + radius * rng.uniform(-1, 1, (count, d)) / np.sqrt(d)
        for center, count in zip(centers, (n, m), strict=True)
    ]


@pytest.mark.parametrize("slope", [0.0, 0.1, 0.7, 1.0])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 4), (3, 11)])
@pytest.mark.parametrize("bias", [0.0, -0.8])
def test_what_is_certified_holds(slope, n, m, bias):
    rng = np.random.default_rng(0)
    told = 0
    for radius in np.geomspace(1e-3, 2, 60):
        w, u = clusters(rng, n, m, 4, radius)
        x = rng.standard_normal((300, 4))
        f = leaky(x @ w.T, slope).sum(axis=1) - leaky(x @ u.T, slope).sum(axis=1) + bias
        found = certified_signs(w, u, x, slope, bias)
        assert (found[found != 0] == np.sign(f[found != 0])).all()
        told += (found != 0).sum()
    assert told > 2000


def test_the_theorem_is_a_special_case():
    """Equal numbers, no bias: `(r + R) |x|` is at most `2 max(r, R) |x|`, and no less will do."""
    rng = np.random.default_rng(1)
    more = 0
    for radius in np.geomspace(0.01, 1, 50):
        w, u = clusters(rng, 5, 5, 3, radius)
        x = rng.standard_normal((200, 3))
        of_theorem, found = certified_linear(w, u, x), certified_signs(w, u, x, 0.3)
        assert (found[of_theorem] != 0).all()
        more += (found != 0).sum() - of_theorem.sum()
    assert more > 0
    # Units at the border of both balls: just inside the condition they are on the wrong side.
    x = np.array([[1.0, 0.0]])
    for share, sure in ((0.999, True), (1.001, False)):
        reach = 0.5 * share  # of both; the centers are 1 apart along x
        w, u = [np.array([[c + reach, 0.0], [c - reach, 0.0]]) for c in (1.0, 0.0)]
        assert bool(certified_signs(w, u, x, 0.3)[0]) is sure


def dense_state(rng, hidden=12, inputs=3, logits=1, bias=True):
    state = {"0.weight": rng.standard_normal((hidden, inputs)),
             "2.weight": rng.standard_normal((logits, hidden))}  # fmt: skip
    if bias:
        state |= {"0.bias": rng.standard_normal(hidden), "2.bias": rng.standard_normal(logits)}
    return state


def forward(state, x, slope):
    h = leaky(x @ state["0.weight"].T + state.get("0.bias", 0), slope)
    return h @ state["2.weight"].T + state.get("2.bias", 0)


@pytest.mark.parametrize("logits", [1, 2, 4])
@pytest.mark.parametrize("slope", [0.0, 0.01, 0.4])
def test_the_network_is_the_users(logits, slope):
    """Decisions are those of the outputs, and the slope is read off them."""
    rng = np.random.default_rng(2)
    state, x = dense_state(rng, logits=logits), rng.standard_normal((80, 3))
    out = forward(state, x, slope)
    classes = None if logits < 4 else (1, 3)
    rows = {1: None, 2: (0, 1), 4: (1, 3)}[logits]
    f = out[:, 0] if rows is None else out[:, rows[1]] - out[:, rows[0]]
    y = (f > 0).astype(int) if classes is None else np.where(f > 0, 3, 1)
    y[:1] = y[0] if classes is None else 0
    found = linearity(state, x, y, outputs=out, classes=classes, probes=200)
    assert found.checked
    assert found.network.slope == pytest.approx(slope, abs=1e-8)
    np.testing.assert_allclose(found.network.outputs(x), f, atol=1e-9)
    assert found.train_error == 0
    given = linearity(state, x, y, slope=slope, classes=classes, probes=200)
    assert not given.checked
    assert given.train_error == 0
    assert any("not checked" in note for note in given.notes)
    with pytest.raises(UserError, match=r"not those of this network.*with the slope"):
        linearity(state, x, y, slope=0.9, outputs=out, classes=classes)


def test_certified_examples_lie_beyond_the_cone():
    rng = np.random.default_rng(3)
    w, u = clusters(rng, 6, 6, 2, 0.2)
    state = {"0.weight": np.vstack([w, u]), "2.weight": np.repeat([[1.0, -1.0]], 6, axis=1)}
    x = rng.standard_normal((400, 2))
    y = forward(state, x, 0.2)[:, 0] > 0
    found = linearity(state, x, y, slope=0.2)
    normal = w.mean(axis=0) - u.mean(axis=0)
    apart = np.degrees(
        np.arcsin(abs(x @ normal) / np.linalg.norm(x, axis=1) / np.linalg.norm(normal))
    )
    np.testing.assert_array_equal(found.network.certified(x), apart > found.network.cone)
    assert found.certified["training"] == pytest.approx(np.mean(apart > found.network.cone))
    assert found.clusters.ratio == pytest.approx(weight_clusters(w, u).ratio)
    assert "Certified: one hyperplane" in found.sentence
    assert draw_linearity_page(found, x, y).axes


def test_an_xor_is_not_linear_and_nothing_is_certified():
    corners = np.array([[1.0, 1], [-1, -1], [1, -1], [-1, 1]])
    state = {"0.weight": corners, "2.weight": [[1.0, 1, -1, -1]]}
    x = np.random.default_rng(4).standard_normal((300, 2))
    found = linearity(state, x, x[:, 0] * x[:, 1] > 0, slope=0)
    assert found.word == "not linear"
    assert found.certified == {"training": 0.0, "probes": 0.0}
    assert found.network.cone is None
    assert "nothing" in found.sentence


@pytest.mark.parametrize("classes", [(3, 5), (3, 5, 8)])
def test_digits_of_scikit_learn(classes):
    """Labels as they are; of three classes, two are compared, and every decision is the model's."""
    x, y = load_digits(return_X_y=True)
    x, y = x[np.isin(y, classes)] / 16, y[np.isin(y, classes)]
    model = MLPClassifier((16,), solver="lbfgs", random_state=0).fit(x[:300], y[:300])
    found = linearity(model, x[:300], y[:300], classes=(3, 5), test=(x[300:], y[300:]))
    pair = np.isin(y, (3, 5))
    odds = model.predict_proba(x[pair])[:, :2]
    says = np.where(odds[:, 1] > odds[:, 0], 1.0, -1.0)
    np.testing.assert_array_equal(found.network.decisions(x[pair]), says)
    assert found.test_error is not None
    assert found.test_error < 0.1
    assert found.network.slope == 0
    assert found.checked is (len(classes) == 3)  # probabilities of one logit tell it too coarsely
    assert len(draw_linearity_page(found, x[:300], y[:300]).axes) == 2
    assert set(found.document()["certified"]) == {"training", "test", "probes"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": np.arange(20) % 3}, "of two classes, these labels have 3"),
        ({"labels": np.zeros(20)}, "these labels have 1"),
        ({"labels": np.zeros(19)}, "one for each of 20"),
        ({"slope": 1.5}, "slope must be from 0"),
        ({"inputs": np.ones((20, 4))}, "examples of 3 numbers"),
        ({"inputs": np.full((20, 3), np.nan)}, "finite"),
        ({"outputs": np.ones((20, 2))}, "the network gives 1"),
        ({"outputs": np.ones((20, 1))}, "not those of this network"),
        ({"probes": 3}, "probes must be 100"),
        ({"order": ["0", "2", "4"]}, "order must name the two layers"),
        ({"classes": (0, 7)}, "two labels that occur"),
        ({"test": (np.ones((4, 3)), np.full(4, 9))}, "no example of the classes"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    rng = np.random.default_rng(5)
    given = {"inputs": rng.standard_normal((20, 3)), "labels": np.arange(20) % 2} | changes
    with pytest.raises(UserError, match=words):
        linearity(dense_state(rng), given.pop("inputs"), given.pop("labels"), **given)


def test_one_sign_has_no_boundary():
    state = {"0.weight": np.eye(3), "2.weight": np.ones((1, 3))}
    x = np.random.default_rng(6).standard_normal((20, 3))
    with pytest.raises(UserError, match="all units count for one class"):
        linearity(state, x, np.arange(20) % 2)


@pytest.mark.parametrize("layer", ["0.weight", "2.weight", None])
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_numbers_whose_squares_are_none_are_refused(layer, size):
    rng = np.random.default_rng(0)
    state = dense_state(rng)
    x = rng.standard_normal((40, 3)) * (size if layer is None else 1)
    if layer:
        state = {name: size * each if name == layer else each for name, each in state.items()}
        state["0.bias"] = np.zeros(12)
    with pytest.raises(UserError, match=r"must lie between 1e-100 and 1e\+100"):
        linearity(state, x, np.arange(40) % 2)


def test_the_common_rule_is_the_sum_over_all_units():
    w, u = np.array([[1.0, 2.0], [0.5, 0.0], [0.0, 4.0]]), np.array([[3.0, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(SignedNetwork(w, u, 0.2).normal, [1.5 - 4.0, 6.0 - 2.0])
