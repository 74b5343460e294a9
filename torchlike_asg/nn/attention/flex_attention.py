"""``torch.nn.attention.flex_attention``: attention whose scores a function of the user's changes, and whose pairs another one permits.

Scores are computed whole, changed and masked, so memory is that of queries by keys; blocks that a mask leaves empty are not skipped.
Dong et al., "Flex Attention: A Programming Model for Generating Optimized Attention Kernels", 2024.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ... import dtypes
from ...autograd.vectorize import vmap
from ...facade.core import Tensor
from ...facade.register import FUNCTIONS
from ..functional import pad

__all__ = [
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]

#: ``mask_mod(batch, head, query, key) -> bool``, of 0-d integer tensors
MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
_DEFAULT_SPARSE_BLOCK_SIZE = 128


class AuxRequest(NamedTuple):
    """What `flex_attention` is to return beside its output."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """Logarithm of the sum of exponentials, and largest score, of every row (batch, heads, queries)."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """Every pair is permitted."""
    return FUNCTIONS["ones"]((), dtype=dtypes.bool_, device=batch.device)  # type: ignore[no-any-return]


def and_masks(*mask_mods: MaskMod) -> MaskMod:
    """Pairs that all of the functions permit."""
    return _combined(mask_mods, lambda a, b: a & b, True)


def or_masks(*mask_mods: MaskMod) -> MaskMod:
    """Pairs that at least one of the functions permits."""
    return _combined(mask_mods, lambda a, b: a | b, False)


def _combined(mask_mods: tuple[MaskMod, ...], combine: Callable[[Tensor, Tensor], Tensor], start: bool) -> MaskMod:
    if not all(callable(m) for m in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")

    def mask(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        found = FUNCTIONS["full"]((), start, dtype=dtypes.bool_, device=b.device)
        for m in mask_mods:
            found = combine(found, m(b, h, q, kv))
        return found  # type: ignore[no-any-return]

    return mask


def _everywhere(mod: Any, sizes: tuple[int, int, int, int], device: Any, score: Tensor | None = None) -> Tensor:
    """``mod([score,] batch, head, query, key)`` at every place of (batch, heads, queries, keys)."""
    lead = () if score is None else (score,)
    for place in (3, 2, 1, 0):
        mod = vmap(mod, in_dims=(*(0 for _ in lead), *(0 if d == place else None for d in range(4))))
    return mod(*lead, *[FUNCTIONS["arange"](n, device=device) for n in sizes])  # type: ignore[no-any-return]


def create_mask(mod_fn: Any, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None) -> Tensor:
    """The mask of a `mask_mod`, or the scores that a `score_mod` makes of zeros: (B or 1, H or 1, Q_LEN, KV_LEN)."""
    import inspect

    sizes = (B or 1, H or 1, Q_LEN, KV_LEN)
    count = sum(1 for p in inspect.signature(mod_fn).parameters.values() if p.default is p.empty)
    if count == 5:
        return _everywhere(mod_fn, sizes, device, FUNCTIONS["zeros"](sizes, device=device))
    if count != 4:
        raise AssertionError(f"mod_fn must be a mask_mod of four arguments or a score_mod of five, but {mod_fn} takes {count}")
    return _everywhere(mod_fn, sizes, device)


class BlockMask:
    """A `mask_mod`, and which blocks of queries and keys it leaves empty, partial or full.

    ``kv_num_blocks`` (B, H, rows of blocks): how many partial blocks of keys each block of queries sees; ``kv_indices``: which, in the
    first places of (B, H, rows, columns); ``full_kv_num_blocks`` and ``full_kv_indices`` the same of full ones.
    """

    def __init__(
        self,
        seq_lengths: tuple[int, int],
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None,
        BLOCK_SIZE: tuple[int, int] = (_DEFAULT_SPARSE_BLOCK_SIZE, _DEFAULT_SPARSE_BLOCK_SIZE),
        mask_mod: MaskMod = noop_mask,
    ) -> None:
        self.seq_lengths, self.BLOCK_SIZE, self.mask_mod = seq_lengths, BLOCK_SIZE, mask_mod
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices

    @classmethod
    def from_kv_blocks(
        cls,
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None,
        BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
        mask_mod: MaskMod | None = None,
        seq_lengths: tuple[int, int] | None = None,
    ) -> BlockMask:
        """From the blocks of keys that each block of queries sees."""
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        lengths = seq_lengths or (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        return cls(lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, size, mask_mod or noop_mask)

    @property
    def shape(self) -> tuple[int, ...]:
        """(batch, heads, queries, keys)."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """How many pairs the mask is about."""
        return math.prod(self.shape)

    def sparsity(self) -> float:
        """The share of empty blocks in all pairs, in percent."""
        counts = int(self.kv_num_blocks.sum())
        if self.full_kv_num_blocks is not None:
            counts += int(self.full_kv_num_blocks.sum())
        pairs = self.numel()
        return 100.0 * (1.0 - counts * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1] / pairs)

    def to_dense(self) -> Tensor:
        """For each block whether it is not empty, as 0 and 1: (batch, heads, rows of blocks, columns of blocks)."""
        dense = _placed(self.kv_num_blocks, self.kv_indices)
        if self.full_kv_num_blocks is not None and self.full_kv_indices is not None:
            dense = dense | _placed(self.full_kv_num_blocks, self.full_kv_indices)
        return dense

    def to(self, device: Any) -> BlockMask:
        """The same mask, its tables on a device."""
        moved = [None if t is None else t.to(device) for t in self._tables()]
        return BlockMask(self.seq_lengths, *moved, self.BLOCK_SIZE, self.mask_mod)  # type: ignore[arg-type]

    def _tables(self) -> tuple[Tensor | None, ...]:
        return self.kv_num_blocks, self.kv_indices, self.full_kv_num_blocks, self.full_kv_indices

    def __repr__(self) -> str:
        return (
            f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, mask_mod={getattr(self.mask_mod, '__name__', self.mask_mod)})"
        )


def _placed(counts: Tensor, indices: Tensor) -> Tensor:
    """0 and 1 for each block: whether it is among the first `counts` of `indices`."""
    columns = FUNCTIONS["arange"](indices.shape[-1], device=indices.device)
    listed = (columns < counts.unsqueeze(-1)).to(dtypes.int32)
    return FUNCTIONS["zeros_like"](indices).scatter(-1, indices.long(), listed)  # type: ignore[no-any-return]


def create_block_mask(
    mask_mod: MaskMod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
    _compile: bool = False,
    separate_full_blocks: bool = True,
) -> BlockMask:
    """The blocks of a mask. `B` and `H` may be None where it does not depend on batch or head; `BLOCK_SIZE` is that of (queries, keys)."""
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    rows, columns = -(-Q_LEN // size[0]), -(-KV_LEN // size[1])
    padded = pad(mask.to(dtypes.int32), (0, columns * size[1] - KV_LEN, 0, rows * size[0] - Q_LEN))
    counts = padded.reshape(*mask.shape[:2], rows, size[0], columns, size[1]).sum((3, 5))
    full = counts == size[0] * size[1] if separate_full_blocks else FUNCTIONS["zeros_like"](counts).to(dtypes.bool_)
    partial = (counts > 0) & ~full
    tables = [t for blocks in ([partial, full] if separate_full_blocks else [partial]) for t in _listed(blocks)]
    return BlockMask((Q_LEN, KV_LEN), *tables, BLOCK_SIZE=size, mask_mod=mask_mod)  # type: ignore[arg-type]


def _listed(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """How many of each row's blocks are set, and the columns with those first."""
    order = blocks.to(dtypes.int32).argsort(dim=-1, descending=True, stable=True)
    return blocks.sum(-1).to(dtypes.int32), order.to(dtypes.int32)


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Callable[..., Tensor] | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: dict[str, Any] | None = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Any:
    """Attention of queries (B, H, L, E) to keys (B, H, S, E) and values (B, H, S, Ev); with `enable_gqa` keys and values may have fewer
    heads, each for as many heads of queries.

    ``score_mod(score, batch, head, query, key)`` gives the score that takes the place of ``query @ key * scale`` (1 / sqrt(E)), of 0-d
    tensors; `block_mask` says which pairs count. A query that sees no key gives zeros. `kernel_options` change nothing.

    Returns the output (B, H, L, Ev), with `return_lse` also the rows' logarithms of sums, with `return_aux` what it asks for.
    """
    _check(query, key, value, enable_gqa)
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    working = query.dtype if query.dtype is dtypes.float64 else dtypes.float32
    scores = (query @ key.transpose(-2, -1)).to(working) * (query.shape[-1] ** -0.5 if scale is None else scale)
    sizes: tuple[int, int, int, int] = tuple(scores.shape)
    if score_mod is not None:
        scores = _everywhere(score_mod, sizes, query.device, scores).to(working)
    if block_mask is not None and block_mask.mask_mod is not noop_mask:
        if block_mask.shape[-2:] != sizes[2:]:
            raise ValueError(f"block_mask is for {block_mask.shape[-2:]} queries and keys, but there are {sizes[2:]}")
        scores = scores.masked_fill(~_everywhere(block_mask.mask_mod, sizes, query.device), -math.inf)
    largest = scores.amax(-1, keepdim=True)
    unseen = largest == -math.inf
    weights = (scores - largest.masked_fill(unseen, 0.0)).exp()
    total = weights.sum(-1, keepdim=True)
    output = (weights / total.masked_fill(unseen, 1.0)).to(query.dtype) @ value
    if not return_lse and return_aux is None:
        return output
    lse = (largest + total.log()).squeeze(-1)
    if return_lse:
        return output, lse
    assert return_aux is not None
    return output, AuxOutput(lse if return_aux.lse else None, largest.squeeze(-1) if return_aux.max_scores else None)


def _check(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> None:
    if not query.dim() == key.dim() == value.dim() == 4:
        raise NotImplementedError(f"NYI: query, key, and value must be 4D tensors, but have {query.dim()}, {key.dim()} and {value.dim()}")
    if not query.dtype is key.dtype is value.dtype:
        raise ValueError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {query.dtype}, key.dtype: {key.dtype}, "
            f"and value.dtype: {value.dtype} instead."
        )
    heads, others = query.shape[1], key.shape[1]
    if not enable_gqa and heads != others:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads but got Hq={heads} and Hkv={others}. "
            "Try setting enable_gqa=True for GQA."
        )
    if heads % others:
        raise ValueError(f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={heads} and Hkv={others}.")
