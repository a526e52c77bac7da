"""The platform that comes of options and environment, and the command that finds it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rxtasks import platforms
from rxtasks.cli.options import Reach, variable
from rxtasks.cli.settings import DEFAULT_URL, UsageError, token_from
from rxtasks.errors import ConfigurationError
from rxtasks.platforms.base import Platform

__all__ = ["command", "platform_at"]


def command(verb: str, reach: Reach, *arguments: str, options: Sequence[str] = ()) -> str:
    """Write a command about tasks, to be copied."""
    return shlex.join(["rxtasks", verb, *arguments, *options, *reach.options()])


def platform_at(reach: Reach) -> Platform:
    """Make the platform that was named; it is not the embedded one.

    Raises:
        UsageError: Something is missing, or cannot be used; no text repeats a secret.
    """
    if reach.platform != "relevance" and (given := reach.of_relevance()):
        raise UsageError(
            f"{' and '.join(given)}: only Relevance AI has that: name --platform relevance, or "
            "leave it out"
        )
    try:
        match reach.platform:
            case None | "gateway":
                url = reach.gateway_url or DEFAULT_URL
                return platforms.Gateway(url, token=token_from(reach.token_file))
            case "relevance":
                return _relevance(reach)
            case "swarmlord":
                return platforms.Swarmlord(_key(reach, "SWARMLORD_API_KEY", "Swarmlord"), reach.url)
            case "opencode":
                return _opencode(reach)
            case "a2a":
                return _a2a(reach)
            case "local":
                raise UsageError(
                    "tasks of the embedded platform are in the process that runs them: to reach "
                    "them from elsewhere, run them behind `rxtasks serve`, and leave --platform out"
                )
    except ConfigurationError as error:
        raise UsageError(str(error)) from None


def _relevance(reach: Reach) -> Platform:
    key = _key(reach, "RELEVANCE_API_KEY", "Relevance AI")
    region = reach.region or variable("RELEVANCE_REGION")
    project = reach.project or variable("RELEVANCE_PROJECT")
    given = {"region": region, "project": project}
    missing = [f"--{name} (or RELEVANCE_{name.upper()})" for name in given if not given[name]]
    if missing:
        raise UsageError(f"Relevance AI needs {' and '.join(missing)}")
    return platforms.Relevance(region, project, key, base_url=reach.url, stream_url=reach.url)


def _opencode(reach: Reach) -> Platform:
    given = {"url": reach.url, "password": _secret(reach, "OPENCODE_SERVER_PASSWORD")}
    return platforms.OpenCode.from_env(**{name: each for name, each in given.items() if each})


def _a2a(reach: Reach) -> Platform:
    given = {"url": reach.url, "token": _secret(reach, "A2A_TOKEN")}
    return platforms.A2A.from_env(**{name: each for name, each in given.items() if each})


def _key(reach: Reach, name: str, platform: str) -> str:
    key = _secret(reach, name)
    if key is None:
        raise UsageError(f"{platform} needs a key: set {name}, or name a --token-file")
    return key


def _secret(reach: Reach, name: str) -> str | None:
    return variable(name) if reach.token_file is None else token_from(reach.token_file)
