"""The window with a kernel's code: colours, search, copying."""

import pytest
from pyqtgraph.Qt import QtCore, QtTest, QtWidgets

from torchlike_asg.viewer.gui.canvas import DARK, LIGHT
from torchlike_asg.viewer.gui.canvas.palette import contrast, mix
from torchlike_asg.viewer.gui.code import _HUES, CodeView
from torchlike_asg.viewer.gui.say import Say

LLVM = """; ModuleID = "k"
define void @softmax(ptr noalias %x, i64 %n) {
entry:
  %s = fadd fast float %a, 1.000000e+00 ; сумма
  ret void
}
"""
WGSL = """// a sum
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let x: f32 = 2.5;
}
"""


@pytest.fixture
def view(application):
    made = CodeView(Say("en"), DARK)
    made.show_code("kernel", LLVM, "LLVM IR")
    made.show()
    yield made
    made.close()
    made.deleteLater()


def colours(view):
    """Of each piece of text that has a colour of its own."""
    found = {}
    block = view.text.document().begin()
    while block.isValid():
        for piece in block.layout().formats():
            raw = block.text().encode("utf-16-le")[2 * piece.start : 2 * (piece.start + piece.length)].decode("utf-16-le")
            found[raw] = piece.format.foreground().color().name().upper()
        block = block.next()
    return found


def test_llvm_and_wgsl_have_colours(view):
    hues = _HUES[True]
    found = colours(view)
    assert found["define"] == found["fadd"] == hues["word"].upper()
    assert found["@softmax"] == found["%s"] == hues["name"].upper()
    assert found["float"] == found["i64"] == hues["type"].upper()
    assert found["1.000000e+00"] == hues["number"].upper()
    assert found["; сумма"] == hues["comment"].upper()
    view.show_code("kernel", WGSL, "WGSL")
    view.set_colors(LIGHT)
    hues, found = _HUES[False], colours(view)
    assert found["fn"] == found["let"] == hues["word"].upper()
    assert found["u32"] == found["f32"] == hues["type"].upper()
    assert found["// a sum"] == hues["comment"].upper()


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=["dark", "light"])
def test_colours_of_code_can_be_read(theme):
    ground = mix(theme.panel, theme.text, 0.06)
    assert all(contrast(hue, ground) >= 4.5 for hue in _HUES[theme.dark].values())


def test_search_goes_round_all_matches(view):
    QtTest.QTest.keyClicks(view.find, "void")
    assert view.found.text() == "1 of 2"
    QtTest.QTest.keyClick(view.find, QtCore.Qt.Key.Key_Return)
    assert view.found.text() == "2 of 2"
    assert view.text.textCursor().block().text() == "  ret void"
    assert len(view.text.extraSelections()) == 2
    QtTest.QTest.keyClick(view, QtCore.Qt.Key.Key_F3)
    assert view.found.text() == "1 of 2"
    QtTest.QTest.keyClick(view, QtCore.Qt.Key.Key_F3, QtCore.Qt.KeyboardModifier.ShiftModifier)
    assert view.found.text() == "2 of 2"
    view.find.setText("nowhere")
    assert view.found.text() == "0 matches"
    assert not view.text.extraSelections()


def test_everything_is_copied(view):
    QtTest.QTest.mouseClick(view.copy, QtCore.Qt.MouseButton.LeftButton)
    assert QtWidgets.QApplication.clipboard().text() == LLVM
    view.show_code("kernel", "Waiting ...", "")
    assert not view.copy.isEnabled()


def test_lines_are_numbered(view):
    before = view.text.margin.grab().toImage()
    assert view.text.margin.width() > 20
    view.text.setPlainText("\n".join(["x"] * 400))
    assert view.text.margin.grab().toImage() != before
