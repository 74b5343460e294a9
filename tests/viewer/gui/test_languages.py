"""The window's language: everything changes with it, and another one is one file."""

import pytest
from pyqtgraph.Qt import QtWidgets

from torchlike_asg.i18n import catalog
from torchlike_asg.viewer.gui.say import Say

from .windows import discard, node, opened


def test_the_language_changes_everywhere(window):
    window.go("node", node(window, "softmax", "GPT.h.1"))
    window.say.set_language("ru")
    assert catalog.text("op.softmax.what", "ru") in window.inspector.what.text()
    assert window.docks["charts"].windowTitle() == "Кривые"
    assert "операци" in window.model.group_text(1, ())[1]
    assert "потери" in window.bar.status.text()
    window.say.next_language()
    assert window.docks["charts"].windowTitle() == "Curves"


@pytest.mark.parametrize(
    ("n", "word"), [(1, "операция"), (2, "операции"), (5, "операций"), (11, "операций"), (21, "операция"), (112, "операций")]
)
def test_russian_plurals(n, word):
    assert Say("ru").plural("operations", n) == f"{n} {word}"


def test_a_third_language_is_one_file(application, monkeypatch, tmp_path):
    root = catalog._ROOT
    for code in ("en", "ru"):
        (tmp_path / code).symlink_to(root / code)
    (tmp_path / "eo").mkdir()
    (tmp_path / "eo" / "ui.toml").write_text(
        '[language]\nname = "Esperanto"\nalias = "esperanto"\nplural = "one"\n[ui.viewer.dock]\ncharts = "Kurboj"\n', encoding="utf-8"
    )
    monkeypatch.setattr(catalog, "_ROOT", tmp_path)
    catalog.languages.cache_clear()
    catalog.entries.cache_clear()
    try:
        say = Say("eo")
        assert say("dock.charts") == "Kurboj"
        assert say("dock.inspector") == "Inspector"  # what is not translated yet
        assert "eo" in catalog.languages()
        window = opened(application)
        names = {a.text(): a for m in window.bar.more.menu().findChildren(QtWidgets.QMenu) for a in m.actions()}
        names["Esperanto"].trigger()  # the menu finds it, and the window speaks it at once
        assert window.say.lang == "eo"
        assert window.docks["charts"].windowTitle() == "Kurboj"
        assert window.docks["inspector"].windowTitle() == "Inspector"
        discard(window)
    finally:
        monkeypatch.undo()
        catalog.languages.cache_clear()
        catalog.entries.cache_clear()
