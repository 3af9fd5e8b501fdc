//! A history put in order: connections by session, and each connection's records.

use std::collections::BTreeMap;

use super::record::{Connected, History, Op, Record};
use super::verdict::{Broken, Report};

/// A connection's handshake and what came over it, in order.
#[derive(Debug)]
pub struct Connection<'a> {
    pub opened: &'a Connected,
    pub records: Vec<&'a Record>,
}

impl<'a> Connection<'a> {
    /// Its requests, in the order in which they ended.
    pub fn ops(&self) -> impl Iterator<Item = &'a Op> + '_ {
        self.records.iter().filter_map(|record| match record {
            Record::Op(op) => Some(op),
            _ => None,
        })
    }
}

/// Every session's connections, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Sessions<'a> {
    pub by_id: BTreeMap<i64, Vec<Connection<'a>>>,
}

impl<'a> Sessions<'a> {
    /// Sorts the records out.
    pub fn of(history: &'a History, report: &mut Report) -> Sessions<'a> {
        let mut connections: BTreeMap<u32, Connection<'a>> = BTreeMap::new();
        for record in &history.records {
            let conn = match record {
                Record::Connected(opened) => {
                    let fresh = Connection { opened, records: Vec::new() };
                    if connections.insert(opened.conn, fresh).is_some() {
                        let what = format!("connection {} is made twice", opened.conn);
                        report.refuse(Broken::Unreadable, what);
                    }
                    continue;
                }
                Record::Op(op) => op.conn,
                Record::Event(event) => event.conn,
                Record::Closed { conn, .. } => *conn,
            };
            match connections.get_mut(&conn) {
                Some(connection) => connection.records.push(record),
                None => report.refuse(
                    Broken::Unreadable,
                    format!("a record of connection {conn}, which was not made: {record}"),
                ),
            }
        }
        let mut sessions = Sessions::default();
        for connection in connections.into_values() {
            sessions.by_id.entry(connection.opened.session).or_default().push(connection);
        }
        for connections in sessions.by_id.values_mut() {
            connections.sort_by_key(|connection| connection.opened.at_ns);
        }
        sessions
    }

    /// Every request with its session.
    pub fn ops(&self) -> impl Iterator<Item = (i64, &'a Op)> + '_ {
        self.by_id.iter().flat_map(|(session, connections)| {
            connections.iter().flat_map(|connection| connection.ops()).map(|op| (*session, op))
        })
    }

    /// Every connection.
    pub fn connections(&self) -> impl Iterator<Item = &Connection<'a>> {
        self.by_id.values().flatten()
    }
}
