"""Imports only go down the layers; the heavy and the graphical ones are not loaded by importing the package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "torchlike_asg"
#: lowest first; a module may import its own layer and those before it
LAYERS = [
    (
        "dtypes",
        "devices",
        "errors",
        "absent",
        "processors",
        "config",
        "events",
        "size",
        "version",
        "torch_version",
        "formats",
        "i18n",
        "pytree",
        "futures",
        "control_flow",
        "places",
        "notices",
    ),
    ("rng",),
    ("asg",),
    ("ops",),
    ("compiler", "backends"),
    ("facade",),
    ("autograd", "random", "serialization", "fft", "linalg", "special", "testing"),
    ("nn",),
    ("optim",),
    (
        "utils",
        "func",
        "functorch",
        "scans",
        "masked",
        "metrics",
        "transforms",
        "checkpoint",
        "cuda",
        "distributed",
        "distributions",
        "jit",
        "amp",
        "accelerator",
        "multiprocessing",
        "hub",
        "onnx",
        "profiler",
        "mps",
        "signal",
        "sparse",
        "library",
        "fx",
        "_C",
        "_dynamo",
        "_inductor",
        "_subclasses",
        "__config__",
        "_ops",
        "_tensor_str",
        "overrides",
        "asserting",
        "namespace",
        "quasirandom",
        "functional",
        "return_types",
        "storage",
        "types",
        "cpu",
        "xpu",
        "_utils",
    ),
    ("vision", "alias"),
    ("viewer",),
    ("cli", "port", "__main__"),
]
RANK = {name: i for i, names in enumerate(LAYERS) for name in names}
#: `asg.explain` and its like are offered by the lowest layer and loaded from above when called, by name
ALLOWED = {("backends", "mps"), ("backends", "cuda")}


def top(path):
    relative = path.relative_to(PACKAGE).with_suffix("")
    return relative.parts[0]


def imports(path):
    """(top-level subpackage, line, whether it is at module level) of every import of our own modules."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["torchlike_asg", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                target = base + (node.module.split(".") if node.module else [])
                names = [target + [a.name] for a in node.names] if len(target) == 1 else [target]
            elif node.module and node.module.split(".")[0] == "torchlike_asg":
                target = node.module.split(".")
                names = [target + [a.name] for a in node.names] if len(target) == 1 else [target]
        elif isinstance(node, ast.Import):
            names = [a.name.split(".") for a in node.names if a.name.split(".")[0] == "torchlike_asg"]
        for n in names:
            yield (n[1] if len(n) > 1 else ""), node.lineno


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    mine = top(path)
    if mine == "__init__":
        return
    assert mine in RANK, f"{mine} belongs to no layer: add it to LAYERS"
    for other, line in imports(path):
        if other in RANK and (mine, other) not in ALLOWED:
            assert RANK[other] <= RANK[mine], f"{path.relative_to(PACKAGE)}:{line} imports {other}, which is above {mine}"


def fresh(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_importing_loads_neither_qt_nor_wgpu_nor_torch():
    out = fresh(
        "import sys, torchlike_asg; print([m for m in ('PyQt6', 'wgpu', 'pyqtgraph', 'torch', 'scipy', 'llvmlite', 'tqdm') if m in sys.modules])"  # noqa: E501
    )
    assert out.stdout.strip() == "[]", out.stdout + out.stderr


def test_submodules_are_attributes_of_a_bare_import():
    code = "import torchlike_asg as t; t.nn.functional.relu; t.optim.SGD; t.utils.data.DataLoader; t.autograd.grad; t.cuda.is_available; t.backends.cudnn.benchmark; t.linalg.norm; t.random.manual_seed"  # noqa: E501
    out = fresh(code)
    assert out.returncode == 0, out.stderr


def test_the_subpackages_reach_the_names_they_promise():
    out = fresh("from torchlike_asg.asg import stats, explain; explain(lambda: None, show=None); stats()")
    assert out.returncode == 0, out.stderr
