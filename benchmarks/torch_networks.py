"""LeNet-5 and the residual network in PyTorch, as one writes them there, from given parameters."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from whytrain.data import Dataset
from whytrain.networks import Quantizer


class Quantize(torch.autograd.Function):
    """The `ceil` quantizer, with the surrogate derivative of an estimator."""

    @staticmethod
    def forward(ctx, x, alpha, levels, estimator):
        ctx.save_for_backward(x)
        ctx.estimator, ctx.top = estimator, alpha * levels
        return torch.ceil(x / alpha).clamp_(0, levels).mul_(alpha)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        if ctx.estimator == "identity":
            return g, None, None, None
        if ctx.estimator == "relu":
            return g * (x > 0), None, None, None
        return g * ((x > 0) & (x < ctx.top)), None, None, None


class Peer(nn.Module):
    """What both networks share: parameters by name, normalization and quantized activation."""

    def __init__(self, params: dict, activation: Quantizer, estimator: str, fused: bool) -> None:
        super().__init__()
        self.weights = nn.ParameterDict(
            {name: nn.Parameter(torch.from_numpy(np.array(leaf))) for name, leaf in params.items()}
        )
        self.alpha, self.levels = float(activation.resolution), float(activation.levels)
        self.estimator, self.fused = estimator, fused
        self.norms = nn.ModuleDict()

    def norm(self, name: str, features: int, flat: bool = False) -> None:
        kind = nn.BatchNorm1d if flat else nn.BatchNorm2d
        self.norms[name] = kind(features, affine=False)

    def activate(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return Quantize.apply(self.norms[name](x), self.alpha, self.levels, self.estimator)


class TorchLeNet5(Peer):
    """Convolution, average pooling, normalization, activation, twice; then three linear layers."""

    def __init__(self, params: dict, activation: Quantizer, estimator: str, fused: bool) -> None:
        super().__init__(params, activation, estimator, fused)
        self.norm("1", 6)
        self.norm("2", 16)
        self.norm("3", 120, flat=True)
        self.norm("4", 84, flat=True)

    def pooled(self, x: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
        if not self.fused:
            return functional.avg_pool2d(functional.conv2d(x, filters), 2)
        wide = functional.avg_pool2d(functional.pad(filters, (1, 1, 1, 1)), 2, stride=1)
        return functional.conv2d(x, wide, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self.weights
        x = self.activate("1", self.pooled(x, w["convolution_1"]))
        x = self.activate("2", self.pooled(x, w["convolution_2"]))
        x = self.activate("3", functional.linear(x.flatten(1), w["linear_3"]))
        x = self.activate("4", functional.linear(x, w["linear_4"]))
        return functional.linear(x, w["linear_5"], w["bias_5"])


class TorchResNet8(Peer):
    """A stem of stride two, three pre-activated blocks, a linear layer."""

    def __init__(self, params: dict, activation: Quantizer, estimator: str, fused: bool) -> None:
        super().__init__(params, activation, estimator, fused)
        for name, leaf in params.items():
            if name.startswith("block"):
                self.norm(name, leaf.shape[1])
        self.norm("last", params["linear"].shape[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self.weights
        x = functional.conv2d(x, w["stem"], stride=2, padding=1)
        for block in (1, 2, 3):
            first, second = f"block_{block}a", f"block_{block}b"
            stride = 1 if block == 1 else 2
            inner = self.activate(first, x)
            inner = functional.conv2d(inner, w[first], stride=stride, padding=1)
            inner = functional.conv2d(self.activate(second, inner), w[second], padding=1)
            short = x[:, :, ::stride, ::stride]
            more = inner.shape[1] - short.shape[1]
            x = inner + functional.pad(short, (0, 0, 0, 0, 0, more))
        x = self.activate("last", x).mean(dim=(2, 3))
        return functional.linear(x, w["linear"], w["bias"])


def train_torch(
    peer: Peer, dataset: Dataset, order: np.ndarray, step_size: float
) -> tuple[float, float]:
    """Train on batches (epoch, step, batch); the loss of the first epoch, and the test accuracy."""
    images = torch.from_numpy(np.ascontiguousarray(dataset.train_images.transpose(0, 3, 1, 2)))
    labels = torch.from_numpy(dataset.train_labels).long()
    optimizer = torch.optim.SGD(peer.parameters(), step_size, momentum=0.9)
    peer.train()
    losses = []
    for chosen in torch.from_numpy(np.concatenate(order)).long():
        optimizer.zero_grad()
        loss = functional.cross_entropy(peer(images[chosen]), labels[chosen])
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    peer.eval()
    tests = torch.from_numpy(np.ascontiguousarray(dataset.test_images.transpose(0, 3, 1, 2)))
    with torch.no_grad():
        said = peer(tests).argmax(1).numpy()
    return float(np.mean(losses[: order.shape[1]])), float((said == dataset.test_labels).mean())
