"""Decorator of every step's component.

The image is a compile-time constant: kfp cannot pull one that a parameter names.
"""

from functools import partial

from kfp import dsl

IMAGE = "finest:0.1.0"
"""Image of the steps, with kfp and this project; `finest compile --image` puts another in its place."""
GPU_IMAGE = f"{IMAGE}-gpu"
"""Image with a CUDA build of torch."""

step = partial(dsl.component, base_image=IMAGE, install_kfp_package=False)
