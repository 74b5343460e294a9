"""Time of whole scripts under PyTorch and under this package, in turns; the table of docs/PERFORMANCE.md.

    python docs/measure_scripts.py path/to/run_case.py [--rounds 3] [--cases ng_gpt,mamba]

``run_case.py CASE --as PACKAGE`` runs a script with ``import torch`` meaning that package, and ``--list`` names the cases. A turn
is PyTorch, this package with an empty cache of compiled code, and this package with a full one, each in a process of its own. Of
every column the least of all turns is printed: seconds of the process's own work (processor time of all its threads) and seconds
that passed, the interpreter's start, imports and compiling included. "script" is what ``run_case.py`` says the script took without
imports, in seconds that passed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

OURS = "torchlike_asg"


def turn(program: str, case: str, package: str, cache: str) -> tuple[float, float, float]:
    """(processor time, time that passed, time of the script alone), in seconds."""
    environment = {**os.environ, "TORCHLIKE_ASG_CACHE": cache, "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, start = os.times(), time.perf_counter()
    command = [sys.executable, program, case, "--as", package, "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    passed, after = time.perf_counter() - start, os.times()
    found = re.search(r"run=([\d.]+)s", done.stdout)
    if done.returncode or found is None:
        raise RuntimeError(f"{case} under {package} failed:\n{done.stdout}{done.stderr}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, passed, float(found[1])


def measure(program: str, case: str, rounds: int) -> str:
    """A row of the table."""
    times: dict[str, list[tuple[float, float, float]]] = {"torch": [], "cold": [], "warm": []}
    with tempfile.TemporaryDirectory() as cache:
        turn(program, case, OURS, cache)
        for _ in range(rounds):
            times["torch"].append(turn(program, case, "torch", "off"))
            times["cold"].append(turn(program, case, OURS, "off"))
            times["warm"].append(turn(program, case, OURS, cache))
    least = {name: [min(column) for column in zip(*found, strict=True)] for name, found in times.items()}
    cells = [case]
    for i in range(3):
        cells.append(" / ".join(f"{least[name][i]:.2f}" for name in times))
    cells.append(f"{least['cold'][0] / least['torch'][0]:.2f} / {least['cold'][1] / least['torch'][1]:.2f}")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases")
    args = parser.parse_args()
    listed = subprocess.run([sys.executable, args.program, "--list"], capture_output=True, text=True, check=True).stdout
    cases = args.cases.split(",") if args.cases else [line.split()[0] for line in listed.splitlines()]
    print(
        "| script | processor s: PyTorch / cold / warm | passed s | script s | cold / PyTorch: processor, passed |\n|---|---|---|---|---|"
    )
    for case in cases:
        print(measure(args.program, case, args.rounds), flush=True)


if __name__ == "__main__":
    main()
