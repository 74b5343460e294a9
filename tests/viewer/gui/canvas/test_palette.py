"""Colours can be read: by anybody, in both themes."""

import itertools

import pytest

import torchlike_asg.ops  # noqa: F401  (fills the registry)
from torchlike_asg.asg.declare import REGISTRY
from torchlike_asg.viewer.gui.canvas.palette import _CLASS, DARK, LIGHT, STYLES, contrast, mix, style_of

THEMES = pytest.mark.parametrize("theme", [DARK, LIGHT], ids=["dark", "light"])


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    assert mix("#000000", "#FFFFFF", 0.5) == "#808080"


@THEMES
def test_edges_stand_out_from_every_ground_they_cross(theme):
    for ground in (theme.background, *theme.groups):
        for color in (theme.edge, theme.incident, theme.bad):
            assert contrast(color, ground) >= 3.0


@THEMES
def test_text_can_be_read_on_every_face(theme):
    for ground in (theme.background, theme.panel, *theme.groups, *(theme.face(s.hue) for s in STYLES.values())):
        assert contrast(theme.text, ground) >= 4.5
        assert contrast(theme.dim, ground) >= 4.5


def test_eight_hues_at_most_and_a_glyph_for_each_class():
    hues = [s for s in STYLES.values() if s.key not in ("gradient", "module")]
    assert len(hues) <= 8
    assert len({s.glyph for s in STYLES.values()}) == len(STYLES)
    assert all(a.hue != b.hue for a, b in itertools.combinations(hues, 2))


def test_every_category_of_the_registry_has_a_class():
    for op in REGISTRY.values():
        assert op.category in _CLASS, op.category
        assert style_of(op.category).key in STYLES
