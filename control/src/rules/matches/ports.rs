//! Matches by port: tcp with its flags and options, udp, the ports of sctp and dccp, multiport.

use super::super::criteria::{Match, Not, PortSet, Ports, TcpFlags};
use super::super::modules::{Draft, Facts, Given, Made, Module, number};
use super::super::options::Spec;
use super::super::ports;
use crate::policy::{TCP, UDP};

/// IP protocol numbers of the other protocols with ports where TCP and UDP have them.
pub(super) const DCCP: u8 = 33;
pub(super) const SCTP: u8 = 132;
const UDPLITE: u8 = 136;

const SPORT: Spec = Spec::value("source-port").not();
const DPORT: Spec = Spec::value("destination-port").not();
const FLAGS: Spec = Spec { takes: 2, ..Spec::value("tcp-flags").not() };
const BOTH: &[Spec] = &[SPORT, SPORT.alias("sport"), DPORT, DPORT.alias("dport")];

pub(super) static TCP_MATCH: Module = Module {
    name: "tcp",
    spelled: "-p tcp",
    options: &[
        SPORT,
        SPORT.alias("sport"),
        DPORT,
        DPORT.alias("dport"),
        Spec { takes: 0, ..FLAGS.alias("syn") },
        FLAGS,
        Spec::value("tcp-option").not(),
    ],
    new: || Box::new(PortsDraft::of("tcp", TCP)),
};
pub(super) static UDP_MATCH: Module =
    Module { name: "udp", spelled: "-p udp", options: BOTH, new: || Box::new(PortsDraft::of("udp", UDP)) };
pub(super) static SCTP_MATCH: Module = Module {
    name: "sctp",
    spelled: "-p sctp",
    options: &[
        SPORT,
        SPORT.alias("sport"),
        DPORT,
        DPORT.alias("dport"),
        Spec { takes: 2, ..Spec::value("chunk-types").not() },
    ],
    new: || Box::new(PortsDraft::of("sctp", SCTP)),
};
pub(super) static DCCP_MATCH: Module = Module {
    name: "dccp",
    spelled: "-p dccp",
    options: &[
        SPORT,
        SPORT.alias("sport"),
        DPORT,
        DPORT.alias("dport"),
        Spec::value("dccp-types").not(),
        Spec::value("dccp-option").not(),
    ],
    new: || Box::new(PortsDraft::of("dccp", DCCP)),
};

struct PortsDraft {
    name: &'static str,
    protocol: u8,
    source: Option<Not<Ports>>,
    destination: Option<Not<Ports>>,
    flags: Option<Not<TcpFlags>>,
    option: Option<Not<u8>>,
}

impl PortsDraft {
    fn of(name: &'static str, protocol: u8) -> PortsDraft {
        PortsDraft { name, protocol, source: None, destination: None, flags: None, option: None }
    }
}

impl Draft for PortsDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        match given.option {
            "source-port" => self.source = given.not(ports::range(given.value)?),
            "destination-port" => self.destination = given.not(ports::range(given.value)?),
            "tcp-flags" if given.values == 0 => self.flags = given.not(TcpFlags::SYN),
            "tcp-flags" => {
                let (mask, set) = (tcp_flags(given.value)?, tcp_flags(given.second)?);
                self.flags = given.not(TcpFlags { mask, set });
            }
            "chunk-types" | "dccp-types" | "dccp-option" => {
                return Err(format!("`--{}` is not served: a flow is told by its ports", given.option));
            }
            _ => {
                let kind = number(given.value, 255).filter(|kind| *kind > 0);
                let kind = kind.ok_or_else(|| format!("`{}` is no TCP option: 1 to 255", given.value))?;
                self.option = given.not(kind as u8);
            }
        }
        Ok(())
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        if !facts.is_protocol(&[self.protocol]) {
            return Err(format!("`-m {}` needs `-p {}`", self.name, self.name));
        }
        if let Some(Not { not: false, value: TcpFlags { mask, set } }) = self.flags
            && set & !mask != 0
        {
            let hint = "every flag of the second list must be in the first";
            facts.warn("`--tcp-flags` asks for a flag that it does not look at, and never matches", hint);
        }
        let (source, destination) = (narrow(&self.source), narrow(&self.destination));
        Ok(Made::Match(match self.protocol {
            TCP => Match::Tcp { source, destination, flags: looks(&self.flags), option: self.option.clone() },
            UDP => Match::Udp { source, destination },
            protocol => Match::Ported { protocol, source, destination },
        }))
    }
}

/// All ports are no criterion, unless inverted.
fn narrow(ports: &Option<Not<Ports>>) -> Option<Not<Ports>> {
    ports.clone().filter(|ports| ports.not || !ports.value.is_all())
}

/// No flag at all looked at is no criterion, unless it is asked for.
fn looks(flags: &Option<Not<TcpFlags>>) -> Option<Not<TcpFlags>> {
    flags.clone().filter(|flags| flags.not || flags.value.mask != 0 || flags.value.set != 0)
}

/// The flags of TCP in the order in which iptables prints them.
pub(super) const TCP_FLAGS: [(&str, u8); 6] =
    [("FIN", 1), ("SYN", 2), ("RST", 4), ("PSH", 8), ("ACK", 16), ("URG", 32)];

fn tcp_flags(word: &str) -> Result<u8, String> {
    let mut flags = 0;
    for name in word.split(',').filter(|name| !name.is_empty()) {
        let upper = name.to_ascii_uppercase();
        flags |= match (&*upper, TCP_FLAGS.iter().find(|(flag, _)| *flag == upper)) {
            ("ALL", _) => 0x3f,
            ("NONE", _) => 0,
            (_, Some((_, bit))) => *bit,
            _ => return Err(format!("`{name}` is no TCP flag: FIN, SYN, RST, PSH, ACK, URG, ALL or NONE")),
        };
    }
    Ok(flags)
}

const SPORTS: Spec = Spec::value("source-ports").not();
const DPORTS: Spec = Spec::value("destination-ports").not();

pub(super) static MULTIPORT: Module = Module {
    name: "multiport",
    spelled: "-m multiport",
    options: &[SPORTS, SPORTS.alias("sports"), DPORTS, DPORTS.alias("dports"), Spec::value("ports").not()],
    new: || Box::new(MultiportDraft(None)),
};

struct MultiportDraft(Option<(PortSet, Not<Vec<Ports>>)>);

impl Draft for MultiportDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let which = match given.option {
            "source-ports" => PortSet::Source,
            "destination-ports" => PortSet::Destination,
            _ => PortSet::Either,
        };
        let value = ports::list(given.value)?;
        match self.0.replace((which, Not { not: given.not, value })) {
            Some(_) => Err("`-m multiport` takes one of `--sports`, `--dports` and `--ports`".to_owned()),
            None => Ok(()),
        }
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        if !facts.is_protocol(&[TCP, UDP, UDPLITE, SCTP, DCCP]) {
            return Err("`-m multiport` needs `-p tcp`, `-p udp` or another protocol with ports".to_owned());
        }
        let (which, ports) = self.0.clone().ok_or("`-m multiport` needs `--sports`, `--dports` or `--ports`")?;
        Ok(Made::Match(Match::Multiport { which, ports }))
    }
}
