//! What a million znodes cost: `cargo run --release --example tree_memory [nodes] [data bytes]`.
//!
//! Prints resident memory per node beyond name and data, and how fast one thread creates, reads,
//! changes, pictures and deletes them. The numbers go into docs; nothing here is a test.

use std::hint::black_box;
use std::time::Instant;

use jute::txn::{CreateTxn, DeleteTxn, SetDataTxn, Txn, TxnHeader};
use oxkeeper::tree::{Replica, TreeOptions};

/// Nodes below one parent.
const FAMILY: usize = 1000;

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>().expect("a number"));
    let nodes = args.next().unwrap_or(1_000_000);
    let data = vec![b'x'; args.next().unwrap_or(100)];
    let names: Vec<String> =
        (0..nodes).map(|n| format!("/parent{:04}/node{:010}", n / FAMILY, n % FAMILY)).collect();
    let name_bytes: usize =
        names.iter().map(|name| name.rsplit('/').next().map_or(0, str::len)).sum();
    let mut fired = Vec::new();
    let mut zxid = 0;
    let mut replica = Replica::new(TreeOptions { hash_seed: 7, ..TreeOptions::default() });
    let mut apply = |replica: &mut Replica, txn: Txn<'_>| {
        zxid += 1;
        let header = TxnHeader { client_id: 1, cxid: 1, zxid, time_ms: zxid, kind: txn.kind() };
        let applied = replica.apply(&header, &txn, &mut fired);
        assert_eq!(applied.err, 0);
        fired.clear();
    };
    let create = |path, data| {
        let (acl, parent_cversion) = (Some(vec![jute::Acl::open_unsafe()]), -1);
        Txn::Create(CreateTxn { path, data, acl, ephemeral: false, parent_cversion })
    };
    for parent in 0..nodes.div_ceil(FAMILY) {
        apply(&mut replica, create(format!("/parent{parent:04}").into(), None));
    }

    let before = resident_bytes();
    timed("create", nodes, || {
        for name in &names {
            apply(&mut replica, create(name.as_str().into(), Some(&data)));
        }
    });
    let used = resident_bytes() - before;
    let content = name_bytes + nodes * data.len();
    println!(
        "{nodes} nodes with {} bytes: {} bytes each, {} beyond name and data",
        data.len(),
        used / nodes,
        used.saturating_sub(content) / nodes,
    );

    timed("find and stat", nodes, || {
        for name in &names {
            black_box(replica.get(name).expect("created").stat());
        }
    });
    timed("setData", nodes, || {
        for name in &names {
            let (path, data) = (name.as_str().into(), Some(&data[..]));
            apply(&mut replica, Txn::SetData(SetDataTxn { path, data, version: 1 }));
        }
    });
    let begun = Instant::now();
    let head = replica.begin_image();
    println!("begin_image: {:?}", begun.elapsed());
    let mut cursor = head.cursor();
    timed("image", nodes, || {
        while replica.image_slice(&mut cursor, 1 << 20, &mut |node| {
            black_box(node);
        }) {}
    });
    drop(replica.end_image());
    timed("delete", nodes, || {
        for name in &names {
            apply(&mut replica, Txn::Delete(DeleteTxn { path: name.as_str().into() }));
        }
    });
}

fn timed(what: &str, times: usize, run: impl FnOnce()) {
    let begun = Instant::now();
    run();
    println!("{what}: {:.0} ns each", begun.elapsed().as_nanos() as f64 / times as f64);
}

/// The process's resident memory; needs Linux.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split_whitespace().nth(1).expect("the second field is the resident set");
    pages.parse::<usize>().expect("a number") * 4096
}
