//! Tells a story to a [`Zab`] and writes down its answers.

mod show;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jute::quorum::{
    AcceptedEpoch, ForwardedRequest, LearnerInfo, PacketType, ProtocolVersion, Revalidated,
    ServerState, SessionTimeout,
};
use jute::{Encode, Writer};
use oxkeeper::types::{Epoch, LoggedTxn, SessionId, Sid, Zxid};
use oxkeeper::zab::{
    Event, LearnerKind, LinkId, Membership, Notification, Output, Packet, QuorumRule, Quorums,
    Start, Token, Zab, ZabOptions,
};

/// The story with the answers that its commands get.
pub fn tell(text: &str) -> String {
    let mut told = String::new();
    let mut teller = Teller::new(Sid(0), false);
    for line in text.lines() {
        if let Some(batch) = line.strip_prefix("> ") {
            told.push_str(&format!("{line}\n"));
            for command in batch.split(';') {
                teller.tell(command.trim());
            }
            for answer in teller.answers() {
                told.push_str(&format!("{answer}\n"));
            }
        } else if line.is_empty() || line.starts_with('#') {
            told.push_str(&format!("{line}\n"));
        }
    }
    told
}

struct Teller {
    zab: Option<Zab>,
    now_ms: i64,
    issued: Token,
    notes: bool,
    me: Sid,
}

impl Teller {
    fn new(me: Sid, notes: bool) -> Teller {
        Teller { zab: None, now_ms: 0, issued: Token(0), notes, me }
    }

    fn tell(&mut self, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        if words[0] == "server" {
            return self.begin(&words[1..]);
        }
        let event = match words.as_slice() {
            ["lead"] => {
                let (now_ms, me) = (self.now_ms, self.me);
                return self.zab().take_role(now_ms, me);
            }
            ["follow", leader] => {
                let (now_ms, leader) = (self.now_ms, Sid(number(leader)));
                return self.zab().take_role(now_ms, leader);
            }
            ["propose", txns] => {
                let now_ms = self.now_ms;
                return self.zab().propose(now_ms, txns_of(txns));
            }
            ["sync", "local", tag] => return self.zab().sync_local(number(tag) as u64),
            ["sync", "for", link] => return self.zab().sync_for(link_of(link)),
            ["pong", zxid] => return self.zab().pong(zxid_of(zxid), b""),
            ["request"] => {
                let packets = show::encode(PacketType::Request, Zxid::NONE, Some(b"request"));
                return self.zab().send_to_leader(packets);
            }
            ["request", "sync"] => {
                let packets = show::encode(PacketType::Request, Zxid::NONE, Some(b"sync"));
                return self.zab().sync_with_leader(packets);
            }
            ["revalidate", session] => {
                let packets = show::encode(PacketType::Revalidate, Zxid::NONE, Some(b"session"));
                return self.zab().revalidate_with_leader(SessionId(number(session)), packets);
            }
            ["stop"] => return self.zab().stop(),
            ["time", ms] => {
                self.now_ms += number(ms.trim_start_matches('+'));
                Event::Timeout
            }
            ["note", from, state, vote @ ..] => {
                Event::Notification { from: Sid(number(from)), notification: note_of(state, vote) }
            }
            ["oracle", word] => Event::OracleSays { yes: *word == "yes" },
            ["refused", sid] => Event::ElectionRefused { sid: Sid(number(sid)) },
            ["link", link] => Event::LinkOpened { link: link_of(link) },
            ["closed", link] => Event::LinkClosed { link: link_of(link) },
            ["dial", "failed"] => Event::DialFailed,
            ["packet", link, packet @ ..] => {
                Event::Packet { link: link_of(link), packet: packet_of(packet) }
            }
            ["persisted"] => Event::Persisted { upto: self.issued },
            ["persisted", token] => Event::Persisted { upto: Token(number(token) as u64) },
            ["truncated", "none"] => Event::Truncated { last: None },
            ["truncated", zxid] => Event::Truncated { last: Some(zxid_of(zxid)) },
            ["snapshot", "received", link] => Event::SnapshotReceived { link: link_of(link) },
            ["snapshot", "begun", link, zxid] => {
                Event::SnapshotBegun { link: link_of(link), zxid: zxid_of(zxid) }
            }
            ["log", "found", link, "none"] => Event::LogFound { link: link_of(link), found: None },
            ["log", "found", link, zxid] => {
                Event::LogFound { link: link_of(link), found: Some(zxid_of(zxid)) }
            }
            ["bulk", "sent", link] => Event::BulkSent { link: link_of(link) },
            _ => panic!("no story has such a line: {command}"),
        };
        let now_ms = self.now_ms;
        self.zab().handle(now_ms, event);
    }

    fn zab(&mut self) -> &mut Zab {
        self.zab.as_mut().expect("a story begins with `server`")
    }

    fn answers(&mut self) -> Vec<String> {
        let mut answers = Vec::new();
        while let Some(output) = self.zab().poll_output() {
            if let Output::Persist { upto, .. } = &output {
                self.issued = *upto;
            }
            if self.notes || !matches!(output, Output::Notify { .. }) {
                answers.push(show::output(&output));
            }
        }
        answers
    }

    /// `server 1 voters=1,2,3 accepted=1 current=1 history=1:1..1:5 …`
    fn begin(&mut self, words: &[&str]) {
        let me = Sid(number(words[0]));
        let mut options = ZabOptions::new(me, quorums(words));
        let mut start = Start::default();
        for word in &words[1..] {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "voters" | "observers" | "groups" | "weights" | "version" => {}
                "observer" => options.kind = LearnerKind::Observer,
                "accepted" => start.accepted_epoch = Epoch(number(value) as u32),
                "current" => start.current_epoch = Epoch(number(value) as u32),
                "history" => start.history = txns_of(value),
                "last" => start.last_logged = zxid_of(value),
                "stranger" => start.stranger = true,
                "keep" => options.commit_log_count = number(value) as usize,
                "no-log-sync" => options.log_sync_enabled = false,
                "force-snap" => options.snapshot_sync_forced = true,
                "masters" => options.observer_masters = true,
                "seed" => options.seed = number(value) as u64,
                "election-delay" => options.observer_election_delay_ms = number(value),
                "reconnect-delay" => options.observer_reconnect_delay_ms = number(value),
                "epoch-wait" => options.epoch_wait_ms = Some(number(value)),
                "unlogged" => options.sync_observer = false,
                "backlog" => options.backlog_bytes_max = number(value) as usize,
                "snaps" => options.concurrent_snap_syncs_max = number(value) as usize,
                "diffs" => options.concurrent_diff_syncs_max = number(value) as usize,
                "notes" => self.notes = true,
                _ => panic!("no server is told {word}"),
            }
        }
        if let Some(last) = start.history.last() {
            start.last_logged = last.zxid;
        }
        *self = Teller::new(me, self.notes);
        self.zab = Some(Zab::new(options, 0, start));
    }
}

fn quorums(words: &[&str]) -> Quorums {
    let value = |key: &str| words.iter().find_map(|w| w.strip_prefix(key)?.strip_prefix('='));
    let sids = |key: &str| -> BTreeSet<Sid> {
        value(key).into_iter().flat_map(|v| v.split(',')).map(|sid| Sid(number(sid))).collect()
    };
    let table = |key: &str| -> Option<BTreeMap<Sid, i64>> {
        let pairs = value(key)?.split(',').map(|pair| pair.split_once(':').unwrap());
        Some(pairs.map(|(sid, n)| (Sid(number(sid)), number(n))).collect())
    };
    let rule = match table("groups") {
        None => QuorumRule::Majority,
        Some(group_of) => {
            QuorumRule::Groups { group_of, weight_of: table("weights").unwrap_or_default() }
        }
    };
    Quorums::settled(Membership {
        version: value("version").map_or(0, number),
        voters: sids("voters"),
        observers: sids("observers"),
        rule,
        text: Bytes::from_static(b"config"),
    })
}

pub fn number(word: &str) -> i64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

fn link_of(word: &str) -> LinkId {
    LinkId(number(word) as u64)
}

fn zxid_of(word: &str) -> Zxid {
    match word.split_once(':') {
        Some((epoch, counter)) => Zxid::new(Epoch(number(epoch) as u32), number(counter) as u32),
        None => Zxid(number(word)),
    }
}

/// `1:3`, `1:1..1:5`, and several of those with commas.
fn txns_of(word: &str) -> Vec<LoggedTxn> {
    let mut txns = Vec::new();
    for run in word.split(',') {
        let (first, last) = run.split_once("..").unwrap_or((run, run));
        for zxid in zxid_of(first).0..=zxid_of(last).0 {
            txns.push(txn(Zxid(zxid)));
        }
    }
    txns
}

/// Its bytes name it, so that a story shows a mix-up.
fn txn(zxid: Zxid) -> LoggedTxn {
    LoggedTxn { zxid, bytes: show::zxid(zxid).into_bytes().into() }
}

/// `FOLLOWERINFO 1:0 sid=2 config=0`, `ACKEPOCH 1:3 epoch=1`, `PROPOSAL 2:1`, …
fn packet_of(words: &[&str]) -> Packet {
    let kind = show::KINDS.iter().find(|(_, name)| *name == words[0]).map(|(kind, _)| *kind);
    let zxid = zxid_of(words[1]);
    let value = |key: &str| words.iter().find_map(|w| w.strip_prefix(key)?.strip_prefix('='));
    let data = match kind {
        _ if words.contains(&"null") => None,
        Some(PacketType::FollowerInfo | PacketType::ObserverInfo) => encoded(&LearnerInfo {
            server_id: value("sid").map_or(0, number),
            protocol_version: Some(value("protocol").map_or(0x1_0000, number) as i32),
            config_version: Some(value("config").map_or(0, number)),
        }),
        Some(PacketType::AckEpoch) => {
            encoded(&AcceptedEpoch { epoch: number(value("epoch").unwrap()) as i32 })
        }
        Some(PacketType::LeaderInfo) => {
            let version = value("protocol").map_or(0x1_0000, number) as i32;
            encoded(&ProtocolVersion { version })
        }
        Some(PacketType::Proposal | PacketType::Inform) => Some(txn(zxid).bytes),
        Some(PacketType::Request) => encoded(&ForwardedRequest {
            session_id: value("session").map_or(0, number),
            cxid: 1,
            op: value("op").map_or(0, number) as i32,
            body: b"body",
        }),
        Some(PacketType::Revalidate) => {
            let session = words.get(2).map_or(0, |word| number(word));
            match value("valid") {
                None => encoded(&SessionTimeout { session_id: session, timeout_ms: 1 }),
                Some(valid) => {
                    encoded(&Revalidated { session_id: session, valid: valid == "true" })
                }
            }
        }
        Some(PacketType::InformAndActivate) => {
            let designated = 1i64.to_be_bytes();
            Some([designated.as_slice(), &txn(zxid).bytes].concat().into())
        }
        _ => None,
    };
    Packet { kind, zxid, data, identities: Vec::new() }
}

/// `note 2 looking leader=1 zxid=2:2 epoch=2 round=2`
fn note_of(state: &str, words: &[&str]) -> Notification {
    let value = |key: &str| {
        let found = words.iter().find_map(|w| w.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("a note lacks its {key}"))
    };
    Notification {
        state: match state {
            "looking" => ServerState::Looking,
            "following" => ServerState::Following,
            "leading" => ServerState::Leading,
            _ => panic!("nobody is {state}"),
        },
        leader: Sid(number(value("leader"))),
        zxid: zxid_of(value("zxid")),
        round: number(value("round")),
        peer_epoch: number(value("epoch")),
        version: 2,
        config: None,
    }
}

fn encoded(record: &impl Encode) -> Option<Bytes> {
    let mut writer = Writer::new();
    record.encode(&mut writer);
    Some(writer.into_vec().into())
}
