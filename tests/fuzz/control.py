"""Statements of random training scripts: what a script does around operations."""

import numpy as np

from .statements import statement


@statement(7)
def structure(s):
    """What a script does around operations: control flow, detach, no_grad, hooks, checkpoints, functions of its own, carried state."""
    r, a = s.random, s.floats(lambda t: t.numel() > 0)
    if a is None:
        return
    b = s.floats()
    t = s.sides[0].v[a]
    k = r.choice(
        "every_second branch_on_value loop detach no_grad checkpoint function hook carried vmap grad jvp jacobian "
        "inner_grad straight_through ema inference item buffer_list double numpy requires_grad_input functional_call hessian "
        "retain_grad custom_double while".split()
    )
    key = f"c{len(s.log)}"

    def run(side):
        x, y, lib = side.v[a], side.v[b], side.lib
        if k == "every_second":
            return x.tanh() * 2 if side.step % 2 else x * 0.5
        if k == "branch_on_value":
            return x + 1 if float(x.detach().sum()) > 0 else x - 1
        if k == "loop":
            h = x
            for j in range(2 + side.step % 3):
                h = h + 0.1 * (h.tanh() * (j + 1))
            return h
        if k == "while":
            h = x
            while h.detach().abs().max().item() > 0.5:
                h = h * 0.5
            return h
        if k == "detach":
            return x * y.detach().mean() + x.detach()
        if k == "no_grad":
            with lib.no_grad():
                w = (x.tanh() + y.mean()).sigmoid()
            return x * w
        if k == "checkpoint":
            return lib.utils.checkpoint.checkpoint(lambda q: (q.tanh() * q).sin(), x, use_reentrant=False)
        if k == "function":
            return cube(lib).apply(x, 0.5)
        if k == "custom_double":
            return cube(lib).apply(cube(lib).apply(x.tanh(), 1.0), 2.0)
        if k == "hook":
            z = x * 1.5
            if z.requires_grad:
                z.register_hook(lambda g: g * 0.5 + 0.01)
            return z
        if k == "retain_grad":
            z = x * 1.5
            if z.requires_grad:
                z.retain_grad()
            return z.sin()
        if k == "carried":
            old = side.carried.get(key)
            z = x.tanh() if old is None or side.step == 0 else x.tanh() + 0.5 * old
            side.carried[key] = z.detach() if side.step else z.detach().clone()
            return z
        if k == "ema":
            if key not in side.carried or side.step == 0:
                side.carried[key] = lib.zeros(x.shape, dtype=x.dtype, device=x.device)
            with lib.no_grad():
                side.carried[key].mul_(0.9).add_(x.detach(), alpha=0.1)
            return x - side.carried[key].clone()
        if k == "vmap":
            return lib.func.vmap(lambda q: (q * q.sum()).tanh() + q.sin())(x)
        if k == "grad":
            return lib.func.grad(lambda q: (q.sin() * q * q.tanh()).sum())(x)
        if k == "jvp":
            return lib.func.jvp(lambda q: q.sin() * q, (x,), (lib.ones_like(x),))[1]
        if k == "jacobian":
            return lib.func.jacrev(lambda q: q.tanh().cumsum(0))(x.flatten()[:4])
        if k == "hessian":
            return lib.func.hessian(lambda q: (q.sin() * q.sum()).sum())(x.flatten()[:3])
        if k == "inner_grad":
            z = x.detach().requires_grad_()
            (g,) = lib.autograd.grad((z.sin() * z).sum(), z, create_graph=True)
            return x * g.detach().mean() + g.detach()
        if k == "double":
            if not x.requires_grad:
                return x.tanh()
            (g,) = lib.autograd.grad((x.tanh() * x).sum(), x, create_graph=True)
            return g * 0.5
        if k == "straight_through":
            return x + (x.round() - x).detach()
        if k == "inference":
            with lib.inference_mode():
                c = float((x * 2).mean())
            return x * (1 if c > 0 else 2)
        if k == "item":
            return x * (x.detach().mean().item() + 1)
        if k == "buffer_list":
            z = []
            for j in range(3):
                z.append(x * (j + 1))
            return lib.stack(z).mean(0)
        if k == "numpy":
            return x + lib.from_numpy(np.tanh(x.detach().cpu().numpy())).to(x.device)
        if k == "requires_grad_input":
            z = (x.detach() * 1).requires_grad_()
            (z.tanh().sum() * 2).backward()
            return x * z.grad
        if k == "functional_call":
            if not side.modules:
                return x * 1
            name = next(iter(side.modules))
            m = side.modules[name]
            params = {n: p * 0.9 for n, p in m.named_parameters()}
            return x + sum(p.sum() for p in params.values()) * 0.01
        return x * 1

    s.add(f"{k}({a}, {b}) of {tuple(t.shape)}", run)


_CUBES = {}


def cube(lib):
    """A function of the script's own: c x^3, with its gradient written by hand."""
    if lib not in _CUBES:

        class Cube(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x, c):
                ctx.save_for_backward(x)
                ctx.c = c
                return x * x * x * c

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return 3 * ctx.c * x * x * g, None

        _CUBES[lib] = Cube
    return _CUBES[lib]
