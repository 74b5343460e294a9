"""Search: what matches, and going through it."""

import pytest

from torchlike_asg.viewer.gui.search import find, parse

from .windows import node, stats


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("softmax", 4),
        ("type:softmax in:h.2", 1),
        ("shape:64x384", 8),
        ("name:weight module:GPT.h.0", 8),
        ("param shape:96x96", 16),
        ("dtype:float64", 0),
        ('"h.1.mlp" gelu', 1),
        ("тип:softmax", 4),
        ("имя:weight модуль:GPT.h.0", 8),
        ("параметр форма:96x96", 16),
        ("phase:forward softmax", 4),
        ("kind:param shape:96x96", 16),
        ("", 0),
    ],
)
def test_search(window, text, expected):
    assert len(find(text, window.model, window.store)) == expected


def test_search_in_the_words_of_the_language(window):
    window.say.set_language("ru")
    for text, count in (("проход:прямой softmax", 4), ("проход:обратный", 0), ("вид:параметр форма:96x96", 16), ("type:softmax", 4)):
        assert len(find(text, window.model, window.store)) == count, text


def test_search_for_bad_values(window):
    softmax = node(window, "softmax", "GPT.h.1")
    message = stats([softmax])
    message.values[:, 4] = 7
    window.store.apply(message)
    assert find("nan", window.model, window.store) == [softmax]
    assert parse("nan shape:3").flags == ["nan"]


def test_enter_goes_through_the_matches_and_opens_what_hides_them(window):
    window.bar.search.setText("type:softmax")
    seen = []
    for _ in range(5):
        window.next_hit()
        seen.append(window.canvas.selection[1])
    assert len(set(seen[:4])) == 4
    assert seen[4] == seen[0]
    assert "1 of 4" in window.bar.found.text()
