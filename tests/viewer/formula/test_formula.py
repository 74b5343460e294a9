"""Formulas: every one in the texts can be read, written as a line and as MathML; mistakes are named."""

import xml.etree.ElementTree as ElementTree

import pytest

from torchlike_asg.i18n import catalog
from torchlike_asg.viewer.formula import FormulaError, mathml, meanings, parse, plain, symbols
from torchlike_asg.viewer.formula.parse import Fence, Fraction, Script, Symbol

FORMULAS = {key: text for key, text in catalog.entries("en").items() if key.endswith(".formula")}


@pytest.mark.parametrize("key", FORMULAS)
def test_every_formula_can_be_shown(key):
    line = plain(FORMULAS[key])
    assert "\\" not in line
    assert "{" not in line or r"\{" in FORMULAS[key] or r"\cases" in FORMULAS[key]
    assert line == " ".join(line.split())
    root = ElementTree.fromstring(mathml(FORMULAS[key]))
    assert root.tag.endswith("math")
    assert len(list(root.iter())) > 2


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (r"\frac{1}{1 + e^{-x}}", "1 / (1 + e⁻ˣ)"),
        (r"y = \frac{x}{2} (1 + x)", "y = (x / 2)(1 + x)"),
        (r"y = -x", "y = −x"),
        (r"a - b", "a − b"),
        (r"\max(x, 0) - x y", "max(x, 0) − xy"),
        (r"a \ln b", "a ln b"),
        (r"\sum_{i \le k} x_i", "∑_(i≤k) xᵢ"),
        (r"\sqrt{a^2 + b^2}", "√(a² + b²)"),
        (r"\sqrt x", "√x"),
        (r"x_{i \bmod n}", "x_(i mod n)"),
        (r"x_{(k)}", "x₍ₖ₎"),
        (r"\hat{x}", "x̂"),
        (r"\overline{x y}", "mean(xy)"),
        (r"f'(x)", "f′(x)"),
        (r"A^{-\top}", "A⁻ᵀ"),
        (r"\left( \frac{a}{b} \right)^2", "(a / b)²"),
        (r"y = \cases{ x & x > 0 \\ s\, x & x \le 0 }", "y = {x, x > 0; sx, x ≤ 0}"),
    ],
)
def test_lines_read_as_people_write_them(source, line):
    assert plain(source) == line


def test_the_tree_of_a_formula():
    (fraction,) = parse(r"\frac{a}{b_i^2}").items
    assert isinstance(fraction, Fraction)
    assert fraction.above == Symbol("a", "letter")
    assert fraction.below == Script(Symbol("b", "letter"), Symbol("i", "letter"), Symbol("2", "number"))
    (fence,) = parse(r"\left[ x \right.").items
    assert isinstance(fence, Fence)
    assert (fence.left, fence.right) == ("[", "")
    assert parse("").items == ()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (r"\unknown x", r"unknown command \\unknown"),
        ("x_", "unexpected end"),
        ("{x", "unexpected end"),
        ("x}", "unmatched '}'"),
        ("x_1_2", "two subscripts"),
        ("x^1^2", "two superscripts"),
        (r"\left( x", "unexpected end"),
        (r"\frac{a}", "unexpected end"),
        ("x # y", "unexpected '#'"),
        (r"\operatorname x", "missing {"),
        (r"\cases{ x }", "missing &"),
        (r"\cases{ x & y", "unexpected end"),
        ("x & y", "unmatched '&'"),
    ],
)
def test_a_mistake_is_named(source, message):
    with pytest.raises(FormulaError, match=message):
        parse(source)


def test_mathml_marks_limits_scripts_and_special_signs():
    text = mathml(r"\sum_{i < n} x_i^2 + \max_k a_k")
    assert "<munder><mo>∑</mo>" in text
    assert "<msubsup>" in text
    assert "&lt;" in text
    assert "<munder><mo>max</mo>" in text


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (r"dx = g\, [y > 0]", ["dx", "g", "[ ]", "y"]),
        (r"y = x[a:b:s]", ["y", "x", "a", "b", "s"]),
        (r"y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}", ["y", "i", "x", "j"]),
        (r"dS = \operatorname{onehot}(t) \odot \hat{x}", ["dS", "onehot", "t", "⊙", "x"]),
        (r"y = \cases{ x & x > t \\ v & x \le t }", ["y", "x", "t", "v"]),
        (r"\sqrt{\sigma^2 + \varepsilon} \Phi(x) A^\top", ["σ", "ε", "Φ", "x", "A", "⊤"]),
        (r"\left| d \right|", ["d"]),
    ],
)
def test_the_symbols_of_a_formula(source, found):
    assert symbols(source) == found


def test_symbols_mean_what_their_operation_says():
    assert dict(meanings("leaky_relu", "en"))["s"].startswith("the slope")
    assert dict(meanings("leaky_relu", "ru"))["s"].startswith("наклон")
    assert dict(meanings("tanh_grad", "en"))["y"] != dict(meanings("add", "en"))["y"], "the result of the forward operation"
    assert [symbol for symbol, _ in meanings("max_pool", "en")] == ["y", "p", "k", "x", "s", "d"]
    assert meanings("relu", "en") == [], "an operand and a result"
    assert meanings("no_such_operation", "en") == []
