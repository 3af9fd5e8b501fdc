//! temp
use crate::net::{Question, Shared, Words};
use std::sync::atomic::Ordering::Relaxed;
pub struct Plain;
impl Words for Plain {
    fn is_word(&self, first: [u8; 4]) -> bool {
        matches!(&first, b"ruok" | b"srvr" | b"isro" | b"stat" | b"mntr" | b"envi")
    }
    fn wants_watches(&self, _: [u8; 4]) -> bool {
        false
    }
    fn answer(&self, shared: &Shared, q: &Question<'_>) -> Vec<u8> {
        match &q.word {
            b"ruok" => b"imok".to_vec(),
            b"isro" => b"rw".to_vec(),
            _ => format!("Zookeeper version: 3.9.5-oxkeeper, built on 2026-11-21 00:00 UTC\nLatency min/avg/max: 0/0.0/0\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: 0\nZxid: {}\nMode: standalone\nNode count: {}\n", shared.totals.received.load(Relaxed), shared.totals.sent.load(Relaxed), shared.registry.len(), shared.last_applied(), shared.replica.read().unwrap().node_count()).into_bytes(),
        }
    }
}
