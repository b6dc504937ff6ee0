"""A mail server for tests: prints its port, then each message that it takes as one JSON line.

Arguments: security (none, starttls, tls), certificate, key, user, password ("" for no authentication), and how many
messages to refuse first, with which code.
"""

import asyncio
import json
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import AuthResult, SMTP

security, certificate, key, user, password, refusals, code = sys.argv[1:8]


def say(value):
    print(json.dumps(value), flush=True)


class Handler:
    left = int(refusals)

    async def handle_DATA(self, server, session, envelope):
        if self.left > 0:
            self.left -= 1
            say({"refused": envelope.rcpt_tos})
            return f"{code} not now"
        message = message_from_bytes(envelope.content, policy=policy.default)
        part = lambda kind: message.get_body(preferencelist=(kind,)).get_content().replace("\r\n", "\n")
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "headers": {name.lower(): str(value) for name, value in message.items()},
                "text": part("plain"),
                "html": part("html"),
                "tls": server.transport.get_extra_info("ssl_object") is not None,
                "user": session.auth_data.login.decode() if session.auth_data else None,
            }
        )
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    right = data.login.decode() == user and data.password.decode() == password
    return AuthResult(success=right, handled=right, auth_data=data)


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made


def session():
    return SMTP(
        handler,
        tls_context=context() if security == "starttls" else None,
        require_starttls=security == "starttls",
        auth_required=user != "",
        auth_require_tls=security == "starttls",
        authenticator=authenticate,
    )


async def serve():
    wrapped = context() if security == "tls" else None
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=wrapped)
    say({"port": server.sockets[0].getsockname()[1]})
    await server.serve_forever()


handler = Handler()
asyncio.run(serve())
