"""Settings of warnings that PyTorch does not give any more."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


def settings(lib):
    seen = []
    for name in ("broadcast_warning", "keepdim_warning"):
        warning = getattr(lib.utils.backcompat, name)
        before = warning.enabled
        try:
            warning.enabled = True
            (lib.ones(4, 1) + lib.ones(4)).sum(0)  # a warning would be an error here
            seen += [before, warning.enabled, warning.get_enabled()]
            with pytest.raises(RuntimeError, match="expects a bool") as refused:
                warning.enabled = 1
            seen.append(str(refused.value))
        finally:
            warning.set_enabled(before)
        seen.append(warning.enabled)
    return seen


@pytest.mark.filterwarnings("error")
def test_settings_are_remembered_and_warn_of_nothing():
    assert settings(ours) == settings(torch)
