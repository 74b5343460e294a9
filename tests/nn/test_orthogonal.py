"""nn.utils.parametrizations.orthogonal: the parameter stays orthogonal in training, and starts and moves as PyTorch's."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:no kernel for")


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)], ids=str)
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder", None])
def test_stays_orthogonal(shape, kind):
    layer = ours.nn.utils.parametrizations.orthogonal(ours.nn.Linear(shape[1], shape[0]), orthogonal_map=kind)
    before = layer.weight.detach().clone()
    optimizer = ours.optim.SGD(layer.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(ours.ones(1, shape[1])).sum().backward()
        optimizer.step()
    w = layer.weight if shape[0] >= shape[1] else layer.weight.mT
    assert (w.mT @ w - ours.eye(min(shape))).abs().max().item() < 1e-5
    assert (layer.weight - before).abs().max().item() > 1e-3


@pytest.mark.parametrize("kind", ["matrix_exp", "cayley"])
def test_from_an_orthogonal_matrix_as_in_pytorch(kind):
    def run(T):
        layer = T.nn.Linear(3, 3)
        with T.no_grad():
            layer.weight.copy_(T.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
        T.nn.utils.parametrizations.orthogonal(layer, orthogonal_map=kind)
        start = layer.weight.detach().clone()
        optimizer = T.optim.SGD(layer.parameters(), 0.1)
        layer(T.tensor([[1.0, 2.0, -1.0]])).pow(3).sum().backward()
        optimizer.step()
        return [start, layer.weight, sorted(layer.state_dict())]

    same(run)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)], ids=str)
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("trivial", [True, False])
def test_any_matrix_as_in_pytorch(shape, kind, trivial):
    """Where it starts, its gradient, and where that leads; without a base the matrix is taken as the parameter, or as reflections."""

    def run(T):
        T.manual_seed(0)  # a base is completed by random columns
        layer = T.nn.Linear(shape[1], shape[0], bias=False)
        with T.no_grad():
            layer.weight.copy_(T.arange(layer.weight.numel()).reshape(shape).pow(2).sin())
        T.nn.utils.parametrizations.orthogonal(layer, orthogonal_map=kind, use_trivialization=trivial)
        start, original = layer.weight.detach().clone(), layer.parametrizations.weight.original
        (start + layer.weight * T.arange(start.numel()).reshape(shape).cos()).sum().backward()
        with T.no_grad():
            original.sub_(original.grad, alpha=0.1)
        return [start, original.grad, layer.weight]

    same(run)


MISTAKES = {
    "a vector": lambda T: T.nn.utils.parametrizations.orthogonal(T.nn.Linear(2, 2), "bias"),
    "another map": lambda T: T.nn.utils.parametrizations.orthogonal(T.nn.Linear(2, 2), orthogonal_map="none"),
    "no parameter": lambda T: T.nn.utils.parametrizations.orthogonal(T.nn.Linear(2, 2), "other"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case):
    for T in (ours, torch):
        with pytest.raises(ValueError):
            MISTAKES[case](T)
