import java.nio.charset.StandardCharsets;
import java.util.Random;

/**
 * What Java makes of bytes that are not UTF-8. Prints some thousand strings, "bytes decoded" in
 * hexadecimal, and for each length a hash over all strings of bytes at which decoders turn.
 */
public class Text {
    private static final int[] TURNS = {
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
        0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfc, 0xfe, 0xff,
    };

    private static byte[] decoded(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_8);
    }

    private static String hex(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        for (byte b : bytes) {
            out.append(String.format("%02x", b));
        }
        return out.toString();
    }

    /** FNV-1a over the decodings of all strings of this length, each followed by 0xff. */
    private static long hashOfAll(int length) {
        long hash = 0xcbf29ce484222325L;
        byte[] bytes = new byte[length];
        int[] digits = new int[length];
        while (true) {
            for (int i = 0; i < length; i++) {
                bytes[i] = (byte) TURNS[digits[i]];
            }
            for (byte b : decoded(bytes)) {
                hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
            }
            hash = (hash ^ 0xff) * 0x100000001b3L;
            int place = length - 1;
            while (place >= 0 && ++digits[place] == TURNS.length) {
                digits[place--] = 0;
            }
            if (place < 0) {
                return hash;
            }
        }
    }

    public static void main(String[] args) {
        for (int length = 1; length <= 4; length++) {
            System.out.println("all " + length + " " + Long.toUnsignedString(hashOfAll(length)));
        }
        Random random = new Random(395);
        for (int n = 0; n < 3_000; n++) {
            byte[] bytes = new byte[1 + random.nextInt(10)];
            for (int i = 0; i < bytes.length; i++) {
                bytes[i] = (byte) (random.nextInt(4) == 0
                    ? random.nextInt(256)
                    : TURNS[random.nextInt(TURNS.length)]);
            }
            System.out.println(hex(bytes) + " " + hex(decoded(bytes)));
        }
    }
}
