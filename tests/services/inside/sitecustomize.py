"""What is other in processes with this folder on PYTHONPATH, where the environment asks for it.

A name can be resolved that only they know, as in a cluster; a step fails. Python runs this at its start.
"""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

if inside := os.environ.get("FINEST_TESTS_INSIDE"):
    outside = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **more: Any) -> Any:
        """Addresses of the host; of the name inside, this machine's."""
        return outside("127.0.0.1" if host == inside else host, *arguments, **more)

    socket.getaddrinfo = getaddrinfo

if failing := os.environ.get("FINEST_TESTS_FAILING"):
    # The step fails once its work is done, by an error that says all that it knows.

    class _Patched(MetaPathFinder):
        def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
            """The module of every step's surroundings, with this step's work ending in an error."""
            if name != "components.step":
                return None
            sys.meta_path.remove(self)
            spec = find_spec(name)
            assert spec and spec.loader
            execute = spec.loader.exec_module

            def patched(module: Any) -> None:
                execute(module)
                explained = module._shortage_explained

                @contextmanager
                def fails(step: str) -> Iterator[None]:
                    with explained(step):
                        yield
                        if step == failing:
                            # Secrets first: a line is cut where it gets too long.
                            known = " and ".join(sorted(os.environ.values(), key=lambda value: "LEAK" not in value))
                            try:
                                raise ValueError(known)
                            except ValueError as error:
                                raise RuntimeError(f"no answer: {known}") from error

                module._shortage_explained = fails

            spec.loader.exec_module = patched  # type: ignore[method-assign]
            return spec

    sys.meta_path.insert(0, _Patched())
