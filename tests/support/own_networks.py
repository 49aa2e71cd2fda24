"""A file of a user with everything that can give a network, and the files that it imports."""

from __future__ import annotations

NETS = """
import contextlib
import functools

from torch import nn

from parts_of_a_test import Imported, Network
from more_of_a_test import *


def make(width, shape=(5,), classes=7):
    return nn.Sequential(nn.Linear(shape[0], width), nn.ReLU(), nn.Linear(width, classes))


def passed_on(function):
    @functools.wraps(function)
    def called(*arguments, **keywords):
        return function(*arguments, **keywords)

    return called


@passed_on
def decorated(width: int = 3, *, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    return make(width, input_shape, num_classes)


named = lambda width, n_classes: make(width, (2,), n_classes)
bound = functools.partial(make, shape=(2,), width=3, classes=2)
renamed = also = make
first, second = make, nn.Linear
module = nn.Linear(2, 2)
number = 3

if hasattr(nn, "Linear"):
    class Conditional(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)

try:
    import no_such_library
except ImportError:
    class Fallback(nn.Linear):
        def __init__(self, *, in_shape):
            super().__init__(*in_shape, 2)

with contextlib.nullcontext(make) as Managed:
    pass


def make_class(width):
    class Net(nn.Sequential):
        def __init__(self, classes):
            super().__init__(nn.Linear(2, width), nn.Linear(width, classes))

    return Net


Assigned = make_class(4)


class Outer:
    class Net(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)

    @classmethod
    def small(cls, width):
        return make(width, (2,), 2)


class PassedOn(nn.Linear):
    def __new__(cls, *arguments, **keywords):
        return super().__new__(cls)

    def __init__(self, shape, classes):
        super().__init__(*shape, classes)


class Factory:
    def __call__(self, width):
        return make(width, (2,), 2)


factory = Factory()
component = Network(width=3)


def gives_a_component(width):
    return Network(width=width)


def keywords(**given):
    return make(given["width"], (2,), 2)


def positional(shape, width, /, classes):
    return make(width, shape, classes)


@functools.lru_cache
def cached():
    return nn.Linear(2, 2)


def late():
    global Late
    Late = Outer.Net


late()
globals()["Dynamic"] = Outer.Net


def pair():
    return nn.Linear(2, 2), 1


def failing():
    raise OSError("no such weights")
"""
PARTS = """
import bnnbench as bb
from torch import nn

class Imported(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

class Network(bb.Network):
    width: int = 1

    def build(self, data):
        return nn.Sequential(nn.Linear(*data.shape, self.width), nn.Linear(self.width, data.classes))
"""
MORE = "from torch import nn\ndef star(width): return nn.Linear(2, 2)\n"
