"""chat/database/statements.py: each helper compared with its queryset or save()."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.contrib.sessions.models import Session
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, connections, models, transaction
from django.test.utils import CaptureQueriesContext

from chat.database import statements
from chat.database.statements import Known, Lookup, execute, insert, new, update
from chat.models import (
    CHANGED_BY_A_MESSAGE,
    Change,
    Conversation,
    Delivery,
    Message,
    MessageWords,
    Token,
    User,
)
from chat.text.expressions import Term
from chat.upkeep import copying
from tests.databases import beside

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_engines("each engine has SQL of its own"),
]

AT = datetime(2025, 2, 21, 10, 20, 41, 349308, UTC)
IN_ANOTHER_ZONE = datetime(2025, 2, 20, 22, 20, 41, tzinfo=timezone(timedelta(hours=-3)))
# Control characters, signs of SQL and of its parameters, two scripts, and a character of four bytes.
HARD = "Olá \U0001f600 é ünï 'x' \"y\" `z` 100 % %s %(a)s %% ? $1 \\ ; -- \t\r\n\x01\x1f\x7f \u202e שלום"
LARGE = 2**63 - 1


def scattered(n: int) -> UUID:
    """Return the n-th id. Ids do not sort by n."""
    return UUID(f"{(n * 40_503) % 65_536:08x}-0000-4000-8000-{n:012x}")


def conversation(n, **values):
    """Return the n-th conversation. Odd ones are closed, with null in every nullable column of closed ones."""
    given = {
        "id": scattered(n),
        "opened_at": AT + timedelta(days=n),
        "activity_at": AT - timedelta(microseconds=n),
        "updated_at": AT,
        "revision": LARGE - n,
    }
    if n % 2:
        given |= {"state": "CLOSED", "closed_at": datetime(1970, 1, 1, tzinfo=UTC)}
    else:
        given |= {
            "waiting_since": AT,
            "last_message_at": datetime(2999, 12, 31, 23, 59, 59, 999999, UTC),
            "last_message_direction": "RECEIVED",
            "last_message_preview": HARD,
            "message_count": 2**31 - 1,
        }
    return Conversation(**given | values)


def message(n, **values):
    given = {
        "id": scattered(n),
        "conversation_id": scattered(0),
        "direction": ["SENT", "RECEIVED"][n % 2],
    }
    given |= {"content": f"{n} {HARD}", "timestamp": IN_ANOTHER_ZONE, "received_at": AT}
    given |= {"late": n % 3 == 0}
    return Message(**given | values)


def delivery(n, **values):
    given = {"received_at": AT, "body": bytes(range(256)) * n, "request_id": scattered(n)}
    if n % 2:
        given |= {"outcome": "refused", "code": "invalid_json"}
    else:
        given |= {"outcome": "applied", "type": "NEW_MESSAGE", "timestamp": AT, "webhook_id": HARD}
        given |= {"conversation_id": scattered(0), "message_id": scattered(n)}
    return Delivery(**given | values)


def session(n, **values):
    return Session(
        **{"session_key": f"{HARD[:30]}{n}", "session_data": HARD, "expire_date": AT} | values
    )


def user(n, **values):
    given = {"username": f"{HARD}{n}"[-150:], "first_name": HARD[:50], "is_staff": n % 2 == 0}
    given |= {"last_login": None if n % 2 else AT, "date_joined": AT, "is_active": n % 3 == 0}
    return User(**given | values)


def token(n, **values):
    given = {"name": f"{HARD[:80]}{n}", "digest": f"{n:064x}", "created_at": AT}
    return Token(**given | {"revoked_at": AT if n % 2 else None} | values)


# Each model with its maker, and with a unique field known before the insert.
MAKERS = {
    Conversation: (conversation, "id"),
    Message: (message, "id"),
    Delivery: (delivery, "request_id"),
    Session: (session, "session_key"),
    User: (user, "username"),
    Token: (token, "digest"),
}
every_model = pytest.mark.parametrize("model", MAKERS, ids=lambda model: model.__name__)


def is_counted(field):
    return isinstance(field, models.AutoField)


def made(model, numbers, *, using=DEFAULT_DB_ALIAS):
    """Return rows not stored yet. Stores the rows behind their foreign keys."""
    if model is Message:
        conversation(0).save(using=using)
    make, _ = MAKERS[model]
    return [make(n) for n in numbers]


def saved(model, numbers, *, using=DEFAULT_DB_ALIAS):
    rows = made(model, numbers, using=using)
    for row in rows:
        row.save(using=using, force_insert=True)
    return rows


def stored(model, *, using=DEFAULT_DB_ALIAS):
    """Return all columns but generated numbers, because no rollback takes these back."""
    names = [field.attname for field in model._meta.concrete_fields if not is_counted(field)]
    _, unique = MAKERS[model]
    return list(model.objects.using(using).order_by(unique).values(*names))


def after_each(model, *acts):
    """Run each act in a transaction, and roll back. Return the stored rows after each act."""
    outcomes = []
    for act in acts:
        with transaction.atomic():
            act()
            outcomes.append(stored(model))
            transaction.set_rollback(True)
    return outcomes


def parts_of(row):
    """Return the types and values of a row, its class, and its database."""
    if row is None:
        return None
    values = [getattr(row, field.attname) for field in row._meta.concrete_fields]
    return [*map(type, values)], values, type(row), row._state.db, row._state.adding


def queries(using=DEFAULT_DB_ALIAS):
    return CaptureQueriesContext(connections[using])


# Lookup


KEYS = [
    *[(Conversation, "id"), (Message, "id"), (Message, "arrival"), (Delivery, "id")],
    *[(Session, "session_key"), (User, "id"), (User, "username"), (Token, "digest")],
]
every_key = pytest.mark.parametrize(
    ("model", "key"), KEYS, ids=[f"{model.__name__}-{key}" for model, key in KEYS]
)


def absent(model, key):
    return model._meta.get_field(key).to_python(f"{99_999:032}")


@every_key
def test_a_lookup_finds_what_the_queryset_finds(model, key):
    saved(model, range(1, 6))
    find = Lookup(model.objects.all(), by=key)
    ids = [*model.objects.values_list(key, flat=True), absent(model, key)]
    for id in ids:
        assert parts_of(find(id)) == parts_of(model.objects.filter(**{key: id}).first())
    assert [find(id) is not None for id in ids[-2:]] == [True, False]


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 7, 8, 9])
@every_key
def test_rows_among_ids_are_those_of_the_queryset(model, key, rows, monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", 4)
    saved(model, range(1, 12))
    ids = list(model.objects.order_by(key).values_list(key, flat=True))[:rows]
    asked = [*reversed(ids), *ids[:1], absent(model, key)]
    found = Lookup(model.objects.all(), by=key).among(asked)
    originals = model.objects.filter(**{f"{key}__in": asked})
    assert {id: parts_of(row) for id, row in found.items()} == {
        getattr(row, key): parts_of(row) for row in originals
    }
    assert len(found) == rows


def test_a_lookup_is_by_the_id_unless_told_otherwise():
    (row,) = saved(Message, [1])
    assert Lookup(Message.objects.all())(row.id) == row


def test_rows_of_an_ordered_queryset_are_read_in_the_order_of_their_ids(monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", 4)
    saved(Conversation, range(9))
    find = Lookup(Conversation.objects.select_for_update().order_by("pk"))
    with transaction.atomic(), queries() as asked:
        found = find.among([scattered(n) for n in range(12)])
    in_order = Conversation.objects.order_by("pk").values_list("pk", flat=True)
    assert list(found) == list(in_order)
    assert len(asked) == 3
    locks = "FOR UPDATE" if connection.vendor == "postgresql" else ""
    assert all(query["sql"].endswith(f'"id" ASC {locks}'.strip()) for query in asked)


def test_nothing_is_asked_for_no_ids():
    with queries() as asked:
        assert Lookup(Message.objects.all()).among([]) == {}
    assert len(asked) == 0


def test_a_lookup_is_one_query_and_looks_again_each_time():
    find = Lookup(User.objects.all())
    (row,) = saved(User, [1])
    with queries() as asked:
        assert find(row.pk).first_name == HARD[:50]
        User.objects.update(first_name="another")
        assert find(row.pk).first_name == "another"
    assert len(asked) == 3


@pytest.mark.parametrize("id", [None, "1", "one", "\u0661", -1, 2**40])
def test_what_a_session_may_hold_for_a_user_finds_what_the_queryset_finds(id):
    saved(User, [1])
    find = Lookup(User.objects.all())
    assert sascattered(find, id) == sascattered(lambda pk: User.objects.filter(pk=pk).first(), id)


def sascattered(find, id):
    try:
        return parts_of(find(id))
    except ValueError as error:
        return type(error)


# Known


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 9])
def test_known_are_the_values_of_the_queryset_each_once(rows, monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", 4)
    for n in range(1, 12):
        delivery(n, conversation_id=scattered(n // 2)).save()
    refused = Delivery.objects.filter(code="invalid_json").order_by("-id")
    asked = [scattered(n) for n in range(rows)]
    found = Known(refused, by="conversation_id").among(asked)
    assert found == set(
        refused.filter(conversation_id__in=asked).values_list("conversation_id", flat=True)
    )
    assert len(found) == min(rows, 6)


def test_known_are_found_again_for_other_values_and_in_one_query():
    delivery(1, conversation_id=scattered(1)).save()
    known = Known(Delivery.objects.filter(code="invalid_json"), by="conversation_id")
    with queries() as asked:
        assert known.among([scattered(2)]) == set()
        assert known.among([scattered(1)]) == {scattered(1)}
    assert len(asked) == 2


def test_times_that_occur_twice_are_stored_apart():
    """Python takes the two times for equal, so a cache would mix them up."""
    zone = ZoneInfo("America/Sao_Paulo")
    first = datetime(2018, 2, 17, 23, 30, tzinfo=zone)
    rows = [conversation(0, opened_at=first), conversation(2, opened_at=first.replace(fold=1))]
    insert(*rows)
    opened = list(Conversation.objects.order_by("opened_at").values_list("opened_at", flat=True))
    assert opened[1] - opened[0] == timedelta(hours=1)


@pytest.mark.django_db(transaction=True)
def test_keys_are_set_only_in_a_transaction_and_only_where_they_are_generated():
    rows = made(Message, [1])
    with pytest.raises(AssertionError):
        insert(*rows, with_keys=True)
    with transaction.atomic(), pytest.raises(AssertionError):
        insert(conversation(2), with_keys=True)
    assert not Message.objects.exists()


# new


def test_a_new_row_is_what_the_model_makes(every_written_model):
    model, values = every_written_model
    assert vars_of(new(model, **values)) == vars_of(model(**values))
    assert vars_of(new(model)) == vars_of(model())


@pytest.fixture(
    params=[Change, Conversation, Delivery, Message, MessageWords], ids=lambda m: m.__name__
)
def every_written_model(request):
    model = request.param
    if model in MAKERS:
        row = MAKERS[model][0](1)
        names = [field.attname for field in model._meta.concrete_fields if not field.generated]
        return model, {name: getattr(row, name) for name in names}
    if model is Change:
        return model, {"type": Change.Type.OPENED, "conversation_id": scattered(1), "at": AT}
    return model, {"message_id": 7, "words": ["boleto"]}


def vars_of(row):
    state = type(row), row._state.db, row._state.adding, row._state.fields_cache
    return {name: value for name, value in vars(row).items() if name != "_state"}, state


def test_two_new_rows_share_no_state():
    first, second = new(Message, content="a"), new(Message, content="b")
    first._state.db = "other"
    first.content = "c"
    assert (second._state.db, second.content) == (None, "b")
    assert new(Message).content == ""


def test_a_new_row_has_only_the_columns_of_its_model():
    with pytest.raises(TypeError, match="Message has no attribute contents"):
        new(Message, contents="a")


def test_a_model_whose_defaults_differ_from_row_to_row_is_refused():
    with pytest.raises(TypeError, match="User"):
        new(User, username="ana")


# insert


@every_model
@pytest.mark.parametrize("rows", [0, 1, 2, 4, 5, 9])
def test_inserted_rows_are_stored_as_saved_ones_are(model, rows, monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", 4)
    rows = made(model, range(1, 1 + rows))

    def save_all():
        for row in made(model, range(1, 1 + len(rows))):
            row.save_base(raw=True, force_insert=True)  # without overridden save() and signals

    by_save, by_insert = after_each(model, save_all, lambda: insert(*rows))
    assert by_insert == by_save
    assert len(by_insert) == len(rows)


@pytest.mark.parametrize("model", [model for model in MAKERS if is_counted(model._meta.pk)])
@pytest.mark.parametrize("count", [1, 4, 9])
def test_an_inserted_row_has_the_key_under_which_it_is_stored(model, count, monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", 4)
    saved(model, [100, 101])
    model.objects.order_by("-pk").first().delete()  # its key is not given again
    rows = made(model, range(1, 1 + count))
    insert(*rows, with_keys=True)
    _, unique = MAKERS[model]
    for row in rows:
        assert model.objects.get(pk=row.pk) == model.objects.get(**{unique: getattr(row, unique)})
    keys = [row.pk for row in rows]
    assert keys == sorted(set(keys))


def test_an_insert_without_keys_asks_for_none():
    rows = made(Message, range(1, 4))
    with queries() as asked:
        insert(*rows)
    assert [row.pk for row in rows] == [None] * 3
    assert len(asked) == 1
    assert "RETURNING" not in asked.captured_queries[0]["sql"]


def test_an_insert_is_one_query_for_each_part_or_on_sqlite_for_all(monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", 4)
    for rows, count in [(0, 0), (1, 1), (4, 1), (5, 2), (9, 3)]:
        new = made(Conversation, range(100 * rows, 101 * rows))
        with queries() as asked:
            insert(*new)
        assert len(asked) == (min(count, 1) if connection.vendor == "sqlite" else count)


def test_words_are_indexed_as_saved_ones_are():
    found = []
    for write in (lambda row: row.save(force_insert=True), insert):
        with transaction.atomic():
            for row in [MessageWords(message_id=n, words=WORDS[n]) for n in WORDS]:
                write(row)
            found.append({word: hits(word) for words in WORDS.values() for word in words})
            transaction.set_rollback(True)
    by_save, by_insert = found
    assert by_insert == by_save
    assert by_insert["boleto"] == [1, 2]
    assert by_insert["açúcar"] == [2]


WORDS = {1: ["boleto", "pago"], 2: ["açúcar", "boleto", "2025"], 3: [], 4: ["שלום"], LARGE: ["fim"]}


def hits(word):
    found = MessageWords.objects.filter(words__find=Term(word)).order_by("pk")
    return list(found.values_list("pk", flat=True))


def test_an_insert_of_what_is_there_fails_as_a_save_does():
    for write in (lambda row: row.save(force_insert=True), insert):
        with transaction.atomic():
            write(*made(Conversation, [1]))
            with pytest.raises(IntegrityError), transaction.atomic():
                write(*made(Conversation, [1]))
            transaction.set_rollback(True)


# update

LATER = AT + timedelta(microseconds=1)
CHANGES = {
    Conversation: [
        *({"revision": LARGE}, {"message_count": 0}, {"activity_at": LATER}, {"opened_at": LATER}),
        *({"waiting_since": None}, {"waiting_since": LATER}, {"last_message_at": None}),
        *({"last_message_direction": ""}, {"last_message_preview": f"{HARD} 2"}),
        {"wrote_after_closing_at": LATER},
        {"state": "CLOSED", "closed_at": LATER, "waiting_since": None, "revision": 1},
        {name: getattr(conversation(0), name) for name in CHANGED_BY_A_MESSAGE},
    ],
    Message: [
        *({"id": scattered(99)}, {"content": ""}, {"direction": "RECEIVED", "late": True}),
        *(
            {"timestamp": LATER, "late": False},
            {"conversation_id": scattered(0), "received_at": LATER},
        ),
    ],
    Delivery: [
        *({"body": b""}, {"body": b"\x00%s'\xff"}, {"type": None, "timestamp": None}),
        *(
            {"conversation_id": None, "message_id": scattered(0)},
            {"outcome": "refused", "code": HARD[:40]},
        ),
    ],
    Session: [{"session_data": f"{HARD} 2"}, {"expire_date": LATER}],
    User: [{"username": "'; --"}, {"is_active": False, "is_staff": True}, {"last_login": None}],
    Token: [{"name": HARD[::-1]}, {"last_used_at": LATER, "revoked_at": AT}],
}


def each_change():
    for model, changes in CHANGES.items():
        for change in changes:
            unnamed = next(other for other in changes if other.keys().isdisjoint(change))
            yield pytest.param(model, change, unnamed, id=f"{model.__name__}-{'-'.join(change)}")


@pytest.mark.parametrize(("model", "change", "unnamed"), [*each_change()])
def test_updated_rows_are_stored_as_saved_ones_are(model, change, unnamed):
    saved(model, range(1, 9))
    _, unique = MAKERS[model]

    def several():
        """Return the 2nd, 4th and 6th row, changed but not saved. Only one row for a unique value."""
        found = list(model.objects.order_by(unique).filter(pk__in=even_ones(model)))
        found = found[:1] if change.keys() & {unique, "name"} else found[:3]
        for row in found:
            for name, value in (change | unnamed).items():
                setattr(row, name, value)
        return found

    def save_all():
        for row in several():
            models.Model.save(row, force_update=True, update_fields=names_of(model, change))

    before = stored(model)
    by_save, by_update = after_each(
        model, save_all, lambda: update(*several(), names=names_of(model, change))
    )
    assert by_update == by_save
    assert by_update != before
    assert stored(model) == before


def even_ones(model):
    _, unique = MAKERS[model]
    wanted = [getattr(row, unique) for row in made(model, range(2, 9, 2))]
    return model.objects.filter(**{f"{unique}__in": wanted}).values("pk")


def names_of(model, change):
    return [model._meta.get_field(name).name for name in change]


def test_a_replay_is_stored_as_a_saved_one_is():
    first, replay = saved(Delivery, [1, 2])
    replay.replays = first
    by_save, by_update = after_each(
        Delivery,
        lambda: replay.save(force_update=True, update_fields=["replays"]),
        lambda: update(replay, names=["replays"]),
    )
    assert by_update == by_save
    assert first.pk in [row["replays_id"] for row in by_update]


def test_updated_words_are_found_as_saved_ones_are():
    row = MessageWords(message_id=1, words=["boleto"])
    row.save(force_insert=True)
    row.words = ["açúcar", "pago"]
    found = []
    for write in (
        lambda: row.save(force_update=True, update_fields=["words"]),
        lambda: update(row, names=["words"]),
    ):
        with transaction.atomic():
            write()
            found.append([hits("boleto"), hits("açúcar"), hits("pago")])
            transaction.set_rollback(True)
    assert found == [[[], [1], [1]]] * 2


def test_an_update_of_any_number_of_rows_is_one_statement():
    rows = saved(Conversation, range(9))
    for count in (0, 1, 2, 9):
        with queries() as asked:
            update(*rows[:count], names=["revision"])
        assert len(asked) == min(count, 1)


def test_an_update_of_no_column_changes_nothing():
    (row,) = saved(Conversation, [0])
    row.message_count = 1
    with queries() as asked:
        row.save(force_update=True, update_fields=[])
        update(row, names=[])
    assert len(asked) == 0


# execute


@pytest.mark.parametrize(
    ("statement", "params"),
    [
        ("SELECT request_id, body FROM chat_delivery ORDER BY id", ()),
        ("SELECT code FROM chat_delivery WHERE code = %s", [HARD[:40]]),
        ("SELECT CAST(%s AS text), 5 %% 3", (HARD,)),
        ("SELECT id FROM chat_delivery WHERE id < %s", [0]),
        ("UPDATE chat_delivery SET webhook_id = %s", [HARD]),
        ("DELETE FROM chat_delivery", ()),
    ],
)
def test_a_statement_gives_the_first_row_that_a_cursor_gives(statement, params):
    saved(Delivery, range(1, 4))

    def by_cursor():
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
            said.append(cursor.fetchone() if cursor.description else None)

    said = []
    stored_by = after_each(Delivery, by_cursor, lambda: said.append(execute(statement, params)))
    assert said[0] == said[1]
    assert stored_by[0] == stored_by[1]


def test_a_statement_is_one_query():
    with queries() as asked:
        execute("SELECT 1")
    assert len(asked) == 1


# Connections


@pytest.fixture(
    params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def other(request, tmp_path, second_database):
    """The alias of another database. Runs once for each engine."""
    if request.param == "sqlite":
        with copying.target(f"sqlite:///{tmp_path / 'other.sqlite3'}") as alias:
            yield alias
        return
    with beside("statements") as url, copying.target(url) as alias:
        yield alias


@pytest.mark.django_db(transaction=True)
def test_each_helper_works_on_another_database_and_on_that_alone(other):
    for model in MAKERS:
        key = MAKERS[model][1]
        find = Lookup(model.objects.all(), by=key)
        insert(*made(model, range(1, 4)))
        insert(*made(model, range(1, 6), using=other), using=other)
        for alias, count in [(DEFAULT_DB_ALIAS, 3), (other, 5), (DEFAULT_DB_ALIAS, 3)]:
            rows = model.objects.using(alias).exclude(
                pk=scattered(0) if model is Conversation else None
            )
            assert len(rows) == count
            for row in rows:
                assert parts_of(find(getattr(row, key), using=alias)) == parts_of(row)
            ids = [getattr(row, key) for row in rows]
            assert len(find.among(ids, using=alias)) == count
            assert Known(model.objects.all(), by=key).among(ids, using=alias) == set(ids)


@pytest.mark.django_db(transaction=True)
def test_a_lookup_locks_as_each_engine_does(other):
    """SQLite has no FOR UPDATE."""
    lock = Lookup(Conversation.objects.select_for_update())
    for alias in (DEFAULT_DB_ALIAS, other, DEFAULT_DB_ALIAS):
        with transaction.atomic(using=alias), queries(alias) as asked:
            assert lock(scattered(0), using=alias) is None
        locks = "FOR UPDATE" in asked.captured_queries[-1]["sql"]
        assert locks == (connections[alias].vendor == "postgresql")


@pytest.mark.django_db(transaction=True)
def test_updates_and_statements_go_to_the_database_that_they_name(other):
    for alias in (DEFAULT_DB_ALIAS, other):
        saved(Conversation, [0, 2], using=alias)
    before = stored(Conversation)
    for rows in ([2], [0, 2]):
        there = Conversation.objects.using(other).filter(pk__in=map(scattered, rows))
        for row in there:
            row.message_count = 7
        update(*there, names=["message_count"], using=other)
        counts = execute("SELECT sum(message_count) FROM chat_conversation", using=other)
        assert counts == (sum(row["message_count"] for row in stored(Conversation, using=other)),)
        assert stored(Conversation) == before
    assert counts == (14,)


@pytest.mark.django_db(transaction=True)
def test_threads_share_a_lookup_and_each_reads_by_its_own_connection():
    """The thread of the first call is gone, and its connection too."""
    find = Lookup(Message.objects.all(), by="id")
    messages = saved(Message, range(1, 9))
    in_thread(lambda: find(scattered(1)))
    expected = {row.id: parts_of(row) for row in Message.objects.all()}
    wrong = []

    def read():
        for _ in range(20):
            wrong.extend(row for row in messages if parts_of(find(row.id)) != expected[row.id])
            if len(find.among(expected)) != len(expected):
                wrong.append(None)

    in_thread(*[read] * 4)
    assert wrong == []


def in_thread(*functions):
    """Run each function in its own thread, all at once. Raise the error of one, if any."""

    def closing(function):
        try:
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(functions)) as threads:
        return [done.result() for done in [threads.submit(closing, each) for each in functions]]


@pytest.mark.django_db(transaction=True)
def test_a_new_connection_is_read_by_as_the_one_before():
    find = Lookup(Message.objects.all())
    (row,) = saved(Message, [1])
    for _ in range(2):
        assert find(row.id).content == row.content
        insert(*made(Conversation, [len(stored(Conversation))]))
        connection.close()
    assert len(stored(Conversation)) == 3


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_rows_that_are_selected_for_update_are_locked():
    saved(Conversation, [0, 1, 2])
    lock = Lookup(Conversation.objects.select_for_update().order_by("pk"))
    unlocked = Conversation.objects.select_for_update(skip_locked=True)

    def those_left():
        with transaction.atomic():
            return {row.pk for row in unlocked.all()}

    with transaction.atomic():
        lock(scattered(1))
        assert in_thread(those_left) == [{scattered(0), scattered(2)}]
        lock.among([scattered(0), scattered(2)])
        assert in_thread(those_left) == [set()]
