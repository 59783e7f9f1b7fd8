"""Which conversations the list shows, as the address says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db import connection

from chat.database.keyset import Ordering, Page, page_of, rows_of
from chat.models import Conversation, ConversationQuerySet, Filter, Sort, ordering_of

INBOX_PAGE = 50
NOBODY = UUID(int=0)
# What of a conversation is different whenever it is shown differently; and all of it as one text.
STAMPED = "id", "revision", "wrote_after_closing_at"
ROWS = {
    "sqlite": "group_concat(id || ' ' || revision || ' ' || ifnull(wrote_after_closing_at, ''))",
    "postgresql": "string_agg(concat_ws(' ', id, revision, wrote_after_closing_at), ',')",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """A filter, a sort, and the cursor of where it begins. Its queries raise BadCursor."""

    filter: Filter = Filter.ALL
    sort: Sort = Sort.LATEST
    cursor: str = ""

    @classmethod
    def of(cls, address: Mapping[str, str]) -> "Listing":
        """Raises ValueError for a filter or a sort that is none of ours."""
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
        return page_of(self.conversations, self.ordering, size=size, cursor=self.cursor)

    def stamp(self, size: int, conversation_id: UUID | None) -> str:
        """Changes exactly when what is shown of such a page's rows and of a conversation does.

        Read before what it stands for: what happens in between is then shown twice, and never missed.
        """
        sql, params = shown_sql(self, size)
        id = Conversation._meta.pk.get_db_prep_value(conversation_id, connection)
        with connection.cursor() as cursor:
            cursor.execute(sql, [*params, id])
            (shown,) = cursor.fetchone()
        return blake2b((shown or "").encode(), digest_size=12).hexdigest()

    def query(self, **changes: str) -> str:
        """As the end of an address: empty where everything is as it is by default."""
        said = {"filter": self.filter.value, "sort": self.sort.value, "cursor": self.cursor}
        usual = {"filter": Filter.ALL.value, "sort": Sort.LATEST.value, "cursor": ""}
        said |= changes
        differing = {name: value for name, value in said.items() if value != usual.get(name)}
        return f"?{urlencode(differing)}" if differing else ""


@lru_cache(maxsize=256)
def shown_sql(listing: Listing, size: int) -> tuple[str, tuple[Any, ...]]:
    """What can change of a page, of one row more, and of the conversation that the last parameter names.

    Made once for each list: Django takes six times as long to make it as the database to answer.
    One text, because Python lets its other threads in before each row that it has from SQLite. A
    union by hand: Django's cannot hold a page, and PostgreSQL reads the whole table for an OR.
    """
    rows = rows_of(listing.conversations, listing.ordering, cursor=listing.cursor)
    page = [rows[: size + 1]] if size else []  # whether there is one more decides on "Load more"
    compiled = [
        part.values_list(*STAMPED).query.sql_with_params()
        for part in (*page, Conversation.objects.filter(pk=NOBODY))
    ]
    shown = " UNION ALL ".join(f"SELECT * FROM ({sql}) AS part" for sql, _ in compiled)  # noqa: S608
    params = [param for _, params in compiled for param in params]
    return f"SELECT {ROWS[connection.vendor]} FROM ({shown}) AS shown", tuple(params[:-1])  # noqa: S608
