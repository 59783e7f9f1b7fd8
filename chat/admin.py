"""A read-only admin of the stored rows. Only users can be edited, and tokens revoked."""

from typing import Any, cast
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from chat.events.payloads import parse_id
from chat.models import Conversation, Delivery, DeliveryQuerySet, Message, Token, User
from chat.models.tokens import TokenQuerySet
from chat.refusals import OF_EVENTS
from chat.views.pasted import spellings_of


@admin.register(User)
class Users(UserAdmin):  # type: ignore[type-arg]
    """Only superusers give rights away. Nobody else changes a superuser, or a user with more rights."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if is_superuser(request) else [*fields, *RIGHTS]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_touch(request, obj) and super().has_delete_permission(request, obj)


RIGHTS = ["is_staff", "is_superuser", "groups", "user_permissions"]


def is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def may_touch(request: HttpRequest, user: User | None) -> bool:
    """Whether the requesting user has all rights of `user`. A new password gives these rights away."""
    if user is None or is_superuser(request):
        return True
    return not user.is_superuser and rights_of(user) <= rights_of(request.user)


def rights_of(user: Any) -> set[int]:
    """Return the keys of the user's permissions, also of an inactive user."""
    permissions = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return set(permissions.values_list("pk", flat=True))


admin.site.unregister(Group)


@admin.register(Group)
class Groups(GroupAdmin):
    """Only superusers change groups, because a group gives rights away."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    show_full_result_count = False
    view_on_site = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class FoundByIdAdmin(ReadOnlyAdmin):
    """Searches for whole ids, as people paste them. Django's own search would read the whole table."""

    search_fields = ["id"]  # for the box
    sortable_by = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows with this id, each once. Junk raises no error."""
        id = search_term.replace("\0", "").strip()
        return self.with_ids(queryset, spellings_of(id)) if id else queryset, False

    def with_ids(self, queryset: QuerySet[Any], ids: list[str]) -> QuerySet[Any]:
        return queryset.filter(pk__in=uuids_of(ids))


def uuids_of(ids: list[str]) -> list[UUID]:
    return [id for id in map(parse_id, ids) if id]


@admin.register(Conversation)
class ConversationAdmin(FoundByIdAdmin):
    list_display = ["id", "state", "opened_at", "closed_at", "message_count", "activity_at"]
    list_filter = ["state"]
    search_help_text = "The id of a conversation"
    ordering = ["-activity_at", "-id"]


@admin.register(Message)
class MessageAdmin(FoundByIdAdmin):
    list_display = ["id", "conversation", "direction", "timestamp", "received_at", "late"]
    list_filter = ["direction"]
    list_select_related = ["conversation"]
    search_help_text = "The id of a message or a conversation"
    ordering = ["-arrival"]

    def with_ids(self, queryset: QuerySet[Any], ids: list[str]) -> QuerySet[Any]:
        uuids = uuids_of(ids)
        return queryset.filter(Q(id__in=uuids) | Q(conversation__in=uuids))


class CodeFilter(admin.SimpleListFilter):
    """The codes of refusals. Django's own filter would read every row to list them."""

    title = "code"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(refusal.code, refusal.code) for refusal in OF_EVENTS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        code = self.value()
        # SQLite uses the index of the code only if the query repeats the index's condition.
        return queryset.filter(code=code).exclude(code="") if code else queryset


@admin.register(Delivery)
class DeliveryAdmin(FoundByIdAdmin):
    """No date hierarchy, because Django's would read every row. `/ui/deliveries/` has bounds of time."""

    list_display = ["id", "received_at", "type", "outcome", "code", "request_id", "webhook_id"]
    list_filter = ["outcome", "type", CodeFilter]
    search_help_text = "The id of a request, a webhook, a message or a conversation"
    ordering = ["-id"]
    exclude = ["body"]
    readonly_fields = ["raw_body"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).defer("body")

    def with_ids(self, queryset: QuerySet[Any], ids: list[str]) -> QuerySet[Any]:
        return cast(DeliveryQuerySet, queryset).with_any_id(*ids)

    @admin.display(description="body")
    def raw_body(self, delivery: Delivery) -> str:
        return bytes(delivery.body).decode("utf-8", errors="backslashreplace")


@admin.register(Token)
class TokenAdmin(ReadOnlyAdmin):
    list_display = ["name", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at"]
    exclude = ["digest"]
    ordering = ["-id"]
    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.change_token")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[Token]) -> None:
        count = cast(TokenQuerySet, tokens).revoke(at=timezone.now())
        self.message_user(request, f"Revoked: {count}.")
