//! What happens to a flow that fits a rule: values only. What a target may not do where it stands is checked elsewhere.

use std::net::IpAddr;
use std::sync::Arc;

use super::criteria::AddressRange;
use crate::policy::RejectKind;

/// What a rule does with a flow that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Let it pass this table.
    Accept,
    /// End it without an answer.
    Drop,
    /// Go back to the chain that called; in a built-in chain, to its policy.
    Return,
    /// End it with an answer.
    Reject(RejectKind),
    /// Redirect it to a listener.
    Tproxy {
        /// The listener's port; 0 keeps the flow's.
        port: u16,
        /// The local address; the incoming interface's first when absent.
        address: Option<IpAddr>,
        /// `--tproxy-mark` of table mangle; `0/0` changes nothing.
        mark: Masked,
    },
    /// Write it to the log and go on with the next rule.
    Log(Log),
    /// Translate its destination (`DNAT`); ends table nat.
    Dnat(Translation),
    /// Translate its destination to the gateway itself (`REDIRECT`); ends table nat.
    Redirect(Translation),
    /// Translate its source (`SNAT`); ends table nat.
    Snat(Translation),
    /// Translate its source to the address of the interface it leaves by (`MASQUERADE`); ends table nat.
    Masquerade(Translation),
    /// Change its mark and go on with the next rule.
    Mark(Masked),
    /// Change its connection's mark, or take the mark from there, and go on with the next rule.
    Connmark(Connmark),
    /// Do not track it (`CT --notrack`, `NOTRACK`), and go on with the next rule.
    Notrack,
    /// Go on in a user's chain and come back (`-j`).
    Jump(Arc<str>),
    /// Go on in a user's chain and come back to where this chain was called from (`-g`).
    Goto(Arc<str>),
}

/// A value under a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masked {
    /// The value.
    pub value: u32,
    /// The bits that count.
    pub mask: u32,
}

impl Masked {
    /// Whether a mark is that value under the mask.
    pub fn holds(self, mark: u32) -> bool {
        mark & self.mask == self.value
    }

    /// A mark after `--set-xmark`: the mask's bits cleared, the value's turned.
    pub fn set(self, mark: u32) -> u32 {
        mark & !self.mask ^ self.value
    }
}

/// What `-j LOG` writes besides the flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `--log-level`, syslog's number.
    pub level: u8,
    /// `--log-prefix`.
    pub prefix: String,
    /// `--log-tcp-sequence`.
    pub tcp_sequence: bool,
    /// `--log-tcp-options`.
    pub tcp_options: bool,
    /// `--log-ip-options`.
    pub ip_options: bool,
    /// `--log-uid`; no packet here has a user.
    pub uid: bool,
    /// `--log-macdecode`.
    pub mac: bool,
}

/// `--to-destination`, `--to-source`, `--to-ports` with what is said about the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// The addresses; none: that of the interface (REDIRECT, MASQUERADE), or unchanged.
    pub addresses: Option<AddressRange>,
    /// The ports, first and last; none: unchanged where possible.
    pub ports: Option<(u16, u16)>,
    /// `first-last/base` of DNAT: the flow's port less `base` is counted from `first`.
    pub base: Option<u16>,
    /// `--random`.
    pub random: bool,
    /// `--random-fully`.
    pub random_fully: bool,
    /// `--persistent`: a client gets the same address each time.
    pub persistent: bool,
}

/// What `-j CONNMARK` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connmark {
    /// `--set-xmark`.
    Set(Masked),
    /// `--save-mark`: the connection's mark from the packet's.
    Save {
        /// `--nfmask`.
        packet_mask: u32,
        /// `--ctmask`.
        connection_mask: u32,
    },
    /// `--restore-mark`: the packet's mark from the connection's.
    Restore {
        /// `--nfmask`.
        packet_mask: u32,
        /// `--ctmask`.
        connection_mask: u32,
    },
}

impl Connmark {
    /// The marks of packet and connection after it.
    pub fn apply(self, packet: u32, connection: u32) -> (u32, u32) {
        match self {
            Connmark::Set(value) => (packet, value.set(connection)),
            Connmark::Save { packet_mask, connection_mask } => {
                (packet, connection & !connection_mask ^ packet & packet_mask)
            }
            Connmark::Restore { packet_mask, connection_mask } => {
                (packet & !packet_mask ^ connection & connection_mask, connection)
            }
        }
    }
}

/// What happens at the end of a built-in chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainPolicy {
    /// Pass.
    Accept,
    /// End.
    Drop,
}

impl ChainPolicy {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            ChainPolicy::Accept => "ACCEPT",
            ChainPolicy::Drop => "DROP",
        }
    }
}

impl Target {
    /// The family a target is for: that of an address in it.
    pub(super) fn family(&self) -> Option<super::criteria::Family> {
        let address = match self {
            Target::Tproxy { address, .. } => *address,
            Target::Dnat(to) | Target::Snat(to) => to.addresses.map(|range| range.first),
            _ => None,
        };
        address.map(super::criteria::Family::of)
    }
}
