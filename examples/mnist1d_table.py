"""The table of "Scaling down deep learning" (Greydanus and Kobak, 2024), reproduced.

Four networks learn MNIST-1D, digits as signals of 40 numbers, with the paper's
architectures and settings. Needs the package mnist1d.

    python examples/mnist1d_table.py [--quick]
"""

import argparse
import tempfile
from pathlib import Path

from minigrad.recipes.run import train
from minigrad.recipes.tasks import configure

PAPER = {"logistic": 0.32, "mlp": 0.68, "cnn": 0.94, "gru": 0.91}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twelfth of the steps, no GRU")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    settings = {"data": "mnist1d", "seed": arguments.seed}
    if arguments.quick:
        settings |= {"steps": 500, "every": 250}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in PAPER:
            if arguments.quick and model == "gru":
                continue
            trained = train(configure({**settings, "model": model}), Path(folder, model))
            seconds = trained.history.last["seconds"]
            rows.append((model, trained.measured["accuracy"], PAPER[model], seconds))
    print(f"{'model':10}{'accuracy':>10}{'paper':>8}{'seconds':>9}")
    for model, accuracy, paper, seconds in rows:
        print(f"{model:10}{accuracy:10.1%}{paper:8.0%}{seconds:9.1f}")


if __name__ == "__main__":
    main()
