"""Points that fill a unit cube evenly: Sobol sequences, scrambled or not.

Sobol, "On the distribution of points in a cube and the approximate evaluation of integrals", 1967. Direction numbers: Joe & Kuo,
"Constructing Sobol sequences with better two-dimensional projections", 2008 (their set new-joe-kuo-6). Scrambling by random
lower triangular matrices and a digital shift: Matousek, "On the L2-discrepancy for anchored boxes", 1998.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import get_default_dtype
from .facade.core import Tensor
from .facade.functions.creation import from_numpy
from .facade.functions.random import randint
from .facade.generator import Generator

__all__ = ["SobolEngine"]

#: for the dimensions after the first: the inner coefficients of the primitive polynomial as a binary number, and the first odd numbers m_1,
#: m_2, ... of the recurrence, as many as the polynomial's degree
_JOE_KUO = """
0:1 1:1,3 1:1,3,1 2:1,1,1 1:1,1,3,3 4:1,3,5,13 2:1,1,5,5,17 4:1,1,5,5,5 7:1,1,7,11,19 11:1,1,5,1,1 13:1,1,1,3,11 14:1,3,5,5,31
1:1,3,3,9,7,49 13:1,1,1,15,21,21 16:1,3,1,13,27,49 19:1,1,1,15,7,5 22:1,3,1,15,13,25 25:1,1,5,5,19,61 1:1,3,7,11,23,15,103
4:1,3,7,13,13,15,69 7:1,1,3,13,7,35,63 8:1,3,5,9,1,25,53 14:1,3,1,13,9,35,107 19:1,3,1,5,27,61,31 21:1,1,5,11,19,41,61
28:1,3,5,3,3,13,69 31:1,1,7,13,1,19,1 32:1,3,7,5,13,19,59 37:1,1,3,9,25,29,41 41:1,3,5,13,23,1,55 42:1,3,7,3,13,59,17
50:1,3,1,3,5,53,69 55:1,1,5,5,23,33,13 56:1,1,7,7,1,61,123 59:1,1,7,9,13,61,49 62:1,3,3,5,3,55,33 14:1,3,1,15,31,13,49,245
21:1,3,5,15,31,59,63,97 22:1,3,1,11,11,11,77,249 38:1,3,1,11,27,43,71,9 47:1,1,7,15,21,11,81,45 49:1,3,7,3,25,31,65,79
50:1,3,1,1,19,11,3,205 52:1,1,5,9,19,21,29,157 56:1,3,7,11,1,33,89,185 67:1,3,3,3,15,9,79,71 70:1,3,7,11,15,39,119,27
84:1,1,3,1,11,31,97,225 97:1,1,1,3,23,43,57,177 103:1,3,7,7,17,17,37,71 115:1,3,1,5,27,63,123,213 122:1,1,3,5,11,43,53,133
8:1,3,5,5,29,17,47,173,479 13:1,3,3,11,3,1,109,9,69 16:1,1,1,5,17,39,23,5,343 22:1,3,1,5,25,15,31,103,499
25:1,1,1,11,11,17,63,105,183 44:1,1,5,11,9,29,97,231,363 47:1,1,5,15,19,45,41,7,383 52:1,3,7,7,31,19,83,137,221
55:1,1,1,3,23,15,111,223,83 59:1,1,5,13,31,15,55,25,161 62:1,1,3,13,25,47,39,87,257 67:1,1,1,11,21,53,125,249,293
74:1,1,7,11,11,7,57,79,323 81:1,1,5,5,17,13,81,3,131 82:1,1,7,13,23,7,65,251,475 87:1,3,5,1,9,43,3,149,11
91:1,1,3,13,31,13,13,255,487 94:1,3,3,1,5,63,89,91,127 103:1,1,3,3,1,19,123,127,237 104:1,1,5,7,23,31,37,243,289
109:1,1,5,11,17,53,117,183,491 122:1,1,1,5,1,13,13,209,345 124:1,1,3,15,1,57,115,7,33 137:1,3,1,11,7,43,81,207,175
138:1,3,1,1,15,27,63,255,49 143:1,3,5,3,27,61,105,171,305 145:1,1,5,3,1,3,57,249,149 152:1,1,3,5,5,57,15,13,159
157:1,1,1,11,7,11,105,141,225 167:1,3,3,5,27,59,121,101,271 173:1,3,5,9,11,49,51,59,115 176:1,1,7,1,23,45,125,71,419
181:1,1,3,5,23,5,105,109,75 182:1,1,7,15,7,11,67,121,453 185:1,3,7,3,9,13,31,27,449 191:1,3,1,15,19,39,39,89,15
194:1,1,1,1,1,33,73,145,379 199:1,3,1,15,15,43,29,13,483 218:1,1,7,3,19,27,85,131,431 220:1,3,3,3,5,35,23,195,349
227:1,3,3,7,9,27,39,59,297 229:1,1,3,9,11,17,13,241,157 230:1,3,7,15,25,57,33,189,213 234:1,1,7,1,9,55,73,83,217
236:1,3,3,13,19,27,23,113,249 241:1,3,5,3,23,43,3,253,479 244:1,1,5,5,11,5,45,117,217 253:1,3,3,7,29,37,33,123,147
"""


def _direction_numbers(dimension: int, bits: int) -> np.ndarray[Any, Any]:
    """The direction numbers (dimension, bits) as integers of so many bits, the first bit after the point being the highest."""
    rows = [[1] * bits]
    for entry in _JOE_KUO.split()[: dimension - 1]:
        polynomial, _, first = entry.partition(":")
        a, m = int(polynomial), [int(n) for n in first.split(",")]
        s = len(m)
        for j in range(s, bits):
            n = m[j - s] ^ (m[j - s] << s)
            for k in range(1, s):
                n ^= ((a >> (s - 1 - k)) & 1) * (m[j - k] << k)
            m.append(n)
        rows.append(m[:bits])
    return np.array(rows, np.int64) << np.arange(bits - 1, -1, -1)


class SobolEngine:
    """Draws the points of a Sobol sequence in [0, 1)^`dimension`, one after another; the first is 0 unless the sequence is scrambled.

    `scramble` randomises the sequence, keeping its evenness, from `seed` or from the default generator. The numbers are PyTorch's.

    Raises:
        ValueError: more dimensions than there are direction numbers for, which is fewer than PyTorch's 21201.
    """

    MAXBIT = 30
    MAXDIM = 1 + len(_JOE_KUO.split())

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]")
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        self._state = _direction_numbers(dimension, self.MAXBIT)
        self._shift = np.zeros(dimension, np.int64)
        if scramble:
            self._scramble()
        self._point, self.num_generated = self._shift, 0

    def _scramble(self) -> None:
        generator = None if self.seed is None else Generator().manual_seed(self.seed)
        bits = self.MAXBIT

        def flips(*size: int) -> np.ndarray[Any, Any]:
            return randint(2, size, generator=generator).numpy()  # type: ignore[attr-defined, no-any-return]

        self._shift = flips(self.dimension, bits) @ (1 << np.arange(bits))
        matrices = np.tril(flips(self.dimension, bits, bits), -1) + np.eye(bits, dtype=np.int64)
        places = np.arange(bits - 1, -1, -1)
        digits = (self._state[:, :, None] >> places) & 1  # (dimension, direction number, bit from the highest)
        self._state = (np.einsum("dij,dnj->dni", matrices, digits) % 2) @ (1 << places)

    def draw(self, n: int = 1, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next `n` points: (n, dimension), of type `dtype` (the default type)."""
        d = get_default_dtype() if dtype is None else dtype
        points = self._advance(n)
        result = (from_numpy(points).to(d) * 2.0**-self.MAXBIT).to(d)  # type: ignore[attr-defined]
        return result if out is None else out.resize_as_(result).copy_(result)  # type: ignore[attr-defined, no-any-return]

    def _advance(self, n: int) -> np.ndarray[Any, Any]:
        """The next `n` points (n, dimension) as integers: each differs from the one before by one direction number, as a Gray code does."""
        counts = np.arange(max(self.num_generated, 1) - 1, self.num_generated + n - 1)
        zeros = ~counts
        lowest = np.log2((zeros & -zeros).astype(float)).astype(np.int64)
        points = np.bitwise_xor.accumulate(np.concatenate([self._point[None], self._state.T[lowest]]))
        points = points if self.num_generated == 0 else points[1:]
        self._point = points[-1] if len(points) else self._point
        self.num_generated += n
        return np.ascontiguousarray(points)

    def draw_base2(self, m: int, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next ``2**m`` points. Raises ValueError if that does not make a power of two in all, which evenness asks for."""
        total = self.num_generated + 2**m
        if total & (total - 1):
            raise ValueError(
                "The balance properties of Sobol' points require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: n={self.num_generated}+2**{m}={total}. "
                "If you still want to do this, please use 'SobolEngine.draw()' instead."
            )
        return self.draw(2**m, out, dtype)

    def fast_forward(self, n: int) -> SobolEngine:
        """Go `n` points on without drawing them."""
        self._advance(n)
        return self

    def reset(self) -> SobolEngine:
        """Begin with the first point again."""
        self._point, self.num_generated = self._shift, 0
        return self

    def __repr__(self) -> str:
        options = [
            f"dimension={self.dimension}",
            *(["scramble=True"] if self.scramble else []),
            *([] if self.seed is None else [f"seed={self.seed}"]),
        ]
        return f"{type(self).__name__}({', '.join(options)})"
