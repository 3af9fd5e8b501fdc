package org.apache.curator.test;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Stands before the class of the same name in curator-test, so that Curator's own tests, unchanged,
 * get the server under test instead of one inside their own process: {@code attend.py} beside this
 * suite's {@code run} starts and stops it.
 */
public class TestingServer implements Closeable {
    private final InstanceSpec spec;
    private Process attendant;
    private BufferedReader answers;

    public TestingServer() throws Exception {
        this(true);
    }

    public TestingServer(boolean start) throws Exception {
        this(InstanceSpec.newInstanceSpec(), start);
    }

    public TestingServer(int port) throws Exception {
        this(port, true);
    }

    public TestingServer(int port, boolean start) throws Exception {
        this(new InstanceSpec(null, port, -1, -1, true, -1), start);
    }

    public TestingServer(int port, File data) throws Exception {
        this(port, data, true);
    }

    public TestingServer(int port, File data, boolean start) throws Exception {
        this(new InstanceSpec(data, port, -1, -1, true, -1), start);
    }

    public TestingServer(InstanceSpec spec, boolean start) throws Exception {
        this.spec = spec;
        if (start) {
            start();
        }
    }

    public int getPort() {
        return spec.getPort();
    }

    public File getTempDirectory() {
        return spec.getDataDirectory();
    }

    public String getConnectString() {
        return spec.getConnectString();
    }

    public void start() throws Exception {
        if (attendant == null) {
            attend();
        }
        ask("start");
    }

    public void stop() throws IOException {
        if (attendant != null) {
            ask("stop");
        }
    }

    public void restart() throws Exception {
        stop();
        start();
    }

    @Override
    public void close() throws IOException {
        if (attendant != null) {
            attendant.getOutputStream().close();
            try {
                attendant.waitFor();
            } catch (InterruptedException late) {
                Thread.currentThread().interrupt();
            }
            attendant = null;
        }
        if (spec.deleteDataDirectoryOnClose()) {
            DirectoryUtils.deleteRecursively(spec.getDataDirectory());
        }
    }

    private void attend() throws IOException {
        List<String> command =
                new ArrayList<>(List.of("python3", System.getenv("SUITE_ATTENDANT")));
        command.add("--server=" + System.getenv("SUITE_SERVER"));
        command.add("--port=" + spec.getPort());
        command.add("--cfg=dataDir=" + spec.getDataDirectory());
        // Without this line the server takes its own default, as Curator's in-process one does.
        String tick = spec.getTickTime() > 0 ? "" + spec.getTickTime() : "3000";
        command.add("--cfg=tickTime=" + tick);
        if (spec.getMaxClientCnxns() >= 0) {
            command.add("--cfg=maxClientCnxns=" + spec.getMaxClientCnxns());
        }
        spec.getCustomProperties()
                .forEach((key, value) -> command.add("--cfg=" + key + "=" + value));
        // Tests speak to the in-process server by system properties.
        for (Map.Entry<Object, Object> each : System.getProperties().entrySet()) {
            String name = each.getKey().toString();
            if (name.startsWith("zookeeper.") || name.startsWith("znode.container.")) {
                command.add("--property=" + name + "=" + each.getValue());
            }
        }
        attendant =
                new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        answers = new BufferedReader(new InputStreamReader(attendant.getInputStream()));
    }

    private void ask(String word) throws IOException {
        attendant.getOutputStream().write((word + "\n").getBytes(StandardCharsets.US_ASCII));
        attendant.getOutputStream().flush();
        String answer = answers.readLine();
        if (!"ok".equals(answer)) {
            throw new IOException("the server did not " + word + ": " + answer);
        }
    }
}
