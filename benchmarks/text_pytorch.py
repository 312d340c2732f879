"""The language models of `minigrad.recipes.models` in PyTorch, with the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn import functional

from minigrad.recipes.config import Config


def attend(x: Any, heads: int, qkv: Any, mix: Any) -> Any:
    """Causal attention of x (N, T, W) to itself."""
    n, t, w = x.shape
    q, k, v = qkv(x).view(n, t, 3, heads, w // heads).permute(2, 0, 3, 1, 4)
    y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return mix(y.transpose(1, 2).reshape(n, t, w))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Any) -> Any:
        x = x + attend(self.norm1(x), self.heads, self.qkv, self.mix)
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, config: Config, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, config.width)
        self.places = nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, bias=False)

    def forward(self, tokens: Any) -> Any:
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return functional.linear(self.norm(x), self.tokens.weight)


def norm(x: Any) -> Any:
    return functional.rms_norm(x, x.shape[-1:], eps=1e-5)


class MicroBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Any) -> Any:
        x = x + attend(norm(x), self.heads, self.qkv, self.mix)
        return x + self.down(functional.relu(self.up(norm(x))))


class MicroGPT(nn.Module):
    def __init__(self, config: Config, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, config.width)
        self.places = nn.Embedding(config.context, config.width)
        blocks = (MicroBlock(config.width, config.heads) for _ in range(config.layers))
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(config.width, vocabulary, bias=False)

    def forward(self, tokens: Any) -> Any:
        x = norm(self.tokens(tokens) + self.places.weight[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x)
        return self.head(x)


MODELS: dict[str, Callable[[Config, int], nn.Module]] = {"gpt": GPT, "microgpt": MicroGPT}
