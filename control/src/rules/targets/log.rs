//! `-j LOG`.
//! What becomes of a flow is the policy's and the data plane's matter; here is how a target is written, checked and printed.

use super::super::modules::{Draft, Facts, Given, Made, Module, number};
use super::super::options::Spec;
use super::super::target::{Log, Target};

pub(super) static LOG: Module = Module {
    name: "LOG",
    spelled: "-j LOG",
    options: &[
        Spec::value("log-level"),
        Spec::value("log-prefix").text(),
        Spec::flag("log-tcp-sequence"),
        Spec::flag("log-tcp-options"),
        Spec::flag("log-ip-options"),
        Spec::flag("log-uid"),
        Spec::flag("log-macdecode"),
    ],
    new: || {
        Box::new(Log {
            level: LEVEL,
            prefix: String::new(),
            tcp_sequence: false,
            tcp_options: false,
            ip_options: false,
            uid: false,
            mac: false,
        })
    },
};

/// Level where a rule says none: warning.
pub(super) const LEVEL: u8 = 4;
/// Characters of a prefix in iptables, which cuts off the rest.
const PREFIX_MAX: usize = 29;

/// syslog's levels with their old names.
const LEVELS: [(&str, u8); 10] = [
    ("emerg", 0),
    ("panic", 0),
    ("alert", 1),
    ("crit", 2),
    ("err", 3),
    ("error", 3),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("debug", 7),
];

impl Draft for Log {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        match given.option {
            "log-level" => {
                let named = LEVELS.iter().find(|(name, _)| *name == given.value).map(|(_, level)| *level);
                let level = named.or_else(|| number(given.value, 7).map(|level| level as u8));
                self.level = level.ok_or_else(|| {
                    format!(
                        "`{}` is no level: 0 to 7, or emerg, alert, crit, error, warning, notice, info, debug",
                        given.value
                    )
                })?;
            }
            "log-prefix" => {
                if given.value.is_empty() || given.value.len() > PREFIX_MAX {
                    return Err(format!("a prefix has 1 to {PREFIX_MAX} characters"));
                }
                if given.value.chars().any(char::is_control) {
                    return Err("a prefix has no control characters: it would break the log's lines".to_owned());
                }
                self.prefix = given.value.to_owned();
            }
            "log-tcp-sequence" => self.tcp_sequence = true,
            "log-tcp-options" => self.tcp_options = true,
            "log-ip-options" => self.ip_options = true,
            "log-uid" => self.uid = true,
            _ => self.mac = true,
        }
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        Ok(Made::Target(Target::Log(self.clone())))
    }
}
