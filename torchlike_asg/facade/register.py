"""How a Python function becomes ``torch.f``, ``Tensor.f`` and ``Tensor.f_``: one registration."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from ..asg.node import Node
from ..asg.trace import current
from ..errors import HostMemoryError, Unsupported
from .autocast import POLICIES, REGIONS, by_policy, governed
from .core import Tensor, node_of
from .misfits import combination, final, misfit, several, told
from .overlaps import ALIKE, APART, LOOSE, PARTLY
from .overloads import earlier
from .parsing import elsewhere, numbers_of, parse, read_again
from .results import compute_in_type_of, deliver
from .spellings import spellings
from .unbound import unbind
from .write import write

#: every name of the torch namespace that this package's functions provide
FUNCTIONS: dict[str, Any] = {}

Function = Callable[..., Any]


def function(
    *, method: bool | str = True, inplace: bool = False, namespace: bool = True, aliases: tuple[str, ...] = (), name: str | None = None
) -> Callable[[Function], Function]:
    """Register ``f(input, ...)``.

    `method`: also ``Tensor.f`` (or under another name). `inplace`: also ``Tensor.f_``, which writes the result into the tensor.
    `aliases`: further names of the same function (and of its method and in-place form). A parameter ``out`` that the function
    itself ignores is handled here: the result is copied into it. So are the further keywords of `spellings`, NumPy's ``axis=`` among them.
    """

    def register(fn: Function) -> Function:
        public = name or fn.__name__.rstrip("_")
        offered = governed(_offered(fn, public), public)
        if method:
            bound = governed(_offered(fn, public, bound=True), public)
        for n in (public, *aliases):
            if namespace:
                FUNCTIONS[n] = offered
            if method:
                setattr(Tensor, method if isinstance(method, str) else n, bound)
            if inplace:
                written = _inplace(fn, n)
                setattr(Tensor, n + "_", written)
                if namespace:
                    FUNCTIONS[n + "_"] = written
        return bound if method and namespace else offered

    return register


def named(f: Any, name: str, doc: str) -> Any:
    """`f`, one of several made by the same code, under the name and with the docstring that it is published with."""
    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


def publish(functions: dict[str, Any], module: str) -> None:
    """Let each function say where it can be found again, as pickle asks: in `module`, if not where it was written."""
    for name, fn in functions.items():
        if isinstance(fn, FunctionType) and getattr(sys.modules.get(fn.__module__), fn.__qualname__, None) is not fn:
            fn.__module__, fn.__qualname__, fn.__name__ = module, name, name


def method(*names: str) -> Callable[[Function], Function]:
    """Register a Tensor method that is not a function of the torch namespace."""

    def register(fn: Function) -> Function:
        for n in names or (fn.__name__,):
            setattr(Tensor, n, _offered(fn, n, bound=True) if n.endswith("_") and not n.startswith("__") else fn)
        return fn

    return register


def _parameters(fn: Function) -> tuple[tuple[str, ...], bool]:
    """The names of the parameters of what `fn` wraps, and whether it takes any keyword."""
    code = inspect.unwrap(fn).__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], bool(code.co_flags & inspect.CO_VARKEYWORDS)


#: what steps are made of: a call of these looks at the types of its positional arguments only after it has failed, and at those of its
#: keywords once
_BUSY = frozenset(
    """abs adaptive_avg_pool2d add addmm argmax argmin baddbmm batch_norm bmm cat chunk clamp concat conv1d conv2d cos cumsum div
    dot embedding eq erf exp expand expand_as flatten full gather ge gelu gt index_add index_select layer_norm le linear log
    log_softmax logsumexp lt masked_fill matmul max maximum mean min minimum mm movedim mul multinomial ne neg norm ones
    ones_like outer permute pow rand randint randn relu repeat_interleave reshape rsqrt rsub scatter scatter_add select sigmoid
    sign sin softmax softplus split sqrt square squeeze stack std sub sum t tanh topk transpose tril triu unbind unfold unsqueeze
    var view where zeros zeros_like
    """.split()
)


class _Parser:
    """What is known of the arguments of a function: combinations of positional types, and types of keywords, that were seen to fit.

    A list is trusted if another one has fitted. `bound`: as a method, which takes no ``out=``.
    """

    def __init__(self, fn: Function, name: str, bound: bool, busy: bool) -> None:
        named, further = _parameters(fn)
        self.fn, self.name, self.bound, self.busy = fn, name, bound, busy
        self.takes_out = "out" in named
        self.known = spellings(name.removesuffix("_"), named, further)
        self.positions: set[tuple[type, ...]] = set()
        self.keywords: dict[str, set[type]] = {}

    def fit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments as the function takes them, keywords under the names of its parameters; what fits by its type is noted.

        Raises TypeError if an argument does not fit.
        """
        if self.bound and self.takes_out and "out" in kwargs:
            alone = len(_parameters(self.fn)[0]) == 2
            why = f"Tensor.{self.name}() takes no keyword arguments" if alone else f"{self.name}() got an unexpected keyword argument 'out'"
            raise TypeError(why)
        named = {self.known.get(k, k): v for k, v in kwargs.items()}
        found = earlier(self.name, args, 4 + self.busy + (self.name in POLICIES))
        if found is not None:
            return found[0], {**found[1], **named}
        try:
            read, meant = parse(self.fn, args, named, self.bound, self.name)
        except (TypeError, ValueError) as error:
            raise self.better(args, kwargs, error) from None
        if read is args and meant is named:
            self.positions.add((*map(type, args),))
            for k, v in kwargs.items():
                if k != "out" and k in meant:
                    self.keywords.setdefault(k, set()).add(type(v))
        return read, meant

    def better(self, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Exception:
        """What PyTorch would say where a call has raised `error`: first whether there is a place for each argument."""
        if told(error):
            return error
        named = {self.known.get(k, k): v for k, v in kwargs.items()}
        found = misfit(self.fn, self.name, args, named, self.bound, isinstance(error, ValueError))
        if found is not None:
            return found
        first = not self.bound and "argument 'input'" in str(error)  # what all signatures begin with
        if isinstance(error, TypeError) and several(self.name) and "argument" in str(error) and not first:
            return combination(self.name, args[self.bound :], kwargs, f": {error}")
        return final(error)


def _offered(fn: Function, name: str, bound: bool = False) -> Function:
    """`fn` as users call it: as a function, or (`bound`) as a method."""
    busy = name in _BUSY
    parser = _Parser(fn, name, bound, busy)
    if busy and bound and not parser.takes_out and not (parser.known.keys() - {"x", "a", "x1", "x2", "self"}):
        return fn
    takes_out, positions, keywords, fit = parser.takes_out, parser.positions, parser.keywords, parser.fit

    @functools.wraps(fn)
    def offered(*args: Any, **kwargs: Any) -> Any:
        try:
            if not (busy or (*map(type, args),) in positions):
                args, kwargs = fit(args, kwargs)
            elif not kwargs:
                return fn(*args)
            for k in kwargs:
                if kwargs[k].__class__ not in keywords.get(k, ()):
                    args, kwargs = fit(args, kwargs)
                    break
            else:
                return fn(*args, **kwargs)
            return into(args, kwargs) if takes_out and "out" in kwargs else fn(*args, **kwargs)
        except Exception as error:
            return again(args, kwargs, error)

    def again(args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Any:
        """A call that has failed, read again; it raises `error` if that changes nothing."""
        public = getattr(Tensor, name, offered) if bound else FUNCTIONS.get(name, offered)
        if not bound and unbind(inspect.unwrap(fn), args, kwargs):
            return public(*args[1:], **kwargs)
        if (result := elsewhere(fn, args, kwargs, public)) is not NotImplemented:
            return result
        try:
            if isinstance(error, HostMemoryError):
                fit(args, kwargs)  # numbers beyond 64 bits are none
            if isinstance(error, Unsupported | HostMemoryError) or told(error):
                raise error
            if isinstance(error, MemoryError):  # NumPy's
                raise HostMemoryError(f"DefaultCPUAllocator: can't allocate memory: {error}") from error
            try:
                read, meant = fit(args, kwargs)
            except TypeError as better:
                if str(better) == str(error):
                    raise error from None
                raise better from error
            if isinstance(error, TypeError) and (found := misfit(fn, name, read, meant, bound)) is not None:
                raise found from None
            if read is args and all(meant.get(k) is v for k, v in kwargs.items()):
                raise error
        finally:
            del error  # it knows this frame
        return into(read, meant) if takes_out and "out" in meant else fn(*read, **meant)

    def into(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = kwargs.pop("out")
        if out is None:
            return fn(*args, **kwargs)
        given, meant = compute_in_type_of(out, name, args, kwargs)
        return deliver(fn(*given, **meant), out, name, (*args, *kwargs.values()))

    return offered


#: further busy ones, of `nn.functional`
_BUSY_LAYERS = frozenset(
    """binary_cross_entropy binary_cross_entropy_with_logits celu cross_entropy elu group_norm hardsigmoid hardswish hardtanh l1_loss
    leaky_relu logsigmoid mish mse_loss nll_loss relu6 scaled_dot_product_attention selu silu smooth_l1_loss softsign
    """.split()
)


def _tensors_at(places: dict[str, int | None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a tensor is given for one of these parameters."""
    return any([isinstance(args[i] if i is not None and i < len(args) else kwargs.get(n), Tensor) for n, i in places.items()])


def checked(fn: Function, name: str = "") -> Function:
    """`fn`, a function of `nn.functional`, whose arguments are read as PyTorch's argument parser would: those of a busy one after it has
    failed, or where a number comes as a tensor, which has a gradient perhaps. It follows the policies of its name (its own by default) in
    autocast regions.

    There is one more call between a user's line and the function: its warnings count it (``stacklevel``).
    """
    name = name or fn.__name__
    busy = name in _BUSY or name in _BUSY_LAYERS
    policies = POLICIES.get(name)
    fitting: set[Any] = set()
    numeric = numbers_of(fn) if busy else {}
    first = min([i for i in numeric.values() if i is not None], default=0)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            if busy:
                if (kwargs or len(args) > first) and _tensors_at(numeric, args, kwargs):
                    args, kwargs = parse(fn, args, kwargs)
            elif (kinds := (*map(type, args), *kwargs, *map(type, kwargs.values()))) not in fitting:
                read, meant = parse(fn, args, kwargs)
                if read is args and meant is kwargs:
                    fitting.add(kinds)
                args, kwargs = read, meant
            if REGIONS and policies is not None:
                return by_policy(fn, policies, args, kwargs)
            return fn(*args, **kwargs)
        except Exception as error:
            return read_again(fn, args, kwargs, error, call)

    return call


def _inplace(fn: Function, name: str) -> Function:
    parser = _Parser(fn, name + "_", True, False)
    rules = {"partly": name in PARTLY, "fills": name in ALIKE, "apart": name in APART, "overlaps": name not in LOOSE}

    @functools.wraps(fn)
    def written(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        try:
            if kwargs or (type(self), *map(type, args)) not in parser.positions:
                (self, *args), kwargs = parser.fit((self, *args), kwargs)  # type: ignore[assignment]
            return apply_inplace(self, lambda cur: fn(cur, *args, **kwargs), [*args, *kwargs.values()], **rules)
        except TypeError as error:
            raise (told(error) and error) or misfit(fn, name + "_", (self, *args), kwargs, True) or error from None

    named(written, name + "_", f"In-place version of `{name}`.")
    return written


def apply_inplace(t: Tensor, fn: Callable[[Tensor], Tensor], others: Any = (), **rules: bool) -> Tensor:
    """Write ``fn(current value)`` into `t`, with the checks of every in-place operation (`rules` are arguments of `write`)."""

    def value(cur: Node) -> Node:
        held = bare(cur)
        result = fn(held)
        n = node_of(result)
        claims = current().claims
        claim = claims.get(n)
        if claim is not None and claim() is result:  # a helper of this write, not a result anybody holds
            del claims[n]
        return n

    return write(t, value, [o for o in others if isinstance(o, Tensor)], **rules)


def bare(n: Node) -> Tensor:
    """A tensor for a node inside a computation: it claims nothing and is not computed for its own sake."""
    t = object.__new__(Tensor)
    t._n, t._f = n, None
    return t
