"""Plug-ins by folder: a new connector or analyser is one new file, and nothing else is edited."""

import importlib
import pkgutil
from types import ModuleType


def load(package: str) -> list[ModuleType]:
    """Import every module of a package, in the order of their names."""
    folder = importlib.import_module(package)
    names = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    return [importlib.import_module(f"{package}.{name}") for name in names]
