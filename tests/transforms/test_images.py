from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.transforms import Compose, RandomCrop, RandomHorizontalFlip, RandomRotation90, RandomVerticalFlip, ToTensor
from torchlike_asg.utils.data import DataLoader

IMAGE = np.arange(24).reshape(2, 3, 4)


def test_to_tensor() -> None:
    pixels = np.array([[[0, 255], [51, 102]]], np.uint8)  # (H, W, C) = (1, 2, 2)
    result = ToTensor()(pixels)
    assert result.shape == (2, 1, 2) and result.dtype is ours.float32
    assert result.tolist() == [[[0.0, np.float32(51 / 255)]], [[1.0, np.float32(102 / 255)]]]
    assert ToTensor()(np.zeros((4, 5), np.uint8)).shape == (1, 4, 5)
    kept = ToTensor()(np.full((1, 1, 3), 300, np.int32))
    assert kept.dtype is ours.int32 and kept.tolist() == [[[300]]] * 3
    pixels[:] = 7
    assert result[1, 0, 0].item() == 1.0  # its memory is its own


def test_to_tensor_takes_what_offers_an_array() -> None:
    class Picture:
        def __init__(self) -> None:
            self.__array_interface__ = np.full((2, 2), 255, np.uint8).__array_interface__
            self.data = np.full((2, 2), 255, np.uint8)
            self.__array_interface__ = self.data.__array_interface__

    assert ToTensor()(Picture()).tolist() == [[[1, 1], [1, 1]]]


@pytest.mark.parametrize(
    ("image", "error"), [([[1]], TypeError), (ours.ones(2, 2), TypeError), (np.zeros(3), ValueError), (np.zeros((1, 1, 1, 1)), ValueError)]
)
def test_to_tensor_errors(image: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="pic should be"):
        ToTensor()(image)


@pytest.mark.parametrize(("kind", "axis"), [(RandomHorizontalFlip, 2), (RandomVerticalFlip, 1)])
def test_flips(kind: Any, axis: int) -> None:
    assert kind(1.0)(IMAGE).tolist() == np.flip(IMAGE, axis).tolist()
    assert kind(1.0)(ours.tensor(IMAGE)).tolist() == np.flip(IMAGE, axis).tolist()
    assert kind(0.0)(IMAGE).tolist() == IMAGE.tolist()
    ours.manual_seed(0)
    flipped = [kind()(IMAGE).tolist() != IMAGE.tolist() for _ in range(200)]
    ours.manual_seed(0)
    assert flipped == [ours.rand(1).item() < 0.5 for _ in range(200)]  # one draw of torchvision's each
    with pytest.raises(ValueError, match=r"p must lie in \[0, 1\]"):
        kind(1.5)
    with pytest.raises(ValueError, match="needs an image"):
        kind()(np.zeros(3))


def test_rotation_by_right_angles() -> None:
    ours.manual_seed(0)
    seen = Counter(str(RandomRotation90()(IMAGE[:, :3, :3]).tolist()) for _ in range(400))
    assert set(seen) == {str(np.rot90(IMAGE[:, :3, :3], k, (-2, -1)).tolist()) for k in range(4)}
    assert min(seen.values()) > 60
    ours.manual_seed(0)
    turns = int(ours.randint(0, 4, (1,)).item())
    ours.manual_seed(0)
    assert RandomRotation90()(ours.tensor(IMAGE)).tolist() == np.rot90(IMAGE, turns, (-2, -1)).tolist()


def test_crop_takes_every_place_with_torchvisions_draws() -> None:
    crop, places = RandomCrop(2), set()
    for seed in range(60):
        ours.manual_seed(seed)
        result = crop(IMAGE)
        ours.manual_seed(seed)
        top, left = int(ours.randint(0, 2, (1,)).item()), int(ours.randint(0, 3, (1,)).item())
        assert result.tolist() == IMAGE[:, top : top + 2, left : left + 2].tolist()
        places.add((top, left))
    assert len(places) == 6


def test_crop_of_the_whole_image_draws_nothing() -> None:
    before = ours.get_rng_state().tolist()
    assert RandomCrop((3, 4))(IMAGE).tolist() == IMAGE.tolist()
    assert ours.get_rng_state().tolist() == before


@pytest.mark.parametrize(
    ("padding", "widths"), [(1, ((1, 1), (1, 1))), ((2, 1), ((1, 1), (2, 2))), ((1, 2, 3, 0), ((2, 0), (1, 3)))], ids=["one", "two", "four"]
)
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_padding(padding: Any, widths: Any, mode: Any) -> None:
    want = np.pad(IMAGE, ((0, 0), *widths), mode=mode, **({"constant_values": 9} if mode == "constant" else {}))
    size = want.shape[-2], want.shape[-1]
    assert RandomCrop(size, padding, fill=9, padding_mode=mode)(IMAGE).tolist() == want.tolist()


def test_pad_if_needed() -> None:
    result = RandomCrop((5, 4), pad_if_needed=True)(np.ones((1, 3, 4)))
    assert result.shape == (1, 5, 4) and result.sum() <= 12
    with pytest.raises(ValueError, match=r"Required crop size \(5, 4\) is larger than input image size \(3, 4\)"):
        RandomCrop((5, 4))(IMAGE)


def test_crop_option_errors() -> None:
    for options in (
        {"size": (1, 2, 3)},
        {"size": 0},
        {"size": 2, "padding": (1, 2, 3)},
        {"size": 2, "padding": -1},
        {"size": 2, "padding_mode": "wrap"},
    ):
        with pytest.raises(ValueError):
            RandomCrop(**options)


def test_in_a_loader_every_pass_is_augmented_anew() -> None:
    class Pictures:
        augment = Compose([ToTensor(), RandomCrop(8, padding=2), RandomHorizontalFlip()])

        def __len__(self) -> int:
            return 16

        def __getitem__(self, index: int) -> Any:
            return self.augment(np.random.default_rng(index).integers(0, 256, (8, 8, 3), np.uint8)), index

    def passes() -> list[Any]:
        ours.manual_seed(3)
        loader = DataLoader(Pictures(), batch_size=16)
        return [next(iter(loader))[0] for _ in range(2)]

    first, second = passes()
    assert first.shape == (16, 3, 8, 8) and first.tolist() != second.tolist()
    assert [each.tolist() for each in passes()] == [first.tolist(), second.tolist()]
