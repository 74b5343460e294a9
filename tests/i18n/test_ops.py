"""Every operation has its texts in every language."""

import re

import pytest

import torchlike_asg as ours
from torchlike_asg.asg.declare import REGISTRY, declared
from torchlike_asg.i18n import catalog
from torchlike_asg.viewer.formula import meanings, symbols

assert ours  # importing the package declares the operations
OPS = [op for op in declared()] + [REGISTRY[n] for n in ("const", "var", "input", "stop", "snap", "detach", "rebind", "leaf_of")]


@pytest.mark.parametrize("lang", catalog.languages())
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_operation_is_explained(op, lang):
    texts = catalog.entries(lang)
    for part in ("title", "what", "why", "formula"):
        key = f"{op.doc}.{part}"
        assert key in texts, f"{key} is missing in {lang}"
        assert len(texts[key].strip()) >= (2 if part in ("title", "formula") else 8), key
    if lang == "ru":
        assert re.search("[а-яё]", texts[f"{op.doc}.what"], re.IGNORECASE), f"{op.doc}.what is not in Russian"
    assert texts[f"{op.doc}.formula"] == catalog.entries("en")[f"{op.doc}.formula"], "formulas are the same in all languages"


def test_no_text_is_about_an_operation_that_does_not_exist():
    for key in catalog.entries("en"):
        if key.startswith("op."):
            name = key[3:].partition(".")[0]
            assert name in REGISTRY or name == "custom", f"{key}: no such operation"


#: functions and numbers that formulas may use without explaining them
KNOWN = set("π Re Im sign trunc round softmax mode arsinh arcosh artanh atan2 erfc lcm".split())


@pytest.mark.parametrize("lang", catalog.languages())
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_symbol_of_a_formula_is_explained_and_nothing_else(op, lang):
    used = set(symbols(catalog.text(f"{op.doc}.formula"))) - KNOWN
    told = {symbol for symbol, _ in meanings(op.name, lang)}
    products = {s for s in used if len(s) > 1 and s[0] == "d" and s not in told and s[1:] in told}  # d k, or the dt of an integral
    assert used - products - told <= {"x", "y"}
    own = {key.rpartition(".")[2] for key in catalog.entries(lang) if key.startswith(f"{op.doc}.where.")}
    assert own <= told


@pytest.mark.parametrize("lang", catalog.languages())
def test_no_two_operations_share_a_text(lang):
    """A sentence that fits any operation explains none."""
    seen = {}
    for op in OPS:
        for part in ("what", "why"):
            seen.setdefault((part, catalog.text(f"{op.doc}.{part}", lang)), []).append(op.name)
    shared = {tuple(names) for names in seen.values() if len(names) > 1}
    assert not shared
