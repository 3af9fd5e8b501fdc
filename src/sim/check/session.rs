//! Promise P6: an ephemeral is there exactly as long as its session, in every replica; a session's
//! number is given once; it is closed once with an effect, and does nothing behind that; it
//! expires by a committed transaction only, and never while its client is heard of in time by a
//! member that is with its leader. A leader that stands still meanwhile takes nobody's time: it
//! ends no session before it has been awake, since it heard of it, for the session's timeout.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jute::quorum::{PacketType, Touched};
use jute::txn::{Txn, TxnRecord};
use jute::Decode;

use super::{is_nothing, serves, walk, Act, Check, Lived, NodeView, Note, Said, WorldView};
use crate::sim::history::Record;
use crate::tree::{Owner, Replica};
use crate::types::{LoggedTxn, Zxid};
use crate::zab::Role;

/// One look in so many goes through the whole tree.
const SAMPLED_ONE_IN: u64 = 64;
/// So the check says what an expiry that must not be is.
pub const WRONGFUL: &str = "and its client was heard of";
/// So many of a session's last answers are remembered.
const ANSWERS: usize = 16;

/// The sessions, by what was agreed upon and by what their clients were told.
#[derive(Debug, Default)]
pub struct Session {
    seen: Zxid,
    live: BTreeSet<i64>,
    closed: BTreeMap<i64, Zxid>,
    heard: BTreeMap<i64, Heard>,
    /// The servers, as far as they lead.
    ears: BTreeMap<usize, Ear>,
    looks: u64,
}

/// What a leader has heard of sessions, and done about them.
#[derive(Debug, Default)]
struct Ear {
    /// When it heard of each session last, or a little earlier, ns.
    heard_ns: BTreeMap<i64, u64>,
    /// It has proposed up to here. Whoever joins is told of that once more, much later.
    proposed: Zxid,
}

/// When a session's client was heard of: at some instant between asking and being answered.
#[derive(Debug, Default)]
struct Heard {
    timeout_ns: u64,
    answers_ns: VecDeque<(u64, u64)>,
}

impl Check for Session {
    fn name(&self) -> &'static str {
        "session"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let role = view.nodes[node].role;
        self.catch_up(view)?;
        self.listen(view, node, note);
        match (&note.act, role) {
            (Act::Applies(txns), role) if serves(role) => {
                txns.iter().try_for_each(|txn| self.agreed(txn))
            }
            (Act::Client(lived), _) => {
                self.hear(lived);
                Ok(())
            }
            (Act::Says { dialled: false, packets, .. }, Role::Leading { epoch }) => {
                let mut own = packets.iter().filter(|packet| packet.zxid.epoch() == epoch);
                own.try_for_each(|packet| self.proposed(view, node, packet))
            }
            _ => Ok(()),
        }
    }

    fn at_rest(&mut self, view: &WorldView<'_>, node: usize) -> Result<(), String> {
        let it = &view.nodes[node];
        self.looks += u64::from(serves(it.role));
        match serves(it.role) && self.looks % SAMPLED_ONE_IN == 0 {
            true => look(it),
            false => Ok(()),
        }
    }

    fn at_end(&mut self, view: &WorldView<'_>) -> Result<(), String> {
        self.catch_up(view)?;
        for it in view.nodes {
            look(it)?;
            let Some(replica) = it.replica else { continue };
            let found: BTreeSet<i64> = replica.sessions().map(|(session, _)| session.0).collect();
            if let Some(session) = self.live.symmetric_difference(&found).next() {
                let is_live = self.live.contains(session);
                return Err(format!(
                    "{} at the end: session {session:#x} is live: {is_live}, there: {}",
                    it.sid.0, !is_live
                ));
            }
        }
        Ok(())
    }
}

impl Session {
    fn is_known(&self, session: i64) -> bool {
        self.live.contains(&session) || self.closed.contains_key(&session)
    }

    /// What was agreed upon without being applied before everybody's eyes: a new leader's history.
    fn catch_up(&mut self, view: &WorldView<'_>) -> Result<(), String> {
        let txns = view.committed.txns();
        let from = txns.partition_point(|txn| txn.zxid <= self.seen);
        txns[from..].iter().try_for_each(|txn| self.agreed(txn))
    }

    /// A transaction that is served for the first time.
    fn agreed(&mut self, txn: &LoggedTxn) -> Result<(), String> {
        let zxid = txn.zxid;
        if zxid <= self.seen {
            return Ok(());
        }
        self.seen = zxid;
        let Ok(TxnRecord { header, txn: what, .. }) = TxnRecord::from_bytes(&txn.bytes) else {
            return Err(format!("{zxid} can't be read"));
        };
        let session = header.client_id;
        let closed = self.closed.get(&session).copied();
        match (&what, closed) {
            (Txn::CreateSession(_), _) => {
                if self.is_known(session) {
                    return Err(format!("{zxid} gives the number {session:#x} once more"));
                }
                self.live.insert(session);
            }
            // Its client and its expiry may both end it: the second finds nothing to do.
            (Txn::CloseSession(paths), Some(_)) if paths.as_ref().is_none_or(Vec::is_empty) => {}
            (Txn::CloseSession(_), Some(end)) => {
                return Err(format!("{zxid} closes {session:#x}, closed at {end}, anew"));
            }
            (Txn::CloseSession(_), None) => {
                self.live.remove(&session);
                self.closed.insert(session, zxid);
            }
            (what, Some(end)) if !is_nothing(what) => {
                return Err(format!("{zxid} is done by {session:#x}, which ended at {end}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn hear(&mut self, lived: &Lived) {
        let Record::Op(op) = &lived.record else { return };
        let Some(answer) = op.answer() else { return };
        let heard = self.heard.entry(lived.session).or_default();
        heard.timeout_ns = lived.timeout_ms.max(0) as u64 * 1_000_000;
        heard.answers_ns.push_back((op.invoked_ns, answer.returned_ns));
        if heard.answers_ns.len() > ANSWERS {
            heard.answers_ns.pop_front();
        }
    }

    /// What a leader hears of sessions: by its own clients, and by the PINGs of its learners.
    fn listen(&mut self, view: &WorldView<'_>, node: usize, note: &Note) {
        let (now_ns, role) = (view.now_ns, view.nodes[node].role);
        let is_leader = matches!(role, Role::Leading { .. });
        match &note.act {
            // Whoever begins to lead gives each session its whole timeout anew.
            Act::Role { .. } | Act::Starts { .. } | Act::Ends => {
                self.ears.remove(&node);
            }
            Act::Hears { dialled: false, packets, .. } if is_leader => {
                let ear = self.ears.entry(node).or_default();
                let pings = packets.iter().filter(|packet| packet.kind == Some(PacketType::Ping));
                for data in pings.filter_map(|ping| ping.data.as_ref()) {
                    let touched = Touched::from_bytes(data).unwrap_or_default();
                    let ids = touched.sessions.iter().map(|session| session.session_id);
                    ear.heard_ns.extend(ids.map(|session| (session, now_ns)));
                }
            }
            Act::Client(Lived { session, record: Record::Op(op), .. })
                if is_leader && op.answer().is_some() =>
            {
                let ear = self.ears.entry(node).or_default();
                let heard_ns = ear.heard_ns.entry(*session).or_default();
                *heard_ns = op.invoked_ns.max(*heard_ns);
            }
            _ => {}
        }
    }

    /// A leader proposes that a session ends, of its own will: was it entitled to?
    fn proposed(&mut self, view: &WorldView<'_>, node: usize, packet: &Said) -> Result<(), String> {
        let (Some(PacketType::Proposal), Some(data)) = (packet.kind, &packet.data) else {
            return Ok(());
        };
        let ear = self.ears.entry(node).or_default();
        let is_new = packet.zxid > ear.proposed;
        ear.proposed = packet.zxid.max(ear.proposed);
        let Ok(record) = TxnRecord::from_bytes(data) else { return Ok(()) };
        let (session, is_own) = (record.header.client_id, record.header.cxid == 0);
        let Some(heard) = self.heard.get(&session) else { return Ok(()) };
        if !is_own || !matches!(record.txn, Txn::CloseSession(_)) {
            return Ok(());
        }
        // Clocks differ by far less than a thousandth.
        let timeout_ns = heard.timeout_ns - heard.timeout_ns / 1_000;
        let wrongful = heard.answers_ns.iter().find(|(asked_ns, answered_ns)| {
            let is_known = view.now_ns >= answered_ns + view.slack_ns;
            let is_fresh = view.now_ns < asked_ns + timeout_ns;
            is_known && is_fresh && view.calm_since_ns <= *asked_ns
        });
        let ends = || format!("{} ends session {session:#x} at {} ns", packet.zxid, view.now_ns);
        let lasts = format!("its timeout is {} ns", heard.timeout_ns);
        if let Some((asked_ns, answered_ns)) = wrongful {
            let when = format!("between {asked_ns} and {answered_ns} ns");
            return Err(format!("{}, {WRONGFUL} {when}; {lasts}", ends()));
        }
        let heard_ns = ear.heard_ns.get(&session).copied();
        match heard_ns.filter(|heard_ns| is_new && is_robbed(view, node, *heard_ns, timeout_ns)) {
            Some(heard_ns) => {
                let by = format!("by {} itself at {heard_ns} ns", view.nodes[node].sid.0);
                Err(format!("{}, {WRONGFUL} {by}, awake for less since; {lasts}", ends()))
            }
            None => Ok(()),
        }
    }
}

/// Whether a leader that heard of a session at `heard_ns` ends it before it has been awake for the
/// session's timeout.
fn is_robbed(view: &WorldView<'_>, node: usize, heard_ns: u64, timeout_ns: u64) -> bool {
    let stops = view.nodes[node].pauses.iter().filter(|(_, end_ns)| *end_ns > heard_ns);
    let slept = stops.clone().map(|(begin, end)| *end.min(&view.now_ns) - *begin.max(&heard_ns));
    let awake_ns = view.now_ns - heard_ns - slept.sum::<u64>();
    // It can't tell where in a tick it fell asleep, nor how long a step has taken before this
    // one's check, and overlooks a twentieth of a tick.
    let unknown_ns = (1 + stops.count() as u64) * (view.tick_ns + view.tick_ns / 20);
    awake_ns + unknown_ns < timeout_ns
}

/// Ephemerals and sessions of one replica.
fn look(it: &NodeView<'_>) -> Result<(), String> {
    let Some(replica) = it.replica else { return Ok(()) };
    let (sid, zxid) = (it.sid.0, replica.last_zxid());
    let mut found = 0;
    for (owner, paths) in owned(replica) {
        found += paths.len();
        if replica.session_timeout_ms(crate::types::SessionId(owner)).is_none() {
            return Err(format!("{sid} at {zxid}: {paths:?} of {owner:#x}, which is no more"));
        }
        let listed: BTreeSet<String> =
            replica.ephemerals_of(crate::types::SessionId(owner)).collect();
        if listed != paths {
            return Err(format!("{sid} at {zxid}: {owner:#x} owns {paths:?}, list: {listed:?}"));
        }
    }
    let listed: usize = replica.ephemeral_owners().map(|(_, count)| count).sum();
    if listed != found {
        return Err(format!("{sid} at {zxid}: {listed} ephemerals in lists, {found} in the tree"));
    }
    Ok(())
}

/// Every session's ephemerals, by the tree alone.
fn owned(replica: &Replica) -> BTreeMap<i64, BTreeSet<String>> {
    let rules = replica.options().owners;
    let mut owned: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for (path, znode) in walk(replica) {
        if let Owner::Session(owner) = rules.read(znode.stat_persisted().ephemeral_owner) {
            owned.entry(owner.0).or_default().insert(path);
        }
    }
    owned
}

#[cfg(test)]
mod tests {
    use jute::quorum::SessionTimeout;
    use jute::Encode;

    use super::super::stage::{
        create, hears, leading, learning, proposal, record, said, says, told, zxid, Stage,
    };
    use super::*;
    use crate::tree::TreeOptions;

    fn open(counter: u32) -> LoggedTxn {
        record(zxid(1, counter), 5, 0, Txn::CreateSession(1_000))
    }

    fn close(counter: u32, cxid: i32, paths: &'static [&'static str]) -> LoggedTxn {
        let paths = paths.iter().map(|path| (*path).into()).collect();
        record(zxid(1, counter), 5, cxid, Txn::CloseSession(Some(paths)))
    }

    fn applied(txns: &[LoggedTxn]) -> Result<(), String> {
        let (mut stage, mut check) = (Stage::new(), Session::default());
        let role = Act::Role { role: learning(1), applied: Zxid::ZERO };
        stage.act(&mut check, 0, role).expect("it may follow");
        stage.act(&mut check, 0, Act::Applies(txns.to_vec()))
    }

    #[test]
    fn a_session_is_opened_once_and_closed_once() {
        let ephemeral = create(zxid(1, 2), "/e", true);
        applied(&[open(1), ephemeral, close(3, 4, &["/e"]), close(4, 0, &[])]).expect("a life");
        applied(&[open(1), open(2)]).expect_err("the same number again");
        applied(&[open(1), close(2, 4, &[]), open(3)]).expect_err("and behind its end");
        applied(&[open(1), close(2, 4, &[]), close(3, 0, &["/e"])]).expect_err("with an effect");
    }

    #[test]
    fn a_closed_session_does_nothing() {
        let late = create(zxid(1, 3), "/e", false);
        applied(&[open(1), close(2, 4, &[]), late]).expect_err("it has ended");
        let refused = record(zxid(1, 3), 5, 6, Txn::Error(-112));
        applied(&[open(1), close(2, 4, &[]), refused]).expect("that is nothing");
    }

    fn with_tree(txns: &[LoggedTxn]) -> Stage {
        let mut stage = Stage::new();
        let mut replica = Replica::new(TreeOptions::default());
        for txn in txns {
            replica.replay(&TxnRecord::from_bytes(&txn.bytes).expect("just written"));
        }
        stage.nodes[0].replica = Some(replica);
        stage
    }

    #[test]
    fn an_ephemeral_without_a_session_is_refused() {
        let ephemeral = create(zxid(1, 2), "/e", true);
        let mut check = Session { live: [5].into(), ..Session::default() };
        with_tree(&[open(1), ephemeral.clone()]).end(&mut check).expect("its session is there");
        with_tree(&[ephemeral]).end(&mut Session::default()).expect_err("nobody's");
    }

    #[test]
    fn a_replica_with_other_sessions_is_refused() {
        let mut check = Session { live: [5].into(), ..Session::default() };
        with_tree(&[]).end(&mut check).expect_err("5 is live");
        let mut check = Session { closed: [(5, zxid(1, 2))].into(), ..Session::default() };
        with_tree(&[open(1)]).end(&mut check).expect_err("5 has ended");
    }

    /// A follower has heard of the client between 1,000 and 2,000 ns; its timeout is 1 s.
    fn expires_at(now_ns: u64, calm_since_ns: u64, cxid: i32) -> Result<(), String> {
        let (mut stage, mut check) = (Stage::new(), Session::default());
        let role = Act::Role { role: leading(1), applied: Zxid::ZERO };
        stage.act(&mut check, 0, role).expect("it may lead");
        stage.act(&mut check, 1, told(1, zxid(1, 1), false)).expect("a read");
        (stage.now_ns, stage.calm_since_ns) = (now_ns, calm_since_ns);
        stage.act(&mut check, 0, says(false, vec![proposal(&close(2, cxid, &[]))]))
    }

    #[test]
    fn nobody_expires_before_his_time() {
        expires_at(1_100_000_000, 0, 0).expect("it is time");
        expires_at(500_000_000, 0, 0).expect_err("half a second too early");
        expires_at(500_000_000, 0, 7).expect("its own wish");
        expires_at(500_000_000, 400_000_000, 0).expect("somebody may have been cut off");
        expires_at(2_050, 0, 0).expect("the leader can't know yet");
    }

    /// The leader, or another one, stands still from half a second on; the client's timeout is 1 s.
    fn expires_behind_pause(now_ns: u64, who: usize) -> Result<(), String> {
        let (mut stage, mut check) = (Stage::new(), Session::default());
        let role = Act::Role { role: leading(1), applied: Zxid::ZERO };
        stage.act(&mut check, 0, role).expect("it may lead");
        stage.act(&mut check, 0, told(1, zxid(1, 1), false)).expect("a read");
        stage.nodes[who].pauses.push((500_000_000, 1_400_000_000));
        (stage.now_ns, stage.calm_since_ns) = (now_ns, now_ns);
        stage.act(&mut check, 0, says(false, vec![proposal(&close(2, 0, &[]))]))
    }

    #[test]
    fn a_leader_takes_nobodys_time() {
        expires_behind_pause(1_400_000_100, 0).expect_err("its sleep was not the client's");
        expires_behind_pause(1_890_000_000, 0).expect_err("the client had half a second more");
        expires_behind_pause(2_000_000_000, 0).expect("that is over");
        expires_behind_pause(1_400_000_100, 1).expect("it could hear the client all the time");
    }

    /// The leader hears of the session by a follower's PING, stands still, and proposes its end
    /// `again` to another follower.
    fn expires_behind_ping(now_ns: u64, again: bool) -> Result<(), String> {
        let (mut stage, mut check) = (Stage::new(), Session::default());
        let role = Act::Role { role: leading(1), applied: Zxid::ZERO };
        stage.act(&mut check, 0, role).expect("it may lead");
        stage.act(&mut check, 1, told(1, zxid(1, 1), false)).expect("a read of a follower");
        let end = says(false, vec![proposal(&close(2, 0, &[]))]);
        if again {
            stage.now_ns = 1_200_000_000;
            stage.calm_since_ns = stage.now_ns;
            stage.act(&mut check, 0, end.clone()).expect("nobody was heard of");
        }
        let session = SessionTimeout { session_id: 5, timeout_ms: 1_000 };
        let data = Some(Touched { sessions: vec![session] }.to_bytes().into());
        let ping = Said { data, ..said(PacketType::Ping, Zxid::ZERO) };
        stage.now_ns = 1_300_000_000;
        stage.act(&mut check, 0, hears(false, vec![ping])).expect("a ping");
        stage.nodes[0].pauses.push((1_400_000_000, 2_600_000_000));
        (stage.now_ns, stage.calm_since_ns) = (now_ns, now_ns);
        stage.act(&mut check, 0, end)
    }

    #[test]
    fn a_leader_has_heard_what_learners_tell_it() {
        expires_behind_ping(2_600_000_100, false).expect_err("it was awake for 100 ms");
        expires_behind_ping(3_500_000_000, false).expect("it was awake for a second");
        expires_behind_ping(2_600_000_100, true).expect("it had ended the session before");
    }
}
