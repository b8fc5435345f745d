"""Reading a network off scikit-learn: perceptrons, linear classifiers, and scalers before them."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64
from whytrain.measures.chains import Chain, no_place
from whytrain.measures.network import Dense
from whytrain.measures.stages import Activation

_ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


def is_estimator(model: Any) -> bool:
    """Whether a model is an estimator of scikit-learn, or like one."""
    return callable(getattr(model, "get_params", None)) and callable(getattr(model, "fit", None))


def read_estimator(model: Any, shape: tuple[int, ...]) -> tuple[Chain, Callable, int]:
    """A perceptron in the logits that its last function takes, or a linear classifier.

    Args:
        model: The estimator, or a pipeline that ends in one, with scalers before.
        shape: Of one example.

    Returns:
        What it does to the inputs, it as a function of a batch, and how many parameters it has.

    Raises:
        UserError: It is not fitted, or something else.
    """
    size = math.prod(shape)
    if getattr(model, "n_features_in_", size) != size:
        raise UserError(
            f"the network takes {model.n_features_in_} numbers an example, the inputs have {size}; "
            "was another data set meant?"
        )
    chain = Chain((), shape).shaped((size,))
    *before, last = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    before = [step for step in before if step is not None and step != "passthrough"]
    for step in before:
        chain = chain.scaled(*_scaler(step))
    chain, call, count = _perceptron(last, chain) if _is_perceptron(last) else _linear(last, chain)

    def logits(x: Any) -> Any:
        x = np.asarray(x).reshape(len(x), -1)
        for step in before:
            x = step.transform(x)
        return call(x)

    return chain, logits, count


def _scaler(step: Any) -> tuple[Any, Any]:
    """The factor and the shift of a scaler."""
    kind = type(step).__name__
    factor: Any
    if kind == "StandardScaler" and hasattr(step, "n_features_in_"):
        factor = 1.0 if step.scale_ is None else 1 / np.asarray(step.scale_)
        return factor, 0.0 if not step.with_mean else -np.asarray(step.mean_) * factor
    if kind == "MinMaxScaler" and hasattr(step, "scale_") and not step.clip:
        return step.scale_, step.min_
    if kind == "MaxAbsScaler" and hasattr(step, "scale_") and not getattr(step, "clip", False):
        return 1 / step.scale_, 0.0
    raise no_place(f"a step {kind} that is no fitted scaler")


def _is_perceptron(model: Any) -> bool:
    return hasattr(model, "coefs_") and hasattr(model, "intercepts_")


def _perceptron(model: Any, chain: Chain) -> tuple[Chain, Callable, int]:
    outputs = model.coefs_[-1].shape[1]
    if model.out_activation_ == "logistic" and outputs > 1:
        raise UserError(
            f"the {type(model).__name__} has {outputs} labels that may hold at once; margins are "
            "of classes, of which one holds"
        )
    for i, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        if i:
            chain = chain.then(Activation(_ACTIVATIONS[model.activation]))
        chain = _then(chain, np.asarray(weight).T, bias)
    count = sum(map(np.size, (*model.coefs_, *model.intercepts_)))
    bare: Any = copy.copy(model)
    bare.out_activation_ = "identity"  # shares near 0 or 1 would not tell the logits
    if not hasattr(model, "predict_proba"):
        return chain, bare.predict, count
    return chain, lambda x: bare.predict_proba(x)[:, 1 if outputs == 1 else 0 :], count


def _linear(model: Any, chain: Chain) -> tuple[Chain, Callable, int]:
    weight, decided = (getattr(model, name, None) for name in ("coef_", "decision_function"))
    if weight is None or decided is None or np.ndim(weight) != 2:
        raise UserError(
            "of scikit-learn a network is read from a fitted MLPClassifier, MLPRegressor or linear "
            f"classifier, alone or after scalers in a Pipeline; {type(model).__name__} is none of "
            "these, or not fitted"
        )
    bias = np.broadcast_to(model.intercept_, len(weight))
    return _then(chain, weight, bias), decided, np.size(weight) + np.size(model.intercept_)


def _then(chain: Chain, weight: Any, bias: Any) -> Chain:
    return chain.then(Dense(as_float64(weight), as_float64(bias)), (len(weight),))
