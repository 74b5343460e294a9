"""Padding, unfolding and rearranged channels against PyTorch."""

import pytest

import torchlike_asg as ours

from .compare import same
from .parity import agree, agree_twice, normal, refuses, torch

WIDTHS = [
    ((1, 2), (2, 3, 4)),
    ((3, 2, 1, 0), (2, 3, 4, 5)),
    ((-1, 2, 1, 0), (2, 3, 4, 5)),
    ((1, 2, 1, 1, 2, 0), (1, 2, 3, 4, 5)),
    ((1, 0), (3, 4)),
]


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("widths,shape", WIDTHS, ids=str)
def test_modes(mode, widths, shape):
    agree("pad", normal(*shape), widths, mode=mode)
    agree_twice(lambda lib: lambda x: lib.nn.functional.pad(x * x, widths, mode), normal(*shape))


def test_constant():
    agree("pad", normal(2, 3), (1, 1), value=2.5)
    agree("pad", normal(2, 3), (-1, -1, 3, -1))
    agree("pad", normal(3), (0, 0))
    refuses("pad", normal(3), (-5, 5))
    same(lambda lib: lib.nn.functional.pad(lib.tensor([1, 2]), (1, 1), value=2.5))
    same(lambda lib: lib.nn.functional.pad(lib.tensor([True, False]), (1, 1), value=1))
    same(lambda lib: lib.nn.functional.pad(lib.tensor(normal(2, 3)).half(), (1, 1), value=0.1))


def test_errors():
    refuses("pad", normal(1, 1, 4), (4, 4), mode="reflect")
    refuses("pad", normal(1, 1, 4), (5, 4), mode="circular")
    refuses("pad", normal(1, 1, 4), (1, 1), mode="mirror")
    refuses("pad", normal(1, 1, 4), (1, 1, 1))
    refuses("pad", normal(1, 1, 4), (1,) * 10)
    refuses("pad", normal(4, 4), (1, 1, 1, 1), mode="reflect")
    refuses("pad", normal(1, 1, 4), (1, 1), mode="reflect", value=2.0)


class TestFold:
    @pytest.mark.parametrize("arguments", [{}, {"padding": 1, "stride": 2}, {"dilation": (2, 1), "padding": (0, 2)}])
    def test_unfold(self, arguments):
        agree("unfold", normal(2, 3, 7, 8), (2, 3), **arguments)
        agree("unfold", normal(3, 7, 8), 2, **arguments)
        agree_twice(lambda lib: lambda x: lib.nn.functional.unfold(x * x, 2, **arguments), normal(2, 3, 7, 8))

    def test_fold(self):
        agree("fold", normal(2, 12, 9), (4, 4), 2)
        agree("fold", normal(12, 9), (4, 4), 2)
        agree("fold", normal(2, 12, 9), (6, 6), 2, stride=2)
        agree("fold", normal(2, 12, 4), (5, 4), (2, 3), padding=(0, 1), stride=(2, 2))
        agree_twice(lambda lib: lambda x: lib.nn.functional.fold(x * x, (4, 4), 2), normal(2, 12, 9))

    def test_fold_of_unfold_counts_the_overlaps(self):
        def run(lib):
            f = lib.nn.functional
            return f.fold(f.unfold(lib.ones(1, 1, 4, 5), 2), (4, 5), 2)

        same(run)

    def test_errors(self):
        refuses("fold", normal(2, 13, 9), (4, 4), 2)
        refuses("fold", normal(2, 12, 8), (4, 4), 2)


class TestChannels:
    @pytest.mark.parametrize("name", ["pixel_shuffle", "pixel_unshuffle"])
    def test_a_factor_of_one_copies(self, name):
        for lib in (torch, ours):
            x = lib.ones(1, 4, 2, 2)
            y = getattr(lib.nn.functional, name)(x, 1)
            z = x[0, 0, 0, 0].sum_to_size(())
            x.add_(1)
            assert y.tolist() == lib.ones(1, 4, 2, 2).tolist() and z.item() == 1

    def test_pixel_shuffle(self):
        agree("pixel_shuffle", normal(2, 12, 3, 4), 2)
        agree("pixel_shuffle", normal(9, 3, 4), 3)
        agree("pixel_unshuffle", normal(2, 3, 4, 6), 2)

    def test_channel_shuffle(self):
        agree("channel_shuffle", normal(2, 6, 3), 2)
        agree("channel_shuffle", normal(2, 6, 3, 4), 3)
        same(lambda lib: lib.channel_shuffle(lib.tensor(normal(2, 6, 3)), 3))

    def test_errors(self):
        refuses("pixel_shuffle", normal(2, 10, 3, 4), 2)
        refuses("pixel_shuffle", normal(3, 4), 2)
        refuses("pixel_unshuffle", normal(2, 3, 4, 5), 2)
        refuses("channel_shuffle", normal(2, 5, 3), 2)
        refuses("channel_shuffle", normal(2, 6), 2)
