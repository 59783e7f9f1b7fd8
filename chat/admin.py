"""A read-only admin of the stored rows. Only users can be edited, and tokens revoked."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from chat.models import Conversation, Delivery, Message, Token, User
from chat.models.tokens import TokenQuerySet


@admin.register(User)
class Users(UserAdmin):  # type: ignore[type-arg]
    """Only superusers give rights away. Nobody else changes a superuser, or a user with more rights."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        given = super().get_readonly_fields(request, obj)
        return given if is_superuser(request) else [*given, *RIGHTS]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_touch(request, obj) and super().has_delete_permission(request, obj)


RIGHTS = ["is_staff", "is_superuser", "groups", "user_permissions"]


def is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def may_touch(request: HttpRequest, user: User | None) -> bool:
    """Whether who asks has all rights of the user: a new password gives them away."""
    if user is None or is_superuser(request):
        return True
    return not user.is_superuser and rights_of(user) <= rights_of(request.user)


def rights_of(user: Any) -> set[int]:
    """Return the keys of the permissions, of an inactive user too."""
    given = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return set(given.values_list("pk", flat=True))


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


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = ["id", "state", "opened_at", "closed_at", "message_count", "activity_at"]
    list_filter = ["state"]
    search_fields = ["=id"]
    ordering = ["-activity_at", "-id"]


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ["id", "conversation", "direction", "timestamp", "received_at", "late"]
    list_filter = ["direction"]
    list_select_related = ["conversation"]
    search_fields = ["=id", "=conversation__id"]
    ordering = ["-arrival"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ["id", "received_at", "type", "outcome", "code", "conversation_id", "message_id"]
    list_filter = ["outcome", "type", "code"]
    search_fields = ["=conversation_id", "=message_id", "=request_id", "=caller_request_id"]
    ordering = ["-id"]
    exclude = ["body"]
    readonly_fields = ["raw_body"]

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
