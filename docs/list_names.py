"""Bring the tables of names in porting.md up to date: ``python docs/list_names.py`` (``--check`` only says whether they are).

With ``--from-torch``, and PyTorch installed, also the list of PyTorch's names that the tables and ``torchlike_asg port`` compare with.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
from pathlib import Path

from torchlike_asg.port import names

PAGE = Path(__file__).parent / "porting.md"
LIST = Path(names.__file__).parent / "torch_names.txt"
START, END = "<!-- names: written by docs/list_names.py -->\n", "<!-- end of names -->\n"
#: names in torch's namespaces that no script means: quantisation, kernels of single vendors, copies that views would make, scripting
INTERNAL = re.compile(
    r"^(q_|quantize|fake_quant|fused_moving|fbgemm|cudnn_|miopen_|mkldnn|xnnpack|sym_|row_indices|ccol_|crow_|col_ind|native_|.*_copy$|import_|"
    r"vitals|read_vitals|set_vital|parse_|merge_type|unify_|autocast_|fork$|wait$|common_notes|common_args|boolean_dispatch|has_torch_function|"
    r"handle_torch|BroadcastingList|TYPE_CHECKING|debug_unwrap|factory_common|torch_function|dsmm|hsmm|hspmm|saddmm|segment_reduce|"
    r"is_vulkan|dequantize|int_repr|.*per_tensor|.*per_channel|batch_norm_(backward|elemt|gather|stats|update)|cond$|while_loop|"
    r".*_notes$|assert_int|factory_kwargs|unsafe_|.*_autocast_(ipu|xla|cpu|gpu|cache|dtype|enabled)|bits?\d*(x\d)?$|int[1-7]$|uint[1-7]$|"
    r"u?qint|qscheme|quint|float[48]_|hash_tensor|from_file|.*qparams|empty_quantized|init_num_threads|slice_inverse|"
    r"(runtime|argument)_validation|(non|guaranteed)_determin|sparse_(bs|cs|comp))"
)
#: the classes among torch's own names that scripts use; the others describe its compiler
CLASSES = re.compile(r"^(Tensor|Generator|Size|Stream|Event|OutOfMemoryError|\w*Tensor|\w+Storage)$")


def section() -> str:
    shims = [f"| `{name}` | {note} |" for name, note in sorted(names.SHIMS.items()) if note is not None]
    instead = [f"| `{name}` | {note} |" for name, note in sorted(names.INSTEAD.items()) if names.status(name).state == "missing"]
    parts = ["### Shimmed\n\n| name | what it does |\n|---|---|\n" + "\n".join(shims) + "\n"]
    parts.append("### Missing, with a replacement\n\n| name | use instead |\n|---|---|\n" + "\n".join(instead) + "\n")
    parts.append("### Supported\n")
    for space in names.NAMESPACES:
        found = names.supported(space)
        if found:
            parts.append(f"**`{space}`** ({len(found)}): " + " · ".join(f"`{name}`" for name in found) + "\n")
    parts.append("### Missing\n\nNames of PyTorch 2.13's namespaces above that are not here.\n")
    for space in names.NAMESPACES:
        found = names.missing(space)
        if found:
            parts.append(f"**`{space}`** ({len(found)}): " + " · ".join(f"`{name}`" for name in found) + "\n")
    return "\n".join(parts)


def from_torch() -> str:
    """The text of the list of PyTorch's names."""
    lines = ["# The public names of PyTorch 2.13's namespaces: written by docs/list_names.py --from-torch"]
    for space in names.NAMESPACES:
        if space == "torch.Tensor":
            found = [name for name in dir(importlib.import_module("torch").Tensor) if name[0] != "_"]
        else:
            found = _public(importlib.import_module(space))
        lines.append(f"{space}: " + " ".join(sorted(name for name in found if not INTERNAL.match(name))))
    return "\n".join(lines) + "\n"


def _public(module: types.ModuleType) -> list[str]:
    """What is defined in the namespace or offered by it on purpose: not what it merely imported."""
    listed = set(getattr(module, "__all__", ()))
    found = []
    for name in dir(module) if not listed else sorted(listed | ({"float32"} & set(dir(module)))):
        value = getattr(module, name, None)
        home = getattr(value, "__module__", None) or "torch"
        if name[0] == "_" or isinstance(value, types.ModuleType) or not str(home).startswith("torch"):
            continue
        if (module.__name__ == "torch" and name[0].isupper() and not CLASSES.match(name)) or (
            name == "Tensor" and module.__name__ != "torch"
        ):
            continue
        if not listed and inspect.isclass(value) and home.startswith("torch._C"):
            continue
        found.append(name)
    if module.__name__ == "torch":  # dtypes, layouts and memory formats are not in __all__
        kinds = (module.dtype, module.layout, module.memory_format)
        found += [name for name in dir(module) if name[0] != "_" and isinstance(getattr(module, name), kinds)]
    return sorted(set(found))


def main(argv: list[str]) -> int:
    """Write the section, or with ``--check`` compare it; returns 1 if it was out of date."""
    if "--from-torch" in argv:
        LIST.write_text(from_torch(), encoding="utf-8")
        names.torch_names.cache_clear()
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    new = before + START + "\n" + section() + "\n" + END + after
    if "--check" not in argv:
        PAGE.write_text(new, encoding="utf-8")
    return int(new != page)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
