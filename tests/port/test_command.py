"""`torchlike_asg port`: what it finds in a script, what it says of it, and how it rewrites it."""

import ast
import importlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import torchlike_asg
from torchlike_asg.port import names
from torchlike_asg.port.command import main
from torchlike_asg.port.rewrite import rewrite
from torchlike_asg.port.scan import only_tensors, scan

ROOT = Path(__file__).parent.parent.parent


def found(source):
    return {(use.name, use.line) for use in scan(source)}


def lines(source, name):
    return [use.line for use in scan(source) if use.name == name]


# ===== The table


def test_states():
    assert names.status("torch.nn.Linear").state == "supported"
    assert names.status("torch.Tensor.masked_fill_").state == "supported"
    assert names.status("torchvision.models.resnet18").state == "supported"
    assert names.status("torch.nn.Embedding.from_pretrained").state == "supported"
    assert names.status("torch.cuda.is_available").state == "shimmed"
    assert names.status("torch.onnx.export") == names.Status("missing", "use PyTorch, from the saved state_dict")
    assert names.status("torch.distributed.init_process_group").state == "missing"
    assert "shared_memory" in names.status("torch.Tensor.share_memory_").note
    assert names.status("torch.Tensor.coalesce") == names.Status("shimmed", "of sparse COO tensors and CSR matrices")
    assert names.status("torch.Tensor.crow_indices").state == "shimmed"
    assert names.status("torch.Tensor.to_sparse_csc").state == "missing"
    assert names.status("torch.no_such_name").state == "unknown"
    assert names.status("torchaudio.load").state == "missing"


def test_shims_are_there_and_what_has_a_replacement_is_not():
    for name, note in names.SHIMS.items():
        assert names.status(name).state == ("shimmed" if note is not None else "missing"), name
        assert note is not None or name in names.INSTEAD
    for name in names.INSTEAD:
        root, _, _ = name.partition(".")
        assert root in ("torchaudio", "torchtext") or names.status(name).state in ("missing", "supported"), name


def test_the_list_of_torchs_names_is_torchs():
    torch = pytest.importorskip("torch")
    if not torch.__version__.startswith("2.13"):
        pytest.skip("the list is of PyTorch 2.13")
    spec = importlib.util.spec_from_file_location("list_names", ROOT / "docs" / "list_names.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.from_torch() == module.LIST.read_text(encoding="utf-8")


def test_nothing_in_our_namespaces_is_called_missing():
    for space in names.NAMESPACES:
        assert not set(names.missing(space)) & set(names.supported(space))


# ===== Finding names


def test_imports_under_any_alias():
    source = """\
import torch as t, os
import torch.nn as nn
import torch.nn.functional
from torch import optim as o, Tensor
from torch.utils.data import (
    DataLoader as DL,
    Dataset,
)
t.zeros(3); nn.Linear(1, 2); torch.nn.functional.relu(0)
o.SGD([]); DL([]); os.path.join("torch", "nn")
"""
    assert found(source) >= {
        ("torch", 1), ("torch.nn", 2), ("torch.nn.functional", 3), ("torch.optim", 4), ("torch.Tensor", 4),
        ("torch.utils.data.DataLoader", 6), ("torch.utils.data.Dataset", 7), ("torch.zeros", 9), ("torch.nn.Linear", 9),
        ("torch.nn.functional.relu", 9), ("torch.optim.SGD", 10), ("torch.utils.data.DataLoader", 10),
    }  # fmt: skip
    assert not [name for name, _ in found(source) if "path" in name or "join" in name]


def test_star_imports_and_names_of_modules():
    source = "from torch.nn import *\nimport torch\nF = torch.nn.functional\nLinear(1, 2)\nF.gelu(3)\nprint(len)\n"
    assert found(source) >= {("torch.nn.Linear", 4), ("torch.nn.functional.gelu", 5)}
    assert not lines(source, "torch.nn.len")


def test_modules_under_other_names():
    source = """\
import torch, importlib
from torch import nn
T = torch
N = nn
m = importlib.import_module("torch.fft")
T.zeros(3); N.Linear(1, 2); m.rfft(0)
__import__("torch").ones(3)
getattr(torch, "relu"); getattr(nn, name); hasattr(torch, "vulcan")
"""
    assert lines(source, "torch.zeros") == [6] and lines(source, "torch.nn.Linear") == [6] and lines(source, "torch.fft.rfft") == [6]
    assert lines(source, "torch.fft") == [5] and lines(source, "torch.relu") == [8] and lines(source, "torch") == [1, 7]
    assert not lines(source, "torch.vulcan")


def test_names_that_mean_something_else_later():
    source = """\
from torch.utils import data
from torch import optim
import torch.nn.functional as F
loader = data.DataLoader([])
def step(optim):
    optim.step()
wrapped = lambda F: F.wrapped
for data, target in loader:
    data.cpu_only()
optim = optim.SGD([])
optim.step()
F.relu(target)
with open("x") as F:
    F.readlines()
"""
    assert {name for name, _ in found(source)} == {
        "torch.utils.data", "torch.optim", "torch.nn.functional", "torch.utils.data.DataLoader", "torch.optim.SGD",
        "torch.nn.functional.relu",
    }  # fmt: skip
    guarded = "try:\n    from torch import vmap\nexcept ImportError:\n    vmap = None\nvmap(1)\n"
    assert lines(guarded, "torch.vmap") == [2, 5]


def test_torch_may_come_with_a_star():
    assert lines("from utils import *\ntorch.zeros(3)\n", "torch.zeros") == [2]
    assert found("from utils import *\ntorch = 3\ntorch.zeros\n") == set()


def test_other_modules_of_the_same_name_are_not_torchs():
    assert found("from . import torch\ntorch.zeros(1)\nfrom .torch import nn\nnn.Linear\n") == set()
    assert found("x.torch.zeros\ntorch = 3\n") == set()


def test_chains_over_several_lines_are_at_the_line_of_the_name():
    assert lines("import torch\nx = (\n    torch\n    .zeros(3)\n    .view(-1)\n)\n", "torch.Tensor.view") == [5]


def test_tensors_are_followed():
    source = """\
import torch
from torch import nn
import numpy as np
x = torch.randn(3)
y = (x * 2 + 1)[0].T
y.tile(2)
n = np.zeros(3)
n.tile(2)
class Net(nn.Module):
    def __init__(self):
        self.fc = nn.Linear(1, 2)
        self.words = {}
    def forward(self, x, h: torch.Tensor):
        a = self.fc(x)
        a.swapaxes(0, 1)
        h.round()
        x.round()
        self.words.values()
        return -a.max(1).values
"""
    assert lines(source, "torch.Tensor.tile") == [6]
    assert lines(source, "torch.Tensor.swapaxes") == [15]
    assert lines(source, "torch.Tensor.round") == [16]
    assert not lines(source, "torch.Tensor.values")


def test_names_that_only_tensors_have_count_anywhere():
    assert {"unsqueeze", "masked_fill_", "share_memory_", "to_sparse"} <= only_tensors()
    assert not {"view", "sum", "to", "parameters", "append", "split", "items", "float", "tanh", "cuda", "name"} & only_tensors()
    assert lines("def f(a, b):\n    return a.unsqueeze(0) + b.sum()\n", "torch.Tensor.unsqueeze") == [2]
    assert found("import other\nother.unsqueeze(3)\nself.unsqueeze = 3\n") == set()


def test_our_own_names_count_as_torchs():
    source = "import torchlike_asg as torch\nimport torchlike_asg.vision.ops as ops\ntorch.zeros(1)\nops.nms\n"
    assert found(source) >= {("torch.zeros", 3), ("torchvision.ops.nms", 4)}


# ===== Rewriting

REWRITTEN = [
    ("import torch", "import torchlike_asg as torch"),
    ("import torch as th", "import torchlike_asg as th"),
    ("import os, torch, sys", "import os, torchlike_asg as torch, sys"),
    ("import torch.nn as nn", "import torchlike_asg.nn as nn"),
    ("import torch.nn", "import torchlike_asg.nn, torchlike_asg as torch"),
    ("import torch  .  nn   as  nn # the layers", "import torchlike_asg  .  nn   as  nn # the layers"),
    ("from torch import nn, optim", "from torchlike_asg import nn, optim"),
    ("from torch.utils.data import (\n    DataLoader,\n)", "from torchlike_asg.utils.data import (\n    DataLoader,\n)"),
    ("from \\\n  torch.nn import *", "from \\\n  torchlike_asg.nn import *"),
    ("import torchvision", "import torchlike_asg.vision as torchvision"),
    ("from torchvision import transforms as T", "from torchlike_asg.vision import transforms as T"),
    ("import torchvision.models as m; import torch", "import torchlike_asg.vision.models as m; import torchlike_asg as torch"),
    ("try:\n\timport torch\nexcept ImportError: torch = None", "try:\n\timport torchlike_asg as torch\nexcept ImportError: torch = None"),
    ('"""import torch"""\nx = "import torch"  # import torch', '"""import torch"""\nx = "import torch"  # import torch'),
    ("from . import torch\nfrom .torch import nn\nimport torchaudio, torch_geometric", None),
    ("m = import_module('torch.nn'); __import__(\"torch\")", 'm = import_module("torchlike_asg.nn"); __import__("torchlike_asg")'),
    ("é = 'ü'; import torch\r\nx = 1\r\n", "é = 'ü'; import torchlike_asg as torch\r\nx = 1\r\n"),
]


@pytest.mark.parametrize(("before", "after"), REWRITTEN)
def test_imports_are_rewritten_and_nothing_else(before, after):
    changed = rewrite(before.encode()).decode()
    assert changed == (before if after is None else after)
    ast.parse(changed)
    assert rewrite(changed.encode()).decode() == changed


def test_the_alias_is_installed_before_packages_that_import_torch(tmp_path, capsys):
    install = "import torchlike_asg; torchlike_asg.install_as_torch(); "
    before = "import torch\ntry:\n    import timm\nexcept ImportError: timm = None\nif 1: from einops import rearrange\n"
    before += "import os, einops\nimport timm.layers\n"
    changed = rewrite(before.encode()).decode()
    for statement in ("import timm\nexcept", "from einops import rearrange", "import os, einops"):
        assert install + statement in changed
    assert changed.count(install) == 3 and rewrite(changed.encode()).decode() == changed
    assert rewrite(b"import einops\nfrom .timm import x\n") == b"import einops\nfrom .timm import x\n"  # no tensors of torch's
    script = tmp_path / "script.py"
    script.write_text("from einops import rearrange\nimport torch\nprint(rearrange(torch.arange(6).view(2, 3), 'a b -> b a').tolist())\n")
    assert main([str(script), "--write"]) == 0
    assert "alias     einops (line 1): it works under" in capsys.readouterr().out
    pytest.importorskip("einops")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120
    )
    assert done.stdout.strip() == "[[0, 3], [1, 4], [2, 5]]", done.stderr


def test_other_encodings_stay():
    latin = "# -*- coding: latin-1 -*-\nname = 'é'; import torch\n".encode("latin-1")
    assert rewrite(latin) == latin.replace(b"import torch", b"import torchlike_asg as torch")
    marked = b"\xef\xbb\xbfimport torch\n"
    assert rewrite(marked) == b"\xef\xbb\xbfimport torchlike_asg as torch\n"


def test_a_rewritten_script_runs(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import torch\nimport torch.nn.functional as F\nfrom torch import nn\nimport torch.utils.data\nimport torchvision.ops\n"
        "torch.manual_seed(0)\nmodel = nn.Linear(2, 1)\nF.relu(model(torch.ones(3, 2))).sum().backward()\n"
        "loader = torch.utils.data.DataLoader([1, 2])\nprint(torch.__name__, torchvision.ops.__name__, next(iter(loader)).item())\n"
    )
    assert main([str(script), "--write"]) == 0
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env, timeout=120)
    assert done.stdout.split() == ["torchlike_asg", "torchlike_asg.vision.ops", "1"], done.stderr


# ===== The command


@pytest.fixture
def scripts(tmp_path):
    (tmp_path / "good.py").write_text("import torch\ntorch.zeros(3).view(-1)\ntorch.cuda.is_available()\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "bad.py").write_text("import torch\n\ntorch.onnx.export(1, 2)\ntorch.onnx.export(3, 4)\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.py").write_text("import torch.fx\n")
    return tmp_path


def test_the_report(scripts, capsys):
    assert main([str(scripts / "good.py")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{scripts / 'good.py'}: 3 names supported, 1 shimmed, 0 missing, 0 unknown"
    assert out[1].startswith("  shimmed   torch.cuda.is_available (line 3): there is no CUDA")
    assert "  supported torch.Tensor.view (line 2)" in out
    assert main([str(scripts), "--quiet"]) == 1
    out = capsys.readouterr().out
    assert "  missing   torch.onnx.export (line 3, 4): use PyTorch, from the saved state_dict\n" in out
    assert "supported torch" not in out and ".hidden" not in out


def test_the_report_in_russian(scripts, capsys):
    assert main([str(scripts / "deep"), "--lang", "ru"]) == 1
    out = capsys.readouterr().out
    assert "отсутствует torch.onnx.export (строка 3, 4)" in out and "supported" not in out


def test_writing_keeps_permissions_and_untouched_files(scripts):
    plain = scripts / "plain.py"
    plain.write_bytes(b"x = 1\r\n")
    (scripts / "good.py").chmod(0o750)
    untouched = plain.stat().st_mtime_ns
    assert main([str(scripts), "--write", "-q"]) == 1
    assert (scripts / "good.py").read_text().startswith("import torchlike_asg as torch\ntorch.zeros(3)")
    assert (scripts / "deep" / "bad.py").read_text().startswith("import torchlike_asg as torch\n")
    assert (scripts / "good.py").stat().st_mode & 0o777 == 0o750
    assert plain.read_bytes() == b"x = 1\r\n" and plain.stat().st_mtime_ns == untouched
    assert sorted(p.name for p in scripts.iterdir()) == [".hidden", "deep", "good.py", "plain.py"]


def test_files_that_cannot_be_read(tmp_path, capsys):
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "bytes.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "good.py").write_text("import torch\n")
    assert main([str(tmp_path), "--write"]) == 2
    captured = capsys.readouterr()
    assert "broken.py: cannot be read" in captured.err and "bytes.py: cannot be read" in captured.err
    assert (tmp_path / "good.py").read_text() == "import torchlike_asg as torch\n"
    assert (tmp_path / "broken.py").read_text() == "def f(:\n"
    assert main([str(tmp_path / "absent.py")]) == 2
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 2 and "empty: no scripts or notebooks" in capsys.readouterr().err


def test_a_script_through_standard_input(monkeypatch, capsysbinary):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"import torch\r\ntorch.zeros(3)\r\n")))
    assert main(["-", "--write"]) == 0
    captured = capsysbinary.readouterr()
    assert captured.out == b"import torchlike_asg as torch\r\ntorch.zeros(3)\r\n" and b"2 names supported" in captured.err


def test_it_is_a_command_of_the_package(scripts):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "torchlike_asg", "port", str(scripts / "good.py")], capture_output=True, text=True, env=env, timeout=120
    )
    assert done.returncode == 0 and "3 names supported" in done.stdout, done.stderr
    assert importlib.import_module("torchlike_asg.__main__").main(["port", str(scripts / "deep")]) == 1


def test_the_examples_of_this_package_use_nothing_that_is_missing(capsys):
    assert main([str(ROOT / "examples" / "port_from_torch"), "-q"]) == 0
    assert torchlike_asg.__name__ == "torchlike_asg"


# ===== Notebooks


def notebook(*cells):
    """A notebook of these cells, in Jupyter's own layout."""
    document = {
        "cells": [
            {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True)}
            | ({"execution_count": None, "outputs": []} if kind == "code" else {})
            for kind, text in cells
        ],
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


CELLS = (
    ("markdown", "# import torch"),
    ("code", "%matplotlib inline\nimport torch\n!pip install é\nfiles = !ls\ntorch?"),
    ("code", "%%bash\nimport torch as nothing"),
    ("code", "%%time\nif True:\n    %timeit 1\n    x = torch.zeros(3)\nprint(7\n  % 4)"),
    ("code", "from torch import nn\nx.relu()"),
)


def test_a_notebook_is_reported_by_cell_and_line(tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    path.write_text(notebook(*CELLS), encoding="utf-8")
    assert main([str(path)]) == 0
    out = capsys.readouterr().out
    assert "torch.zeros (cell:line 3:4)" in out and "torch.Tensor.relu (cell:line 4:2)" in out and "torch.nn (cell:line 4:1)" in out
    assert main([str(tmp_path)]) == 0 and "a.ipynb" in capsys.readouterr().out


def test_only_the_imports_of_a_notebook_are_rewritten(tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    path.write_text(notebook(*CELLS), encoding="utf-8")
    assert main(["--write", str(path)]) == 0
    expected = (
        notebook(*CELLS)
        .replace('"import torch\\n"', '"import torchlike_asg as torch\\n"')
        .replace("from torch import", "from torchlike_asg import")
    )
    assert path.read_text(encoding="utf-8") == expected
    assert main(["--write", str(path)]) == 0 and path.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("content", ["[]", "{}", "no JSON", notebook(("code", "x = 1"), ("code", "def f(:"))])
def test_what_is_no_notebook_is_refused(tmp_path, capsys, content):
    path = tmp_path / "a.ipynb"
    path.write_text(content, encoding="utf-8")
    assert main([str(path)]) == 2
    assert "a.ipynb" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == content
