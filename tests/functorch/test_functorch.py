"""``functorch``: modules as functions of their parameters, and mapping in parts, compared with PyTorch's package."""

import copy
import sys
import warnings

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from tests.facade.compare import equal, plain  # noqa: E402

warnings.filterwarnings("ignore", category=FutureWarning)


def _packages(T):
    """functorch and functorch.experimental of a library."""
    if T is ours:
        from torchlike_asg import functorch
        from torchlike_asg.functorch import experimental
    else:
        import functorch
        from functorch import experimental
    return functorch, experimental


def same(run):
    found = []
    for T in (torch, ours):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            T.manual_seed(0)
            try:
                found.append(plain(run(T, *_packages(T))))
            except (RuntimeError, ValueError) as error:
                found.append([type(error).__name__, str(error)])
    assert equal(*found, 1e-5, 1e-6), found


def test_parameters_come_first():
    def run(T, f, _):
        model = T.nn.Sequential(T.nn.Linear(3, 4), T.nn.Tanh(), T.nn.Linear(4, 3))
        call, params = f.make_functional(model)
        x = T.randn(2, 3)
        gradients = f.grad(lambda p: call(p, x).square().sum())(params)
        detached = f.make_functional(model, disable_autograd_tracking=True)[1]
        return [
            call(params, x), model(x), list(gradients), [p.requires_grad for p in (*params, *detached)], params[0] is model[0].weight,
            list(call.param_names), call(params, input=x), str(call.stateless_model[0].weight.device), type(params).__name__,
        ]  # fmt: skip

    same(run)


def test_shared_parameters_are_one():
    def run(T, f, _):
        model = T.nn.Sequential(T.nn.Linear(3, 3), T.nn.Linear(3, 3))
        model[1].weight = model[0].weight
        call, params = f.make_functional(model)
        return [len(params), call(params, T.ones(1, 3)), call(tuple(2 * p for p in params), T.ones(1, 3))]

    same(run)


def test_buffers():
    def run(T, f, _):
        model = T.nn.BatchNorm1d(3)
        call, params, buffers = f.make_functional_with_buffers(model)
        return [call(params, buffers, T.arange(6.0).reshape(2, 3)), list(buffers), model.running_mean, len(params)]

    same(run)
    same(lambda T, f, _: f.make_functional(T.nn.BatchNorm1d(3)))


def test_ensembles():
    def run(T, f, _):
        models = [T.nn.Sequential(T.nn.Linear(3, 2), T.nn.BatchNorm1d(2)).eval() for _ in range(4)]
        call, params, buffers = f.combine_state_for_ensemble(models)
        x = T.randn(5, 3)
        return [
            f.vmap(call, (0, 0, None))(params, buffers, x),
            T.stack([m(x) for m in models]),
            [p.requires_grad for p in params],
            list(params),
        ]

    same(run)
    same(lambda T, f, _: f.combine_state_for_ensemble([]))
    same(lambda T, f, _: f.combine_state_for_ensemble([T.nn.Linear(1, 1), T.nn.ReLU()]))
    same(lambda T, f, _: f.combine_state_for_ensemble([T.nn.ReLU(), T.nn.ReLU().eval()]))


def test_mapping_in_parts():
    def run(T, f, e):
        calls = []

        def counted(x):
            calls.append(1)
            return x.sum()

        found = [e.chunk_vmap(counted, chunks=c)(T.arange(16.0).reshape(8, 2)) for c in (1, 2, 3, 8, 20)]
        tree = e.chunk_vmap(lambda d, y: (d["a"] * y, d["b"]), in_dims=({"a": 0, "b": 1}, None), out_dims=(0, 1))
        return [found, len(calls), list(tree({"a": T.arange(5.0), "b": T.ones(2, 5)}, T.tensor(2.0)))]

    same(run)
    same(lambda T, f, e: e.chunk_vmap(lambda x: x, chunks=0)(T.ones(3)))


def test_imports_under_the_alias():
    known = copy.copy(sys.modules)
    for name in [n for n in sys.modules if n.partition(".")[0] in ("torch", "torchvision", "functorch")]:
        del sys.modules[name]
    try:
        ours.install_as_torch()
        import functorch.einops
        from functorch.experimental import chunk_vmap

        assert functorch.make_functional is _packages(ours)[0].make_functional and chunk_vmap is _packages(ours)[1].chunk_vmap
        assert functorch.einops.rearrange is ours.func.rearrange
    finally:
        ours.uninstall_as_torch()
        sys.modules.update(known)
