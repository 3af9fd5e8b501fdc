//! Quotas as gauges, by top-level path (Apache's `QuotaMetricsUtils`).

use std::collections::BTreeMap;

use crate::metrics::{top_namespace, QuotaGauges};
use crate::tree::Replica;

const QUOTA_PATH: &str = "/zookeeper/quota";
const LIMITS: &str = "/zookeeper_limits";
const STATS: &str = "/zookeeper_stats";

/// Limits and figures of all quotas; those under one top-level path add up.
pub(super) fn gauges(replica: &Replica) -> QuotaGauges {
    let [mut bytes_limit, mut bytes_usage] = [BTreeMap::new(), BTreeMap::new()];
    let [mut count_limit, mut count_usage] = [BTreeMap::new(), BTreeMap::new()];
    let mut waiting = vec![QUOTA_PATH.to_owned()];
    while let Some(path) = waiting.pop() {
        let Some(node) = replica.get(&path) else { continue };
        waiting.extend(node.children().map(|name| format!("{path}/{name}")));
        let below = &path[QUOTA_PATH.len()..];
        if let Some(root) = below.strip_suffix(LIMITS) {
            let limits = replica.quota_limits(root);
            add(&mut count_limit, root, stricter(limits.count_hard_limit(), limits.count()));
            add(&mut bytes_limit, root, stricter(limits.byte_hard_limit(), limits.bytes()));
        } else if let Some(root) = below.strip_suffix(STATS) {
            let figures = replica.quota_figures(root);
            add(&mut count_usage, root, figures.count());
            add(&mut bytes_usage, root, figures.bytes());
        }
    }
    QuotaGauges {
        quota_bytes_limit_per_namespace: bytes_limit.into_iter().collect(),
        quota_bytes_usage_per_namespace: bytes_usage.into_iter().collect(),
        quota_count_limit_per_namespace: count_limit.into_iter().collect(),
        quota_count_usage_per_namespace: count_usage.into_iter().collect(),
    }
}

/// A hard limit goes before a soft one.
fn stricter(hard: i64, soft: i64) -> i64 {
    if hard > -1 {
        hard
    } else {
        soft
    }
}

/// "No limit" is -1 and adds up like a number, as in Apache.
fn add(sums: &mut BTreeMap<String, i64>, root: &str, value: i64) {
    let Some(namespace) = top_namespace(root) else { return };
    *sums.entry(namespace.to_owned()).or_default() += value;
}
