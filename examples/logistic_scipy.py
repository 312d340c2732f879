"""Logistic regression by SciPy's Newton method, with minigrad's gradient and Hessian.

The model is plain NumPy, without minigrad. The Hessian at the optimum also gives the
coefficients' standard errors.

    python examples/logistic_scipy.py [--quick]
"""

import argparse

import numpy as np
from scipy.optimize import minimize

from minigrad import data, grad, hessian, hvp

PENALTY = 1.0


def loss(w: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The negative log-likelihood of classes y of 0 and 1, with a penalty on w."""
    scores = x @ w[1:] + w[0]
    return np.sum(np.logaddexp(0, scores) - y * scores) + PENALTY * np.sum(w[1:] ** 2) / 2


def features(images: np.ndarray, quick: bool) -> np.ndarray:
    """Every pixel, or the mean of each square of four."""
    if quick:
        images = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    return images.reshape(len(images), -1).astype(float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="16 features instead of 64")
    arguments = parser.parse_args()
    digits = data.load_digits()
    x = features(digits.train_images, arguments.quick)
    x_test = features(digits.test_images, arguments.quick)
    y, y_test = (labels % 2 for labels in (digits.train_labels, digits.test_labels))  # odd?

    start = np.zeros(x.shape[1] + 1)
    found = minimize(loss, start, (x, y), "Newton-CG", jac=grad(loss), hess=hessian(loss))
    print(f"{found.message} {found.nit} steps, loss {found.fun:.4f}")
    print(f"largest entry of the gradient there {np.abs(grad(loss)(found.x, x, y)).max():.1e}")

    # The same, with Hessian-vector products in place of the Hessian.
    def product(w: np.ndarray, v: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return hvp(loss)(w, x, y, v)

    again = minimize(loss, start, (x, y), "Newton-CG", jac=grad(loss), hessp=product)
    print(f"largest difference without a Hessian {np.abs(found.x - again.x).max():.1e}")

    errors = np.sqrt(np.diag(np.linalg.inv(hessian(loss)(found.x, x, y))))
    surest = np.argsort(-np.abs(found.x[1:] / errors[1:]))[:5]
    for k in surest:
        print(f"feature {k:2}: {found.x[k + 1]:6.2f} +- {errors[k + 1]:.2f}")
    right = np.mean((x_test @ found.x[1:] + found.x[0] > 0) == y_test)
    print(f"accuracy {right:.2%}")


if __name__ == "__main__":
    main()
