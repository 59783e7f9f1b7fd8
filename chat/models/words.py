"""The search index: the words of each message, in FTS5 of SQLite or in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from chat.database.keyset import Page, cursor_of, decoded
from chat.database.statements import new
from chat.models.messages import Message
from chat.text.expressions import Every, Term, expression_of
from chat.text.folding import RULE, indexed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.db.backends.base.base import BaseDatabaseWrapper

    from chat.database.keyset import Ordering
    from chat.models.conversations import Conversation, ConversationQuerySet
    from chat.text.expressions import Expression

NEWEST_FIRST: Ordering = ("-arrival",)
# The most hits read for a page.
HITS_A_PAGE = 1_000


if TYPE_CHECKING:
    TextFieldOfWords = models.TextField[list[str], list[str]]
else:
    TextFieldOfWords = models.TextField


class WordsField(TextFieldOfWords):
    """A list of words, cut and folded in Python, so both engines index the same words.

    Written as one text for FTS5, and as a tsvector for PostgreSQL. Never read back.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return "tsvector" if connection.vendor == "postgresql" else super().db_type(connection)

    def get_placeholder(self, value: Any, compiler: Any, connection: BaseDatabaseWrapper) -> str:
        return "array_to_tsvector(%s::text[])" if connection.vendor == "postgresql" else "%s"

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        return value if connection.vendor == "postgresql" else " ".join(value)


@WordsField.register_lookup
class Find(models.Lookup):
    """Match an expression of terms. Terms are letters, digits and §: nothing to escape."""

    lookup_name = "find"
    prepare_rhs = False

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[str]]:
        # Without positions FTS5 matches only the whole table, through the column of the same name.
        table = connection.ops.quote_name(self.lhs.target.model._meta.db_table)
        match = f"{connection.ops.quote_name(self.lhs.alias)}.{table} MATCH %s"
        return match, [written(self.rhs, FTS5)]

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        lhs, params = self.process_lhs(compiler, connection)
        return f"{lhs} @@ %s::tsquery", (*params, written(self.rhs, TSQUERY))


# How an engine writes a term, the beginning of a term, "and" and "or".
FTS5 = ('"{}"', '"{}" *', " AND ", " OR ")
TSQUERY = ("'{}'", "'{}':*", " & ", " | ")


def written(expression: Expression, syntax: tuple[str, str, str, str]) -> str:
    term, prefix, every, either = syntax
    if isinstance(expression, Term):
        return (prefix if expression.is_prefix else term).format(expression.text)
    sign = every if isinstance(expression, Every) else either
    return f"({sign.join(written(part, syntax) for part in expression.parts)})"


class MessageWordsQuerySet(models.QuerySet["MessageWords"]):
    def index(self, messages: Iterable[Message]) -> None:
        """Index messages in the transaction that stores them, so the index is never behind."""
        self.bulk_create([self.model.of(message) for message in messages])

    def by_this_rule(self) -> MessageWordsQuerySet:
        """Return the rows written by the current RULE."""
        return self.filter(words__find=Term(RULE))

    def search(self, query: str) -> MessageWordsQuerySet:
        """Return the hits, latest arrival first, each with its message and conversation."""
        expression = expression_of(query)
        if not expression.parts:
            return self.none()
        hits = self.filter(words__find=expression).order_by("-message_id")
        return hits.select_related("message__conversation").defer("words")

    def conversations(
        self, query: str, *, among: ConversationQuerySet, size: int, cursor: str = ""
    ) -> Page[Conversation]:
        """Return a page of the conversations in `among` with a hit, latest hit first. Raises BadCursor.

        A page reads at most HITS_A_PAGE hits, to bound the cost of common words and of a narrow
        `among`. So a page may be short or empty and still have a next page. A conversation appears
        once a page, and again if a later page has hits of the conversation.
        """
        hits = self.search(query)
        if cursor:
            hits = hits.filter(message_id__lt=decoded(cursor, Message, NEWEST_FIRST)[0])
        listed = models.Exists(among.filter(pk=models.OuterRef("message__conversation")))
        first_hits = hits.values_list("message", "message__conversation", listed)[: HITS_A_PAGE + 1]
        ids, position = first_conversations(list(first_hits), size)
        rows = among.model.objects.in_bulk(ids)
        following = cursor_of(Message(arrival=position), NEWEST_FIRST) if position else ""
        return Page([rows[id] for id in ids if id in rows], following)


def first_conversations(
    hits: list[tuple[int, UUID, bool]], size: int
) -> tuple[list[UUID], int | None]:
    """Return the listed conversations, and the arrival of the last hit read if more hits follow."""
    ids: dict[UUID, None] = {}
    position = None
    for arrival, id, listed in hits[:HITS_A_PAGE]:
        if listed and id not in ids:
            if len(ids) == size:
                return list(ids), position
            ids[id] = None
        position = arrival
    return list(ids), position if len(hits) > HITS_A_PAGE else None


class MessageWords(models.Model):
    """The words of one message. The key is the message's arrival, FTS5's rowid."""

    message = models.OneToOneField(
        Message,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        db_column="rowid",
        db_constraint=False,  # a virtual table has no constraints
        related_name="words",
    )
    words = WordsField()

    objects = MessageWordsQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "message words"

    def __str__(self) -> str:
        return str(self.pk)

    @classmethod
    def of(cls, message: Message) -> MessageWords:
        return new(cls, message_id=message.arrival, words=indexed(message.content))
