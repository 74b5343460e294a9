"""``torch.func.rearrange``, compared with PyTorch's."""

import pytest

torch = pytest.importorskip("torch")

from tests.facade.compare import same  # noqa: E402

PATTERNS = [
    ("a b c -> c b a", {}),
    ("a b (c d) -> (a d) b c", {"c": 2}),
    ("(x a) b c -> x a b c", {"x": 2}),
    ("... c -> c ...", {}),
    ("a ... -> (... a)", {}),
    ("a ... -> (...) a", {}),
    ("a b c -> a 1 () (b c)", {}),
    ("A b1 c_2 -> c_2 A b1", {}),
    ("a b c ... -> ... b c a", {}),
    ("a b c -> a c", {}),
    ("a b c -> a b c d", {}),
    ("a a c -> a c", {}),
    ("a b -> b a", {}),
    ("a b c -> a b c", {"z": 3}),
    ("_ b c -> b c _", {}),
    ("a b c -> a b c 2", {}),
    ("a b c -> ((a b)) c", {}),
    ("a b c -> (a b c", {}),
    ("a b c -> a) b c", {}),
    ("a (...) -> (...) a", {}),
    ("a b c -> a b ... c", {}),
    ("... a ... -> a", {}),
    ("a b c", {}),
    ("a-b c -> c", {}),
]


@pytest.mark.parametrize(("pattern", "sizes"), PATTERNS, ids=[p for p, _ in PATTERNS])
def test_patterns(pattern, sizes):
    same(lambda T: T.func.rearrange(T.arange(24.0).reshape(2, 3, 4), pattern, **sizes))


def test_several_tensors_views_and_gradients():
    def run(T):
        x = T.arange(6.0).reshape(2, 3).requires_grad_()
        y = T.func.rearrange(x, "a b -> b a")
        (T.func.rearrange([x, x * 2], "n a b -> (a n) b") * T.arange(12.0).reshape(4, 3)).sum().backward()
        z = T.zeros(2, 3)
        T.func.rearrange(z, "a b -> b a")[0] = 5.0
        return [y, x.grad, z, T.func.rearrange(T.tensor(3.0), "->"), T.func.rearrange(T.ones(0, 4), "a (b c) -> (a b) c", b=2)]

    same(run)


@pytest.mark.parametrize("sizes", [{}, {"c": 3}, {"c": 2, "d": 3}])
def test_sizes_that_do_not_fit(sizes):
    import torchlike_asg as ours

    with pytest.raises(ValueError, match="dimension"):
        ours.func.rearrange(ours.ones(2, 3, 4), "a b (c d) -> a b c d", **sizes)
