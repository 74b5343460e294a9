"""Similarities, distances, unit vectors and bilinear forms against PyTorch."""

import numpy as np
import pytest

from .compare import same
from .parity import agree, agree_twice, normal, refuses

X, Y = normal(4, 3), normal(4, 3, seed=1)


def test_cosine_similarity():
    agree("cosine_similarity", X, Y)
    agree_twice("cosine_similarity", X, Y)
    agree("cosine_similarity", normal(4, 1, 3), normal(5, 3), dim=-1)
    agree("cosine_similarity", X * 1e-6, Y, eps=1e-3)
    same(lambda lib: lib.cosine_similarity(lib.tensor(X), lib.tensor(Y.astype(np.float64)), 0))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
def test_distances(p):
    agree("pairwise_distance", X, Y, p=p)
    agree("pairwise_distance", X, Y[0], p=p, keepdim=True)
    agree("pdist", X, p=p)
    agree("normalize", X, p=p)
    agree("normalize", X, p=p, dim=0, eps=2.0)


def test_pdist_of_few_rows():
    agree("pdist", normal(1, 2), order=0)
    agree("pdist", normal(2, 2))


def test_normalize_into():
    same(lambda lib: lib.nn.functional.normalize(lib.tensor(X), out=lib.empty(4, 3)))


def test_bilinear():
    agree("bilinear", normal(2, 4, 3), normal(2, 4, 5), normal(6, 3, 5), normal(6), rtol=1e-4, atol=1e-5)
    agree_twice("bilinear", normal(4, 3), normal(4, 5), normal(6, 3, 5))


def test_errors():
    refuses("cosine_similarity", normal(2, 3), normal(4, 3))
    refuses("cosine_similarity", np.array([[1, 2]]), np.array([[1, 2]]))
    refuses("pdist", normal(3))
    refuses("pdist", X, -1.0)
    refuses("bilinear", normal(2, 3), normal(3, 4), normal(5, 3, 4))
    refuses("bilinear", normal(2, 3), normal(2, 4), normal(5, 4, 4))
    refuses("bilinear", normal(2, 3), normal(2, 4), normal(5, 3, 4), normal(4))
