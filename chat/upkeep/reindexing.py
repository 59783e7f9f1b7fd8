"""Write missing rows of the search index, and rows of an older rule, or rewrite all rows."""

from collections.abc import Collection, Iterator
from operator import itemgetter

from django.db.models import QuerySet
from django.db.models.functions import Length

from chat.database.batches import batches, key_batches, taking_turns
from chat.models import Conversation, Message, MessageWords

AT_ONCE = 500


def unsearchable(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return the messages without a row in the search index. Erased ones have a row without words."""
    return messages.filter(words=None)


def is_reindex_due() -> bool:
    """Whether rows of an older rule are left. Looks only at the oldest message, the last to be mended."""
    oldest = Message.objects.order_by("pk").values_list("pk", flat=True)[:1]
    return any(out_of_date([pk]) for pk in oldest)


def out_of_date(keys: list[int]) -> set[int]:
    """Return the messages without a search row, or with a row of an older rule."""
    between = {"pk__gte": min(keys), "pk__lte": max(keys)}  # FTS5 can seek to the first
    right = MessageWords.objects.by_this_rule().filter(**between)
    return set(keys).difference(right.values_list("pk", flat=True))


def reindex(*, every: bool) -> Iterator[tuple[int, int]]:
    """Write the row of each message without a current one, or of `every` message, newest first.

    Yield the messages read and the rows written; other writers get in between. May be interrupted
    and run again.
    """
    for keys in key_batches(Message.objects.all(), AT_ONCE, last_first=True):
        wrong = keys if every else out_of_date(keys)
        yield len(keys), write_rows(Message.objects.filter(pk__in=wrong).order_by("pk"))


def write_rows(messages: QuerySet[Message]) -> int:
    """Write the search rows of these messages, in transactions of bounded size. Return their number."""
    written = 0
    sizes = messages.values_list("pk", "conversation_id", Length("content"))
    for batch in batches(sizes, size_of=itemgetter(2)):
        with taking_turns():
            # An erasure holds these locks, so no text is indexed after its erasure.
            Conversation.objects.all_locked({id for _, id, _ in batch})
            written += replace_rows(messages.filter(pk__in=[pk for pk, _, _ in batch]))
    return written


def replace_rows(messages: Collection[Message] | QuerySet[Message]) -> int:
    batch = list(messages)
    MessageWords.objects.filter(pk__in=[message.pk for message in batch]).delete()
    MessageWords.objects.index(batch)
    return len(batch)
