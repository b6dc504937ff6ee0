// Java 17 or later
import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Verify {
    private static final long TOLERANCE_S = 300;

    /** A header that is missing is null, and refused. */
    public static boolean pendo(String secret, byte[] body, String signature) throws GeneralSecurityException {
        return equal(HexFormat.of().formatHex(mac(secret.getBytes(UTF_8), body)), signature);
    }

    public static boolean standard(String signingKey, byte[] body, String id, String timestamp, String signatures)
            throws GeneralSecurityException {
        if (id == null || timestamp == null || signatures == null || !timestamp.matches("[0-9]{1,12}")) {
            return false;
        }
        if (Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(timestamp)) > TOLERANCE_S) {
            return false;
        }
        byte[] key = Base64.getDecoder().decode(signingKey.replaceFirst("^whsec_", ""));
        byte[] mac = mac(key, (id + "." + timestamp + ".").getBytes(UTF_8), body);
        String expected = "v1," + Base64.getEncoder().encodeToString(mac);
        return Arrays.stream(signatures.split(" ")).anyMatch(given -> equal(expected, given));
    }

    private static byte[] mac(byte[] key, byte[]... parts) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        for (byte[] part : parts) {
            mac.update(part);
        }
        return mac.doFinal();
    }

    /** In constant time, which String.equals is not. */
    private static boolean equal(String expected, String given) {
        return given != null && MessageDigest.isEqual(expected.getBytes(UTF_8), given.getBytes(UTF_8));
    }
}
