//! The text form of a history: one record a line, words apart by one space.
//!
//! ```text
//! connected CONN CLIENT SESSION AT TIMEOUT SEEN
//! op CONN CXID INVOKED REQUEST = RETURNED ZXID ERROR REPLY
//! op CONN CXID INVOKED REQUEST = unknown
//! event CONN AT ZXID KIND PATH
//! closed CONN AT
//! ```
//!
//! Empty lines and such that begin with `#` are skipped. Numbers are decimal, times are ns.
//! SESSION, ZXID, SEEN and RELATIVE are hexadecimal with `0x` (two's complement) or decimal.
//! PATH and NAME are UTF-8 with each byte outside `!` to `~`, and each `%`, as `%XX`; no bytes at
//! all are `%`. DATA is `x` and hexadecimal digits, or `null`. BOOL is 0 or 1. STAT is the eleven
//! numbers of the wire in their order, decimal, apart by commas.
//!
//! ```text
//! REQUEST: create|create2 PATH DATA FLAGS [TTL]     TTL with flags 5 and 6
//!          delete|setacl|check PATH VERSION
//!          set PATH DATA VERSION
//!          multi { REQUEST ; REQUEST }
//!          get|exists|children|children2 PATH BOOL    BOOL: watch
//!          sync PATH
//!          ping | close
//!          setwatches RELATIVE { data PATH exist PATH child PATH persistent PATH recursive PATH }
//!          addwatch PATH BOOL                         BOOL: recursive
//!          removewatches PATH KIND
//!          other OPCODE
//! REPLY:   - | path PATH | created PATH STAT | stat STAT | data DATA STAT
//!          children { NAME NAME } [STAT]
//!          multi { ERROR REPLY ; ERROR REPLY }
//! ```
//!
//! For instance:
//!
//! ```text
//! connected 1 1 0x100000a2b3c0000 81000 10000 0x0
//! op 1 1 82000 create /lock/n- x 3 = 95500 0x100000007 0 path /lock/n-0000000000
//! op 1 2 96000 multi { check /a 3 ; set /b x -1 } = 99000 0x100000009 0 multi { -103 - ; -2 - }
//! op 1 3 99500 get /a 1 = unknown
//! closed 1 120000
//! ```

use std::fmt::{self, Write as _};

use jute::Stat;

use super::record::{
    Answer, Connected, Created, Event, History, Op, Outcome, Part, Record, Reply, Request, Watches,
};

/// A line that is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TextError {
    /// Counted from 1.
    pub line: usize,
    pub what: String,
}

impl History {
    /// Reads a history's text.
    pub fn parse(text: &str) -> Result<History, TextError> {
        let mut records = Vec::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let at_line = |what| TextError { line: at + 1, what };
            records.push(Record::parse(line).map_err(at_line)?);
        }
        Ok(History { records })
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.records.iter().try_for_each(|record| writeln!(f, "{record}"))
    }
}

impl Record {
    /// Reads one line.
    pub fn parse(line: &str) -> Result<Record, String> {
        let mut words = Words { rest: line.split_whitespace().peekable() };
        let record = match words.next()? {
            "connected" => Record::Connected(Connected {
                conn: words.number()?,
                client: words.number()?,
                session: words.long()?,
                at_ns: words.number()?,
                timeout_ms: words.number()?,
                seen_zxid: words.long()?,
            }),
            "op" => Record::Op(words.op()?),
            "event" => Record::Event(Event {
                conn: words.number()?,
                at_ns: words.number()?,
                zxid: words.long()?,
                kind: words.number()?,
                path: words.text()?,
            }),
            "closed" => Record::Closed { conn: words.number()?, at_ns: words.number()? },
            other => return Err(format!("{other:?} begins no record")),
        };
        match words.rest.next() {
            None => Ok(record),
            Some(word) => Err(format!("{word:?} is behind the record's end")),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Connected(c) => write!(
                f,
                "connected {} {} {:#x} {} {} {:#x}",
                c.conn, c.client, c.session, c.at_ns, c.timeout_ms, c.seen_zxid
            ),
            Record::Op(op) => write!(f, "{op}"),
            Record::Event(e) => write!(
                f,
                "event {} {} {:#x} {} {}",
                e.conn,
                e.at_ns,
                e.zxid,
                e.kind,
                quoted(&e.path)
            ),
            Record::Closed { conn, at_ns } => write!(f, "closed {conn} {at_ns}"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {} {} {} {} = ", self.conn, self.cxid, self.invoked_ns, self.request)?;
        match &self.outcome {
            Outcome::Unknown => f.write_str("unknown"),
            Outcome::Answered(a) => {
                write!(f, "{} {:#x} {} {}", a.returned_ns, a.zxid, a.error, a.reply)
            }
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Create { path, data, flags, ttl_ms, with_stat } => {
                let name = if *with_stat { "create2" } else { "create" };
                write!(f, "{name} {} {} {flags}", quoted(path), hex(data))?;
                if matches!(flags, 5 | 6) {
                    write!(f, " {ttl_ms}")?;
                }
                Ok(())
            }
            Request::Delete { path, version } => write!(f, "delete {} {version}", quoted(path)),
            Request::SetAcl { path, version } => write!(f, "setacl {} {version}", quoted(path)),
            Request::Check { path, version } => write!(f, "check {} {version}", quoted(path)),
            Request::SetData { path, data, version } => {
                write!(f, "set {} {} {version}", quoted(path), hex(data))
            }
            Request::Multi(parts) => {
                f.write_str("multi {")?;
                write_apart(f, parts)?;
                f.write_str(" }")
            }
            Request::GetData { path, watch } => watched(f, "get", path, *watch),
            Request::Exists { path, watch } => watched(f, "exists", path, *watch),
            Request::Children { path, watch, with_stat } => {
                watched(f, if *with_stat { "children2" } else { "children" }, path, *watch)
            }
            Request::Sync { path } => write!(f, "sync {}", quoted(path)),
            Request::Ping => f.write_str("ping"),
            Request::CloseSession => f.write_str("close"),
            Request::SetWatches(watches) => write!(f, "{watches}"),
            Request::AddWatch { path, recursive } => watched(f, "addwatch", path, *recursive),
            Request::RemoveWatches { path, kind } => {
                write!(f, "removewatches {} {kind}", quoted(path))
            }
            Request::Other(op) => write!(f, "other {op}"),
        }
    }
}

fn watched(f: &mut fmt::Formatter<'_>, name: &str, path: &str, flag: bool) -> fmt::Result {
    write!(f, "{name} {} {}", quoted(path), u8::from(flag))
}

fn write_apart(f: &mut fmt::Formatter<'_>, parts: &[impl fmt::Display]) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        write!(f, "{}{part}", if at == 0 { " " } else { " ; " })?;
    }
    Ok(())
}

impl fmt::Display for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setwatches {:#x} {{", self.relative_zxid)?;
        let lists = [
            ("data", &self.data),
            ("exist", &self.exist),
            ("child", &self.child),
            ("persistent", &self.persistent),
            ("recursive", &self.recursive),
        ];
        for (name, paths) in lists {
            for path in paths {
                write!(f, " {name} {}", quoted(path))?;
            }
        }
        f.write_str(" }")
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::None => f.write_str("-"),
            Reply::Path(path) => write!(f, "path {}", quoted(path)),
            Reply::Created(created) => {
                write!(f, "created {} {}", quoted(&created.path), stat_text(&created.stat))
            }
            Reply::Stat(stat) => write!(f, "stat {}", stat_text(stat)),
            Reply::Data(data, stat) => write!(f, "data {} {}", hex(data), stat_text(stat)),
            Reply::Children(names, stat) => {
                f.write_str("children {")?;
                names.iter().try_for_each(|name| write!(f, " {}", quoted(name)))?;
                f.write_str(" }")?;
                stat.iter().try_for_each(|stat| write!(f, " {}", stat_text(stat)))
            }
            Reply::Multi(parts) => {
                f.write_str("multi {")?;
                write_apart(f, parts)?;
                f.write_str(" }")
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.error, self.reply)
    }
}

/// Text without spaces. See the module.
fn quoted(text: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'%' => out.push(byte as char),
            _ => write!(out, "%{byte:02X}").expect("a string takes what is written"),
        }
    }
    out
}

fn hex(data: &Option<Vec<u8>>) -> String {
    let Some(data) = data else { return "null".to_owned() };
    let mut out = String::from("x");
    for byte in data {
        write!(out, "{byte:02x}").expect("a string takes what is written");
    }
    out
}

fn stat_text(s: &Stat) -> String {
    format!(
        "{},{},{},{},{},{},{},{},{},{},{}",
        s.czxid,
        s.mzxid,
        s.ctime,
        s.mtime,
        s.version,
        s.cversion,
        s.aversion,
        s.ephemeral_owner,
        s.data_length,
        s.num_children,
        s.pzxid
    )
}

/// The words of a line that are not read yet.
struct Words<'a> {
    rest: std::iter::Peekable<std::str::SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a str, String> {
        self.rest.next().ok_or_else(|| "the record is cut short".to_owned())
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        match self.next()? {
            found if found == word => Ok(()),
            found => Err(format!("{found:?} stands where {word:?} is due")),
        }
    }

    fn number<N: std::str::FromStr>(&mut self) -> Result<N, String> {
        let word = self.next()?;
        word.parse().map_err(|_| format!("{word:?} is no number of its range"))
    }

    /// Decimal, or hexadecimal with `0x` in two's complement.
    fn long(&mut self) -> Result<i64, String> {
        let word = self.next()?;
        let number = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).map(|bits| bits as i64).ok(),
            None => word.parse().ok(),
        };
        number.ok_or_else(|| format!("{word:?} is no number of 64 bits"))
    }

    fn bool(&mut self) -> Result<bool, String> {
        match self.next()? {
            "0" => Ok(false),
            "1" => Ok(true),
            other => Err(format!("{other:?} is neither 0 nor 1")),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        let word = self.next()?;
        if word == "%" {
            return Ok(String::new());
        }
        let mut bytes = Vec::with_capacity(word.len());
        let mut rest = word.as_bytes();
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            if *byte != b'%' {
                bytes.push(*byte);
                continue;
            }
            let digits = rest.get(..2).and_then(|two| std::str::from_utf8(two).ok());
            let decoded = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
            bytes.push(decoded.ok_or_else(|| format!("% without two digits in {word:?}"))?);
            rest = &rest[2..];
        }
        String::from_utf8(bytes).map_err(|_| format!("{word:?} is no UTF-8"))
    }

    fn data(&mut self) -> Result<Option<Vec<u8>>, String> {
        let word = self.next()?;
        if word == "null" {
            return Ok(None);
        }
        let bad = || format!("{word:?} is no data");
        let digits = word.strip_prefix('x').filter(|digits| digits.len() % 2 == 0);
        let digits = digits.ok_or_else(bad)?.as_bytes();
        let byte = |two: &[u8]| {
            let two = std::str::from_utf8(two).ok()?;
            u8::from_str_radix(two, 16).ok()
        };
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
        bytes.map(Some).ok_or_else(bad)
    }

    fn stat(&mut self) -> Result<Stat, String> {
        let word = self.next()?;
        let numbers: Option<Vec<i64>> = word.split(',').map(|n| n.parse().ok()).collect();
        let numbers = numbers.filter(|numbers| numbers.len() == 11);
        let n = numbers.ok_or_else(|| format!("{word:?} is not the eleven numbers of a stat"))?;
        let int = |n: i64| i32::try_from(n).map_err(|_| format!("{n} in a stat is out of range"));
        Ok(Stat {
            czxid: n[0],
            mzxid: n[1],
            ctime: n[2],
            mtime: n[3],
            version: int(n[4])?,
            cversion: int(n[5])?,
            aversion: int(n[6])?,
            ephemeral_owner: n[7],
            data_length: int(n[8])?,
            num_children: int(n[9])?,
            pzxid: n[10],
        })
    }

    fn op(&mut self) -> Result<Op, String> {
        let (conn, cxid, invoked_ns) = (self.number()?, self.number()?, self.number()?);
        let request = self.request()?;
        self.expect("=")?;
        let outcome = if self.rest.next_if_eq(&"unknown").is_some() {
            Outcome::Unknown
        } else {
            Outcome::Answered(Answer {
                returned_ns: self.number()?,
                zxid: self.long()?,
                error: self.number()?,
                reply: self.reply()?,
            })
        };
        Ok(Op { conn, cxid, invoked_ns, request, outcome })
    }

    fn request(&mut self) -> Result<Request, String> {
        if self.rest.next_if_eq(&"multi").is_some() {
            return Ok(Request::Multi(self.apart(Words::plain_request)?));
        }
        self.plain_request()
    }

    fn plain_request(&mut self) -> Result<Request, String> {
        Ok(match self.next()? {
            name @ ("create" | "create2") => {
                let (path, data, flags) = (self.text()?, self.data()?, self.number()?);
                let ttl_ms = if matches!(flags, 5 | 6) { self.number()? } else { 0 };
                Request::Create { path, data, flags, ttl_ms, with_stat: name == "create2" }
            }
            "delete" => Request::Delete { path: self.text()?, version: self.number()? },
            "setacl" => Request::SetAcl { path: self.text()?, version: self.number()? },
            "check" => Request::Check { path: self.text()?, version: self.number()? },
            "set" => {
                Request::SetData { path: self.text()?, data: self.data()?, version: self.number()? }
            }
            "get" => Request::GetData { path: self.text()?, watch: self.bool()? },
            "exists" => Request::Exists { path: self.text()?, watch: self.bool()? },
            name @ ("children" | "children2") => Request::Children {
                path: self.text()?,
                watch: self.bool()?,
                with_stat: name == "children2",
            },
            "sync" => Request::Sync { path: self.text()? },
            "ping" => Request::Ping,
            "close" => Request::CloseSession,
            "setwatches" => Request::SetWatches(self.watches()?),
            "addwatch" => Request::AddWatch { path: self.text()?, recursive: self.bool()? },
            "removewatches" => Request::RemoveWatches { path: self.text()?, kind: self.number()? },
            "other" => Request::Other(self.number()?),
            name => return Err(format!("{name:?} is no request")),
        })
    }

    fn watches(&mut self) -> Result<Watches, String> {
        let mut watches = Watches { relative_zxid: self.long()?, ..Watches::default() };
        self.expect("{")?;
        loop {
            let list = match self.next()? {
                "data" => &mut watches.data,
                "exist" => &mut watches.exist,
                "child" => &mut watches.child,
                "persistent" => &mut watches.persistent,
                "recursive" => &mut watches.recursive,
                "}" => return Ok(watches),
                other => return Err(format!("{other:?} is no kind of watch")),
            };
            list.push(self.text()?);
        }
    }

    fn reply(&mut self) -> Result<Reply, String> {
        if self.rest.next_if_eq(&"multi").is_some() {
            return Ok(Reply::Multi(self.apart(|words| {
                Ok(Part { error: words.number()?, reply: words.plain_reply()? })
            })?));
        }
        self.plain_reply()
    }

    fn plain_reply(&mut self) -> Result<Reply, String> {
        Ok(match self.next()? {
            "-" => Reply::None,
            "path" => Reply::Path(self.text()?),
            "created" => Reply::Created(Created { path: self.text()?, stat: self.stat()? }),
            "stat" => Reply::Stat(self.stat()?),
            "data" => Reply::Data(self.data()?, self.stat()?),
            "children" => {
                self.expect("{")?;
                let mut names = Vec::new();
                while self.rest.next_if_eq(&"}").is_none() {
                    names.push(self.text()?);
                }
                let is_stat = self.rest.peek().is_some_and(|word| word.contains(','));
                let stat = if is_stat { Some(self.stat()?) } else { None };
                Reply::Children(names, stat)
            }
            name => return Err(format!("{name:?} is no reply")),
        })
    }

    /// `{ ITEM ; ITEM }`.
    fn apart<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.expect("{")?;
        let mut items = Vec::new();
        if self.rest.next_if_eq(&"}").is_some() {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            match self.next()? {
                ";" => {}
                "}" => return Ok(items),
                other => return Err(format!("{other:?} stands where ';' or '}}' is due")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of request and of reply, as recorders write them.
    const EVERYTHING: &str = "\
connected 1 1 0x100000a2b3c0000 81000 10000 0xffffffffffffffff
op 1 1 82000 create /a%20b null 0 = 95500 0x100000007 0 path /a%20b
op 1 2 82001 create2 /t x0aff 6 4000 = 2 0x3 0 created /t0 1,2,3,4,-5,-6,7,-8,9,10,11
op 1 3 1 delete / -1 = 2 0x3 -111 -
op 1 4 1 set /a x 3 = 2 0x3 0 stat 1,2,3,4,5,6,7,8,9,10,11
op 1 5 1 setacl /a 3 = unknown
op 1 6 1 multi { check /a 3 ; set /b x68 -1 } = 2 0x3 0 multi { -103 - ; -2 - }
op 1 7 1 multi { } = 2 0x3 0 multi { }
op 1 8 1 multi { create /s- x 2 ; delete /b 1 } = 2 0x3 0 multi { 0 path /s-0 ; 0 - }
op 1 9 1 get /a 1 = 2 0x3 0 data null 1,2,3,4,5,6,7,8,9,10,11
op 1 10 1 exists % 0 = 2 0x3 -101 -
op 1 11 1 children /a 1 = 2 0x3 0 children { }
op 1 12 1 children2 /a 0 = 2 0x3 0 children { x %E4%B8%AD } 1,2,3,4,5,6,7,8,9,10,11
op 1 13 1 sync /a%25 = 2 0x3 0 path /a%25
op 1 -2 1 ping = 2 0x3 0 -
op 1 14 1 setwatches 0x2 { data /a data /b child /c recursive / } = 2 0x3 0 -
op 1 15 1 addwatch /a 1 = 2 0x3 0 -
op 1 16 1 removewatches /a 3 = 2 0x3 -121 -
op 1 17 1 other 107 = 2 0x3 0 -
event 1 3 0x100000008 4 /a
op 1 18 1 close = unknown
closed 1 4
";

    #[test]
    fn the_text_comes_back() {
        let history = History::parse(EVERYTHING).expect("every line is a record");
        assert_eq!(history.records.len(), EVERYTHING.lines().count());
        assert_eq!(history.to_string(), EVERYTHING);
    }

    #[test]
    fn empty_lines_and_remarks_are_skipped() {
        let history = History::parse("# a run\n\n  \nclosed 7 5\n").expect("one record");
        assert_eq!(history.records, [Record::Closed { conn: 7, at_ns: 5 }]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let bad = [
            ("closed 1", "cut short"),
            ("closed 1 2 3", "behind the record's end"),
            ("opened 1", "begins no record"),
            ("event 1 2 0xg 1 /", "64 bits"),
            ("op 1 1 1 get /a 2 = unknown", "neither 0 nor 1"),
            ("op 1 1 1 get /%4 0 = unknown", "two digits"),
            ("op 1 1 1 get /%ff 0 = unknown", "no UTF-8"),
            ("op 1 1 1 set /a x123 0 = unknown", "no data"),
            ("op 1 1 1 multi { multi { } } = unknown", "no request"),
            ("op 1 1 1 multi { ping ping } = unknown", "is due"),
            ("op 1 1 1 get /a 0 = 2 0x3 0 stat 1,2", "eleven numbers"),
        ];
        for (line, what) in bad {
            let error = History::parse(&format!("closed 1 1\n{line}")).expect_err(line);
            assert_eq!(error.line, 2);
            assert!(error.what.contains(what), "{line}: {error}");
        }
    }
}
