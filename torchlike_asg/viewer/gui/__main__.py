"""``python -m torchlike_asg.viewer.gui ADDRESS``: the window's process. Started by `visualize`; the key comes over standard input."""

import sys

from .app import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
