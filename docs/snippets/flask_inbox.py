import json, os, sqlite3
from contextlib import closing

from flask import Flask, abort, request
from verify import verify_pendo

app = Flask(__name__)
secret = os.environ["WEBHOOK_SECRET"] or exit("WEBHOOK_SECRET is empty")

with closing(sqlite3.connect("inbox.db")) as db:
    db.execute("CREATE TABLE IF NOT EXISTS inbox (unique_id TEXT PRIMARY KEY, body BLOB NOT NULL)")


@app.post("/hook")
def hook():
    body = request.get_data()  # before anything touches request.json or request.form
    if not verify_pendo(secret, body, request.headers.get("X-Pendo-Signature")):
        abort(401)
    row = (json.loads(body)["uniqueId"], body)
    with closing(sqlite3.connect("inbox.db")) as db, db:
        db.execute("INSERT INTO inbox VALUES (?, ?) ON CONFLICT DO NOTHING", row)  # a repeat changes nothing
    return "", 204  # a worker takes it from the table
