//! Every key that Apache ZooKeeper 3.9.5 or its guide knows, one row each. What is read, what is
//! reported at start and what `docs/CONFIG.md` says are all derived from these rows.
//!
//! The rows live in `keys/`: `native` (read by Apache's own zoo.cfg reader), `property` (system
//! properties that any unknown zoo.cfg key sets), `security` (the same, for authentication and
//! TLS) and `elsewhere` (only as `-D`, or without effect anywhere).

mod elsewhere;
mod native;
mod property;
mod security;

use std::fmt::Write;

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// As written in zoo.cfg. A final `*` stands for any ending (`server.*`).
    pub name: &'static str,
    pub scope: Scope,
    pub kind: Kind,
    /// As text; empty where there is none; `=` and a formula where it depends on something.
    pub default: &'static str,
    pub bounds: Option<Bounds>,
    /// `ms`, `KB`, `ticks`, ...; empty for plain counts and text.
    pub unit: &'static str,
    pub status: Status,
    /// One line for the operator.
    pub doc: &'static str,
}

/// Where Apache honours a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Only in zoo.cfg (`QuorumPeerConfig` reads it by name).
    Native,
    /// In zoo.cfg, and as `-Dzookeeper.<name>` where zoo.cfg is silent.
    NativeOrProperty,
    /// As system property `zookeeper.<name>`, which the zoo.cfg line sets.
    Property,
    /// The same, and as `-D<name>` where that is not set.
    PropertyOrBare,
    /// Only as `-D` of this full name: a zoo.cfg line has no effect.
    DashD(&'static str),
    /// Nowhere. Holds what to write instead, or nothing.
    Nowhere(&'static str),
}

/// How the text of a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `Integer.parseInt`; anything else stops the start.
    Int,
    /// `Long.parseLong`; anything else stops the start.
    Long,
    /// `true` or `false` in any case; anything else stops the start.
    Bool,
    /// `Integer.getInteger`: `0x10` is 16, `010` is 8, and anything else means the default.
    DecodedInt,
    /// `Long.getLong`: the same with 64 bits.
    DecodedLong,
    /// Decimal; anything else means the default.
    LenientLong,
    /// Decimal, in a system property that Apache reads strictly: anything else stops the start.
    StrictInt,
    /// A fraction; anything else means the default.
    Float,
    /// A fraction; anything else stops the start.
    StrictFloat,
    /// `true` in any case is true, everything else false.
    Flag,
    /// Exactly `true` is true, everything else false.
    ExactTrue,
    /// Exactly `yes` is true, everything else false.
    Yes,
    /// Exactly `no` is false, everything else true.
    NotNo,
    /// Exactly `false` is false, everything else true.
    NotFalse,
    Text,
    /// Text that no log line and no admin page may show.
    Secret,
    Path,
    Host,
    /// A Java class by its full name; only the shipped ones can mean something here.
    Class,
    /// Words joined by commas.
    Words,
    /// A server line, a list of server ids, a weight.
    Member,
}

/// The numbers that make sense, ends included, and what happens to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub min: i64,
    pub max: i64,
    pub outside: Outside,
}

/// What Apache does with a number out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Takes the nearest bound, with a warning.
    Clamp,
    /// Takes the default, with a warning.
    Default,
    /// Refuses to start: bad configuration, exit status 2.
    Refuse,
}

/// What this server makes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Honoured,
    /// Honoured by a member of an ensemble; a lone server has no use for it.
    InEnsemble,
    /// Read and kept; the part of the server that it steers is not there yet.
    Later(Work),
    /// Accepted without effect, for this reason.
    NotApplicable(&'static str),
}

/// The parts of the server that are still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Reconfig,
    Security,
    Operator,
}

impl Work {
    /// For sentences: "comes with ...".
    pub fn words(self) -> &'static str {
        match self {
            Work::Reconfig => "reconfig",
            Work::Security => "TLS and SASL",
            Work::Operator => "the admin server and metrics",
        }
    }
}

/// A group of rows under one heading.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    pub title: &'static str,
    pub keys: &'static [Key],
}

/// The whole table.
pub static SECTIONS: &[Section] = &[
    Section { title: "Basics", keys: native::BASICS },
    Section { title: "Limits and flow", keys: property::LIMITS },
    Section { title: "Storage and integrity", keys: property::STORAGE },
    Section { title: "Network and threads", keys: property::NETWORK },
    Section { title: "Ensemble members", keys: native::MEMBERS },
    Section { title: "Ensemble", keys: native::ENSEMBLE },
    Section { title: "Ensemble, fine tuning", keys: property::ENSEMBLE },
    Section { title: "Authentication", keys: security::AUTHENTICATION },
    Section { title: "Authentication and TLS between members", keys: native::MEMBER_SECURITY },
    Section { title: "TLS for clients", keys: security::CLIENT_TLS },
    Section { title: "TLS between members and of the admin server", keys: security::MEMBER_TLS },
    Section { title: "TLS, the rest", keys: security::TLS },
    Section { title: "Metrics and the Java virtual machine", keys: native::METRICS },
    Section { title: "Admin server, audit, four-letter words", keys: property::ADMIN },
    Section { title: "Only as -D", keys: elsewhere::DASH_D },
    Section { title: "Logging", keys: elsewhere::LOGGING },
    Section { title: "Names without effect", keys: elsewhere::NOWHERE },
];

/// All rows.
pub fn all() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The row of a name as written in zoo.cfg: an exact name before the longest fitting pattern.
pub fn find(name: &str) -> Option<&'static Key> {
    let exact = all().find(|key| key.name == name);
    exact.or_else(|| all().filter(|key| key.covers(name)).max_by_key(|key| key.name.len()))
}

/// The row that a system property of this full name belongs to.
pub fn find_property(property: &str) -> Option<&'static Key> {
    let bare = |key: &&Key| match key.scope {
        Scope::DashD(full) => full == property,
        Scope::PropertyOrBare => key.name == property,
        _ => false,
    };
    let prefixed = || {
        let key = find(property.strip_prefix("zookeeper.")?)?;
        let by_prefix =
            matches!(key.scope, Scope::NativeOrProperty | Scope::Property | Scope::PropertyOrBare);
        by_prefix.then_some(key)
    };
    all().find(bare).or_else(prefixed)
}

impl Key {
    /// Whether this row is a pattern that takes the name.
    fn covers(&self, name: &str) -> bool {
        self.name.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix))
    }

    /// The full names of the system properties that carry this key, strongest first.
    pub fn properties(&self) -> Vec<String> {
        let prefixed = format!("zookeeper.{}", self.name);
        match self.scope {
            Scope::Native | Scope::Nowhere(_) => vec![],
            Scope::NativeOrProperty | Scope::Property => vec![prefixed],
            Scope::PropertyOrBare => vec![prefixed, self.name.to_owned()],
            Scope::DashD(full) => vec![full.to_owned()],
        }
    }

    /// Whether a zoo.cfg line of this key has any effect in Apache.
    pub fn works_in_file(&self) -> bool {
        !matches!(self.scope, Scope::DashD(_) | Scope::Nowhere(_))
    }

    /// The default, unless it is a formula or there is none.
    pub fn plain_default(&self) -> Option<&'static str> {
        (!self.default.is_empty() && !self.default.starts_with('=')).then_some(self.default)
    }

    const fn row(name: &'static str, scope: Scope, kind: Kind, default: &'static str) -> Key {
        let status = Status::Honoured;
        Key { name, scope, kind, default, bounds: None, unit: "", status, doc: "" }
    }

    const fn doc(self, doc: &'static str) -> Key {
        Key { doc, ..self }
    }

    const fn unit(self, unit: &'static str) -> Key {
        Key { unit, ..self }
    }

    const fn within(self, min: i64, max: i64, outside: Outside) -> Key {
        Key { bounds: Some(Bounds { min, max, outside }), ..self }
    }

    const fn at_least(self, min: i64, outside: Outside) -> Key {
        self.within(min, i64::MAX, outside)
    }

    const fn in_ensemble(self) -> Key {
        Key { status: Status::InEnsemble, ..self }
    }

    const fn later(self, work: Work) -> Key {
        Key { status: Status::Later(work), ..self }
    }

    const fn without_meaning(self, reason: &'static str) -> Key {
        Key { status: Status::NotApplicable(reason), ..self }
    }
}

/// A row that Apache's zoo.cfg reader knows by name.
const fn cfg(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key::row(name, Scope::Native, kind, default)
}

/// A row that is a system property with the prefix `zookeeper.`.
const fn prop(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key::row(name, Scope::Property, kind, default)
}

/// The text of `docs/CONFIG.md`.
pub fn markdown() -> String {
    let mut text = String::from(PREFACE);
    for section in SECTIONS {
        writeln!(text, "\n## {}\n", section.title).expect("writing to a string");
        text.push_str("| key | where | type | default | here | meaning |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        for key in section.keys {
            text.push_str(&markdown_row(key));
        }
    }
    text
}

fn markdown_row(key: &Key) -> String {
    let default = match key.default {
        "" => "none".to_owned(),
        plain => format!("`{}`", plain.trim_start_matches('=').trim_start()),
    };
    let kind = [key.kind.words(), key.unit].join(" ").trim_end().to_owned() + &bounds_words(key);
    let doc = key.doc.replace('|', "\\|");
    let (place, here) = (place_words(key), status_words(key.status));
    format!("| `{}` | {place} | {kind} | {default} | {here} | {doc} |\n", key.name)
}

fn bounds_words(key: &Key) -> String {
    match key.bounds {
        None => String::new(),
        Some(Bounds { min, max: i64::MAX, .. }) => format!(", from {min}"),
        Some(Bounds { min, max, .. }) => format!(", {min} to {max}"),
    }
}

fn place_words(key: &Key) -> String {
    match key.scope {
        Scope::Native => "file".to_owned(),
        Scope::NativeOrProperty | Scope::Property => "file, -D".to_owned(),
        Scope::PropertyOrBare => format!("file, -D, `-D{}`", key.name),
        Scope::DashD(full) => format!("only `-D{full}`"),
        Scope::Nowhere("") => "nowhere".to_owned(),
        Scope::Nowhere(instead) => format!("nowhere; write `{instead}`"),
    }
}

fn status_words(status: Status) -> String {
    match status {
        Status::Honoured => "honoured".to_owned(),
        Status::InEnsemble => "honoured by a member of an ensemble".to_owned(),
        Status::Later(work) => format!("comes with {}", work.words()),
        Status::NotApplicable(reason) => format!("no effect: {reason}"),
    }
}

impl Kind {
    /// What to write, in a word or two.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Int | Kind::Long | Kind::StrictInt | Kind::LenientLong => "number",
            Kind::DecodedInt | Kind::DecodedLong => "number (0x)",
            Kind::Bool | Kind::Flag | Kind::ExactTrue | Kind::NotFalse => "`true` or `false`",
            Kind::Yes | Kind::NotNo => "`yes` or `no`",
            Kind::Float | Kind::StrictFloat => "fraction",
            Kind::Text => "text",
            Kind::Secret => "secret",
            Kind::Path => "path",
            Kind::Host => "host",
            Kind::Class => "class name",
            Kind::Words => "list with commas",
            Kind::Member => "line of members",
        }
    }
}

const PREFACE: &str = "\
# Configuration keys

Generated from the table in `src/config/keys`; after a change there run
`UPDATE_DOCS=1 cargo test --test config`.

A `zoo.cfg` of Apache ZooKeeper 3.9.5 is taken as it is. A key that the table does not know is kept
and reported, never refused.

- **where**: `file` is zoo.cfg; `-D` is a word `-Dzookeeper.<key>=<value>` in the environment
  variable `JVMFLAGS` or `SERVER_JVMFLAGS`, of which the first wins. A line in the file wins over
  the word, as in Apache. A few keys work only as a `-D` word, under the name given.
- **type**: a plain number is decimal, and anything else stops the start with exit status 2. A
  number marked (0x) is read as Java decodes it (`0x10` is 16, `010` is 8), and anything else means
  the default.
- **here**: what this server makes of the key.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::java;

    #[test]
    fn no_name_appears_twice() {
        let mut names: Vec<_> = all().map(|key| key.name).collect();
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn every_default_can_be_read_as_what_it_is() {
        for key in all() {
            let Some(text) = key.plain_default() else { continue };
            let readable = match key.kind {
                Kind::Int | Kind::StrictInt => java::parse_int(text).is_ok(),
                Kind::Long | Kind::LenientLong => java::parse_long(text).is_ok(),
                Kind::DecodedInt => java::decode_int(text).is_some(),
                Kind::DecodedLong => java::decode_long(text).is_some(),
                Kind::Float | Kind::StrictFloat => java::parse_double(text).is_ok(),
                Kind::Bool | Kind::Flag | Kind::ExactTrue | Kind::NotFalse => {
                    ["true", "false"].contains(&text)
                }
                Kind::Yes | Kind::NotNo => ["yes", "no"].contains(&text),
                _ => true,
            };
            assert!(readable, "{}: {text}", key.name);
        }
    }

    #[test]
    fn every_row_says_something_and_ends_no_sentence() {
        for key in all() {
            assert!(!key.doc.is_empty(), "{}", key.name);
            assert!(!key.doc.ends_with('.') && !key.doc.contains('\n'), "{}", key.name);
        }
    }

    #[test]
    fn what_to_write_instead_is_a_key_that_works() {
        for key in all() {
            if let Scope::Nowhere(instead) = key.scope {
                assert!(instead.is_empty() || find(instead).is_some(), "{}: {instead}", key.name);
            }
        }
    }

    #[test]
    fn an_exact_name_beats_a_pattern_and_a_long_pattern_a_short_one() {
        let name = |text| find(text).map(|key| key.name);
        assert_eq!(name("metricsProvider.className"), Some("metricsProvider.className"));
        assert_eq!(name("metricsProvider.httpPort"), Some("metricsProvider.httpPort"));
        assert_eq!(name("metricsProvider.foo"), Some("metricsProvider.*"));
        assert_eq!(name("server.1"), Some("server.*"));
        assert_eq!(name("foo"), None);
    }

    #[test]
    fn properties_find_their_row_by_prefix_or_by_full_name() {
        let name = |text| find_property(text).map(|key| key.name);
        assert_eq!(name("zookeeper.snapCount"), Some("snapCount"));
        assert_eq!(name("snapCount"), None);
        assert_eq!(name("fsync.warningthresholdms"), Some("fsync.warningthresholdms"));
        assert_eq!(name("jute.maxbuffer"), Some("jute.maxbuffer"));
        assert_eq!(name("zookeeper.jute.maxbuffer"), None);
        assert_eq!(name("zookeeper.tickTime"), None);
    }
}
