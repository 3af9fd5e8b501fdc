//! Outputs as a story writes them.

use bytes::Bytes;
use jute::quorum::{AcceptedEpoch, LearnerInfo, PacketType, QuorumPacket};
use jute::{Decode, Encode, Limits, Reader, Writer};
use oxkeeper::types::{LoggedTxn, Zxid};
use oxkeeper::zab::{Output, Role, Step};

pub const KINDS: &[(PacketType, &str)] = &[
    (PacketType::Request, "REQUEST"),
    (PacketType::Proposal, "PROPOSAL"),
    (PacketType::Ack, "ACK"),
    (PacketType::Commit, "COMMIT"),
    (PacketType::Ping, "PING"),
    (PacketType::Revalidate, "REVALIDATE"),
    (PacketType::Sync, "SYNC"),
    (PacketType::Inform, "INFORM"),
    (PacketType::CommitAndActivate, "COMMITANDACTIVATE"),
    (PacketType::NewLeader, "NEWLEADER"),
    (PacketType::FollowerInfo, "FOLLOWERINFO"),
    (PacketType::UpToDate, "UPTODATE"),
    (PacketType::Diff, "DIFF"),
    (PacketType::Trunc, "TRUNC"),
    (PacketType::Snap, "SNAP"),
    (PacketType::ObserverInfo, "OBSERVERINFO"),
    (PacketType::LeaderInfo, "LEADERINFO"),
    (PacketType::AckEpoch, "ACKEPOCH"),
    (PacketType::InformAndActivate, "INFORMANDACTIVATE"),
];

pub fn encode(kind: PacketType, zxid: Zxid, data: Option<&[u8]>) -> Bytes {
    let mut writer = Writer::new();
    QuorumPacket::new(kind, zxid.0, data).encode(&mut writer);
    writer.into_vec().into()
}

pub fn zxid(zxid: Zxid) -> String {
    match zxid.0 {
        -1 => "-1".to_owned(),
        _ => format!("{}:{}", zxid.epoch().0, zxid.counter()),
    }
}

fn zxids(txns: &[LoggedTxn]) -> String {
    txns.iter().map(|txn| zxid(txn.zxid)).collect::<Vec<_>>().join(" ")
}

pub fn output(output: &Output) -> String {
    match output {
        Output::Notify { to, notification: n } => format!(
            "notify {}: {:?} votes for {} zxid {} epoch {} round {}",
            to.0,
            n.state,
            n.leader.0,
            zxid(n.zxid),
            n.peer_epoch,
            n.round
        ),
        Output::Listen(on) => format!("listen {on}"),
        Output::Dial { leader, within_ms } => format!("dial {} within {within_ms}", leader.0),
        Output::DialMaster { master, within_ms } => {
            format!("dial master {} within {within_ms}", master.0)
        }
        Output::ListenForObservers(on) => format!("listen for observers {on}"),
        Output::Send { link, packets } => format!("send {}: {}", link.0, all_packets(packets)),
        Output::SendLog { link, from, upto } => {
            format!("send {}: log behind {} up to {}", link.0, zxid(*from), zxid(*upto))
        }
        Output::FindLog { link, from, upto } => {
            format!("find log for {}: {} up to {}", link.0, zxid(*from), zxid(*upto))
        }
        Output::Snapshot { link } => format!("send {}: snapshot", link.0),
        Output::Close { link } => format!("close {}", link.0),
        Output::Persist { step, upto } => format!("persist #{}: {}", upto.0, step_text(step)),
        Output::Committed { txns } => format!("committed {}", zxids(txns)),
        Output::Role(role) => role_text(role),
        Output::FromLearner { link, sid, packet } => {
            format!("from learner {} (sid {}): {}", link.0, sid.0, name(packet.kind))
        }
        Output::LearnerGone { sid } => format!("learner gone: sid {}", sid.0),
        Output::FromLeader { packet } => format!("from leader: {}", name(packet.kind)),
        Output::Synced => "synced".to_owned(),
        Output::LocalSynced { tag } => format!("synced locally: {tag}"),
        Output::PingWanted { zxid: at } => format!("ping wanted {}", zxid(*at)),
    }
}

fn role_text(role: &Role) -> String {
    match role {
        Role::Leaving => "role: leaving".to_owned(),
        Role::Looking => "role: looking".to_owned(),
        Role::Leading { epoch } => format!("role: leading in epoch {}", epoch.0),
        Role::Learning { leader, epoch, kind } => {
            format!("role: {kind:?} of {} in epoch {}", leader.0, epoch.0)
        }
    }
}

fn step_text(step: &Step) -> String {
    match step {
        Step::Append(txns) => format!("append {}", zxids(txns)),
        Step::AcceptedEpoch(epoch) => format!("acceptedEpoch {}", epoch.0),
        Step::CurrentEpoch(epoch) => format!("currentEpoch {}", epoch.0),
        Step::Truncate { to } => format!("truncate to {}", zxid(*to)),
        Step::InstallSnapshot { link, zxid: at } => {
            format!("install snapshot of link {} at {}", link.0, zxid(*at))
        }
    }
}

fn name(kind: Option<PacketType>) -> &'static str {
    KINDS.iter().find(|(k, _)| Some(*k) == kind).map_or("?", |(_, name)| name)
}

fn all_packets(bytes: &[u8]) -> String {
    let mut texts = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let len = QuorumPacket::measure(rest, Limits::default()).unwrap().unwrap();
        let packet = QuorumPacket::decode(&mut Reader::new(&rest[..len])).unwrap();
        texts.push(packet_text(&packet));
        rest = &rest[len..];
    }
    texts.join(", ")
}

fn packet_text(packet: &QuorumPacket<'_>) -> String {
    let kind = PacketType::from_code(packet.kind);
    let at = zxid(Zxid(packet.zxid));
    let data = packet.data.unwrap_or_default();
    let more = match kind {
        Some(PacketType::FollowerInfo | PacketType::ObserverInfo) => {
            let info = LearnerInfo::decode(&mut Reader::new(data)).unwrap();
            format!(" sid={} config={}", info.server_id, info.config_version.unwrap())
        }
        Some(PacketType::AckEpoch) => {
            format!(" epoch={}", AcceptedEpoch::decode(&mut Reader::new(data)).unwrap().epoch)
        }
        // Its bytes are its name.
        Some(PacketType::Proposal | PacketType::Inform) => {
            assert_eq!(data, at.as_bytes(), "another transaction's bytes");
            String::new()
        }
        _ => String::new(),
    };
    format!("{} {at}{more}", name(kind))
}
