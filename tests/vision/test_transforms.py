"""Transforms give torchvision's images, and draw its random numbers under the same seed. `golden.json` holds torchvision 0.28's results."""

import json

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.vision import transforms as T
from torchlike_asg.vision.transforms import functional as F
from torchlike_asg.vision.transforms import v2

from .cases import CASES, GOLDEN, KINDS, run

WANTED = json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_the_result_is_torchvisions(case, kind):
    if kind == "picture" or "PIL" in case:
        pytest.importorskip("PIL")
    found, wanted = run(case, kind, torch, T), WANTED[case][kind]
    if isinstance(wanted, str):
        assert found == wanted
        return
    assert [f[:2] for f in found] == [w[:2] for w in wanted]
    for (dtype, _, mine), (_, _, theirs) in zip(found, wanted, strict=True):
        # a byte may be rounded the other way where a float32 sum lies between two of them; hue and gain stretch that
        tolerance = 3e-5 if dtype == "float32" else 2
        assert np.abs(np.array(mine) - np.array(theirs)).max() <= tolerance
        assert np.mean(np.array(mine) != np.array(theirs)) < (1 if dtype == "float32" else 0.3)


def test_every_case_but_its_own_kind_of_error_has_results():
    results = [result for case in WANTED.values() for result in case.values()]
    assert sum(isinstance(result, list) for result in results) > 0.8 * len(results)


def test_transforms_take_gradients():
    image = torch.rand(3, 8, 8, requires_grad=True)
    F.resize(F.normalize(F.hflip(image), [0.5] * 3, [0.5] * 3), [4, 4]).sum().backward()
    assert image.grad.sum().item() == pytest.approx(4 * 4 * 3 * 2.0, rel=1e-5)


def test_transforms_leave_what_is_pending_alone():
    """A sample prepared in the middle of a step joins no graph: the step keeps its plan whatever the sample's geometry."""
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    prepare = T.Compose([T.RandomCrop(6), T.RandomHorizontalFlip(), T.Normalize((0.5,), (0.5,)), T.RandomErasing(0.9)])
    image = torch.rand(1, 9, 9)

    def step():
        loss = model(torch.ones(2, 4)).square().sum()
        samples = [prepare(image) for _ in range(6)]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return torch.stack(samples).mean().item()

    for _ in range(4):
        step()
    before = torch.asg.stats()
    for _ in range(6):
        step()
    after = torch.asg.stats()
    assert (after["nodes"], after["plans"]) == (before["nodes"], before["plans"])


def test_results_do_not_share_memory_with_the_sample():
    image = torch.rand(3, 6, 6)
    kept = image.clone()
    for change in (F.hflip, lambda x: F.crop(x, 0, 0, 6, 6), lambda x: F.erase(x, 0, 0, 2, 2, 9.0)):
        change(image).fill_(7.0)
    assert torch.equal(image, kept)
    F.normalize(image, [0.5], [0.5], inplace=True)
    assert torch.allclose(image, (kept - 0.5) / 0.5)


def test_arrays_become_tensors():
    values = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    tensor = T.ToTensor()(values)
    assert tensor.shape == (3, 2, 4) and tensor.dtype is torch.float32
    assert tensor[1, 0, 2].item() == np.float32(7) / np.float32(255)
    assert T.ToTensor()(values.astype(np.float64)).dtype is torch.float64
    with pytest.raises(ValueError, match="2/3 dimensional"):
        T.ToTensor()(np.zeros(3))
    with pytest.raises(TypeError, match="PIL Image or ndarray"):
        T.ToTensor()([1, 2])


def test_what_is_no_image_is_refused():
    with pytest.raises(TypeError, match=r"should be PIL Image or a Tensor.*ToTensor"):
        F.hflip(np.zeros((3, 4, 4)))
    with pytest.raises(TypeError, match="float tensor"):
        F.normalize(torch.zeros(3, 4, 4, dtype=torch.uint8), [0.5], [0.5])
    with pytest.raises(ValueError, match="std evaluated to zero"):
        F.normalize(torch.zeros(3, 4, 4), [0.5], [0.0])
    with pytest.raises(ValueError, match="larger than input image"):
        T.RandomCrop(9)(torch.zeros(3, 4, 4))


def test_pillow_is_asked_for_only_where_it_is_needed(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert T.Resize(4)(torch.rand(3, 8, 8)).shape == (3, 4, 4)
    with pytest.raises(ImportError, match="ToPILImage needs Pillow, which is not installed: pip install pillow"):
        T.ToPILImage()(torch.rand(3, 8, 8))


def test_boxes_and_masks_can_be_named_and_say_what_to_use():
    tv = torch.vision.tv_tensors
    assert not isinstance(torch.ones(2), tv.Image) and tv.BoundingBoxFormat("XYXY").name == "XYXY"
    assert not tv.is_rotated_bounding_format("XYXY") and tv.is_rotated_bounding_format(tv.BoundingBoxFormat.XYWHR)
    image = torch.ones(1)
    with tv.set_return_type("Tensor"):
        assert tv.wrap(image, like=image) is image
    for make in (tv.BoundingBoxes, tv.Mask, v2.SanitizeBoundingBoxes, v2.RandomIoUCrop):
        with pytest.raises(NotImplementedError, match=r"torchvision\..*: use "):
            make()
    with pytest.raises(ValueError, match="return_type"):
        tv.set_return_type("array")


def test_elastic_transforms_read_where_the_displacement_says():
    image = torch.arange(48, dtype=torch.float32).view(1, 6, 8)
    still = torch.zeros(1, 6, 8, 2)
    assert torch.allclose(F.elastic_transform(image, still), image, atol=1e-4)
    right = still.clone()
    right[..., 0] = 2 / 8  # one pixel of eight, in halves of the width
    moved = F.elastic_transform(image, right, fill=[-1.0])
    assert torch.allclose(moved[..., :-1], image[..., 1:], atol=1e-4) and torch.allclose(
        moved[..., -1], torch.full((1, 6), -1.0), atol=1e-4
    )
    with pytest.raises(ValueError, match="expected shape"):
        F.elastic_transform(image, still[:, 1:])
    with pytest.raises(TypeError, match="should be a Tensor"):
        F.elastic_transform(image, 0)


@pytest.mark.parametrize("module", [T, v2])
def test_random_elastic_transforms_are_smooth_and_follow_the_seed(module):
    transform = module.ElasticTransform(alpha=20.0, sigma=3.0)
    image = torch.rand(3, 40, 30)
    torch.manual_seed(1)
    first = transform(image)
    torch.manual_seed(1)
    assert torch.equal(transform(image), first) and first.shape == image.shape and not torch.equal(transform(image), first)
    field = transform.get_params([20.0, 20.0], [3.0, 3.0], [40, 30])
    assert field.shape == (1, 40, 30, 2) and float(field.abs().max()) < 20 / 30
    assert float(field.diff(dim=1).abs().mean()) < 0.2 * float(field.abs().max())
    assert torch.allclose(module.ElasticTransform(alpha=0.0, sigma=0.0)(image), image, atol=1e-4)
    torch.manual_seed(0)
    field = transform.get_params([10.0, 20.0], [0.5, 1.0], [8, 10])  # and torchvision's numbers
    assert np.allclose(field[0, 3, 2:4].numpy(), [[-0.21406826, -0.65880805], [-0.2873863, 0.66605306]], atol=1e-6)


def test_transforms_of_samples_let_pass_what_they_need_not_change():
    Image = pytest.importorskip("PIL.Image")
    image, picture = torch.rand(3, 6, 5), Image.fromarray(np.full((6, 5, 3), 7, np.uint8))
    assert v2.ToTensor()(image) is image and v2.PILToTensor()(image) is image
    assert v2.ConvertImageDtype(torch.float64)(picture) is picture
    erased = np.asarray(v2.RandomErasing(p=1.0, value=9)(picture))
    assert erased.shape == (6, 5, 3) and set(np.unique(erased)) == {7, 9}


@pytest.mark.parametrize("module", [T, v2])
def test_mixed_chains_of_changes(module):
    image = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    torch.manual_seed(3)
    first = module.AugMix()(image)
    torch.manual_seed(3)
    again = module.AugMix()(image)
    assert first.dtype == torch.uint8 and first.shape == image.shape and torch.equal(first, again) and not torch.equal(first, image)
    alone = module.AugMix(mixture_width=1, chain_depth=1, alpha=1e6)  # half of the image and half of one change of it
    alone._strengths = lambda batch: {"Invert": None}
    assert int((alone(image).int() - 127).abs().max()) <= 2
    with pytest.raises(ValueError, match="severity must be between"):
        module.AugMix(severity=11)
    with pytest.raises(TypeError, match="bytes"):
        module.AugMix()(torch.rand(3, 4, 4))


def test_what_is_missing_says_so():
    with pytest.raises(AttributeError):
        _ = T.nothing_of_the_kind


@pytest.mark.parametrize("mode", [None, "RGB", "YCbCr"])
def test_pictures_there_and_back(mode):
    pytest.importorskip("PIL")
    tensor = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    picture = F.to_pil_image(tensor, mode)
    assert picture.mode == (mode or "RGB") and picture.size == (7, 5)
    assert torch.equal(F.pil_to_tensor(picture), tensor)
    for dtype, kind in ((torch.int32, "I"), (torch.float32, "F")):
        plane = torch.arange(6).reshape(1, 2, 3).to(dtype)
        if kind == "F":
            assert torch.equal(F.to_tensor(F.to_pil_image(plane, "F")), plane)
        else:
            assert torch.equal(F.to_tensor(F.to_pil_image(plane)), plane)
    with pytest.raises(ValueError, match="Only modes"):
        F.to_pil_image(tensor, "L")


# ===== Version 2


def test_version_2_takes_samples_of_any_structure():
    prepare = v2.Compose([v2.RandomCrop(4), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True)])
    image = torch.randint(0, 256, (3, 6, 6), dtype=torch.uint8)
    torch.manual_seed(0)
    alone = prepare(image)
    torch.manual_seed(0)
    changed, label = prepare(image, 7)
    assert label == 7 and torch.equal(changed, alone) and alone.dtype is torch.float32
    torch.manual_seed(0)
    nested = prepare({"image": image, "more": [1, "two", torch.zeros(3)]})
    assert torch.equal(nested["image"], alone) and nested["more"][:2] == [1, "two"] and nested["more"][2].shape == (3,)
    with pytest.raises(TypeError, match="neither"):
        prepare("nothing")


def test_version_2_changes_all_pictures_of_a_sample_alike():
    pytest.importorskip("PIL")
    picture = F.to_pil_image(torch.randint(0, 256, (3, 9, 9), dtype=torch.uint8))
    one, other = v2.RandomResizedCrop(5)(picture, picture.copy())
    assert np.array_equal(np.asarray(one), np.asarray(other))


def test_version_2_choices_use_the_default_generator():
    image = torch.rand(3, 8, 8)
    choice = v2.RandomChoice([v2.Resize(4), v2.Resize(6)], p=[1, 3])
    torch.manual_seed(0)
    sizes = [choice(image).shape[-1] for _ in range(40)]
    torch.manual_seed(0)
    assert sizes == [choice(image).shape[-1] for _ in range(40)]
    assert 20 < sizes.count(6) < 40 and sizes.count(4) > 2
    both = v2.RandomOrder([v2.Resize(4), v2.Pad(1)])
    assert {both(image).shape[-1] for _ in range(20)} == {4, 6}
    maybe = v2.RandomApply([v2.Resize(4)], p=0.5)
    assert {maybe(image).shape[-1] for _ in range(20)} == {4, 8}
    assert v2.functional.horizontal_flip is F.hflip


def test_batches_are_mixed_as_in_torchvision():
    """Numbers of torchvision 0.28 under the same seed."""
    torch.manual_seed(4)
    images, labels = torch.arange(180.0).view(2, 3, 6, 5), torch.tensor([1, 0])
    mix, cut = v2.MixUp(num_classes=3), v2.CutMix(num_classes=3, alpha=0.7)
    for share in (0.284, 0.1922, 0.6994):
        mixed, shares = mix(images, labels)
        assert shares.tolist() == [pytest.approx([1 - share, share, 0], abs=1e-4), pytest.approx([share, 1 - share, 0], abs=1e-4)]
        assert torch.allclose(mixed[0], share * images[0] + (1 - share) * images[1], atol=0.02)
    found = [cut(images, labels) for _ in range(3)]
    assert found[2][0].flatten()[::17].tolist() == [0, 17, 34, 51, 68, 85, 102, 119, 136, 63, 170]
    assert found[2][1].flatten().tolist() == pytest.approx([0.0667, 0.9333, 0, 0.9333, 0.0667, 0], abs=1e-4)
    sample = v2.CutMix()({"image": images, "labels": torch.eye(2), "name": "n"})
    assert sample["image"].flatten()[::17].tolist()[:2] == [90, 17] and sample["name"] == "n"
    assert sample["labels"].flatten().tolist() == pytest.approx([14 / 15, 1 / 15, 1 / 15, 14 / 15])


@pytest.mark.parametrize(
    ("transform", "sample", "message"),
    [
        ({}, lambda x, y: (x, y), "need num_classes"),
        ({"num_classes": 3}, lambda x, y: (x[0], y), "but got 3 dimensions"),
        ({"num_classes": 3}, lambda x, y: (x[:1], y), "1 images and 2 labels"),
        ({"num_classes": 3}, lambda x, y: (x, torch.ones(2, 4)), "do not fit num_classes=3"),
        ({"num_classes": 3}, lambda x, y: (x, x), "labels must be class indices"),
        ({"num_classes": 3}, lambda x, y: (x,), "no labels found"),
    ],
)
def test_batches_that_cannot_be_mixed(transform, sample, message):
    with pytest.raises(ValueError, match=message):
        v2.MixUp(**transform)(*sample(torch.ones(2, 3, 6, 5), torch.tensor([1, 0])))


def test_augmentations_show_their_arguments():
    assert repr(T.RandAugment()) == (
        "RandAugment(num_ops=2, magnitude=9, num_magnitude_bins=31, interpolation=InterpolationMode.NEAREST, fill=None)"
    )
    assert repr(T.TrivialAugmentWide(9)) == "TrivialAugmentWide(num_magnitude_bins=9, interpolation=InterpolationMode.NEAREST, fill=None)"
    assert repr(T.AutoAugment(fill=3)) == "AutoAugment(policy=AutoAugmentPolicy.IMAGENET, fill=3)"
    with pytest.raises(ValueError, match="policy nothing is not recognized"):
        T.AutoAugment("nothing")
