"""Pages outside development need a login. In development everybody may read them."""

import re

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from chat.api.probes import Healthz, Readyz
from chat.api.schema import addresses
from chat.models import User
from tests.conftest import C, make_event
from tests.servers import assert_page, assert_problem

pytestmark = pytest.mark.both_engines("sessions and users are looked up by cached statements")

PASSWORD = "correct horse battery"
PAGES = [
    *("/ui", "/ui/", f"/ui/{C}/", f"/ui/{C}/print/", "/ui/search/?q=ol%C3%A1&hits_cursor=x"),
    *("/ui/deliveries/", "/ui/deliveries/1/", "/ui/stats/", "/ui/account/", "/ui/no/such/page"),
    "/ui/status/",
    *("/admin/", "/admin/chat/message/"),
]
FRAGMENTS = ["poll/", "list/", f"thread/{C}/", "poll", "no/such/fragment"]


@pytest.fixture
def closed(settings, db):
    settings.LOGIN_REQUIRED = True


@pytest.fixture
def ana(django_user_model, db):
    return django_user_model.objects.create_user("ana", password=PASSWORD)


@pytest.fixture
def log_in(client, ana):
    """Log in as ana, in English, unless told otherwise."""

    def log_in(**form):
        form = {"username": "ana", "password": PASSWORD} | form
        return client.post("/ui/login/", form, headers={"accept-language": "en"})

    return log_in


# Before the login


@pytest.mark.parametrize("page", PAGES)
def test_a_page_leads_to_the_login_and_back(closed, client, log_in, page):
    answer = client.get(page)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/ui/login/?next=/")
    login = client.get(answer["Location"]).content.decode()
    back = re.search(r'name="next" value="(.*?)"', login)[1].replace("&amp;", "&")
    assert log_in(next=back)["Location"] == page


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_is_a_401_and_never_a_login(closed, client, fragment):
    answer = client.get(f"/ui/fragments/{fragment}", headers={"accept-language": "en"})
    assert_page(answer, 401)
    assert "Your session is over." in answer.content.decode()
    assert answer["WWW-Authenticate"]


@pytest.mark.parametrize(
    "address",
    [
        *("/ui/login/", "/ui/login", "/ui/login/?next=/ui/login/", "/ui/%6Cogin/"),
        *("/ui/logout/", "/ui/deliveries/1/apply/", "https://elsewhere.example/", "//elsewhere"),
    ],
)
def test_whoever_is_logged_in_is_sent_to_the_inbox_and_not_back_to_the_login(client, ana, address):
    client.force_login(ana)
    answer = client.get("/ui/login/", {"next": address})
    assert (answer.status_code, answer["Location"]) == (302, "/ui/")


@pytest.mark.parametrize("address", [f"/ui/{C}/", "/ui/stats/?days=7", "/admin/", "/no/such/page"])
def test_whoever_is_logged_in_is_sent_to_the_page_that_was_asked_for(client, ana, address):
    client.force_login(ana)
    answer = client.get("/ui/login/", {"next": address})
    assert (answer.status_code, answer["Location"]) == (302, address)


def test_a_login_form_of_before_a_login_elsewhere_leads_to_the_inbox(ana):
    """Two tabs show the login: the first login makes the token in the second form invalid."""
    browser = Client(enforce_csrf_checks=True)
    form = {"username": "ana", "password": PASSWORD, "csrfmiddlewaretoken": token_of(browser)}
    assert browser.post("/ui/login/", form)["Location"] == "/ui/"
    answer = browser.post("/ui/login/", form)
    assert (answer.status_code, answer["Location"]) == (302, "/ui/")


def test_a_form_without_a_token_is_refused_all_the_same(ana):
    browser = Client(enforce_csrf_checks=True)
    assert_page(browser.post("/ui/login/", {"username": "ana", "password": PASSWORD}), 403)
    browser.force_login(ana)
    assert_page(browser.post("/ui/account/", {"old_password": PASSWORD}), 403)
    assert_page(browser.post("/ui/logout/"), 403)


def token_of(browser):
    return re.search(
        r'name="csrfmiddlewaretoken" value="(.*?)"', browser.get("/ui/login/").content.decode()
    )[1]


def test_a_form_that_comes_too_late_leads_to_the_login_and_to_no_place_that_takes_forms_only(
    closed, client
):
    answer = client.post("/ui/deliveries/1/apply/")
    assert (answer.status_code, answer["Location"]) == (302, "/ui/login/")


@pytest.mark.parametrize("page", ["/ui/", f"/ui/{C}/", "/ui/deliveries/", "/ui/stats/"])
def test_in_development_everything_is_open(deliver, client, page):
    deliver(make_event("NEW_CONVERSATION", id=C))
    assert client.get(page).status_code == 200


@pytest.mark.parametrize(
    "path",
    [path.format(id=C) for path, view in addresses() if view not in (Healthz, Readyz)],
)
def test_every_address_for_programs_is_closed_by_default(closed, settings, client, path):
    settings.WEBHOOK_SECRETS = ["whsec_" + "A" * 32]
    method = "POST" if path.rstrip("/").endswith(("webhook", "replay")) else "GET"
    answer = client.generic(method, path, b"{}", content_type="application/json")
    code = "invalid_signature" if "webhook" in path else "not_authenticated"
    assert_problem(answer, 401, code)


@pytest.mark.parametrize("probe", ["/healthz", "/readyz"])
def test_probes_are_open(closed, client, probe):
    assert client.get(probe).status_code == 200


def test_the_webhook_looks_at_no_session(closed, client, ana, django_assert_max_num_queries):
    client.force_login(ana)
    event = make_event("NEW_CONVERSATION", id=C)
    with django_assert_max_num_queries(20) as asked:
        assert client.post("/webhook/", event, content_type="application/json").status_code == 201
    assert not [query for query in asked if re.search("session|user", query["sql"])]


# The login


def test_a_wrong_password_says_so_in_the_readers_language(client, log_in):
    page = log_in(password="wrong").content.decode()
    assert "The name or the password is wrong." in page
    assert 'role="alert"' in page
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "\t//e"],
)
def test_it_leads_nowhere_but_here(log_in, elsewhere):
    assert log_in(next=elsewhere)["Location"] == "/ui/"


def test_who_has_logged_in_goes_on_at_once(client, ana):
    client.force_login(ana)
    assert client.get("/ui/login/?next=/ui/stats/")["Location"] == "/ui/stats/"


@pytest.mark.parametrize("form", [{"username": "a\0"}, {"username": "a" * 5_000}, {"password": ""}])
def test_a_hostile_name_or_password_is_only_wrong(log_in, form):
    assert log_in(**form).status_code == 200


def test_a_form_of_another_site_does_not_log_in(ana):
    strict = Client(enforce_csrf_checks=True)
    form = {"username": "ana", "password": PASSWORD}
    assert_page(strict.post("/ui/login/", form), 403)
    strict.force_login(ana)
    for path in ("logout", "account"):
        assert_page(strict.post(f"/ui/{path}/", form), 403)


# The name


@pytest.mark.parametrize("typed", ["josé", "JOSÉ", "José", "JOSE\u0301", "ｊosé"])
def test_the_case_of_a_login_name_does_not_matter(log_in, django_user_model, typed):
    django_user_model.objects.create_user("José", password=PASSWORD)
    assert log_in(username=typed).status_code == 302


def test_an_accent_makes_another_name(log_in, django_user_model):
    django_user_model.objects.create_user("José", password=PASSWORD)
    assert log_in(username="jose").status_code == 200


@pytest.mark.parametrize("name", ["Ana", "ANA", "ＡＮＡ"])
def test_a_second_name_that_differs_by_case_only_is_refused(ana, admin_client, name):
    form = {"username": name, "usable_password": "true"}
    form |= {f"password{number}": "another horse entirely" for number in (1, 2)}
    page = admin_client.post("/admin/chat/user/add/", form, headers={"accept-language": "en"})
    assert "A user with that username already exists." in page.content.decode()
    with pytest.raises(CommandError, match="already taken"):
        call_command("createsuperuser", "--noinput", username=name, email="")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(name)


def test_a_user_is_not_renamed_to_another_one_s_name(ana, admin_client):
    bia = User.objects.create_user("bia")
    form = {"username": "ANA", "date_joined_0": "2025-02-21", "date_joined_1": "12:00:00"}
    page = admin_client.post(
        f"/admin/chat/user/{bia.pk}/change/", form, headers={"accept-language": "en"}
    )
    assert "A user with that username already exists." in page.content.decode()


def test_a_renamed_user_logs_in_with_the_new_name_only(ana, log_in):
    ana.username = "Mariana"
    ana.save(update_fields=["username"])
    assert log_in(username="ana").status_code == 200
    assert log_in(username="mariana").status_code == 302


def test_older_users_whose_names_differ_by_case_log_in_with_their_exact_names(log_in, ana, client):
    other = User.objects.create_user("other", password=PASSWORD)
    User.objects.filter(pk=other.pk).update(username="Ana", folded_name=None)
    for typed, found in [("Ana", other), ("ana", ana), ("ANA", ana)]:
        client.logout()
        log_in(username=typed)
        assert client.session["_auth_user_id"] == str(found.pk)


def test_such_a_user_can_still_be_saved(ana):
    other = User.objects.create_user("other")
    User.objects.filter(pk=other.pk).update(username="Ana", folded_name=None)
    other.refresh_from_db()
    other.save()
    other.set_password(PASSWORD)
    other.save()


@pytest.fixture
def older(ana):
    """An older user. The name differs from ana's only by case."""
    older = User.objects.create_user("older", password=PASSWORD)
    User.objects.filter(pk=older.pk).update(username="Ana", folded_name=None)
    return User.objects.get(pk=older.pk)


def rename(user, name):
    user.username = name
    user.save(update_fields=["username"])


@pytest.mark.parametrize(
    "free",
    [
        lambda ana, older: rename(ana, "Mariana"),
        lambda ana, older: ana.delete(),
        lambda ana, older: User.objects.filter(pk=ana.pk).delete(),
    ],
    ids=["renamed", "deleted", "deleted in bulk"],
)
def test_an_older_user_gets_the_folded_name_as_soon_as_it_is_free(ana, older, log_in, free):
    free(ana, older)
    older.refresh_from_db()
    assert older.folded_name == "ana"
    assert log_in(username="ANA").status_code == 302
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("aNA")


def test_an_older_user_s_new_name_is_folded(ana, older):
    rename(older, "Bia")
    assert User.objects.get(pk=older.pk).folded_name == "bia"


def test_a_name_that_was_free_before_is_folded_with_the_next_save(ana, older):
    User.objects.filter(pk=ana.pk).update(username="Mariana", folded_name="mariana")
    older.save()
    assert older.folded_name == "ana"
    older.refresh_from_db()
    assert older.folded_name == "ana"


def test_of_two_older_users_the_first_one_gets_the_free_name(ana, older):
    other = User.objects.create_user("other")
    User.objects.filter(pk=other.pk).update(username="aNa", folded_name=None)
    rename(ana, "Mariana")
    found = User.objects.filter(pk__in=[older.pk, other.pk]).order_by("pk")
    assert [user.folded_name for user in found] == ["ana", None]


def test_a_stale_copy_of_an_older_user_does_not_take_the_folded_name_away(ana, older):
    rename(ana, "Mariana")
    older.save()
    assert User.objects.get(pk=older.pk).folded_name == "ana"


# The logout


def test_logging_out_leaves_nothing_of_the_session(closed, client, log_in):
    log_in()
    assert Session.objects.count() == 1
    answer = client.post("/ui/logout/")
    assert answer["Location"] == "/ui/login/"
    assert answer["Clear-Site-Data"] == '"cache"'
    assert Session.objects.count() == 0
    assert client.cookies["sessionid"].value == ""
    assert client.get("/ui/fragments/poll/").status_code == 401


def test_a_logout_from_the_admin_clears_the_cache_too(ana, client, log_in):
    User.objects.update(is_staff=True)
    log_in()
    assert client.post("/admin/logout/")["Clear-Site-Data"] == '"cache"'


def new_password(user):
    user.set_password("another horse entirely")
    user.save()


@pytest.mark.parametrize("path", ["/ui/", "/ui/login/", "/admin/login/", "/conversations/"])
@pytest.mark.parametrize(
    "end",
    [
        lambda user: Session.objects.all().delete(),
        lambda user: Session.objects.update(expire_date=timezone.now()),
        new_password,
    ],
    ids=["deleted", "expired", "new password"],
)
def test_an_ended_session_clears_the_cache_wherever_its_cookie_is_taken(
    closed, ana, client, log_in, path, end
):
    log_in()
    end(ana)
    answer = client.get(path)
    assert client.cookies["sessionid"].value == ""
    assert answer["Clear-Site-Data"] == '"cache"'


def test_a_session_survives_a_new_secret_key_where_the_old_one_is_kept(
    closed, client, log_in, settings
):
    log_in()
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another random secret " * 4
    settings.SECRET_KEY_FALLBACKS = [old]
    assert client.get("/ui/").status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert client.get("/ui/").status_code == 200  # the request before has renewed the session
    settings.SECRET_KEY = old
    assert client.get("/ui/").status_code == 302


@pytest.mark.parametrize("path", ["/ui/", "/ui/fragments/poll/"])
def test_a_session_that_has_ended_clears_the_cache_like_a_logout(closed, client, log_in, path):
    assert "Clear-Site-Data" not in client.get(path).headers  # nobody was logged in
    log_in()
    assert "Clear-Site-Data" not in client.get("/ui/").headers
    Session.objects.all().delete()
    answer = client.get(path)
    assert answer.status_code in {302, 401}
    assert answer["Clear-Site-Data"] == '"cache"'
    assert "Clear-Site-Data" not in client.get(path).headers  # the cookie is gone


def test_a_stolen_cookie_is_worth_nothing_after_the_logout(closed, client, log_in):
    log_in()
    stolen = client.cookies["sessionid"].value
    client.post("/ui/logout/")
    client.cookies["sessionid"] = stolen
    assert client.get("/ui/").status_code == 302


def test_a_link_does_not_log_out(client, log_in):
    log_in()
    assert client.get("/ui/logout/").status_code == 405
    assert Session.objects.count() == 1


def test_a_session_is_over_after_a_working_day(closed, client, log_in):
    log_in()
    Session.objects.update(expire_date=timezone.now())
    assert client.get("/ui/fragments/poll/").status_code == 401


def test_who_is_no_longer_active_reads_no_longer(closed, client, log_in, ana):
    log_in()
    assert client.get("/ui/").status_code == 200
    ana.is_active = False
    ana.save()
    assert client.get("/ui/").status_code == 302


def test_who_is_gone_reads_no_longer(closed, client, log_in, ana):
    log_in()
    ana.delete()
    assert client.get("/ui/").status_code == 302


# The account


def test_the_rail_leads_to_the_account_of_who_has_logged_in(client, ana):
    assert "/ui/account/" not in client.get("/ui/").content.decode()
    client.force_login(ana)
    assert "/ui/account/" in client.get("/ui/").content.decode()


def test_a_new_password_ends_all_other_sessions(closed, client, log_in, ana):
    log_in()
    other = Client()
    other.force_login(ana)
    new = {"new_password1": "another horse entirely", "new_password2": "another horse entirely"}
    answer = client.post("/ui/account/", {"old_password": PASSWORD} | new, follow=True)
    assert "message-box--success" in answer.content.decode()
    assert (client.get("/ui/").status_code, other.get("/ui/").status_code) == (200, 302)


@pytest.mark.parametrize(
    "password",
    [
        *("password", "eleven char", "123456789012345", "my realmate secret", "REALMATE-rocks-on"),
        *("réalmate é legal", "r.e.a.l.m.a.t.e 2026", "minha Ana querida", "souza é gente boa"),
        *("call me ana.souza", "the fernanda files", "FERNANDALIMA2026"),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused(client, log_in, ana, password):
    User.objects.update(last_name="Souza", email="fernanda.lima@example.org")
    log_in()
    new = {"new_password1": password, "new_password2": password}
    answer = client.post("/ui/account/", {"old_password": PASSWORD} | new)
    assert "errorlist" in answer.content.decode()
    ana.refresh_from_db()
    assert ana.check_password(PASSWORD)


def test_a_password_with_the_service_s_name_says_so(client, log_in):
    log_in()
    new = {"new_password1": "my realmate secret", "new_password2": "my realmate secret"}
    page = client.post("/ui/account/", new, headers={"accept-language": "en"}).content.decode()
    assert "contain your name or the name of this service" in page.replace("’", "'")


def test_a_name_of_two_letters_may_be_in_a_password(client, log_in):
    User.objects.update(first_name="Jo", last_name="")
    log_in()
    new = {"new_password1": "major league jokes", "new_password2": "major league jokes"}
    answer = client.post("/ui/account/", {"old_password": PASSWORD} | new)
    assert answer.status_code == 302


def test_a_shorter_password_of_before_still_logs_in(log_in, django_user_model):
    django_user_model.objects.create_user("bia", password="short")
    assert log_in(username="bia", password="short").status_code == 302


@pytest.mark.parametrize("password", ["eleven char", "my realmate secret", "minha bia querida"])
def test_the_admin_gives_nobody_such_a_password(admin_client, password):
    form = {"username": "bia", "usable_password": "true", "password1": password}
    admin_client.post("/admin/chat/user/add/", form | {"password2": password})
    assert not User.objects.filter(username="bia").exists()


# The cost of a login


def test_an_idle_poll_asks_for_its_session_and_its_user_and_no_more(
    closed, deliver, client, ana, held, django_assert_num_queries
):
    deliver(make_event("NEW_CONVERSATION", id=C))
    client.force_login(ana, backend="chat.logins.Passwords")
    asked = held(f"/ui/{C}/")
    with django_assert_num_queries(3):
        assert client.get("/ui/fragments/poll/", asked).status_code == 204


def test_a_poll_of_nobody_asks_nothing(closed, client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/ui/fragments/poll/").status_code == 401
