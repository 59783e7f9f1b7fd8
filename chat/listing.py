"""Which conversations the list shows, as the address says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db import connection

from chat.keyset import Ordering, Page, page_of, rows_of
from chat.models import Conversation, ConversationQuerySet, Filter, Sort, ordering_of

INBOX_PAGE = 50
NOBODY = UUID(int=0)


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

        Their order follows from what they hold, so it needs no part in the stamp. Read before
        what it stands for: what happens in between is then shown twice, and never missed.
        """
        sql, params = shown_sql(self, size)
        id = Conversation._meta.pk.get_db_prep_value(conversation_id, connection)
        with connection.cursor() as cursor:
            cursor.execute(sql, [*params, id])
            held = str(sorted(cursor.fetchall()))
        return blake2b(held.encode(), digest_size=12).hexdigest()

    def query(self, **changes: str) -> str:
        """As the end of an address: empty where everything is as it is by default."""
        said = {"filter": self.filter.value, "sort": self.sort.value, "cursor": self.cursor}
        usual = {"filter": Filter.ALL.value, "sort": Sort.LATEST.value, "cursor": ""}
        said |= changes
        differing = {name: value for name, value in said.items() if value != usual.get(name)}
        return f"?{urlencode(differing)}" if differing else ""


@lru_cache(maxsize=256)
def shown_sql(listing: Listing, size: int) -> tuple[str, tuple[Any, ...]]:
    """What can change of what is shown, for the ids of a page and one more, the last parameter.

    Made once for each list: Django takes six times as long to make it as the database to answer.
    A union, because PostgreSQL reads the whole table for an OR with a subquery in it.
    """
    rows = rows_of(listing.conversations, listing.ordering, cursor=listing.cursor)
    rows = rows[: size + 1 if size else 0]  # whether there is one more decides on "Load more"
    held = Conversation.objects.values_list("pk", "revision", "wrote_after_closing_at")
    shown = held.filter(pk__in=rows.values("pk")).union(held.filter(pk=NOBODY))
    sql, params = shown.query.sql_with_params()
    return sql, tuple(params[:-1])
