package org.apache.zookeeper;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.apache.zookeeper.util.ServiceUtils;

/**
 * Runs zkCli.sh's main class once for every line of its input, words separated by a unit separator,
 * and answers with what one process for each would have written: a line with the exit status and
 * the lengths, then standard output and standard error. A JVM for each takes far longer to start
 * than the command to run.
 */
public final class Commands {
    private static final String BETWEEN_WORDS = "\u001f";
    // The commands' classes keep the streams that they find when they are loaded.
    private static final ByteArrayOutputStream OUT = new ByteArrayOutputStream();
    private static final ByteArrayOutputStream ERR = new ByteArrayOutputStream();

    /** What stands for the end of the process. */
    private static final class Exit extends Error {
        private final int status;

        Exit(int status) {
            super(null, null, false, false);
            this.status = status;
        }
    }

    private Commands() {}

    public static void main(String[] none) throws IOException {
        PrintStream answers = System.out;
        System.setOut(new PrintStream(OUT, true));
        System.setErr(new PrintStream(ERR, true));
        ServiceUtils.setSystemExitProcedure(status -> {
            throw new Exit(status);
        });
        BufferedReader lines =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            answer(line.split(BETWEEN_WORDS, -1), answers);
        }
    }

    private static void answer(String[] words, PrintStream answers) throws IOException {
        OUT.reset();
        ERR.reset();
        ZooKeeperMain client = null;
        int status = 0;
        try {
            client = new ZooKeeperMain(words);
            client.run();
        } catch (Exit exit) {
            status = exit.status;
        } catch (Throwable uncaught) {
            System.err.print("Exception in thread \"main\" ");
            uncaught.printStackTrace();
            status = 1;
        }
        byte[] written = OUT.toByteArray();
        byte[] complained = ERR.toByteArray();
        leave(client);
        answers.print(status + " " + written.length + " " + complained.length + "\n");
        answers.write(written);
        answers.write(complained);
        answers.flush();
    }

    /** As when the process ends: without a word to the server, and nobody hears the client. */
    private static void leave(ZooKeeperMain client) {
        if (client == null || client.zk == null) {
            return;
        }
        client.zk.cnxn.disconnect();
        try {
            client.zk.cnxn.eventThread.join();
        } catch (InterruptedException late) {
            Thread.currentThread().interrupt();
        }
    }
}
