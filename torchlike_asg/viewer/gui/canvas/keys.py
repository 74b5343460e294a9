"""What keys do on the canvas, by where they are on the keyboard."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui

Key = QtCore.Qt.Key
#: what a key does; letters by code, not by the text they write
KEYS = {
    Key.Key_Up: "walk_up",
    Key.Key_Down: "walk_down",
    Key.Key_Left: "walk_left",
    Key.Key_Right: "walk_right",
    Key.Key_Return: "toggle_selected",
    Key.Key_Enter: "toggle_selected",
    Key.Key_Space: "toggle_selected",
    Key.Key_Backspace: "select_parent",
    Key.Key_Escape: "clear_selection",
    Key.Key_F: "overview",
    Key.Key_Home: "fit",
    Key.Key_0: "fit",
    Key.Key_1: "actual_size",
    Key.Key_Plus: "zoom_in",
    Key.Key_Equal: "zoom_in",
    Key.Key_Minus: "zoom_out",
    Key.Key_E: "open_level",
    Key.Key_C: "close_all",
}

#: native codes of letter keys where Qt gives the letter of the active layout: X11 and Wayland (evdev + 8) and Windows scan codes
_SCAN = {
    Key.Key_C: (54, 0x2E),
    Key.Key_E: (26, 0x12),
    Key.Key_F: (41, 0x21),
    Key.Key_H: (43, 0x23),
    Key.Key_L: (46, 0x26),
    Key.Key_M: (58, 0x32),
    Key.Key_P: (33, 0x19),
    Key.Key_T: (28, 0x14),
}


def key_of(event: QtGui.QKeyEvent) -> QtCore.Qt.Key:
    """The key of an event by where it is on the keyboard: on a Russian layout the key of F writes А, and still is F."""
    if event.key() < 0x0400 or event.key() > 0x04FF:  # not a Cyrillic letter
        return Key(event.key())
    code = event.nativeScanCode()
    for key, codes in _SCAN.items():
        if code in codes:
            return key
    return _CYRILLIC.get(event.key(), Key(event.key()))


#: the standard Russian layout, for events without a scan code
_CYRILLIC = {
    0x0421: Key.Key_C,
    0x0423: Key.Key_E,
    0x0410: Key.Key_F,
    0x0420: Key.Key_H,
    0x0414: Key.Key_L,
    0x042C: Key.Key_M,
    0x0417: Key.Key_P,
    0x0415: Key.Key_T,
}
