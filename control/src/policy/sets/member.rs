//! Members of sets, and how they are written: `10.0.0.0/8`, `192.0.2.1,tcp:80`, `192.0.2.1,tcp:80,198.51.100.7`,
//! `10.9.0.0/16 nomatch`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::policy::tuple::{TCP, protocol_name, protocol_number};

/// What a set's members are. The names are ipset's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetKind {
    /// `hash:ip`: addresses.
    Ip,
    /// `hash:net`: networks.
    Net,
    /// `hash:ip,port`: an address with a port of a protocol.
    IpPort,
    /// `hash:net,port`: a network with a port of a protocol.
    NetPort,
    /// `hash:ip,port,ip`: an address with a port of a protocol and a second address.
    IpPortIp,
}

/// A member of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The network; of one address in sets of addresses. No bit of a host is set.
    pub network: IpNet,
    /// Protocol and port, in sets that have them.
    pub port: Option<(u8, u16)>,
    /// The second address, in sets that have it; of the family of the first.
    pub second: Option<IpAddr>,
    /// What this covers is not in the set, though a shorter network says so.
    pub nomatch: bool,
}

impl SetKind {
    /// Every kind.
    pub const ALL: [SetKind; 5] = [SetKind::Ip, SetKind::Net, SetKind::IpPort, SetKind::NetPort, SetKind::IpPortIp];

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            SetKind::Ip => "hash:ip",
            SetKind::Net => "hash:net",
            SetKind::IpPort => "hash:ip,port",
            SetKind::NetPort => "hash:net,port",
            SetKind::IpPortIp => "hash:ip,port,ip",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<SetKind> {
        SetKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What a rule gives directions for: 1, 2 with a port, 3 with a second address.
    pub fn dimensions(self) -> usize {
        1 + usize::from(self.has_port()) + usize::from(self.has_second())
    }

    pub(super) fn has_port(self) -> bool {
        matches!(self, SetKind::IpPort | SetKind::NetPort | SetKind::IpPortIp)
    }

    pub(super) fn has_second(self) -> bool {
        self == SetKind::IpPortIp
    }

    fn has_networks(self) -> bool {
        matches!(self, SetKind::Net | SetKind::NetPort)
    }

    /// Reads a member of such a set.
    pub fn member(self, text: &str) -> Result<Member, String> {
        let member: Member = text.parse()?;
        if member.is_of(self) {
            return Ok(member);
        }
        let example = match self {
            SetKind::Ip => "192.0.2.1",
            SetKind::Net => "192.0.2.0/24",
            SetKind::IpPort => "192.0.2.1,tcp:80",
            SetKind::NetPort => "192.0.2.0/24,tcp:80",
            SetKind::IpPortIp => "192.0.2.1,tcp:80,198.51.100.7",
        };
        Err(format!("`{text}` is no member of a set of {}, which are written like `{example}`", self.name()))
    }
}

impl Member {
    /// Whether a set of that kind can have it.
    pub fn is_of(&self, kind: SetKind) -> bool {
        let whole = self.network.prefix_len() == self.network.max_prefix_len();
        let alike = self.second.is_none_or(|second| second.is_ipv4() == self.network.addr().is_ipv4());
        self.port.is_some() == kind.has_port()
            && self.second.is_some() == kind.has_second()
            && alike
            && (kind.has_networks() || whole && !self.nomatch)
    }
}

impl FromStr for Member {
    type Err = String;

    fn from_str(text: &str) -> Result<Member, String> {
        let (text, nomatch) = match text.trim().strip_suffix("nomatch") {
            Some(rest) if rest.ends_with([' ', '\t']) => (rest.trim_end(), true),
            _ => (text.trim(), false),
        };
        let mut parts = text.splitn(3, ',');
        let address = parts.next().unwrap_or_default();
        let port = parts.next().map(read_port).transpose()?;
        let second = parts.next().map(|second| second.parse().map_err(|_| format!("`{second}` is no address")));
        let second = second.transpose()?;
        let network = if address.contains('/') {
            address.parse::<IpNet>().ok()
        } else {
            address.parse::<IpAddr>().ok().map(IpNet::from)
        };
        let network = network.ok_or_else(|| format!("`{address}` is no address or network"))?;
        Ok(Member { network: network.trunc(), port, second, nomatch })
    }
}

/// `80` is TCP's, as in ipset; `udp:53` says the protocol.
fn read_port(text: &str) -> Result<(u8, u16), String> {
    let (protocol, port) = match text.split_once(':') {
        Some((protocol, port)) => {
            (protocol_number(protocol).ok_or_else(|| format!("`{protocol}` is no protocol"))?, port)
        }
        None => (TCP, text),
    };
    let port = port.parse().map_err(|_| format!("`{port}` is no port: a number from 0 to 65535 was expected"))?;
    Ok((protocol, port))
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.network.prefix_len() == self.network.max_prefix_len() {
            write!(f, "{}", self.network.addr())?;
        } else {
            write!(f, "{}", self.network)?;
        }
        if let Some((protocol, port)) = self.port {
            write!(f, ",{}:{port}", protocol_name(protocol))?;
        }
        if let Some(second) = self.second {
            write!(f, ",{second}")?;
        }
        if self.nomatch { f.write_str(" nomatch") } else { Ok(()) }
    }
}
