"""Generators decorated with a grad mode: what is sent to them, thrown into them, and their end, in that mode."""

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")


class Recoverable(Exception):
    pass


def steps(L, log):
    for i in range(4):
        try:
            log.append(L.is_grad_enabled())
            log.append((yield i))
        except Recoverable:
            log.append(("thrown", L.is_grad_enabled()))
        except GeneratorExit:
            log.append(("closed", L.is_grad_enabled()))
            raise
    return "done"


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_what_is_sent_and_thrown_arrives(mode):
    found = []
    for L in (torch, ours):
        log = []
        running = getattr(L, mode)()(steps)(L, log)
        got = [next(running), running.send(5), running.throw(Recoverable()), L.is_grad_enabled()]
        running.close()
        left = getattr(L, mode)()(steps)(L, log)
        next(left)
        del left
        failing = getattr(L, mode)()(steps)(L, log)
        next(failing)
        with pytest.raises(ValueError, match="through"):
            failing.throw(ValueError("through"))
        found.append((got, log))
    assert found[0] == found[1]
    assert ("closed", False) in found[1][1] and ("thrown", False) in found[1][1]


def test_a_decorated_generator_returns_its_value():
    def outer():
        log.append((yield from ours.no_grad()(steps)(ours, [])))

    log = []
    assert list(outer()) == [0, 1, 2, 3] and log == ["done"]
