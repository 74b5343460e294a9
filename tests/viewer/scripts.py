"""Programs that train with a window, to be run as processes of their own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import torchlike_asg as torch
from torchlike_asg import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
handle = model.visualize({arguments})
for step in range({steps}):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(torch.randn(16, 6)), torch.randint(0, 3, (16,)))
    loss.backward()
    optimizer.step()
    {inside}
print("trained", step, flush=True)
"""


def script(steps=20, arguments="", inside="pass"):
    return textwrap.dedent(SCRIPT).format(steps=steps, arguments=arguments, inside=inside)


def environment(**more):
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    return env | {"PYTHONPATH": str(ROOT), "QT_LOGGING_RULES": "*=false"} | more


def run_script(text, tmp_path, how="file", **more):
    if how == "file":
        path = tmp_path / "train.py"
        path.write_text(text)
        command, given = [sys.executable, str(path)], None
    elif how == "c":
        command, given = [sys.executable, "-c", text], None
    else:
        command, given = [sys.executable, "-"], text
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment(**more))
