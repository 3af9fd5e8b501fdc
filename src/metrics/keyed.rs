//! Metrics by name: one for each namespace, one for each learner.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Metric, Sink};

/// A family of metrics, one for each key. Members appear with their first use and stay; `srst`
/// sets them to zero.
///
/// Finding a member takes a shared lock. Whoever adds often keeps the [`Arc`].
#[derive(Debug)]
pub struct Keyed<M> {
    members: RwLock<BTreeMap<Box<str>, Arc<M>>>,
}

impl<M> Default for Keyed<M> {
    fn default() -> Keyed<M> {
        Keyed { members: RwLock::default() }
    }
}

impl<M: Metric> Keyed<M> {
    /// The member called `key`. `None` when there are `MEMBERS_MAX` others: then it isn't counted
    /// (clients choose the names of namespaces, and monitoring must not eat the memory).
    pub fn get(&self, key: &str) -> Option<Arc<M>> {
        if let Some(member) = self.find(key) {
            return Some(member);
        }
        // A panic elsewhere leaves the map whole: it only ever changes by one insertion.
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        if members.len() >= MEMBERS_MAX && !members.contains_key(key) {
            return None;
        }
        Some(Arc::clone(members.entry(key.into()).or_default()))
    }

    fn find(&self, key: &str) -> Option<Arc<M>> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.get(key).cloned()
    }

    fn all(&self) -> Vec<(Box<str>, Arc<M>)> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.iter().map(|(key, member)| (key.clone(), Arc::clone(member))).collect()
    }
}

impl<M: Metric> Metric for Keyed<M> {
    fn reset(&self) {
        self.all().iter().for_each(|(_, member)| member.reset());
    }

    fn walk_keyed(&self, _key: Option<&str>, name: &'static str, sink: &mut dyn Sink) {
        for (key, member) in self.all() {
            member.walk_keyed(Some(&key), name, sink);
        }
    }
}

/// Members of one family.
const MEMBERS_MAX: usize = 10_000;
