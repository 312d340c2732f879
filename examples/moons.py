"""micrograd's demo: two half-moons, classified by a small network with the loss of an SVM.

python examples/moons.py [--quick] [--picture FILE]
"""

import argparse

import numpy as np

from minigrad import data, nn, optim
from minigrad import functional as F
from minigrad.viz import plots


def train(steps: int) -> tuple[nn.Module, float]:
    """The network, and its accuracy on 100 points."""
    points, classes = data.make_moons(100, noise=0.1, seed=1)
    targets = (2 * classes - 1).astype(np.float32)[:, None]  # -1 and 1
    rng = np.random.default_rng(1)
    network = nn.Sequential(
        nn.Linear(2, 16, rng=rng),
        nn.ReLU(),
        nn.Linear(16, 16, rng=rng),
        nn.ReLU(),
        nn.Linear(16, 1, rng=rng),
    )
    # Its weight decay adds 2e-4 of each parameter to the gradient, as a penalty of 1e-4 * |w|^2.
    optimizer = optim.SGD(network.parameters(), lr=1.0, weight_decay=2e-4)
    schedule = optim.LinearLR(optimizer, 1.0, 0.1, total_iters=steps)
    for step in range(steps):
        optimizer.zero_grad()
        scores = network(points)
        loss = F.hinge_loss(scores, targets)
        loss.backward()
        optimizer.step()
        schedule.step()
        right = float(np.mean(np.sign(scores.data) == targets))
        if step % (steps // 10) == 0:
            print(f"step {step:3}  loss {loss.item():.4f}  accuracy {right:.0%}")
    return network, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="train for half as long")
    parser.add_argument("--picture", help="where to draw the boundary, such as moons.png")
    arguments = parser.parse_args()
    network, right = train(300 if arguments.quick else 600)
    print(f"accuracy {right:.2%}")
    if arguments.picture:
        points, classes = data.make_moons(100, noise=0.1, seed=1)
        figure = plots.plot_boundary(lambda x: network(x).data[:, 0] > 0, points, classes)
        figure.savefig(arguments.picture)


if __name__ == "__main__":
    main()
