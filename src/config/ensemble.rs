//! The ensemble's part of a configuration: the members, this server's own id, the limits. Read
//! whole even for a standalone server, because Apache does, and because the number of members is
//! what decides between the two.

use core::net::IpAddr;
use std::io;

use super::error::{ConfigError, ExitCode, Finding, Place, Severity, What};
use super::java;
use super::members::{version_of_file_name, BadMember, HostPort, Members, PeerRole};
use super::properties::{Entry, Properties};
use super::settings::Reader;
use crate::types::Sid;

/// How a file that zoo.cfg names is read: the shell's part.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> io::Result<Vec<u8>>;

/// Members, limits and switches of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensemble {
    /// The server lines, from zoo.cfg or from the dynamic file.
    pub members: Members,
    /// The dynamic file, where there is one.
    pub dynamic_file: Option<String>,
    /// What a reconfig has proposed but not committed (`<zoo.cfg>.dynamic.next`).
    pub proposed: Option<Members>,
    /// This server's id, from the file myid. A standalone server needs none.
    pub my_id: Option<Sid>,
    /// This server's role by the server lines.
    pub my_role: PeerRole,
    /// `false`: one server alone runs as an ensemble.
    pub standalone_enabled: bool,
    pub reconfig_enabled: bool,
    /// Time to join a leader, in ticks; 0 is unset.
    pub init_limit_ticks: i32,
    /// Time between heartbeats, in ticks; 0 is unset.
    pub sync_limit_ticks: i32,
    /// Time to connect to a leader, in ticks; 0 means the join limit.
    pub connect_limit_ticks: i32,
    /// Port on which followers serve observers; `None` is off.
    pub observer_master_port: Option<u16>,
    pub quorum_listen_on_all_ips: bool,
    /// Observers write logs and snapshots.
    pub sync_enabled: bool,
    pub local_sessions_enabled: bool,
    pub local_sessions_upgrading_enabled: bool,
    /// File that decides for two servers.
    pub oracle_path: Option<String>,
    pub multi_address_enabled: bool,
}

impl Ensemble {
    /// An ensemble of nobody: what the argument forms know.
    pub(super) fn none() -> Ensemble {
        Ensemble {
            members: Members::default(),
            dynamic_file: None,
            proposed: None,
            my_id: None,
            my_role: PeerRole::Participant,
            standalone_enabled: true,
            reconfig_enabled: false,
            init_limit_ticks: 0,
            sync_limit_ticks: 0,
            connect_limit_ticks: 0,
            observer_master_port: None,
            quorum_listen_on_all_ips: false,
            sync_enabled: true,
            local_sessions_enabled: false,
            local_sessions_upgrading_enabled: false,
            oracle_path: None,
            multi_address_enabled: false,
        }
    }

    /// Whether it takes the quorum code to run this server.
    pub fn is_distributed(&self) -> bool {
        !self.standalone_enabled || self.members.participants().count() > 1
    }

    /// The plain values, without the members.
    pub(super) fn read_values(reader: &mut Reader<'_>) -> Result<Ensemble, ConfigError> {
        check_member_sasl(reader)?;
        let sync = reader.settings.get("observer.syncEnabled").is_some();
        let sync_key = if sync { "observer.syncEnabled" } else { "syncEnabled" };
        let limit = |reader: &mut Reader<'_>, key| -> Result<i32, ConfigError> {
            let ticks = reader.optional_long(key)?.unwrap_or(0);
            Ok(i32::try_from(ticks).expect("read as 32 bits"))
        };
        let observer_port = reader.int("observerMasterPort")?;
        Ok(Ensemble {
            my_role: said_role(reader)?,
            standalone_enabled: reader.switch("standaloneEnabled")?,
            reconfig_enabled: reader.switch("reconfigEnabled")?,
            init_limit_ticks: limit(reader, "initLimit")?,
            sync_limit_ticks: limit(reader, "syncLimit")?,
            connect_limit_ticks: reader.int("connectToLearnerMasterLimit")?,
            observer_master_port: u16::try_from(observer_port).ok().filter(|&port| port > 0),
            quorum_listen_on_all_ips: reader.switch("quorumListenOnAllIPs")?,
            sync_enabled: reader.switch(sync_key)?,
            local_sessions_enabled: reader.switch("localSessionsEnabled")?,
            local_sessions_upgrading_enabled: reader.switch("localSessionsUpgradingEnabled")?,
            oracle_path: reader.text("oraclePath"),
            multi_address_enabled: reader.switch("multiAddress.enabled")?,
            ..Ensemble::none()
        })
    }
}

/// Demanding SASL of members only makes sense where it is on, and where this server would pass.
fn check_member_sasl(reader: &mut Reader<'_>) -> Result<(), ConfigError> {
    const ENABLE: &str = "quorum.auth.enableSasl";
    const SERVER: &str = "quorum.auth.serverRequireSasl";
    const LEARNER: &str = "quorum.auth.learnerRequireSasl";
    let (on, server, learner) =
        (reader.switch(ENABLE)?, reader.switch(SERVER)?, reader.switch(LEARNER)?);
    let (off, wanted) = match (on, server, learner) {
        (false, true, _) => (ENABLE, SERVER),
        (false, false, true) => (ENABLE, LEARNER),
        (true, true, false) => (LEARNER, SERVER),
        _ => return Ok(()),
    };
    let words = format!("{off} is disabled, so cannot enable {wanted}");
    Err(reader.refuse(wanted, &words, &format!("write {off}=true")))
}

fn said_role(reader: &Reader<'_>) -> Result<PeerRole, ConfigError> {
    let word = reader.text("peerType").unwrap_or_default();
    PeerRole::parse(&word).ok_or_else(|| {
        let words = format!("Unrecognised peertype: {word}");
        reader.refuse("peerType", &words, "participant or observer")
    })
}

/// Everything that the members are read from.
pub(super) struct Sources<'a> {
    /// zoo.cfg as the operator named it.
    pub file: &'a str,
    pub properties: &'a Properties,
    pub data_dir: &'a str,
    pub read_file: ReadFile<'a>,
}

impl Sources<'_> {
    /// Reads members and own id into `ensemble`, and settles where this server serves clients.
    pub fn read_members(
        &self,
        ensemble: &mut Ensemble,
        client: &mut Option<HostPort>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), ConfigError> {
        let dynamic = self.properties.find("dynamicConfigFile");
        let file = dynamic.map_or(self.file, |entry| entry.value.as_str());
        ensemble.members = match dynamic {
            None => self.parse_members(file, &self.properties.entries, ensemble)?,
            Some(entry) => self.dynamic_members(entry, ensemble)?,
        };
        self.check_counts(file, ensemble, findings)?;
        ensemble.my_id = self.my_id()?;
        self.settle_client(file, ensemble, client)?;
        settle_role(self.properties.find("peerType"), file, ensemble, findings);
        self.check_distributed(ensemble)?;
        if dynamic.is_some() {
            ensemble.dynamic_file = Some(file.to_owned());
            ensemble.proposed = self.proposed(ensemble, findings);
        }
        Ok(())
    }

    fn parse_members(
        &self,
        file: &str,
        entries: &[Entry],
        ensemble: &Ensemble,
    ) -> Result<Members, ConfigError> {
        Members::parse(entries, ensemble.multi_address_enabled)
            .map_err(|bad| bad_member(file, entries, bad))
    }

    /// The dynamic file, in which nothing but members may stand.
    fn dynamic_members(&self, entry: &Entry, ensemble: &Ensemble) -> Result<Members, ConfigError> {
        if let Some(stray) = self.properties.entries.iter().find(|e| Members::takes(&e.key)) {
            let words =
                format!("parameter: {} must be in a separate dynamic config file", stray.key);
            let advice = format!("move it to {}, or remove dynamicConfigFile", entry.value);
            return Err(ConfigError::new(self.line(stray.line), words, advice).of_key(&stray.key));
        }
        let file = entry.value.as_str();
        let bytes = (self.read_file)(file).map_err(|error| {
            let words = format!("Error processing {file}: {error}");
            let advice = "dynamicConfigFile must name a file that this user may read";
            ConfigError::new(self.line(entry.line), words, advice).of_key("dynamicConfigFile")
        })?;
        let properties = Properties::parse(&bytes).map_err(|e| {
            let place = Place::File { file: file.to_owned(), line: Some(e.line) };
            ConfigError::new(place, e.to_string(), "write a backslash twice")
        })?;
        for entry in &properties.entries {
            let words = match entry.key.as_str() {
                "version" => "dynamic file shouldn't have version inside".to_owned(),
                key if Members::takes(key) => continue,
                key => format!("Unrecognised parameter: {key}"),
            };
            let place = Place::File { file: file.to_owned(), line: Some(entry.line) };
            let advice = "only server, group and weight lines may stand in this file";
            return Err(ConfigError::new(place, words, advice).of_key(&entry.key));
        }
        let mut members = self.parse_members(file, &properties.entries, ensemble)?;
        members.version = version_of_file_name(file).unwrap_or(0);
        Ok(members)
    }

    /// A proposal that cannot be read is no reason not to start.
    fn proposed(&self, ensemble: &Ensemble, findings: &mut Vec<Finding>) -> Option<Members> {
        let file = format!("{}.dynamic.next", self.file);
        let bytes = (self.read_file)(&file).ok()?;
        let members = Properties::parse(&bytes).ok().and_then(|properties| {
            let entries = &properties.entries;
            let mut members = Members::parse(entries, ensemble.multi_address_enabled).ok()?;
            let version = properties.get("version").unwrap_or("0");
            members.version = i64::from_str_radix(version, 16).ok()?;
            Some(members)
        });
        if members.is_none() {
            let place = Place::File { file, line: None };
            let message = "the proposed reconfiguration cannot be read and is left alone";
            findings.push(warning(What::Value, place, message));
        }
        members
    }

    fn check_counts(
        &self,
        file: &str,
        ensemble: &Ensemble,
        findings: &mut Vec<Finding>,
    ) -> Result<(), ConfigError> {
        let participants = ensemble.members.participants().count();
        let observers = ensemble.members.observers().count();
        let place = || Place::File { file: file.to_owned(), line: None };
        let refused = |words, advice| Err(ConfigError::new(place(), words, advice));
        let mut warn = |words| findings.push(warning(What::Advice, place(), words));
        match (participants, ensemble.standalone_enabled) {
            (0, false) => refused(
                "standaloneEnabled = false then number of participants should be >0",
                "add a server line, or remove standaloneEnabled=false",
            ),
            (0, true) if observers > 0 => refused(
                "Observers w/o participants is an invalid configuration",
                "at least two servers must be participants",
            ),
            (0, true) => Ok(()),
            (1, true) if observers > 0 => refused(
                "Observers w/o quorum is an invalid configuration",
                "add participants, or write standaloneEnabled=false",
            ),
            (1, true) => {
                warn("Invalid configuration, only one server specified (ignoring)");
                Ok(())
            }
            (1 | 2, _) => {
                warn("No server failure will be tolerated. You need at least 3 servers.");
                Ok(())
            }
            (n, _) => {
                if n % 2 == 0 {
                    warn("Non-optimal configuration, consider an odd number of servers.");
                }
                Ok(())
            }
        }
    }

    /// The first line of myid. Blanks around the number are forgiven, which Apache does not do.
    fn my_id(&self) -> Result<Option<Sid>, ConfigError> {
        let file = format!("{}/myid", self.data_dir.trim_end_matches('/'));
        let bytes = match (self.read_file)(&file) {
            Ok(bytes) => bytes,
            Err(error) if no_such_file(&error) => return Ok(None),
            Err(error) => {
                let place = Place::File { file, line: None };
                let words = format!("Error processing {}: {error}", self.file);
                return Err(ConfigError::new(place, words, "this user must be able to read it"));
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().next().unwrap_or("null");
        match java::parse_long(line.trim()) {
            Ok(id) => Ok(Some(Sid(id))),
            Err(_) => {
                let place = Place::File { file, line: Some(1) };
                let words = format!("serverid {line} is not a number");
                let advice = "the first line must be this server's number, such as 1";
                Err(ConfigError::new(place, words, advice))
            }
        }
    }

    /// A client address in this server's own line and one in zoo.cfg must agree; either alone
    /// counts. Compared as text unless both are numbers: names are resolved later.
    fn settle_client(
        &self,
        file: &str,
        ensemble: &mut Ensemble,
        client: &mut Option<HostPort>,
    ) -> Result<(), ConfigError> {
        let Some(my_id) = ensemble.my_id else { return Ok(()) };
        let Some(me) = ensemble.members.all.get_mut(&my_id) else { return Ok(()) };
        let Some(own) = &me.client else {
            me.client = client.clone();
            me.client_from_static = client.is_some();
            return Ok(());
        };
        if let Some(said) = client.as_ref() {
            let same_port = said.port == own.port;
            if !same_port || (!said.is_any() && !same_host(&said.host, &own.host)) {
                let words = format!(
                    "client address for this server (id = {}) in static config file is {said} is \
                     different from client address found in dynamic file: {own}",
                    my_id.0
                );
                let place = Place::File { file: file.to_owned(), line: None };
                let advice = format!("clientPort of {} and the server line must agree", self.file);
                return Err(ConfigError::new(place, words, advice));
            }
        }
        *client = Some(own.clone());
        Ok(())
    }

    fn check_distributed(&self, ensemble: &Ensemble) -> Result<(), ConfigError> {
        if !ensemble.is_distributed() {
            return Ok(());
        }
        let place = Place::File { file: self.file.to_owned(), line: None };
        let myid = format!("{}/myid", self.data_dir.trim_end_matches('/'));
        let Some(my_id) = ensemble.my_id.filter(|_| ensemble.init_limit_ticks != 0) else {
            let (words, advice) = if ensemble.init_limit_ticks == 0 {
                ("initLimit is not set", "write initLimit=10".to_owned())
            } else if ensemble.sync_limit_ticks == 0 {
                ("syncLimit is not set", "write syncLimit=5".to_owned())
            } else {
                ("myid file is missing", format!("write this server's number into {myid}"))
            };
            return Err(ConfigError::new(place, words, advice));
        };
        if ensemble.sync_limit_ticks == 0 {
            return Err(ConfigError::new(place, "syncLimit is not set", "write syncLimit=5"));
        }
        if !ensemble.members.all.contains_key(&my_id) {
            let words = format!("My id {} not in the peer list", my_id.0);
            let advice = format!("{myid} must name one of the server lines");
            let error = ConfigError::new(place, words, advice);
            return Err(error.exiting(ExitCode::Unexpected));
        }
        Ok(())
    }

    fn line(&self, line: u32) -> Place {
        Place::File { file: self.file.to_owned(), line: Some(line) }
    }
}

/// The server lines win over peerType.
fn settle_role(
    said: Option<&Entry>,
    file: &str,
    ensemble: &mut Ensemble,
    findings: &mut Vec<Finding>,
) {
    let me = ensemble.my_id.and_then(|id| ensemble.members.all.get(&id));
    let role = me.map_or(PeerRole::Participant, |member| member.role);
    if role != ensemble.my_role {
        let place = Place::File { file: file.to_owned(), line: said.map(|entry| entry.line) };
        let message = format!(
            "Peer type from servers list ({role}) doesn't match peerType ({}). Defaulting to \
             servers list.",
            ensemble.my_role
        );
        findings.push(warning(What::Value, place, &message));
        ensemble.my_role = role;
    }
}

fn bad_member(file: &str, entries: &[Entry], bad: BadMember) -> ConfigError {
    let (line, key) = match bad.entry {
        Some(entry) => (Some(entry.line), Some(entry.key)),
        None => (entries.iter().find(|e| Members::takes(&e.key)).map(|e| e.line), None),
    };
    let advice = match key.as_deref() {
        Some(key) if key.starts_with("server.") => {
            "server.N=host:quorumPort:electionPort[:role][;[clientHost:]clientPort] with a number N"
        }
        _ => "group.N=sid:sid:sid with every participant in one group, weight.N=votes",
    };
    let place = Place::File { file: file.to_owned(), line };
    ConfigError { key, ..ConfigError::new(place, bad.message, advice) }
}

fn same_host(a: &str, b: &str) -> bool {
    match (a.parse::<IpAddr>(), b.parse::<IpAddr>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.eq_ignore_ascii_case(b),
    }
}

fn no_such_file(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | IsADirectory | NotADirectory)
}

fn warning(what: What, place: Place, message: &str) -> Finding {
    Finding { severity: Severity::Warning, what, place, key: None, message: message.to_owned() }
}
