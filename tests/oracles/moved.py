"""Programs as they are written for autograd, as text: `IMPORTS` of either library go in front.

Each defines `value(parameters)`, a number, and `start`, the parameters.
"""

AUTOGRAD = """
import autograd.numpy as np
import autograd.numpy.linalg as npla
import autograd.scipy.linalg as spla
import autograd.scipy.special as special
import autograd.scipy.stats.norm as norm
import autograd.scipy.stats.multivariate_normal as mvn
from autograd import grad, jacobian, elementwise_grad, make_vjp, hessian_vector_product
from autograd.extend import primitive, defvjp
from autograd.misc.flatten import flatten
"""

MINIGRAD = """
import minigrad.numpy as np
import minigrad.numpy.linalg as npla
import minigrad.scipy.linalg as spla
import minigrad.scipy.special as special
from minigrad.scipy.stats import norm
from minigrad.scipy.stats import multivariate_normal as mvn
from minigrad.extend import grad, jacobian, elementwise_grad, make_vjp, hessian_vector_product
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

PROGRAMS = {
    "Gaussian process": GAUSSIAN_PROCESS,
    "survival": SURVIVAL,
    "manifold": MANIFOLD,
    "photonics": PHOTONICS,
    "Kalman filter": KALMAN,
    "Bessel": BESSEL,
}
