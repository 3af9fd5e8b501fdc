"""The scenarios, each a function that drives one Side; found by importing the modules here."""

import importlib
import pkgutil


class Scenario:
    """A named function and the server it wants: zoo.cfg keys and system properties."""

    def __init__(self, function, cfg, properties, own_server):
        self.name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
        self.function = function
        self.cfg = cfg
        self.properties = properties
        self.own_server = own_server

    def setting(self):
        """Scenarios with equal settings may share a server."""
        return (tuple(sorted(self.cfg.items())), tuple(sorted(self.properties.items())))


REGISTRY = []


def scenario(cfg=None, properties=None, own_server=False):
    """Registers a function as a scenario."""

    def register(function):
        REGISTRY.append(Scenario(function, cfg or {}, properties or {}, own_server))
        return function

    return register


def load_all():
    """Imports every module beside this one and returns the scenarios in order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return REGISTRY
