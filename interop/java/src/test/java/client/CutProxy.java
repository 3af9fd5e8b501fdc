package client;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

/**
 * A loopback relay in front of the server, to take the network away from one client: {@link #cut}
 * ends its connections and refuses new ones until {@link #mend}.
 */
final class CutProxy implements AutoCloseable {
    private final ServerSocket listener;
    private final List<Socket> open = new ArrayList<>();
    private boolean passing = true;

    CutProxy() throws IOException {
        listener = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
        start(this::accept);
    }

    String address() {
        return "127.0.0.1:" + listener.getLocalPort();
    }

    synchronized void cut() {
        passing = false;
        open.forEach(CutProxy::end);
        open.clear();
    }

    synchronized void mend() {
        passing = true;
    }

    @Override
    public void close() throws IOException {
        listener.close();
        cut();
    }

    private void accept() {
        try {
            while (true) {
                join(listener.accept());
            }
        } catch (IOException closed) {
            // close() ends the loop.
        }
    }

    private synchronized void join(Socket client) throws IOException {
        if (!passing) {
            client.close();
            return;
        }
        String[] server = Fixture.HOSTPORT.split(":");
        Socket onward = new Socket(server[0], Integer.parseInt(server[1]));
        client.setTcpNoDelay(true);
        onward.setTcpNoDelay(true);
        open.add(client);
        open.add(onward);
        start(() -> copy(client, onward));
        start(() -> copy(onward, client));
    }

    private static void copy(Socket from, Socket to) {
        try {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            byte[] buffer = new byte[65536];
            for (int n = in.read(buffer); n > 0; n = in.read(buffer)) {
                out.write(buffer, 0, n);
            }
        } catch (IOException gone) {
            // One side has gone; the other goes with it.
        } finally {
            end(from);
            end(to);
        }
    }

    private static void end(Socket socket) {
        try {
            socket.close();
        } catch (IOException ignored) {
            // It is gone either way.
        }
    }

    private static void start(Runnable body) {
        Thread thread = new Thread(body, "cut-proxy");
        thread.setDaemon(true);
        thread.start();
    }
}
