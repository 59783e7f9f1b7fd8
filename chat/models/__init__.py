"""The models, and the querysets to read them.

Only chat/events writes conversations and messages. chat/upkeep/erasure.py empties them.
"""

from chat.models.attempts import LoginAttempts
from chat.models.backups import Backup
from chat.models.changes import (
    Change,
    Cursor,
    Generation,
    begin_generation,
    current_generation,
    latest_cursor,
    place_new_changes,
)
from chat.models.conversations import (
    CHANGED_BY_A_MESSAGE,
    CHANGED_BY_CLOSING,
    CHANGED_BY_WRITING_AFTER_CLOSING,
    MOST_OF_BODY,
    Conversation,
    ConversationQuerySet,
    preview_of,
    short_id_of,
)
from chat.models.dealings import Dealing
from chat.models.deliveries import (
    EARLY,
    INVALID,
    KEPT_OF_INVALID_BODY,
    MAY_CHANGE,
    SHOWN_OF_BODY,
    Delivery,
    DeliveryQuerySet,
    ids_in,
)
from chat.models.hits import HitFilters, find_messages
from chat.models.lists import COUNTED_TO, Filter, Sort, Within, ordering_of
from chat.models.log import LOOKED_AT, REQUEST_COLUMNS, LogFilters
from chat.models.messages import (
    IN_ORDER,
    SIDES,
    Direction,
    Message,
    MessageQuerySet,
    Side,
    ThreadPage,
)
from chat.models.seen import Seen, latest_places, note_seen
from chat.models.tokens import Scope, Token
from chat.models.users import User
from chat.models.words import MessageWords

__all__ = [
    "CHANGED_BY_A_MESSAGE",
    "CHANGED_BY_CLOSING",
    "CHANGED_BY_WRITING_AFTER_CLOSING",
    "COUNTED_TO",
    "EARLY",
    "INVALID",
    "IN_ORDER",
    "KEPT_OF_INVALID_BODY",
    "LOOKED_AT",
    "MAY_CHANGE",
    "MOST_OF_BODY",
    "REQUEST_COLUMNS",
    "SHOWN_OF_BODY",
    "SIDES",
    "Backup",
    "Change",
    "Conversation",
    "ConversationQuerySet",
    "Cursor",
    "Dealing",
    "Delivery",
    "DeliveryQuerySet",
    "Direction",
    "Filter",
    "Generation",
    "HitFilters",
    "LogFilters",
    "LoginAttempts",
    "Message",
    "MessageQuerySet",
    "MessageWords",
    "Scope",
    "Seen",
    "Side",
    "Sort",
    "ThreadPage",
    "Token",
    "User",
    "Within",
    "begin_generation",
    "current_generation",
    "find_messages",
    "ids_in",
    "latest_cursor",
    "latest_places",
    "note_seen",
    "ordering_of",
    "place_new_changes",
    "preview_of",
    "short_id_of",
]
