"""Programs as they are written for autograd, as text: `IMPORTS` of either library go in front.

Each defines `value(parameters)`, a number, and `start`, the parameters.
"""

AUTOGRAD = """
import autograd.numpy as np
import autograd.numpy.linalg as npla
import autograd.scipy.linalg as spla
import autograd.scipy.special as special
import autograd.scipy.stats.norm as norm
import autograd.scipy.stats.t as t
import autograd.scipy.stats.multivariate_normal as mvn
from autograd import elementwise_grad, grad, hessian, hessian_vector_product, jacobian
from autograd.scipy.special import logsumexp
from autograd.extend import primitive, defvjp
from autograd.misc.flatten import flatten
"""

MINIGRAD = """
import minigrad.numpy as np
import minigrad.numpy.linalg as npla
import minigrad.scipy.linalg as spla
import minigrad.scipy.special as special
from minigrad.scipy.stats import norm, t
from minigrad.scipy.stats import multivariate_normal as mvn
from minigrad.extend import elementwise_grad, grad, hessian, hessian_vector_product, jacobian
from minigrad.scipy.special import logsumexp
from minigrad.extend import primitive, defvjp
from minigrad.extend import flatten
"""

# A Gaussian process with a kernel of two scales: log marginal likelihood, and a prediction.
GAUSSIAN_PROCESS = """
rs = np.random.RandomState(0)
inputs = np.linspace(-2, 2, 12)[:, None]
targets = np.sin(3 * inputs[:, 0]) + 0.1 * rs.randn(12)
start = np.array([0.3, -1.5, 0.2, 0.1])

def kernel(scales, x, y):
    distances = np.expand_dims(x / np.exp(scales[1]), 1) - np.expand_dims(y / np.exp(scales[1]), 0)
    return np.exp(scales[0]) * np.exp(-0.5 * np.sum(distances**2, axis=2))

def unpacked(params):
    return params[0], np.exp(params[1]) + 0.001, params[2:]

def predict(params, x):
    mean, noise, scales = unpacked(params)
    within = kernel(scales, inputs, inputs) + noise * np.eye(len(inputs))
    between = kernel(scales, x, inputs)
    solved = npla.solve(within, targets - mean)
    covariance = kernel(scales, x, x) - np.dot(between, npla.solve(within, between.T))
    return np.dot(between, solved) + mean, covariance

def value(params):
    mean, noise, scales = unpacked(params)
    covariance = kernel(scales, inputs, inputs) + noise * np.eye(len(targets))
    likelihood = mvn.logpdf(targets, mean * np.ones(len(targets)), covariance)
    factor = npla.cholesky(covariance)
    white = spla.solve_triangular(factor, targets - mean, lower=True)
    other = -np.sum(np.log(np.diag(factor))) - 0.5 * np.dot(white, white)
    there, covariance = predict(params, np.array([[0.3], [2.5]]))
    return -likelihood - other + np.sum(there**2) + npla.slogdet(covariance)[1]
"""

# Survival times, some of them censored, with a Weibull distribution whose two parameters are
# regressions; as lifelines writes its likelihoods.
SURVIVAL = """
rs = np.random.RandomState(1)
covariates = np.hstack([np.ones((40, 1)), rs.randn(40, 2)])
times = np.exp(1 + 0.5 * covariates[:, 1]) * rs.exponential(size=40) ** 0.7
observed = rs.rand(40) < 0.7
start = {"lambda_": np.array([0.5, 0.1, -0.2]), "rho_": np.array([0.2, 0.05, 0.1])}

def cumulative_hazard(params, T, X):
    lambda_ = np.exp(np.dot(X, params["lambda_"]))
    rho_ = np.exp(np.dot(X, params["rho_"]))
    return np.exp(rho_ * (np.log(np.clip(T, 1e-25, np.inf)) - np.log(lambda_)))

def log_hazard(params, T, X):
    hazard = elementwise_grad(cumulative_hazard, argnum=1)(params, T, X)
    return np.log(np.clip(hazard, 1e-25, np.inf))

def penalty(params):
    return 0.01 * sum(np.sum(x[1:] ** 2) + np.sqrt(np.sum(x**2) + 1e-6) for x in params.values())

def value(params):
    negative = cumulative_hazard(params, times, covariates)
    negative = negative - np.where(observed, log_hazard(params, times, covariates), 0.0)
    mills = norm.logsf(np.log(times), np.dot(covariates, params["lambda_"]), 1.3)
    return np.mean(negative) - np.sum(mills[~observed]) / 100 + penalty(params)
"""

# The dominant subspace of a matrix by descent on the Stiefel manifold, with the Riemannian gradient
# and a retraction by QR's factor, differentiated through the iteration; and eigenvalues themselves.
MANIFOLD = """
rs = np.random.RandomState(2)
noise = rs.randn(6, 6)
first = npla.qr(rs.randn(6, 2))[0]
start = rs.randn(6) / 3 + np.arange(6)

def cost(X, A):
    return -np.trace(np.dot(X.T, np.dot(A, X)) @ np.diag(np.array([2.0, 1.0])))

def tangent(X, G):
    sym = np.dot(X.T, G)
    return G - np.dot(X, (sym + sym.T) / 2)

def retracted(X, step):
    Y = X + step
    return np.dot(Y, npla.inv(npla.cholesky(np.dot(Y.T, Y))).T)

def value(diagonal):
    A = np.diag(diagonal) + (noise + noise.T) / 4
    X = first
    for _ in range(5):
        X = retracted(X, -0.1 * tangent(X, grad(cost)(X, A)))
    eigenvalues, vectors = npla.eigh(A)
    gap = eigenvalues[-1] - eigenvalues[-2]
    along = np.sum(np.abs(np.dot(X.T, vectors[:, -2:])) ** 2)
    return cost(X, A) + np.log(gap) + along + hvp(X, A)

def hvp(X, A):
    return np.sum(hessian_vector_product(cost)(X, A, X) ** 2) / 100
"""

# Transmission of a layered slab: Helmholtz's equation by finite differences with absorbing ends, a
# complex tridiagonal system. The permittivities are the parameters.
PHOTONICS = """
n, omega = 30, 1.7
start = 1.0 + 1.5 * (np.arange(n) % 7 < 3)
h = 0.4

def system(eps):
    stretch = np.ones(n, dtype=complex)
    loss = np.where(np.arange(n) < 4, 0.8, np.where(np.arange(n) > n - 5, 0.8, 0.0))
    stretch = stretch + 1j * loss
    off = 1.0 / (h**2 * stretch[1:])
    laplacian = np.diag(off, 1) + np.diag(off, -1)
    laplacian = laplacian - np.diag(np.r_[off, off[-1]] + np.r_[off[0], off])
    return laplacian + np.diag(omega**2 * eps * stretch)

def value(eps):
    source = np.zeros(n, dtype=complex)
    source[6] = 1j * omega
    field = npla.solve(system(eps), source)
    flux = np.imag(np.conj(field[-8]) * (field[-7] - field[-8])) / h
    power = np.sum(np.abs(np.fft.fft(field)) ** 2) / n
    return np.log(np.abs(field[-8]) ** 2) + np.real(flux) + np.angle(field[12]) + power / 10
"""

# A Kalman filter of a damped oscillator that is seen through noise: the likelihood.
KALMAN = """
rs = np.random.RandomState(3)
seen = np.cumsum(rs.randn(20)) / 3
start = [np.array([0.9, 0.4]), {"process": -1.0, "noise": (-0.5, np.array([0.1, 0.2]))}]

def value(params):
    (damping, angle), settings = params[0], params[1]
    observed_noise, first = settings["noise"]
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    F = damping * rotation
    Q = np.exp(settings["process"]) * np.eye(2)
    H = np.array([[1.0, 0.0]])
    R = np.exp(observed_noise)
    mean, P = first, np.eye(2)
    total = 0.0
    for z in seen:
        mean, P = np.dot(F, mean), np.dot(F, np.dot(P, F.T)) + Q
        S = np.dot(H, np.dot(P, H.T)) + R
        K = np.dot(P, H.T) / S
        innovation = z - np.dot(H, mean)
        total = total - 0.5 * (np.log(2 * np.pi * S[0, 0]) + innovation[0] ** 2 / S[0, 0])
        mean = mean + np.dot(K, innovation)
        P = np.dot(np.eye(2) - np.dot(K, H), P)
    return -total + np.trace(P)
"""

# A radial pattern of Bessel functions with a primitive for what they are weighed by.
BESSEL = """
import math
import numpy
import scipy.special

r = np.linspace(0.2, 9.0, 25)
pattern = np.cos(r) / (1 + r)
start = np.array([1.1, 0.7, 0.4, 2.0])

airy = primitive(lambda x: scipy.special.airy(x)[0])
slope = primitive(lambda x: scipy.special.airy(x)[1])
defvjp(airy, lambda ans, x: lambda g: g * slope(x))
defvjp(slope, lambda ans, x: lambda g: g * x * airy(x))

def value(params):
    k, a, b, c = params
    modelled = a * special.j0(k * r) + b * special.j1(k * r) - special.jn(2, k * r) / 3
    modelled = modelled + special.y0(k * r + 1) * b + special.i0(b) * airy(c - r)
    spread = special.gammaln(c) + special.erf(a) + special.logsumexp(modelled)
    spread = spread + special.expit(k) * special.beta(c, 1.5)
    spread = spread + special.digamma(c) * special.gamma(a)
    return np.mean((modelled - pattern) ** 2) + 0.1 * spread + special.polygamma(1, c) / 10
"""

# A recurrent network, as autograd's example writes it.
LSTM = """
rs = np.random.RandomState(0)

def init(n_in, h, o):
    return {
        "init cell": rs.randn(1, h) * 0.1,
        "init hiddens": rs.randn(1, h) * 0.1,
        "change": rs.randn(n_in + h + 1, h) * 0.1,
        "forget": rs.randn(n_in + h + 1, h) * 0.1,
        "ingate": rs.randn(n_in + h + 1, h) * 0.1,
        "outgate": rs.randn(n_in + h + 1, h) * 0.1,
        "predict": rs.randn(h + 1, o) * 0.1,
    }

start = init(3, 4, 3)
X = rs.randn(6, 2, 3)

def sigmoid(x):
    return 0.5 * (np.tanh(x) + 1.0)

def ccat(w, *args):
    c = np.hstack(args + (np.ones((args[0].shape[0], 1)),))
    return np.dot(c, w)

def value(p):
    hid = np.repeat(p["init hiddens"], X.shape[1], axis=0)
    cell = np.repeat(p["init cell"], X.shape[1], axis=0)
    outs = []
    for x in X:
        change = np.tanh(ccat(p["change"], x, hid))
        f = sigmoid(ccat(p["forget"], x, hid))
        i = sigmoid(ccat(p["ingate"], x, hid))
        o = sigmoid(ccat(p["outgate"], x, hid))
        cell = cell * f + i * change
        hid = o * np.tanh(cell)
        y = ccat(p["predict"], hid)
        outs.append(y - logsumexp(y, axis=1, keepdims=True))
    ll = 0.0
    for t in range(6):
        ll = ll + np.sum(outs[t] * X[t])
    return -ll / 6
"""

# A mixture of Gaussians by their Cholesky factors.
MIXTURE = """
rs = np.random.RandomState(0)
data = rs.randn(20, 2)
start = {
    "log proportions": rs.randn(3) * 0.1,
    "means": rs.randn(3, 2),
    "lower triangles": np.zeros((3, 2, 2)) + np.eye(2),
}

def log_normalize(x):
    return x - logsumexp(x)

def unpack(p):
    L = np.tril(p["lower triangles"], k=-1) + np.stack(
        [np.diag(np.exp(np.diag(a))) for a in p["lower triangles"]]
    )
    return log_normalize(p["log proportions"]), p["means"], [np.dot(a.T, a) for a in L]

def value(p):
    c = [lp + mvn.logpdf(data, m, S) for lp, m, S in zip(*unpack(p))]
    return -np.sum(logsumexp(np.vstack(c), axis=0)) + np.sum(p["means"] ** 2)
"""

# Smoke carried by a flow that is made free of divergence by Jacobi's iteration.
FLUID = """
rs = np.random.RandomState(0)
n = 6
start = rs.randn(2, n, n) * 0.3

def project(vx, vy):
    p = np.zeros(vx.shape)
    h = 1.0 / vx.shape[0]
    div = (
        -0.5
        * h
        * (
            np.roll(vx, -1, axis=0)
            - np.roll(vx, 1, axis=0)
            + np.roll(vy, -1, axis=1)
            - np.roll(vy, 1, axis=1)
        )
    )
    for k in range(5):
        p = (
            div
            + np.roll(p, 1, axis=0)
            + np.roll(p, -1, axis=0)
            + np.roll(p, 1, axis=1)
            + np.roll(p, -1, axis=1)
        ) / 4.0
    return vx - 0.5 * (np.roll(p, -1, axis=0) - np.roll(p, 1, axis=0)) / h, vy - 0.5 * (
        np.roll(p, -1, axis=1) - np.roll(p, 1, axis=1)
    ) / h

def advect(f, vx, vy):
    rows, cols = f.shape
    cell_ys, cell_xs = np.meshgrid(np.arange(rows), np.arange(cols))
    cx = (cell_xs - vx).ravel()
    cy = (cell_ys - vy).ravel()
    lx = np.floor(cx).astype(int)
    ty = np.floor(cy).astype(int)
    rw = cx - lx
    bw = cy - ty
    lx = np.mod(lx, rows)
    rx = np.mod(lx + 1, rows)
    ty = np.mod(ty, cols)
    by = np.mod(ty + 1, cols)
    flat = (1 - rw) * ((1 - bw) * f[lx, ty] + bw * f[lx, by]) + rw * (
        (1 - bw) * f[rx, ty] + bw * f[rx, by]
    )
    return np.reshape(flat, (rows, cols))

smoke = np.linspace(0, 1, 36).reshape(6, 6)

def value(v):
    vx, vy = v[0], v[1]
    s = smoke
    for _ in range(3):
        a = advect(vx, vx, vy)
        b = advect(vy, vx, vy)
        vx, vy = project(a, b)
        s = advect(s, vx, vy)
    return np.mean((s - smoke.T) ** 2)
"""

# The evidence bound of a variational approximation, by sampling.
VARIATIONAL = """
rs = np.random.RandomState(0)
start = np.array([0.1, 0.2, -0.3, -0.2])
noise = rs.randn(50, 2)

def logprob(x):
    return (
        norm.logpdf(x[:, 1], 0, 1.35)
        + norm.logpdf(x[:, 0], 0, np.exp(x[:, 1]))
        + np.sum(t.logpdf(x, 3.0, 0.1, 2.0), axis=1)
    )

def value(p):
    mean, ls = p[:2], p[2:]
    s = noise * np.exp(ls) + mean
    return -(0.5 * 2 * (1 + np.log(2 * np.pi)) + np.sum(ls) + np.mean(logprob(s)))
"""

# Derivatives of derivatives: Hessians and Jacobians inside of what is differentiated.
SECOND = """
start = np.array([0.3, 0.5, 0.9])

def inner(x):
    return np.sum(
        np.array([[np.sin(x[0] * x[1]), x[2]], [x[1] ** 2, np.exp(x[0])]]) @ np.array([x[0], x[2]])
    )

def value(x):
    H = hessian(inner)(x)
    J = jacobian(lambda y: np.array([y[0] * y[1], y[2] ** 2]))(x)
    return (
        np.trace(H)
        + np.sum(J**2)
        + np.linalg.det(H + 3 * np.eye(3))
        + np.sum(elementwise_grad(np.tanh)(x))
    )
"""

# Linear algebra of one small matrix.
MATRICES = """
start = np.array([2.0, 0.5, 1.5, 0.3])

def value(x):
    A = np.array([[x[0], x[1]], [x[3], x[2]]])
    b = np.array([1.0, x[0]])
    u = np.linalg.solve(A, b)
    w, v = np.linalg.eigh(A + A.T)
    U, S, V = np.linalg.svd(A, full_matrices=False)
    return (
        np.sum(u**2)
        + w[0] * w[1] ** 2
        + np.abs(v[0, 0])
        + S[0]
        + np.linalg.norm(A)
        + np.linalg.slogdet(A)[1]
        + np.sum(np.linalg.inv(A)[0])
        + np.linalg.norm(A, "nuc")
        + np.einsum("ij,jk,ki->", A, A, A)
    )
"""

# Fourier transforms of real and complex signals.
SPECTRUM = """
start = np.linspace(-1, 1, 8) ** 3 + 0.3

def value(x):
    F = np.fft.rfft(x)
    G = np.fft.fft(x * np.exp(1j * x))
    S = np.fft.fftshift(np.abs(G) ** 2)
    return (
        np.sum(np.abs(F) ** 3)
        + np.real(np.sum(np.fft.ifft(G * np.conj(G)) ** 2))
        + np.sum(S * np.arange(8))
        + np.sum(np.fft.irfft(F * (1 + 2j)))
    )
"""

PROGRAMS = {
    "Gaussian process": GAUSSIAN_PROCESS,
    "survival": SURVIVAL,
    "manifold": MANIFOLD,
    "photonics": PHOTONICS,
    "Kalman filter": KALMAN,
    "Bessel": BESSEL,
    "LSTM": LSTM,
    "mixture": MIXTURE,
    "fluid": FLUID,
    "variational": VARIATIONAL,
    "second derivatives": SECOND,
    "matrices": MATRICES,
    "spectrum": SPECTRUM,
}
