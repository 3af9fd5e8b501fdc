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

#[cfg(test)]
mod tests {
    use super::super::stage::{leading, Stage};
    use super::*;
    use crate::types::Zxid;

    #[test]
    fn an_epoch_is_led_once() {
        let (mut stage, mut check) = (Stage::new(), Leadership::default());
        let leads = |epoch| Act::Role { role: leading(epoch), applied: Zxid::ZERO };
        stage.act(&mut check, 0, leads(1)).expect("the first");
        stage.act(&mut check, 1, leads(2)).expect("another epoch");
        stage.act(&mut check, 2, leads(1)).expect_err("led by another server");
        stage.act(&mut check, 1, leads(2)).expect_err("led before, by itself");
    }
}
