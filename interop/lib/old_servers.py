"""Standalone Apache servers of other releases, for whoever needs what only those write or say."""

from releases import release_jars
from servers import Server


class OldServer(Server):
    """A standalone Apache server of another release: a `Server` in all but its jars."""

    def __init__(self, version, properties=None, cfg=None):
        super().__init__("apache", {"admin.enableServer": "false", **(cfg or {})}, properties)
        self.jars = release_jars(version)

    def command(self):
        """As the newest release is started, with other jars."""
        command, environment = super().command()
        command[command.index("-cp") + 1] = f"{self.jars}/*"
        return command, environment
