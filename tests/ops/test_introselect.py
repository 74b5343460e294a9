"""Sorting and selecting as PyTorch does where parts are lopsided: the order that `_Unlucky` keys end in is the worst there is."""

from torchlike_asg.ops import introselect, introsort


class _Unlucky:
    """A key whose place is decided when it is compared: as late, and so as lopsided, as can be (McIlroy 1999)."""

    count, candidate = 0, None

    def __init__(self):
        self.value = None

    def settle(self):
        self.value = _Unlucky.count
        _Unlucky.count += 1

    def __lt__(self, other):
        if self.value is None and other.value is None:
            (self if self is _Unlucky.candidate else other).settle()
        if self.value is None:
            _Unlucky.candidate = self
            return False
        if other.value is None:
            _Unlucky.candidate = other
            return True
        return self.value < other.value


def worst(n):
    _Unlucky.count = 0
    keys = [_Unlucky() for _ in range(n)]
    introsort.sort(introsort.as_items(keys), 0, n)
    return [n if k.value is None else k.value for k in keys]


def test_lopsided_parts_are_sorted_by_a_heap():
    keys, parts = worst(400), []

    def heap(items, low, high):
        parts.append(high - low)
        introselect.heap_select(items, low, high, high)
        introselect.sort_heap(items, low, high)

    items = introsort.as_items(keys)
    assert not introsort.sort(introsort.as_items(keys), 0, 400)
    assert introsort.sort(items, 0, 400, heap) and parts
    assert [k for k, _ in items] == sorted(keys)
    assert [keys[i] for i in introsort.ascending(keys)] == sorted(keys)
    for k in (3, 200, 400):
        assert [keys[i] for i in introselect.first(keys, k, True)] == sorted(keys)[:k]
