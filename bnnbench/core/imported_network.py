"""Networks from an importable module: `use: torchvision.models:resnet18`."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from bnnbench.core.called_network import CalledNetwork
from bnnbench.core.network_call import network_from
from bnnbench.core.user_code.local_imports import files_on_the_path
from bnnbench.core.user_code.local_modules import check_not_edited, read_code
from bnnbench.errors import NetworkNotMade, PluginError, message_of, one_line
from bnnbench.plugins.provenance import version_of_module

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data

_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_USE = re.compile(rf"(?P<module>{_NAME}):(?P<name>{_NAME})")


class ImportedNetwork(CalledNetwork):
    """A class of an importable module that derives from `torch.nn.Module`, or a function of it that gives a module.

    It is called as a `ModuleFile` is. What it is, for the store, is its name, its arguments and the version of the
    distribution that it is from. Of a module that is not installed, or installed for editing, the content of its files
    counts instead. Weights are drawn anew by each fit: pretrained ones are not kept.
    """

    revision: ClassVar[int | None] = 1

    module: str = ""
    """The module, as an `import` statement names it."""

    def fingerprint(self) -> str:
        """The version of the distribution, or the checksum of the files of a module that may be edited."""
        sums = [read_code(file).checksum for file in files_on_the_path(self.module)]
        return self.with_outputs(" ".join(sums) or f"version {version_of_module(self.module)}")

    def build(self, data: Data) -> nn.Module:
        return network_from(object_in(self.module, self.name), f"{self.module}:{self.name}", self.arguments, data)


def named_module(use: str) -> tuple[str, str] | None:
    """The module and the name in it that `package.module:Name` names; None for a text of another form.

    None too for Python's own modules: none of them has a component or a network, and some run programs.
    """
    found = _USE.fullmatch(use)
    if found is None or found["module"].partition(".")[0] in sys.stdlib_module_names:
        return None
    return found["module"], found["name"]


def may_be_imported(module: str) -> bool:
    """Whether Python finds the top-level package of a module. Nothing is imported."""
    with contextlib.suppress(ImportError, ValueError, AttributeError):
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    return False


def object_in(module: str, name: str) -> Any:
    """What an importable module has under a dotted name. Imports the module.

    Raises `PluginError`, on one line, if it cannot be imported or has no such thing, or if a file of it has been edited
    since this process imported it.
    """
    for file in files_on_the_path(module):
        check_not_edited(read_code(file).contents)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise PluginError(one_line(f"{module}: {message_of(error)}")) from error
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise NetworkNotMade(f"{module}:{name}: {error}") from error
    return found
