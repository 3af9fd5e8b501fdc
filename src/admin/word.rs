//! The four-letter words: which bytes they are, which of them are allowed.

use std::collections::BTreeSet;
use std::fmt;

macro_rules! words {
    ($($(#[$meta:meta])* $word:ident = $bytes:literal, $text:literal;)*) => {
        /// A four-letter word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Word { $($(#[$meta])* $word,)* }

        impl Word {
            /// All of them.
            pub const ALL: &'static [Word] = &[$(Word::$word,)*];

            /// The word that the first four bytes of a connection are, before its handshake.
            /// Anything else is the length of a ConnectRequest.
            pub fn recognize(first: [u8; 4]) -> Option<Word> {
                match &first { $($bytes => Some(Word::$word),)* _ => None }
            }

            /// As the whitelist and the refusal spell it.
            pub fn name(self) -> &'static str {
                match self { $(Word::$word => $text,)* }
            }
        }
    };
}

words! {
    /// Serving configuration.
    Conf = b"conf", "conf";
    /// Every connection in full.
    Cons = b"cons", "cons";
    /// Resets the statistics of every connection.
    Crst = b"crst", "crst";
    /// Sizes of the two directories.
    Dirs = b"dirs", "dirs";
    /// Sessions by deadline, ephemerals, connections.
    Dump = b"dump", "dump";
    /// The process's environment.
    Envi = b"envi", "envi";
    /// Shows the trace mask.
    Gtmk = b"gtmk", "gtmk";
    /// Digests of the tree at every 128th zxid.
    Hash = b"hash", "hash";
    /// Whether the server takes writes.
    Isro = b"isro", "isro";
    /// Every metric.
    Mntr = b"mntr", "mntr";
    /// Whether the process lives.
    Ruok = b"ruok", "ruok";
    /// Resets the server's statistics.
    Srst = b"srst", "srst";
    /// The server in brief.
    Srvr = b"srvr", "srvr";
    /// The server in brief, with its connections.
    Stat = b"stat", "stat";
    /// Sets the trace mask: eight more bytes follow.
    Stmk = b"stmk", "stmk";
    /// Data watches by session.
    Wchc = b"wchc", "wchc";
    /// Data watches by path.
    Wchp = b"wchp", "wchp";
    /// Data watches in numbers.
    Wchs = b"wchs", "wchs";
    /// What a telnet sends for an interrupt. Allowed or not, it only ends the connection.
    TelnetClose = b"\xff\xf4\xff\xfd", "telnet close";
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A part of the server's state that a word shows and that costs something to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// `View::stats`, `View::node_count`, `View::last_zxid`, `View::proposal_sizes`.
    Stats,
    /// `View::connections`.
    Connections,
    /// `View::conf`, with the sizes of the directories.
    Conf,
    /// `View::conf`, of which only the sizes of the directories are shown.
    Directories,
    /// `View::sessions`, `View::ephemerals`, `View::connection_deadlines`.
    Sessions,
    /// `View::environment`.
    Environment,
    /// `View::digest_log`.
    DigestLog,
    /// `View::gauges`, `View::quotas`, `View::peer_state`.
    Gauges,
    /// `View::watch_summary`.
    WatchSummary,
    /// `View::watches`.
    Watches,
}

impl Word {
    /// What the answer to an allowed word needs, beyond what every [`super::View`] has.
    pub fn needs(self) -> &'static [Fact] {
        match self {
            Word::Conf => &[Fact::Conf],
            Word::Cons => &[Fact::Connections],
            Word::Dirs => &[Fact::Directories],
            Word::Dump => &[Fact::Sessions],
            Word::Envi => &[Fact::Environment],
            Word::Hash => &[Fact::DigestLog],
            Word::Mntr => &[Fact::Gauges],
            Word::Srvr => &[Fact::Stats],
            Word::Stat => &[Fact::Stats, Fact::Connections],
            Word::Wchc | Word::Wchp => &[Fact::Watches],
            Word::Wchs => &[Fact::WatchSummary],
            Word::Crst | Word::Srst | Word::Gtmk | Word::Stmk => &[],
            Word::Isro | Word::Ruok | Word::TelnetClose => &[],
        }
    }

    /// Bytes that belong to the word after its own four. Without them the connection is closed
    /// and nothing answered; bytes after them are ignored.
    pub fn extra_bytes(self) -> usize {
        if self == Word::Stmk {
            8
        } else {
            0
        }
    }
}

/// The words that may be executed (`4lw.commands.whitelist`, which the configuration reads).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whitelist {
    allowed: BTreeSet<Word>,
}

impl Whitelist {
    /// Asks `allows` about each word by its [name](Word::name).
    pub fn new(allows: impl Fn(&str) -> bool) -> Whitelist {
        let allowed = Word::ALL.iter().copied().filter(|word| allows(word.name()));
        Whitelist { allowed: allowed.collect() }
    }

    /// Whether the word may be executed.
    pub fn allows(&self, word: Word) -> bool {
        self.allowed.contains(&word)
    }

    /// The allowed words, for the log.
    pub fn words(&self) -> impl Iterator<Item = Word> + '_ {
        self.allowed.iter().copied()
    }
}

/// What a word gets that is not on the whitelist, before the connection is closed.
pub fn refusal(word: Word) -> String {
    format!("{word} is not executed because it is not in the whitelist.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_its_four_bytes_and_nothing_else() {
        for &word in Word::ALL.iter().filter(|&&word| word != Word::TelnetClose) {
            let bytes: [u8; 4] = word.name().as_bytes().try_into().expect("four letters");
            assert_eq!(Word::recognize(bytes), Some(word));
            assert_eq!(Word::recognize(bytes.map(|b| b.to_ascii_uppercase())), None);
        }
        assert_eq!(Word::recognize([0xff, 0xf4, 0xff, 0xfd]), Some(Word::TelnetClose));
        for other in [b"xxxx", b"HTTP", b"\0\0\0\x2d"] {
            assert_eq!(Word::recognize(*other), None);
        }
    }

    #[test]
    fn the_whitelist_is_asked_by_name() {
        let list = Whitelist::new(|name| ["srvr", "ruok", "RUOK", "nope"].contains(&name));
        assert_eq!(list.words().map(Word::name).collect::<Vec<_>>(), ["ruok", "srvr"]);
        assert!(list.allows(Word::Ruok) && !list.allows(Word::TelnetClose));
    }

    #[test]
    fn the_refusal_names_the_word() {
        let text = "telnet close is not executed because it is not in the whitelist.\n";
        assert_eq!(refusal(Word::TelnetClose), text);
        assert!(refusal(Word::Stat).starts_with("stat is not executed"));
    }
}
