"""Classes derived from Tensor beside PyTorch: of what class results are, and what their ``__torch_function__`` is asked."""

import io
import pickle
import re
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


def classes(T):
    X = type("X", (T.Tensor,), {})
    return X, type("Y", (X,), {})


CASES = {
    "operators": lambda T, x, y: (x + 1, 1 + x, x - x, 2 / x, x**2, -x, x > 1, x @ x, x // 2, T.ones(4) * x, x % 2, abs(x)),
    "subscripts": lambda T, x, y: (x[0], x[1:3], x[x > 1], x[None]),
    "methods": lambda T, x, y: (x.sum(), x.view(2, 2), x.clone(), x.detach(), x.float(), x.to(T.float64), x.new_zeros(2), x.cpu()),
    "several": lambda T, x, y: (*x.split(2), *x.unbind(), *x.max(0), x.max(0), *T.stack([x, x]).unbind(1)),
    "properties": lambda T, x, y: (x.data, x[None].T, x.real, x.grad, x.shape, x.dtype),
    "functions": lambda T, x, y: (T.add(x, 1), T.add(1, x), T.cat([x, x]), T.where(x > 1, x, x), T.zeros_like(x), T.sum(x), T.exp(input=x)),
    "further functions": lambda T, x, y: (T.nn.functional.relu(x), T.fft.fft(x), T.linalg.norm(x), T.special.expit(x)),
    "layers": lambda T, x, y: (T.nn.Linear(4, 2)(x), T.nn.Sequential(T.nn.Linear(4, 2), T.nn.ReLU())(x), T.nn.LayerNorm(4)(x)),
    "losses": lambda T, x, y: (T.nn.functional.cross_entropy(x, T.tensor(1)), T.nn.MSELoss()(x, T.ones(4))),
    "a subclass": lambda T, x, y: (x + y, y + x, T.add(x, y), T.cat([x, y])),
    "in place": lambda T, x, y: (x.clone().add_(1), x.mul_(2), x),
    "not asked": lambda T, x, y: (x.numpy(), x.tolist(), float(x[0]), len(x), x.size(), x.numel()),
    "plain": lambda T, x, y: (T.as_tensor(x), x.as_subclass(T.Tensor), T.ones(2) + T.ones(2), T.nn.Parameter(T.ones(2)) * 2),
    "iteration": lambda T, x, y: (*x, *reversed(x)),
}


def described(value):
    name = type(value).__name__
    return name, re.sub(r",\s+grad_fn=<\w+>", "", repr(value)) if name in ("X", "Y", "Tensor") else None


@pytest.mark.parametrize("name", CASES)
def test_results_have_pytorchs_classes(name):
    found = []
    for T in (torch, ours):
        X, Y = classes(T)
        T.manual_seed(0)
        found.append([described(v) for v in CASES[name](T, T.arange(4.0).as_subclass(X), T.ones(4).as_subclass(Y))])
    assert found[0] == found[1]


def test_gradients_flow_through():
    found = []
    for T in (torch, ours):
        X, _ = classes(T)
        w = T.ones(4, requires_grad=True)
        (w.as_subclass(X).exp() * T.arange(4.0)).sum().backward()
        x = T.ones(2).as_subclass(X).requires_grad_()
        (x * 3).sum().backward()
        found.append((w.grad.tolist(), type(w.grad).__name__, x.grad.tolist(), repr(x)))
    assert found[0] == found[1]


def test_what_torch_function_is_asked():
    found = []
    for T in (torch, ours):
        seen, known = [], {}

        class Named(T.Tensor):
            @staticmethod
            def __new__(cls, values, label=None, T=T):
                return T.as_tensor(values).as_subclass(cls)

            def __init__(self, values, label=None):
                self.label = label

            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None, seen=seen, known=known):
                seen.append((func.__name__, [t.__name__ for t in types]))
                if func in known:
                    return known[func](*args, **(kwargs or {}))
                result = super().__torch_function__(func, types, args, kwargs)
                if isinstance(result, cls) and not hasattr(result, "label"):
                    result.label = f"of {func.__name__}"
                return result

        known[T.mean] = lambda x: "mean"
        known[T.Tensor.add] = lambda x, y: "add"
        x = Named([1.0, 2.0], label="x")
        labels = (x.label, T.mean(x), x + 1, (x * 2).label, x.exp().label, T.stack([x, x]).label, (T.ones(2) - x).label)
        found.append((labels, seen))
    assert found[0] == found[1]


def test_classes_that_know_nothing_of_one_another():
    for T in (torch, ours):
        X, Z = type("X", (T.Tensor,), {}), type("Z", (T.Tensor,), {})
        with pytest.raises(TypeError):
            T.ones(2).as_subclass(X) + T.ones(2).as_subclass(Z)
        with pytest.raises(TypeError, match=r"Multiple dispatch failed for 'torch\.add'"):
            T.add(T.ones(2).as_subclass(X), T.ones(2).as_subclass(Z))


@pytest.mark.parametrize("T", [torch, ours], ids=["torch", "ours"])
def test_it_can_be_switched_off(T):
    X, _ = classes(T)
    x = T.ones(2).as_subclass(X)
    with T._C.DisableTorchFunctionSubclass():
        assert type(x + 1) is T.Tensor
    quiet = type("Quiet", (T.Tensor,), {"__torch_function__": T._C._disabled_torch_function_impl})
    y = T.ones(2).as_subclass(quiet)
    assert type(y + 1) is T.Tensor and type(T.exp(y)) is T.Tensor and type(T.nn.Parameter(y.data) + 1) is T.Tensor
    assert T.overrides.has_torch_function((x,)) and not T.overrides.has_torch_function((T.ones(1),))


def test_functions_are_found_by_their_names_in_files():
    classes(ours)
    for function in (ours.nn.functional.relu, ours.add, ours.linalg.norm, ours.tensor):
        assert pickle.loads(pickle.dumps(function)) is function
    model = ours.nn.TransformerEncoderLayer(4, 1, activation=ours.nn.functional.relu)  # which keeps the function
    file = io.BytesIO()
    ours.save(model, file)
    file.seek(0)
    assert ours.load(file, weights_only=False).activation is ours.nn.functional.relu


def test_as_subclass_is_a_view():
    for T in (torch, ours):
        X, _ = classes(T)
        x = T.ones(2, requires_grad=True)
        y = (x * 2).as_subclass(X)
        assert [type(t.grad_fn).__name__ for t in (y, x.as_subclass(X), y + 1)][:2] == ["AliasBackward0"] * 2
        assert type(y) is X and y._is_view()
        y.exp().sum().backward()
        plain = T.zeros(2)
        plain.as_subclass(X)[0] = 5
        assert plain.tolist() == [5, 0] and type(x.grad) is T.Tensor


def test_functions_imported_before_the_first_class_was_derived():
    """In a process of its own: what holds a function, by name or in a table, has the one that asks."""
    script = """
import inspect, pickle
import torchlike_asg as T
relu, cat, cross_entropy, tensor = T.relu, T.cat, T.nn.functional.cross_entropy, T.tensor
table = {T.add: "add", T.Tensor.add: "method", T.nn.functional.gelu: "gelu", T.linalg.vector_norm: "norm"}
kept = [pickle.dumps(f) for f in (relu, cat, cross_entropy, tensor)]
asked = []

class X(T.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        asked.append(table.get(function, function is relu))
        return super().__torch_function__(function, types, args, kwargs or {})

x = T.ones(2, 2).as_subclass(X)
print([type(r).__name__ for r in (relu(x), cat([x, x]), cross_entropy(x, tensor([0, 1])), tensor(x.tolist()), relu(T.ones(2)))])
T.add(x, 1), x.add(1), T.nn.functional.gelu(input=x), T.linalg.vector_norm(x)
print(asked)
assert relu is T.relu and relu.__name__ == "relu" and [*inspect.signature(cross_entropy).parameters][:2] == ["input", "target"]
for k, f in zip(kept, (relu, cat, cross_entropy, tensor)):
    assert pickle.loads(k) is pickle.loads(pickle.dumps(f)) is f
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [  # PyTorch prints the same
        "['X', 'X', 'X', 'Tensor', 'Tensor']",
        "[True, False, False, False, 'add', 'method', 'gelu', 'norm']",
    ]
