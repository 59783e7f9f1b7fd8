"""`replay --check` finds no difference after random allowed histories, and finds each change by hand."""

import json
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Exists, OuterRef
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as some

from chat.database.statements import execute
from chat.events import dealing
from chat.events.ingest import ingest, replay
from chat.models import Change, Conversation, Dealing, Delivery, Message, MessageWords
from chat.upkeep import comparing, copying, pruning, rebuilding
from chat.upkeep.erasure import erase
from tests.conftest import NOW, id_of, make_event

pytestmark = pytest.mark.both_engines("random histories, two engines")

CONVERSATIONS = [id_of(number) for number in range(1, 7)]
MESSAGES = [id_of(number) for number in range(11, 19)]
DAY = timedelta(days=1)
NEAR = timedelta(minutes=1)
CODES = ["conversation_not_found", "conversation_closed", "id_conflict", "invalid_event"]


# Histories: each step is a function of the service, and the service has a clock


class Service:
    def __init__(self):
        self.now = NOW
        self.sent = []

    def deliver(self, body):
        self.sent.append(body)
        return ingest(body, received_at=self.now)

    def redeliver(self, number):
        if self.sent:
            self.deliver(self.sent[number % len(self.sent)])

    def replay(self, codes):
        chosen = Delivery.objects.worth_applying_again(codes)
        for id in list(chosen.as_they_happened().values_list("pk", flat=True)):
            if delivery := chosen.filter(pk=id).first():
                replay(delivery, at=self.now)

    def prune(self, days):
        """Prune. Changes are kept for longer than deliveries."""
        list(pruning.prune(now=self.now, days=days))
        list(pruning.prune_changes(pruning.outdated_changes(now=self.now, days=2 * days)))

    def upgrade(self):
        """Upgrade from 0.1.0, which had no changes, so `updated_at` is an estimate."""
        Change.objects.all().delete()
        Conversation.objects.update(updated_at=self.now)

    def deal(self, id):
        found = Conversation.objects.find(UUID(id))
        if found:
            seen = found.wrote_after_closing_count
            dealing.deal_with(found.pk, by=None, seen=seen, at=self.now)

    def take_back(self, id):
        dealing.undo(UUID(id), by=None, at=self.now)

    def race(self, refused, stored):
        """Two deliveries of one message, numbered as PostgreSQL may number them: the second one decides first."""
        codes = [self.deliver(refused).code, self.deliver(stored).code]
        if codes in (["conversation_closed", ""], ["conversation_not_found", ""]):
            second, first = Delivery.objects.order_by("-id").values_list("request_id", "id")[:2]
            renumber({first[0]: 0})
            renumber({second[0]: first[1]})
            renumber({first[0]: second[1]})


def renumber(ids):
    for request_id, id in ids.items():
        Delivery.objects.filter(request_id=request_id).update(id=id)


def body_of(type, at, **data):
    spelled = (NOW + timedelta(hours=at)).isoformat()
    return json.dumps(make_event(type, at=spelled, **data)).encode()


hours = some.sampled_from([-48, 0, 1, 2, 3, 24 * 30])
conversations = some.sampled_from(CONVERSATIONS)
openings = some.builds(body_of, some.just("NEW_CONVERSATION"), hours, id=conversations)
closings = some.builds(body_of, some.just("CLOSE_CONVERSATION"), hours, id=conversations)
messages = some.builds(
    body_of,
    some.just("NEW_MESSAGE"),
    hours,
    id=some.sampled_from(MESSAGES),
    conversation_id=conversations,
    direction=some.sampled_from(["RECEIVED", "RECEIVED", "SENT"]),
    content=some.sampled_from(["Olá", "Bom dia"]),
)


def weighted(strategies):
    """Choose a strategy, weighted by the numbers. `one_of` would count equal strategies once."""
    chosen = [strategy for strategy, number in strategies for _ in range(number)]
    return some.sampled_from(chosen).flatmap(lambda strategy: strategy)


bodies = weighted([(openings, 3), (messages, 6), (closings, 2), (some.just(b"{"), 1)])


def step(name, *arguments):
    return some.tuples(some.just(name), *arguments)


steps = weighted(
    [
        (step("deliver", bodies), 24),
        (step("redeliver", some.integers(0, 30)), 4),
        (step("replay", some.just(CODES[:1])), 2),
        (step("replay", some.just(CODES)), 1),
        (step("race", messages, messages), 2),
        (step("erase", conversations), 1),
        (step("prune", some.sampled_from([20, 90])), 1),
        (step("upgrade"), 1),
        (step("deal", conversations), 2),
        (step("take_back", conversations), 1),
    ]
)
waits = some.sampled_from([DAY, timedelta(0), timedelta(minutes=5), 15 * DAY])
anything = some.lists(some.tuples(waits, steps), min_size=3, max_size=12)


def said(id, conversation_id, at=1):
    return body_of("NEW_MESSAGE", at, id=id, conversation_id=conversation_id)


def opened(id):
    return 2 * DAY, ("deliver", body_of("NEW_CONVERSATION", 0, id=id))


def closed(id):
    return DAY, ("deliver", body_of("CLOSE_CONVERSATION", 2, id=id))


def replayed_late(message, wait, ids):
    """A message comes too early, and a replay applies the message days later."""
    early = DAY, ("deliver", said(message, ids[0]))
    return [early, opened(ids[0]), (wait, ("replay", CODES[:1])), (10 * DAY, ("prune", 10))]


def raced(message, wait, ids):
    """Return steps: a closed conversation and an open one get the same message at once."""
    race = wait, ("race", said(message, ids[0]), said(message, ids[1]))
    return [opened(ids[0]), opened(ids[1]), closed(ids[0]), race]


def stored_elsewhere(message, wait, ids):
    """An open conversation stores a message refused by a closed one. The message may be erased."""
    both = [(wait, ("deliver", said(message, id))) for id in ids[:2]]
    erased = [(DAY, ("erase", ids[1]))] if wait else []
    return [opened(ids[0]), opened(ids[1]), closed(ids[0]), *both, *erased]


chapters = some.builds(
    lambda chapter, *arguments: chapter(*arguments),
    some.sampled_from([replayed_late, raced, stored_elsewhere]),
    some.sampled_from([id_of(number) for number in range(21, 41)]),
    waits,
    some.permutations(CONVERSATIONS),
)
histories = some.lists(weighted([(anything, 1), (chapters, 2)]), min_size=2, max_size=6).map(
    lambda parts: [step for part in parts for step in part]
)


def live(history):
    service = Service()
    for wait, (name, *arguments) in history:
        service.now += wait
        if name == "erase":
            erase(UUID(arguments[0]), at=service.now)
        else:
            getattr(service, name)(*arguments)


# The check, in one scratch database for all histories


@pytest.fixture
def check(scratch_database, tmp_path):
    with copying.target(f"sqlite:///{tmp_path / 'scratch.sqlite3'}") as scratch:
        execute("PRAGMA synchronous = OFF", using=scratch)

        def check():
            for model in (Delivery, Change, MessageWords, Message, Conversation):
                model.objects.using(scratch).all().delete()
            check = rebuilding.Check(rebuilding.last_delivery(), scratch)
            list(check.feed())
            return check, [
                f"{each.conversation_id}: {each.detail}" for each in check.differences() if each
            ]

        yield check


# Changes by hand


OTHERWISE = {
    models.DateTimeField: lambda value: value + timedelta(seconds=1) if value else NOW,
    models.TextField: lambda value: f"{value}x",
    models.BooleanField: lambda value: not value,
    models.IntegerField: lambda value: value + 1,
    models.BigAutoField: lambda value: value + 1_000_000,
    models.UUIDField: lambda value: UUID(id_of(99)),
}


def other_value(field, value):
    if field.choices:
        return next(choice for choice, _ in field.choices if choice != value)
    if field.name == "conversation":
        return Conversation.objects.exclude(pk=value).values_list("pk", flat=True).first()
    if isinstance(field, models.CharField):
        return f"{value[:-1]}y"
    return next(change(value) for kind, change in OTHERWISE.items() if isinstance(field, kind))


def stored_fields(checked):
    """Yield each stored field of the checked conversations, of their messages and changes."""
    for model, rows, left_out in (
        (
            Conversation,
            Conversation.objects.filter(pk__in=checked),
            {"id", *comparing.UNTOLD_FIELDS},
        ),
        (Message, Message.objects.filter(conversation__in=checked), set()),
        (Change, Change.objects.filter(conversation_id__in=checked), {"id", "position"}),
    ):
        for row in rows.order_by("pk"):
            for field in model._meta.concrete_fields:
                if not field.generated and field.name not in left_out:
                    yield row, field


def is_told(row, field):
    """Whether the log tells the field. docs/reliability.md names the exceptions."""
    if isinstance(row, Change):
        return is_change_told(row, field)
    if field.name == "activity_at":
        return not row.wrote_after_closing_count or is_writing_after_closing_told(row.pk)
    by_writing = ("wrote_after_closing_at", "wrote_after_closing_count", "updated_at")
    if field.name not in ("revision", *by_writing):
        return True
    if is_near_a_prune(Delivery.objects.filter(conversation_id=row.pk)):
        return False
    if field.name == "revision":
        return True
    if not is_writing_after_closing_told(row.pk):
        return False
    if field.name != "updated_at":
        return True
    is_dealt = Dealing.objects.filter(conversation=row.pk).exists()
    return Change.objects.filter(conversation_id=row.pk).exists() and not is_dealt


def is_writing_after_closing_told(conversation_id):
    log = Delivery.objects.filter(conversation_id=conversation_id)
    if is_near_a_prune(log):
        return False
    closed = log.filter(code="conversation_closed")
    elsewhere = Message.objects.filter(id=OuterRef("message_id")).exclude(
        conversation=conversation_id
    )
    return not (closed.filter(body=b"").exists() or closed.filter(Exists(elsewhere)).exists())


def is_change_told(row, field):
    """Whether the log tells of the change. After a prune, the oldest change of a conversation may be missing."""
    values = {row.type, other_value(field, row.type)} if field.name == "type" else {row.type}
    if "wrote_after_closing" in values and not is_writing_after_closing_told(row.conversation_id):
        return False
    if field.name != "conversation_id":
        return True
    first = Change.objects.filter(conversation_id=row.conversation_id).earliest("id")
    return row != first or row.at >= Change.objects.earliest("id").at + NEAR


def is_near_a_prune(log):
    """Whether the conversation was opened about as early as the oldest row left by a prune."""
    if Delivery.objects.filter(pk=1).exists() and Delivery.objects.count() == last_number():
        return False
    replays = Delivery.objects.filter(replays=OuterRef("pk"))
    ordinary = Delivery.objects.exclude(Exists(replays)).exclude(code="conversation_not_found")
    ordinary = ordinary.filter(text_digest=None)
    oldest = ordinary.earliest("received_at").received_at
    opening = log.get(type="NEW_CONVERSATION", outcome="applied")
    return opening.received_at < oldest + NEAR


def last_number():
    return Delivery.objects.latest("id").pk


def changed_by_hand(row, field):
    """Change one field. Return whether the database took the change, and the field is another one."""
    value = other_value(field, getattr(row, field.attname))
    if value is None:
        return False
    try:
        with transaction.atomic():
            type(row).objects.filter(pk=row.pk).update(**{field.attname: value})
    except IntegrityError:
        return False
    return True


# The proofs


@pytest.fixture
def undone():
    """Run a function, and then undo its changes in the database."""

    def undone(function):
        point = transaction.savepoint()
        try:
            return function()
        finally:
            transaction.savepoint_rollback(point)

    return undone


def begin_with_delivery_1():
    """Restart the numbers on PostgreSQL, like the log of a new service. SQLite itself restarts with an empty table."""
    if connection.vendor == "postgresql":
        execute("SELECT setval('chat_delivery_id_seq', 1, false)")


@pytest.mark.django_db
@pytest.mark.proof
def test_allowed_histories_have_no_difference_and_each_change_by_hand_has_one(
    rounds, check, undone
):
    tally = Counter()

    @settings(
        max_examples=rounds(quick=10, ci=15, long=300),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(history=histories, data=some.data())
    def silent_until_a_change(history, data):
        undone(lambda: one_history(history, data))

    def one_history(history, data):
        begin_with_delivery_1()
        live(history)
        done, differences = check()
        assert differences == []
        tally["histories"] += 1
        tally["conversations"] += done.equal
        checked = set(Conversation.objects.values_list("pk", flat=True)) - done._left_out
        told = [pair for pair in stored_fields(checked) if is_told(*pair)]
        for row, field in data.draw(some.permutations(told))[:8] if told else []:
            undone(lambda row=row, field=field: one_change(row, field))

    def one_change(row, field):
        if not changed_by_hand(row, field):
            return
        conversation = row.pk if isinstance(row, Conversation) else row.conversation_id
        _, differences = check()
        assert any(str(conversation) in each for each in differences), field
        tally["changes"] += 1
        event(f"changed {type(row).__name__}.{field.name}")

    try:
        silent_until_a_change()
    finally:
        print(dict(tally))
