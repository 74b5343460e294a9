"""New nodes and plans in the repeated steps of whole scripts, and why plans were built.

    python docs/count_plans.py path/to/run_case.py [--cases ng_gpt,mamba] [--reasons]

Each script runs in a process of its own through ``run_case.py CASE --as torchlike_asg`` (``--list`` names the cases). A step ends with an
optimizer's step; in a script without optimizers with a backward pass, and without those with the reading of a number. Printed are the
steps, the plans of the whole script, and the nodes and plans that are new in the second half of the steps. What happens between steps
(an evaluation, a sample that grows) counts into the next one; `--reasons` prints the event that names why each of those plans was built.
"""

from __future__ import annotations

import argparse
import atexit
import os
import runpy
import subprocess
import sys
from collections import Counter
from typing import Any


class Steps:
    """Counts at the end of each step, by what ended it, and the reasons of plans with the number of the step they were built in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ends: dict[str, list[tuple[int, int]]] = {"optimizer": [], "backward": [], "item": []}
        self.reasons: list[tuple[dict[str, int], str]] = []

    def end(self, kind: str) -> None:
        from torchlike_asg import asg

        now = asg.stats()
        self.ends[kind].append((now["nodes"], now["plans"]))

    def miss(self, event: Any) -> None:
        self.reasons.append(({kind: len(ends) for kind, ends in self.ends.items()}, event.reason))

    def report(self) -> None:
        from torchlike_asg import asg

        kind = next((k for k, ends in self.ends.items() if ends), "item")
        ends = self.ends[kind]
        half = len(ends) // 2
        nodes, plans = (ends[-1][i] - ends[half][i] if ends else 0 for i in (0, 1))
        print(f"| {self.name} | {len(ends)} ({kind}) | {asg.stats()['plans']} | {nodes} | {plans} |", file=sys.__stdout__)
        late = Counter(reason for at, reason in self.reasons if half < at[kind] < len(ends))
        for reason, count in late.most_common() if os.environ.get("COUNT_REASONS") else ():
            print(f"    {count} x {reason}", file=sys.__stdout__)


def watch(steps: Steps) -> None:
    """Let optimizers, backward passes and reads tell where steps end."""
    import torchlike_asg as torch
    from torchlike_asg import events, optim

    def ending(owner: Any, name: str, kind: str) -> None:
        original = getattr(owner, name)

        def method(self: Any, *args: Any, **kw: Any) -> Any:
            result = original(self, *args, **kw)
            steps.end(kind)
            return result

        setattr(owner, name, method)

    for found in vars(optim).values():
        if isinstance(found, type) and "step" in vars(found):
            ending(found, "step", "optimizer")
    ending(torch.Tensor, "backward", "backward")
    ending(torch.Tensor, "item", "item")
    events.subscribe("cache_miss", steps.miss)
    atexit.register(steps.report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--cases")
    parser.add_argument("--reasons", action="store_true")
    args = parser.parse_args()
    listed = subprocess.run([sys.executable, args.program, "--list"], capture_output=True, text=True, check=True).stdout
    cases = args.cases.split(",") if args.cases else [line.split()[0] for line in listed.splitlines()]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "COUNT_CASE": args.program, "COUNT_REASONS": "1" if args.reasons else ""}
    print("| script | steps | plans | new nodes in the second half | new plans there |\n|---|---|---|---|---|", flush=True)
    for case in cases:
        command = [sys.executable, __file__, case, "--as", "torchlike_asg", "--quiet"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        print(
            "".join(f"{line}\n" for line in done.stdout.splitlines() if line.startswith(("|", "    "))) or done.stderr, end="", flush=True
        )


if __name__ == "__main__":
    program = os.environ.pop("COUNT_CASE", None)
    if program is None:
        main()
    else:
        watch(Steps(sys.argv[1]))
        runpy.run_path(program, run_name="__main__")
