"""Values saved for gradients: by name, packed and unpacked by hooks."""

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")

from ..facade.compare import same, same_error  # noqa: E402
from .tensors import vector  # noqa: E402


def test_saved_values_by_name():
    def run(lib):
        a, b = vector(lib, 1, 2), vector(lib, 3, 4)
        product, power = a * b, a.exp()
        return [product.grad_fn._saved_self.tolist(), product.grad_fn._saved_other.tolist(), power.grad_fn._saved_result.tolist(),
                hasattr(power.grad_fn, "_saved_other")]  # fmt: skip

    same(run)


def test_saved_operands_are_the_tensors_themselves():
    def run(lib):
        x = vector(lib, 1, 2)
        y, z = x.pow(2), x.exp()
        w = z * y
        result = z.grad_fn._saved_result
        inner = (x * 2).sin().grad_fn._saved_self
        inner.sum().backward()
        ones = [y.grad_fn._saved_self is x, w.grad_fn._saved_self is z, w.grad_fn._saved_other is y, result is z]
        return ones, result.grad_fn == z.grad_fn, inner.tolist(), inner.grad_fn.name(), x.grad.tolist()

    same(run)


def test_saved_values_that_were_packed_are_unpacked_for_whoever_asks():
    def run(lib):
        asked, x = [], vector(lib, 1, 2)
        with lib.autograd.graph.saved_tensors_hooks(lambda t: t.detach() * 3, lambda t: asked.append(1) or t):
            y = x.pow(2)
        return [y.grad_fn._saved_self.tolist(), y.grad_fn._saved_self is x, len(asked)]

    same(run)


def test_saved_values_that_are_gone_are_refused():
    def freed(lib):
        y = vector(lib, 1, 2).pow(2)
        y.sum().backward()
        return y.grad_fn._saved_self

    def overwritten(lib):
        y = vector(lib, 1, 2).exp()
        step = y.grad_fn
        y.add_(1)
        return step._saved_result

    def wrong(lib):
        with lib.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: 3):
            y = vector(lib, 1, 2).pow(2)
        return y.grad_fn._saved_self

    for run in (freed, wrong):
        same_error(run)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        overwritten(ours)


def test_saved_values_are_packed_and_unpacked():
    def run(lib):
        log, a, b = [], vector(lib, 1, 2), vector(lib, 3, 4)

        def pack(x):
            log.append(["pack", x.tolist()])
            return x.detach() * 1

        def unpack(x):
            log.append(["unpack", x.tolist()])
            return x

        with lib.autograd.graph.saved_tensors_hooks(pack, unpack):
            y = a * b
            z = y.exp()
            w = z + 1
        packed = sorted(log)
        w.sum().backward()
        return packed, sorted(log[len(packed) :]), a.grad, b.grad

    same(run)


def test_what_unpack_returns_is_what_the_gradient_reads():
    def run(lib):
        a, b = vector(lib, 1, 2), vector(lib, 3, 4)
        with lib.autograd.graph.saved_tensors_hooks(lambda x: x * 2, lambda x: x):
            y = a * b
            z = y.tanh()
        z.sum().backward()
        return a.grad, b.grad

    same(run)


def test_saved_values_outside_of_tensors():
    def run(lib):
        lib.manual_seed(0)
        model = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.Tanh(), lib.nn.Linear(4, 1))
        kept = []

        def pack(t):
            kept.append(tuple(t.shape))
            return t.detach().numpy().copy()

        for _ in range(2):
            with lib.autograd.graph.saved_tensors_hooks(pack, lib.from_numpy):
                loss = model(lib.ones(2, 3)).sum()
            loss.backward()
        return len(kept), model[0].weight.grad, model[2].weight.grad

    same(run)


def test_blocks_of_hooks_nest():
    def run(lib):
        log, hooks, a = [], lib.autograd.graph.saved_tensors_hooks, vector(lib, 1, 2)

        def noting(name):
            return lambda x: (log.append(name), x)[1]

        with hooks(noting("outer"), lambda x: x):
            y = a * a
            with hooks(noting("inner"), lambda x: x):
                z = y.exp()
            w = z.tanh()
        w.sum().backward()
        return log, a.grad

    same(run)


def test_a_backward_pass_inside_the_block():
    def run(lib):
        log, a = [], vector(lib, 1, 2)
        with lib.autograd.graph.saved_tensors_hooks(lambda x: (log.append("pack"), x)[1], lambda x: (log.append("unpack"), x)[1]):
            (a * a).sum().backward()
            a.exp().sum().backward()
        return log, a.grad

    same(run)


def test_packed_values_may_be_overwritten():
    def run(lib):
        a = vector(lib, 1, 2)
        with lib.autograd.graph.saved_tensors_hooks(lambda x: x.detach().clone(), lambda x: x):
            y = a * 2
            z = y * y
        with lib.no_grad():
            y.zero_()
        z.sum().backward()
        return a.grad

    same(run)


def test_hooks_on_saved_values_may_be_disabled():
    def run(lib):
        with lib.autograd.graph.disable_saved_tensors_hooks("none here"), lib.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
            return 1

    same_error(run)


def test_saved_values_on_the_cpu_and_mutation_that_is_allowed():
    def run(lib):
        a = vector(lib, 1, 2)
        with lib.autograd.graph.save_on_cpu():
            y = a * a
        y.sum().backward()
        with lib.autograd.graph.allow_mutation_on_saved_tensors():
            b = a.clone()
            c = (b**2).sum()
            b.sin_()
            c.backward()
        x = lib.ones(2)
        lib.autograd.graph.increment_version(x)
        return a.grad, x._version

    same(run)


def test_saved_values_must_not_be_written_and_blocks_of_hooks_are_not_disabled_inside():
    def write(lib):
        with lib.autograd.graph.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t):
            vector(lib, 1, 2).exp()

    def disable(lib):
        with lib.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t), lib.autograd.graph.disable_saved_tensors_hooks("no"):
            pass

    def freed(lib):
        y = vector(lib, 1, 2).exp().sum()
        edge = lib.autograd.graph.get_gradient_edge(y)
        y.backward()
        lib.autograd.backward(edge)

    for run in (write, disable, freed):
        assert isinstance(same(run), RuntimeError)


def test_numbers_are_no_saved_tensors():
    def run(lib):
        x, seen = vector(lib, 1, 2), []
        with lib.autograd.graph.saved_tensors_hooks(lambda t: (seen.append(tuple(t.shape)), t)[1], lambda t: t):
            y = (x * 7.25).exp()
        y.sum().backward()
        return seen, x.grad

    same(run)
