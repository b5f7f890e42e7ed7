"""Handlers without a model, for worker processes: importing this module takes no time."""

import os
import sys
import threading
import time

from asr.errors import ConfigError


class Obedient:
    """Echoes what it is asked, or does what the word says."""

    hello = "ready"

    def answer(self, request: object) -> object:
        match request:
            case "die":
                os._exit(3)
            case "refuse":
                raise ConfigError("found this, wanted that")
            case "fail":
                raise RuntimeError("broken inside")
            case "pid":
                return os.getpid()
            case "torch":
                return "imported" if "torch" in sys.modules else "missing"
            case "environment":
                return os.environ.get("STEADYWORD_TEST")
            case "nice":
                return os.getpriority(os.PRIO_PROCESS, 0)
            case "work":
                time.sleep(60)
        return request


class Loaded(Obedient):
    """Its hello is the priority that it was made at."""

    def __init__(self) -> None:
        self.hello = str(os.getpriority(os.PRIO_PROCESS, 0))


def refuse_to_load() -> Obedient:
    raise ConfigError("found no model")


def fail_to_load() -> Obedient:
    raise RuntimeError("no memory")


def die_while_loading() -> Obedient:
    os._exit(1)


def load_slowly() -> Obedient:
    """Most of the time nothing happens, as while a disk or the other processes of a busy machine are slow."""
    for _ in range(10):
        time.sleep(0.2)
        sum(range(1_000_000))
    return Obedient()


def wait_for_each_other() -> Obedient:
    """A deadlock."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
    return Obedient()
