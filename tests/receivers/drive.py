# Feeds docs/snippets/verify.py; drive.mjs says what the lines are.
import base64
import sys

from verify import verify_pendo, verify_standard


def word(genuine: bool) -> str:
    return "ok" if genuine is True else "refused"


for line in sys.stdin:
    fields = [None if field == "-" else base64.b64decode(field[1:]) for field in line.split()]
    secret, key, _, pendo, id, timestamp, signatures = [field and field.decode() for field in fields]
    standard = verify_standard(key, fields[2], id, timestamp, signatures)
    print(word(verify_pendo(secret, fields[2], pendo)), word(standard))
