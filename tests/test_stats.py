"""Statistics: the meaning and the zone of each figure, and the agreement of page, chart, table and JSON."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone, translation

from chat.statistics import read_statistics
from chat.views.charts import DURATIONS, Plot, Series, bar_chart
from chat.views.durations import in_words
from tests.conftest import NOW, C, make_event

pytestmark = pytest.mark.both_engines("SQL that groups by time")

OTHER = "0e1d2c3b-4a59-4687-9706-f5e4d3c2b1a0"


@pytest.fixture(autouse=True)
def _nothing_kept():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def opened(deliver):
    def opened(at="2025-02-21T10:00:00", id=C):
        deliver(make_event("NEW_CONVERSATION", id=id, at=at))

    return opened


@pytest.fixture
def wrote(deliver):
    count = iter(range(1, 1000))

    def wrote(direction, at, conversation_id=C):
        id = f"00000000-0000-4000-8000-{next(count):012}"
        data = {"id": id, "direction": direction, "conversation_id": conversation_id}
        result = deliver(make_event("NEW_MESSAGE", at=at, **data))
        assert result.outcome == "applied"

    return wrote


def figures(days=7, now=NOW):
    return read_statistics(days, now=now)


def on(day, **options):
    return next(each for each in figures(**options).by_day if each.date == day)


TODAY = date(2025, 2, 21)


# Counts


def test_the_period_is_whole_days_and_ends_today(db):
    found = figures(days=7)
    assert [found.first, found.last] == [date(2025, 2, 15), TODAY]
    assert [day.date for day in found.by_day] == [
        date(2025, 2, 15) + timedelta(days=n) for n in range(7)
    ]
    assert [hour.hour for hour in found.by_hour] == list(range(24))


def test_today_is_todays_date_in_the_zone(db):
    assert figures(now=datetime(2025, 2, 21, 2, 59, tzinfo=UTC)).last == date(2025, 2, 20)


def test_conversations_count_on_the_day_of_their_opening(opened):
    opened("2025-02-20T12:00:00")
    opened("2025-02-21T12:00:00", id=OTHER)
    assert on(date(2025, 2, 20)).conversations_opened == on(TODAY).conversations_opened == 1
    assert figures().conversations_opened == 2


def test_sent_and_received_messages_count_apart(opened, wrote):
    opened()
    for direction in ("RECEIVED", "RECEIVED", "SENT"):
        wrote(direction, "2025-02-21T10:20:00")
    assert (on(TODAY).messages_received, on(TODAY).messages_sent) == (2, 1)
    assert (figures().messages_received, figures().messages_sent) == (2, 1)
    assert figures().by_hour[7].model_dump() == {
        "hour": 7,
        "messages_received": 2,
        "messages_sent": 1,
    }


def test_a_message_at_one_in_utc_was_written_the_day_before_in_sao_paulo(opened, wrote):
    opened()
    wrote("RECEIVED", "2025-02-21T01:00:00")
    assert on(date(2025, 2, 20)).messages_received == 1
    assert figures().by_hour[22].messages_received == 1


@pytest.mark.parametrize(
    ("zone", "at", "day", "hour"),
    [
        ("Asia/Kathmandu", "2025-02-20T18:14:59.999999", 20, 23),
        ("Asia/Kathmandu", "2025-02-20T18:15:00", 21, 0),
        ("Asia/Kolkata", "2025-02-20T18:29:59", 20, 23),
        ("UTC", "2025-02-20T23:59:59.999999", 20, 23),
        ("Pacific/Auckland", "2025-02-20T11:00:00", 21, 0),
    ],
)
def test_days_and_hours_are_those_of_the_zone(opened, wrote, settings, zone, at, day, hour):
    settings.DISPLAY_TIME_ZONE = zone
    opened()
    wrote("SENT", at)
    assert on(date(2025, 2, day)).messages_sent == 1
    assert figures().by_hour[hour].messages_sent == 1


def test_a_day_when_clocks_change_is_counted_by_them(opened, wrote, settings):
    settings.DISPLAY_TIME_ZONE = "America/New_York"
    opened("2025-03-09T05:00:00")
    wrote("SENT", "2025-03-09T06:59:59")
    wrote("SENT", "2025-03-09T07:00:00")
    wrote("SENT", "2025-03-10T03:59:59")
    found = figures(now=datetime(2025, 3, 10, 12, tzinfo=UTC))
    assert [hour.hour for hour in found.by_hour if hour.messages_sent] == [1, 3, 23]
    assert found.by_day[-2].messages_sent == 3


@pytest.mark.parametrize("at", ["2025-02-15T02:59:59.999999", "2025-02-22T03:00:00"])
def test_what_is_outside_the_period_does_not_count(opened, wrote, deliver, at):
    opened(at)
    wrote("RECEIVED", at)
    wrote("SENT", at)
    deliver(make_event("CLOSE_CONVERSATION", id=C, at=at))
    found = figures()
    assert found.is_empty
    assert (found.reply.count, found.time_to_close.count) == (0, 0)


def test_the_edges_of_the_period_count(opened, wrote):
    opened("2025-02-15T03:00:00")
    wrote("RECEIVED", "2025-02-15T03:00:00")
    wrote("SENT", "2025-02-22T02:59:59.999999")
    found = figures()
    assert (found.conversations_opened, found.messages_received, found.messages_sent) == (1, 1, 1)


def test_what_is_open_or_waits_now_counts_whatever_the_period(opened, wrote, deliver):
    opened("2020-01-01T00:00:00")
    wrote("RECEIVED", "2020-01-01T00:00:00")
    opened("2020-01-01T00:00:00", id=OTHER)
    assert (figures().open_now, figures().needs_reply_now) == (2, 1)
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    assert (figures().open_now, figures().needs_reply_now) == (1, 0)


# Durations


def test_a_reply_is_timed_from_the_first_message_without_an_answer(opened, wrote):
    opened()
    wrote("RECEIVED", "2025-02-21T10:00:00")
    wrote("RECEIVED", "2025-02-21T10:01:00")
    wrote("SENT", "2025-02-21T10:02:00.000001")
    wrote("SENT", "2025-02-21T10:09:00")
    assert figures().reply.model_dump() == {"count": 1, "median_seconds": 120.000001}


def test_the_first_reply_of_a_conversation_counts_apart(opened, wrote):
    opened()
    for minute, direction in enumerate(
        ["SENT", "RECEIVED", "SENT", "RECEIVED", "RECEIVED", "SENT"]
    ):
        wrote(direction, f"2025-02-21T10:{minute:02}:00")
    assert figures().first_reply.model_dump() == {"count": 1, "median_seconds": 60}
    assert figures().reply.model_dump() == {"count": 2, "median_seconds": 90}


def test_a_reply_counts_on_its_own_day_and_from_a_question_before_the_period(opened, wrote):
    opened("2025-02-14T12:00:00")
    wrote("RECEIVED", "2025-02-14T12:00:00")
    wrote("RECEIVED", "2025-02-15T12:00:00")
    wrote("SENT", "2025-02-16T12:00:00")
    assert on(date(2025, 2, 16)).reply.median_seconds == 2 * 24 * 3600
    assert on(date(2025, 2, 16)).first_reply.count == 1
    assert on(date(2025, 2, 15)).reply.model_dump() == {"count": 0, "median_seconds": None}


def test_a_first_reply_before_the_period_is_not_counted_again(opened, wrote):
    opened("2025-02-10T12:00:00")
    for day, direction in [(10, "RECEIVED"), (11, "SENT"), (20, "RECEIVED"), (21, "SENT")]:
        wrote(direction, f"2025-02-{day}T12:00:00")
    assert (figures().reply.count, figures().first_reply.count) == (1, 0)


def test_replies_in_other_conversations_answer_nothing(opened, wrote):
    opened()
    opened(id=OTHER)
    wrote("RECEIVED", "2025-02-21T10:00:00")
    wrote("SENT", "2025-02-21T10:05:00", OTHER)
    assert figures().reply.count == 0


def test_a_late_message_changes_what_was_answered(opened, wrote):
    opened()
    wrote("RECEIVED", "2025-02-21T10:05:00")
    wrote("SENT", "2025-02-21T10:10:00")
    wrote("RECEIVED", "2025-02-21T10:01:00")
    assert figures().reply.median_seconds == 9 * 60
    assert on(TODAY).messages_received == 2


def test_messages_of_one_instant_stand_in_the_order_of_their_arrival(opened, wrote):
    opened()
    wrote("SENT", "2025-02-21T10:00:00")
    wrote("RECEIVED", "2025-02-21T10:00:00")
    wrote("SENT", "2025-02-21T10:00:00")
    assert figures().reply.model_dump() == {"count": 1, "median_seconds": 0}


def test_a_message_dated_far_ahead_hides_no_other(opened, wrote):
    opened("2025-01-01T00:00:00")
    wrote("RECEIVED", "2999-01-01T00:00:00")
    wrote("RECEIVED", "2025-02-21T10:00:00")
    wrote("SENT", "2025-02-21T10:01:00")
    assert figures().reply.median_seconds == 60
    assert figures().messages_received == 1


def test_the_median_of_an_even_number_is_between_the_two_in_the_middle(opened, wrote):
    opened()
    for minute, seconds in [(0, 1), (10, 2), (20, 30), (30, 50)]:
        wrote("RECEIVED", f"2025-02-21T10:{minute:02}:00")
        wrote("SENT", f"2025-02-21T10:{minute:02}:{seconds:02}")
    assert figures().reply.model_dump() == {"count": 4, "median_seconds": 16}


def test_the_time_to_close_counts_on_the_day_of_the_closing(opened, deliver):
    opened("2025-02-10T10:00:00")
    deliver(make_event("CLOSE_CONVERSATION", id=C, at="2025-02-20T10:00:00.5"))
    assert on(date(2025, 2, 20)).time_to_close.median_seconds == 10 * 24 * 3600 + 0.5


def test_a_close_dated_before_its_opening_took_no_time(opened, deliver):
    opened("2025-02-21T10:00:00")
    deliver(make_event("CLOSE_CONVERSATION", id=C, at="2025-02-20T10:00:00"))
    assert figures().time_to_close.model_dump() == {"count": 1, "median_seconds": 0}


@pytest.mark.parametrize("days", [7, 90])
def test_the_figures_take_five_queries(opened, wrote, django_assert_num_queries, days):
    opened()
    wrote("RECEIVED", "2025-02-21T10:00:00")
    with django_assert_num_queries(5):
        figures(days=days)


# The page, and the JSON


@pytest.fixture
def lively(opened, wrote, deliver):
    """A reply just now, after 1,234 seconds, and a closing."""
    now = timezone.now().replace(microsecond=0)
    opened((now - timedelta(hours=1)).isoformat())
    wrote("RECEIVED", (now - timedelta(seconds=1294)).isoformat())
    wrote("RECEIVED", (now - timedelta(seconds=1000)).isoformat())
    wrote("SENT", (now - timedelta(seconds=60)).isoformat())
    deliver(make_event("CLOSE_CONVERSATION", id=C, at=now.isoformat()))


@pytest.fixture
def get(client):
    return lambda address, language="en": client.get(
        address, headers={"accept-language": language}
    ).content.decode()


def test_page_and_json_stand_with_their_slash_and_without(db, client):
    for path in ("/stats", "/stats/", "/ui/stats", "/ui/stats/"):
        assert client.get(path).status_code == 200
        assert client.post(path).status_code == 405


def test_the_json_holds_the_same_figures(lively, client):
    found = client.get("/stats?days=7", headers={"accept-language": "pt-BR"}).json()
    assert (found["days"], found["time_zone"]) == (7, "America/Sao_Paulo")
    assert (found["messages_received"], found["messages_sent"]) == (2, 1)
    assert found["reply"] == found["first_reply"] == {"count": 1, "median_seconds": 1234.0}
    assert found["time_to_close"] == {"count": 1, "median_seconds": 3600.0}
    assert len(found["by_day"]) == 7
    assert found["as_of"].endswith("Z")


@pytest.mark.parametrize("days", ["", "8", "7.0", "-7", "x", "７", "9" * 5000, "7%00", "%ff"])
def test_a_bad_period_is_a_400_that_shows_the_form(db, client, days):
    page = client.get(f"/ui/stats/?days={days}", headers={"accept-language": "en"})
    assert page.status_code == 400
    assert "Choose one of the periods in the list." in page.content.decode()
    assert '<select name="days"' in page.content.decode()
    answer = client.get(f"/stats?days={days}")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/days"]


def test_the_page_shows_the_asked_period_and_thirty_days_unasked(db, get):
    assert '<option value="30" selected>' in get("/ui/stats/")
    assert '<option value="7" selected>' in get("/ui/stats/?days=7")


def test_the_page_names_its_zone_and_when_the_figures_are_from(db, get):
    page = get("/ui/stats/")
    assert "America/Sao_Paulo" in page
    assert re.search(r"Figures from:\s+<time datetime=", page)


def test_an_empty_database_says_what_to_do_next(db, get):
    page = get("/ui/stats/")
    assert "deliver its first events" in page
    assert "chart-plot" not in page


def test_a_chart_shows_what_its_table_shows(lively, get):
    page = unescape(get("/ui/stats/?days=7"))
    for section in re.findall(r"<section.*?</section>", page, re.S):
        bars = re.findall(r"<rect[^>]*><title>(.*?) · .*?: (.*?)</title>", section)
        rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', section, re.S)
        shown = {re.sub("<.*?>", "", name): re.findall("<td>(.*?)</td>", row) for name, row in rows}
        assert bars
        assert all(value in shown[name] for name, value in bars)
        filled = [name for name, cells in shown.items() if set(cells) - {"0", "–"}]
        assert set(filled) == {name for name, _ in bars}


def test_durations_are_shown_in_words(lively, get):
    page = get("/ui/stats/?days=7")
    assert page.count("20 min 34 s</b>") == 2
    assert "1 h</b>" in page


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_charts_have_no_style_or_script_and_numbers_as_svg_reads_them(lively, get, language):
    page = get("/ui/stats/", language)
    drawings = re.findall(r"<svg class=\"chart.*?</svg>", page, re.S)
    assert len(drawings) == 6
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", page)
    for drawing in drawings:
        assert 'role="img"' in drawing
        numbers = re.findall(r'\s(?:x|x1|x2|y|y1|y2|width|height)="(.*?)"', drawing)
        assert all(float(number) >= 0 for number in numbers)


def test_a_page_and_the_next_within_a_minute_read_the_figures_once(
    db, client, django_assert_num_queries
):
    # PostgreSQL needs two more queries, to set the limit of the figures and to end the limit.
    with django_assert_num_queries(7 if connection.vendor == "postgresql" else 5):
        client.get("/ui/stats/")
    with django_assert_num_queries(0):
        client.get("/ui/stats/")
        client.get("/stats")


# Durations in words, and charts


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3599.9, "1 h"),
        (3 * 3600 + 20 * 60, "3 h 20 min"),
        (86_399, "1 day"),
        (28 * 3600, "1 day 4 h"),
        (14 * 86_400, "14 days"),
    ],
)
def test_a_duration_in_words(seconds, words):
    with translation.override("en"):
        assert in_words(seconds) == words


def chart(above, below=None, **options):
    names = [str(n) for n in range(len(above))]
    series = [Series("up", "up", above)]
    if below:
        series.append(Series("down", "down", below))
    words = "{:g}".format
    plot = Plot(names=names, labels=names, series=series, words=words, **options)
    return bar_chart("Title", "Description", plot)


def test_ticks_fall_on_round_numbers():
    assert [tick.label for tick in chart([37]).ticks] == ["40", "30", "20", "10", "0"]
    assert [tick.label for tick in chart([7, 3]).ticks] == ["8", "6", "4", "2", "0"]
    assert [tick.label for tick in chart([150], steps=DURATIONS).ticks] == ["180", "120", "60", "0"]


def test_a_second_series_hangs_below_to_the_same_scale():
    drawn = chart([20], [10])
    up, down = drawn.bars
    assert float(up.height) == pytest.approx(2 * float(down.height), abs=0.02)
    assert drawn.baseline == down.y


def test_no_bar_leaves_the_drawing():
    for values in ([1], [99, 100, 101], [0.4, None], [123_456_789]):
        for bar in chart(values, values).bars:
            assert -0.01 <= float(bar.y) <= 100.01 - float(bar.height)
