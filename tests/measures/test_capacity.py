"""Every number of `capacity` against plain NumPy, by hand, and under what must not change it."""

import json

import numpy as np
import pytest

import plain_capacity as plain
from whytrain import UserError
from whytrain.measures import Facts, TwoLayerWeights, capacity, read_checkpoint
from whytrain.measures.bounds import BOUNDS, covering_number_log, theorem5

CASES = [
    {"seed": s, "bias": b, "h": h} for s, b, h in ((0, True, 20), (1, False, 15), (2, True, 64))
]


def leaves(value, name=""):
    """All numbers of a document by the way to them."""
    if isinstance(value, dict):
        return {
            k: v for key, item in value.items() for k, v in leaves(item, f"{name}.{key}").items()
        }
    return {} if isinstance(value, str | list) else {name: value}


def assert_same(one, other, tolerance=1e-10, but=()):
    one, other = leaves(one.document()), leaves(other.document())
    assert one.keys() == other.keys()
    for name, value in one.items():
        if not any(word in name for word in but):
            assert other[name] == pytest.approx(value, rel=tolerance, abs=1e-12), name


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_every_bound_is_the_formula(case, share):
    first, last, x, y = plain.network(**case)
    found = capacity(first, last, x, y, quantile=share)
    expected, released = plain.capacities(first, last, x, y, share)
    assert {name: bound.capacity for name, bound in found.bounds.items()} == pytest.approx(
        expected, rel=1e-11
    )
    assert {
        name: bound.as_released for name, bound in found.bounds.items() if bound.as_released
    } == pytest.approx(released, rel=1e-11)
    for bound in found.bounds.values():
        assert bound.gap == pytest.approx((bound.capacity / len(x)) ** 0.5)
        assert bound.vacuous == (bound.gap >= 1 - 1 / last["output.weight"].shape[0])


def test_every_norm_is_what_its_name_says():
    first, last, x, y = plain.network()
    found = capacity(first, last, x, y)
    U, V, U0, V0 = (s[f"{k}.weight"] for s in (last, first) for k in ("hidden", "output"))
    expected = {
        "path_1": sum(
            abs(V[k, j] * U[j, i]) for k in range(4) for j in range(20) for i in range(12)
        ),
        "path_2": sum(
            (V[k, j] * U[j, i]) ** 2 for k in range(4) for j in range(20) for i in range(12)
        ) ** 0.5,
        "input_rms": (x**2).sum(axis=1).mean() ** 0.5, "input_max": np.linalg.norm(x, axis=1).max(),
        "input_inf_rms": (abs(x).max(axis=1) ** 2).mean() ** 0.5,
        "U0_response": np.linalg.norm(U0 @ x.T) / len(x) ** 0.5,
    }  # fmt: skip
    for name, now, then in (("U", U, U0), ("V", V, V0)):
        expected |= {
            f"{name}_spectral": plain.spec(now), f"{name}_frobenius": np.linalg.norm(now),
            f"{name}_1_2": plain.rows(now), f"{name}_inf_1": plain.inf1(now),
            f"{name}0_spectral": plain.spec(then), f"{name}0_frobenius": np.linalg.norm(then),
            f"{name}_distance_spectral": plain.spec(now - then),
            f"{name}_distance_frobenius": np.linalg.norm(now - then),
            f"{name}_distance_1_2": plain.rows(now - then),
        }  # fmt: skip
    assert found.norms == pytest.approx(expected, rel=1e-12)
    assert found.margins == pytest.approx(plain.margins(last, x, y), rel=1e-12)
    assert found.unit_capacity == pytest.approx([np.linalg.norm(r) for r in U - U0])
    assert found.unit_impact == pytest.approx([np.linalg.norm(column) for column in V.T])
    cosines = [u @ v / np.linalg.norm(u) / np.linalg.norm(v) for u, v in zip(U, U0, strict=True)]
    assert found.unit_angle == pytest.approx(np.degrees(np.arccos(cosines)))
    at = np.array(found.unit_impact) @ (
        found.unit_capacity * np.linalg.norm(x) + np.linalg.norm(U0 @ x.T, axis=1)
    )
    factor = (2 * 8**0.5 + 2) / (found.margin * len(x))
    assert found.complexity["theorem1"] == pytest.approx(factor * at)
    assert found.complexity["theorem1"] <= found.complexity["theorem1_by_norms"]


def test_a_network_of_one_unit_by_hand():
    # U = 3, V = (2, 0), x = 1: outputs (6, 0), margin 6; U0 = 1, V0 = 0.
    first = {"hidden.weight": [[1.0]], "output.weight": [[0.0], [0.0]]}
    last = {"hidden.weight": [[3.0]], "output.weight": [[2.0], [0.0]]}
    found = capacity(first, last, np.ones((4, 1)), np.zeros(4, int), delta=0.5)
    assert found.margin == 6
    main = 3 * 2**0.5 * 3 * 3 * (1 + 2 * 1 + 1) / 6
    union = 3 * (5 + np.log(12 / 0.5)) ** 0.5
    assert found.bounds["neyshabur2019"].capacity == pytest.approx((main + union) ** 2)
    fro = 8 * 2**0.5 * 3 * 2 * 1 / 6 + 3 * np.log(8) ** 0.5
    assert found.bounds["neyshabur2015"].capacity == pytest.approx(fro**2)
    # 2 (1 + 1) * 1 + (1 + 1) * 2 = 6 ... W = 2 + 4 parameters, of which the first 2 count twice
    vc = 2 + 8 * np.log2(8 * np.e * 5 * np.log2(4 * np.e * 5))
    assert found.bounds["vc"].capacity == pytest.approx(16 * vc + 8 * np.log(4))
    assert found.measures["init_fro"] == 2
    assert found.measures["dist_fro"] == 4
    assert found.measures["neyshabur2019"] == 7
    assert found.normalized_margins() == pytest.approx([1.0] * 4)
    assert found.complexity["theorem1"] == pytest.approx(6 / (6 * 4) * 2 * (2 * 2 + 2))


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_the_batch_changes_nothing(batch):
    first, last, x, y = plain.network()
    assert_same(capacity(first, last, x, y), capacity(first, last, x, y, batch=batch))


def test_pairs_of_batches_are_the_same_sample():
    first, last, x, y = plain.network()
    pairs = [(x[i : i + 40], y[i : i + 40]) for i in range(0, len(x), 40)]
    assert_same(capacity(first, last, x, y), capacity(first, last, iter(pairs)))


def test_the_order_changes_nothing_but_the_released_fault():
    first, last, x, y = plain.network()
    order = np.random.default_rng(5).permutation(len(x))
    shuffled = capacity(first, last, x[order], y[order])
    fault = "bartlett_mendelson2002.as_released"
    assert_same(capacity(first, last, x, y), shuffled, but=[fault])


def test_images_of_single_precision_on_a_device_are_the_same_sample():
    import jax.numpy as jnp

    first, last, x, y = plain.network()
    x = x.astype(np.float32)
    images = jnp.asarray(x).reshape(-1, 3, 4)
    states = [{k: jnp.asarray(v) for k, v in state.items()} for state in (first, last)]
    assert_same(capacity(first, last, x, y), capacity(*states, images, jnp.asarray(y)))


def test_a_permutation_of_the_units_changes_nothing():
    first, last, x, y = plain.network()
    order = np.random.default_rng(5).permutation(20)

    def permuted(state):
        return {
            "hidden.weight": state["hidden.weight"][order],
            "hidden.bias": state["hidden.bias"][order],
            "output.weight": state["output.weight"][:, order], "output.bias": state["output.bias"],
        }  # fmt: skip

    assert_same(capacity(first, last, x, y), capacity(permuted(first), permuted(last), x, y))


def test_rescaling_changes_only_what_the_theory_says():
    first, last, x, y = plain.network(bias=False)
    scale = {"hidden.weight": 1 / 3, "output.weight": 3.0}
    one = capacity(first, last, x, y)
    scaled = [{name: state[name] * scale[name] for name in state} for state in (first, last)]
    other = capacity(*scaled, x, y)
    assert other.margin == pytest.approx(one.margin)
    free = ("vc", "neyshabur2018")
    for name in ("vc", "neyshabur2015", "neyshabur2018", "bartlett_mendelson2002"):
        assert other.bounds[name].capacity == pytest.approx(one.bounds[name].capacity), name
    for name in set(one.measures) - {"neyshabur2019"}:
        assert other.measures[name] == pytest.approx(one.measures[name]), name
    assert other.norms["path_1"] == pytest.approx(one.norms["path_1"])
    assert other.norms["path_2"] == pytest.approx(one.norms["path_2"])
    # the released form of this one is not invariant, though the theorem is
    assert other.bounds[free[1]].as_released != pytest.approx(one.bounds[free[1]].as_released)
    ratio = other.bounds["neyshabur2019"].capacity / one.bounds["neyshabur2019"].capacity
    assert 0.5 < ratio < 1.5
    assert ratio != pytest.approx(1, abs=1e-6)


def test_scaling_the_output_scales_the_margin_but_not_the_normalized_one():
    first, last, x, y = plain.network(bias=False)
    doubled = last | {"output.weight": 2 * last["output.weight"]}
    one, other = capacity(first, last, x, y), capacity(first, doubled, x, y)
    assert other.margin == pytest.approx(2 * one.margin)
    assert other.normalized_margins() == pytest.approx(one.normalized_margins())


def test_a_test_set_gives_the_gap():
    first, last, x, y = plain.network()
    wrong = (y + (np.arange(len(y)) < 30)) % 4
    errors = capacity(first, last, x, y, test=(x, wrong)).document()["errors"]
    assert errors == {"train": 0.0, "test": 0.2, "gap": 0.2}


def test_a_non_positive_margin_is_refused_in_words():
    first, last, x, y = plain.network()
    wrong = (y + (np.arange(len(y)) < 30)) % 4
    with pytest.raises(UserError, match=r"margin at quantile 0.05 is -.*not positive \(20.0%"):
        capacity(first, last, x, wrong)
    assert capacity(first, last, x, wrong, quantile=0.5).train_error == 0.2


def test_the_document_is_json_and_has_the_promised_parts():
    document = json.loads(json.dumps(capacity(*plain.network()).document(), allow_nan=False))
    assert document["margin"]["quantile"] == 0.05
    assert document["margin"]["value"] > 0
    assert set(document["bounds"]) == {
        "vc", "bartlett_mendelson2002", "neyshabur2015", "bartlett2017", "neyshabur2018",
        "neyshabur2019",
    }  # fmt: skip
    for name, bound in document["bounds"].items():
        assert {"capacity", "gap", "vacuous"} <= set(bound)
        released = ("bartlett_mendelson2002", "neyshabur2018", "neyshabur2019")
        assert ("as_released" in bound) == (name in released)
    assert document["network"]["parameters"] == 13 * 20 + 21 * 4
    assert all("margin rests on 8 examples" in note for note in document["notes"][:1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.ones((150, 5))}, "takes 12 numbers an example, the inputs have 5"),
        ({"y": np.full(150, 4)}, "whole numbers from 0 to 3, got 4 for example 0"),
        ({"y": np.full(150, 0.5)}, "whole numbers from 0 to 3, got 0.5"),
        ({"y": np.zeros(3, int)}, "one class for each of the 150 inputs"),
        ({"x": np.full((150, 12), np.nan)}, "input 0 holds a number that is not finite"),
        ({"x": np.full((150, 12), "0.5")}, "the inputs must be real numbers, got <U3"),
        ({"x": np.ones((150, 12), complex)}, "the inputs must be real numbers, got complex128"),
        ({"y": np.zeros(150, "M8[s]")}, "the labels must be real numbers, got datetime64"),
        ({"y": np.eye(150, 4)}, r"one class for each of the 150 inputs, .*got shape \(150, 4\)"),
        ({"x": np.float64(3)}, "an array whose first axis counts the examples"),
        ({"x": np.ones((0, 12)), "y": np.zeros(0, int)}, "the sample is empty"),
        ({"quantile": 2.0}, "quantile of the margin must be from 0 to 1, got 2"),
        ({"delta": 0.0}, "delta must be between 0 and 1"),
        ({"batch": 0}, "batch must be 1 or more"),
        ({"hidden": "hiden", "output": "output"}, "no layer 'hiden'; did you mean 'hidden'"),
        ({"hidden": "hidden"}, "name both layers"),
        ({"hidden": "output", "output": "hidden"}, "are they swapped"),
        ({"hidden": "hidden.bias", "output": "output"}, "a layer is a matrix"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(change, message):
    first, last, x, y = plain.network()
    x, y = change.pop("x", x), change.pop("y", y)
    with pytest.raises(UserError, match=message) as caught:
        capacity(first, last, x, y, **change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["output.weight", "hidden.bias"])
def test_a_diverged_checkpoint_is_told(name):
    first, last, x, y = plain.network()
    last[name].ravel()[0] = np.inf
    with pytest.raises(UserError, match=f"'{name}' holds numbers that are not finite"):
        capacity(first, last, x, y)


@pytest.mark.parametrize("zero", ["output", "hidden"])
def test_a_network_that_does_not_look_at_its_inputs_has_no_capacity(zero):
    first, last, x, y = plain.network()
    for state in (first, last):
        state[f"{zero}.weight"] = 0 * state[f"{zero}.weight"]
        state["output.bias"] = np.array([1.0, 0, 0, 0])
        state["hidden.bias"] = 0 * state["hidden.bias"]
    with pytest.raises(UserError, match="outputs do not depend on the inputs"):
        capacity(first, last, x, 0 * y)


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (1e200, "outputs of the trained network are too large"),
        (1e-100, "bound neyshabur2019 is too large"),
    ],
)
def test_numbers_beyond_float64_are_told(scale, message):
    first, last, x, y = plain.network(bias=False)
    with pytest.raises(UserError, match=message):
        capacity(first, {name: scale * array for name, array in last.items()}, x, y)


def test_a_bound_that_is_none_for_one_input_or_one_example_says_so():
    first, last, x, _ = plain.network(d=1)
    y = plain.logits(last, x).argmax(axis=1)
    found = capacity(first, last, x, y)
    notes = " ".join(found.notes)
    assert "bartlett_mendelson2002 has a logarithm that is 0 for one input" in notes
    none = found.bounds["bartlett_mendelson2002"]
    assert (none.capacity, none.gap, none.vacuous) == (None, None, True)
    first, last, x, y = plain.network()
    found = capacity(first, last, x[:1], y[:1])
    notes = " ".join(found.notes)
    assert found.bounds["bartlett2017"].capacity is None
    assert "bartlett2017 has a logarithm that is 0 for one example" in notes
    assert "rests on 1 example below" in notes


def test_duplicate_examples_count_as_often_as_they_are_given():
    first, last, x, y = plain.network()
    twice = capacity(first, last, np.repeat(x, 2, axis=0), np.repeat(y, 2), quantile=0.0)
    once = capacity(first, last, x, y, quantile=0.0)
    assert twice.margin == once.margin
    assert twice.norms == pytest.approx(once.norms, rel=1e-12)
    expected, _ = plain.capacities(first, last, np.repeat(x, 2, axis=0), np.repeat(y, 2), 0.0)
    assert {n: b.capacity for n, b in twice.bounds.items()} == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_checkpoints_of_any_precision_are_the_numbers_they_hold(kind, tmp_path):
    import jax.numpy as jnp
    from safetensors.numpy import save_file

    first, last, x, _ = plain.network()
    rounded = [{k: np.asarray(jnp.asarray(v, kind)) for k, v in s.items()} for s in (first, last)]
    exact = [{k: v.astype(np.float64) for k, v in s.items()} for s in rounded]
    y = plain.logits(exact[1], x).argmax(axis=1)
    for i, state in enumerate(rounded):
        save_file(state, tmp_path / f"{i}.safetensors")
    read = [read_checkpoint(tmp_path / f"{i}.safetensors") for i in (0, 1)]
    assert_same(capacity(*exact, x, y), capacity(*read, x, y), 1e-14)


def test_checkpoints_of_two_networks_are_told():
    _, last, x, y = plain.network()
    other = plain.network(h=5)[0]
    with pytest.raises(UserError, match="initial network is 12-5-4, the trained one 12-20-4"):
        capacity(other, last, x, y)


@pytest.mark.parametrize("names", [("0", "2"), ("fc1", "fc2"), ("b", "a"), ("net.0", "net.2")])
def test_pytorch_s_own_names_are_understood(names):
    first, last, x, y = plain.network()
    renamed = [
        {
            f"{new}.{part}": state[f"{old}.{part}"]
            for old, new in zip(("hidden", "output"), names, strict=True)
            for part in ("weight", "bias")
        }
        for state in (first, last)
    ]
    assert_same(capacity(first, last, x, y), capacity(*renamed, x, y))
    assert_same(
        capacity(first, last, x, y), capacity(*renamed, x, y, hidden=names[0], output=names[1])
    )


def test_this_package_s_own_parameters_are_understood():
    first, last, x, y = plain.network()
    own = {
        "hidden.weight": "U", "hidden.bias": "bias", "output.weight": "V",
        "output.bias": "out_bias",
    }  # fmt: skip
    renamed = [{own[name]: array for name, array in state.items()} for state in (first, last)]
    assert_same(capacity(first, last, x, y), capacity(*renamed, x, y))


def test_layers_that_cannot_be_told_apart_must_be_named():
    rng = np.random.default_rng(0)
    square = {"a.weight": rng.normal(size=(3, 3)), "b.weight": rng.normal(size=(3, 3))}
    with pytest.raises(UserError, match="cannot tell which"):
        capacity(square, square, np.ones((1, 3)), np.zeros(1, int))
    three = square | {"c.weight": np.ones((3, 3))}
    with pytest.raises(UserError, match="has 3 matrices"):
        capacity(three, three, np.ones((1, 3)), np.zeros(1, int))


def test_weights_may_be_given_as_such():
    first, last, x, y = plain.network()
    weights = [
        TwoLayerWeights(s["hidden.weight"], s["output.weight"], s["hidden.bias"], s["output.bias"])
        for s in (first, last)
    ]
    assert_same(capacity(first, last, x, y), capacity(*weights, x, y))


def test_torch_tensors_are_the_same_as_arrays():
    torch = pytest.importorskip("torch")
    first, last, x, y = plain.network()
    states = [{k: torch.tensor(v, requires_grad=True) for k, v in s.items()} for s in (first, last)]
    assert_same(capacity(first, last, x, y), capacity(*states, torch.tensor(x), torch.tensor(y)))


@pytest.mark.parametrize("h", [2, 8, 64, 1000, 32768, 10**6])
def test_the_union_bound_is_below_five_a_unit(h):
    assert covering_number_log(h) <= 5 * h


def test_no_bound_is_below_another_form_of_its_own_terms():
    """The PAC-Bayes sum term bounds that of the covering numbers: D_12 <= sqrt(h) D."""
    for case in CASES:
        found = capacity(*plain.network(**case)).measures
        assert found["l1max_spec"] <= found["dist_spec"] * (1 + 1e-12)


def test_bounds_shrink_with_the_margin():
    first, last, x, y = plain.network()
    facts = capacity(first, last, x, y).facts
    wider = Facts(**(vars(facts) | {"gamma": 2 * facts.gamma}))
    for name, bound in BOUNDS.items():
        assert bound(wider) <= bound(facts), name


def test_theorem_5_is_theorem_2_for_p_2_and_the_same_for_units_that_are_alike():
    first, last, x, _ = plain.network(bias=False)
    U, V, U0 = last["hidden.weight"], last["output.weight"], first["hidden.weight"]
    norms = np.linalg.norm(x), np.linalg.norm(U0 @ x.T)
    found = theorem5(V, U - U0, *norms, 0.5, len(x), 2)
    leading = np.linalg.norm(V) * (np.linalg.norm(U - U0) * norms[0] + norms[1])
    assert found == pytest.approx(
        2 * leading / (0.5 * 150) + np.sqrt(np.exp(-2) * 20 / 150), rel=1e-12
    )
    alike = np.ones((30, 3))
    values = [theorem5(alike.T, alike, 1.0, 0.0, 1.0, 10**9, p) for p in (2, 8)]
    assert values[1] - np.sqrt(np.exp(-8) * 30 / 1e9) == pytest.approx(
        values[0] - np.sqrt(np.exp(-2) * 30 / 1e9)
    )
    with pytest.raises(UserError, match="p >= 2, got 1"):
        theorem5(V, U - U0, *norms, 0.5, 10, 1)
