"""A feed from a capture of MoldUDP64 lines that carry ITCH."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tickloop.core.batch import Slice
from tickloop.core.clock import NULL_TIME, date_of
from tickloop.core.errors import FeedError
from tickloop.ingest.feed import FeedContext, Health
from tickloop.ingest.itch import ItchDecoder
from tickloop.ingest.mold_channels import Channels
from tickloop.ingest.moldudp64 import HEADROOM, Gap, MessageFrames, MoldArbiter
from tickloop.ingest.pcap import PacketChunk, PcapReader
from tickloop.ingest.pcap_walk import TIME

# Lines of one feed are microseconds apart; a second of the capture's clock is ample.
WINDOW_NS = 1_000_000_000


class MoldPcap:
    """ITCH rows from a pcap or pcapng file; rows' `time` is the capture's stamp.

    The session with the most messages at the start of the capture is followed unless one is
    named. Lines that carry the same messages are merged by sequence number; of several channels
    the one with the most messages is followed, or the `destinations` that are named
    (address << 16 | port). Packets of others are counted. Without a session date in the context
    the date of the first packet in the context's zone is taken. FeedError if the file cannot be
    opened; damage inside it ends the feed and is in `health.damage`.
    """

    def __init__(
        self,
        path: Path,
        context: FeedContext,
        *,
        venue: str = "XNAS",
        session: bytes | None = None,
        destinations: frozenset[int] = frozenset(),
        window_ns: int = WINDOW_NS,
    ) -> None:
        self.name = f"pcap:{path.name}"
        self.venue = venue
        self.health = Health()
        self.arbiter = MoldArbiter(health=self.health, window_ns=window_ns, session=session)
        self.reader = PcapReader(path, health=self.health, headroom=HEADROOM)
        self._channels = Channels(health=self.health, wanted=destinations)
        self._context = context
        self._decoder: ItchDecoder | None = None

    @property
    def messages(self) -> int:
        """ITCH messages decoded so far."""
        return 0 if self._decoder is None else self._decoder.messages

    @property
    def gaps(self) -> list[Gap]:
        """Messages that no line of the capture holds."""
        return self.arbiter.gaps

    def slices(self) -> Iterator[Slice]:
        """Yield rows in sequence; ends at the end of the capture or at damage."""
        try:
            yield from self._slices()
        except FeedError as error:
            self.health.damage.append(error)

    def _slices(self) -> Iterator[Slice]:
        buffer = None
        for chunk in self.reader.chunks():
            buffer = chunk.buffer
            decoder = self._decoder_for(chunk)
            packets = self._channels.only_wanted(chunk.packets)
            if self.arbiter.choose(buffer, packets):
                assert self.arbiter.session is not None, "a session was chosen"
                packets = self._channels.followed(buffer, packets, self.arbiter.session)
            yield from _decoded(decoder, self.arbiter.arrange(buffer, packets, base=chunk.base))
        if buffer is not None and self._decoder is not None:
            yield from _decoded(self._decoder, self.arbiter.finish(buffer))
        if not self.arbiter.messages and not self.health.damage:
            raise FeedError(
                f"{self.reader.path}: no MoldUDP64 message in {self.reader.packets} packets"
                f" ({self.reader.udp_packets} of UDP) is for this feed; name the feed that the"
                " capture is, or the channel ([feed] pcap_channel)"
            )

    def _decoder_for(self, chunk: PacketChunk) -> ItchDecoder:
        if self._decoder is None:
            context = self._context
            first = int(chunk.packets[TIME, 0])
            if context.session_date is None and first != NULL_TIME:
                context = replace(context, session_date=date_of(first, zone=context.zone))
            self._decoder = ItchDecoder(context, self.health, venue=self.venue)
        return self._decoder


def _decoded(decoder: ItchDecoder, released: Iterable[MessageFrames]) -> Iterator[Slice]:
    for frames in released:
        yield from decoder.decode(
            frames.buffer, frames.offsets, frames.lengths, frames.times, origins=frames.origins
        )
