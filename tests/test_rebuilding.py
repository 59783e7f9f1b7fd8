"""`manage.py replay --check`: the log agrees with all stored rows, in both directions."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from chat.events import ingest
from chat.events.bulk import ingest_many
from chat.events.ingest import apply_again
from chat.models import Change, Conversation, Delivery, Message, MessageWords
from chat.upkeep import pruning, rebuilding
from chat.upkeep.erasure import erase
from tests.conftest import NOW, C, M, id_of
from tests.databases import beside

pytestmark = [
    pytest.mark.usefixtures("scratch_database"),
    pytest.mark.django_db(transaction=True, reset_sequences=True),
    pytest.mark.both_engines("compares two databases"),
]

D = "b3a1c7de-2f53-4a0d-9a53-0f6f3a1d9e11"
N = "16b63b04-60de-4257-b1a1-20a5154abc6d"
DAY = timedelta(days=1)


@pytest.fixture
def lived(deliver, event):
    """A log of all cases: early, late, twice, in conflict, after the closing, invalid, again."""
    early = event("NEW_MESSAGE", id=M, at="2025-02-21T10:20:44", content="early")
    deliver(early, after=-timedelta(hours=1))
    deliver(event("NEW_CONVERSATION", id=C))
    deliver(event("NEW_MESSAGE", id=N, at="2025-02-21T10:20:42", content="late", direction="SENT"))
    deliver(event("NEW_MESSAGE", id=N, at="2025-02-21T10:20:42", content="another"))
    deliver(event("CLOSE_CONVERSATION", id=D), after=-2 * DAY)
    deliver(event("NEW_CONVERSATION", id=D))
    deliver(event("NEW_CONVERSATION", id=D))
    deliver(event("NEW_MESSAGE", id=M, conversation_id=D))
    too_early = Delivery.objects.get(type="CLOSE_CONVERSATION")
    apply_again(too_early, at=NOW + DAY)
    deliver(event("NEW_MESSAGE", id="30000000-0000-4000-8000-000000000000", conversation_id=D))
    deliver(b"no JSON")


def check(capsys, *arguments):
    call_command("replay", "--check", *arguments)
    return capsys.readouterr().out


def found(capsys, *arguments):
    with pytest.raises(CommandError, match="differences") as raised:
        call_command("replay", "--check", *arguments)
    return f"{capsys.readouterr().out}{raised.value}"


def test_what_is_stored_is_what_the_log_says(lived, capsys):
    said = check(capsys)
    assert "2 conversations are equal, by 11 deliveries." in said
    assert "Not checked" not in said


def test_however_long_early_events_are_kept_now(lived, capsys, settings):
    settings.EARLY_EVENTS_HOURS = 0
    assert "2 conversations are equal" in check(capsys)
    assert settings.EARLY_EVENTS_HOURS == 0
    settings.EARLY_EVENTS_HOURS = 24 * 365
    assert "2 conversations are equal" in check(capsys)


def test_what_was_loaded_in_bulk_is_checked_too(event, capsys):
    events = [event("NEW_MESSAGE", id=M), event("NEW_CONVERSATION", id=C)]
    list(ingest_many((json.dumps(event).encode(), NOW) for event in events))
    assert "1 conversations are equal, by 3 deliveries." in check(capsys)


def test_nothing_is_changed(lived, capsys):
    before = list(Delivery.objects.values_list()), list(Message.objects.values_list())
    check(capsys)
    assert before == (list(Delivery.objects.values_list()), list(Message.objects.values_list()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: Message.objects.filter(id=M).update(content="x"), f"{C}: message {M}: content"),
        (lambda: Message.objects.filter(id=N).delete(), f"{C}: 1 messages, and 2 by the log"),
        (lambda: Conversation.objects.filter(pk=D).update(message_count=7), f"{D}: message_count"),
        (
            lambda: Conversation.objects.filter(pk=D).update(wrote_after_closing_at=None),
            f"{D}: wrote_after_closing_at",
        ),
        (lambda: Conversation.objects.filter(pk=D).delete(), f"{D}: is in the log, and not stored"),
        (
            lambda: Delivery.objects.filter(message_id=N, outcome="applied").delete(),
            f"{C}: took 3 events, the log has 2",
        ),
        (
            lambda: Delivery.objects.filter(code="conversation_closed").update(
                outcome="duplicate", code=""
            ),
            "was duplicate, and is conversation_closed by the log before it",
        ),
    ],
)
def test_what_differs_is_listed(lived, capsys, change, said):
    change()
    assert said in found(capsys)


def test_messages_that_search_cannot_find_are_named(lived, capsys):
    MessageWords.objects.filter(message__id=M).delete()
    assert f"{C}: message {M}: not in the search index" in found(capsys)
    call_command("reindex")
    assert "2 conversations are equal" in check(capsys)


def test_a_search_index_of_an_older_version_is_named(lived, capsys):
    said = "The search index has rows of an older version: run manage.py reindex"
    assert said not in check(capsys)
    MessageWords.objects.filter(message__id=M).update(words=["old"])
    assert said in check(capsys)


def test_no_text_is_shown(lived, capsys):
    Message.objects.filter(id=M).update(content="a secret")
    assert "secret" not in found(capsys)
    assert "early" not in found(capsys)


@pytest.mark.erases
def test_what_was_erased_cannot_be_checked(lived, capsys):
    call_command("erase_conversation", C, "--yes")
    said = check(capsys)
    assert "1 conversations are equal" in said
    assert "erased: 1" in said


def test_what_was_pruned_cannot_be_checked(lived, deliver, event, capsys):
    deliver(event("NEW_CONVERSATION", id=M), after=timezone.now() - NOW)
    call_command("prune", "--yes")
    deliver(event("NEW_MESSAGE", id="40000000-0000-4000-8000-000000000000", conversation_id=C))
    said = check(capsys)
    assert "1 conversations are equal" in said
    assert "pruned: 2" in said


def pruned(*, days=90):
    list(pruning.prune(now=NOW, days=days))


def test_a_prune_that_keeps_the_first_row_for_its_replay_makes_no_difference(
    deliver, event, capsys
):
    deliver(event("NEW_MESSAGE", id=M), after=-100 * DAY)
    deliver(event("NEW_CONVERSATION", id=C), after=-98 * DAY)
    for number in range(9):
        deliver(event("NEW_CONVERSATION", id=id_of(number)), after=-98 * DAY)
    apply_again(Delivery.objects.earliest("id"), at=NOW)
    deliver(event("NEW_CONVERSATION", id=D))
    pruned()
    said = check(capsys)
    assert "1 conversations are equal" in said
    assert "pruned: 10" in said


def test_an_opening_that_is_lost_after_a_prune_is_a_difference(deliver, event, capsys):
    deliver(event("NEW_CONVERSATION", id=C), after=-100 * DAY)
    deliver(event("NEW_CONVERSATION", id=id_of(1)), after=-50 * DAY)
    deliver(event("NEW_CONVERSATION", id=D), after=-10 * DAY)
    pruned()
    Delivery.objects.filter(conversation_id=D).delete()
    assert f"{D}: took 1 events, the log has 0" in found(capsys)


def test_a_log_that_was_pruned_altogether_makes_no_difference(lived, capsys):
    list(pruning.prune(now=NOW + 9 * DAY, days=2))
    assert all(delivery.text_digest for delivery in Delivery.objects.all())
    assert "pruned: 2" in check(capsys)
    Conversation.objects.filter(wrote_after_closing_count__gt=0).update(dealt_with_at=NOW)
    list(pruning.prune(now=NOW + 9 * DAY, days=2))
    assert not Delivery.objects.exists()
    assert "pruned: 2" in check(capsys)


def test_the_time_of_the_last_change_is_that_of_a_replay(deliver, event, capsys):
    deliver(event("NEW_MESSAGE", id=M), after=-2 * DAY)
    deliver(event("NEW_CONVERSATION", id=C))
    apply_again(Delivery.objects.earliest("id"), at=NOW + DAY)
    assert Conversation.objects.get().updated_at == NOW + DAY
    check(capsys)
    Conversation.objects.update(updated_at=NOW)
    assert f"{C}: updated_at" in found(capsys)


def test_a_time_that_an_upgrade_estimated_is_not_compared(lived, capsys):
    Change.objects.all().delete()
    Conversation.objects.update(updated_at=NOW + 9 * DAY)
    check(capsys)


@pytest.fixture
def stored_elsewhere(deliver, event):
    """C is closed and refuses a message. D then stores a message with the same id."""
    deliver(event("NEW_CONVERSATION", id=C))
    deliver(event("CLOSE_CONVERSATION", id=C))
    deliver(event("NEW_CONVERSATION", id=D))
    deliver(event("NEW_MESSAGE", id=M))
    deliver(event("NEW_MESSAGE", id=M, conversation_id=D))


def test_a_refusal_whose_message_was_erased_in_another_conversation_is_no_difference(
    stored_elsewhere, capsys
):
    erase(UUID(D), at=NOW)
    assert "1 conversations are equal" in check(capsys)
    Conversation.objects.filter(pk=C).update(opened_at=NOW)
    assert f"{C}: opened_at" in found(capsys)


def test_a_refusal_that_is_numbered_after_what_it_was_decided_before_is_no_difference(
    stored_elsewhere, capsys
):
    stored, refusal = Delivery.objects.order_by("-id")[:2]
    for number, row in ((0, refusal), (refusal.pk, stored), (stored.pk, refusal)):
        Delivery.objects.filter(request_id=row.request_id).update(id=number)
    assert Delivery.objects.latest("id").code == "conversation_closed"
    assert "2 conversations are equal" in check(capsys)
    Conversation.objects.filter(pk=C).update(closed_at=NOW)
    assert f"{C}: closed_at" in found(capsys)


def test_a_refusal_is_told_though_its_message_is_in_a_pruned_conversation_later(
    deliver, event, capsys
):
    deliver(event("NEW_CONVERSATION", id=D), after=-100 * DAY)
    deliver(event("NEW_CONVERSATION", id=id_of(1)), after=-DAY)
    deliver(event("NEW_CONVERSATION", id=C))
    deliver(event("CLOSE_CONVERSATION", id=C))
    deliver(event("NEW_MESSAGE", id=M))
    deliver(event("NEW_MESSAGE", id=M, conversation_id=D))
    assert deliver(event("NEW_MESSAGE", id=M)).code == "id_conflict"
    pruned()
    said = check(capsys)
    assert "2 conversations are equal" in said
    assert "pruned: 1" in said


@pytest.mark.postgresql
def test_a_race_for_one_message_in_two_conversations_is_no_difference(
    deliver, event, capsys, monkeypatch
):
    deliver(event("NEW_CONVERSATION", id=C))
    deliver(event("CLOSE_CONVERSATION", id=C))
    deliver(event("NEW_CONVERSATION", id=D))
    undisturbed = ingest.ingest_into

    def while_another_stores(work, parsed):
        result = undisturbed(work, parsed)
        with monkeypatch.context() as once, ThreadPoolExecutor() as pool:
            once.setattr(ingest, "ingest_into", undisturbed)
            pool.submit(deliver_alone, event("NEW_MESSAGE", id=M, conversation_id=D)).result()
        return result

    def deliver_alone(sent):
        try:
            deliver(sent)
        finally:
            connection.close()

    with monkeypatch.context() as slower:
        slower.setattr(ingest, "ingest_into", while_another_stores)
        assert deliver(event("NEW_MESSAGE", id=M)).code == "conversation_closed"
    assert Delivery.objects.latest("id").code == "conversation_closed"
    assert "2 conversations are equal" in check(capsys)


def test_what_changes_meanwhile_is_left_out(lived, deliver, event, capsys, monkeypatch):
    numbered = rebuilding.last_delivery

    def then_more():
        last = numbered()
        deliver(event("CLOSE_CONVERSATION", id=C))
        return last

    monkeypatch.setattr(rebuilding, "last_delivery", then_more)
    said = check(capsys)
    assert "1 conversations are equal" in said
    assert "changed meanwhile: 1" in said


def test_the_scratch_database_can_be_another_one(lived, capsys, tmp_path):
    url = f"sqlite:///{tmp_path / 'scratch.sqlite3'}"
    assert "2 conversations are equal" in check(capsys, "--database", url)
    with pytest.raises(CommandError, match="not empty"):
        check(capsys, "--database", url)


@pytest.mark.postgresql
def test_the_scratch_database_can_be_on_postgresql(lived, capsys):
    with beside("check") as url:
        assert "2 conversations are equal" in check(capsys, "--database", url)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--check", "--yes"], "leave out --yes"),
        (["--database", "sqlite:////tmp/x"], "--database is"),
        (["--check", "--database", "nonsense"], "not the URL"),
        (["--check", "--database", "postgres://x@127.0.0.1:1/none"], "the database says"),
    ],
)
def test_what_makes_no_sense_is_said(db, arguments, said):
    with pytest.raises(CommandError, match=said):
        call_command("replay", *arguments)


@pytest.mark.parametrize("is_replayed", [True, False])
def test_what_a_prune_keeps_of_an_older_day_shows_not_how_far_it_went(
    deliver, event, capsys, settings, is_replayed
):
    """The prune keeps the original of a kept replay, or a waiting early event."""
    settings.EARLY_EVENTS_HOURS = 24 if is_replayed else 24 * 60
    deliver(event("NEW_MESSAGE", id=M, conversation_id=D), after=-40 * DAY)
    deliver(event("NEW_CONVERSATION", id=C), after=-39 * DAY)
    deliver(event("NEW_MESSAGE", id=N), after=-DAY)
    if is_replayed:
        deliver(event("NEW_CONVERSATION", id=D), after=-DAY)
        apply_again(Delivery.objects.get(code="conversation_not_found"), at=NOW)
    list(pruning.prune(now=NOW, days=30))
    assert Delivery.objects.order_by("id").first().message_id == UUID(M)
    assert not Delivery.objects.filter(conversation_id=C, type="NEW_CONVERSATION").exists()
    assert "pruned: 1" in check(capsys)


def test_a_body_about_an_erased_conversation_is_a_difference(lived, capsys):
    erase(UUID(C), at=NOW + DAY)
    assert "erased: 1" in check(capsys)
    row = Delivery.objects.filter(conversation_id=C).first()
    Delivery.objects.filter(pk=row.pk).update(body=b"{}")
    assert f"{C}: is erased, and the log has bodies about it" in found(capsys)


# Changes for following programs


def change_by_hand(**fields):
    middle = Change.objects.filter(conversation_id=C).order_by("id")[1]
    Change.objects.filter(pk=middle.pk).update(**fields)


@pytest.mark.parametrize(
    "fields", [{"type": "closed"}, {"message_id": UUID(D)}, {"at": NOW + timedelta(seconds=1)}]
)
def test_a_change_of_another_kind_message_or_time_is_a_difference(lived, capsys, fields):
    change_by_hand(**fields)
    assert f"{C}: change 2: {next(iter(fields))}" in found(capsys)


def test_changes_in_another_order_are_a_difference(lived, capsys):
    last = Change.objects.order_by("-id").values_list("id", flat=True).first()
    change_by_hand(id=last + 1)
    assert f"{C}: change 2: " in found(capsys)


@pytest.mark.parametrize("after", [timedelta(0), DAY])
def test_a_missing_change_is_a_difference_unless_it_may_be_pruned(deliver, event, capsys, after):
    deliver(event("NEW_CONVERSATION", id=D))
    deliver(event("NEW_CONVERSATION", id=C), after=after)
    Change.objects.filter(conversation_id=C).delete()
    if after:
        assert f"{C}: 0 changes, and 1 by the log" in found(capsys)
    else:
        assert "2 conversations are equal" in check(capsys)


def test_one_change_too_many_is_a_difference(lived, capsys):
    Change.objects.create(type=Change.Type.MESSAGE, conversation_id=C, message_id=UUID(N), at=NOW)
    assert f"{C}: 4 changes, and 3 by the log" in found(capsys)


def test_changes_that_no_event_makes_are_not_compared(lived, capsys):
    Change.objects.create(type=Change.Type.DEALT_WITH, conversation_id=C, at=NOW)
    assert "2 conversations are equal" in check(capsys)


def test_pruned_changes_are_no_difference(lived, capsys):
    Change.objects.place()
    list(pruning.prune_changes(pruning.outdated_changes(now=NOW + 1.5 * DAY, days=1)))
    assert Change.objects.count() == 2
    assert "2 conversations are equal" in check(capsys)


def test_what_was_erased_during_the_check_is_no_difference(lived, capsys, monkeypatch):
    compared = rebuilding.Check.differences

    def erase_first(self):
        erase(UUID(C), at=NOW + DAY)
        return compared(self)

    monkeypatch.setattr(rebuilding.Check, "differences", erase_first)
    said = check(capsys)
    assert "changed meanwhile: 1" in said
