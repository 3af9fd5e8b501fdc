"""The server and the clients that the recipes run on."""

import pytest
from kazoo.client import KazooClient

from kazoo_cluster import CLUSTER


@pytest.fixture(scope="session")
def cluster():
    """One server for all recipes; gone at the end of the run."""
    CLUSTER.terminate()
    CLUSTER.start()
    yield CLUSTER
    CLUSTER.terminate()


@pytest.fixture
def connect(cluster):
    """Makes started clients and stops them after the test."""
    clients = []

    def one(**options):
        client = KazooClient(cluster[0].address, timeout=6, **options)
        client.start(timeout=15)
        clients.append(client)
        return client

    yield one
    for client in clients:
        client.stop()
        client.close()
