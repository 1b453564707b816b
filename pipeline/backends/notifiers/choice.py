"""Who is told: one notifier for each webhook and for the e-mail addresses that the settings name."""

import threading
import time
from collections import Counter
from urllib.parse import urlsplit

from pipeline.backends.notifiers.interface import Message, NotificationError, Notifier
from pipeline.lib.sections import Notify

_SLACK_HOSTS = ("slack.com", "slack-gov.com")
_DISCORD_HOSTS = ("discord.com", "discordapp.com")


def configured(settings: Notify) -> dict[str, Notifier]:
    """The notifiers by a name that says nothing secret: `slack`, `slack 2`, `discord`, `webhook`, `email`."""
    found: dict[str, Notifier] = {}
    seen: Counter[str] = Counter()
    for url in settings.webhook.get_secret_value().split() if settings.webhook else []:
        name, notifier = _of_webhook(url, settings)
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} {seen[name]}"] = notifier
    if settings.email_to:
        from pipeline.backends.notifiers.email import Email

        found["email"] = Email(settings)
    return found


def send_all(notifiers: dict[str, Notifier], message: Message, seconds: float) -> dict[str, str]:
    """Tell everybody at the same time; for each notifier what went wrong, or nothing.

    Args:
        notifiers: by name.
        message: what to tell.
        seconds: longest wait for all of them; who is not done then is given up, whatever it hangs on.
    """
    problems = dict.fromkeys(notifiers, "it did not end in time")
    threads = [
        threading.Thread(target=_send, args=(name, notifier, message, problems), daemon=True)
        for name, notifier in notifiers.items()
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(problems)


def kind_of(url: str, unknown: str) -> str:
    """What a webhook understands: told from its URL, and `unknown` where that does not tell."""
    try:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path
    except ValueError:
        return "slack"
    if _within(host, _DISCORD_HOSTS):
        return "slack" if path.rstrip("/").endswith("/slack") else "discord"  # it takes Slack's messages there
    if _within(host, _SLACK_HOSTS):
        return "slack"
    if unknown == "auto":
        return "discord" if path.startswith("/api/webhooks/") else "slack"
    return unknown


def _of_webhook(url: str, settings: Notify) -> tuple[str, Notifier]:
    kind = kind_of(url, settings.kind)
    if kind == "generic":
        from pipeline.backends.notifiers.webhook import Webhook

        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        return "webhook", Webhook(url, settings.timeout, secret)
    if kind == "discord":
        from pipeline.backends.notifiers.discord import Discord

        return "discord", Discord(url, settings.timeout)
    from pipeline.backends.notifiers.slack import Slack

    return "slack", Slack(url, settings.timeout)


def _within(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _send(name: str, notifier: Notifier, message: Message, problems: dict[str, str]) -> None:
    try:
        notifier.send(message)
        problems[name] = ""
    except NotificationError as error:
        problems[name] = str(error)
    except Exception as error:  # its words may hold the URL
        problems[name] = f"an unexpected {type(error).__name__}"
