# Python 3.10 or later
import base64, hashlib, hmac, time

TOLERANCE_S = 300


def verify_pendo(secret: str, body: bytes, signature: str | None) -> bool:
    return equal(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(), signature)


def verify_standard(
    signing_key: str, body: bytes, id: str | None, timestamp: str | None, signatures: str | None
) -> bool:
    try:
        age = int(time.time()) - int(timestamp or "")
    except ValueError:
        return False
    if abs(age) > TOLERANCE_S:
        return False
    key = base64.b64decode(signing_key.removeprefix("whsec_"))
    mac = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, "sha256")
    expected = "v1," + base64.b64encode(mac).decode()
    return any(equal(expected, given) for given in (signatures or "").split(" "))


def equal(expected: str, given: str | None) -> bool:
    # As bytes: compare_digest raises on text that is not ASCII, and a stranger chooses the header.
    return hmac.compare_digest(expected.encode(), (given or "").encode(errors="replace"))
