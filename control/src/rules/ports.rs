//! Ports in rules: numbers, ranges and the names people use. The names are IANA's for what firewalls are about; no file
//! of the machine is read, so that a configuration means the same everywhere.

use super::criteria::Ports;
use super::modules::number;
use crate::limits::MULTIPORT_SLOTS_MAX;

/// IANA's names of the services that rule sets name. A short list on purpose: a rule must mean the same on every
/// machine, so the machine's own `/etc/services` is not read.
const NAMES: &[(&str, u16)] = &[
    ("echo", 7),
    ("discard", 9),
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("mail", 25),
    ("time", 37),
    ("whois", 43),
    ("tacacs", 49),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("gopher", 70),
    ("finger", 79),
    ("http", 80),
    ("www", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("auth", 113),
    ("ident", 113),
    ("nntp", 119),
    ("ntp", 123),
    ("netbios-ns", 137),
    ("netbios-dgm", 138),
    ("netbios-ssn", 139),
    ("imap", 143),
    ("imap2", 143),
    ("snmp", 161),
    ("snmp-trap", 162),
    ("bgp", 179),
    ("irc", 194),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submissions", 465),
    ("isakmp", 500),
    ("syslog", 514),
    ("printer", 515),
    ("rtsp", 554),
    ("submission", 587),
    ("ipp", 631),
    ("ldaps", 636),
    ("rsync", 873),
    ("imaps", 993),
    ("pop3s", 995),
    ("socks", 1080),
    ("openvpn", 1194),
    ("ms-sql-s", 1433),
    ("l2f", 1701),
    ("radius", 1812),
    ("radius-acct", 1813),
    ("nfs", 2049),
    ("mysql", 3306),
    ("ms-wbt-server", 3389),
    ("svn", 3690),
    ("ipsec-nat-t", 4500),
    ("sip", 5060),
    ("sip-tls", 5061),
    ("postgresql", 5432),
    ("xmpp-client", 5222),
    ("mdns", 5353),
    ("http-alt", 8080),
];

/// One port: a number or a name.
pub(super) fn port(word: &str) -> Result<u16, String> {
    if let Some((_, port)) = NAMES.iter().find(|(name, _)| *name == word) {
        return Ok(*port);
    }
    match number(word, u64::from(u16::MAX)) {
        Some(port) => Ok(port as u16),
        None => Err(format!("`{word}` is no port: a number from 0 to 65535 or a service's name was expected")),
    }
}

/// `n`, `a:b`, `:b` from 0, `a:` to 65535.
pub(super) fn range(word: &str) -> Result<Ports, String> {
    let Some((first, last)) = word.split_once(':') else {
        return port(word).map(|port| Ports { first: port, last: port });
    };
    let first = if first.is_empty() { 0 } else { port(first)? };
    let last = if last.is_empty() { u16::MAX } else { port(last)? };
    if first > last {
        return Err(format!("`{word}` runs backwards"));
    }
    Ok(Ports { first, last })
}

/// `n,a:b,…` of `-m multiport`, whose ranges have two ends.
pub(super) fn list(word: &str) -> Result<Vec<Ports>, String> {
    let one = |word: &str| match word.split_once(':') {
        None => port(word).map(|port| Ports { first: port, last: port }),
        Some((first, last)) => {
            let (first, last) = (port(first)?, port(last)?);
            let forwards = first < last;
            if forwards { Ok(Ports { first, last }) } else { Err(format!("`{word}` is no range: it runs nowhere")) }
        }
    };
    let ports = word.split(',').map(one).collect::<Result<Vec<Ports>, String>>()?;
    let slots: usize = ports.iter().map(|range| if range.first == range.last { 1 } else { 2 }).sum();
    if slots > MULTIPORT_SLOTS_MAX {
        return Err(format!("`{word}` takes {slots} slots, {MULTIPORT_SLOTS_MAX} are possible (a range takes two)"));
    }
    Ok(ports)
}
