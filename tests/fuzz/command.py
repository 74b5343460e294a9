"""The command line that the random programs share: which seeds to run, and what is printed of them."""

import sys


def seeds(count):
    """(first, count) as the command line says, `count` of them if it does not."""
    numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
    return (numbers + [0, count][len(numbers) :])[:2]


def report(bad, events, what):
    """Print counts of what happened and the seeds that disagree, with ``-v`` also their statements; the exit status."""
    for event, n in sorted(events.items()):
        print(f"{event:60} {n}")
    for seed, message, log in bad:
        print(f"seed {seed}: {message}")
        if "-v" in sys.argv:
            print("    " + "\n    ".join(log))
    print(f"{len(bad)} {what} disagree")
    return 1 if bad else 0
