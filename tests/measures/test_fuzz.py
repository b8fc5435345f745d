"""Small checkpoints of all conventions with hard values: a finite number, or one line, always."""

import json
from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest

from whytrain import UserError
from whytrain.measures import capacity, deep

D, C, M = 3, 2, 6
HARD = [0.0, -0.0, 5e-324, 1e-310, 1e-150, -1e-150, 1e150, -1e150, 1e300, np.inf, -np.inf, np.nan]
NAMES = ["", " ", "a\nb", "weight", "bias", "0", "0.weight", "1.running_var", "params",
         "é\u2028.w", "w.w.w", "bn.mean", "num_batches_tracked", "x" * 200, "U", "V",
         "*", "layers.0"]  # fmt: skip
KINDS = ["float16", "float32", "int8", "uint8", "bool", "int64", "complex64", "U4", "O", "M8[s]",
         "S3", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]  # fmt: skip


def matrices(rng):
    sizes = [D, *(int(rng.choice([2, 3])) for _ in range(rng.choice([0, 1, 1, 1, 2]))), C]
    return [(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in pairwise(sizes)]


def torch_like(rng, name="{}.weight", bias="{}.bias", step=2, turn=False):
    found = {}
    for i, (weight, offset) in enumerate(matrices(rng)):
        found[name.format(step * i)] = weight.T if turn else weight
        if bias and rng.random() < 0.8:
            found[bias.format(step * i)] = offset
    return found


def with_norm(rng):
    state = torch_like(rng, step=3)
    size = len(state["0.weight"])
    state |= {"1.running_mean": rng.normal(size=size), "1.running_var": rng.random(size)}
    if rng.random() < 0.5:
        state |= {"1.weight": rng.normal(size=size), "1.bias": rng.normal(size=size)}
    return state | {"1.num_batches_tracked": np.array(7)}


def flax(rng):
    layers = [
        {"kernel": weight.T, "bias": bias} if rng.random() < 0.8 else {"kernel": weight.T}
        for weight, bias in matrices(rng)
    ]
    return {"params": {f"Dense_{i}": layer for i, layer in enumerate(layers)}}


def convolutional(rng):
    state = {"0.weight": rng.normal(size=(2, 1, 2, 2)), "2.weight": rng.normal(size=(C, 8))}
    return state | ({"0.bias": rng.normal(size=2)} if rng.random() < 0.5 else {})


def own(rng):
    names = {"U": (2, D), "bias": (2,), "V": (C, 2), "out_bias": (C,)}
    return {name: rng.normal(size=shape) for name, shape in names.items()}


def pairs(rng):
    return list(matrices(rng))


CONVENTIONS = [
    torch_like, with_norm, flax, convolutional, own, pairs,
    lambda rng: torch_like(rng, "fc{}.weight", "fc{}.bias"),
    lambda rng: torch_like(rng, "dense_{}/kernel:0", "dense_{}/bias:0", turn=True),
    lambda rng: torch_like(rng, "coefs_.{}", "intercepts_.{}", turn=True),
    lambda rng: torch_like(rng, "W{}", "b{}", turn=bool(rng.random() < 0.5)),
    lambda rng: torch_like(rng, "module.{}.weight", None),
]  # fmt: skip


def leaves(state):
    """The places of all arrays: containers and keys."""
    items = list(state.items()) if isinstance(state, dict) else list(enumerate(state))
    for key, value in items:
        if isinstance(value, dict | list):
            yield from leaves(value)
        elif isinstance(value, tuple):
            state[key] = list(value)
            yield from leaves(state[key])
        else:
            yield state, key


def spoil(rng, state):
    """Change one thing about a checkpoint."""
    places = [(box, key) for box, key in leaves(state) if isinstance(box[key], np.ndarray)]
    if not places:
        return
    box, key = places[rng.integers(len(places))]
    change = rng.integers(9)
    with np.errstate(all="ignore"):
        change_one(rng, change, box, key, places)


def change_one(rng, change, box, key, places):
    array = np.asarray(box[key])
    if change == 0 and array.size and array.dtype.kind == "f":
        array = array.copy()
        array.flat[rng.integers(array.size)] = rng.choice(HARD)
        box[key] = array
    elif change == 1 and array.dtype.kind == "f":
        box[key] = array * rng.choice([0, 1e-310, 1e-150, 1e-100, 1e100, 1e150, 1e300])
    elif change == 2 and isinstance(box, dict):
        del box[key]
    elif change == 3 and isinstance(box, dict):
        box[str(rng.choice(NAMES))] = box[key] if rng.random() < 0.5 else np.ones(2)
    elif change == 4:
        box[key] = [array[..., None], array[None], array.ravel()[:0], np.array(1.0)][
            rng.integers(4)
        ]
    elif change == 5:
        kind = KINDS[rng.integers(len(KINDS))]
        try:
            box[key] = array.astype(kind)
        except (TypeError, ValueError):
            box[key] = "words"
    elif change == 6:
        box[key] = array.tolist()
    elif change == 7:
        box[key] = [None, "words", 3, np.float64(2), [[1, 2], [3]], object()][rng.integers(6)]
    else:
        for where, name in places:
            if where[name].dtype.kind == "f":
                where[name] = where[name] * 10.0 ** rng.choice([-200, -150, 150, 200])


def sample(rng, images):
    x = rng.normal(size=(M, 1, 3, 3) if images else (M, D))
    y = rng.integers(0, C, M)
    if rng.random() < 0.15:
        x.flat[rng.integers(x.size)] = rng.choice(HARD)
    if rng.random() < 0.05:
        x = x * rng.choice([0, 1e-310, 1e-170, 1e170])
    if rng.random() < 0.05:
        x = x.astype([np.uint8, np.float16, complex, "U3", bool][rng.integers(5)])
    if rng.random() < 0.1:
        y = [y + 0.5, y - 1, y[:3], np.full(M, np.nan), y.astype(str), y[:, None], 0 * y][
            rng.integers(7)
        ]
    return x, y


def said(rng):
    logits = rng.normal(size=(M, C))
    kinds = [
        logits, logits[:2], logits * np.nan, logits[:, :1], logits[0],
        "words", 3, (lambda x: np.ones((len(x), C))), (lambda x: 1 / 0), (lambda x: None),
        np.zeros((0, C)), np.zeros((9, C)), np.zeros((M, C)),
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))] if rng.random() < 0.3 else None


def numbers(value):
    if isinstance(value, dict):
        return [n for item in value.values() for n in numbers(item)]
    if isinstance(value, list | tuple):
        return [n for item in value for n in numbers(item)]
    return [] if value is None or isinstance(value, str) else [value]


def moved(state, rng):
    if isinstance(state, dict):
        return {name: moved(value, rng) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [moved(value, rng) for value in state]
    array = np.asarray(state)
    return array + 0.1 * rng.normal(size=array.shape) if array.dtype.kind == "f" else state


def attempt(seed):
    """One checkpoint through both instruments: for each whether it was measured."""
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        case = drawn(rng)
    return [one(instrument, *case) for instrument in (capacity, deep)]


def drawn(rng):
    trained = CONVENTIONS[rng.integers(len(CONVENTIONS))](rng)
    images = "0.weight" in trained and np.ndim(trained["0.weight"]) == 4 if isinstance(
        trained, dict
    ) else False  # fmt: skip
    initial = moved(trained, rng)
    for state, often in ((trained, 0.4), (initial, 0.1)):
        while rng.random() < often:
            spoil(rng, state)
            often /= 3
    if rng.random() < 0.03:
        initial = CONVENTIONS[rng.integers(len(CONVENTIONS))](rng)
    x, y = sample(rng, images)
    options = {"quantile": float(rng.choice([0.5, 1.0, 1.0])), "outputs": said(rng)}
    if rng.random() < 0.1:
        options["ignore"] = [str(rng.choice(["*", "0*", *NAMES]))]
    if rng.random() < 0.1:
        options["order"] = [str(name) for name in rng.choice(["0", "2", "3", "a", "Dense_0"], 2)]
    if rng.random() < 0.1:
        options["test"] = (x, y)
    return initial, trained, x, y, options


def one(instrument, initial, trained, x, y, options):
    try:
        found = instrument(initial, trained, x, y, **options)
    except UserError as error:
        words = str(error)
        assert words
        assert len(words.splitlines()) == 1, words
        return False
    document = found.document()
    json.dumps(document, allow_nan=False)
    assert np.isfinite(numbers(document)).all()
    assert document["checked"] == (document["compared"] > 0)
    assert document["checked"] or any("not checked" in note for note in document["notes"])
    return True


def test_a_hundred_checkpoints():
    measured = np.array([attempt(seed) for seed in range(100)])
    assert (measured.mean(axis=0) > 0.1).all()  # and not all refused


@pytest.mark.slow
def test_ten_thousand_checkpoints():
    measured = np.array([attempt(seed) for seed in range(1000, 11_000)])
    assert (measured.mean(axis=0) > 0.1).all()
