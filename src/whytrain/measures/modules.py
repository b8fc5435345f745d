"""Reading a network off a PyTorch model: the graph of its calls, module by module."""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, words
from whytrain.measures.chains import Chain, added, no_place
from whytrain.measures.network import Convolution, Dense
from whytrain.measures.sources import evaluating
from whytrain.measures.stages import Activation, Pool


def read_torch(torch: Any, model: Any, shape: tuple[int, ...]) -> Chain:
    """The stages of a PyTorch module, in evaluation mode.

    Args:
        torch: The library.
        model: The module.
        shape: Of a batch of one example.

    Returns:
        What it does to the inputs.

    Raises:
        UserError: Its calls cannot be followed, or it does something that is not measured.
    """
    try:
        with evaluating(model):
            graph = torch.fx.symbolic_trace(model).graph
    except Exception as error:  # control flow that depends on numbers, and whatever else
        raise UserError(
            f"the calls of {type(model).__name__} cannot be followed ({words(error)}); torch.fx "
            "must be able to trace it: no branches that depend on numbers"
        ) from error
    known: dict[Any, Any] = {}
    modules = dict(model.named_modules())
    for node in graph.nodes:
        if node.op == "output":
            [found] = node.args
            if not hasattr(found, "op") or not isinstance(known.get(found), Chain):
                raise no_place(
                    "several outputs, or outputs that do not depend on the inputs; give a module "
                    "that returns the logits alone"
                )
            return known[found]
        known[node] = _value(torch, node, known, modules, model, shape)
    raise AssertionError("a graph ends in its output")


def _value(torch: Any, node: Any, known: dict, modules: dict, model: Any, shape: tuple) -> Any:
    if node.op == "placeholder":
        return Chain((), shape[1:]) if not any(isinstance(v, Chain) for v in known.values()) else (
            node.args[0] if node.args else None)  # fmt: skip
    if node.op == "get_attr":
        return as_float64(operator.attrgetter(node.target)(model), str(node.target))
    given = torch.fx.node.map_arg(node.args, known.__getitem__)
    named = torch.fx.node.map_arg(node.kwargs, known.__getitem__)
    if node.op == "call_module":
        return _module(torch, modules[node.target], given[0], str(node.target))
    return _function(torch, node.target, given, named)


def _module(torch: Any, module: Any, x: Chain, name: str) -> Chain:
    nn = torch.nn
    kind = type(module).__name__
    if isinstance(module, nn.Identity | nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.AlphaDropout):
        return x
    if isinstance(module, nn.Linear):
        return _dense(x, module.weight, module.bias, f"Linear {name!r}")
    if isinstance(module, nn.Conv2d) and not isinstance(module, nn.modules.conv._ConvTransposeNd):
        return _convolution(x, module, name)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return _normalization(x, module, name)
    if isinstance(module, nn.Flatten):
        return _flattened(x, module.start_dim, module.end_dim)
    if isinstance(module, nn.LogSoftmax):  # adds one number to all logits, which the check sees
        return x
    if isinstance(module, nn.Unflatten) and module.dim == 1:
        return x.shaped((*module.unflattened_size, *x.shape[1:]))
    if kind in _ACTIVATIONS:
        return x.then(_ACTIVATIONS[kind](module))
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return _pool(x, module)
    if isinstance(module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
        return _adaptive(x, module.output_size, "max" if "Max" in kind else "sum")
    if "oftmax" in kind:
        raise no_place(f"{kind} {name!r}; give logits")
    raise no_place(f"{kind} {name!r}")


def _between(low: Any, high: Any) -> Activation:
    known = {(-1, 1): "hard_tanh", (0, 6): "relu6", (0, None): "relu"}
    found = [name for ends, name in known.items() if ends == (low, high)]
    if not found:
        raise no_place(f"numbers that are cut off at {low} and {high}")
    return Activation(found[0])


def _softplus(module: Any) -> Activation:
    return Activation("softplus", float(module.beta))


def _gelu(module: Any) -> Activation:
    return Activation("gelu" if module.approximate == "none" else "gelu_tanh")


def _plain(name: str) -> Callable[[Any], Activation]:
    return lambda module: Activation(name)


_ACTIVATIONS: dict[str, Callable[[Any], Activation]] = {
    "ReLU": _plain("relu"), "Tanh": _plain("tanh"), "Sigmoid": _plain("sigmoid"),
    "SiLU": _plain("silu"), "SELU": _plain("selu"), "Mish": _plain("mish"),
    "ReLU6": _plain("relu6"), "Hardswish": _plain("hard_swish"), "Softsign": _plain("softsign"),
    "Hardsigmoid": _plain("hard_sigmoid"), "LogSigmoid": _plain("log_sigmoid"),
    "LeakyReLU": lambda module: Activation("leaky_relu", float(module.negative_slope)),
    "ELU": lambda module: Activation("elu", float(module.alpha)),
    "CELU": lambda module: Activation("celu", float(module.alpha)),
    "GELU": _gelu, "Softplus": _softplus,
    "Hardtanh": lambda module: _between(module.min_val, module.max_val),
}  # fmt: skip


def _dense(x: Chain, weight: Any, bias: Any, name: str) -> Chain:
    if len(x.shape) != 1 or np.ndim(weight) != 2:
        raise no_place(f"{name} on inputs of shape {x.shape}, along one of several axes")
    bias = None if bias is None else as_float64(bias)
    return x.then(Dense(as_float64(weight), bias), (len(weight),))


def _convolution(x: Chain, module: Any, name: str) -> Chain:
    weight = as_float64(module.weight)
    size = weight.shape[2:]
    reach = [d * (k - 1) for d, k in zip(module.dilation, size, strict=True)]
    padding: Any = module.padding
    if padding == "valid":
        padding = (0, 0)
    sides: Any = (
        tuple((r // 2, r - r // 2) for r in reach)
        if padding == "same"
        else tuple((int(p), int(p)) for p in padding)
    )
    if module.padding_mode != "zeros" and any(any(side) for side in sides):
        around = all(2 * a == r == 2 * b for (a, b), r in zip(sides, reach, strict=True))
        if module.padding_mode != "circular" or not around or set(module.dilation) != {1}:
            raise no_place(f"Conv2d {name!r} with padding_mode {module.padding_mode!r}")
        sides = "circular"
    stride: Any = module.stride
    bias = None if module.bias is None else as_float64(module.bias)
    layer = Convolution(
        weight, bias, stride[0] if len(set(stride)) == 1 else tuple(stride), sides, False,
        tuple(module.dilation), module.groups,
    )  # fmt: skip
    if len(x.shape) != 3:
        raise no_place(f"Conv2d {name!r} on inputs of shape {x.shape}")
    if sides == "circular":
        out = [-(-n // s) for n, s in zip(x.shape[1:], stride, strict=True)]
    else:
        out = [
            (n + a + b - r - 1) // s + 1
            for n, (a, b), r, s in zip(x.shape[1:], sides, reach, stride, strict=True)
        ]
    return x.then(layer, (len(weight), *out))


def _normalization(x: Chain, module: Any, name: str) -> Chain:
    if module.running_mean is None:
        raise no_place(f"{type(module).__name__} {name!r} without running statistics")
    mean, var = as_float64(module.running_mean), as_float64(module.running_var)
    factor = 1 / np.sqrt(var + module.eps)
    shift = -mean * factor
    if module.weight is not None:
        factor, shift = factor * as_float64(module.weight), shift * as_float64(module.weight)
        shift = shift + as_float64(module.bias)
    along = (-1, *[1] * (len(x.shape) - 1))
    return x.scaled(factor.reshape(along), shift.reshape(along))


def _flattened(x: Chain, start: int, end: int) -> Chain:
    axes = len(x.shape) + 1
    start, end = start % axes, end % axes
    if start == 0:
        raise no_place("a Flatten of the axis of the examples")
    shape = (*x.shape[: start - 1], math.prod(x.shape[start - 1 : end]), *x.shape[end:])
    return x.shaped(shape)


def _two(given: Any) -> tuple[int, int]:
    one, other = given if isinstance(given, tuple | list) else (given, given)
    return int(one), int(other)


def _pool(x: Chain, module: Any) -> Chain:
    kind = type(module).__name__
    stride = module.kernel_size if module.stride is None else module.stride
    dilation = _two(getattr(module, "dilation", 1))
    counted = getattr(module, "count_include_pad", True) or not any(_two(module.padding))
    if module.ceil_mode or dilation != (1, 1) or not counted or len(x.shape) != 3:
        raise no_place(f"{kind} with ceil_mode, dilation or count_include_pad=False")
    return _pooled(x, kind, module.kernel_size, stride, module.padding,
                   getattr(module, "divisor_override", None))  # fmt: skip


def _pooled(x: Chain, kind: str, window: Any, stride: Any, padding: Any, divisor: Any) -> Chain:
    size, steps, around = _two(window), _two(stride), _two(padding)
    largest = "max" in kind.lower()
    pool = Pool(
        "max" if largest else "sum", (1, *size), (1, *steps),
        ((0, 0), *((p, p) for p in around)),
        1.0 if largest else 1 / (divisor or math.prod(size)),
    )  # fmt: skip
    out = [
        (n + 2 * p - k) // s + 1
        for n, p, k, s in zip(x.shape[1:], around, size, steps, strict=True)
    ]
    return x.then(pool, (x.shape[0], *out))


def _adaptive(x: Chain, size: Any, kind: str) -> Chain:
    out = [n if m is None else m for n, m in zip(x.shape[1:], _both(size), strict=True)]
    if len(x.shape) != 3 or any(n % m for n, m in zip(x.shape[1:], out, strict=True)):
        raise no_place(f"an adaptive pooling from {x.shape} to {tuple(out)}")
    window = [n // m for n, m in zip(x.shape[1:], out, strict=True)]
    return _pooled(x, kind, window, window, 0, None)


def _both(size: Any) -> tuple:
    return tuple(size) if isinstance(size, tuple | list) else (size, size)


def _function(torch: Any, target: Any, given: tuple, named: dict) -> Any:
    name = target if isinstance(target, str) else target.__name__
    chains = [one for one in given if isinstance(one, Chain)]
    if not chains:
        if name in ("getattr", "getitem", "mul", "add", "floordiv"):
            return getattr(operator, name)(*given) if name != "getattr" else getattr(*given)
        raise no_place(f"the function {name}")
    x = chains[0]
    if name in ("add", "iadd", "add_"):
        if len(chains) == 2:
            return added(*chains)
        return x.scaled(1.0, _constant(given, x))
    if name in ("mul", "imul", "truediv", "div", "sub") and len(chains) == 1:
        return _scaled(name, given, x)
    if name in ("size", "getattr"):
        shape = (1, *x.shape)
        return shape if name == "getattr" or len(given) == 1 else shape[given[1]]
    if name in ("view", "reshape"):
        return _viewed(x, given[1:])
    if name == "flatten":
        return _flattened(x, *_arguments(given[1:], named, ("start_dim", 0), ("end_dim", -1)))
    if name in ("contiguous", "dropout", "float", "double", "detach", "feature_dropout",
                "log_softmax"):  # fmt: skip
        return x
    if name in ("squeeze", "unsqueeze"):
        return _squeezed(name, x, *_arguments(given[1:], named, ("dim", None)))
    if name == "linear":
        weight, bias = _arguments(given[1:], named, ("weight", None), ("bias", None))
        return _dense(x, weight, bias, name)
    if name == "matmul" and given[0] is x and len(chains) == 1:
        return _dense(x, np.transpose(given[1]), None, name)
    if name == "leaky_relu":
        [slope] = _arguments(given[1:2], named, ("negative_slope", 0.01))
        return x.then(Activation("leaky_relu", float(slope)))
    if name in ("elu", "celu", "softplus"):
        [slope] = _arguments(given[1:2], named, ("beta" if name == "softplus" else "alpha", 1.0))
        return x.then(Activation(name, float(slope)))
    if name.rstrip("_") in ("clamp", "clip"):
        return x.then(_between(*_arguments(given[1:], named, ("min", None), ("max", None))))
    if name == "hardtanh":
        ends = ("min_val", -1.0), ("max_val", 1.0)
        return x.then(_between(*_arguments(given[1:], named, *ends)))
    if name == "gelu":
        tanh = named.get("approximate", "none") == "tanh"
        return x.then(Activation("gelu_tanh" if tanh else "gelu"))
    if name.rstrip("_") in _FUNCTIONS and set(named) <= {"inplace"}:
        return x.then(Activation(_FUNCTIONS[name.rstrip("_")]))
    if name in ("max_pool2d", "avg_pool2d", "boolean_dispatch", "_max_pool2d"):
        return _pool_function(name, x, given[1:], named)
    if name in ("adaptive_avg_pool2d",):
        return _adaptive(x, given[1] if len(given) > 1 else named["output_size"], "sum")
    if name == "mean":
        return _mean(x, given[1:], named)
    raise no_place(f"a {name}; give logits" if "softmax" in name else f"the function {name}")


_FUNCTIONS = {
    "relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid", "silu": "silu", "selu": "selu",
    "mish": "mish", "relu6": "relu6", "hardswish": "hard_swish", "softsign": "softsign",
    "hardsigmoid": "hard_sigmoid", "logsigmoid": "log_sigmoid",
}  # fmt: skip


def _arguments(given: tuple, named: dict, *defaults: tuple[str, Any]) -> list:
    return [
        given[i] if i < len(given) else named.get(name, value)
        for i, (name, value) in enumerate(defaults)
    ]


def _constant(given: tuple, x: Chain) -> np.ndarray:
    [found] = [one for one in given if not isinstance(one, Chain)]
    array = np.asarray(found, np.float64)
    return array.reshape(array.shape[1:]) if array.ndim == len(x.shape) + 1 else array


def _scaled(name: str, given: tuple, x: Chain) -> Chain:
    number, first = _constant(given, x), given[0] is x
    if name in ("mul", "imul"):
        return x.scaled(number, 0.0)
    if name == "sub":
        return x.scaled(1.0, -number) if first else x.scaled(-1.0, number)
    if not first:
        raise no_place("a division by what depends on the inputs")
    return x.scaled(1 / number, 0.0)


def _squeezed(name: str, x: Chain, axes: Any) -> Chain:
    """Axes of length 1 left out, or one put in."""
    shape = (1, *x.shape)
    rank = len(shape)
    if name == "unsqueeze":
        at = axes % (rank + 1)
        if at == 0:
            raise no_place("an unsqueeze of the axis of the examples")
        return x.shaped((*shape[1:at], 1, *shape[at:]))
    given = range(rank) if axes is None else axes if isinstance(axes, tuple | list) else (axes,)
    left = {axis % rank for axis in given}
    return x.shaped([n for a, n in enumerate(shape) if a and not (n == 1 and a in left)])


def _viewed(x: Chain, sizes: tuple) -> Chain:
    wanted = list(sizes[0] if isinstance(sizes[0], tuple | list) else sizes)
    if wanted[0] not in (1, -1):
        raise no_place(f"a view as {tuple(wanted)}, whose first axis does not count the examples")
    wanted = wanted[1:]
    if -1 in wanted:
        rest = math.prod(n for n in wanted if n != -1)
        wanted[wanted.index(-1)] = math.prod(x.shape) // rest
    if math.prod(wanted) != math.prod(x.shape):
        raise no_place(f"a view of {x.shape} as {tuple(wanted)}")
    return x.shaped(wanted)


def _pool_function(name: str, x: Chain, given: tuple, named: dict) -> Chain:
    window, stride, padding = _arguments(
        given[:3], named, ("kernel_size", None), ("stride", None), ("padding", 0)
    )
    odd = set(named) - {"kernel_size", "stride", "padding", "return_indices", "ceil_mode",
                        "dilation"}  # fmt: skip
    if odd or given[3:] or named.get("ceil_mode") or named.get("dilation", 1) != 1:
        raise no_place(f"{name} with {', '.join(sorted(odd)) or 'ceil_mode or dilation'}")
    kind = "avg" if "avg" in name else "max"
    return _pooled(x, kind, window, window if stride is None else stride, padding, None)


def _mean(x: Chain, given: tuple, named: dict) -> Chain:
    axes, keep = _arguments(given, named, ("dim", None), ("keepdim", False))
    rank = len(x.shape) + 1
    found = {a % rank for a in (axes if isinstance(axes, tuple | list) else [axes])}
    if 0 in found or axes is None:
        raise no_place("a mean over examples")
    window = tuple(n if i + 1 in found else 1 for i, n in enumerate(x.shape))
    pool = Pool("sum", window, window, ((0, 0),) * len(window), 1 / math.prod(window))
    after = tuple(1 if i + 1 in found else n for i, n in enumerate(x.shape))
    pooled = x.then(pool, after)
    if keep:
        return pooled
    return pooled.shaped([n for i, n in enumerate(x.shape) if i + 1 not in found])
