"""Every operation has its texts in every language."""

import re

import pytest

import torchlike_asg as ours
from torchlike_asg.asg.declare import REGISTRY, declared
from torchlike_asg.i18n import catalog

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
            name = key[3:].rpartition(".")[0]
            assert name in REGISTRY or name == "custom", f"{key}: no such operation"
