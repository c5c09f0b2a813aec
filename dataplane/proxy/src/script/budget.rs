//! What one call of a script may still use: instructions, and bytes gone through, which cost as instructions do.
//!
//! What must hold: a budget that was used up stays so until the next call begins, whatever the script does with the
//! error; `pcall` passes that error on, so that no script outlives its budget.

use std::cell::Cell;

use mlua::Error;

use super::limits::{BYTES_PER_INSTRUCTION, INSTRUCTIONS_PER_LOOK};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Budget {
    left: Cell<u64>,
    spent: Cell<bool>,
    /// Memory in use when the call began.
    memory: Cell<usize>,
}

impl Budget {
    /// A call begins.
    pub(super) fn renew(&self, instructions: u64, memory: usize) {
        self.left.set(instructions);
        self.spent.set(false);
        self.memory.set(memory);
    }

    /// Is it used up?
    pub(super) fn is_spent(&self) -> bool {
        self.spent.get()
    }

    /// What is left, in instructions.
    pub(super) fn left(&self) -> u64 {
        self.left.get()
    }

    /// Uses so many instructions.
    pub(super) fn charge(&self, instructions: u64) -> Result<(), Error> {
        match self.left.get().checked_sub(instructions) {
            Some(left) if !self.spent.get() => {
                self.left.set(left);
                Ok(())
            }
            _ => {
                self.spent.set(true);
                self.left.set(0);
                Err(Error::runtime("the script used up its instructions"))
            }
        }
    }

    /// Uses what going through so many bytes costs.
    pub(super) fn charge_bytes(&self, bytes: usize) -> Result<(), Error> {
        self.charge(1 + bytes as u64 / BYTES_PER_INSTRUCTION)
    }

    /// The look at every so many instructions. Memory taken since the call began costs too, at every look: an
    /// instruction that joins two long strings is a long one.
    pub(super) fn look(&self, memory: usize) -> Result<(), Error> {
        let grown = memory.saturating_sub(self.memory.get()) as u64;
        self.charge(u64::from(INSTRUCTIONS_PER_LOOK) + grown / BYTES_PER_INSTRUCTION)
    }
}
