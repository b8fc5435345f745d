"""Does the mean tangent kernel of a finite ReLU network differ from the one at infinite width?"""

import math
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from whytrain import lab
from whytrain.errors import UserError
from whytrain.kernels import infinite_kernel
from whytrain.networks import FullyConnected
from whytrain.report import figures as draw
from whytrain.studies.li2020.setup import check_size, compiled

INPUTS = np.array([[-0.9895229, -0.5992491], [0.3, 1.1]])
LIMIT = "limit of infinite width"
DECADES = 25  # of a kernel: those of float32, and room for networks far from the mean


@dataclass(frozen=True, kw_only=True)
class MeanSettings(lab.Settings):
    """Networks without biases; a run is the mean over some of them."""

    width: int = lab.setting(20, "units of each hidden layer", low=1, high=100_000)
    layers: int = lab.setting(4, "matrices of weights, the last a vector", low=2, high=1000)
    variance: float = lab.setting(
        2.0, "of a unit's weights times its inputs", low=0, exclusive=True
    )
    networks: int = lab.setting(1000, "networks in a run", low=1)

    def check(self) -> None:
        """The kernel, of order `(variance / 2)^(layers - 1)`, is a number in float32."""
        check_size(2, self.width, self.layers - 1)
        decades = (self.layers - 1) * math.log10(self.variance / 2)
        if abs(decades) > DECADES:
            raise UserError(
                f"with variance {self.variance:g} and {self.layers} layers the kernel is of order "
                f"1e{decades:+.0f}, too far for float32; take a variance nearer to 2, or fewer "
                "layers"
            )

    @property
    def network(self) -> FullyConnected:
        """With ReLU."""
        return FullyConnected((2, *[self.width] * (self.layers - 1)), gain=self.variance)


def compute(settings: MeanSettings, runs: lab.Runs) -> xr.Dataset:
    """The mean kernel at one input and between two, over what each has at infinite width."""
    how = settings.width, settings.layers, settings.networks
    numbers = settings.networks * settings.width * (2 + settings.width * (settings.layers - 2))
    found = runs.draw(partial(_means, how), np.float32(settings.variance), numbers=numbers)
    limit = infinite_kernel(settings.network, INPUTS).tangent
    here, between = found.T.astype(float)
    numbers = {"diagonal": here / limit[0, 0], "across": between / limit[0, 1], "kernel": here}
    return xr.Dataset({name: ("run", values) for name, values in numbers.items()})


@compiled
def _means(how: tuple[int, int, int], keys: Array, variance: Array) -> Float[Array, "run 2"]:
    width, layers, networks = how

    def mean(key: Array) -> Array:
        keys = jax.random.split(key, networks)
        return jnp.mean(jax.vmap(lambda key: _kernel(width, layers, variance, key))(keys), axis=0)

    return jax.lax.map(mean, keys)


def _kernel(width: int, layers: int, variance: Array, key: Array) -> Float[Array, " 2"]:
    """`K[0, 0]` and `K[0, 1]` of one network, layer by layer; see `FullyConnected`."""
    extents = [2] + [width] * (layers - 1)
    shapes = [(width, before) for before in extents[:-1]] + [(width,)]
    keys = jax.random.split(key, layers)
    *hidden, last = (
        jax.random.normal(each, shape, jnp.float32) / math.sqrt(shape[-1])
        for each, shape in zip(keys, shapes, strict=True)
    )
    h, seen, slopes = jnp.asarray(INPUTS, jnp.float32), [], []
    for weights in hidden:
        seen.append(h)
        sums = h @ weights.T
        slopes.append(jnp.sqrt(variance) * (sums > 0))
        h = slopes[-1] * sums
    found, signal = (h @ h.T)[0] / width, jnp.broadcast_to(last, h.shape)
    for weights, before, slope in zip(hidden[::-1], seen[::-1], slopes[::-1], strict=True):
        signal = signal * slope
        found += (before @ before.T)[0] / before.shape[1] * (signal @ signal.T)[0]
        signal = signal @ weights
    return found


MEAN = lab.Experiment(
    name="mean-kernel",
    doc="the mean tangent kernel of finite ReLU networks over that of infinite ones",
    settings=MeanSettings,
    compute=compute,
    runs=100,
    block=1024,
)
CRITICAL = MEAN.grid(
    {"quick": {"runs": 150}, "paper": {"runs": 24_000}},
    cases=({"width": 20, "layers": 4}, {"width": 5, "layers": 3}),
)
VARIANCES = MEAN.grid(
    {"quick": {"runs": 20}, "paper": {"runs": 100}}, variance=(0.25, 2.0, 4.0), layers=(2, 4)
)
FINE, WIDE, ENOUGH = 0.002, 0.02, 2_000_000


def _margin(cells: lab.Cells) -> float:
    """0.2 % from two million networks on, 2 % below."""
    networks = min(cell.runs * cell.settings.networks for cell in cells)
    return FINE if networks >= ENOUGH else WIDE


def _off(cells: lab.Cells) -> list[lab.Estimate]:
    """How far the mean kernel is from layers * |x|^2 / 2, in margins."""
    margin = _margin(cells)
    return [lab.estimate_mean((cell.data.diagonal.values - 1) / margin) for cell in cells]


def _exponent(cells: lab.Cells) -> lab.Estimate:
    """The largest error of log E K / layers, per layer, against log(variance / 2)."""
    errors = []
    for variance, chosen in cells.by("variance").items():
        (low, few), (high, many) = (
            (layers, one.pooled("kernel").mean() / layers)
            for layers, one in chosen.by("layers").items()
        )
        errors.append(abs(np.log(many / few) / (high - low) - np.log(variance / 2)))
    return lab.largest(errors)


def _note(cells: lab.Cells) -> str:
    margin = "0.2 %" if _margin(cells) == FINE else "2 %, for want of networks; 0.2 % under paper"
    return f"the margin was {margin}"


def _draw(cells: lab.Cells) -> tuple:
    by = sorted(cells, key=lambda cell: cell.settings.width)
    found = {
        name: [lab.estimate_mean(cell.data[name].values) for cell in by]
        for name in ("diagonal", "across")
    }
    widths = [cell.settings.width for cell in by]
    series = [
        draw.Series(widths, [one.value for one in found[name]], label,
                    [one.low for one in found[name]], [one.high for one in found[name]], marker="o")
        for name, label in (("diagonal", "at one input"), ("across", "between two inputs"))
    ]  # fmt: skip
    figure = draw.lines(
        series, x_label="width", y_label="mean kernel over its limit", log="x", x_ticks=widths,
        references=(draw.Reference(1.0, LIMIT),),
    )  # fmt: skip
    return figure, (
        "The mean over random ReLU networks of the tangent kernel, over its limit at infinite "
        "width, with 95 % intervals. At one input there is no correction at any width; between two "
        "there is."
    )


CLAIMS = (
    lab.Claim(
        id="A-11", title="No correction on the diagonal", group="definitions",
        source="derived here",
        statement=r"For a critical ReLU network without biases, $z^{(l)} = \sqrt{2/n} W^{(l)} "
        "σ(z^{(l−1)})$ with standard normal entries, and $ℓ$ layers, $x$ in the plane: $E K(x, x) "
        "= ℓ |x|²/2$ at every width $n$.",
        requests=CRITICAL,
        parts=(
            lab.Part("distance of $E K(x, x)$ from $ℓ |x|²/2$, in margins (0.2 % from two "
                     "million networks on, 2 % with fewer)", _off,
                     lab.Rule("=", 0.0, 1.0, level=0.99)),
        ),
        faults=(lab.Fault("the mean is off by 4 %", lab.scaled("diagonal", 1.04)),),
        note=_note,
        does_not_show="Other activations, and the mean off the diagonal: see A-11-across.",
        figures=("mean-kernel",),
    ),
    lab.Claim(
        id="A-11-across", title="Off the diagonal there is one", group="caveats",
        source="derived here: the control of A-11",
        statement="Between two inputs the mean kernel of a finite network is below its limit.",
        requests=CRITICAL,
        parts=(
            lab.Part("mean kernel between two inputs over its limit",
                     lambda cells: [lab.estimate_mean(cell.data.across.values) for cell in cells],
                     lab.below(1.0)),
        ),
        faults=(
            lab.Fault("it is above it", lab.altered("across", lambda ratio: 2 - ratio)),
        ),
        does_not_show="How the correction depends on the angle: two inputs were taken.",
        figures=("mean-kernel",),
    ),
    lab.Claim(
        id="A-11-variance", title="Other variances decay or explode", group="caveats",
        source="derived here: the control of A-11",
        statement="With variance $C$ in place of 2, $E K(x, x) = ℓ (C/2)^{ℓ−1} |x|²/2$: it "
        "decays exponentially in $ℓ$ for $C < 2$ and grows for $C > 2$.",
        requests=VARIANCES,
        parts=(
            lab.Part("largest error of the logarithm of $E K/ℓ$, a layer, for $C = 1/4, 2, 4$",
                     _exponent, lab.at_most(0.05)),
        ),
        faults=(
            lab.Fault("$C = 4$ grows by 1.8 a layer",
                      lab.scaled("kernel", lambda settings: 0.9**settings.layers, variance=4)),
        ),
        does_not_show="More than that the mean scales: a network's own kernel varies.",
    ),
)  # fmt: skip

TOPIC = lab.Topic((MEAN,), CLAIMS, (
    lab.Figure("mean-kernel", "The mean kernel over its limit", CRITICAL, _draw),
))  # fmt: skip
