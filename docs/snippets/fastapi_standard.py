import os

from fastapi import FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()
webhook = Webhook(os.environ["WEBHOOK_SIGNING_KEY"])
inbox: dict[str, dict] = {}  # in earnest a table with uniqueId as its key, which somebody else works off


@app.post("/hook", status_code=204)
async def hook(request: Request) -> None:  # the request itself: a model as parameter would parse it
    try:
        event = webhook.verify(await request.body(), dict(request.headers))
    except (WebhookVerificationError, ValueError):  # ValueError: headers or a body that cannot be read at all
        raise HTTPException(401) from None
    inbox.setdefault(event["uniqueId"], event)
