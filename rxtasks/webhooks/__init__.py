"""Receive webhooks, sign them, and deliver them.

A platform calls a URL of yours when a task has changed. The receiver is a handler for aiohttp.web;
it checks who has sent a delivery before it reads it::

    receiver = WebhookReceiver("whsec_...")
    app.router.add_post("/hook", receiver.handle)

    receiver.deliveries.subscribe(print)

    task = await client.agent("agent-1").run("Go", webhook="https://example.com/hook")
    with task.attach(receiver):  # a delivery says when to poll
        result = await task.result()

It is not a part of `import rxtasks`, since it needs aiohttp's server.
"""

from rxtasks.errors import WebhookVerificationError
from rxtasks.webhooks.deliveries import Deliveries
from rxtasks.webhooks.delivery import WebhookDelivery
from rxtasks.webhooks.receiver import WebhookReceiver
from rxtasks.webhooks.schemes import Scheme, Stamp, StandardWebhooks, SwarmlordScheme
from rxtasks.webhooks.sender import WebhookSender
from rxtasks.webhooks.signatures import SigningKey
from rxtasks.webhooks.signing import sign

__all__ = [
    "Deliveries",
    "Scheme",
    "SigningKey",
    "Stamp",
    "StandardWebhooks",
    "SwarmlordScheme",
    "WebhookDelivery",
    "WebhookReceiver",
    "WebhookSender",
    "WebhookVerificationError",
    "sign",
]
