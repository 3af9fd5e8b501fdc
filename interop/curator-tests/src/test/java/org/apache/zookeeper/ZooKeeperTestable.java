package org.apache.zookeeper;

import java.io.IOException;

/**
 * Stands before the class of the same name in Apache's client, by which tests make a client believe
 * that its session has expired.
 *
 * <p>The client's own class queues the Expired event first and marks the client closed afterwards.
 * Curator hears of it in the event thread and closes its client. When that falls between the two,
 * the client still counts as alive and sends a closeSession, and the server ends the session at
 * once instead of 15 seconds later. {@code TestTreeCache.testKilledSession} then sees the ephemeral
 * node go before the cache is initialised again, and fails whatever the server is: on a busy
 * machine it went that way 13 times in 120 with Apache's, 9 in 120 with oxkeeper. Here the mark
 * comes first, as in {@code ClientCnxn.SendThread} when a session has really expired.
 */
class ZooKeeperTestable implements Testable {
    private final ClientCnxn client;

    ZooKeeperTestable(ClientCnxn client) {
        this.client = client;
    }

    @Override
    public void injectSessionExpiration() {
        client.state = ZooKeeper.States.CLOSED;
        queueEvent(
                new WatchedEvent(
                        Watcher.Event.EventType.None, Watcher.Event.KeeperState.Expired, null));
        client.eventThread.queueEventOfDeath();
        client.sendThread.getClientCnxnSocket().onClosing();
    }

    @Override
    public void queueEvent(WatchedEvent event) {
        client.eventThread.queueEvent(event);
    }

    @Override
    public void closeSocket() throws IOException {
        client.sendThread.testableCloseSocket();
    }
}
