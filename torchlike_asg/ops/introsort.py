"""The order in which PyTorch's unstable sort leaves equal keys: that of introsort, which does not keep them as they stood.

Which of two equal elements comes first changes what is picked at their positions, and for sequences of one length the order in which
masks of dropout are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

#: keys with their places
Items = list[tuple[int, int]]
SMALL = 16  # parts up to here are left to the insertion sort at the end, which is stable


def descending(keys: Sequence[int]) -> list[int]:
    """The places of `keys` from the largest to the smallest."""
    return ascending([-k for k in keys])


def ascending(keys: Sequence[int]) -> list[int]:
    """The places of `keys` from the smallest to the largest. Musser (1997), "Introspective sorting and selection algorithms"."""
    items = as_items(keys)
    if not sort(items, 0, len(items)):  # no order of numbers was seen to lead here
        return sorted(range(len(keys)), key=keys.__getitem__)
    return [i for _, i in items]


def as_items(keys: Sequence[int]) -> Items:
    return [(k, i) for i, k in enumerate(keys)]


def sort(items: Items, low: int, high: int, lopsided: Callable[[Items, int, int], None] | None = None) -> bool:
    """Sort a part of the items. What is so lopsided that PyTorch turns to a heap is left to `lopsided`; without it the answer is False.

    The pivot is the median of the second, the middle and the last key; of what it divides the right part is sorted first.
    """
    parts = [(low, high, 2 * ((high - low).bit_length() - 1))]
    while parts:
        first, last, depth = parts.pop()
        if last - first <= SMALL:
            continue
        if depth == 0:
            if lopsided is None:
                return False
            lopsided(items, first, last)
            continue
        pivot_first(items, first, last)
        cut = partition(items, first, last)
        parts += [(first, cut, depth - 1), (cut, last, depth - 1)]
    insertion(items, low, high)
    return True


def insertion(items: Items, low: int, high: int) -> None:
    """Each item moves down past larger ones; at once to the front if it belongs before the first, which only a NaN on the way tells."""
    for i in range(low + 1, high):
        item, j = items[i], i
        if i < low + SMALL and item[0] < items[low][0]:
            items[low + 1 : i + 1] = items[low:i]
            items[low] = item
            continue
        while j > low and item[0] < items[j - 1][0]:
            items[j] = items[j - 1]
            j -= 1
        items[j] = item


def pivot_first(items: Items, first: int, last: int) -> None:
    """Exchange the first item with the median of three; of equal ones the later candidate is taken."""
    x, y, z = first + 1, first + (last - first) // 2, last - 1
    a, b, c = items[x][0], items[y][0], items[z][0]
    if a < b:
        at = y if b < c else z if a < c else x
    else:
        at = x if a < c else z if b < c else y
    items[first], items[at] = items[at], items[first]


def partition(items: Items, first: int, last: int) -> int:
    """Items that belong on the other side of the pivot (at `first`) are exchanged, equal ones too; where the right side begins."""
    pivot, left, right = items[first][0], first + 1, last
    while True:
        while left < len(items) and items[left][0] < pivot:  # with NaN there may be none to stop at
            left += 1
        right -= 1
        while pivot < items[right][0]:
            right -= 1
        if left >= right:
            return left
        items[left], items[right] = items[right], items[left]
        left += 1
