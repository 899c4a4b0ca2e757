"""What every step is made with. The image is a compile-time constant: kfp cannot pull one that a parameter names."""

from functools import partial

from kfp import dsl

IMAGE = "finest:0.1.0"
"""Holds kfp and this repository on PYTHONPATH; `pipeline compile --image` puts another in its place."""
GPU_IMAGE = f"{IMAGE}-gpu"
"""The same with a CUDA build of torch."""

step = partial(dsl.component, base_image=IMAGE, install_kfp_package=False)
