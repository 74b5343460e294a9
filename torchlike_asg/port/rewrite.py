"""A script's imports of torch and torchvision, changed to this package; every other byte stays.

Before packages that import torch themselves, the alias is installed.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize

from .scan import imported

__all__ = ["decode", "hosted", "rewrite"]

#: packages that import torch themselves, or ask a tensor whether it is torch's: they work under the alias
HOSTED = frozenset(
    """accelerate adabelief_pytorch captum denoising_diffusion_pytorch diffusers einops einx ema_pytorch gpytorch ignite kornia lightning
    lightning_fabric lion_pytorch local_attention nflows opacus peft perceiver_pytorch performer_pytorch prodigyopt pyro pytorch_lightning
    pytorch_metric_learning pytorch_msssim rotary_embedding_torch schedulefree skorch timm torch_geometric torch_optimizer torchcde
    torchdiffeq torchinfo torchmetrics torchsde torchsummary transformers vector_quantize_pytorch vit_pytorch x_transformers
    """.split()
)
_INSTALL = b"import torchlike_asg; torchlike_asg.install_as_torch(); "

#: the module that is imported -> the module to import
_MODULES = {"torch": "torchlike_asg", "torchvision": "torchlike_asg.vision"}
_FROM = re.compile(rb"from(?:\s|\\\r?\n)+(torchvision|torch)\b")


def decode(content: bytes) -> tuple[str, str]:
    """(text, encoding) of a script, by its encoding comment; line ends are left as they are."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding), encoding


def rewrite(content: bytes) -> bytes:
    """The script with its imports changed; the same bytes if it imports neither. Raises SyntaxError for what is no Python.

    ``import torch`` becomes ``import torchlike_asg as torch``, ``import torch.nn as nn`` ``import torchlike_asg.nn as nn``,
    ``from torch.x import y`` ``from torchlike_asg.x import y``; ``import torch.nn``, which binds ``torch``, becomes
    ``import torchlike_asg.nn, torchlike_asg as torch``; ``import_module("torch.nn")`` ``import_module("torchlike_asg.nn")``. Before the
    first import of a package of `HOSTED`, in a script that imports torch too, the alias is installed.
    """
    text, encoding = decode(content)
    data = text.encode("utf-8")  # the positions in the tree are in bytes of UTF-8
    starts = [0, *(found.end() for found in re.finditer(rb"\r\n|\r|\n", data))]
    changes: list[tuple[int, int, bytes]] = []
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root, _, rest = alias.name.partition(".")
                if root in _MODULES:
                    place = starts[alias.lineno - 1] + alias.col_offset
                    end = starts[(alias.end_lineno or alias.lineno) - 1] + (alias.end_col_offset or 0)
                    changes.append((place, end, _import(root, rest, alias.asname, data[place:end])))
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            if node.module.partition(".")[0] in _MODULES:
                found = _FROM.match(data, starts[node.lineno - 1] + node.col_offset)
                assert found is not None
                changes.append((*found.span(1), _MODULES[found[1].decode()].encode()))
        elif isinstance(node, ast.Call) and (name := imported(node)) is not None and name.partition(".")[0] in _MODULES:
            root, dot, rest = name.partition(".")
            literal = node.args[0]
            place = starts[literal.lineno - 1] + literal.col_offset
            end = starts[(literal.end_lineno or literal.lineno) - 1] + (literal.end_col_offset or 0)
            changes.append((place, end, repr(_MODULES[root] + dot + rest).replace("'", '"').encode()))
    if changes:
        for place in _first_places(hosted(tree), tree):
            start = starts[place.lineno - 1] + place.col_offset
            changes.append((start, start, _INSTALL))
    for start, end, new in sorted(changes, reverse=True):
        data = data[:start] + new + data[end:]
    return data.decode("utf-8").encode(encoding)


def _import(root: str, rest: str, asname: str | None, written: bytes) -> bytes:
    """What stands in place of one name of an import statement, `written` there before."""
    ours = _MODULES[root]
    if asname is not None:  # everything but the module stays, whatever blanks are between
        return ours.encode() + written[len(root) :]
    if not rest:
        return f"{ours} as {root}".encode()
    return f"{ours}.{rest}, {ours} as {root}".encode()


def hosted(tree: ast.AST) -> list[tuple[str, ast.stmt]]:
    """The packages of `HOSTED` that a script imports, each with its statement, in the order of lines."""
    found: list[tuple[str, ast.stmt]] = []
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module]
        found += [(root, node) for name in names if (root := name.partition(".")[0]) in HOSTED]  # type: ignore[misc]
    return sorted(found, key=lambda pair: (pair[1].lineno, pair[1].col_offset))


def _first_places(found: list[tuple[str, ast.stmt]], tree: ast.Module) -> list[ast.stmt]:
    """The statements that the alias must come before: all up to the first that runs in any case."""
    places: list[ast.stmt] = []
    for _, statement in found:
        if statement not in places:
            places.append(statement)
        if statement in tree.body:
            break
    return places
