"""The feed of a task that several processes watch: one of them leads, and all read one log."""

from __future__ import annotations

import copy
import uuid

from rxtasks.feed.hub.member import HubMember
from rxtasks.feed.hub.recall import RecalledState
from rxtasks.feed.hub.record import Sent, Told
from rxtasks.models import TransportFault
from rxtasks.platforms.base import Accepted, Metadata, TaskRef, Want

__all__ = ["HubFeed"]


class HubFeed(HubMember):
    """Watches a task together with other processes, and takes what users do to it."""

    state: RecalledState  # pyright: ignore[reportIncompatibleVariableOverride]

    def sent(self, text: str, accepted: Accepted, *, started: TaskRef | None = None) -> None:
        """A message was accepted; with `started`, it has started the task."""
        self.log.reopen()
        if not self.active:
            self._apart()
            super().sent(text, accepted, started=started)
        if started is not None:
            # What is known of the task begins with its name, whether or not the hub is there.
            self._shared.replica.state.name_task(started)
        self._tell(Told(uuid.uuid4().hex, sent=Sent(text, accepted, started)))
        if started is not None:
            self._start()

    def listed(self, info: Metadata) -> None:
        """A listing told where the task stands."""
        self._looked = True
        self._apart()
        super().listed(info)

    def cancelled(self) -> None:
        """The user has cancelled: find out what came of it."""
        self._tell(Told(uuid.uuid4().hex, what="cancelled"))

    def poke(self) -> None:
        """Something has probably changed: poll now."""
        if self.active:
            super().poke()
        else:
            self._tell(Told(uuid.uuid4().hex, what="poke"))

    def hinted(self, *, ended: bool) -> None:
        """Something has changed; with `ended`, the turn may have ended."""
        if self.active:
            super().hinted(ended=ended)
        else:
            self._tell(Told(uuid.uuid4().hex, what="ended-hint" if ended else "hint"))

    def fault(self, fault: TransportFault) -> None:
        """Tell a fault that will be made up for."""
        if self.active or self.ref is None:
            super().fault(fault)
        else:
            self._tell(Told(uuid.uuid4().hex, fault=fault))

    def end(self) -> None:
        """The task was deleted: its streams complete, later ones after the log."""
        self._tell(Told(uuid.uuid4().hex, what="deleted"))
        self._hub.delete(self._name_in_hub)
        if self._share is None or self._alone:
            self._apart()
            super().end()

    async def poll(self, want: Want) -> None:
        """Poll once, and merge what was found."""
        self._looked = self._looked or not self.active
        self._apart()
        await super().poll(want)

    @property
    def standing_fault(self) -> TransportFault | None:
        """The newest fault that still stands: what has failed has not worked since."""
        if self.active:
            return super().standing_fault
        told = self._shared.last_fault
        if isinstance(told, TransportFault) and self.seen.connection == "reconnecting":
            return told  # of the process that leads
        return next((fault for fault in self._faults if fault.source == "hub"), None)

    async def wait_settled(self) -> None:
        """Wait until the latest turn has ended and been reconciled, however long that takes.

        Raises:
            RxTasksError: Watching has ended for a reason.
        """
        while True:
            if self.log.ended:
                raise self._gone()
            known = self._alone or (self._ready.is_set() and not self._awaited)
            if known and self.log.settled:
                return
            await self._waiters.wait(self.loop)

    def _apart(self) -> None:
        """Let what only this process learns not get among what all have learned."""
        if not self.active and self.state is self._shared.replica.state:
            self.state = copy.deepcopy(self.state)
