"""Guessed passwords: refused after some attempts, for a while, without a cost for other users."""

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from threading import Lock, get_ident
from time import sleep

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.models import F
from django.test import Client

from chat.heavy import hashing
from chat.logins import attempt
from chat.models import LoginAttempts, User
from tests.conftest import C, make_event
from tests.servers import assert_page

pytestmark = pytest.mark.both_engines("attempts are counted in the database")

PASSWORD = "correct horse battery"
WHILE = timedelta(minutes=15, seconds=1)
HERE, ELSEWHERE = "203.0.113.9", "203.0.113.77"


@pytest.fixture(autouse=True)
def ana(django_user_model, db):
    return django_user_model.objects.create_user("ana", password=PASSWORD, is_staff=True)


@pytest.fixture
def guess(settings):
    """Try to log in as ana, from this address, unless told otherwise."""
    settings.LOGIN_ATTEMPTS = 3

    def guess(password="wrong", *, name="ana", address=HERE, path="/ui/login/", **form):
        form = {"username": name, "password": password} | form
        client = Client(headers={"accept-language": "en"}, REMOTE_ADDR=address)
        return client.post(path, form)

    return guess


@pytest.fixture
def change(ana):
    """Change the password of ana in her open session, if the old password is right."""
    browser = Client(headers={"accept-language": "en"}, REMOTE_ADDR=HERE)
    browser.force_login(ana)
    new = {f"new_password{number}": "another horse entirely" for number in (1, 2)}
    return lambda old: browser.post("/ui/account/", {"old_password": old} | new)


def lock(guess, **where):
    for _ in range(3):
        answer = guess(**where)
    return answer


def test_the_last_attempt_is_answered_by_a_lockout(guess):
    assert [guess().status_code for _ in range(3)] == [200, 200, 429]


def test_then_the_right_password_is_refused_too(guess):
    lock(guess)
    answer = guess(PASSWORD)
    assert_page(answer, 429)
    assert "sessionid" not in answer.cookies


def test_the_lockout_says_for_how_long_to_readers_and_to_programs(guess, settings):
    settings.LOGIN_LOCKOUT_MINUTES = 20
    answer = lock(guess)
    assert "for 20 minutes" in answer.content.decode()
    assert answer["Retry-After"] == "1200"
    assert "no-store" in answer["Cache-Control"]


def test_the_lockout_says_how_much_of_it_is_left(guess):
    lock(guess)
    LoginAttempts.objects.update(last_at=F("last_at") - timedelta(minutes=14, seconds=30))
    answer = guess()
    assert "for 1 minute," in answer.content.decode()
    assert 0 < int(answer["Retry-After"]) <= 30


def test_the_admin_s_login_counts_too(guess):
    lock(guess, path="/admin/login/")
    assert guess(PASSWORD).status_code == 429
    assert_page(guess(PASSWORD, path="/admin/login/"), 429)


def test_the_old_password_counts_too(guess, change):
    assert [change("wrong").status_code for _ in range(3)] == [200, 200, 429]
    assert guess(PASSWORD).status_code == 429


def test_the_admin_s_page_of_the_old_password_leads_to_the_one_that_counts(ana):
    browser = Client(REMOTE_ADDR=HERE)
    browser.force_login(ana)
    form = {"old_password": PASSWORD} | {f"new_password{number}": "new horse" for number in (1, 2)}
    for ask in (browser.get, browser.post):
        assert ask("/admin/password_change/", form)["Location"] == "/ui/account/"
    assert User.objects.get(pk=ana.pk).check_password(PASSWORD)


def test_a_locked_out_session_changes_no_password(guess, change, ana):
    lock(guess)
    assert_page(change(PASSWORD), 429)
    ana.refresh_from_db()
    assert ana.check_password(PASSWORD)


def test_the_right_old_password_forgets_the_wrong_ones(guess, change):
    lock(guess, address=ELSEWHERE)
    assert [change(word).status_code for word in ("x", "x", PASSWORD)] == [200, 200, 302]
    assert LoginAttempts.objects.get().address == ELSEWHERE


@pytest.mark.parametrize("other", [{"address": ELSEWHERE}, {"name": "bia"}])
def test_another_name_or_another_address_is_not_locked_out(guess, django_user_model, other):
    django_user_model.objects.create_user("bia", password=PASSWORD)
    lock(guess)
    assert guess(PASSWORD, **other).status_code == 302


@pytest.mark.parametrize("name", ["ANA", "Ana", " ana ", "ａｎａ"])
def test_a_name_in_another_form_is_the_same_name(guess, name):
    lock(guess, name=name)
    assert guess(PASSWORD).status_code == 429


@pytest.fixture
def older(django_user_model):
    """A user of an older database. The name differs only by case."""
    older = django_user_model.objects.create_user("older", password="of the older one")
    django_user_model.objects.filter(pk=older.pk).update(username="Ana", folded_name=None)
    return older


@pytest.mark.parametrize(("victim", "other"), [("ana", "Ana"), ("Ana", "ana")])
def test_older_users_of_one_name_have_attempts_of_their_own(guess, older, victim, other):
    passwords = {"ana": PASSWORD, "Ana": "of the older one"}
    guess(name=victim)
    guess(name=victim)
    assert guess(passwords[other], name=other).status_code == 302
    assert guess(name=victim).status_code == 429
    assert guess(passwords[victim], name=victim).status_code == 429
    assert guess(passwords[other], name=other).status_code == 302


def test_the_case_of_a_name_brings_no_more_guesses_at_older_users(guess, ana, older, monkeypatch):
    tried = []
    monkeypatch.setattr(User, "check_password", lambda user, _: tried.append(user.pk))
    for name in ("ana", "Ana", "ANA", "aNa", "anA", "ａｎａ", "Ａｎａ", f"USER {older.pk}") * 4:
        guess(name=name)
    assert Counter(tried) == {ana.pk: 3, older.pk: 3}


def test_the_operator_lets_in_one_of_two_older_users(guess, older):
    lock(guess, name="Ana")
    lock(guess, name="ana")
    call_command("unlock", "Ana")
    assert guess("of the older one", name="Ana").status_code == 302
    assert guess(PASSWORD).status_code == 429


def test_a_name_without_attempts_is_no_success_of_unlock(db):
    with pytest.raises(CommandError, match="no wrong passwords are stored for this name"):
        call_command("unlock", "anna")


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("2001:db8:1:2::1", "2001:DB8:1:2:ffff:ffff:ffff:ffff"),
        (HERE, f"::ffff:{HERE}"),
        ("fe80::1%eth0", "fe80::2"),
        ("unknown:1", "unknown:2"),
    ],
)
def test_addresses_of_one_client_are_counted_together(guess, address, same):
    lock(guess, address=address)
    assert guess(PASSWORD, address=same).status_code == 429


@pytest.mark.parametrize(
    ("address", "other"),
    [("2001:db8:1:2::1", "2001:db8:1:3::1"), (f"::ffff:{HERE}", f"::ffff:{ELSEWHERE}")],
)
def test_addresses_of_other_clients_are_not(guess, address, other):
    lock(guess, address=address)
    assert guess(PASSWORD, address=other).status_code == 302


def test_it_is_over_after_a_while(guess):
    lock(guess)
    LoginAttempts.objects.update(last_at=F("last_at") - WHILE)
    assert guess(PASSWORD).status_code == 302
    assert not LoginAttempts.objects.exists()


def test_after_a_while_the_count_begins_again(guess):
    lock(guess)
    LoginAttempts.objects.update(last_at=F("last_at") - WHILE)
    assert [guess().status_code for _ in range(3)] == [200, 200, 429]


def test_who_goes_on_guessing_does_not_make_it_longer(guess):
    lock(guess)
    before = LoginAttempts.objects.values().get()
    lock(guess)
    assert LoginAttempts.objects.values().get() == before


def test_the_right_password_forgets_the_wrong_ones(guess):
    assert [guess(word).status_code for word in ("x", "x", PASSWORD, "x", "x")][-1] == 200


def test_the_operator_lets_a_name_in_again(guess, capsys):
    lock(guess)
    call_command("unlock", "Ana")
    assert "from 1 addresses" in capsys.readouterr().out
    assert guess(PASSWORD).status_code == 302


def test_the_operator_sees_who_is_locked_out(guess, older, capsys):
    guess(name="Bia")  # one wrong password causes no lockout
    lock(guess, name="ana")
    lock(guess, name="Ana")
    lock(guess, name="x\x1b[2J", address="2001:db8::1")
    call_command("unlock")
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in out] == [
        ["NAME", "ADDRESS"],
        ["Ana", HERE],
        ["ana", HERE],
        ["'x\\x1b[2j'", "2001:db8::/64"],
    ]
    assert re.search(r"  \d{4}-\d\d-\d\d \d\d:\d\d$", out[1])
    call_command("unlock", "--json")
    listed = json.loads(capsys.readouterr().out)["locked_out"]
    assert [row["name"] for row in listed] == ["Ana", "ana", "x\x1b[2j"]
    until = LoginAttempts.objects.of("ana").get().forgotten_at
    assert datetime.fromisoformat(listed[1]["until"]) == until
    LoginAttempts.objects.update(last_at=F("last_at") - WHILE)
    call_command("unlock", "--json")
    assert json.loads(capsys.readouterr().out) == {"locked_out": []}
    with pytest.raises(CommandError, match="without a name"):
        call_command("unlock", "ana", "--json")


def test_no_attempt_keeps_or_logs_a_password(guess, caplog):
    guess("hunter2-hunter2", next="/ui/hunter2/")
    assert "hunter2" not in str(LoginAttempts.objects.values().get())
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("junk", ["\0", "\ud800".encode("utf-8", "surrogatepass"), "x" * 50_000])
def test_junk_in_the_form_is_only_another_wrong_attempt(guess, junk):
    assert guess(next=junk, other=junk[:10_000]).status_code == 200


def test_a_name_that_nobody_can_have_is_counted_too(guess):
    assert lock(guess, name="x" * 5_000).status_code == 429
    assert LoginAttempts.objects.get().name == "x" * 450


# Many at once


@pytest.mark.parametrize("path", ["/ui/login/", "/admin/login/"])
@pytest.mark.django_db(transaction=True)
def test_of_parallel_guesses_only_so_many_are_tried(guess, monkeypatch, path):
    """Each guess may wait long for its turn, so that no guess is refused for another reason."""
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 60)
    tried = []
    monkeypatch.setattr(User, "check_password", lambda user, password: tried.append(password))
    answers = at_once(lambda n: guess(f"wrong {n}", path=path).status_code, range(20))
    assert len(tried) == 3
    assert sorted(answers) == [200, 200] + [429] * 18


@pytest.mark.django_db(transaction=True)
def test_the_attempt_is_stored_before_the_hash(guess, monkeypatch):
    stored = []

    def look(user, password):
        stored.append(connection.in_atomic_block)
        stored.append(LoginAttempts.objects.get().count)

    monkeypatch.setattr(User, "check_password", look)
    guess()
    assert stored == [False, 1]


def test_who_gets_no_turn_is_refused_and_not_counted(guess, monkeypatch, caplog):
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 0)
    with every_turn_taken():
        answer = guess()
    assert_page(answer, 429)
    assert answer["Retry-After"] == "5"
    assert "Too many people are logging in" in answer.content.decode()
    assert "too_many_logins" in caplog.text
    assert not LoginAttempts.objects.exists()


@contextmanager
def every_turn_taken():
    """Take every turn, as other threads do. This thread then has no turn to share."""
    with ExitStack() as turns:
        for _ in range(hashing.HASHES_AT_ONCE):
            turns.enter_context(hashing._turns.turn(seconds=10))
        yield


@pytest.mark.parametrize("name", ["ana", "nobody", "inactive"])
@pytest.mark.django_db(transaction=True)
def test_at_most_two_passwords_are_hashed_at_once(guess, monkeypatch, django_user_model, name):
    """Unknown names are hashed too, so that the time of an answer does not tell them from known names."""
    django_user_model.objects.create_user("inactive", password=PASSWORD, is_active=False)
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 60)
    highest = highest_number_at_once(monkeypatch)
    at_once(lambda n: guess(name=name, address=f"192.0.2.{n}"), range(12))
    assert highest() == 2


def test_a_new_password_takes_a_turn_too(ana, monkeypatch):
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 0)
    with every_turn_taken():
        for hashes in (ana.set_password, ana.check_password):
            with pytest.raises(hashing.TooManyLogins):
                hashes("another horse entirely")


def test_turns_are_given_back_after_an_error():
    for _ in range(2 * hashing.HASHES_AT_ONCE):
        with pytest.raises(ZeroDivisionError), hashing.turn_to_hash(), hashing.turn_to_hash():
            raise ZeroDivisionError


def highest_number_at_once(monkeypatch):
    """Return a function for the highest number of threads hashing at one time."""
    lock, inside, highest = Lock(), set(), [0]
    encode = MD5PasswordHasher.encode

    def counted(*args):
        with lock:
            inside.add(get_ident())
            highest[0] = max(highest[0], len(inside))
        sleep(0.05)  # others come in
        with lock:
            inside.remove(get_ident())
        return encode(*args)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    return lambda: highest[0]


def at_once(call, items):
    def closing(item):
        try:
            return call(item)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=len(items)) as threads:
        return list(threads.map(closing, items))


# The cost


def test_nobody_else_pays_for_it(deliver, client, ana, held, django_assert_max_num_queries):
    deliver(make_event("NEW_CONVERSATION", id=C))
    asked = held("/ui/")
    client.force_login(ana)
    event = make_event("CLOSE_CONVERSATION", id=C)
    with django_assert_max_num_queries(30) as queries:
        client.get("/ui/fragments/poll/", asked)
        client.post("/webhook/", event, content_type="application/json")
    assert not [query for query in queries if "attempts" in query["sql"]]


# Attempts without a wrong password


def test_an_attempt_that_could_not_be_judged_is_not_counted(db, settings):
    def fail():
        raise OperationalError("gone")

    for _ in range(settings.LOGIN_ATTEMPTS + 1):
        with pytest.raises(OperationalError):
            attempt(fail, name="ana", address="192.0.2.1")
    assert attempt(lambda: True, name="ana", address="192.0.2.1")


def test_a_process_that_may_not_lower_priorities_hashes_all_the_same(monkeypatch):
    def refuse(*arguments):
        raise PermissionError

    monkeypatch.setattr("os.setpriority", refuse)
    hashing.give_way()
