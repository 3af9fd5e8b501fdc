//! From the socket to events: packets, and the raw snapshot behind SNAP.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use jute::quorum::{ActivatedTxn, PacketType, QuorumPacket, SNAPSHOT_SIGNATURE};
use jute::txn::TxnRecord;
use jute::{Decode, DecodeError, Id, Limits};

use super::link::{End, Link, Origin};
use super::snapshot::Intake;
use super::thread::Desk;
use super::SnapshotSink;
use crate::limits;
use crate::net::socket::emptied;
use crate::types::Zxid;
use crate::zab::{Event, Packet};

/// Where the length of a packet's data stands.
const DATA_LEN_AT: usize = 12;
/// With less room than this behind the received bytes a new buffer is begun. Until then packets
/// share one.
const ROOM_MIN: usize = 4096;

/// The reading half of a link.
pub(super) struct Reader<'a, S> {
    link: &'a Link,
    desk: &'a Desk<S>,
    /// Received and not used yet.
    buffer: BytesMut,
    events: Vec<Event>,
    has_snapshot: bool,
}

/// What stands behind the packets that have been read.
enum Next {
    /// Nothing, or a part of a packet.
    More,
    /// The body of the snapshot of this zxid.
    Snapshot(Zxid),
}

impl<'a, S: SnapshotSink> Reader<'a, S> {
    pub fn new(link: &'a Link, desk: &'a Desk<S>) -> Self {
        let buffer = BytesMut::new();
        Reader { link, desk, buffer, events: Vec::new(), has_snapshot: false }
    }

    /// Reads until the connection, or the peer's good conduct, ends.
    pub async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.step().await {
                return end;
            }
        }
    }

    async fn step(&mut self) -> Result<(), End> {
        match self.packets() {
            Ok(Next::More) => {
                self.link.inflow.room(self.desk.settings.input_bytes_max).await;
                self.fill().await
            }
            Ok(Next::Snapshot(zxid)) => self.snapshot(zxid).await,
            Err(what) => Err(End::Failed(what)),
        }
    }

    /// Tells of every whole packet in the buffer, in one call, also when what follows is none.
    fn packets(&mut self) -> Result<Next, String> {
        let outcome = loop {
            match next_packet(&mut self.buffer, self.desk.settings.limits) {
                Ok(None) => break Ok(Next::More),
                Ok(Some(packet)) => {
                    let checked = match self.link.origin {
                        Origin::Dialled => check_txn(&packet),
                        Origin::Accepted => Ok(()),
                    };
                    if let Err(what) = checked {
                        break Err(what);
                    }
                    let snapshot = self.is_snapshot(&packet).then_some(packet.zxid);
                    self.link.inflow.tell(&packet);
                    if let Some(tracker) = &self.link.tracker {
                        tracker.received(packet.kind);
                    }
                    self.events.push(Event::Packet { link: self.link.id, packet });
                    if let Some(zxid) = snapshot {
                        break Ok(Next::Snapshot(zxid));
                    }
                }
                Err(e) => break Err(format!("it sent what is no packet: {e}")),
            }
        };
        self.desk.tell_all(&mut self.events);
        outcome
    }

    /// Only a leader sends snapshots. From a learner SNAP is just one more packet that makes no
    /// sense.
    fn is_snapshot(&self, packet: &Packet) -> bool {
        packet.kind == Some(PacketType::Snap) && self.link.origin == Origin::Dialled
    }

    /// Waits for more bytes.
    async fn fill(&mut self) -> Result<(), End> {
        read_more(self.link, &mut self.buffer).await
    }

    /// The same, but for more of a snapshot, of which the disk still has `undone` bytes to do.
    async fn fill_in_time(&mut self, undone: &AtomicUsize) -> Result<(), End> {
        let stall_ms = self.desk.settings.transfer_stall_ms;
        let stall = Duration::from_millis(stall_ms);
        loop {
            let more = read_more(self.link, &mut self.buffer);
            match tokio::time::timeout(stall, more).await {
                Ok(outcome) => return outcome,
                // All of it may have come, and it is us whom the leader waits for.
                Err(_) if undone.load(Ordering::Relaxed) > 0 => {}
                Err(_) => {
                    let why = format!("its snapshot has stopped: nothing came for {stall_ms} ms");
                    return Err(End::Failed(why));
                }
            }
        }
    }

    async fn snapshot(&mut self, zxid: Zxid) -> Result<(), End> {
        if std::mem::replace(&mut self.has_snapshot, true) {
            return Err(End::Failed("it sent a second snapshot".to_owned()));
        }
        let failed = |e: io::Error| End::Failed(format!("its snapshot cannot be taken in: {e}"));
        let (make, shelf) = (self.desk.sources.receive.clone(), self.desk.shelf.clone());
        let Intake { chunks, mut outcome, undone } =
            Intake::start(make, shelf, self.link.id, zxid).map_err(failed)?;
        let taken = loop {
            if self.buffer.is_empty() {
                tokio::select! {
                    biased;
                    taken = &mut outcome => break taken,
                    read = self.fill_in_time(&undone) => read?,
                }
            } else {
                // The sink may be done while the channel is full of what comes behind the body.
                tokio::select! {
                    biased;
                    taken = &mut outcome => break taken,
                    room = chunks.reserve() => match room {
                        Ok(room) => {
                            undone.fetch_add(self.buffer.len(), Ordering::Relaxed);
                            room.send(self.buffer.split().freeze());
                        }
                        Err(_) => break (&mut outcome).await,
                    },
                }
            }
        };
        let taken = taken.unwrap_or_else(|_| Err(io::Error::other("the thread has panicked")));
        let (sink, mut behind) = taken.map_err(failed)?.split();
        behind.unsplit(self.buffer.split());
        self.buffer = behind;
        self.signature().await?;
        self.desk.shelf.put(self.link.id, sink);
        self.desk.tell(Event::SnapshotReceived { link: self.link.id });
        Ok(())
    }

    /// Behind the body: a string that shows that both sides agree where it ends.
    async fn signature(&mut self) -> Result<(), End> {
        const LEN: usize = SNAPSHOT_SIGNATURE.len();
        while self.buffer.len() < 4 + LEN {
            self.fill_in_time(&AtomicUsize::new(0)).await?;
        }
        let signature = self.buffer.split_to(4 + LEN);
        let is_right = signature[..4] == (LEN as i32).to_be_bytes()
            && signature[4..] == *SNAPSHOT_SIGNATURE.as_bytes();
        if !is_right {
            return Err(End::Failed("the signature behind its snapshot is wrong".to_owned()));
        }
        Ok(())
    }
}

/// Reads once. When it is cancelled, nothing is lost.
async fn read_more(link: &Link, buffer: &mut BytesMut) -> Result<(), End> {
    let gone = |e: io::Error| End::of(e, "it cannot be read from");
    loop {
        link.stream.readable().await.map_err(gone)?;
        make_room(buffer);
        match link.stream.try_read_buf(buffer) {
            Ok(0) => return Err(End::PeerClosed),
            Ok(_) => {
                if buffer.len() < buffer.capacity() {
                    emptied(&link.stream);
                }
                return Ok(());
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(gone(e)),
        }
    }
}

/// Makes room behind what has been received. For a long packet as much as is missing of it, but
/// never more than is there already, so that nobody gets memory by announcing a length.
fn make_room(buffer: &mut BytesMut) {
    let len = buffer.get(DATA_LEN_AT..).and_then(|rest| rest.first_chunk::<4>());
    let len = len.map_or(0, |len| i32::from_be_bytes(*len).max(0) as usize);
    let missing = (DATA_LEN_AT + 8 + len).saturating_sub(buffer.len());
    let wanted = missing.min(buffer.len()).max(ROOM_MIN);
    if buffer.capacity() - buffer.len() < wanted {
        buffer.reserve(wanted.max(limits::LINK_READ_BYTES));
    }
}

/// A packet of the leader's: what can't be read must not get into the log, for neither this server
/// nor Apache's would start on it again.
pub fn check_txn(packet: &Packet) -> Result<(), String> {
    let (zxid, data) = (packet.zxid, packet.data.as_deref().unwrap_or_default());
    let txn = match packet.kind {
        Some(PacketType::Proposal | PacketType::Inform) => Ok(data),
        Some(PacketType::InformAndActivate) => {
            ActivatedTxn::from_bytes(data).map(|activated| activated.txn)
        }
        _ => return Ok(()),
    };
    match txn.and_then(TxnRecord::from_bytes) {
        Ok(record) if record.header.zxid == zxid.0 => Ok(()),
        Ok(record) => {
            let inside = Zxid(record.header.zxid);
            Err(format!("the leader's transaction {zxid} says that it is {inside}"))
        }
        Err(e) => Err(format!("the leader's transaction {zxid} can't be read: {e}")),
    }
}

/// Takes one whole packet from the front of the buffer; its data shares the buffer's memory.
pub fn next_packet(buffer: &mut BytesMut, limits: Limits) -> Result<Option<Packet>, DecodeError> {
    let Some(len) = QuorumPacket::measure(buffer, limits)? else { return Ok(None) };
    let mut reader = jute::Reader::with_limits(&buffer[..len], limits);
    let packet = QuorumPacket::decode(&mut reader)?;
    let kind = PacketType::from_code(packet.kind);
    let zxid = Zxid(packet.zxid);
    let identities: Vec<Id<'static>> =
        packet.auth.unwrap_or_default().into_iter().map(Id::into_owned).collect();
    let data_len = packet.data.map(<[u8]>::len);
    let data = match data_len {
        None => {
            buffer.advance(len);
            None
        }
        Some(data_len) => {
            let at = DATA_LEN_AT + 4;
            Some(buffer.split_to(len).freeze().slice(at..at + data_len))
        }
    };
    Ok(Some(Packet { kind, zxid, data, identities }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jute::Encode;

    fn sample() -> Vec<u8> {
        let who = vec![Id { scheme: Some("ip".into()), id: Some("127.0.0.1".into()) }];
        let mut bytes = QuorumPacket::new(PacketType::Ack, 7, None).to_bytes();
        bytes.extend(QuorumPacket::new(PacketType::Ping, 8, Some(&[])).to_bytes());
        let mut request = QuorumPacket::new(PacketType::Request, -1, Some(b"create"));
        request.auth = Some(who);
        bytes.extend(request.to_bytes());
        bytes.extend(QuorumPacket { kind: 99, zxid: 9, data: Some(b"?"), auth: None }.to_bytes());
        bytes
    }

    fn all(buffer: &mut BytesMut) -> Vec<Packet> {
        let next = |b: &mut BytesMut| next_packet(b, Limits::DEFAULT).expect("good packets");
        std::iter::from_fn(|| next(buffer)).collect()
    }

    #[test]
    fn packets_are_the_same_wherever_they_are_cut() {
        let bytes = sample();
        let whole = all(&mut BytesMut::from(&bytes[..]));
        let kinds: Vec<_> = whole.iter().map(|p| (p.kind, p.zxid.0, p.data.as_deref())).collect();
        let expected: [(_, _, Option<&[u8]>); 4] = [
            (Some(PacketType::Ack), 7, None),
            (Some(PacketType::Ping), 8, Some(b"")),
            (Some(PacketType::Request), -1, Some(b"create")),
            (None, 9, Some(b"?")),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(whole[2].identities[0].id.as_deref(), Some("127.0.0.1"));
        for cut in 0..=bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..cut]);
            let mut packets = all(&mut buffer);
            buffer.extend_from_slice(&bytes[cut..]);
            packets.extend(all(&mut buffer));
            assert_eq!(packets, whole, "cut at {cut}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn data_shares_the_buffer() {
        let mut buffer = BytesMut::from(&sample()[..]);
        let memory = buffer.as_ptr() as usize..buffer.as_ptr() as usize + buffer.len();
        let packets = all(&mut buffer);
        let data = packets[2].data.as_ref().expect("a request has data");
        assert!(memory.contains(&(data.as_ptr() as usize)));
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_there() {
        let with_len = |len: i32| {
            let mut bytes = vec![0; DATA_LEN_AT];
            bytes.extend(len.to_be_bytes());
            BytesMut::from(&bytes[..])
        };
        let max = Limits::DEFAULT.max_length as i32;
        let next = |len| next_packet(&mut with_len(len), Limits::DEFAULT);
        assert_eq!(next(max), Ok(None));
        assert!(matches!(next(max + 1), Err(DecodeError::TooLong { .. })));
        assert_eq!(next(-2), Err(DecodeError::NegativeLength(-2)));
    }

    #[test]
    fn announcing_a_length_does_not_give_memory() {
        let mut buffer = BytesMut::from(&[0; DATA_LEN_AT][..]);
        buffer.extend_from_slice(&i32::MAX.to_be_bytes());
        make_room(&mut buffer);
        assert!(buffer.capacity() <= 2 * limits::LINK_READ_BYTES);
    }
}
