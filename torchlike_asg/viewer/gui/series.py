"""A curve as it is drawn: without what has no place on the axis, smoothed, and thinned to what a line of pixels shows. No Qt.

Points come by the thousand and stay; so whatever is made of them is made of the new ones only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: points that are drawn of a whole curve, at most
DRAWN = 2048


def thin(x: Floats, y: Floats, most: int = DRAWN) -> tuple[Floats, Floats]:
    """The smallest and the largest point of each stretch: what a line of that many pixels shows."""
    n = len(x)
    if n <= most:
        return x, y
    size = -(-2 * n // most)
    whole = n // size * size
    places = np.concatenate([_extremes(y[:whole], size), np.arange(whole, n)])
    return x[places], y[places]


def _extremes(y: Floats, size: int) -> NDArray[np.int64]:
    """Where the smallest and the largest value of each `size` values are, in order."""
    blocks = np.nan_to_num(y.reshape(-1, size), nan=0.0, posinf=0.0, neginf=0.0)
    at = np.arange(len(blocks)) * size
    return np.sort(np.concatenate([at + blocks.argmin(1), at + blocks.argmax(1)]))


class Smoothing:
    """The exponential moving average with the given weight of the past (0 to 1), corrected for its start, as Adam's moments are (Kingma
    and Ba, 2015). Values that are not finite are passed over: the average stays as it was."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._count, self._total, self._last = 0, 0.0, np.nan

    def __call__(self, values: Floats) -> Floats:
        """Of further values the averages."""
        weight = self._weight
        if weight <= 0 or not len(values):
            return values
        x = np.where(np.isfinite(values), values, np.nan)
        finite = np.isfinite(x)
        if not finite.all():
            first = np.maximum.accumulate(np.where(finite, np.arange(len(x)), -1))
            x = np.where(first >= 0, x[first], self._last)
            x = np.where(np.isnan(x), 0.0, x)  # before the first finite value
        self._last = float(x[-1])
        block = max(1, min(len(x), int(-250 / np.log(weight)) if weight < 1 else 1))
        out = np.empty_like(x)
        powers = weight ** np.arange(1, block + 1)
        for at in range(0, len(x), block):  # within a block as one cumulative sum of x / weight^i
            piece = x[at : at + block]
            p = powers[: len(piece)]
            sums = np.cumsum(piece * (1 - weight) / p) * p + self._total * p
            out[at : at + block] = sums
            self._total = float(sums[-1])
        self._count += len(x)
        return out / (1 - weight ** np.arange(self._count - len(x) + 1, self._count + 1))


def smoothed(values: Floats, weight: float) -> Floats:
    """`Smoothing` of a whole curve."""
    return Smoothing(weight)(values)


class Series:
    """The points of one line. `update` takes the curve as it has become; points that were there before are the same as then.

    ``x``, ``y``     all points; what is not drawn is NaN
    ``low``, ``high``  of the finite values, NaN if there are none
    ``made_of``      by what it was made, for its owner to see when it must be made anew
    """

    def __init__(self, weight: float = 0.0, positive: bool = False, made_of: object = None) -> None:
        """`weight` of the past in the smoothing; `positive`: leave out what has no logarithm."""
        self.made_of = made_of
        self.low = self.high = np.nan
        self.x = self.y = np.zeros(0)
        self._smoothing, self._smooth, self._positive = Smoothing(weight), weight > 0, positive
        self._values = np.empty(1024)
        self._ordered = True
        # of the thinned points: how many make two of them, how many were looked at, and the places of those that stay
        self._size, self._thinned = 1, 0
        self._places: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        return len(self.y)

    def update(self, x: Floats, y: Floats) -> None:
        """Take in the points that came since the last time."""
        done, n = len(self.y), len(y)
        while n > len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        if n > done:
            fresh = y[done:]
            known = np.isfinite(fresh) & (fresh > 0) if self._positive else np.isfinite(fresh)
            made = np.where(known, fresh, np.nan)
            if self._smooth:
                made = np.where(known, self._smoothing(made), np.nan)
            self._values[done:n] = made
            if known.any():
                self.low = float(np.fmin(self.low, np.nanmin(made)))
                self.high = float(np.fmax(self.high, np.nanmax(made)))
            from_ = max(done - 1, 0)
            self._ordered = self._ordered and bool((x[from_ + 1 : n] >= x[from_ : n - 1]).all())
        self.x, self.y = x, self._values[:n]

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest place on the axis."""
        if not len(self.x):
            return np.nan, np.nan
        return (float(self.x[0]), float(self.x[-1])) if self._ordered else (float(self.x.min()), float(self.x.max()))

    def whole(self, most: int = DRAWN) -> tuple[Floats, Floats]:
        """All of it, thinned."""
        n = len(self.y)
        if n <= most:
            return self.x, self.y
        size = 1 << (-(-2 * n // most) - 1).bit_length()
        if size != self._size:
            self._size, self._thinned, self._places = size, 0, []
        until = n // size * size
        if until > self._thinned:
            self._places.append(self._thinned + _extremes(self.y[self._thinned : until], size))
            self._thinned = until
            if len(self._places) > 64:
                self._places = [np.concatenate(self._places)]
        places = np.concatenate([*self._places, np.arange(until, n)])
        return self.x[places], self.y[places]

    def between(self, low: float, high: float, most: int = DRAWN) -> tuple[Floats, Floats]:
        """What lies between two places of the axis, with a point on either side, thinned."""
        first, last = self.ends
        if (low <= first and high >= last) or not self._ordered:
            return self.whole(most)
        begin, end = np.searchsorted(self.x, (low, high), "left")
        part = slice(max(int(begin) - 1, 0), int(end) + 1)
        return thin(self.x[part], self.y[part], most)
