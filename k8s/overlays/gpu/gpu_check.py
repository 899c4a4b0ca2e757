"""Whether a training step would run here: a CUDA device that computes, and shared memory that a data loader can use."""

import os
import sys

import torch

SHARED_GB = 1.0


def main() -> str:
    """Returns what is wrong; an empty text if nothing is."""
    if not torch.cuda.is_available():
        return (
            f"error: torch {torch.__version__} sees no CUDA device; "
            "is this the GPU image, and did the node give the pod a GPU?"
        )
    shared = os.statvfs("/dev/shm")
    free = shared.f_bavail * shared.f_frsize / 1e9
    if free < SHARED_GB:
        return (
            f"error: /dev/shm has {free:.2f} GB free, at least {SHARED_GB:g} is needed; "
            "mount it as an emptyDir in memory"
        )
    ones = torch.ones(512, 512, device="cuda")
    if float((ones @ ones)[0, 0]) != 512:
        return "error: the device computes wrong products"
    print(
        f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, "
        f"/dev/shm {free:.1f} GB free"
    )
    return ""


if __name__ == "__main__":
    sys.exit(main() or 0)
