//! zoo.cfg, dynamic files and `-D` words to a [`Config`]. Pure: takes text, gives typed values, and
//! findings worth a line at start. Files are read by a function that the caller brings.
//!
//! The way of a value: [`properties`] (grammar) and [`jvmflags`] -> [`settings`] (which of them
//! wins, by the table in [`keys`]) -> [`values`], [`auth`], [`quorum`] and [`ensemble`] (what
//! they mean).

pub mod auth;
pub mod ensemble;
pub mod error;
mod java;
pub mod jvmflags;
pub mod keys;
pub mod members;
pub mod properties;
pub mod quorum;
pub mod reconfig;
pub mod settings;
pub mod values;

use std::io;

pub use auth::{Auth, AuthProvider, DigestAlgorithm};
pub use ensemble::{Ensemble, ReadFile};
pub use error::{ConfigError, DataDir, DataDirFault, ExitCode, Finding, Place, Severity, What};
pub use jvmflags::JvmFlags;
pub use members::{HostPort, Member, Members, PeerAddress, PeerRole};
pub use quorum::{Quorum, Watching};
pub use reconfig::{BadChange, Change};
pub use settings::{Secret, Settings};
pub use values::{
    Admin, ClientLimits, ConnectionThrottle, DataDirs, FourLetterWords, Metrics, Network,
    RequestThrottle, SessionWeights, Sessions, SnapshotCompression, Storage, Tree,
};

use ensemble::Sources;
use keys::Status;
use properties::Properties;
use settings::Reader;

/// Everything that one server was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it came from, as the operator named it.
    pub file: Option<String>,
    /// The bytes of that file, as text (the admin server shows them).
    pub initial_text: Secret,
    pub data_dirs: DataDirs,
    /// Where clients connect; port 0 lets the system choose. `None`: nobody can connect.
    pub client: Option<HostPort>,
    /// Where clients connect with TLS.
    pub secure_client: Option<HostPort>,
    pub sessions: Sessions,
    pub limits: ClientLimits,
    pub request_throttle: RequestThrottle,
    pub connection_throttle: ConnectionThrottle,
    pub storage: Storage,
    pub tree: Tree,
    pub network: Network,
    pub auth: Auth,
    pub admin: Admin,
    pub metrics: Metrics,
    pub ensemble: Ensemble,
    pub quorum: Quorum,
    /// What was said, key by key, for those who need more than the values above.
    pub settings: Settings,
}

/// How this server is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Standalone,
    Ensemble,
}

/// Nodes with a time to live mark themselves in the byte where session ids carry the server's
/// number; 255 is that mark (Apache's `EphemeralType`).
const MAX_EXTENDED_SID: i64 = 254;

/// What Apache's `ZooKeeperServerMain` says to arguments that it cannot use.
pub const USAGE: &str = "Usage: oxkeeper serve configfile | port datadir [ticktime] [maxcnxns]";

impl Config {
    /// Reads a configuration file and the files that it names. `file` is named in messages as it
    /// stands, `read_file` is asked for it first.
    pub fn load(
        file: &str,
        jvm: &JvmFlags,
        read_file: ReadFile<'_>,
    ) -> Result<(Config, Vec<Finding>), ConfigError> {
        let bytes = read_file(file).map_err(|error| unreadable(file, &error))?;
        Config::parse(file, &bytes, jvm, read_file)
    }

    /// The same with the bytes of the file at hand.
    pub fn parse(
        file: &str,
        bytes: &[u8],
        jvm: &JvmFlags,
        read_file: ReadFile<'_>,
    ) -> Result<(Config, Vec<Finding>), ConfigError> {
        let properties = Properties::parse(bytes).map_err(|error| {
            let place = Place::File { file: file.to_owned(), line: Some(error.line) };
            ConfigError::new(place, error.to_string(), "write a backslash twice to mean itself")
        })?;
        let mut findings = vec![];
        let settings = Settings::collect(file, &properties, jvm, &mut findings);
        settings::check_native(&settings)?;
        let whole_file = Place::File { file: file.to_owned(), line: None };
        let mut reader = Reader::new(&settings, whole_file);
        let mut config = Config::read(&mut reader)?;
        findings.append(&mut reader.findings);
        config.read_members(file, &properties, read_file, &mut findings)?;
        config.file = Some(file.to_owned());
        config.initial_text = Secret::new(String::from_utf8_lossy(bytes));
        config.settings = settings;
        config.advise(file, &mut findings);
        Ok((config, findings))
    }

    /// The form `port datadir [ticktime] [maxcnxns]`, in which connections from one address are
    /// unlimited unless the last argument says otherwise.
    pub fn from_arguments(
        arguments: &[&str],
        jvm: &JvmFlags,
    ) -> Result<(Config, Vec<Finding>), ConfigError> {
        let (port, data_dir, tick, cnxns) = match *arguments {
            [port, data_dir] => (port, data_dir, "3000", "0"),
            [port, data_dir, tick] => (port, data_dir, tick, "0"),
            [port, data_dir, tick, cnxns] => (port, data_dir, tick, cnxns),
            _ => {
                let words = format!("Invalid number of arguments:[{}]", arguments.join(", "));
                return Err(ConfigError::new(Place::Arguments, words, USAGE));
            }
        };
        Config::of_arguments(port, data_dir, tick, cnxns, jvm).map_err(|error| match error.place {
            Place::Arguments => ConfigError { advice: USAGE.to_owned(), ..error },
            _ => error,
        })
    }

    /// What a first run without any configuration gets: port 2181, data in `./data`, the limits of
    /// the sample file.
    pub fn default_first_run(jvm: &JvmFlags) -> Result<(Config, Vec<Finding>), ConfigError> {
        Config::of_arguments("2181", "./data", "2000", "60", jvm)
    }

    fn of_arguments(
        port: &str,
        data_dir: &str,
        tick: &str,
        cnxns: &str,
        jvm: &JvmFlags,
    ) -> Result<(Config, Vec<Finding>), ConfigError> {
        let mut findings = vec![];
        let arguments = [
            ("clientPort", port),
            ("dataDir", data_dir),
            ("tickTime", tick),
            ("maxClientCnxns", cnxns),
        ];
        let settings = Settings::of_arguments(&arguments, jvm, &mut findings);
        let mut reader = Reader::new(&settings, Place::Arguments);
        let mut config = Config::read(&mut reader)?;
        findings.append(&mut reader.findings);
        config.settings = settings;
        Ok((config, findings))
    }

    /// All values but the members of an ensemble.
    fn read(reader: &mut Reader<'_>) -> Result<Config, ConfigError> {
        let ensemble = Ensemble::read_values(reader)?;
        let data_dirs = DataDirs::read(reader)?;
        let client = listen(reader, "clientPort", "clientPortAddress")?;
        let secure_client = listen(reader, "secureClientPort", "secureClientPortAddress")?;
        if secure_client.is_some() {
            check_tls_scheme(reader)?;
        }
        Ok(Config {
            file: None,
            initial_text: Secret::new(""),
            data_dirs,
            client,
            secure_client,
            sessions: Sessions::read(reader)?,
            metrics: Metrics::read(reader)?,
            limits: ClientLimits::read(reader)?,
            request_throttle: RequestThrottle::read(reader)?,
            connection_throttle: ConnectionThrottle::read(reader)?,
            storage: Storage::read(reader)?,
            tree: Tree::read(reader)?,
            network: Network::read(reader)?,
            auth: Auth::read(reader)?,
            admin: Admin::read(reader)?,
            ensemble,
            quorum: Quorum::read(reader)?,
            settings: Settings::default(),
        })
    }

    fn read_members(
        &mut self,
        file: &str,
        properties: &Properties,
        read_file: ReadFile<'_>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), ConfigError> {
        let data_dir = self.data_dirs.snapshots.to_string_lossy().into_owned();
        let sources = Sources { file, properties, data_dir: &data_dir, read_file };
        sources.read_members(&mut self.ensemble, &mut self.client, findings)?;
        let my_id = self.ensemble.my_id.map_or(0, |sid| sid.0);
        if self.role() == Role::Ensemble && self.tree.extended_types && my_id > MAX_EXTENDED_SID {
            let words = format!(
                "extendedTypesEnabled is true but Server ID is too large. Cannot be larger than \
                 {MAX_EXTENDED_SID}"
            );
            let place = Place::File { file: file.to_owned(), line: None };
            let advice = "give this server a smaller number, in myid and in its server line";
            return Err(ConfigError::new(place, words, advice).exiting(ExitCode::Unexpected));
        }
        Ok(())
    }

    /// Says what takes the whole configuration to know.
    fn advise(&self, file: &str, findings: &mut Vec<Finding>) {
        let mut say = |severity, what, message| {
            let place = Place::File { file: file.to_owned(), line: None };
            findings.push(Finding { severity, what, place, key: None, message });
        };
        if self.client.is_none() && self.secure_client.is_none() {
            let message = "clientPort is not set: no client can connect".to_owned();
            say(Severity::Warning, What::Advice, message);
        }
        const LATER: Status = Status::Later(keys::Work::Reconfig);
        const OF_MEMBERS: &[Status] = &[Status::InEnsemble, LATER];
        let (statuses, words, what) = match self.role() {
            Role::Standalone => (OF_MEMBERS, "of use in an ensemble only", What::NotApplicable),
            Role::Ensemble => (&[LATER][..], "no effect in an ensemble yet", What::Later),
        };
        let names: Vec<&str> = self.settings.with_status(statuses).collect();
        if !names.is_empty() {
            say(Severity::Info, what, format!("{words}: {}", names.join(", ")));
        }
    }

    /// Whether this server runs alone or as a member. One participant, with standaloneEnabled at
    /// its default, runs alone.
    pub fn role(&self) -> Role {
        if self.ensemble.is_distributed() {
            Role::Ensemble
        } else {
            Role::Standalone
        }
    }
}

/// A port and the address it belongs to. An address alone is a mistake.
fn listen(
    reader: &mut Reader<'_>,
    port_key: &str,
    host_key: &str,
) -> Result<Option<HostPort>, ConfigError> {
    let port = reader.optional_long(port_key)?;
    let host = reader.text(host_key).unwrap_or_default();
    match port {
        None if reader.place(host_key).is_some() => {
            let words = format!("{host_key} is set but {port_key} is not set");
            let advice = format!("write {port_key}=2181, or remove {host_key}");
            Err(reader.refuse(host_key, &words, &advice))
        }
        None => Ok(None),
        Some(port) => {
            let port = u16::try_from(port).expect("the row bounds it");
            Ok(Some(HostPort { host, port }))
        }
    }
}

/// A TLS port needs the provider that reads certificates; x509 comes by itself.
fn check_tls_scheme(reader: &Reader<'_>) -> Result<(), ConfigError> {
    const KEY: &str = "ssl.authProvider";
    let scheme = reader.text(KEY).unwrap_or_default();
    if scheme == "x509" || reader.settings.get(&format!("authProvider.{scheme}")).is_some() {
        return Ok(());
    }
    let words =
        format!("No auth provider configured for the SSL authentication scheme '{scheme}'.");
    let advice = format!("remove {KEY}, or add authProvider.{scheme}");
    Err(reader.refuse(KEY, &words, &advice))
}

fn unreadable(file: &str, error: &io::Error) -> ConfigError {
    let place = Place::File { file: file.to_owned(), line: None };
    if error.kind() == io::ErrorKind::NotFound {
        let advice = "name an existing zoo.cfg; conf/zoo_sample.cfg is one to start from";
        return ConfigError::new(place, format!("{file} file is missing"), advice);
    }
    let words = format!("Error processing {file}: {error}");
    ConfigError::new(place, words, "this user must be able to read it")
}

impl ConfigError {
    /// A name that does not resolve when the server is about to listen there: exit status 2, as
    /// Apache resolves it while reading.
    pub fn unresolvable(config: &Config, key: &str, host: &str, cause: &str) -> ConfigError {
        let words = format!("{host}: {cause}");
        config.blame(key, words, "write an address of this machine".to_owned())
    }

    /// A client port on which the server cannot listen: exit status 1.
    pub fn cannot_listen(config: &Config, key: &str, at: &HostPort, cause: &str) -> ConfigError {
        let words = format!("cannot listen on {at}: {cause}");
        let advice = match &config.file {
            Some(_) => format!("stop the other program, or write another {key}"),
            // A first run has no file in which to write.
            None => "stop the other program, or name another port: oxkeeper serve PORT ./data"
                .to_owned(),
        };
        config.blame(key, words, advice).exiting(ExitCode::Unexpected)
    }

    /// The port of the admin server, on which a standalone server must be able to listen: exit
    /// status 4.
    pub fn admin_port(config: &Config, cause: &str) -> ConfigError {
        let Admin { host, port, .. } = &config.admin;
        let words = format!("Problem starting AdminServer on address {host}, port {port}: {cause}");
        let advice = "stop the other program, write another admin.serverPort, or \
                      admin.enableServer=false";
        config.blame("admin.serverPort", words, advice.to_owned()).exiting(ExitCode::AdminServer)
    }
}

impl Config {
    /// An error at the line that said a key, else at the file, else at the arguments.
    fn blame(&self, key: &str, words: String, advice: String) -> ConfigError {
        let file = self.file.clone().map(|file| Place::File { file, line: None });
        let said = self.settings.get(key).map(|said| said.place.clone());
        let place = said.or(file).unwrap_or(Place::Arguments);
        ConfigError::new(place, words, advice).of_key(key)
    }
}
