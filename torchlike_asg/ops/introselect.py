"""Which of equal keys PyTorch's selections pick on the CPU, and in which order: `topk` selects by introselect (Musser, 1997) or, if few of
many are asked for, by a heap; `kthvalue` by the quickselect of "Numerical Recipes" (Press et al., 8.5). None keeps equals as they stood.
"""

from __future__ import annotations

from collections.abc import Sequence

from .introsort import Items, as_items, insertion, partition, pivot_first, sort

#: with fewer than one in so many elements asked for, a heap selects
SPARSE = 64


def first(keys: Sequence[int], k: int, ordered: bool) -> list[int]:
    """The places of the `k` smallest keys, as topk leaves them."""
    items = as_items(keys)
    if k * SPARSE <= len(items):
        heap_select(items, 0, k, len(items))
        sort_heap(items, 0, k)
    elif k:
        _select(items, k - 1)
        if ordered:
            sort(items, 0, k - 1, _heap_sort)
    return [i for _, i in items[:k]]


def _select(items: Items, nth: int) -> None:
    """Have the item that belongs at `nth` there, with none greater before it and none less behind it."""
    low, high = 0, len(items)
    depth = 2 * (high.bit_length() - 1)
    while high - low > 3:
        if depth == 0:
            heap_select(items, low, nth + 1, high)
            items[low], items[nth] = items[nth], items[low]
            return
        depth -= 1
        pivot_first(items, low, high)
        cut = partition(items, low, high)
        low, high = (cut, high) if cut <= nth else (low, cut)
    insertion(items, low, high)


def kth(keys: Sequence[int], k: int) -> int:
    """The place of the key that is number `k` (from 0) in order, as kthvalue finds it."""
    items = as_items(keys)
    low, high = 0, len(items) - 1

    def exchange(i: int, j: int) -> None:
        items[i], items[j] = items[j], items[i]

    def in_order(i: int, j: int) -> None:
        if items[i][0] > items[j][0]:
            exchange(i, j)

    while high > low + 1:
        exchange((low + high) // 2, low + 1)
        in_order(low + 1, high)
        in_order(low, high)
        in_order(low + 1, low)
        i, j, pivot = low + 1, high, items[low][0]
        while True:
            i += 1
            while pivot > items[i][0]:
                i += 1
            j -= 1
            while items[j][0] > pivot:
                j -= 1
            if j < i:
                break
            exchange(i, j)
        exchange(low, j)
        low, high = i if j <= k else low, j - 1 if j >= k else high
    if high == low + 1:
        in_order(low, high)
    return items[k][1]


# ---------------------------------------------------------------- heaps (Knuth, TAOCP 3, 5.2.3)
def heap_select(items: Items, low: int, middle: int, high: int) -> None:
    """Have the smallest items before `middle`, as a heap whose top is the largest of them."""
    n = middle - low
    for hole in range((n - 2) // 2, -1, -1):
        _sift(items, low, hole, n, items[low + hole])
    for i in range(middle, high):
        if items[i][0] < items[low][0]:
            item, items[i] = items[i], items[low]
            _sift(items, low, 0, n, item)


def sort_heap(items: Items, low: int, high: int) -> None:
    while high - low > 1:
        high -= 1
        item, items[high] = items[high], items[low]
        _sift(items, low, 0, high - low, item)


def _heap_sort(items: Items, low: int, high: int) -> None:
    heap_select(items, low, high, high)
    sort_heap(items, low, high)


def _sift(items: Items, low: int, hole: int, n: int, item: tuple[int, int]) -> None:
    """The hole goes down to a leaf, to the greater child each time, and the item from there up to its place."""
    top, child = hole, hole
    while child < (n - 1) // 2:
        child = 2 * child + 2
        if items[low + child][0] < items[low + child - 1][0]:
            child -= 1
        items[low + hole], hole = items[low + child], child
    if n % 2 == 0 and child == (n - 2) // 2:
        child = 2 * child + 1
        items[low + hole], hole = items[low + child], child
    while hole > top and items[low + (hole - 1) // 2][0] < item[0]:
        items[low + hole] = items[low + (hole - 1) // 2]
        hole = (hole - 1) // 2
    items[low + hole] = item
