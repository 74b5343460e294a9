"""Every draw by name, each with the words and the values of PyTorch's CPU generator; docs/RANDOMNESS.md lists the recipes."""

from __future__ import annotations

from .bernoulli import bernoulli, bernoulli_tensor, dropout_noise
from .continuous import cauchy, exponential, geometric
from .integers import randint, random_, randperm
from .multinomial import multinomial
from .normal import log_normal, normal, normal_tensors
from .rejection import binomial, poisson, standard_gamma
from .truncated import trunc_normal
from .uniform import uniform

__all__ = [
    "bernoulli",
    "bernoulli_tensor",
    "binomial",
    "cauchy",
    "dropout_noise",
    "exponential",
    "geometric",
    "log_normal",
    "multinomial",
    "normal",
    "normal_tensors",
    "poisson",
    "randint",
    "random_",
    "randperm",
    "standard_gamma",
    "trunc_normal",
    "uniform",
]
