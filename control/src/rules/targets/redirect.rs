//! `-j TPROXY`: that of table tproxy, and the kernel's own of table mangle, which wants a protocol and has a mark.

use std::net::IpAddr;

use super::super::TableKind;
use super::super::matches::masked;
use super::super::modules::{Draft, Facts, Given, Made, Module};
use super::super::options::Spec;
use super::super::ports;
use super::super::target::{Masked, Target};
use crate::policy::{TCP, UDP};

pub(super) static TPROXY: Module = Module {
    name: "TPROXY",
    spelled: "-j TPROXY",
    options: &[Spec::value("on-port"), Spec::value("on-ip"), Spec::value("tproxy-mark")],
    new: || Box::new(TproxyDraft { port: None, address: None, mark: None }),
};

/// Changes nothing.
const NO_MARK: Masked = Masked { value: 0, mask: 0 };

struct TproxyDraft {
    port: Option<u16>,
    address: Option<IpAddr>,
    mark: Option<Masked>,
}

impl Draft for TproxyDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let word = given.value;
        match given.option {
            "on-port" => self.port = Some(ports::port(word)?),
            "on-ip" => self.address = Some(word.parse().map_err(|_| format!("`{word}` is no address"))?),
            _ => self.mark = Some(masked(word)?),
        }
        Ok(())
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        let has_protocol = facts.is_protocol(&[TCP]) || facts.is_protocol(&[UDP]);
        match facts.table {
            TableKind::Mangle if !has_protocol => {
                return Err("TPROXY in table mangle needs `-p tcp` or `-p udp`".to_owned());
            }
            TableKind::Tproxy if self.mark.is_some() => {
                return Err("`--tproxy-mark` belongs to the TPROXY of table mangle".to_owned());
            }
            TableKind::Tproxy if !has_protocol => {
                let message = "TPROXY without `-p tcp` or `-p udp`: flows of other protocols pass untouched";
                facts.warn(message, "add `-p tcp` if that is what is meant");
            }
            TableKind::Mangle | TableKind::Tproxy => {}
            other => {
                return Err(format!("TPROXY cannot stand in table {}, only in tables tproxy and mangle", other.name()));
            }
        }
        let port = self.port.ok_or("TPROXY needs `--on-port`: the port of a listener, 0 for the flow's own")?;
        let address = self.address.filter(|address| !address.is_unspecified());
        Ok(Made::Target(Target::Tproxy { port, address, mark: self.mark.unwrap_or(NO_MARK) }))
    }
}
