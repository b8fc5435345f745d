"""Many small trainings as one program, beside PyTorch one after another and under vmap.

Adam: 8 seeds x 8 weight decays on the data of zou2021. Descent: 8 scales x 5 seeds x 4 data sets of
sarussi2021. Both take a fixed number of steps; PyTorch's loop is timed on a few of the runs.
"""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.timing import best_threads, seconds
from whytrain.dynamics import GradientDescent, simulate
from whytrain.lab import Runs
from whytrain.studies.sarussi2021 import pairs as images
from whytrain.studies.sarussi2021 import scale
from whytrain.studies.sarussi2021 import setup as linear
from whytrain.studies.zou2021 import setup as feature

STEPS, TO_THE_END = 200, 4
SEEDS, DECAYS = 8, np.geomspace(1e-6, 0.03, 8).astype(np.float32)
SCALES, DRAWS, LINEAR_STEPS = 8, 5, 1000


def measure(repeats: int) -> dict:
    """Seconds of a step of one run, for each contender."""
    return {"adam": _adam(repeats), "descent": _descent(repeats)}


def _adam(repeats: int) -> dict:
    settings = feature.TrainingSettings(optimizer="adam", test_samples=2)
    problems = feature.problems(settings, Runs(0, SEEDS, 0, SEEDS))
    runs = [(problem, decay) for problem in problems for decay in DECAYS]

    def ours() -> np.ndarray:
        found = simulate(
            [feature.Patches(p.train, p.test, decay) for p, decay in runs], settings.method,
            np.stack([p.start for p, _ in runs]), STEPS, dtype=np.float32,
        )  # fmt: skip
        return found.final.values

    found = ours()
    chosen = [0, len(runs) - 1]
    each = [_torch_adam(*runs[i], settings.learning_rate) for i in chosen]
    threads = best_threads(lambda: lambda: each[0](20))
    apart = max(
        float(np.abs(one(STEPS) - found[i]).max()) for one, i in zip(each, chosen, strict=True)
    )
    together = _torch_adam_vmap(runs, settings.learning_rate)
    together(2)
    times: dict[str, list[float]] = {"whytrain": [], "one by one": [], "vmap": []}
    for _ in range(repeats):
        times["whytrain"].append(seconds(ours) / STEPS / len(runs))
        times["one by one"].append(seconds(lambda: each[0](STEPS)) / STEPS)
        times["vmap"].append(seconds(lambda: together(STEPS // 10)) / (STEPS // 10) / len(runs))
    return _told(times) | {"runs": len(runs), "apart": apart, "threads": threads} | _ends()


def _ends() -> dict:
    """Test errors at the end, of both, from the same starts."""
    settings = feature.TrainingSettings(optimizer="adam")
    runs = Runs(0, SEEDS, 0, TO_THE_END)
    ours = feature.train(settings, runs).test_error.values[:, -1]
    theirs = []
    for problem in feature.problems(settings, runs):
        run = _torch_adam(problem, np.float32(settings.weight_decay), settings.learning_rate)
        scape = feature.Patches(problem.train, problem.test, np.float32(0))
        theirs.append(float(np.mean(scape.margins(run(settings.steps), problem.test) <= 0)))
    return {"test_error": {"whytrain": ours.tolist(), "PyTorch": theirs}}


def _torch_loss() -> Callable:
    import torch

    def loss(w: Any, noise: Any, y: Any, decay: Any) -> Any:
        """Two groups of neurons, two patches, power 3; the feature is `y` at coordinate 0."""
        on_noise = torch.relu(noise @ w.flatten(0, 1).T) ** 3
        on_feature = torch.relu(y[:, None] * w[..., 0].flatten()) ** 3
        plus, minus = (on_noise + on_feature).unflatten(1, w.shape[:2]).sum(2).unbind(1)
        data = torch.nn.functional.softplus(-y * (plus - minus)).mean()
        return data + decay / 2 * (w**2).sum()

    return loss


def _torch_adam(problem: Any, decay: np.ndarray, rate: float) -> Callable[[int], np.ndarray]:
    """The loop that one would write down."""
    import torch

    loss = _torch_loss()
    noise, y = torch.tensor(problem.train.noise), torch.tensor(problem.train.y)
    lam = torch.tensor(decay)

    def run(steps: int) -> np.ndarray:
        w = torch.tensor(problem.start, requires_grad=True)
        optimizer = torch.optim.Adam([w], lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(w, noise, y, lam).backward()
            optimizer.step()
        return w.detach().numpy()

    return run


def _torch_adam_vmap(runs: list, rate: float) -> Callable[[int], Any]:
    """All runs as one batch: gradients by `torch.func.vmap`, Adam on the stacked weights."""
    import torch

    slope = torch.func.vmap(torch.func.grad(_torch_loss()))
    noise = torch.tensor(np.stack([p.train.noise for p, _ in runs]))
    y = torch.tensor(np.stack([p.train.y for p, _ in runs]))
    decays = torch.tensor(np.array([decay for _, decay in runs]))
    start = np.stack([p.start for p, _ in runs])

    def run(steps: int) -> Any:
        w = torch.tensor(start)
        optimizer = torch.optim.Adam([w], lr=rate)
        for _ in range(steps):
            w.grad = slope(w, noise, y, decays)
            optimizer.step()
        return w

    return run


def _descent(repeats: int) -> dict:
    batches = _linear_problems()
    settings = batches[0][0]
    together = _as_one([problems for _, problems in batches])
    loss, method = linear.TeacherLoss(settings.network), GradientDescent(settings.step_size)

    def ours() -> np.ndarray:
        return simulate(loss, method, together, LINEAR_STEPS).final_w.values

    found = ours()
    each = [_torch_descent(s, linear.each(p)[0]) for s, p in batches]
    threads = best_threads(lambda: lambda: each[0](50))
    first = np.cumsum([0, *(len(p.y) for _, p in batches[:-1])])
    apart = max(
        float(np.abs(w - found[at][:, : w.shape[1]]).max() / np.abs(w).max())
        for at, w in zip(first, (one(LINEAR_STEPS) for one in each), strict=True)
    )
    runs = len(together.y)
    times: dict[str, list[float]] = {"whytrain": [], "one by one": []}
    for _ in range(repeats):
        times["whytrain"].append(seconds(ours) / LINEAR_STEPS / runs)
        alone = sum(seconds(lambda one=one: one(LINEAR_STEPS)) for one in each)
        times["one by one"].append(alone / LINEAR_STEPS / len(each))
    return _told(times) | {"runs": runs, "apart": apart, "threads": threads}


def _as_one(batches: list[Any]) -> Any:
    """All runs in one batch: inputs and units get zeros at the end, which nothing ever changes."""
    most = max(each.x.shape[-1] for each in batches)

    def padded(array: np.ndarray) -> np.ndarray:
        return np.pad(array, ((0, 0), (0, 0), (0, most - array.shape[-1])))

    wide = [each._replace(w=padded(each.w), u=padded(each.u), x=padded(each.x)) for each in batches]
    return linear.Problem(*(np.concatenate(leaves) for leaves in zip(*wide, strict=True)))


def _linear_problems() -> list[tuple[Any, Any]]:
    """Three made data sets and a pair of digits, each at all scales and draws."""
    runs = Runs(0, DRAWS, 0, DRAWS)
    found = []
    for data in linear.DATA:
        settings = scale.ScaleSettings(data=data, scales=SCALES)
        problems = linear.starts(linear.drawn(runs, settings.draw), settings.grid)
        found.append((settings, problems))
    settings = images.PairSettings(one=3, other=5, examples=100)
    draws = linear.drawn(runs, settings.draw)
    parts = [images._split(settings, order) for order in draws["order"]]
    x, y = (np.stack([part[place] for part in parts]) for place in (0, 1))
    scales = np.geomspace(settings.init_scale, settings.largest, SCALES)
    problems = linear.starts(linear.Problem(draws["w"], draws["u"], x, y), scales)
    return [*found, (settings, problems)]


def _torch_descent(settings: Any, problem: Any) -> Callable[[int], np.ndarray]:
    import torch

    x, y = torch.tensor(problem.x), torch.tensor(problem.y)
    v = 1 / np.sqrt(2 * settings.width)

    def run(steps: int) -> np.ndarray:
        w, u = (torch.tensor(np.array(one), requires_grad=True) for one in (problem.w, problem.u))
        optimizer = torch.optim.SGD([w, u], lr=settings.step_size)
        active = torch.nn.LeakyReLU(settings.slope)
        for _ in range(steps):
            optimizer.zero_grad()
            out = v * (active(x @ w.T).sum(1) - active(x @ u.T).sum(1))
            torch.nn.functional.softplus(-y * out).mean().backward()
            optimizer.step()
        return w.detach().numpy()

    return run


def _told(times: dict[str, list[float]]) -> dict:
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratios = {name: value / medians["whytrain"] for name, value in medians.items()}
    return {"seconds": medians, "ratio": ratios}
