//! What monitors make of our answers: the rules by which each of them reads, replayed over what
//! we write. The rules are those of Telegraf's, Datadog's, OpenTelemetry's, Metricbeat's, Solr's
//! and Kazoo's readers and of three Prometheus exporters.

use super::*;
use crate::metrics::Metrics;
use crate::types::{SessionId, Zxid};

/// A server under some load, with our own version.
fn view() -> View {
    let session = ConnectionSession {
        id: SessionId(0x0100_0021_f455_0001),
        established_wall_ms: 1_795_255_143_304,
        timeout_ms: 30_000,
        last_op: None,
        last_cxid: 7,
        last_zxid: Zxid(0x147),
        last_response_ms: 2_260_180,
        last_latency_ms: 1,
        min_latency_ms: 0,
        avg_latency_ms: 0,
        max_latency_ms: 38,
    };
    let connection = |remote: &str, session| Connection {
        remote: remote.parse().expect("an address"),
        interest: 1,
        outstanding: 0,
        received: 307,
        sent: 308,
        session,
    };
    View {
        role: Some(Role::Standalone),
        version: version(),
        last_zxid: Zxid(0x147),
        node_count: 29,
        stats: Traffic { latency_avg_ms: 0.0004, received: 5, sent: 5, ..Traffic::default() },
        connections: vec![
            connection("127.0.0.1:57122", Some(session)),
            connection("[::1]:57123", None),
        ],
        environment: environment(&Host::default()),
        ..View::default()
    }
}

fn text(word: Word) -> String {
    let metrics = Metrics::default();
    for namespace in ["app", "-odd", "ein wort", "日本"] {
        metrics.write_per_namespace.get(namespace).expect("there is room").add(5);
        metrics.quota_exceeded_error_per_namespace.get(namespace).expect("room").add(1);
    }
    metrics.readlatency.add(3);
    String::from_utf8(answer(word, &view(), &metrics)).expect("text")
}

/// Reads a line from left to right, as the pattern of a regular expression would.
#[derive(Debug, Clone, Copy)]
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    /// Goes on behind `literal`.
    fn after(self, literal: &str) -> Scan<'a> {
        let rest = self.0.strip_prefix(literal);
        Scan(rest.unwrap_or_else(|| panic!("{literal:?} expected at {:?}", self.0)))
    }

    /// Takes one or more characters that `fit`.
    fn take(self, fit: impl Fn(char) -> bool) -> (&'a str, Scan<'a>) {
        let end = self.0.find(|c| !fit(c)).unwrap_or(self.0.len());
        assert!(end > 0, "nothing that fits at {:?}", self.0);
        (&self.0[..end], Scan(&self.0[end..]))
    }

    fn number(self) -> (f64, Scan<'a>) {
        let (digits, rest) = self.take(|c| c.is_ascii_digit() || c == '.');
        (digits.parse().expect("a number"), rest)
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[test]
fn telegraf_matches_every_line_of_mntr() {
    // ^zk_(\w[\w\.\-]*)\s+([\w\.\-]+) or the whole gathering fails.
    let fits = |c: char| is_word(c) || c == '.' || c == '-';
    for line in text(Word::Mntr).lines() {
        let (key, rest) = Scan(line).after("zk_").take(fits);
        assert!(key.starts_with(is_word), "{line}");
        let (_, rest) = rest.take(|c| c == '\t' || c == ' ');
        rest.take(fits);
    }
}

#[test]
fn exporters_split_every_line_in_two_and_read_the_second_as_a_number() {
    let mntr = text(Word::Mntr);
    let lines: Vec<&str> = mntr.lines().collect();
    assert!(lines.len() > 2, "Netdata wants two lines at least");
    for line in &lines {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields.len(), 2, "{line}");
        assert!(!fields[1].is_empty() && fields[1].trim() == fields[1], "{line}");
        if !matches!(fields[0], "zk_version" | "zk_server_state") {
            fields[1].parse::<f64>().unwrap_or_else(|_| panic!("a number in {line}"));
        }
    }
}

#[test]
fn the_thirteen_keys_that_everybody_reads_are_there() {
    let mntr = text(Word::Mntr);
    for key in [
        "zk_version",
        "zk_server_state",
        "zk_avg_latency",
        "zk_max_latency",
        "zk_min_latency",
        "zk_packets_received",
        "zk_packets_sent",
        "zk_num_alive_connections",
        "zk_outstanding_requests",
        "zk_znode_count",
        "zk_watch_count",
        "zk_ephemerals_count",
        "zk_approximate_data_size",
        "zk_open_file_descriptor_count",
        "zk_max_file_descriptor_count",
    ] {
        assert!(mntr.lines().any(|line| line.split('\t').next() == Some(key)), "{key}");
    }
}

#[test]
fn opentelemetry_reads_whole_numbers_where_it_wants_them() {
    let mntr = text(Word::Mntr);
    for key in ["zk_znode_count", "zk_watch_count", "zk_num_alive_connections", "zk_uptime"] {
        let line = mntr.lines().find(|line| line.split('\t').next() == Some(key));
        let (_, value) = line.expect("the key is there").split_once('\t').expect("a tab");
        value.parse::<i64>().expect("a whole number");
    }
}

#[test]
fn datadog_reads_stat_line_by_line() {
    let stat = text(Word::Stat);
    let mut lines = stat.lines();
    let mut next = || lines.next().expect("another line");

    // \w+ version: v?([^,]+), and what stands before '-' is a dotted number.
    let (_, rest) = Scan(next()).take(is_word);
    let (version, _) = rest.after(" version: ").take(|c| c != ',');
    let number = version.split('-').next().expect("a first part");
    assert_eq!(number.split('.').map(|part| part.parse::<u32>()).filter(Result::is_ok).count(), 3);

    assert_eq!(next(), "Clients:");
    let mut clients = 0;
    loop {
        let line = next();
        if line.trim().is_empty() {
            break;
        }
        assert!(line.starts_with(' '), "{line}");
        clients += 1;
    }
    assert_eq!(clients, 2);

    // (-?[\d.]+)/(-?[\d.]+)/(-?[\d.]+): an exponent would not match.
    let (_, rest) = Scan(next()).after("Latency min/avg/max: ").number();
    let (avg, rest) = rest.after("/").number();
    let (_, rest) = rest.after("/").number();
    assert_eq!((avg, rest.0), (0.0004, ""));
    for key in ["Received: ", "Sent: ", "Connections: ", "Outstanding: "] {
        assert_eq!(Scan(next()).after(key).number().1 .0, "");
    }
    let (zxid, rest) = Scan(next()).after("Zxid: 0x").take(|c| c.is_ascii_hexdigit());
    assert_eq!((zxid, rest.0), ("147", ""));
    assert_eq!(next(), "Mode: standalone");
    assert_eq!(next(), "Node count: 29");
}

#[test]
fn metricbeat_reads_the_version_the_date_and_every_connection() {
    // `:\s(.*),` and `built on (.*)` on the first line of srvr.
    let srvr = text(Word::Srvr);
    let first = srvr.lines().next().expect("a line");
    let (_, version) = first.split_once(": ").expect("a colon and a blank");
    let (version, rest) = version.rsplit_once(',').expect("a comma");
    assert_eq!(version, format!("3.9.5-oxkeeper-{}", env!("CARGO_PKG_VERSION")));
    let date = rest.strip_prefix(" built on ").expect("the words before the date");
    assert_eq!(date.split(['-', ' ', ':']).filter(|part| part.parse::<u32>().is_ok()).count(), 5);
    assert!(date.ends_with(" UTC"));

    // /ip:port[interest](queued=,recved=,sent=
    let cons = text(Word::Cons);
    for line in cons.lines().filter(|line| !line.is_empty()) {
        let rest = Scan(line).after(" /");
        let (address, _) = rest.take(|c| c != '(');
        let (address, interest) = address.split_once("[1]").expect("what it waits for");
        assert_eq!(interest, "");
        let (_, port) = address.rsplit_once(':').expect("a port");
        port.parse::<u16>().expect("a port");
        let rest = Scan(rest.0.split_once('(').expect("a bracket").1);
        let (_, rest) = rest.after("queued=").number();
        let (_, rest) = rest.after(",recved=").number();
        rest.after(",sent=").number();
    }
}

#[test]
fn solr_and_kazoo_read_keys_and_values() {
    assert_eq!(text(Word::Ruok), "imok");
    assert!(text(Word::Conf).lines().all(|line| line.contains('=')));
    // Kazoo: the digits and points that zookeeper.version starts with, as numbers.
    let envi = text(Word::Envi);
    let mut entries = envi.lines().filter_map(|line| line.split_once('='));
    let version = entries.find(|(key, _)| *key == "zookeeper.version");
    let (_, version) = version.expect("the version");
    let (digits, _) = Scan(version).take(|c| c.is_ascii_digit() || c == '.');
    let parts: Vec<u32> = digits.split('.').map(|part| part.parse().expect("a number")).collect();
    assert_eq!(parts, [3, 9, 5]);
}
