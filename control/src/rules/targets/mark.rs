//! Marks and tracking: MARK, CONNMARK, CT --notrack and its old name NOTRACK.
//! What becomes of a flow is the policy's and the data plane's matter; here is how a target is written, checked and printed.

use super::super::TableKind;
use super::super::matches::masked;
use super::super::modules::{Draft, Facts, Given, Made, Module, number};
use super::super::options::Spec;
use super::super::target::{Connmark, Masked, Target};

const OPERATIONS: [Spec; 5] = [
    Spec::value("set-xmark"),
    Spec::value("set-mark"),
    Spec::value("and-mark"),
    Spec::value("or-mark"),
    Spec::value("xor-mark"),
];

pub(super) static MARK: Module =
    Module { name: "MARK", spelled: "-j MARK", options: &OPERATIONS, new: || Box::new(MarkDraft(None)) };

/// The operation that an option of MARK or CONNMARK stands for.
fn operation(option: &str, word: &str) -> Result<Masked, String> {
    let bits = || number(word, u64::from(u32::MAX)).map(|bits| bits as u32);
    let bits = || bits().ok_or_else(|| format!("`{word}` is no number of 32 bits"));
    Ok(match option {
        "set-xmark" => masked(word)?,
        // Sets the bits of the value too, where `--set-xmark` turns those beyond the mask.
        "set-mark" => masked(word).map(|Masked { value, mask }| Masked { value, mask: mask | value })?,
        "and-mark" => Masked { value: 0, mask: !bits()? },
        "or-mark" => Masked { value: bits()?, mask: bits()? },
        _ => Masked { value: bits()?, mask: 0 },
    })
}

struct MarkDraft(Option<Masked>);

impl Draft for MarkDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        match self.0.replace(operation(given.option, given.value)?) {
            Some(_) => Err("MARK takes one operation".to_owned()),
            None => Ok(()),
        }
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        let mark = self.0.ok_or("MARK needs `--set-xmark`, `--set-mark`, `--and-mark`, `--or-mark` or `--xor-mark`")?;
        Ok(Made::Target(Target::Mark(mark)))
    }
}

pub(super) static CONNMARK: Module = Module {
    name: "CONNMARK",
    spelled: "-j CONNMARK",
    options: &[
        Spec::value("set-xmark"),
        Spec::value("set-mark"),
        Spec::value("and-mark"),
        Spec::value("or-mark"),
        Spec::value("xor-mark"),
        Spec::flag("save-mark"),
        Spec::flag("restore-mark"),
        Spec::value("mask"),
        Spec::value("nfmask"),
        Spec::value("ctmask"),
        Spec::value("left-shift-mark"),
        Spec::value("right-shift-mark"),
    ],
    new: || Box::new(ConnmarkDraft::default()),
};

#[derive(Default)]
struct ConnmarkDraft {
    operation: Option<(&'static str, Masked)>,
    mask: Option<u32>,
    packet_mask: Option<u32>,
    connection_mask: Option<u32>,
}

impl Draft for ConnmarkDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let bits = || {
            let bits = number(given.value, u64::from(u32::MAX)).map(|bits| Some(bits as u32));
            bits.ok_or_else(|| format!("`{}` is no mask of 32 bits", given.value))
        };
        let operation = match given.option {
            "mask" => {
                self.mask = bits()?;
                return Ok(());
            }
            "nfmask" => {
                self.packet_mask = bits()?;
                return Ok(());
            }
            "ctmask" => {
                self.connection_mask = bits()?;
                return Ok(());
            }
            "left-shift-mark" | "right-shift-mark" => return Err("marks are not shifted here".to_owned()),
            "save-mark" | "restore-mark" => Masked { value: 0, mask: 0 },
            option => operation(option, given.value)?,
        };
        match self.operation.replace((given.option, operation)) {
            Some(_) => Err("CONNMARK takes one operation".to_owned()),
            None => Ok(()),
        }
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        let needs = "CONNMARK needs `--set-xmark` and its like, `--save-mark` or `--restore-mark`";
        let (option, operation) = self.operation.ok_or(needs)?;
        let copies = matches!(option, "save-mark" | "restore-mark");
        let (each, both) = (self.packet_mask.is_some() || self.connection_mask.is_some(), self.mask.is_some());
        if each && (both || !copies) {
            return Err(
                "`--nfmask` and `--ctmask` belong to `--save-mark` and `--restore-mark`, without `--mask`".to_owned()
            );
        }
        if both && !copies && option != "set-mark" {
            return Err(format!("`--mask` does not belong to `--{option}`"));
        }
        let mask = |own: Option<u32>| own.or(self.mask).unwrap_or(u32::MAX);
        let (packet_mask, connection_mask) = (mask(self.packet_mask), mask(self.connection_mask));
        Ok(Made::Target(Target::Connmark(match option {
            "save-mark" => Connmark::Save { packet_mask, connection_mask },
            "restore-mark" => Connmark::Restore { packet_mask, connection_mask },
            _ => Connmark::Set(Masked { mask: self.mask.unwrap_or(operation.mask), ..operation }),
        })))
    }
}

pub(super) static CT: Module = Module {
    name: "CT",
    spelled: "-j CT",
    options: &[
        Spec::flag("notrack"),
        Spec::value("helper"),
        Spec::value("zone"),
        Spec::value("zone-orig"),
        Spec::value("zone-reply"),
        Spec::value("timeout"),
        Spec::value("ctevents"),
        Spec::value("expevents"),
    ],
    new: || Box::new(NotrackDraft(false)),
};

pub(super) static NOTRACK: Module =
    Module { name: "NOTRACK", spelled: "-j NOTRACK", options: &[], new: || Box::new(NotrackDraft(true)) };

struct NotrackDraft(bool);

impl Draft for NotrackDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        if given.option != "notrack" {
            return Err(format!("`--{}` is not served: CT has `--notrack` here", given.option));
        }
        self.0 = true;
        Ok(())
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        if facts.table != TableKind::Raw {
            return Err(format!("CT stands in table raw, not in {}", facts.table.name()));
        }
        if self.0 { Ok(Made::Target(Target::Notrack)) } else { Err("CT needs `--notrack`".to_owned()) }
    }
}
