# Feeds the Standard Webhooks library of PyPI; drive.mjs says what the lines are.
import base64
import sys

from standardwebhooks import Webhook, WebhookVerificationError

NAMES = ["webhook-id", "webhook-timestamp", "webhook-signature"]

for line in sys.stdin:
    fields = [None if field == "-" else base64.b64decode(field[1:]) for field in line.split()]
    key, body, headers = fields[1].decode(), fields[2], zip(NAMES, fields[4:])
    try:
        Webhook(key).verify(body, {name: value.decode() for name, value in headers if value is not None})
        print("ok")
    except (WebhookVerificationError, ValueError):
        print("refused")
