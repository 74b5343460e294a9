"""Joining samples into batches, under the name PyTorch keeps it."""

import re

from ..collate import collate, default_collate, default_collate_fn_map, default_convert

default_collate_err_msg_format = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
np_str_obj_array_pattern = re.compile(r"[SaUO]")

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]
