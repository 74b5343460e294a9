"""The images and transforms that are compared with torchvision, and what is kept of a result."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden.json"
#: expressions in T (the library's `transforms`) and L (the library)
CASES = [
    "T.CenterCrop(10)",
    "T.CenterCrop((30, 12))",
    "T.ColorJitter(0.4, 0.4, 0.4, 0.2)",
    "T.ColorJitter((0.5, 1.2), 0, 0.3)",
    "T.GaussianBlur((3, 7), (0.5, 0.6))",
    "T.Grayscale(3)",
    "T.Pad((1, 2), fill=1)",
    "T.Pad((1, 2, 3, 4), padding_mode='reflect')",
    "T.Pad((1, 2, 3, 4), padding_mode='edge')",
    "T.Pad((1, 2, 3, 4), padding_mode='symmetric')",
    "T.RandomAffine((10, 20), (0.1, 0.2), (0.8, 1.2), 10)",
    "T.RandomAffine(20, shear=(1, 2, 3, 4), interpolation=T.InterpolationMode.BILINEAR, fill=1)",
    "T.RandomApply([T.Resize(9)], 0.7)",
    "T.RandomChoice([T.Resize(9), T.Pad(1)])",
    "T.RandomOrder([T.Resize(9), T.Pad(1)])",
    "T.RandomCrop(12, padding=4)",
    "T.RandomCrop((30, 20), pad_if_needed=True)",
    "T.RandomErasing(0.9)",
    "T.RandomErasing(0.9, value='random')",
    "T.RandomErasing(1, value=(1, 2, 3))",
    "T.RandomGrayscale(0.5)",
    "T.RandomHorizontalFlip()",
    "T.RandomVerticalFlip()",
    "T.RandomPerspective(0.5, 0.9)",
    "T.RandomResizedCrop(10)",
    "T.RandomResizedCrop((7, 9), scale=(0.5, 1))",
    "T.RandomRotation(40)",
    "T.RandomRotation((10, 80), expand=True)",
    "T.RandomRotation(30, interpolation=T.InterpolationMode.BILINEAR, fill=1, center=(3, 4))",
    "T.Resize(8)",
    "T.Resize((30, 9))",
    "T.Resize(8, max_size=9)",
    "T.Resize(40, interpolation=T.InterpolationMode.BICUBIC)",
    "T.Resize(8, interpolation=T.InterpolationMode.NEAREST)",
    "T.Resize((9, 30), antialias=False)",
    "T.RandomInvert(0.5)",
    "T.RandomAutocontrast(0.8)",
    "T.RandomEqualize(0.8)",
    "T.RandomPosterize(3, 0.8)",
    "T.RandomSolarize(0.6, 0.8)",
    "T.RandomAdjustSharpness(2, 0.8)",
    "T.FiveCrop(9)",
    "T.TenCrop((9, 7))",
    "T.Normalize([0.5, 0.4, 0.3], [0.2, 0.3, 0.1])",
    "T.ConvertImageDtype(L.float32)",
    "T.ConvertImageDtype(L.uint8)",
    "T.ConvertImageDtype(L.int16)",
    "T.AutoAugment()",
    "T.AutoAugment(T.AutoAugmentPolicy.CIFAR10, fill=3)",
    "T.Compose([T.AutoAugment(T.AutoAugmentPolicy.SVHN, T.InterpolationMode.BILINEAR)] * 5)",
    "T.RandAugment()",
    "T.RandAugment(1, 20, fill=(1, 2, 3))",
    "T.TrivialAugmentWide()",
    "T.Compose([T.TrivialAugmentWide(interpolation=T.InterpolationMode.BILINEAR)] * 8)",
    "T.v2.Compose([T.v2.ToImage(), T.v2.ToDtype(L.uint8, scale=True), T.v2.AutoAugment()])",
    "T.v2.Compose([T.v2.ToImage(), T.v2.ToDtype(L.uint8, scale=True), T.v2.RandAugment()])",
    "T.v2.Compose([T.v2.ToImage(), T.v2.ToDtype(L.uint8, scale=True), T.v2.TrivialAugmentWide()])",
    "T.v2.RGB()",
    "T.ToPILImage()",
    "T.ToTensor()",
    "T.PILToTensor()",
    "T.Compose([T.Resize(12), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize((0.5,), (0.5,)), T.RandomErasing()])",
]
KINDS = ("float", "bytes", "picture")


def image(kind, library):
    values = np.random.default_rng(7).integers(0, 256, (3, 19, 24), dtype=np.uint8)
    if kind == "float":
        return library.from_numpy(values.astype(np.float32) / 255)
    if kind == "bytes":
        return library.from_numpy(values)
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(values.transpose(1, 2, 0)))


def run(case, kind, library, transforms, draws=2):
    """Per output of two draws: [dtype, shape, some of its values]; or the name of the exception's type."""
    transform = eval(case, {"T": transforms, "L": library})
    sample = image(kind, library)
    library.manual_seed(3)
    random.seed(3)
    found = []
    try:
        for _ in range(draws):
            result = transform(sample)
            found += [summary(r) for r in (result if isinstance(result, tuple) else (result,))]
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        return type(error).__name__
    return found


def summary(result):
    values = np.asarray(result) if hasattr(result, "getbands") else result.numpy()
    chosen = values.reshape(-1)[:: max(1, values.size // 11)]
    return [values.dtype.name, list(values.shape), [round(float(v), 5) for v in chosen]]


def write():
    """Rewrite the golden results: needs PyTorch and torchvision."""
    import torch
    from torchvision import transforms
    from torchvision.transforms import v2  # noqa: F401

    results = {case: {kind: run(case, kind, torch, transforms) for kind in KINDS} for case in CASES}
    GOLDEN.write_text("{\n" + ",\n".join(f"{json.dumps(c)}: {json.dumps(r, separators=(',', ':'))}" for c, r in results.items()) + "\n}\n")
