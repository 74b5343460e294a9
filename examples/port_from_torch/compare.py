"""Porting a PyTorch script: what changes in its source, and what changes in its numbers.

torch_version.py is a PyTorch training script; port_version.py is the same script on torchlike_asg. This program prints their
difference and runs both. Initial weights, shuffling, the random split and every dropout mask come from the same generator,
so both runs are the same run and their losses part only by the rounding of float32 arithmetic.

Expected: only import lines (and the docstring) differ; the two loss columns agree to a relative 1e-4 at every step; both
reach a test accuracy of at least 90 %.
Run: python examples/port_from_torch/compare.py (needs scikit-learn; without PyTorch only the port runs)
"""

import argparse
import difflib
import importlib.util
from pathlib import Path

from torchlike_asg.backends.wgpu import use_for_cuda

HERE = Path(__file__).parent


def changed_lines():
    """The lines that only one of the two scripts has, below their docstrings, blank lines aside."""
    before, after = ((HERE / name).read_text(encoding="utf-8").splitlines()[1:] for name in ("torch_version.py", "port_version.py"))
    return [line for line in difflib.ndiff(before, after) if line[0] in "+-" and line[1:].strip()]


def run(name, epochs):
    """Run one of the scripts; returns its losses and its test accuracy."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.main(epochs)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--gpu", action="store_true", help="run the port on the GPU (dropout has other numbers there)")
    args = parser.parse_args(argv)
    use_for_cuda(args.gpu)

    changes = changed_lines()
    print("\n".join(changes))
    print("\nthe port:")
    port_losses, port_accuracy = run("port_version", args.epochs)
    result = {"changes": changes, "port_losses": port_losses, "port_accuracy": port_accuracy}
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: nothing to compare the port with")
        return result

    print("\nPyTorch:")
    torch_losses, torch_accuracy = run("torch_version", args.epochs)
    differences = [abs(a - b) / abs(b) for a, b in zip(port_losses, torch_losses, strict=True)]
    print("\n step       PyTorch          port    difference")
    for step in range(0, len(differences), 5):
        print(f"{step:5} {torch_losses[step]:13.7f} {port_losses[step]:13.7f} {differences[step]:13.1e}")
    print(f"largest relative difference in {len(differences)} steps: {max(differences):.1e}")
    return result | {"torch_losses": torch_losses, "torch_accuracy": torch_accuracy, "difference": max(differences)}


if __name__ == "__main__":
    main()
