"""Wrong uses of all that is public: each is an error of ours, which says what was wrong.

A line of `CASES` is a call, the error's class or a base of it, and words that its message has.
"""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import errors, nn, optim
from minigrad import functional as F
from minigrad.scipy import fft, integrate, interpolate, linalg, signal, special, stats
from minigrad.scipy import optimize as solvers
from minigrad.training import BestWeights, EarlyStopping, History, accuracy

CASES = r"""
Tensor("a") | DtypeError | the data for a Tensor has dtype
t.view(2, 3) | MissingError | a Tensor has no .view: write t.reshape(...)
t.unsqueeze(0) | MissingError | a Tensor has no .unsqueeze: write np.expand_dims(t, axis),
t.numpy() | MissingError | a Tensor has no .numpy: write t.data, the array itself
t.permute(1, 0) | MissingError | a Tensor has no .permute: write t.transpose(1, 0, 2)
t.cpu() | MissingError | a Tensor has no .cpu: write t itself: there is only the CP
t.to("cpu") | MissingError | a Tensor has no .to: write t.astype(dtype); there is only
t.cuda() | MissingError | a Tensor has no .cuda: write t itself: there is only the C
t.float() | MissingError | a Tensor has no .float: write t.astype(np.float32)
t.double() | MissingError | a Tensor has no .double: write t.astype(np.float64)
t.long() | MissingError | a Tensor has no .long: write t.astype(np.int64)
t.clone() | MissingError | a Tensor has no .clone: write t.copy()
t.numel() | MissingError | a Tensor has no .numel: write t.size
t.dim() | MissingError | a Tensor has no .dim: write t.ndim
t.expand(2, 3) | MissingError | a Tensor has no .expand: write np.broadcast_to(t, shape)
t.repeat(2, 2) | ArgumentError | write np.tile(t, (2, 2)) for what PyTorch does
np.frompyfunc(abs, 1, 1)(t) | UnsupportedError | the ufunc abs (vectorized) is not supported
t.t() | MissingError | a Tensor has no .t: write t.T
t.mm(t) | MissingError | a Tensor has no .mm: write t @ x
t.matmul(t) | MissingError | a Tensor has no .matmul: write t @ x
t.abs() | MissingError | a Tensor has no .abs: write np.abs(t)
t.pow(2) | MissingError | a Tensor has no .pow: write t**x
t.clamp(0, 1) | MissingError | a Tensor has no .clamp: write np.clip(t, low, high)
t.partition(9) | MinigradError | argpartition(
t.flatten(1) | ArgumentError | t.reshape(len(t), -1) flattens all axes but the first
t.add_(1) | MissingError | a Tensor has no .add_: write t += x
round(t, 2) | UnsupportedError | takes no Tensor: write np.round(t)
round(t) | UnsupportedError | takes no Tensor: write np.round(t)
t.__delitem__(0) | UnsupportedError | takes no Tensor: write t[1:] or np.concatenate
t["a"] | IndexingError | does not work
t[1.5] | IndexingError | does not work
t[2] | IndexingError | out of bounds
t.__setitem__((0, 3), 1) | IndexingError | out of bounds
"a" + t | DtypeError | add('a', float64 array of shape
~t | DtypeError | invert(float64 array of shape (2
float(t) | ShapeError | is not a single value: pick an entry
int(t) | ShapeError | is not a single value: pick an entry
bool(t) | ShapeError | is not a single value: pick an entry
1 if t else 2 | ShapeError | is not a single value: pick an entry
t << 1 | DtypeError | left_shift(
1 >> t | DtypeError | right_shift(
[1, 2][t] | ArgumentTypeError | is not a single integer
range(t.sum()) | ArgumentTypeError | is not a single integer
t.ctypes | MissingError | a Tensor has no .ctypes: write t.data.ctypes
no_grad(3) | ArgumentTypeError | takes nothing, or a function
no_grad()(lambda: (yield)) | UnsupportedError | in the body, around what it computes
debug(lambda: (yield)) | UnsupportedError | in the body, around what it computes
len(Tensor(1.0)) | ArgumentTypeError | len() of a Tensor with no axes
iter(Tensor(1.0)) | ArgumentTypeError | len() of a Tensor with no axes
list(Tensor(1.0)) | ArgumentTypeError | len() of a Tensor with no axes
w.sum().backward([1.0, 2.0]) | ShapeError | backward(g) of shape () with g o
w.sum().backward("a") | DtypeError | a Tensor cannot be made of this
w.backward() | GradientError | backward() from a Tensor of float
format(t, "d") | ShapeError | is for a single number, and this Tensor has shape (2, 3)
format(t, ".2f") | ShapeError | is for a single number, and this Tensor has shape (2, 3)
format(t[0, 0], "d") | ArgumentError | a Tensor of float64 in the format 'd'
t.shape = (3, 2) | MissingError | .shape of a Tensor cannot be assigned or deleted: write t = t
t.dtype = np.float32 | MissingError | .dtype of a Tensor cannot be assigned or deleted: write t
t.strides = (8, 8) | MissingError | .strides of a Tensor cannot be assigned or deleted
t[0].T = 1 | MissingError | .T of a Tensor cannot be assigned or deleted
del t.ndim | MissingError | .ndim of a Tensor cannot be assigned or deleted
pow(t, 2, 5) | UnsupportedError | write t**y % modulo
t @ 3 | ShapeError | matmul of a number: use * for that
del t[0] | UnsupportedError | takes no Tensor: write t[1:] or np.concatenate
bytes(t) | UnsupportedError | takes no Tensor: write t.data.tobytes()
round(t, "a") | UnsupportedError | takes no Tensor: write np.round(t)
t[..., None, ..., 1] | IndexingError | an index can only have a single ellipsis
t[[[0, 1], [1]]] | ArgumentError | nested lists make an array only if
t[["a"]] | DtypeError | has dtype <U1
max(t) | ShapeError | pick an entry, or reduce it, as in np.sum(t)
np.sum(t, axis=9) | MinigradError | does not work
np.sort(t, axis=9) | MinigradError | does not work
np.concatenate(t, w) | ShapeError | is not a single value
np.stack([t, np.ones(3)]) | MinigradError | stack of
np.compress([[True]], t) | ShapeError | it has one axis
np.exp(t, dtype="x") | MinigradError | np.exp(
np.einsum("ij,jk", t, t) | MinigradError | einsum 'ij,jk'
np.reshape(t, "a") | MinigradError | does not work
np.pad(t, "a") | MinigradError | np.pad by
np.clip(t, "a", 1) | MinigradError | does not work
np.linalg.qr(t, "raw") | UnsupportedError | qr with mode='raw' on a Tensor
np.linalg.inv(t) | LinAlgError | inv of shape (2, 3): it is of square matrices
np.linalg.inv(np.zeros_like(t[:, :2])) | LinAlgError | Singular matrix
np.linalg.cholesky(-t[:, :2] @ t.T[:2]) | LinAlgError | not positive definite
np.linalg.solve(t[:, :2], t.T) | LinAlgError | b has as many rows as a
np.linalg.eigvals(t[0]) | LinAlgError | eig of shape (3,)
np.linalg.norm(t, ord="x") | MinigradError | norm of matrices with ord='x'
np.fft.fft(t, norm="x") | MinigradError | norm='x'
np.round(t, 1.5) | DtypeError | np.round(Tensor of shape (2, 3), 1.5) does not work
np.take(t, 9) | MinigradError | does not work
np.take_along_axis(t, i, 0) | MinigradError | take_along_axis of
np.repeat(t, -1) | MinigradError | does not work
np.tile(t, "a") | MinigradError | does not work
np.broadcast_to(t, (7, 7)) | MinigradError | does not work
np.expand_dims(t, 9) | MinigradError | does not work
np.moveaxis(t, 0, 9) | MinigradError | does not work
np.transpose(t, (0, 0)) | MinigradError | does not work
np.roll(t, "a") | MinigradError | does not work
np.flip(t, axis=9) | MinigradError | does not work
np.split(t, 4) | MinigradError | does not work
np.diff(t, n="a") | MinigradError | does not work
np.dot(t, np.ones(7)) | MinigradError | does not work
np.tensordot(t, t, axes="a") | MinigradError | does not work
np.argmax(t, axis=9) | MinigradError | does not work
np.var(t, ddof="a") | MinigradError | does not work
np.prod(t, axis=9) | MinigradError | does not work
np.cumsum(t, axis=9) | MinigradError | does not work
np.quantile(t, 2) | ArgumentError | at least 0 and at most 1
np.array(w) | GradientError | plain array
np.asarray(w) | GradientError | plain array
np.vstack([t, np.ones(9)]) | MinigradError | does not work
np.squeeze(t, axis=0) | MinigradError | does not work
np.max(t, initial="a") | MinigradError | maximum(
np.mean(t, dtype="x") | MinigradError | np.astype(
np.geomspace(t * 0, 1) | ArgumentError | from or to 0
np.full_like(t, "a") | MinigradError | does not work
np.add.at(np.zeros(3), 0, w) | MinigradError | np.add.at of a Tensor into a plain array
np.maximum(t, "a") | MinigradError | does not work
np.power(t, None) | MinigradError | does not work
grad(3) | ArgumentTypeError | grad: f must be a function, and is
grad("f") | ArgumentTypeError | grad: f must be a function, and is
value_and_grad(3) | ArgumentTypeError | value_and_grad: f must be a function, and is
value_and_grad(f, wrt=0) | ArgumentTypeError | value_and_grad: got an unexpected keyword argument
vjp(3, 1.0) | ArgumentTypeError | vjp: f must be a function, and is
vjp(f, "a") | DtypeError | argument 0 is a str: argnums can
jvp(3, (1.0,), (1.0,)) | ArgumentTypeError | jvp: f must be a function, and is
jvp(f, 1.0, 1.0) | ArgumentTypeError | jvp: primals must be a Sequence, and is
jacobian(3) | ArgumentTypeError | jacobian: f must be a function, and is
jacobian(f)() | GradientError | argnums=0, of 0 positional argum
hessian(3) | ArgumentTypeError | hessian: f must be a function, and is
hvp(3) | ArgumentTypeError | hvp: f must be a function, and is
hvp(f)(1.0) | GradientError | argnums=0, of 0 positional argum
check_gradients(3, 1.0) | ArgumentTypeError | check_gradients: f must be a function, and is
check_gradients(f, 1.0, order="a") | ArgumentTypeError | check_gradients: order must be an integer
manual_seed("a") | ArgumentTypeError | manual_seed: seed must be an integer, at least 0, and is
manual_seed(-1) | ArgumentError | manual_seed: seed must be at least 0, and is
hook(3, print) | ArgumentError | hook: x must be a Tensor, and is
hook(t, 3) | ArgumentTypeError | hook: function must be a function, and is
compile(3) | ArgumentTypeError | must be a function, or a module that was made, and is 3
compile("f") | ArgumentTypeError | must be a function, or a module that was made, and is
compile(lambda x: x.numpy())(a) | MissingError | write t.data
hvp(f)() | ArgumentError | last the vector v
save(3, {}) | ArgumentTypeError | save: path must be text or a path, and is
save(tmp + "/a", 3) | UnsupportedError | save takes a Module, or arrays b
load(3) | ArgumentTypeError | load: path must be text or a path, and is
load(None) | ArgumentTypeError | load: path must be text or a path, and is
model.load_state_dict(None) | ArgumentTypeError | Linear: a state is a dict of values by name, as
model.load_state_dict(3) | ArgumentTypeError | Linear: a state is a dict of values by name, as sta
model(None) | DtypeError | the input, None, has dtype object
model("a") | DtypeError | the input, 'a', has dtype <U1, and Tensors hold floats, complex
model.train("yes") | ArgumentTypeError | Linear.train: mode must be True or False, and is
model.requires_grad_("no") | ArgumentTypeError | Linear.requires_grad_: requires_grad must be True
model.apply(3) | ArgumentTypeError | Linear.apply: function must be a function, and is
model.register_forward_hook(3) | ArgumentError | a hook is a function, not of type int
model.register_forward_pre_hook(None) | ArgumentError | a hook is a function, not of type NoneType
model.register_full_backward_hook("a") | ArgumentError | a hook is a function, not of type str
model.to("cuda") | MissingError | a Linear has no .to: write nothing: there is only the CPU
model.cuda() | MissingError | a Linear has no .cuda: write nothing: there is only the CP
nn.Linear(2.0, 3) | ArgumentTypeError | Linear: in_features must be an integer, at least 1, and is
nn.Linear("2", 3) | ArgumentTypeError | Linear: in_features must be an integer, at least 1, and is
nn.Bilinear(2, 3, 4.0) | ArgumentTypeError | Bilinear: out_features must be an integer, at least 1
nn.Dropout("0.5") | ArgumentTypeError | Dropout: p must be a number, at least 0 and at most 1, and
nn.Dropout(2) | ArgumentError | Dropout: p must be at least 0 and at most 1, and is
nn.Conv2d(1, 2) | ArgumentTypeError | Conv2d: missing a required argument: 'kernel_size'
nn.Conv2d(1, 2, "3") | ArgumentTypeError | Conv2d: kernel_size must be an integer or a list of an
nn.Conv1d(1, 2, None) | ArgumentTypeError | Conv1d: kernel_size must be an integer or a list of an
nn.ConvTranspose2d(1, 2, 3, output_padding="a") | ArgumentTypeError | ConvTranspose2d: output_padd
nn.MaxPool2d("2") | ArgumentTypeError | MaxPool2d: kernel_size must be an integer, at least 1 or a l
nn.MaxPool2d(2.0) | ArgumentTypeError | MaxPool2d: kernel_size must be an integer, at least 1 or a l
nn.AvgPool2d(2, padding="a")(np.ones((1, 1, 4, 4))) | ArgumentTypeError | AvgPool2d: padding must
nn.AvgPool2d(2, 2, 0, True) | ArgumentTypeError | AvgPool2d: too many positional arguments
nn.AdaptiveAvgPool2d("a")(np.ones((1, 1, 4, 4))) | ArgumentTypeError | AdaptiveAvgPool2d: output_s
nn.AdaptiveAvgPool2d(0)(np.ones((1, 1, 4, 4))) | ShapeError | adaptive_avg_pool2d of x (1, 1,
nn.AdaptiveAvgPool1d((1, 2))(np.ones((1, 1, 4))) | ArgumentTypeError | AdaptiveAvgPool1d: output_s
nn.BatchNorm1d(2.0) | ArgumentTypeError | BatchNorm1d: num_features must be an integer, at least 1
nn.BatchNorm1d("2") | ArgumentTypeError | BatchNorm1d: num_features must be an integer, at least 1
nn.LayerNorm("a") | ArgumentTypeError | LayerNorm: normalized_shape must be an integer or a list o
nn.LayerNorm(2.5) | ArgumentTypeError | LayerNorm: normalized_shape must be an integer or a list o
nn.RMSNorm(2.5) | ArgumentTypeError | RMSNorm: normalized_shape must be an integer or a list of
nn.GroupNorm(2) | ArgumentTypeError | GroupNorm: missing a required argument: 'num_channels'
nn.GroupNorm(2, 3) | ShapeError | GroupNorm(2, 3): groups of equal
nn.Embedding(2) | ArgumentTypeError | Embedding: missing a required argument: 'embedding_dim'
nn.Embedding(2.0, 3) | ArgumentTypeError | Embedding: num_embeddings must be an integer, at least
nn.LSTM(2) | ArgumentTypeError | LSTM: missing a required argument: 'hidden_size'
nn.LSTM(2.0, 3) | ArgumentTypeError | LSTM: input_size must be an integer, at least 1, and is
nn.RNN(2, 3, nonlinearity="x") | ArgumentError | RNN: nonlinearity must be one of 'tanh', 'relu',
nn.RNN(2, 3, nonlinearity=np.tanh) | ArgumentTypeError | RNN: nonlinearity must be text, one of 't
nn.GRU(2, 3)(np.ones((4, 1, 7))) | ShapeError | GRU(2, 3) takes x of shape (L, N
nn.MultiheadAttention(8, 3) | ShapeError | MultiheadAttention(8, 3): embed_
nn.MultiheadAttention(8.0, 2) | ArgumentTypeError | MultiheadAttention: embed_dim must be an integ
nn.TransformerEncoderLayer(8) | ArgumentTypeError | TransformerEncoderLayer: missing a required ar
nn.TransformerEncoderLayer(8, 2, activation="x") | ArgumentError | TransformerEncoderLayer: activa
nn.Sequential(3) | MinigradError | Sequential takes
nn.Sequential(nn.ReLU) | MinigradError | Sequential takes
nn.ModuleList(3) | ArgumentTypeError | ModuleList: modules must be an Iterable, and is
nn.ModuleList(nn.ReLU()) | ArgumentTypeError | ModuleList: modules must be an Iterable, and is
nn.ModuleDict(3) | ArgumentTypeError | ModuleDict: modules must be a dict or an Iterable, and is
nn.ModuleDict([1, 2]) | ArgumentTypeError | ModuleDict: modules must be a dict or an Iterable, and
nn.Flatten("a") | ArgumentTypeError | Flatten: start_dim must be an integer, and is
nn.Flatten(2, 1) | ShapeError | Flatten(2, 1): the first axis is
nn.Unflatten(1, 3) | ArgumentTypeError | Unflatten: unflattened_size must be a list of an integer
nn.Unflatten(1, "ab") | ArgumentTypeError | Unflatten: unflattened_size must be a list of an integ
nn.ReLU(3) | ArgumentTypeError | ReLU: too many positional arguments
nn.ReLU(inplace=True) | ArgumentTypeError | ReLU: got an unexpected keyword argument 'inplace'
nn.LeakyReLU("a")(a) | ArgumentTypeError | LeakyReLU: negative_slope must be a number, and is
nn.LeakyReLU("a") | ArgumentTypeError | LeakyReLU: negative_slope must be a number, and is
nn.PReLU(2.5) | ArgumentTypeError | PReLU: num_parameters must be an integer, at least 1, and
nn.PReLU("a") | ArgumentTypeError | PReLU: num_parameters must be an integer, at least 1, and
nn.ELU("a")(a) | ArgumentTypeError | ELU: alpha must be a number, and is
nn.GELU("foo")(a) | ArgumentError | GELU: approximate must be one of 'none', 'tanh', and is
nn.GELU("foo") | ArgumentError | GELU: approximate must be one of 'none', 'tanh', and is
nn.Softmax("a")(a) | ArgumentTypeError | Softmax: axis must be an integer, and is
nn.Softmax(axis="a") | ArgumentTypeError | Softmax: axis must be an integer, and is
nn.CrossEntropyLoss("mean") | MinigradError | the data
nn.CrossEntropyLoss(weight="a") | MinigradError | the data
nn.NLLLoss()(a, 3.5) | ShapeError | nll_loss of scores of shape (3,
nn.MSELoss(3) | ArgumentTypeError | MSELoss: reduction must be text, one of 'mean', 'sum', 'no
nn.MSELoss()(a, None) | DtypeError | the input, None, has dtype object, and Tensors hold f
nn.BCEWithLogitsLoss()(a, np.ones(3)) | ShapeError | binary_cross_entropy_with_logits
nn.BCEWithLogitsLoss(pos_weight="a")(a, a) | DtypeError | the data for a Tensor has dtype
nn.KLDivLoss(reduction="x")(a, a) | ArgumentError | KLDivLoss: reduction must be one of 'mean', 'b
nn.HingeLoss()(a, 0 * a) | ArgumentError | hinge_loss has targets -1 and 1, and was given
nn.SmoothL1Loss(beta=-1) | ArgumentError | SmoothL1Loss: beta must be at least 0, and is
nn.SmoothL1Loss(beta="a")(a, a) | ArgumentTypeError | SmoothL1Loss: beta must be a number, at leas
nn.CosineSimilarity(axis=9)(a, a) | MinigradError | does not work
nn.CosineSimilarity(axis="x")(a, a) | ArgumentTypeError | CosineSimilarity: axis must be an intege
nn.CosineEmbeddingLoss(margin="a")(a, a, np.ones(3)) | ArgumentTypeError | CosineEmbeddingLoss: ma
nn.init.normal_(3) | ArgumentTypeError | normal_: tensor must be a Tensor, and is
nn.init.uniform_(t, "a", 2) | ArgumentTypeError | uniform_: a must be a number, finite
nn.init.constant_(t, np.inf) | ArgumentError | constant_: val must be finite, and is inf
nn.init.constant_(Tensor(np.ones(2, np.float32)), 1e300) | ArgumentError | beyond what float32 holds
nn.init.uniform_(t, -1e308, 1e308) | ArgumentError | and b - a a number
nn.init.uniform_(t, 1, 0) | ArgumentError | a must not be above b
nn.init.normal_(t, np.nan) | ArgumentError | normal_: mean must be finite, and is nan
nn.init.normal_(t, 0, np.nan) | ArgumentError | normal_: std must be finite, and is nan
nn.init.normal_(t, 0, -1.0) | ArgumentError | a deviation is at least 0
nn.init.trunc_normal_(t, a=3, b=2) | ArgumentError | std > 0, and a < b
nn.init.orthogonal_(t, np.inf) | ArgumentError | orthogonal_: gain must be finite, and is inf
nn.init.kaiming_normal_(t, np.nan) | ArgumentError | kaiming_normal_: a must be finite, and is nan
accuracy(np.ones((0, 3)), np.ones(0, int)) | ShapeError | Leave out empty batches
accuracy(np.ones((3, 0)), np.ones(3, int)) | ShapeError | of no labels, or of no classes
accuracy(np.ones((2, 2)), np.ones(2)) | DtypeError | labels class indices, integers
nn.init.constant_(t, "a") | ArgumentTypeError | constant_: val must be a number, finite
nn.init.xavier_uniform_(b1) | ShapeError | xavier_uniform_ of shape (3,): i
nn.init.kaiming_uniform_(t, mode="x") | ArgumentError | kaiming_uniform_: mode is "fan_in" or "fan
nn.init.orthogonal_(b1) | ShapeError | orthogonal_ of shape (3,): it is
nn.init.zeros_(None) | ArgumentTypeError | zeros_: tensor must be a Tensor, and is
nn.init.trunc_normal_(t, std=0) | ArgumentError | trunc_normal_ with std=0, a=-2.0, b=2.0: std > 0
nn.init.calculate_gain(3) | ArgumentTypeError | calculate_gain: nonlinearity must be text, and is
nn.summary(model, 3) | ArgumentError | an input is an array, a Tensor, or a shape such as (1, 784
nn.summary(model, "a") | ArgumentError | an input is an array, a Tensor, or a shape such as (1, 78
F.relu() | ArgumentTypeError | missing a required argument
F.softmax(a, axis=5) | MinigradError | does not work
F.log_softmax("a") | DtypeError | the input, 'a', has dtype <U1, and Tensors hold floats,
F.linear(a, np.ones(3)) | MinigradError | linear of
F.bilinear(a, a, a) | MinigradError | bilinear of
F.conv2d(a, a) | MinigradError | conv2d of
F.conv1d(img, ker) | MinigradError | conv1d of
F.max_pool2d(img, "a") | MinigradError | kernel_size is
F.avg_pool2d(img, None) | MinigradError | kernel_size is
F.adaptive_avg_pool2d(img, "a") | MinigradError | output_size is
F.dropout(a, "a") | ArgumentTypeError | dropout: p must be a number, and is
F.embedding(i, "a") | DtypeError | the input, 'a', has dtype <U1, and Tensors hold floats,
F.layer_norm(a, "a") | ArgumentTypeError | layer_norm: normalized_shape must be an integer or a li
F.batch_norm(a, None, None) | ArgumentError | batch_norm of x (3, 2): without running statistics,
F.group_norm(a, 3) | MinigradError | group_norm of
F.rms_norm(a, "a") | ArgumentTypeError | rms_norm: normalized_shape must be an integer or a list o
F.scaled_dot_product_attention(a, a) | ArgumentTypeError | scaled_dot_product_attention: missing a
F.cross_entropy(a, i2, reduction=3) | ArgumentError | reduction is "mean", "sum" or "none", not 3
F.nll_loss(3, 2) | MinigradError | nll_loss of
F.mse_loss(a, None) | DtypeError | the input, None, has dtype object, and Tensors hold float
F.kl_div(a, i) | MinigradError | kl_div of
F.smooth_l1_loss(a, a, beta="a") | ArgumentTypeError | smooth_l1_loss: beta must be a number, and
F.hinge_loss(a, None) | DtypeError | the input, None, has dtype object, and Tensors hold f
F.cosine_similarity(a, a, axis="x") | MinigradError | does not work
F.gelu(a, "foo") | ArgumentError | gelu: approximate is "none" or "tanh", not 'foo'
F.elu(a, "x") | ArgumentTypeError | elu: alpha must be a number, and is
F.leaky_relu(a, None) | ArgumentTypeError | leaky_relu: negative_slope must be a number, and is
F.prelu(a, "a") | DtypeError | the input, 'a', has dtype <U1, and Tensors hold floats
F.logsumexp(a, axis=9) | MinigradError | does not work
F.sigmoid("a") | MinigradError | has dtype
F.erf(None) | MinigradError | has dtype object
optim.SGD([], lr=0.1) | GradientError | SGD was given no parameters: pas
optim.SGD(model.parameters(), lr="a") | ArgumentError | SGD: lr must be positive, and is
optim.Adam(model.parameters(), betas=0.9) | ArgumentTypeError | Adam: betas must be two numbers, e
optim.Adam(model.parameters(), betas=(0.9,)) | ArgumentTypeError | Adam: betas must be two numbers
optim.Muon(model.parameters(), momentum=2) | ArgumentError | Muon: momentum must be at least 0 and
optim.Muon([b1], 0.1) | ShapeError | Muon takes matrices, not a param
opt.load_state_dict(None) | ArgumentTypeError | SGD: a state is a dict of values by name, as state
opt.load_state_dict(3) | ArgumentTypeError | SGD: a state is a dict of values by name, as state_di
opt.lr = "a" | ArgumentError | SGD: lr must be at least 0, and is
opt.lr = -1 | ArgumentError | SGD: lr must be at least 0, and is
optim.StepLR(opt) | ArgumentTypeError | StepLR: missing a required argument: 'step_size'
optim.StepLR(opt, 0) | ArgumentError | StepLR: step_size must be at least 1, and is
optim.CosineAnnealingLR(opt) | ArgumentTypeError | CosineAnnealingLR: missing a required argument:
optim.CosineAnnealingLR(opt, "a") | ArgumentTypeError | CosineAnnealingLR: T_max must be an intege
optim.LinearLR(opt, "a") | ArgumentTypeError | LinearLR: start_factor must be a number, above 0 an
optim.LinearLR(opt, 2.0) | ArgumentError | LinearLR: start_factor must be above 0 and at most 1, a
optim.LambdaLR(opt, 3) | ArgumentTypeError | LambdaLR: lr_lambda must be a function, or a module t
optim.LambdaLR(opt, lambda: 1) | ArgumentTypeError | LambdaLR: lr_lambda: too many positional argu
optim.OneCycleLR(opt, 0.1) | ArgumentError | OneCycleLR: total_steps must be positive, or epochs a
optim.OneCycleLR(opt, "a", 10) | ArgumentTypeError | OneCycleLR: max_lr must be a number, positive
optim.SequentialLR(opt, 3, []) | ArgumentTypeError | SequentialLR: schedulers must be a Sequence,
optim.SequentialLR(opt, [optim.StepLR(opt, 1)], 3) | ArgumentTypeError | SequentialLR: milestones
optim.ReduceLROnPlateau(opt, "x") | ArgumentError | ReduceLROnPlateau: mode must be one of 'min',
optim.ReduceLROnPlateau(opt, factor="a") | ArgumentTypeError | ReduceLROnPlateau: factor must be a
optim.ExponentialMovingAverage(model.parameters(), "a") | ArgumentError | ExponentialMovingAverage
optim.ExponentialMovingAverage(model.parameters(), 2) | ArgumentError | ExponentialMovingAverage:
optim.clip_grad_norm_(model.parameters(), "a") | ArgumentError | clip_grad_norm_: max_norm must be
optim.clip_grad_norm_(model.parameters(), -1) | ArgumentError | clip_grad_norm_: max_norm must be
optim.clip_grad_value_(model.parameters(), "a") | ArgumentError | clip_grad_value_: clip_value mus
optim.clip_grad_value_(model.parameters(), -1) | ArgumentError | clip_grad_value_: clip_value must
data.BatchLoader(x, y) | ArgumentTypeError | BatchLoader: missing a required argument: 'batch_size
data.BatchLoader(x, y, 4) | ArgumentTypeError | BatchLoader: missing a required argument: 'batch_s
data.ArrayDataset() | ShapeError | ArrayDataset takes one or more a
data.ArrayDataset(3) | ShapeError | ArrayDataset takes one or more a
data.split(x, 0.2) | ArgumentError | split takes a Dataset, not a ndarray: put arrays into one,
data.split(ds, 2) | ArgumentError | split: held_out is a fraction of the samples, between 0 an
data.Subset(ds, "a")[0] | ArgumentError | Subset: indices are integers within 0..11, or a mask of 12
data.Subset(3, i) | ArgumentTypeError | Subset: dataset must be a Dataset, and is
data.make_moons() | ArgumentTypeError | make_moons: missing a required argument: 'n'
data.make_moons("a") | ArgumentTypeError | make_moons: n must be an integer, at least 1, and is
data.make_spirals(5, classes="a") | ArgumentTypeError | make_spirals: classes must be an integer,
data.make_spirals(5, classes=1.5) | ArgumentTypeError | make_spirals: classes must be an integer,
data.make_circles(None) | ArgumentTypeError | make_circles: n must be an integer, at least 1, and
data.load_idx(3) | ArgumentTypeError | load_idx: folder must be text or a path, and is
data.read_idx(None) | ArgumentTypeError | read_idx: path must be text or a path, and is
data.load_text(None) | ArgumentTypeError | load_text: path must be text or a path, and is
data.load_names(3) | ArgumentTypeError | load_names: path must be text or a path or None, and is
data.Vocabulary(3) | ArgumentTypeError | Vocabulary: text must be text, and is
data.Vocabulary(None) | ArgumentTypeError | Vocabulary: text must be text, and is
data.Windows("abc", 2) | DtypeError | Windows: tokens has dtype <U3, a
data.Windows(i, "a") | ArgumentTypeError | Windows: length must be an integer, at least 1, and is
data.Lines("abc", voc, 5) | ArgumentTypeError | Lines: lines must be a list of text each, and is
data.Lines(["a"], voc, 0) | ArgumentError | Lines: length must be at least 1, and is
go(model=3) | ArgumentTypeError | fit: model must be a Module, such as nn.Linear(2, 1), or a
go(model="m") | ArgumentTypeError | fit: model must be a Module, such as nn.Linear(2, 1), or a
go(model=nn.Linear) | ArgumentTypeError | fit: model must be a Module, such as nn.Linear(2, 1), or
go(model=None) | ArgumentTypeError | fit: model must be a Module, such as nn.Linear(2, 1), or a
go(loader=x) | ArgumentTypeError | fit: batches must be a BatchLoader, as of arrays in BatchL
go(loader=(x, y)) | ArgumentTypeError | fit: batches must be a BatchLoader, as of arrays in BatchL
go(loader=[(x, y)]) | ArgumentTypeError | fit: batches must be a BatchLoader, as of arrays in Batc
go(loader=gen()) | ArgumentTypeError | fit: batches must be a BatchLoader, as of arrays in BatchL
go(loader=ds) | ArgumentTypeError | fit: batches must be a BatchLoader, as of arrays in BatchL
go(loss="mse") | ArgumentTypeError | fit: loss must be a function, or a module that was made, a
go(loss=None) | ArgumentTypeError | fit: loss must be a function, or a module that was made, a
go(loss=3) | ArgumentTypeError | fit: loss must be a function, or a module that was made, a
go(loss=nn.MSELoss) | ArgumentError | fit: loss must be a function, or a module that was made, a
go(loss=lambda x: x.sum()) | ArgumentTypeError | the loss function: too many positional arguments
go(loss=lambda o, t: "a") | GradientError | the loss function returned 'a':
go(loss=lambda o, t: (o - t) ** 2) | GradientError | the loss function returned Tenso
go(loss=lambda o, t: Tensor(1.0)) | GradientError | backward() of a Tensor (of float
go(optimizer=None) | ArgumentTypeError | fit: optimizer must be an optimiser, such as optim.Adam(m
go(optimizer="adam") | ArgumentTypeError | fit: optimizer must be an optimiser, such as optim.Adam
go(optimizer=optim.Adam) | ArgumentTypeError | fit: optimizer must be an optimiser, such as optim.
go(optimizer=0.1) | ArgumentTypeError | fit: optimizer must be an optimiser, such as optim.Adam(mo
go(optimizer=otheropt) | GradientError | the optimiser has 2 parameters t
go(epochs=1.5) | ArgumentTypeError | fit: epochs must be an integer, at least 1 or None, and is
go(epochs=0) | ArgumentError | fit: epochs must be at least 1, and is
go(epochs=None) | ArgumentError | fit: give epochs=, or steps=, and not both: one says how l
go(epochs=1, steps=3) | ArgumentError | fit: give epochs=, or steps=, and not both: one says how l
go(epochs=None, steps=2.5) | ArgumentTypeError | fit: steps must be an integer, at least 1 or None
go(epochs=None, steps="a") | ArgumentTypeError | fit: steps must be an integer, at least 1 or None
go(every=0) | ArgumentError | fit: every must be at least 1, and is
go(every=1.5) | ArgumentTypeError | fit: every must be an integer, at least 1 or None, and is
go(every="a") | ArgumentTypeError | fit: every must be an integer, at least 1 or None, and is
go(validation=x) | ArgumentTypeError | fit: validation must be a BatchLoader, as of arrays in Bat
go(validation=(x, y)) | ArgumentTypeError | fit: validation must be a BatchLoader, as of arrays in
go(validation=gen()) | ArgumentTypeError | fit: validation must be a BatchLoader, as of arrays in
go(validation=ds) | ArgumentTypeError | fit: validation must be a BatchLoader, as of arrays in Bat
go(metrics="accuracy") | ArgumentTypeError | fit: metrics must be a dict of a function, or a modul
go(metrics=[accuracy]) | ArgumentTypeError | fit: metrics must be a dict of a function, or a modul
go(metrics=accuracy) | ArgumentTypeError | fit: metrics must be a dict of a function, or a module
go(metrics={"a": 3}) | ArgumentTypeError | fit: metrics must be a dict of a function, or a module
go(metrics={"a": "b"}) | ArgumentTypeError | fit: metrics must be a dict of a function, or a modul
go(metrics={3: accuracy}) | ArgumentTypeError | fit: metrics must be a dict of a function, or a mo
go(metrics={"a": lambda: 1}) | ArgumentTypeError | the metric 'a': too many positional arguments
go(metrics={"a": lambda o, t: "x"}) | ArgumentTypeError | the metric 'a' returned <U1 array of sha
go(metrics={"a": lambda o, t: np.ones(3)}) | ArgumentTypeError | the metric 'a' returned float64 a
go(metrics={"a": lambda o, t: None}) | ArgumentTypeError | the metric 'a' returned object array of
go(metrics={"loss": lambda o, t: 1.0}) | ArgumentError | fit: a metric cannot be called loss, as r
go(schedule="cosine") | ArgumentTypeError | fit: schedule must be a Schedule or a ReduceLROnPlatea
go(schedule=lambda s: 1) | ArgumentTypeError | fit: schedule must be a Schedule or a ReduceLROnPla
go(schedule=optim.StepLR) | ArgumentTypeError | fit: schedule must be a Schedule or a ReduceLROnPl
go(schedule=optim.StepLR(otheropt, 1)) | ArgumentError | fit: the schedule is of another optimiser
go(average=3) | ArgumentTypeError | fit: average must be an ExponentialMovingAverage or None,
fit(model) | ArgumentTypeError | fit: missing a required argument: 'batches'
EarlyStopping() | ArgumentTypeError | EarlyStopping: missing a required argument: 'patience'
EarlyStopping("a") | ArgumentTypeError | EarlyStopping: patience must be an integer, at least 1, a
BestWeights(mode=3) | ArgumentTypeError | BestWeights: mode must be 'min' or 'max' or None, and is
BestWeights(3) | ArgumentTypeError | BestWeights: monitor must be text, and is
training.Norms(0) | ArgumentError | Norms: every must be at least 1, and is
training.Norms("a") | ArgumentTypeError | Norms: every must be an integer, at least 1, and is
training.Snapshots(0) | ArgumentError | Snapshots: every must be at least 1, and is
training.Snapshots("a") | ArgumentTypeError | Snapshots: every must be an integer, at least 1, and
accuracy(a, "x") | ShapeError | accuracy of scores of shape (3,
accuracy(3, 3) | ShapeError | accuracy of scores of shape () a
training.evaluate(model, x, F.mse_loss) | ArgumentTypeError | evaluate: batches must be a BatchLoa
training.evaluate(3, loader, F.mse_loss) | ArgumentTypeError | evaluate: model must be a Module, s
training.History(3) | ArgumentTypeError | History: rows must be a list of a dict each or None, and
training.History().plot() | ShapeError | plot_history: there are no rows: train
viz.parse("x +") | ArgumentTypeError | parse: missing a required argument: 'values'
viz.plots.plot_history([]) | ShapeError | plot_history: there are no rows: train
viz.plots.plot_confusion(3, 4) | ArgumentTypeError | plot_confusion: missing a required argument:
viz.plots.plot_boundary(3, a, i) | ArgumentTypeError | plot_boundary: predict must be a function,
viz.plots.plot_weights(3) | ArgumentTypeError | plot_weights: model must be a Module, such as nn.L
viz.plots.plot_activations(3, a) | ArgumentTypeError | plot_activations: model must be a Module, s
viz.plots.plot_inputs(3) | ArgumentTypeError | plot_inputs: missing a required argument: 'titles'
viz.plots.plot_norms([]) | ShapeError | plot_norms: there are no rows: train
viz.plots.animate_boundary(model, {}, x, i, tmp + "/x.gif") | ArgumentError | animate_boundary: th
viz.model(3) | ArgumentTypeError | model: module must be a Module, such as nn.Linear(2, 1), o
t.backward(retain_graph=True) | ArgumentTypeError | Tensor.backward: got an unexpected keyword argum
w.sum().backward(retain_graph=True) | ArgumentTypeError | Tensor.backward: got an unexpected keyword
w.sum().backward(None, True, True) | ArgumentTypeError | Tensor.backward: too many positional argume
w.sum().backward(inputs=[w]) | ArgumentTypeError | Tensor.backward: got an unexpected keyword argume
Tensor(1.0, device="cpu") | ArgumentTypeError | Tensor: got an unexpected keyword argument 'device';
Tensor([1.0], dtype="float32", device="cuda") | ArgumentTypeError | Tensor: got an unexpected keywor
Tensor() | ArgumentTypeError | Tensor: missing a required argument: 'data'; it takes data, requires_
Tensor(1.0, requires_grad="yes") | ArgumentTypeError | requires_grad is True or False, and not 'yes'
Tensor(1.0, requires_grad=1) | ArgumentTypeError | requires_grad is True or False, and not 1
Tensor(1.0, requires_grad=None) | ArgumentTypeError | requires_grad is True or False, and not None
setattr(t, "requires_grad", "yes") | ArgumentTypeError | requires_grad is True or False, and not 'ye
setattr(t, "requires_grad", 3) | ArgumentTypeError | requires_grad is True or False, and not 3
t.item(0, 0, 0) | MinigradError | too many indices
t.detach(1) | ArgumentTypeError | Tensor.detach: too many positional arguments; it takes no argument
t.tolist(1) | ArgumentTypeError | Tensor.tolist: too many positional arguments; it takes no argument
t + [[1], [2, 3]] | ArgumentError | nested lists make an array only if those of a level are equally
grad(f)(None) | DtypeError | argument 0 is None: leave it out with argnums, or give numbers
grad(f)(1.0, 2.0) | ArgumentTypeError | <lambda>: too many positional arguments; it takes x
grad(f, argnums=(0, 0))(1.0) | GradientError | argnums=(0, 0) has an argument twice: name each once
grad(lambda: 1.0)(1.0) | ArgumentTypeError | <lambda>: too many positional arguments; it takes no ar
grad(lambda x, y: x * y)(1.0) | ArgumentTypeError | <lambda>: missing a required argument: 'y'; it t
vjp(f) | ArgumentTypeError | <lambda>: missing a required argument: 'x'; it takes x
vjp(f, 1.0)[1]() | ArgumentTypeError | pull_back: missing a required argument: 'cotangent'; it takes
vjp(f, 1.0)[1](1.0, 2.0) | ArgumentTypeError | pull_back: too many positional arguments; it takes co
jacobian(f)(None) | DtypeError | argument 0 is None: leave it out with argnums, or give numbers
check_gradients(f, None) | DtypeError | argument 0 is None: leave it out with argnums, or give numbe
check_gradients(f, 1.0, order=0) | ArgumentError | check_gradients: order must be at least 1, and is
check_gradients(f, 1.0, order=-1) | ArgumentError | check_gradients: order must be at least 1, and i
check_gradients(lambda x: "a", 1.0) | GradientError | a function to differentiate returns numbers, a
check_gradients(lambda x: None, 1.0) | GradientError | check_gradients is of a function that returns
nn.Linear(2, 3)([[1, 2], [3]]) | ArgumentError | nested lists make an array only if those of a level
nn.Linear(2, 3)() | ArgumentTypeError | Linear.forward: missing a required argument: 'x'; it takes x
nn.Linear(2, 3)(x, x) | ArgumentTypeError | Linear.forward: too many positional arguments; it takes
nn.Linear(2, 3)(x=x, y=3) | ArgumentTypeError | Linear.forward: got an unexpected keyword argument '
model([[1, 2], [3]]) | ArgumentError | nested lists make an array only if those of a level are
model(x, 3) | ArgumentTypeError | Linear.forward: too many positional arguments; it takes x
model.zero_grad(set_to_none=True) | ArgumentTypeError | Linear.zero_grad: got an unexpected keyword
model.parameters(recurse="a") | ArgumentTypeError | Linear.parameters: got an unexpected keyword arg
model.state_dict("a") | ArgumentTypeError | Linear.state_dict: too many positional arguments; it tak
model.eval(3) | ArgumentTypeError | Linear.eval: too many positional arguments; it takes no argument
setattr(model, "weight", "a") | ArgumentTypeError | Linear.weight is a parameter, and only a Tensor
setattr(model, "weight", np.ones((1, 2))) | ArgumentTypeError | Linear.weight is a parameter, and on
nn.Parameter(w) | MissingError | minigrad.nn has no Parameter: write Tensor(array, requires_grad=Tru
nn.Sequential(nn.ReLU())() | ArgumentTypeError | Sequential.forward: missing a required argument: 'x
nn.Sequential(nn.ReLU())(x, x) | ArgumentTypeError | Sequential.forward: too many positional argumen
nn.MaxPool2d(0) | ArgumentError | MaxPool2d: kernel_size must be at least 1, and is 0
nn.MaxPool2d(-1) | ArgumentError | MaxPool2d: kernel_size must be at least 1, and is -1
nn.MaxPool2d(2, stride=0) | ArgumentError | MaxPool2d: stride must be at least 1, and is 0
nn.AvgPool2d(0) | ArgumentError | AvgPool2d: kernel_size must be at least 1, and is 0
nn.MultiheadAttention(4, 2)(np.ones((3, 1, 4))) | ArgumentTypeError | MultiheadAttention.forward: mi
nn.ReLU()([[1, 2], [3]]) | ArgumentError | nested lists make an array only if those of a level are
F.binary_cross_entropy(a + 5, a) | MissingError | minigrad.functional has no binary_cross_entropy: w
F.binary_cross_entropy(a, a + 5) | MissingError | minigrad.functional has no binary_cross_entropy: w
F.softmax(None) | DtypeError | the input, None, has dtype object, and Tensors hold floats,
F.one_hot(i, 1) | MissingError | minigrad.functional has no one_hot: write np.eye(classes)[labels]
F.one_hot(x) | MissingError | minigrad.functional has no one_hot: write np.eye(classes)[labels]
F.one_hot("a") | MissingError | minigrad.functional has no one_hot: write np.eye(classes)[labels]
F.tanh(t) | MissingError | minigrad.functional has no tanh: write np.tanh(t)
optim.Adam(model) | ArgumentTypeError | a Linear is not a list of Tensors: pass module.parameters()
optim.Adam() | ArgumentTypeError | Adam: missing a required argument: 'parameters'; it takes paramet
optim.Adam(None) | ArgumentTypeError | a NoneType is not a list of Tensors: pass module.parameters()
optim.Adam(3) | ArgumentTypeError | a int is not a list of Tensors: pass module.parameters()
optim.Adam("a") | ArgumentTypeError | Adam: parameter 0 is a str, not a Tensor: pass module.paramete
optim.Adam(model.parameters) | ArgumentTypeError | a method is not a list of Tensors: pass module.pa
optim.Adam(model.named_parameters()) | ArgumentTypeError | Adam: parameter 0 is a tuple, not a Tenso
optim.Adam(model.state_dict()) | ArgumentTypeError | Adam: parameter 0 is a str, not a Tensor: pass
optim.Adam(model.parameters(), learning_rate=0.1) | ArgumentTypeError | Adam: got an unexpected keyw
optim.Adam(model.parameters(), amsgrad="a") | ArgumentTypeError | Adam: got an unexpected keyword ar
optim.Adam(model.parameters(), fused=True) | ArgumentTypeError | Adam: got an unexpected keyword arg
optim.Adam([3]) | ArgumentTypeError | Adam: parameter 0 is a int, not a Tensor: pass module.paramete
optim.Adam([np.ones(3)]) | ArgumentTypeError | Adam: parameter 0 is a ndarray, not a Tensor: pass mo
optim.Adam([w, w]) | ArgumentError | Adam was given a parameter twice, and would update it twice
optim.Adam([{"params": [w]}, {"params": [w]}]) | ArgumentError | Adam was given a parameter twice, a
optim.Adam([{"lr": 3}]) | ArgumentTypeError | Adam: group 0 is not a dict with "params": give such d
optim.Adam([{"params": [w], "foo": 3}]) | ArgumentTypeError | Adam: group 0 has foo, and the setting
optim.Adam([{"params": 3}]) | ArgumentTypeError | a int is not a list of Tensors: pass module.parame
optim.SGD(model.parameters(), 0.1, nesterov=True) | ArgumentError | SGD: momentum must be set for ne
opt.step(3) | ArgumentTypeError | SGD.step: too many positional arguments; it takes no arguments
opt.step(lambda: 1.0) | ArgumentTypeError | SGD.step: too many positional arguments; it takes no arg
opt.zero_grad(3) | ArgumentTypeError | SGD.zero_grad: too many positional arguments; it takes no arg
opt.zero_grad(set_to_none=False) | ArgumentTypeError | SGD.zero_grad: got an unexpected keyword argu
optim.StepLR(opt, 1).step(3) | ArgumentTypeError | StepLR.step: too many positional arguments; it ta
optim.StepLR(opt, 1).load_state_dict({}) | ArgumentError | StepLR has a state of kind, last_epoch, n
optim.StepLR(opt, 1).load_state_dict({"kind": "StepLR", "last_epoch": -5}) | ArgumentError | StepLR:
optim.StepLR(opt, 1).load_state_dict({"kind": "StepLR", "last_epoch": 1.5}) | ArgumentTypeError | St
optim.lr_scheduler | MissingError | minigrad.optim has no lr_scheduler: write optim.StepLR and its l
optim.SequentialLR(opt, [], []) | ArgumentError | SequentialLR of 0 schedulers takes a rising milest
optim.ExponentialMovingAverage(model) | ArgumentTypeError | a Linear is not a list of Tensors: pass
optim.clip_grad_norm_(model, 1.0) | ArgumentTypeError | a Linear is not a list of Tensors: pass modu
optim.clip_grad_norm_(model.parameters()) | ArgumentTypeError | clip_grad_norm_: missing a required
optim.clip_grad_norm_([3], 1.0) | ArgumentTypeError | clip_grad_norm_: parameters must be an Iterabl
data.DataLoader(x, batch_size=4) | MissingError | minigrad.data has no DataLoader: write data.BatchL
go(callbacks=[EarlyStopping(3, "foo")]) | ArgumentError | EarlyStopping watches 'foo', and a row of
go(callbacks=[BestWeights("foo")]) | ArgumentError | BestWeights watches 'foo', and a row of this hi
accuracy(a) | ArgumentTypeError | accuracy: missing a required argument: 'labels'; it takes logits,
viz.model(model) | ArgumentTypeError | Linear.forward: missing a required argument: 'x'; it takes x
setattr(w, "grad", "abc") | DtypeError | has dtype <U3, and Tensors hold floats
setattr(w, "grad", [1.0]) | ShapeError | grad of shape (1,) for a Tensor of shape (3,)
setattr(w, "grad", np.ones(3, complex)) | DtypeError | would discard the imaginary part
nn.Conv1d(1, 1, 3, padding="same", stride=2) | ShapeError | Conv1d: padding="same" is for stride 1
nn.ConvTranspose2d(1, 1, 3, padding_mode="zeros") | ArgumentTypeError | leave it out
nn.MaxPool2d(2, ceil_mode=True) | ArgumentTypeError | ceil_mode: not supported
nn.Linear(2, 2, dtype=np.float64) | ArgumentTypeError | dtype: parameters are float32
nn.utils | MissingError | minigrad.nn has no utils: write optim.clip_grad_norm_
nn.functional | MissingError | minigrad.nn has no functional: write minigrad.functional
opt.state | MissingError | a SGD has no .state: write states
optim.StepLR(opt, 1).get_last_lr() | MissingError | a StepLR has no .get_last_lr: write [x["lr"]
optim.ExponentialLR(opt, 0.9) | MissingError | write optim.LambdaLR(optimizer, lambda step: gamma**
optim.Adam([w], amsgrad=True) | ArgumentTypeError | amsgrad: not supported
optim.SGD([w], maximize=True) | ArgumentTypeError | maximize: not supported: minimise the negativ
optim.SGD([w], foreach=True) | ArgumentTypeError | foreach: leave it out
opt.step(closure=lambda: 1.0) | ArgumentTypeError | closure: compute the loss and its gradients fir
optim.StepLR(opt, 1, last_epoch=3) | ArgumentTypeError | last_epoch: leave it out, and resume by
optim.clip_grad_norm_([w], 1.0, norm_type=1) | ArgumentTypeError | norm_type: the norm is the Eucli
np.linalg.solve(np.zeros_like(t[:, :2]), w[:2]) | LinAlgError | np.linalg.lstsq and np.linalg.pinv
np.linalg.cholesky(-np.eye(2) * w[0]) | LinAlgError | is it symmetric, a @ a.T? A multiple of np.eye
np.linalg.svd(t * np.nan) | LinAlgError | is there a NaN or an infinity in it?
np.linalg.norm(t, axis=7) | IndexingError | axis=7 of an array of shape (2, 3) does not work
np.linalg.lstsq(t, np.ones(5)) | LinAlgError | lstsq of a of shape (2, 3) and b of shape (5,)
np.linalg.multi_dot([t, t]) | ShapeError | the 3 columns of the first meet the 2 rows of the second
np.fft.fft(t, axis=5) | IndexingError | axis=5 of an array of shape (2, 3) does not work
np.fft.fft(Tensor(3.0)) | IndexingError | axis=-1 of an array of shape () does not work
np.fft.fftn(t, s=(2, 2, 2)) | IndexingError | axis=-3 of an array of shape (2, 3)
np.fft.fft(t, n=1.5) | ArgumentTypeError | the size of a transform is an integer, not 1.5
float(Tensor(1j)) | DtypeError | float() would discard the imaginary part of complex128 numbers
int(Tensor(1j)) | DtypeError | would discard the imaginary part of complex128 numbers
t @ w[:2] | ShapeError | the 3 columns of the first meet the 2 rows of the second
w @ t | ShapeError | the 3 columns of the first meet the 2 rows of the second
minigrad.compile(lambda x: x @ w[:2])(t) | ShapeError | the 3 columns of the first meet the 2 rows
np.triu(Tensor(1.0)) | ShapeError | np.triu of a number: it takes matrices, or a vector
np.roll(t, 1, 5) | IndexingError | an axis of this input is one of -2..1
np.repeat(t, 1.5) | DtypeError | cannot be interpreted as an integer
np.var(t, axis=3) | IndexingError | does not work: an axis of this input is one of -2..1
np.cross(t, t, axis=9) | IndexingError | axis=9 of an array of shape (2, 3) does not work
np.cross(w, w[:2]) | ShapeError | vectors have three entries
np.hstack([t, w]) | ShapeError | np.concatenate of shapes (2, 3), (3,) along axis 1
np.concatenate([t, t[:1]], 1) | ShapeError | np.concatenate of shapes (2, 3), (1, 3) along axis 1
np.insert(w, 9, 1) | IndexingError | index 9 is out of bounds for axis 0 with size 3
np.linspace(w, 2, num=1.5) | ArgumentError | num= is an integer, 0 or more
np.logspace(w, 2, num=-1) | ArgumentError | num= is an integer, 0 or more
np.interp(w, [1, 2], [1, 2, 3]) | ShapeError | np.interp: points at (2,) with values of (3,)
np.gradient(t, 1, 2, 3) | ArgumentError | np.gradient: 3 spacings for 2 axes
np.select([True], [w, w]) | ArgumentError | np.select of 1 conditions and 2 choices: as many
np.quantile(t, 2) | ArgumentError | a quantile is at least 0 and at most 1
np.einsum("ij,j->i", t, w[:2]) | ShapeError | an axis of 3 and one of 2 have the same letter
scipy.linalg.expm(t) | LinAlgError | expm of shape (2, 3): it is of square matrices
scipy.linalg.lu(t, foo=1) | ArgumentTypeError | scipy.linalg.lu: got an unexpected keyword argument
scipy.special.logsumexp(t, b=np.ones(5)) | ShapeError | shapes broadcast when, aligned at the right
scipy.stats.norm.logpdf(w, np.ones(2)) | ShapeError | shapes broadcast when, aligned at the right
scipy.stats.norm.rvs(w) | UnsupportedError | it has pdf, logpdf, cdf
scipy.fft.dct(t, type=7) | ArgumentError | the types are 1, 2, 3 and 4
scipy.signal.convolve(w, w, mode="foo") | ArgumentError | mode must be "full", "valid" or "same"
scipy.interpolate.CubicSpline(np.arange(3.0), t) | ShapeError | y has as many entries along axis 0
scipy.interpolate.PchipInterpolator(i, t, axis=5) | IndexingError | axis=5 of an array
scipy.optimize.minimize("a", w) | ArgumentError | minimize: 'str' object is not callable
scipy.optimize.root(lambda x, a: x[:2], np.ones(3), (w,)) | ArgumentError | there is a mismatch
nn.MSELoss(size_average=False) | ArgumentTypeError | size_average: it is called reduction: "mean"
"""


SCIPY = SimpleNamespace(
    fft=fft,
    integrate=integrate,
    interpolate=interpolate,
    linalg=linalg,
    optimize=solvers,
    signal=signal,
    special=special,
    stats=stats,
)


def names(folder: Path) -> dict[str, Any]:
    """What the calls are made with."""
    (folder / "junk").write_bytes(b"\xff\xfe\0junk" * 9)
    (folder / "empty").touch()
    model, other = nn.Linear(2, 1), nn.Linear(2, 1)
    opt, otheropt = (optim.SGD(x.parameters(), lr=0.1) for x in (model, other))
    x = np.ones((12, 2), np.float32)
    loader = minigrad.data.BatchLoader(x, x[:, :1], batch_size=4, seed=0)

    def go(model: Any = model, loader: Any = loader, loss: Any = F.mse_loss, **how: Any) -> Any:
        usual: Any = {"optimizer": opt, "epochs": 1, "progress": False, "compile": False}
        return minigrad.fit(model, loader, loss, **(usual | how))

    def gen() -> Any:
        yield x, x[:, :1]

    public = {name: getattr(minigrad, name) for name in dir(minigrad) if name[0] != "_"}
    return public | {
        "np": np,
        "F": F,
        "minigrad": minigrad,
        "scipy": SCIPY,
        "accuracy": accuracy,
        "BestWeights": BestWeights,
        "EarlyStopping": EarlyStopping,
        "History": History,
        "model": model,
        "other": other,
        "opt": opt,
        "otheropt": otheropt,
        "x": x,
        "y": x[:, :1],
        "loader": loader,
        "ds": loader.dataset,
        "go": go,
        "gen": gen,
        "f": lambda x: np.sum(x * x),
        "t": minigrad.Tensor(np.arange(6.0).reshape(2, 3)),
        "w": minigrad.Tensor(np.ones(3), requires_grad=True),
        "b1": minigrad.Tensor(np.ones(3)),
        "no_grad": minigrad.no_grad,
        "debug": minigrad.debug,
        "a": np.ones((3, 2)),
        "i": np.array([0, 1, 0]),
        "i2": np.array([0, 1, 0]),
        "img": np.ones((1, 1, 4, 4)),
        "ker": np.ones((1, 1, 3, 3)),
        "voc": minigrad.data.Vocabulary("\nabc"),
        "tmp": str(folder),
        "junk": str(folder / "junk"),
        "empty": str(folder / "empty"),
    }


@pytest.mark.parametrize("case", CASES.strip().splitlines())
def test_a_wrong_use_is_named(case: str, tmp_path: Path) -> None:
    call, kind, words = case.split(" | ")
    space = names(tmp_path)
    with pytest.raises(errors.MinigradError) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(call, "the user's program", "exec"), space)
    assert isinstance(caught.value, getattr(errors, kind))
    assert words in str(caught.value)
    # Calls of `fit` are made by a line of this file.
    place = __file__ if call.startswith("go(") else "the user's program"
    assert f"\n  at {place}:" in str(caught.value)


def test_the_users_line_is_not_one_of_contextlib_or_of_a_dataclass() -> None:
    with pytest.raises(
        errors.ArgumentTypeError, match=r"Softmax: .*dim: it is called axis"
    ) as wrong:
        nn.Softmax(dim=1)  # type: ignore[call-arg]
    assert f"at {__file__}" in str(wrong.value)
    average = optim.ExponentialMovingAverage(nn.Linear(2, 1).parameters())
    average.averages[0] = np.ones((7, 7), np.float32)
    with pytest.raises(errors.MinigradError) as refused, minigrad.debug():
        minigrad.Tensor(np.ones(2)) + np.ones(3)
    assert f"at {__file__}" in str(refused.value)


numpy: Any = np  # for type checkers refuse what these try

HABITS: dict[str, tuple[Any, str]] = {
    "sum": (lambda x: numpy.sum(x, dim=1), "keyword argument 'dim': it is called axis"),
    "mean": (
        lambda x: numpy.mean(x, axis=1, keepdim=True),
        "'keepdim': it is called keepdims",
    ),
    "size": (lambda x: np.reshape(x, (x.size(0), -1)), "callable: a Tensor's size is a number, as"),
    "call": (lambda x: x(0), "a Tensor is not a function: write t[i]"),
    "shape": (lambda x: x.shape(0), "callable: a Tensor's shape is a tuple, as NumPy's: write t."),
}


@pytest.mark.parametrize("habit", HABITS)
def test_habits_from_pytorch_in_a_forward_get_advice(habit: str) -> None:
    """Here Python and NumPy refuse it before a Tensor is asked."""

    class Net(nn.Module):
        def forward(self, x: Any) -> Any:
            return HABITS[habit][0](x)

    function, words = HABITS[habit]
    with pytest.raises(errors.ArgumentTypeError) as caught:
        nn.Sequential(Net())(minigrad.Tensor(np.ones((2, 3))))
    assert words in str(caught.value)
    assert f"at {__file__}:{function.__code__.co_firstlineno}" in str(caught.value)


def test_absent_names_are_absent_for_hasattr() -> None:
    tensor: Any = minigrad.Tensor(1.0)
    assert not hasattr(tensor, "view")
    assert getattr(tensor, "numpy", None) is None
    with pytest.raises(AttributeError, match="no attribute 'vieww'"):
        tensor.vieww  # noqa: B018


def test_annotations_resolve_and_accept_numpys_numbers() -> None:
    """Every annotation can be looked up, and Python's own numbers and NumPy's fit it."""
    nn.Linear(np.int64(2), np.array(3), bias=np.True_)  # type: ignore[arg-type]
    optim.SGD(nn.Linear(2, 1).parameters(), lr=np.float32(0.1), momentum=np.array(0.5))
    nn.Conv2d(1, 2, [3, 3], padding="same")  # type: ignore[arg-type]
    optim.Adam(nn.Linear(2, 1).parameters(), betas=[0.9, 0.99])
    nn.Dropout(0)
    nn.Dropout(1)


def test_types_that_fitted_once_are_held_against_values_all_the_same() -> None:
    """What types decide is looked at once; what has a range, or entries, at each call."""
    minigrad.data.make_moons(10, noise=0.1)
    for noise in (-1.0, np.array([0.1]), minigrad.Tensor([1.0, 2.0])):
        with pytest.raises(errors.MinigradError, match="noise"):
            minigrad.data.make_moons(10, noise=noise)  # type: ignore[arg-type]
    minigrad.grad(np.sum, (0, 1))
    for argnums in ((0, "a"), [1.5], 1.0):
        with pytest.raises(errors.ArgumentTypeError, match="argnums"):
            minigrad.grad(np.sum, argnums)  # type: ignore[arg-type]
    training = minigrad.training.History([{"a": 1.0}])
    assert len(training) == 1
    with pytest.raises(errors.ArgumentTypeError, match="rows must be"):
        minigrad.training.History([3])  # type: ignore[list-item]
    for depth in (1, 2):
        with pytest.raises(errors.ArgumentTypeError, match="hook: function must be"):
            minigrad.hook(minigrad.Tensor(1.0), depth)  # type: ignore[arg-type]
