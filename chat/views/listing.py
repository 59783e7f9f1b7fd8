"""The list of conversations for an address."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db import connection

from chat.database.keyset import Ordering, Page, page_of, rows_of
from chat.models import Conversation, ConversationQuerySet, Filter, Sort, ordering_of

INBOX_PAGE = 50
CHUNK = 200  # rows per query of `in_chunks`
NOBODY = UUID(int=0)
# At least one of these columns changes whenever a row would look different. ROWS makes one text of all rows.
STAMPED = "id", "revision", "wrote_after_closing_count", "dealt_with_at"
ROWS = {
    "sqlite": "group_concat(id || ' ' || revision || ' ' || wrote_after_closing_count || ' ' "
    "|| ifnull(dealt_with_at, ''))",
    "postgresql": "string_agg(concat_ws(' ', id, revision, wrote_after_closing_count, "
    "dealt_with_at), ',')",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """A filter, a sort, and the cursor of the first row. Its queries raise BadCursor."""

    filter: Filter = Filter.ALL
    sort: Sort = Sort.LATEST
    cursor: str = ""

    @classmethod
    def of(cls, address: Mapping[str, str]) -> "Listing":
        """Read the listing from an address. Raises ValueError for an unknown filter or sort."""
        return cls(
            Filter(address.get("filter") or Filter.ALL),
            Sort(address.get("sort") or Sort.LATEST),
            address.get("cursor", ""),
        )

    @property
    def ordering(self) -> Ordering:
        return ordering_of(self.filter, self.sort)

    @property
    def conversations(self) -> ConversationQuerySet:
        return Conversation.objects.filtered(self.filter, self.sort)

    def page(self, size: int = INBOX_PAGE) -> Page[Conversation]:
        """Return the rows with their `refused_body`."""
        rows = self.conversations.with_refused_body()
        return page_of(rows, self.ordering, size=size, cursor=self.cursor)

    def in_chunks(self) -> Iterator[list[Conversation]]:
        """Yield all rows in order, each chunk from a query of its own, from the cursor on."""
        following = self
        while True:
            rows, cursor = following.conversations, following.cursor
            page = page_of(rows, following.ordering, size=CHUNK, cursor=cursor)
            yield page.rows
            if not page.next:
                return
            following = replace(following, cursor=page.next)

    def stamp(self, size: int, conversation_id: UUID | None) -> str:
        """Return a hash that changes exactly if these rows or the conversation would look different.

        Read the stamp before the rows, so a change in between is shown twice and never missed.
        """
        sql, params = stamp_sql(self, size)
        id = Conversation._meta.pk.get_db_prep_value(conversation_id, connection)
        with connection.cursor() as cursor:
            cursor.execute(sql, [*params, id])
            (rows,) = cursor.fetchone()
        return blake2b((rows or "").encode(), digest_size=12).hexdigest()

    def query(self, **changes: str) -> str:
        """Return the query string of the listing, without defaults: empty if nothing differs."""
        parameters = {"filter": self.filter.value, "sort": self.sort.value, "cursor": self.cursor}
        usual = {"filter": Filter.ALL.value, "sort": Sort.LATEST.value, "cursor": ""}
        parameters |= changes
        differing = {name: value for name, value in parameters.items() if value != usual.get(name)}
        return f"?{urlencode(differing)}" if differing else ""


@lru_cache(maxsize=256)
def stamp_sql(listing: Listing, size: int) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL of a stamp: of a page, of one row more, and of one conversation.

    The caller appends the conversation's id to the parameters. Each list's SQL is cached, because
    compiling takes six times as long as running. All rows come as one text, because Python lets
    other threads run before each row from SQLite. The union is written by hand: Django's cannot
    hold a page, and PostgreSQL reads the whole table for an OR.
    """
    rows = rows_of(listing.conversations, listing.ordering, cursor=listing.cursor)
    page = [rows[: size + 1]] if size else []  # the last one only decides on "Load more"
    compiled = [
        part.values_list(*STAMPED).query.sql_with_params()
        for part in (*page, Conversation.objects.filter(pk=NOBODY))
    ]
    union = " UNION ALL ".join(f"SELECT * FROM ({sql}) AS part" for sql, _ in compiled)  # noqa: S608
    params = [param for _, params in compiled for param in params]
    return f"SELECT {ROWS[connection.vendor]} FROM ({union}) AS stamped", tuple(params[:-1])  # noqa: S608
