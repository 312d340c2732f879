"""Networks written once for minigrad and PyTorch, whose layers have the same names and arguments.

Each returns a module that computes the loss of a batch; `networks_jax.py` has the same for JAX.
Images are (N, C, H, W).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import functional, nn


@dataclass(frozen=True)
class Layers:
    """A library: `nn` its layers, `functional` functions for networks, `xp` those of arrays."""

    nn: Any
    functional: Any
    xp: Any
    upsample: Callable[..., Any]  # (N, C, H, W) -> (N, C, 2H, 2W), each pixel four times


MINIGRAD = Layers(nn, functional, np, lambda x: np.repeat(np.repeat(x, 2, axis=2), 2, axis=3))


def network(lib: Layers, forward: Callable[..., Any], *layers: Any) -> Any:
    """A module of these layers."""
    base: Any = lib.nn.Module

    class Network(base):
        def __init__(self) -> None:
            super().__init__()
            self.layers = lib.nn.ModuleList(layers)

        def forward(self, *inputs: Any) -> Any:
            return forward(*inputs)

    return Network()


def classified(lib: Layers, model: Any) -> Any:
    return network(lib, lambda x, y: lib.functional.cross_entropy(model(x), y), model)


def resnet(lib: Layers) -> Any:
    """Three stages of two residual blocks, the later ones with half the pixels each."""
    nn, f = lib.nn, lib.functional

    def convolved(i: int, o: int, size: int, stride: int) -> list[Any]:
        convolution = nn.Conv2d(i, o, size, stride, padding=size // 2, bias=False)
        return [convolution, nn.BatchNorm2d(o)]

    def block(i: int, o: int, stride: int) -> Any:
        main = nn.Sequential(*convolved(i, o, 3, stride), nn.ReLU(), *convolved(o, o, 3, 1))
        skip = nn.Sequential(*(convolved(i, o, 1, stride) if stride > 1 else []))
        return network(lib, lambda x: f.relu(main(x) + skip(x)), main, skip)

    model = nn.Sequential(
        *(*convolved(3, 16, 3, 1), nn.ReLU(), block(16, 16, 1), block(16, 16, 1)),
        *(block(16, 32, 2), block(32, 32, 1), block(32, 64, 2), block(64, 64, 1)),
        *(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10)),
    )
    return classified(lib, model)


def unet(lib: Layers) -> Any:
    """Twice down and up again, each level of two convolutions with GroupNorm."""
    nn, xp = lib.nn, lib.xp

    def level(i: int, o: int) -> Any:
        one = (nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(8, o), nn.SiLU())
        return nn.Sequential(*one, nn.Conv2d(o, o, 3, padding=1), nn.GroupNorm(8, o), nn.SiLU())

    down1, down2, middle = level(1, 16), level(16, 32), level(32, 64)
    up2, up1, head = level(96, 32), level(48, 16), nn.Conv2d(16, 1, 1)
    pool = nn.MaxPool2d(2)

    def loss(x: Any, y: Any) -> Any:
        a = down1(x)
        b = down2(pool(a))
        c = middle(pool(b))
        b = up2(xp.concatenate([b, lib.upsample(c)], 1))
        a = up1(xp.concatenate([a, lib.upsample(b)], 1))
        return lib.functional.binary_cross_entropy_with_logits(head(a), y)

    return network(lib, loss, down1, down2, middle, up2, up1, head)


def generator(lib: Layers) -> Any:
    """Noise (N, 64) -> images (N, 1, 28, 28)."""
    nn = lib.nn
    return nn.Sequential(
        *(nn.Linear(64, 64 * 49), nn.Unflatten(1, (64, 7, 7)), nn.ReLU()),
        *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU()),
        *(nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh()),
    )


def discriminator(lib: Layers) -> Any:
    """Images (N, 1, 28, 28) -> scores (N, 1)."""
    nn = lib.nn
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.2)),
        *(nn.Flatten(), nn.Linear(64 * 49, 1)),
    )


def depthwise_separable(lib: Layers) -> Any:
    """A convolution, then blocks of one per channel and one across channels."""
    nn = lib.nn

    def block(i: int, o: int, stride: int) -> list[Any]:
        each = nn.Conv2d(i, i, 3, stride, padding=1, groups=i, bias=False)
        across = nn.Conv2d(i, o, 1, bias=False)
        return [each, nn.BatchNorm2d(i), nn.ReLU(), across, nn.BatchNorm2d(o), nn.ReLU()]

    model = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, 2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
        *(*block(32, 64, 1), *block(64, 128, 2), *block(128, 128, 1)),
        *(nn.AvgPool2d(12), nn.Flatten(), nn.Linear(128, 10)),
    )
    return classified(lib, model)


def denoiser(lib: Layers) -> Any:
    """The noise in images is found by residual convolutions, told at which time (N,) in [0, 1]."""
    nn, f, xp = lib.nn, lib.functional, lib.xp
    width = 32

    def convolved(groups: int, i: int, o: int) -> Any:
        return nn.Sequential(nn.GroupNorm(groups, i), nn.SiLU(), nn.Conv2d(i, o, 3, padding=1))

    def block() -> Any:
        one, time, two = convolved(8, 32, 32), nn.Linear(64, 32), convolved(8, 32, 32)
        return network(
            lib, lambda x, t: x + two(one(x) + time(t)[:, :, None, None]), one, time, two
        )

    embed = nn.Sequential(nn.Linear(width, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
    first, blocks = nn.Conv2d(1, 32, 3, padding=1), [block() for _ in range(3)]
    last = convolved(8, 32, 1)

    def loss(x: Any, noise: Any, t: Any) -> Any:
        angle = t[:, None, None, None] * 1.5
        waves = t[:, None] * xp.exp(0.5 * xp.arange(width // 2, dtype=xp.float32))
        time = embed(xp.concatenate([xp.cos(waves), xp.sin(waves)], 1))
        h = first(xp.cos(angle) * x + xp.sin(angle) * noise)
        for each in blocks:
            h = each(h, time)
        return f.mse_loss(last(h), noise)

    return network(lib, loss, embed, first, *blocks, last)


def vision_transformer(lib: Layers) -> Any:
    """Patches of 4 by 4 pixels, three blocks, 96 wide, of 4 heads."""
    nn, f = lib.nn, lib.functional
    width = 96

    def heads_of(x: Any) -> Any:
        """(N, T, W) -> (N, heads, T, W / heads)."""
        return x.reshape(*x.shape[:2], 4, width // 4).swapaxes(1, 2)

    def block() -> Any:
        norm1, qkv, mix = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        norm2, up, down = nn.LayerNorm(width), nn.Linear(width, 384), nn.Linear(384, width)

        def forward(x: Any) -> Any:
            found = qkv(norm1(x))
            q, k, v = (heads_of(found[:, :, i * width : (i + 1) * width]) for i in range(3))
            mixed = f.scaled_dot_product_attention(q, k, v)
            x = x + mix(mixed.swapaxes(1, 2).reshape(*x.shape))
            return x + down(f.gelu(up(norm2(x)), approximate="tanh"))

        return network(lib, forward, norm1, qkv, mix, norm2, up, down)

    patches, places = nn.Conv2d(3, width, 4, 4), nn.Embedding(64, width)
    blocks = nn.Sequential(block(), block(), block())
    norm, head = nn.LayerNorm(width), nn.Linear(width, 10)

    def loss(x: Any, y: Any) -> Any:
        h = patches(x).reshape(len(x), width, 64).swapaxes(1, 2) + places.weight
        return f.cross_entropy(head(norm(blocks(h)).mean(1)), y)

    return network(lib, loss, patches, places, blocks, norm, head)


def gru(lib: Layers) -> Any:
    """Sequences (L, N, 32) of ten classes."""
    layer, head = lib.nn.GRU(32, 96), lib.nn.Linear(96, 10)
    return network(
        lib, lambda x, y: lib.functional.cross_entropy(head(layer(x)[0][-1]), y), layer, head
    )


def words(lib: Layers) -> Any:
    """Texts (N, L) of 200,000 words, as the mean of their words' vectors."""
    table, head = lib.nn.Embedding(200_000, 64), lib.nn.Linear(64, 4)
    return network(
        lib, lambda x, y: lib.functional.cross_entropy(head(table(x).mean(1)), y), table, head
    )
