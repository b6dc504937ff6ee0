// .NET Core 2.1 or later
using System;
using System.Linq;
using System.Security.Cryptography;
using System.Text;

public static class Verify
{
    const long ToleranceS = 300;

    /// <summary>A header that is missing is null, and refused.</summary>
    public static bool Pendo(string secret, byte[] body, string signature)
    {
        var mac = Mac(Encoding.UTF8.GetBytes(secret), body);
        return Same(string.Concat(mac.Select(value => value.ToString("x2"))), signature);
    }

    public static bool Standard(string signingKey, byte[] body, string id, string timestamp, string signatures)
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        if (!long.TryParse(timestamp, out var sent) || sent < now - ToleranceS || sent > now + ToleranceS)
            return false;
        var key = Convert.FromBase64String(WithoutPrefix(signingKey));
        var signed = Encoding.UTF8.GetBytes(id + "." + timestamp + ".").Concat(body).ToArray();
        var expected = "v1," + Convert.ToBase64String(Mac(key, signed));
        return (signatures ?? "").Split(' ').Any(given => Same(expected, given));
    }

    static string WithoutPrefix(string key) =>
        key.StartsWith("whsec_", StringComparison.Ordinal) ? key.Substring(6) : key;

    static byte[] Mac(byte[] key, byte[] message)
    {
        using (var hmac = new HMACSHA256(key)) return hmac.ComputeHash(message);
    }

    // In constant time, which == is not.
    static bool Same(string expected, string given) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(expected), Encoding.UTF8.GetBytes(given ?? ""));
}
