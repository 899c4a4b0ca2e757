"""Chooses the device of a training, and makes its results depend on nothing else."""

import os
import platform
import warnings
from contextlib import AbstractContextManager, nullcontext

import torch

from finest.errors import ConfigError

THREADS = 1
"""Number of threads of a training on the CPU. Results differ between thread counts, so all variants use one; two
processes of one thread do half as much again as one process of two."""


def choose(asked: str) -> torch.device:
    """Returns the device of `pretrain.device`: CUDA where there is one, else the CPU.

    Raises:
        ConfigError: CUDA was asked for, and there is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver that is too old is told as "no device" below
        there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise ConfigError(
            "pretrain.device: cuda was asked for, but this machine has no usable CUDA device; set it to auto or cpu"
        )
    return torch.device("cuda" if there and asked != "cpu" else "cpu")


def prepare(device: torch.device) -> None:
    """Makes results a function of the inputs: one thread, deterministic kernels."""
    torch.set_num_threads(THREADS)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cuda.matmul.allow_tf32 = False
    # Like use_deterministic_algorithms without the import of the compiler: two seconds, unless an optimizer imports it.
    torch.set_deterministic_debug_mode("error")


def precision(device: torch.device, amp: bool) -> AbstractContextManager[object]:
    """Returns a context of autocast to bfloat16 on CUDA where `amp`, else of nothing."""
    return torch.autocast("cuda", torch.bfloat16) if amp and device.type == "cuda" else nullcontext()


def hardware(device: torch.device) -> str:
    """Returns the name of the device, for people."""
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.machine()} CPU, {os.cpu_count()} cores"
    )
