// Lets Apache's own tools read every log and snapshot of a directory: java Tools.java DIRECTORY
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.zookeeper.server.SnapshotComparer;
import org.apache.zookeeper.server.SnapshotFormatter;
import org.apache.zookeeper.server.SnapshotRecursiveSummary;
import org.apache.zookeeper.server.persistence.TxnLogToolkit;

public class Tools {
    interface Tool {
        void main(String[] args) throws Exception;
    }

    public static void main(String[] args) throws Exception {
        List<File> files = new ArrayList<>(Arrays.asList(new File(args[0]).listFiles()));
        files.removeIf(file -> !file.getName().matches("(log|snapshot)\\..*"));
        files.sort((a, b) -> Long.compare(zxid(a), zxid(b)));
        File before = null;
        for (File file : files) {
            if (file.getName().startsWith("log.")) {
                System.out.println(file.getName() + ": " + log(file) + " transactions");
            } else {
                System.out.println(file.getName() + ": " + snapshot(file, before) + " znodes");
                before = file;
            }
        }
    }

    static long zxid(File file) {
        return Long.parseLong(file.getName().split("\\.")[1], 16);
    }

    static long log(File file) throws Exception {
        String said = run(TxnLogToolkit::main, file.getPath());
        if (said.contains("CRC ERROR")) {
            throw new IllegalStateException(file + ": " + said);
        }
        long count = number("EOF reached after (\\d+) txns", said);
        // Each is shown on a line of its own, with its kind; multis and texts may take more.
        if (count == 0 || said.lines().count() < count + 2 || said.contains(" unknown ")) {
            throw new IllegalStateException(file + ": " + said);
        }
        return count;
    }

    /** All tools count the znodes: one of them the root twice, one without it. */
    static long snapshot(File file, File before) throws Exception {
        String told = run(SnapshotFormatter::main, file.getPath());
        long count = number("ZNode Details \\(count=(\\d+)\\)", told) - 1;
        told = run(SnapshotRecursiveSummary::main, file.getPath(), "/", "1");
        long below = number("children: (\\d+)", told);
        String other = before == null ? file.getPath() : before.getPath();
        told = run(SnapshotComparer::main, "-l", file.getPath(), "-r", other, "-b", "1", "-n", "1");
        long compared = number("Node count: (\\d+)", told);
        if (below != count - 1 || compared != count) {
            throw new IllegalStateException(file + ": formatter " + count + ", summary " + below
                + ", comparer " + compared);
        }
        return count;
    }

    static String run(Tool tool, String... args) throws Exception {
        PrintStream console = System.out;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        System.setOut(new PrintStream(said, true));
        try {
            tool.main(args);
        } finally {
            System.setOut(console);
        }
        return said.toString();
    }

    static long number(String pattern, String text) {
        Matcher matcher = Pattern.compile(pattern).matcher(text);
        if (!matcher.find()) {
            throw new IllegalStateException("no " + pattern + " in: " + text);
        }
        return Long.parseLong(matcher.group(1));
    }
}
