"""Attention as a layer, and the layer of a transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.arguments import Probability, Size, checked
from minigrad.errors import ArgumentError, ShapeError
from minigrad.functional import dropout, gelu, linear, relu
from minigrad.functional.attention import additive, attention_weights, causal_bias
from minigrad.nn.dropout import Dropout
from minigrad.nn.init import parameter, xavier_uniform_, zeros_
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.nn.normalization import LayerNorm
from minigrad.ops.movement import as_array


class MultiheadAttention(Module):
    """Multi-head attention.

    Vaswani et al., "Attention Is All You Need" (2017), section 3.2.2; see
    `functional.scaled_dot_product_attention`.

    Parameters are float32: in_proj_weight (3*embed_dim, embed_dim), stacked for queries, keys and
    values, or where kdim or vdim differ from embed_dim, q_proj_weight (embed_dim,
    embed_dim), k_proj_weight (embed_dim, kdim) and v_proj_weight (embed_dim, vdim); in_proj_bias
    (3*embed_dim,); and those of out_proj, a Linear. Input projections are
    initialised by `init.xavier_uniform_`, drawn from `rng`, biases to zeros. `dropout` applies to
    the attention's weights, in training.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: if num_heads does not divide embed_dim.

    >>> layer = MultiheadAttention(8, num_heads=2, batch_first=True)
    >>> x = np.zeros((5, 10, 8))
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    ((5, 10, 8), (5, 10, 10))
    """

    @checked
    def __init__(
        self,
        embed_dim: Size,
        num_heads: Size,
        dropout: Probability = 0.0,
        bias: bool = True,
        *,
        kdim: Size | None = None,
        vdim: Size | None = None,
        batch_first: bool = False,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.batch_first = batch_first
        self.rng = rng
        if embed_dim % num_heads:
            raise ShapeError(
                f"MultiheadAttention({self.extra_repr()}): embed_dim is a multiple of num_heads"
            )
        self.in_proj_weight = None
        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = xavier_uniform_(parameter(3 * embed_dim, embed_dim), rng=rng)
        else:
            self.q_proj_weight = xavier_uniform_(parameter(embed_dim, embed_dim), rng=rng)
            self.k_proj_weight = xavier_uniform_(parameter(embed_dim, self.kdim), rng=rng)
            self.v_proj_weight = xavier_uniform_(parameter(embed_dim, self.vdim), rng=rng)
        self.in_proj_bias = parameter(3 * embed_dim) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, rng=rng)
        if self.out_proj.bias is not None:
            zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """Attend from queries to keys.

        As in PyTorch, boolean masks are True at what is masked; floats are added to the scores. A
        query whose keys are all masked gets the output for a value of zeros.

        Args:
            query: (L, N, embed_dim), or (N, L, embed_dim) if batch_first; or (L, embed_dim); key
                and value likewise.
            key: (S, N, kdim).
            value: (S, N, vdim).
            key_padding_mask: (N, S), keys that no query attends to.
            need_weights: whether to return the weights too.
            attn_mask: (L, S), or (N * num_heads, L, S).
            average_attn_weights: whether to return the mean of the heads' weights.
            is_causal: query i attends to keys 0..i only, in addition to masks.

        Returns:
            The output, of query's shape, and the weights, before dropout: (N, L, S), or (N,
            num_heads, L, S) of every head; or None.

        Raises:
            ShapeError: if shapes do not match.
            DtypeError: if a mask holds neither booleans nor floats.
        """
        query, key, value = inputs = [as_array(x) for x in (query, key, value)]
        self._check(query, key, value)
        single, batch_axis = query.ndim == 2, 0 if self.batch_first else 1
        if single:
            inputs = [np.expand_dims(x, batch_axis) for x in inputs]
        q, k, v = self._project(inputs)  # (N, heads, L or S, E / heads) each
        shape = (*q.shape[:3], k.shape[2])
        bias = self._bias(
            shape, np.result_type(q.dtype, 1.0), key_padding_mask, attn_mask, is_causal
        )
        weights = attention_weights(q, k, bias)  # (N, heads, L, S)
        heads = dropout(weights, self.dropout, self.training, rng=self.rng) @ v
        back = np.argsort(self._heads_first())
        y = self.out_proj(heads.transpose(*back).reshape(query.shape))
        if not need_weights:
            return y, None
        weights = weights.mean(1) if average_attn_weights else weights
        return y, weights[0] if single else weights

    def _check(self, query: Any, key: Any, value: Any) -> None:
        """Raise unless widths and axes match, and there are as many keys as values."""
        widths = (self.embed_dim, self.kdim, self.vdim)
        shapes = [x.shape for x in (query, key, value)]
        batches = {shape[0 if self.batch_first else 1] for shape in shapes if len(shape) == 3}
        if (
            len(query.shape) not in (2, 3)
            or {len(shape) for shape in shapes} != {query.ndim}
            or tuple(shape[-1] for shape in shapes) != widths
            or len(batches) > 1
            or key.shape[:-1] != value.shape[:-1]
        ):
            query_axes, key_axes = ("N, L", "N, S") if self.batch_first else ("L, N", "S, N")
            raise ShapeError(
                f"MultiheadAttention({self.extra_repr()}) takes query ({query_axes}, {widths[0]}), "
                f"key ({key_axes}, {widths[1]}) and value ({key_axes}, {widths[2]}), all without N "
                f"for one sequence, and was given {shapes[0]}, {shapes[1]} and {shapes[2]}"
            )

    def _project(self, inputs: list[Any]) -> list[Any]:
        """(L, N, E) each, or with batch_first (N, L, E) -> (N, heads, L, E / heads)."""
        size = self.embed_dim
        thirds = [slice(k * size, (k + 1) * size) for k in range(3)]
        if self.in_proj_weight is None:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        else:
            weights = [self.in_proj_weight[third] for third in thirds]
        bias = self.in_proj_bias
        biases = [None if bias is None else bias[third] for third in thirds]
        heads, order = (self.num_heads, size // self.num_heads), self._heads_first()
        projected = map(linear, inputs, weights, biases)
        return [x.reshape(*x.shape[:2], *heads).transpose(*order) for x in projected]

    def _heads_first(self) -> tuple[int, ...]:
        """From (L, N, heads, D), or with batch_first (N, L, heads, D), to (N, heads, L, D)."""
        return (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3)

    def _bias(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        key_padding_mask: Any,
        attn_mask: Any,
        is_causal: bool,
    ) -> Any:
        """The masks as a sum to add to scores, broadcasting to (N, heads, L, S); or None."""
        n, heads, length, keys = shape
        bias = causal_bias(length, keys, dtype) if is_causal else None
        masks = {
            "attn_mask": (attn_mask, [(length, keys), (n * heads, length, keys)]),
            "key_padding_mask": (key_padding_mask, [(n, keys), (keys,)][: 1 + (n == 1)]),
        }
        for name, (mask, shapes) in masks.items():
            if mask is None:
                continue
            mask = as_array(mask)
            if mask.shape not in shapes:
                raise ShapeError(
                    f"MultiheadAttention({self.extra_repr()}) takes {name} of shape "
                    f"{' or '.join(map(str, shapes))} here, and was given {mask.shape}"
                )
            # As in PyTorch: True masks a key in the layer, and keeps it in the function.
            part = additive(np.logical_not(mask) if mask.dtype == bool else mask, dtype)
            if name == "key_padding_mask":
                part = part.reshape(n, 1, 1, keys)
            elif part.ndim == 3:
                part = part.reshape(shape)
            bias = part if bias is None else bias + part
        return bias

    def extra_repr(self) -> str:
        text = f"{self.embed_dim}, {self.num_heads}"
        defaults = {"dropout": 0.0, "kdim": self.embed_dim, "vdim": self.embed_dim}
        for name, default in (defaults | {"batch_first": False}).items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"relu": relu, "gelu": gelu}


class TransformerEncoderLayer(Module):
    """A transformer layer: self-attention, then two linear layers, with residual connections.

    Layer normalization follows each residual sum; with norm_first, it precedes each branch instead.
    (Vaswani et al., "Attention Is All You Need", 2017, section 3.1; Xiong et al., "On layer
    normalization in the transformer architecture", 2020, figure 1.)

    Its children have PyTorch's names: self_attn, linear1 (d_model -> dim_feedforward), linear2 and
    norm1, norm2; parameters are initialised as theirs, drawn from `rng`. Dropout, from the same
    generator, applies to attention weights, after attention, after the activation and at the end.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if x or a mask have other shapes.

    >>> layer = TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> layer(np.zeros((5, 10, 8))).shape
    (5, 10, 8)
    """

    @checked
    def __init__(
        self,
        d_model: Size,
        nhead: Size,
        dim_feedforward: Size = 2048,
        dropout: Probability = 0.1,
        activation: str | Callable[[Any], Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            raise ArgumentError(
                f"TransformerEncoderLayer: activation is one of {', '.join(ACTIVATIONS)}, or a "
                f"function, not {activation!r}"
            )
        self.norm_first = norm_first
        options: Any = {"dropout": dropout, "bias": bias, "batch_first": batch_first}
        self.self_attn = MultiheadAttention(d_model, nhead, **options, rng=rng)
        self.linear1 = Linear(d_model, dim_feedforward, bias, rng=rng)
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, rng=rng)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1 = Dropout(dropout, rng=rng)
        self.dropout2 = Dropout(dropout, rng=rng)
        self.activation = ACTIVATIONS[activation] if isinstance(activation, str) else activation

    def forward(
        self,
        src: Any,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Any:
        """(L, N, d_model), or (N, L, d_model) if batch_first, or (L, d_model) -> the same shape.

        Masks are those of `MultiheadAttention`; src_mask is its attn_mask.
        """
        masks = (src_key_padding_mask, src_mask, is_causal)
        if self.norm_first:
            x = src + self._attend(self.norm1(src), *masks)
            return x + self._feed_forward(self.norm2(x))
        x = self.norm1(src + self._attend(src, *masks))
        return self.norm2(x + self._feed_forward(x))

    def _attend(self, x: Any, padding: Any, mask: Any, is_causal: bool) -> Any:
        y, _ = self.self_attn(x, x, x, padding, False, mask, is_causal=is_causal)
        return self.dropout1(y)

    def _feed_forward(self, x: Any) -> Any:
        hidden = self.dropout(self.activation(self.linear1(x)))
        return self.dropout2(self.linear2(hidden))

    def extra_repr(self) -> str:
        return f"norm_first={self.norm_first}"
