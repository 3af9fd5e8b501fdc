//! What a member of an ensemble must be told, resolved from a configuration.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use jute::proto::ReconfigRequest;
use jute::ErrorCode;

use super::announce;
use super::exit::{ExitCode, Failure};
use super::log_format;
use crate::config::{BadChange, Change, Config, HostPort, Member, Members, PeerRole, Role};
use crate::limits;
use crate::metrics::Metrics;
use crate::net::quorum::{self, QuorumAddress};
use crate::net::{ElectionPortOptions, ListenAt};
use crate::peer::ReadChange;
use crate::tree::{Replica, CONFIG_PATH};
use crate::types::{Sid, Zxid};
use crate::zab::{ElectionOptions, LearnerKind, Membership, QuorumRule, Quorums, ZabOptions};

/// Everything that a member is told besides what a standalone server is.
pub struct MemberOptions {
    pub me: Sid,
    pub members: Members,
    pub zab: ZabOptions,
    pub quorum_port: quorum::Settings,
    pub election_port: ElectionPortOptions,
    /// `snapshotSizeFactor`.
    pub snapshot_size_factor: f64,
    /// `readonlymode.enabled`: after so long without a leader reads are served, ms.
    pub read_only_after_ms: Option<i64>,
    /// `leaderServes`: clients may connect to this server while it leads.
    pub leader_serves: bool,
    /// `oraclePath`.
    pub oracle: Option<PathBuf>,
    /// What it says whenever it begins to lead.
    pub when_leading: announce::Primary,
}

/// A server without a leader serves reads after this, or after a tick if that is longer, ms
/// (Apache's `QuorumPeer`).
const READ_ONLY_AFTER_MS: i64 = 2000;

/// Reads what concerns the ensemble out of a configuration that names one.
pub(super) fn resolve(config: &Config, seed: u64) -> Result<MemberOptions, Failure> {
    let (ensemble, quorum) = (&config.ensemble, &config.quorum);
    let me = ensemble.my_id.ok_or_else(|| {
        let dir = config.data_dirs.snapshots.join("myid");
        Failure::new(
            ExitCode::Invocation,
            format!("{} file is missing; write this server's number into it", dir.display()),
        )
    })?;
    log_format::name_member(me);
    let mine = ensemble.members.all.get(&me).ok_or_else(|| {
        let known: Vec<String> = ensemble.members.all.keys().map(|sid| sid.0.to_string()).collect();
        Failure::new(
            ExitCode::Unexpected,
            format!(
                "My id {} not in the peer list ({}): correct the file myid, or add the line \
                 server.{}",
                me.0,
                known.join(", "),
                me.0
            ),
        )
    })?;
    let tick_ms = i64::from(config.sessions.tick_time_ms);
    Ok(MemberOptions {
        me,
        zab: ZabOptions { seed, ..zab_options(config, me, tick_ms) },
        quorum_port: quorum_settings(config, me),
        election_port: election_options(config, mine, tick_ms),
        members: ensemble.members.clone(),
        snapshot_size_factor: quorum.sync.snapshot_size_factor,
        read_only_after_ms: quorum.read_only_mode.then_some(READ_ONLY_AFTER_MS.max(tick_ms)),
        leader_serves: quorum.leader_serves,
        oracle: ensemble.oracle_path.as_ref().map(PathBuf::from),
        when_leading: announce::Primary::of(config),
    })
}

fn zab_options(config: &Config, me: Sid, tick_ms: i64) -> ZabOptions {
    let (ensemble, quorum) = (&config.ensemble, &config.quorum);
    let kind = match ensemble.my_role {
        PeerRole::Participant => LearnerKind::Follower,
        PeerRole::Observer => LearnerKind::Observer,
    };
    ZabOptions {
        kind,
        tick_ms,
        init_limit_ticks: i64::from(ensemble.init_limit_ticks),
        sync_limit_ticks: i64::from(ensemble.sync_limit_ticks),
        connect_limit_ticks: i64::from(ensemble.connect_limit_ticks),
        commit_log_count: quorum.sync.commit_log_count.max(0) as usize,
        observer_masters: ensemble.observer_master_port.is_some(),
        observer_election_delay_ms: quorum.election.observer_delay_ms,
        observer_reconnect_delay_ms: quorum.links.observer_reconnect_delay_ms,
        epoch_wait_ms: quorum.election.epoch_wait_ms.map(i64::from),
        sync_observer: ensemble.sync_enabled,
        snapshot_sync_forced: quorum.sync.always_snapshot,
        log_sync_enabled: quorum.sync.snapshot_size_factor >= 0.0,
        concurrent_snap_syncs_max: quorum.sync.snap_syncs_max.max(0) as usize,
        concurrent_diff_syncs_max: quorum.sync.diff_syncs_max.max(0) as usize,
        election: ElectionOptions {
            min_notification_interval_ms: i64::from(quorum.election.min_wait_ms),
            max_notification_interval_ms: i64::from(quorum.election.max_wait_ms),
            ..ElectionOptions::default()
        },
        ..ZabOptions::new(me, Quorums::settled(membership(&ensemble.members)))
    }
}

/// How a reconfig is read, if there is an ensemble to change.
pub(super) fn read_change(config: &Config) -> Option<ReadChange> {
    let ensemble = &config.ensemble;
    let (members, standalone_enabled) = (ensemble.members.clone(), ensemble.standalone_enabled);
    let many_addresses = ensemble.multi_address_enabled;
    let read = move |request: &ReconfigRequest<'_>| {
        let change = Change {
            joining: request.joining_servers.as_deref(),
            leaving: request.leaving_servers.as_deref(),
            all: request.new_members.as_deref(),
        };
        let changed = members.changed(change, standalone_enabled, many_addresses);
        changed.map(|members| membership(&members)).map_err(|bad| match bad {
            BadChange::Refused => ErrorCode::BadArguments,
            BadChange::Senseless => ErrorCode::MarshallingError,
        })
    };
    (config.role() == Role::Ensemble).then(|| ReadChange::new(read))
}

/// The node `/zookeeper/config` of a replica that has just been read gets the configuration.
pub(super) fn write_config(
    replica: &mut Replica,
    members: &Members,
    metrics: &Metrics,
    now_wall_ms: i64,
) {
    let text = members.text();
    replica.write_config(text.as_bytes(), Zxid(members.version), now_wall_ms);
    metrics.node_written(CONFIG_PATH, text.len());
}

/// The members as the core sees them.
fn membership(members: &Members) -> Membership {
    let sids = |role| {
        let of_role = members.all.values().filter(move |member| member.role == role);
        of_role.map(|member| member.sid).collect()
    };
    let rule = match &members.hierarchy {
        None => QuorumRule::Majority,
        Some(hierarchy) => QuorumRule::Groups {
            group_of: hierarchy.group_of.clone(),
            weight_of: hierarchy.weight_of.clone(),
        },
    };
    Membership {
        version: members.version,
        voters: sids(PeerRole::Participant),
        observers: sids(PeerRole::Observer),
        rule,
        text: Bytes::from(members.text()),
    }
}

fn quorum_settings(config: &Config, me: Sid) -> quorum::Settings {
    let links = &config.quorum.links;
    let members = config.ensemble.members.clone();
    let addresses = move |sid: Sid| {
        let member = members.all.get(&sid);
        let of = |member: &Member| {
            let address = |a: &crate::config::PeerAddress| QuorumAddress {
                host: a.host.clone(),
                port: a.quorum_port,
            };
            member.addresses.iter().map(address).collect()
        };
        member.map(of).unwrap_or_default()
    };
    let buffer = config.limits.jute_max_buffer.max(0) as usize;
    // Never below 1024 (Apache's `BinaryInputArchive`).
    let extra = config.limits.jute_extra_size.max(1024) as usize;
    quorum::Settings {
        me,
        addresses: Arc::new(addresses),
        observer_port: config.ensemble.observer_master_port,
        listen_on_all_ips: config.ensemble.quorum_listen_on_all_ips,
        limits: jute::Limits { max_length: buffer.saturating_add(extra) },
        leader_nodelay: links.leader_no_delay,
        follower_nodelay: links.follower_no_delay,
        dial_pause_ms: links.connect_delay_ms.max(0) as u64,
        input_bytes_max: limits::LINK_INPUT_BYTES_MAX,
        transfer_stall_ms: u64::from(config.ensemble.init_limit_ticks.unsigned_abs())
            * u64::from(config.sessions.tick_time_ms.unsigned_abs()),
        output_bytes_max: limits::LINK_OUTPUT_BYTES_MAX,
    }
}

fn election_options(config: &Config, mine: &Member, tick_ms: i64) -> ElectionPortOptions {
    let (ensemble, links) = (&config.ensemble, &config.quorum.links);
    let handshake_ms = i64::from(ensemble.sync_limit_ticks) * tick_ms;
    let ports = |member: &Member| -> Vec<(String, u16)> {
        member.addresses.iter().map(|a| (a.host.clone(), a.election_port)).collect()
    };
    let others = ensemble.members.all.values().filter(|member| member.sid != mine.sid);
    let announce = ports(mine).into_iter().map(|(host, port)| HostPort { host, port }.to_string());
    let announce: Vec<String> = announce.collect();
    let peers: BTreeMap<Sid, Vec<(String, u16)>> =
        others.map(|member| (member.sid, ports(member))).collect();
    ElectionPortOptions {
        me: mine.sid,
        listen: listen_at(&ports(mine), ensemble.quorum_listen_on_all_ips),
        announce: match ensemble.multi_address_enabled {
            true => announce.join("|"),
            false => announce.into_iter().next().unwrap_or_default(),
        },
        peers,
        multi_address: ensemble.multi_address_enabled,
        cnx_timeout_ms: links.connect_timeout_ms.max(1) as u64,
        handshake_timeout_ms: links.handshake_timeout_ms.map_or(handshake_ms, i64::from).max(1)
            as u64,
        bind_retries: links.bind_retries.max(0) as u32,
        tcp_keep_alive: links.tcp_keep_alive,
    }
}

/// Where this server takes in the others. A name of its own that does not resolve is no reason not
/// to start: it listens everywhere then.
fn listen_at(ports: &[(String, u16)], on_all_ips: bool) -> Vec<ListenAt> {
    let mut at = Vec::new();
    for (host, port) in ports {
        let resolved: Vec<SocketAddr> = match (host.as_str(), *port).to_socket_addrs() {
            Ok(found) => found.collect(),
            Err(e) => {
                tracing::warn!(
                    "This server's own name {host} can't be resolved ({e}): listening for \
                     elections on port {port} of every address"
                );
                Vec::new()
            }
        };
        let any = on_all_ips || resolved.is_empty();
        match resolved.first().filter(|a| !any && !a.ip().is_unspecified()) {
            Some(address) => at.push(ListenAt::Address(*address)),
            None => at.push(ListenAt::AnyAddress(*port)),
        }
    }
    at
}
