"""Steps of a run on this machine are forked from one process that has their libraries loaded.

kfp starts an interpreter for each, and every one of them then spends two to four CPU seconds on the same imports.
"""

import atexit
import importlib
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from kfp.dsl import executor_main
from kfp.local import subprocess_task_handler

from finest.processes import received
from tracking import store

STEPS = ("preflight", "ingest", "champion", "calibrate", "gate", "recommend")
"""Steps whose libraries, together, are those of all. None may start a thread: a fork has its caller's alone."""
PROGRAM = "-m kfp.dsl.executor_main --component_module_path"
"""What kfp's command line of a step runs; its source and arguments follow."""
NAME = "--function_to_execute"
CONTEXT = multiprocessing.get_context("fork")


class Command(NamedTuple):
    """Holds what kfp's command line of a step says."""

    source: str
    """Python source of the component."""
    arguments: Sequence[str]
    """Arguments of kfp's executor."""
    environment: Mapping[str, str]


@contextmanager
def steps() -> Iterator[None]:
    """Has kfp.local's steps forked from a process that is warm, while this context lasts.

    It is forked itself, so this process must have one thread alone. kfp has a thread for each turn of a loop; their
    steps, which take all the cores that they may, take turns. Linux alone: libraries of macOS do not survive a fork.

    Raises:
        RuntimeError: kfp would run something else than its executor.
    """
    connection, theirs = CONTEXT.Pipe()
    server = CONTEXT.Process(target=_serve, args=(theirs, connection), name="steps")
    server.start()
    theirs.close()

    turn = threading.Lock()

    def run(full_command: Sequence[str], env_vars: Mapping[str, str] | None = None) -> int:
        _, _, program, source, *arguments = full_command
        if PROGRAM not in " ".join(program.split()):
            raise RuntimeError(f"this version of kfp starts steps in another way: {program}")
        with turn:
            connection.send(Command(source, arguments, {"_KFP_RUNTIME": "true", **(env_vars or {})}))
            return int(connection.recv())

    cold = subprocess_task_handler.run_local_subprocess
    subprocess_task_handler.run_local_subprocess = run
    try:
        yield
    finally:
        subprocess_task_handler.run_local_subprocess = cold
        connection.close()
        server.join()


def _serve(connection: Connection, other_end: Connection) -> None:
    """Runs steps, each in a process of its own, and tells with which code they end, until nobody asks any more."""
    other_end.close()
    store.load()
    for name in STEPS:
        importlib.import_module(f"components.{name}.work")
    for command in received(connection):
        step = CONTEXT.Process(target=_step, args=(command, connection))
        step.start()
        step.join()
        connection.send(step.exitcode)


def _step(command: Command, servers: Connection) -> None:
    """Does what kfp's command line of a step does."""
    servers.close()
    _call_it(command.arguments[command.arguments.index(NAME) + 1])
    os.environ |= command.environment
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder, "ephemeral_component.py")
        module.write_text(command.source)
        sys.argv = [executor_main.__name__, "--component_module_path", str(module), *command.arguments]
        try:
            executor_main.executor_main()
        finally:
            atexit._run_exitfuncs()  # a forked process runs none by itself


def _call_it(name: str) -> None:
    """Gives this process a step's name, by which `top` and `pgrep` know it."""
    if (comm := Path("/proc/self/comm")).exists():
        comm.write_text(name[:15])
