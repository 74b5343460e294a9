"""Arguments that autograd.functional refuses, the shape of what it returns, and checks of functions that read their input elsewhere."""

import pytest

from tests.facade.compare import same, same_error

PRODUCTS = ["vhp", "hvp"]


def call(name, make, *more, **options):
    def run(lib):
        x = lib.arange(1.0, 3.0)
        return getattr(lib.autograd.functional, name)(make, x, *[lib.ones(n) if isinstance(n, int) else n for n in more], **options)

    return run


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_value_keeps_the_shape_the_function_gave_it(name):
    same(call(name, lambda x: (x * x).sum().reshape(1, 1), 2))


@pytest.mark.parametrize("name", [*PRODUCTS, "hessian"])
def test_a_hessian_is_one_of_a_single_tensor(name):
    more = (2,) if name in PRODUCTS else ()
    for make in (lambda x: (x.sum(),), lambda x: (x.sum(), x.sum()), lambda x: (x.sum(), 2), lambda x: 3, lambda x: x):
        same(call(name, make, *more))


@pytest.mark.parametrize("name", [*PRODUCTS, "hessian", "jacobian"])
def test_strict_names_what_depends_on_nothing(name):
    import re

    import torch

    import torchlike_asg as ours

    more = (2,) if name in PRODUCTS else ()
    for make in (lambda x: x.detach().sum(), lambda x: x.sum()) if name != "jacobian" else (lambda x: x.detach(),):
        with pytest.raises(RuntimeError) as want:
            call(name, make, *more, strict=True)(torch)
        with pytest.raises(RuntimeError, match=re.escape(str(want.value).split(".")[0])):
            call(name, make, *more, strict=True)(ours)


def test_vectors_of_other_sizes_are_refused_with_the_same_words():
    same_error(call("hvp", lambda x: x.sum(), (1, 2)))
    same_error(call("jvp", lambda x: x * 2, 3))
    same_error(call("vjp", lambda x: (x * 2,), 3))


def test_gradcheck_moves_the_input_itself():
    def run(lib):
        layer = lib.nn.utils.parametrizations.spectral_norm(lib.nn.Linear(3, 2, dtype=lib.float64)).eval()
        x, weight = lib.ones(1, 3, dtype=lib.float64), layer.parametrizations.weight.original
        before = weight.detach().clone()
        checked = lib.autograd.gradcheck(lambda _: layer(x), (weight,))
        return checked, bool((weight == before).all())

    same(run)


def test_handles_tell_where_their_hook_is():
    def run(lib):
        layer = lib.nn.Linear(2, 2)
        first, second = [layer.register_forward_hook(lambda *a: None, with_kwargs=True) for _ in range(2)]
        counts = [len(second.hooks_dict_ref()), len(second.extra_dict_ref)]
        first.remove()
        return counts[0], len(second.hooks_dict_ref())

    same(run)


def test_the_number_of_the_forward_mode_level():
    def run(lib):
        ad = lib.autograd.forward_ad
        with ad.dual_level():
            inside = ad._current_level
        return ad._current_level, inside

    same(run)


def test_what_a_right_inverse_may_return():
    def run(kind):
        def of(lib):
            class Inverse(lib.nn.Module):
                def forward(self, x):
                    return x

                def right_inverse(self, x):
                    return {"pair": lambda: (x, x), "type": lambda: x.bool(), "shape": lambda: x[:-1]}[kind]()

            layer = lib.nn.Linear(3, 3)
            lib.nn.utils.parametrize.register_parametrization(layer, "weight", lib.nn.Identity())
            lib.nn.utils.parametrize.register_parametrization(layer, "weight", Inverse())

        return of

    import torch

    import torchlike_asg as ours

    for kind, words in (("pair", "right_inverse must return a tensor"), ("type", "the same dtype"), ("shape", "the same shape")):
        for lib in (torch, ours):
            with pytest.raises(ValueError, match=words):
                run(kind)(lib)
