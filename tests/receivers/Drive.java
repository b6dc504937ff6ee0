// Feeds docs/snippets/Verify.java; drive.mjs says what the lines are.
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.Base64;

final class Drive {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            byte[][] values = Arrays.stream(line.split(" ")).map(Drive::value).toArray(byte[][]::new);
            String[] texts = Arrays.stream(values).map(v -> v == null ? null : new String(v, UTF_8)).toArray(String[]::new);
            boolean pendo = Verify.pendo(texts[0], values[2], texts[3]);
            boolean standard = Verify.standard(texts[1], values[2], texts[4], texts[5], texts[6]);
            System.out.println(word(pendo) + " " + word(standard));
        }
    }

    private static byte[] value(String field) {
        return field.equals("-") ? null : Base64.getDecoder().decode(field.substring(1));
    }

    private static String word(boolean genuine) {
        return genuine ? "ok" : "refused";
    }
}
