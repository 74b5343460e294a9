"""`func.jvp` with ``strict``."""

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


def test_outputs_that_depend_on_no_input_are_refused():
    for L in (torch, ours):
        x = L.ones(3)
        with pytest.raises(RuntimeError, match="The output of f is independent of the inputs"):
            L.func.jvp(lambda y: (y * 2, x), (x,), (x,), strict=True)  # noqa: B023
        assert L.func.jvp(lambda y: y * 2, (x,), (x,), strict=True)[1].tolist() == [2, 2, 2]
