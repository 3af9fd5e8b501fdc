//! Leadership1 and Leadership2 of the TLA+ specification: at most one established leader for each
//! epoch, ever.

use std::collections::BTreeMap;

use super::{Act, Check, Note, WorldView};
use crate::types::{Epoch, Sid};
use crate::zab::Role;

/// Who has led which epoch.
#[derive(Debug, Default)]
pub struct Leadership {
    led: BTreeMap<Epoch, Sid>,
}

impl Check for Leadership {
    fn name(&self) -> &'static str {
        "leadership"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let Act::Role { role: Role::Leading { epoch }, .. } = note.act else { return Ok(()) };
        let sid = view.nodes[node].sid;
        match self.led.insert(epoch, sid) {
            None => Ok(()),
            Some(before) => Err(format!(
                "{} leads epoch {:#x}, which {} has led before",
                sid.0, epoch.0, before.0
            )),
        }
    }
}
