//! What surrounds the code of a server while the simulator lets it run: its clocks, its disk, and
//! an ear for what it does. One thread, one server at a time.

use std::cell::RefCell;

use bytes::Bytes;

use super::chances::Chances;
use super::check::{Act, Note};
use super::durable::DurableState;
use super::SimDisk;
use crate::types::{Chance, LoggedTxn, Now, Zxid};
use crate::zab::{LinkId, Role};

const NS_PER_MS: u64 = 1_000_000;

/// A server's surroundings.
#[derive(Debug)]
pub struct Scene {
    /// The server's monotonic clock when the step began, ns.
    pub mono_ns: u64,
    /// By how much its wall clock is ahead of that, ms.
    pub wall_offset_ms: i64,
    /// How long the disk has kept the step waiting, ns.
    pub spent_ns: u64,
    pub disk: SimDisk,
    pub durable: DurableState,
    pub notes: Vec<Note>,
    pub chances: Chances,
}

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

/// Puts a server on the stage.
pub fn enter(scene: Scene) {
    SCENE.with_borrow_mut(|now| {
        assert!(now.is_none(), "one server at a time");
        *now = Some(scene);
    });
}

/// Takes it off again.
pub fn leave() -> Scene {
    SCENE.with_borrow_mut(|scene| scene.take().expect("it was entered"))
}

/// Takes whoever is on the stage off it: somebody panicked.
pub fn clear() {
    SCENE.with_borrow_mut(|scene| *scene = None);
}

/// The clocks of the server on the stage.
pub fn now() -> Now {
    SCENE.with_borrow(|scene| {
        // Before its first step a server has no time.
        let Some(scene) = scene else { return Now { mono_ms: 0, wall_ms: 0 } };
        let mono_ms = ((scene.mono_ns + scene.spent_ns) / NS_PER_MS) as i64;
        Now { mono_ms, wall_ms: mono_ms + scene.wall_offset_ms }
    })
}

/// Whether a seldom way is gone this time. Without a server on the stage it is not.
pub fn chance(way: Chance) -> bool {
    SCENE.with_borrow_mut(|scene| scene.as_mut().is_some_and(|scene| scene.chances.comes(way)))
}

/// A number below `n`, which is not 0, for a way that is gone.
pub fn chance_below(n: usize) -> usize {
    SCENE.with_borrow_mut(|scene| scene.as_mut().map_or(0, |scene| scene.chances.below(n)))
}

/// The disk takes its time.
pub fn spend(ns: u64) {
    SCENE.with_borrow_mut(|scene| {
        if let Some(scene) = scene {
            scene.spent_ns += ns;
        }
    });
}

/// How long the disk has kept the step waiting so far, ns.
pub fn spent_ns() -> u64 {
    SCENE.with_borrow(|scene| scene.as_ref().map_or(0, |scene| scene.spent_ns))
}

/// The server does something that a check may want to hear of: what its disk holds for certain at
/// this instant is noted with it.
pub fn note(act: Act) {
    SCENE.with_borrow_mut(|scene| {
        let Some(scene) = scene else { return };
        scene.durable.refresh(&scene.disk);
        let durable = scene.durable.summary();
        scene.notes.push(Note { act, durable });
    });
}

/// A batch is about to be applied.
pub fn applies(txns: impl Iterator<Item = LoggedTxn>) {
    let txns: Vec<_> = txns.collect();
    if !txns.is_empty() {
        note(Act::Applies(txns));
    }
}

/// Packets are handed to a link.
pub fn sends(link: LinkId, packets: &Bytes) {
    note(Act::Sends { link, packets: packets.clone() });
}

/// The server's role is another one now.
pub fn takes_role(role: Role, applied: Zxid) {
    note(Act::Role { role, applied });
}
