"""PyTorch's own test data: samples of its operators, modules and optimizers, where the harness that runs them stands beside the checkout.

A bounded number of samples for every operator; ``python ../shared/conformance/opinfo.py torchlike_asg`` runs them all.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="torch.testing's databases import it")
CHECKOUT = Path(__file__).parents[2]
HARNESS = next((p for p in (CHECKOUT.parent / "shared", CHECKOUT / "shared") if (p / "conformance/opinfo.py").exists()), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(HARNESS is None, reason="the conformance harness is not beside the checkout"),
]
#: In the other process: `config.eager` first, then the harness with the arguments that follow. (PyTorch notes the call stack of every seed
#: for the devices that might come, a quarter of the time of all samples; none comes. It reads the whole stack, with its source, to find
#: the unittest in which samples are made, most of the time that is left; they are made in none.)
RUN = """
import runpy, sys, torch, torchlike_asg
for absent in (torch.cuda, torch.xpu, torch.mtia):
    absent._is_in_bad_fork = lambda: True
torchlike_asg.config.eager = sys.argv[1] == "eager"
del sys.argv[:2]
from torch.testing._internal import common_utils
common_utils.extract_test_fn = lambda: None
runpy.run_path(sys.argv[0], run_name="__main__")
"""
#: modules whose samples cover the most layers in the least time
MODULES = "nn.(Linear|ConvTranspose1d|BatchNorm2d|LayerNorm|GRUCell|Embedding|CrossEntropyLoss|GELU)$"


def failures(tmp_path, mode, *arguments):
    """What failed, was missing or had another element type, and how many checks were made."""
    out = tmp_path / "result.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", RUN, mode, str(HARNESS / "conformance/opinfo.py"), "torchlike_asg", "--out", str(out), *arguments]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(out.read_text())
    wrong = [r for r in results if r["status"] in ("fail", "missing") or r.get("dtype_warn") or any(r.get("inplace", [0, 0, 0])[1:])]
    return [(r["name"], r.get("variant"), r["status"], r["msgs"][:2]) for r in wrong], len(results)


def test_operators(tmp_path):
    """The core set is part of the extended one."""
    wrong, count = failures(tmp_path, "compiled", "--what", "ops", "--set", "extended", "--max-samples", "1")
    assert not wrong
    assert count >= 460


def test_operators_one_by_one(tmp_path):
    """With `config.eager`, a quarter of the operators."""
    wrong, count = failures(tmp_path, "eager", "--what", "ops", "--set", "extended", "--max-samples", "2", "--shard", "1/4")
    assert not wrong
    assert count >= 110


def test_modules_and_optimizers(tmp_path):
    wrong, count = failures(tmp_path, "compiled", "--what", "modules,optims", "--only", f"{MODULES}|^(Adam|SGD|AdamW|RMSprop|LBFGS)$")
    assert not wrong
    assert count >= 12
