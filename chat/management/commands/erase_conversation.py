"""Erase the text of conversations for good."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from chat.management.maintenance import MaintenanceCommand
from chat.management.progress import progress
from chat.management.rehearsal import (
    NOTHING_DONE,
    add_yes,
    conversation_id,
    file_and_reason,
)
from chat.upkeep import erasure, erasure_list
from chat.upkeep.erasure_list import Happened


class Command(MaintenanceCommand):
    help = (
        "Erase conversations: the text of their messages, the words in the search index, and the "
        "bodies of their deliveries, from the database's files too. Ids, times and directions stay, "
        "so no redelivery restores the text; the conversations are closed. An erasure cannot be "
        "undone: export a conversation before if the text must be handed over. Backups keep their "
        "copy, and PostgreSQL keeps its WAL for a while."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "ids",
            nargs="+",
            type=conversation_id,
            metavar="id",
            help="a conversation's id; may be several. The slow part runs once for all",
        )
        add_yes(parser)
        parser.add_argument(
            "--rewrite",
            action="store_true",
            help="PostgreSQL: rewrite the tables' files (VACUUM FULL), because bytes of deleted rows "
            "otherwise stay until other rows overwrite them; nobody reads or writes meanwhile. "
            "SQLite's file never keeps these bytes",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        ids = [*dict.fromkeys(options["ids"])]
        for id, stock in [(id, stock_of(id)) for id in ids]:
            self.stdout.write(f"{id}: {summary_of(stock)}")
        if not options["yes"]:
            self.stdout.write(NOTHING_DONE)
            return
        erase(ids)
        self.scrub(ids, rewrite=options["rewrite"])
        with suppress(OSError):  # `upkeep` then scrubs once more
            erasure_list.note(Happened.SCRUBBED, *ids, at=timezone.now())
        self.stdout.write("Erased.")

    def scrub(self, ids: list[UUID], *, rewrite: bool) -> None:
        try:
            with progress(unit=" pages", desc="search index") as bar:
                for pages in erasure.scrub(*ids, rewrite=rewrite):
                    bar.update(pages)
        except erasure.StillRead:
            raise CommandError(
                "erased, but an older transaction (a reader, a backup, a forgotten session) is still "
                "open, so the old text is still in the files: run this again, or `upkeep`"
            ) from None


def stock_of(id: UUID) -> erasure.Stock:
    try:
        return erasure.stock_of(id)
    except erasure.NothingStored:
        raise CommandError(f"nothing is stored about {id}") from None


def erase(ids: list[UUID]) -> None:
    try:
        erasure.erase(*ids, at=timezone.now())
    except erasure_list.NoPlace:
        raise CommandError(
            "nothing was erased: ERASURES_FILE must name a file for the list of erasures, which "
            "a restore reads"
        ) from None
    except OSError as error:
        raise CommandError(
            f"nothing was erased: the list of erasures cannot be written: {file_and_reason(error)}"
        ) from error


def summary_of(stock: erasure.Stock) -> str:
    if stock.conversation is None:
        return f"not opened yet, {stock.deliveries} deliveries"
    summary = (
        f"{stock.conversation.state}, {stock.messages} messages, {stock.deliveries} deliveries"
    )
    if stock.conversation.erased_at:
        summary += f", erased before at {stock.conversation.erased_at.isoformat()}"
    return summary
