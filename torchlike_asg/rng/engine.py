"""The Mersenne Twister generator with the seeding, the cached normal and the state bytes of PyTorch's CPU generator."""

from __future__ import annotations

import ctypes
import operator
import os
import threading
import weakref
from typing import Any

import numpy as np

__all__ = ["DEFAULT_SEED", "STATE_BYTES", "Engine"]

Array = np.ndarray[Any, Any]

DEFAULT_SEED = 67280421310721  # of a generator nobody has seeded
STATE_WORDS = 624
STATE_BYTES = 5056

_LAYOUT = np.dtype(
    {
        "names": ["seed", "left", "seeded", "next", "key", "cached", "has_cached"],
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", STATE_WORDS), "<f8", "<i4"],
        "offsets": [0, 8, 12, 16, 24, 5024, 5040],
        "itemsize": STATE_BYTES,
    }
)


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _free_locks() -> None:
    """In a forked child, no thread is left that held an engine's lock, or that of NumPy's generator, which lets others run while it draws."""  # noqa: E501
    for engine in _engines:
        engine.lock = threading.RLock()
        engine._bits.lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_locks)


class Engine:
    """MT19937 (Matsumoto and Nishimura 1998), 32-bit words. Draws are serialised by `lock`; copying and pickling keep the position.

    The key and the position live in the state struct of a ``numpy.random.MT19937``, which makes words where the compiled
    kernels are not loaded; `address` is where those kernels find the struct.
    """

    __slots__ = ("__weakref__", "_bits", "_fresh", "_memory", "_seed", "_seeder", "address", "cached_normal", "lock")

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self._bits = np.random.MT19937(0)
        self._seeder = np.random.RandomState(self._bits)
        self.address: int = self._bits.ctypes.state_address
        #: key[624] and position of NumPy's struct, as one array of 625 words
        self._memory: Array = np.frombuffer((ctypes.c_uint32 * (STATE_WORDS + 1)).from_address(self.address), np.uint32)
        self.lock = threading.RLock()
        _engines.add(self)
        #: the second value of the last Box-Muller pair, if nobody has used it yet
        self.cached_normal: float | None = None
        _check_struct(self)
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Engine:
        """Restarts the stream. Seeds from -2^63 to 2^64 - 1 are taken modulo 2^64 and remembered; only the low 32 bits choose the stream.

        RuntimeError if `seed` is no integer, ValueError if it is out of range.
        """
        if type(seed) is not int:
            if isinstance(seed, bool) or not hasattr(seed, "__index__"):
                raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
            seed = operator.index(seed)
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        with self.lock:
            self._seed = seed & (2**64 - 1)
            self._seeder.seed(seed & (2**32 - 1))
            self._fresh = True
            self.cached_normal = None
        return self

    def seed(self) -> int:
        """Seeds from the operating system's entropy and returns the seed (53 bits, exact as a float)."""
        seed = int.from_bytes(os.urandom(8), "little") & (2**53 - 1)
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed last set, in [0, 2^64)."""
        return self._seed

    # -- words -----------------------------------------------------------------------------------------------------------------

    def words32(self, count: int) -> Array:
        """The next `count` words, uint32."""
        with self.lock:
            return self.raw_words(count).astype(np.uint32)

    def draws64(self, count: int) -> Array:
        """The next `count` 64-bit draws, uint64: two words each, the first one is the high half."""
        with self.lock:
            return self.raw_draws(count)

    def raw_words(self, count: int) -> Array:
        """The next words as uint64. For callers that hold `lock`."""
        if count:
            self._fresh = False
        return self._bits.random_raw(count)

    def raw_draws(self, count: int) -> Array:
        """The next 64-bit draws. For callers that hold `lock`."""
        words = self.raw_words(2 * count)
        return (words[0::2] << np.uint64(32)) | words[1::2]

    def kernel_address(self) -> int:
        """Where a compiled kernel finds key and position, for a draw of at least one word. For callers that hold `lock`."""
        self._fresh = False
        return self.address

    def snapshot(self) -> tuple[Array, bool, float | None]:
        """What :meth:`restore` needs to come back to this position. For callers that hold `lock`."""
        return self._memory.copy(), self._fresh, self.cached_normal

    def restore(self, snapshot: tuple[Array, bool, float | None]) -> None:
        """Goes to the position of a snapshot. For callers that hold `lock`."""
        self._memory[:], self._fresh, self.cached_normal = snapshot

    # -- state -----------------------------------------------------------------------------------------------------------------

    def get_state(self) -> Array:
        """The 5056 state bytes of PyTorch's CPU generator: uint8."""
        with self.lock:
            key, position = self._memory[:STATE_WORDS], int(self._memory[STATE_WORDS])
            state = np.zeros((), _LAYOUT)
            state["seed"] = self._seed
            # A generator just seeded has "one word left" of nothing; one that used up its words stands at position 624.
            state["left"], state["next"] = (1, 0) if self._fresh else (STATE_WORDS + 1 - position, position)
            state["seeded"] = 1
            state["key"] = key
            if self.cached_normal is not None:
                state["cached"], state["has_cached"] = self.cached_normal, 1
        return np.frombuffer(state.tobytes(), np.uint8).copy()

    def set_state(self, state: Any) -> Engine:
        """Takes the bytes that get_state (or PyTorch's) gave: a uint8 array of any shape, or bytes.

        TypeError if they are not bytes; RuntimeError if there are not 5056 of them or they describe no generator.
        """
        if isinstance(state, (bytes, bytearray, memoryview)):
            state = np.frombuffer(state, np.uint8)
        if not isinstance(state, np.ndarray) or state.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if state.size != STATE_BYTES:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE_BYTES} but found the input RNG state size to be {state.size}"
            )
        fields = np.frombuffer(state.tobytes(), _LAYOUT)[0]
        left, following = int(fields["left"]), int(fields["next"])
        fresh = left == 1 and following == 0
        if not fields["seeded"] or not (fresh or (1 <= left <= STATE_WORDS and left + following == STATE_WORDS + 1)):
            raise RuntimeError("Invalid mt19937 state")
        with self.lock:
            self._seed = int(fields["seed"])
            self._memory[:STATE_WORDS] = fields["key"]
            self._memory[STATE_WORDS] = STATE_WORDS if fresh else following
            self._fresh = fresh
            self.cached_normal = float(fields["cached"]) if fields["has_cached"] else None
        return self

    def copy(self) -> Engine:
        """An independent generator at the same position."""
        return Engine().set_state(self.get_state())

    def __copy__(self) -> Engine:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Engine:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_state, (self.get_state().tobytes(),)


def _from_state(state: bytes) -> Engine:
    return Engine().set_state(state)


_struct_checked = False


def _check_struct(engine: Engine) -> None:
    """NumPy documents that its state struct has an address, not what is in it: look once a process, before anything relies on it."""
    global _struct_checked
    if _struct_checked:
        return
    published = engine._bits.state["state"]
    if not np.array_equal(engine._memory[:STATE_WORDS], published["key"]) or engine._memory[STATE_WORDS] != published["pos"]:
        raise RuntimeError(f"NumPy {np.__version__} keeps the state of numpy.random.MT19937 in a form this package does not know")
    _struct_checked = True
