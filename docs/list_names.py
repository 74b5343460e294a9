"""Bring the tables of names and of differences in porting.md up to date: ``python docs/list_names.py`` (``--check`` only says whether
they are).

With ``--from-torch``, and PyTorch installed, also the list of PyTorch's names that the tables and ``torchlike_asg port`` compare with,
and the list of the names that can be imported and do nothing (torchlike_asg/places.py).
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import sys
import types
from pathlib import Path

from torchlike_asg import places
from torchlike_asg.port import names
from torchlike_asg.port.differences import DIFFERENCES

PAGE = Path(__file__).parent / "porting.md"
LIST = Path(names.__file__).parent / "torch_names.txt"
PLACEHOLDERS = Path(places.__file__).parent / "placeholders.txt"
#: the modules of PLACEHOLDERS, and these below them, are listed
BELOW = {
    "ao.quantization": "fake_quantize fuse_modules observer qconfig qconfig_mapping quantize quantize_fx stubs utils",
    "ao.nn": "intrinsic intrinsic.qat intrinsic.quantized qat quantized quantized.dynamic quantized.functional",
    "quantization": "fake_quantize fuse_modules observer qconfig quantize quantize_fx",
    "nn.intrinsic": "qat quantized",
    "nn.quantized": "dynamic",
    "ao": "nn quantization",
    "distributed._composable": "fsdp replicate",
    "distributed._shard": "sharded_tensor checkpoint",
    "distributed.algorithms": "_checkpoint _checkpoint.checkpoint_wrapper ddp_comm_hooks ddp_comm_hooks.default_hooks "
    "ddp_comm_hooks.powerSGD_hook join model_averaging model_averaging.averagers",
    "distributed.checkpoint": "default_planner filesystem metadata planner state_dict state_dict_loader state_dict_saver stateful",
    "distributed.elastic": "multiprocessing multiprocessing.errors",
    "distributed.fsdp": "api fully_sharded_data_parallel sharded_grad_scaler wrap",
    "distributed.tensor.parallel": "style",
    "fx.passes": "shape_prop split_module graph_drawer",
    "utils.data.datapipes": "datapipe iter map",
}
START, END = "<!-- {}: written by docs/list_names.py -->\n", "<!-- end of {} -->\n"
#: names in torch's namespaces that no script means: quantisation, kernels of single vendors, copies that views would make, scripting
INTERNAL = re.compile(
    r"^(q_|quantize|fake_quant|fused_moving|fbgemm|cudnn_|miopen_|mkldnn|xnnpack|sym_|row_indices|ccol_|crow_|col_ind|native_|.*_copy$|import_|"
    r"vitals|read_vitals|set_vital|parse_|merge_type|unify_|autocast_|fork$|wait$|common_notes|common_args|boolean_dispatch|has_torch_function|"
    r"handle_torch|BroadcastingList|TYPE_CHECKING|debug_unwrap|factory_common|torch_function|dsmm|hsmm|hspmm|saddmm|"
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


def differences() -> str:
    rows = [f"| {subject} | {theirs} | {here} |" for subject, (theirs, here) in DIFFERENCES.items()]
    return "\n".join(("| about | PyTorch | here |", "|---|---|---|", *rows, ""))


def filled(page: str, part: str, text: str) -> str:
    """The page with `text` between the marks of a part."""
    start, end = START.format(part), END.format(part)
    before, _, rest = page.partition(start)
    return before + start + "\n" + text + "\n" + end + rest.partition(end)[2]


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


def placeholders() -> str:
    """The text of the list of names that can be imported: classes, enumerations with their members, functions, other objects."""
    lines = ["# Names of PyTorch 2.13 that can be imported and do nothing: written by docs/list_names.py --from-torch, read by places.py"]
    for module in sorted({*places.PLACEHOLDERS, *(f"{top}.{name}" for top, below in BELOW.items() for name in below.split())}):
        found = importlib.import_module(f"torch.{module}")
        entries = (_entry(found, name) for name in sorted({*getattr(found, "__all__", ()), *dir(found)}))
        lines.append(f"{module}: " + " ".join(entry for entry in entries if entry))
    return "\n".join(lines) + "\n"


def _entry(module: types.ModuleType, name: str) -> str:
    """A name of the module as the list has it; empty if it is none of the module's own."""
    value, listed = getattr(module, name, None), name in getattr(module, "__all__", ())
    home = str(getattr(value, "__module__", None) or "torch")
    if isinstance(value, types.ModuleType) or (not listed and (name[0] == "_" or not home.startswith("torch") or name == "TYPE_CHECKING")):
        return ""
    if inspect.isclass(value):
        return f"{name}({','.join(value.__members__)})" if issubclass(value, enum.Enum) and value.__members__ else name
    return f"{name}()" if callable(value) else f"={name}"


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
        PLACEHOLDERS.write_text(placeholders(), encoding="utf-8")
        names.torch_names.cache_clear()
    page = PAGE.read_text(encoding="utf-8")
    new = filled(filled(page, "differences", differences()), "names", section())
    if "--check" not in argv:
        PAGE.write_text(new, encoding="utf-8")
    return int(new != page)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
