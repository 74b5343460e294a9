"""Trained weights: which files there are, and where a builder's ``weights=`` argument finds one.

``weights="resnet18.pth"`` loads a file. The names that torchvision gives its files (``ResNet18_Weights.DEFAULT``, ``"IMAGENET1K_V1"``)
stand for files in ``torch.hub``'s folder, which are downloaded into it where there is a network.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torchlike_asg as torch

from ... import hub
from ..transforms import functional as F
from ..transforms.interpolation import InterpolationMode

__all__ = ["FILES", "ImageClassification", "Weights", "WeightsEnum", "enumeration", "file_of", "load_into"]

_SITE = "https://download.pytorch.org/models/"
_V1, _V2 = "IMAGENET1K_V1", "IMAGENET1K_V2"
#: builder -> (the enumeration's name, member -> file); V2 is the default where there is one
FILES: dict[str, tuple[str, dict[str, str]]] = {
    "alexnet": ("AlexNet_Weights", {_V1: "alexnet-owt-7be5be79.pth"}),
    "convnext_base": ("ConvNeXt_Base_Weights", {_V1: "convnext_base-6075fbad.pth"}),
    "convnext_large": ("ConvNeXt_Large_Weights", {_V1: "convnext_large-ea097f82.pth"}),
    "convnext_small": ("ConvNeXt_Small_Weights", {_V1: "convnext_small-0c510722.pth"}),
    "convnext_tiny": ("ConvNeXt_Tiny_Weights", {_V1: "convnext_tiny-983f1562.pth"}),
    "densenet121": ("DenseNet121_Weights", {_V1: "densenet121-a639ec97.pth"}),
    "densenet161": ("DenseNet161_Weights", {_V1: "densenet161-8d451a50.pth"}),
    "densenet169": ("DenseNet169_Weights", {_V1: "densenet169-b2777c0a.pth"}),
    "densenet201": ("DenseNet201_Weights", {_V1: "densenet201-c1103571.pth"}),
    "efficientnet_b0": ("EfficientNet_B0_Weights", {_V1: "efficientnet_b0_rwightman-7f5810bc.pth"}),
    "efficientnet_b1": ("EfficientNet_B1_Weights", {_V1: "efficientnet_b1_rwightman-bac287d4.pth", _V2: "efficientnet_b1-c27df63c.pth"}),
    "efficientnet_b2": ("EfficientNet_B2_Weights", {_V1: "efficientnet_b2_rwightman-c35c1473.pth"}),
    "efficientnet_b3": ("EfficientNet_B3_Weights", {_V1: "efficientnet_b3_rwightman-b3899882.pth"}),
    "efficientnet_b4": ("EfficientNet_B4_Weights", {_V1: "efficientnet_b4_rwightman-23ab8bcd.pth"}),
    "efficientnet_b5": ("EfficientNet_B5_Weights", {_V1: "efficientnet_b5_lukemelas-1a07897c.pth"}),
    "efficientnet_b6": ("EfficientNet_B6_Weights", {_V1: "efficientnet_b6_lukemelas-24a108a5.pth"}),
    "efficientnet_b7": ("EfficientNet_B7_Weights", {_V1: "efficientnet_b7_lukemelas-c5b4e57e.pth"}),
    "efficientnet_v2_l": ("EfficientNet_V2_L_Weights", {_V1: "efficientnet_v2_l-59c71312.pth"}),
    "efficientnet_v2_m": ("EfficientNet_V2_M_Weights", {_V1: "efficientnet_v2_m-dc08266a.pth"}),
    "efficientnet_v2_s": ("EfficientNet_V2_S_Weights", {_V1: "efficientnet_v2_s-dd5fe13b.pth"}),
    "googlenet": ("GoogLeNet_Weights", {_V1: "googlenet-1378be20.pth"}),
    "inception_v3": ("Inception_V3_Weights", {_V1: "inception_v3_google-0cc3c7bd.pth"}),
    "mnasnet0_5": ("MNASNet0_5_Weights", {_V1: "mnasnet0.5_top1_67.823-3ffadce67e.pth"}),
    "mnasnet0_75": ("MNASNet0_75_Weights", {_V1: "mnasnet0_75-7090bc5f.pth"}),
    "mnasnet1_0": ("MNASNet1_0_Weights", {_V1: "mnasnet1.0_top1_73.512-f206786ef8.pth"}),
    "mnasnet1_3": ("MNASNet1_3_Weights", {_V1: "mnasnet1_3-a4c69d6f.pth"}),
    "mobilenet_v2": ("MobileNet_V2_Weights", {_V1: "mobilenet_v2-b0353104.pth", _V2: "mobilenet_v2-7ebf99e0.pth"}),
    "mobilenet_v3_large": ("MobileNet_V3_Large_Weights", {_V1: "mobilenet_v3_large-8738ca79.pth", _V2: "mobilenet_v3_large-5c1a4163.pth"}),
    "mobilenet_v3_small": ("MobileNet_V3_Small_Weights", {_V1: "mobilenet_v3_small-047dcff4.pth"}),
    "regnet_x_16gf": ("RegNet_X_16GF_Weights", {_V1: "regnet_x_16gf-2007eb11.pth", _V2: "regnet_x_16gf-ba3796d7.pth"}),
    "regnet_x_1_6gf": ("RegNet_X_1_6GF_Weights", {_V1: "regnet_x_1_6gf-e3633e7f.pth", _V2: "regnet_x_1_6gf-a12f2b72.pth"}),
    "regnet_x_32gf": ("RegNet_X_32GF_Weights", {_V1: "regnet_x_32gf-9d47f8d0.pth", _V2: "regnet_x_32gf-6eb8fdc6.pth"}),
    "regnet_x_3_2gf": ("RegNet_X_3_2GF_Weights", {_V1: "regnet_x_3_2gf-f342aeae.pth", _V2: "regnet_x_3_2gf-7071aa85.pth"}),
    "regnet_x_400mf": ("RegNet_X_400MF_Weights", {_V1: "regnet_x_400mf-adf1edd5.pth", _V2: "regnet_x_400mf-62229a5f.pth"}),
    "regnet_x_800mf": ("RegNet_X_800MF_Weights", {_V1: "regnet_x_800mf-ad17e45c.pth", _V2: "regnet_x_800mf-94a99ebd.pth"}),
    "regnet_x_8gf": ("RegNet_X_8GF_Weights", {_V1: "regnet_x_8gf-03ceed89.pth", _V2: "regnet_x_8gf-2b70d774.pth"}),
    "regnet_y_16gf": (
        "RegNet_Y_16GF_Weights",
        {
            _V1: "regnet_y_16gf-9e6ed7dd.pth",
            _V2: "regnet_y_16gf-3e4a00f9.pth",
            "IMAGENET1K_SWAG_E2E_V1": "regnet_y_16gf_swag-43afe44d.pth",
            "IMAGENET1K_SWAG_LINEAR_V1": "regnet_y_16gf_lc_swag-f3ec0043.pth",
        },
    ),
    "regnet_y_1_6gf": ("RegNet_Y_1_6GF_Weights", {_V1: "regnet_y_1_6gf-b11a554e.pth", _V2: "regnet_y_1_6gf-0d7bc02a.pth"}),
    "regnet_y_32gf": (
        "RegNet_Y_32GF_Weights",
        {
            _V1: "regnet_y_32gf-4dee3f7a.pth",
            _V2: "regnet_y_32gf-8db6d4b5.pth",
            "IMAGENET1K_SWAG_E2E_V1": "regnet_y_32gf_swag-04fdfa75.pth",
            "IMAGENET1K_SWAG_LINEAR_V1": "regnet_y_32gf_lc_swag-e1583746.pth",
        },
    ),
    "regnet_y_3_2gf": ("RegNet_Y_3_2GF_Weights", {_V1: "regnet_y_3_2gf-b5a9779c.pth", _V2: "regnet_y_3_2gf-9180c971.pth"}),
    "regnet_y_400mf": ("RegNet_Y_400MF_Weights", {_V1: "regnet_y_400mf-c65dace8.pth", _V2: "regnet_y_400mf-e6988f5f.pth"}),
    "regnet_y_800mf": ("RegNet_Y_800MF_Weights", {_V1: "regnet_y_800mf-1b27b58c.pth", _V2: "regnet_y_800mf-58fc7688.pth"}),
    "regnet_y_8gf": ("RegNet_Y_8GF_Weights", {_V1: "regnet_y_8gf-d0d0e4a8.pth", _V2: "regnet_y_8gf-dc2b1b54.pth"}),
    "resnet101": ("ResNet101_Weights", {_V1: "resnet101-63fe2227.pth", _V2: "resnet101-cd907fc2.pth"}),
    "resnet152": ("ResNet152_Weights", {_V1: "resnet152-394f9c45.pth", _V2: "resnet152-f82ba261.pth"}),
    "resnet18": ("ResNet18_Weights", {_V1: "resnet18-f37072fd.pth"}),
    "resnet34": ("ResNet34_Weights", {_V1: "resnet34-b627a593.pth"}),
    "resnet50": ("ResNet50_Weights", {_V1: "resnet50-0676ba61.pth", _V2: "resnet50-11ad3fa6.pth"}),
    "resnext101_32x8d": ("ResNeXt101_32X8D_Weights", {_V1: "resnext101_32x8d-8ba56ff5.pth", _V2: "resnext101_32x8d-110c445d.pth"}),
    "resnext50_32x4d": ("ResNeXt50_32X4D_Weights", {_V1: "resnext50_32x4d-7cdf4587.pth", _V2: "resnext50_32x4d-1a0047aa.pth"}),
    "shufflenet_v2_x0_5": ("ShuffleNet_V2_X0_5_Weights", {_V1: "shufflenetv2_x0.5-f707e7126e.pth"}),
    "shufflenet_v2_x1_0": ("ShuffleNet_V2_X1_0_Weights", {_V1: "shufflenetv2_x1-5666bf0f80.pth"}),
    "shufflenet_v2_x1_5": ("ShuffleNet_V2_X1_5_Weights", {_V1: "shufflenetv2_x1_5-3c479a10.pth"}),
    "shufflenet_v2_x2_0": ("ShuffleNet_V2_X2_0_Weights", {_V1: "shufflenetv2_x2_0-8be3c8ee.pth"}),
    "squeezenet1_0": ("SqueezeNet1_0_Weights", {_V1: "squeezenet1_0-b66bff10.pth"}),
    "squeezenet1_1": ("SqueezeNet1_1_Weights", {_V1: "squeezenet1_1-b8a52dc0.pth"}),
    "swin_b": ("Swin_B_Weights", {_V1: "swin_b-68c6b09e.pth"}),
    "swin_s": ("Swin_S_Weights", {_V1: "swin_s-5e29d889.pth"}),
    "swin_t": ("Swin_T_Weights", {_V1: "swin_t-704ceda3.pth"}),
    "swin_v2_b": ("Swin_V2_B_Weights", {_V1: "swin_v2_b-781e5279.pth"}),
    "swin_v2_s": ("Swin_V2_S_Weights", {_V1: "swin_v2_s-637d8ceb.pth"}),
    "swin_v2_t": ("Swin_V2_T_Weights", {_V1: "swin_v2_t-b137f0e2.pth"}),
    "vgg11": ("VGG11_Weights", {_V1: "vgg11-8a719046.pth"}),
    "vgg11_bn": ("VGG11_BN_Weights", {_V1: "vgg11_bn-6002323d.pth"}),
    "vgg13": ("VGG13_Weights", {_V1: "vgg13-19584684.pth"}),
    "vgg13_bn": ("VGG13_BN_Weights", {_V1: "vgg13_bn-abd245e5.pth"}),
    "vgg16": ("VGG16_Weights", {_V1: "vgg16-397923af.pth"}),
    "vgg16_bn": ("VGG16_BN_Weights", {_V1: "vgg16_bn-6c64b313.pth"}),
    "vgg19": ("VGG19_Weights", {_V1: "vgg19-dcbb9e9d.pth"}),
    "vgg19_bn": ("VGG19_BN_Weights", {_V1: "vgg19_bn-c79401a0.pth"}),
    "vit_b_16": ("ViT_B_16_Weights", {_V1: "vit_b_16-c867db91.pth"}),
    "vit_b_32": ("ViT_B_32_Weights", {_V1: "vit_b_32-d86f8d99.pth"}),
    "vit_l_16": ("ViT_L_16_Weights", {_V1: "vit_l_16-852ce7e3.pth"}),
    "vit_l_32": ("ViT_L_32_Weights", {_V1: "vit_l_32-c7638314.pth"}),
    "wide_resnet101_2": ("Wide_ResNet101_2_Weights", {_V1: "wide_resnet101_2-32ee1156.pth", _V2: "wide_resnet101_2-d733dc28.pth"}),
    "wide_resnet50_2": ("Wide_ResNet50_2_Weights", {_V1: "wide_resnet50_2-95faca4d.pth", _V2: "wide_resnet50_2-9ba9bcbe.pth"}),
}


#: (builder, member) -> (size of the crop, of what it is cut from, whether bicubic), where they are not 224 and 256, or 232 for V2
_SIZES = {("inception_v3", _V1): (299, 342, False), ("efficientnet_b1", _V2): (240, 255, False)} | {
    (f"efficientnet_b{i}", _V1): (*sizes, True)
    for i, sizes in enumerate(((224, 256), (240, 256), (288, 288), (300, 320), (380, 384), (456, 456), (528, 528), (600, 600)))
}
_SIZES |= {(f"convnext_{size}", _V1): (224, cut, False) for size, cut in (("tiny", 236), ("small", 230), ("base", 232), ("large", 232))}
_SIZES |= {(f"swin_{size}", _V1): (224, cut, True) for size, cut in (("t", 232), ("s", 246), ("b", 238))}
_SIZES |= {(f"swin_v2_{size}", _V1): (256, cut, True) for size, cut in (("t", 260), ("s", 260), ("b", 272))}
_SIZES |= {(f"efficientnet_v2_{size}", _V1): (side, side, size == "l") for size, side in (("s", 384), ("m", 480), ("l", 480))}
_SIZES |= {(name, _V1): (224, 232, False) for name in ("shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "mnasnet0_75", "mnasnet1_3")}
_SIZES |= {
    (f"regnet_y_{size}gf", f"IMAGENET1K_SWAG_{kind}_V1"): (side, side, True)
    for size in (16, 32)
    for kind, side in (("E2E", 384), ("LINEAR", 224))
}


class ImageClassification:
    """What classifiers of ImageNet expect: resized, cropped, scaled to [0, 1], normalised. Takes PIL images and tensors."""

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        self.crop_size, self.resize_size = [crop_size], [resize_size]
        self.mean, self.std = list(mean), list(std)
        self.interpolation, self.antialias = interpolation, antialias

    def __call__(self, img: Any) -> torch.Tensor:
        img = F.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        img = F.center_crop(img, self.crop_size)
        tensor = img if isinstance(img, torch.Tensor) else F.pil_to_tensor(img)
        return F.normalize(F.convert_image_dtype(tensor, torch.float32), mean=self.mean, std=self.std)


@dataclass(frozen=True)
class Weights:
    """A file of trained weights: its address, and what its images go through first (a function that makes the transform)."""

    url: str
    transforms: Callable[[], ImageClassification]


class WeightsEnum(Enum):
    """The files of one model. `url` is where one is published, ``transforms()`` makes what its images go through first."""

    @property
    def url(self) -> str:
        return str(self.value.url)

    @property
    def transforms(self) -> Callable[[], ImageClassification]:
        return self.value.transforms  # type: ignore[no-any-return]

    def get_state_dict(self, progress: bool = True, check_hash: bool = False) -> dict[str, Any]:
        """The state dict, from the hub's folder or downloaded into it.

        Raises:
            RuntimeError: it is not there, and cannot be downloaded.
        """
        name = self.url.rpartition("/")[2]
        try:
            return hub.load_state_dict_from_url(self.url, progress=progress, check_hash=check_hash)
        except (URLError, OSError) as error:
            folder = Path(hub.get_dir(), "checkpoints")
            raise RuntimeError(
                f"the weights {type(self).__name__}.{self.name} are not in {folder} and could not be downloaded from {self.url}: "
                f"{getattr(error, 'reason', None) or error}. Put the file {name} there, or give weights='path/to/{name}'"
            ) from error


def enumeration(builder: str) -> Any:
    """The enumeration of a builder's files."""
    name, files = FILES[builder]
    members = {}
    for member, file in files.items():
        crop, size, bicubic = _SIZES.get((builder, member), (224, 232 if member == _V2 else 256, False))
        how = InterpolationMode.BICUBIC if bicubic else InterpolationMode.BILINEAR
        halves: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)} if builder == "efficientnet_v2_l" else {}
        made_of = partial(ImageClassification, crop_size=crop, resize_size=size, interpolation=how, **halves)
        members[member] = Weights(_SITE + file, made_of)
    made = WeightsEnum(name, {**members, "DEFAULT": members[_V2 if _V2 in files else _V1]}, module=__name__)
    made.__doc__ = "The files of trained weights that torchvision has for this model; `DEFAULT` is the best of them."
    return made


def file_of(weights: str) -> Path | None:
    """The file that a ``weights=`` argument names; None if it is a name such as "DEFAULT"."""
    path = Path(weights).expanduser()
    return path if path.is_file() or os.sep in weights or path.suffix in (".pth", ".pt", ".safetensors") else None


def load_into(model: Any, weights: Any, choices: Any, progress: bool) -> Any:
    """The model with weights loaded: None leaves it as it is; a path, a member of `choices`, or the name of one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no such member.
        RuntimeError: the file is not here and cannot be downloaded, or is of another model.
    """
    if weights is None:
        return model
    if isinstance(weights, str | os.PathLike):
        path = file_of(os.fspath(weights))
        if path is not None:
            if not path.is_file():
                raise FileNotFoundError(f"weights: there is no file {path}")
            model.load_state_dict(_read(path))
            return model
        if weights not in choices.__members__:
            raise ValueError(f"weights={weights!r} is neither a file nor one of {', '.join(choices.__members__)}")
        weights = choices[weights]
    if not isinstance(weights, choices):
        raise TypeError(f"Invalid Weight class provided; expected {choices.__name__} but received {type(weights).__name__}.")
    model.load_state_dict(weights.get_state_dict(progress=progress))
    return model


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from ...serialization.safetensors import load_file

        return load_file(path)
    return torch.load(path, weights_only=True)
