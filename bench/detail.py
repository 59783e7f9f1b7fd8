"""Measure the JSON of a conversation of 1,000 messages, beside a plain ModelSerializer.

    .venv/bin/python -m bench.detail [--runs 30]

Both answer whole requests in process, in turns, from the same SQLite file, with the production
settings. The floor is a view of Django REST framework with serializers as in the tutorial.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.report import Figure, table
from bench.service import ROOT, environment, set_up

MESSAGES = 1_000
LEAST_RATIO = 5
ID = "00000000-0000-4000-8000-000000001000"


def main() -> None:
    options = parse_options()
    if options.measure:
        json.dump(measured(options.runs), sys.stdout)
    else:
        print(table(figures(options)))


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
        set_up(url)
        command = [sys.executable, "-m", "bench.detail", "--measure", "--runs", str(options.runs)]
        service, floor = json.loads(
            subprocess.check_output(command, cwd=ROOT, env=environment(url), text=True)
        )
    yield Figure(
        f"JSON of a conversation of {MESSAGES:,} messages",
        f"{service:.1f} ms",
        f"{floor:.1f} ms (ModelSerializer)",
        floor / service,
        f"≥ {LEAST_RATIO} × as fast",
        floor / service >= LEAST_RATIO,
    )


def measured(runs: int) -> tuple[float, float]:
    """Return the medians in ms, of the service and of the floor."""
    import realmate.wsgi  # noqa: F401 - sets Django up, as a worker does

    fill()
    service, floor = questions()
    assert json.loads(service()).keys() == json.loads(floor()).keys()
    times = [(took(service), took(floor)) for _ in range(runs)]
    return tuple(statistics.median(column) * 1_000 for column in zip(*times, strict=True))  # type: ignore[return-value]


def took(ask: Callable[[], Any]) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def fill() -> None:
    from chat.events.bulk import ingest_many

    at = datetime(2025, 2, 21, tzinfo=UTC)

    def events() -> Iterator[tuple[bytes, datetime]]:
        yield event("NEW_CONVERSATION", at, id=ID)
        for number in range(MESSAGES):
            yield event(
                "NEW_MESSAGE",
                at + timedelta(seconds=number),
                id=f"{number:08x}-0000-4000-8000-000000001000",
                conversation_id=ID,
                direction="RECEIVED" if number % 3 else "SENT",
                content=f"Mensagem {number}: o pedido não chegou, e já faz uma semana.",
            )

    assert all(result.outcome == "applied" for result in ingest_many(events()))


def event(type: str, at: datetime, **data: str) -> tuple[bytes, datetime]:
    return json.dumps({"type": type, "timestamp": at.isoformat(), "data": data}).encode(), at


def questions() -> tuple[Callable[[], Any], Callable[[], Any]]:
    from django.http import HttpRequest
    from rest_framework import serializers
    from rest_framework.generics import RetrieveAPIView

    from chat.api.reads import ConversationDetail
    from chat.models import Conversation, Message

    class MessageSerializer(serializers.ModelSerializer[Message]):
        class Meta:
            model = Message
            fields = ["id", "direction", "content", "timestamp"]

    class ConversationSerializer(serializers.ModelSerializer[Conversation]):
        messages = MessageSerializer(many=True, read_only=True)

        class Meta:
            model = Conversation
            fields = ["id", "state", "opened_at", "closed_at", "messages"]

    class Plain(RetrieveAPIView[Conversation]):
        queryset = Conversation.objects.prefetch_related("messages")
        serializer_class = ConversationSerializer
        authentication_classes: list[Any] = []
        permission_classes: list[Any] = []

    def question(view: Any, **arguments: str) -> Callable[[], Any]:
        def ask() -> Any:
            request = HttpRequest()
            request.method = "GET"
            request.META |= {
                "HTTP_HOST": "127.0.0.1",
                "SERVER_NAME": "127.0.0.1",
                "SERVER_PORT": "80",
            }
            response = view(request, **arguments)
            if hasattr(response, "render"):
                response.render()
            assert response.status_code == 200, response.content
            return response.content

        return ask

    detail = type(
        "OpenDetail",
        (ConversationDetail,),
        {"authentication_classes": [], "permission_classes": []},
    )
    return question(detail.as_view(), id=ID), question(Plain.as_view(), pk=ID)


if __name__ == "__main__":
    main()
