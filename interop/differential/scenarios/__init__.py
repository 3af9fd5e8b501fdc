"""The scenarios, each a function that drives one Side; found by importing the modules here."""

import importlib
import pkgutil


# Why a scenario is not for members: what to do then is our own rule, and badinput/ tests it.
UNREADABLE = "it sends writes that can't be read"


class Scenario:
    """A named function and the server it wants: zoo.cfg keys and system properties; what keeps it
    from members of an ensemble, if something does."""

    def __init__(self, function, cfg, properties, own_server, alone=""):
        self.name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
        self.function = function
        self.cfg = cfg
        self.properties = properties
        self.own_server = own_server
        self.alone = alone

    def shares_server(self):
        """Whether it runs on a server with the default setting, with others."""
        return not (self.cfg or self.properties or self.own_server)

    def setting(self):
        """Scenarios with equal settings may share a server."""
        return (tuple(sorted(self.cfg.items())), tuple(sorted(self.properties.items())))


REGISTRY = []


def scenario(cfg=None, properties=None, own_server=False, alone=""):
    """Registers a function as a scenario."""

    def register(function):
        REGISTRY.append(Scenario(function, cfg or {}, properties or {}, own_server, alone))
        return function

    return register


def load_all():
    """Imports every module beside this one and returns the scenarios in order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return REGISTRY
