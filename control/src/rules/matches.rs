//! The matches (`-m`) and their options: which words belong to which match, which a match must have, which it implies.

use super::criteria::{Match, Not, PortSet, Ports, States, TcpFlags, Tracking};
use super::lex::Word;
use super::options::{Found, Opt, Owner};
use super::rule::Context;
use super::{ports, words};
use crate::faults::nearest;
use crate::limits::COMMENT_MAX;
use crate::policy::{TCP, UDP};

/// The matches this version serves.
const SERVED: &[(&str, Option<Owner>)] = &[
    ("tcp", Some(Owner::Tcp)),
    ("udp", Some(Owner::Udp)),
    ("multiport", Some(Owner::Multiport)),
    ("state", Some(Owner::State)),
    ("conntrack", Some(Owner::Conntrack)),
    ("comment", Some(Owner::Comment)),
    ("tproxy", None),
];

/// Protocols of `-m multiport` (xt_multiport): tcp, udp, udplite, sctp, dccp.
const WITH_PORTS: [u8; 5] = [TCP, UDP, 136, 132, 33];

/// The matches of one rule, in its order.
#[derive(Default)]
pub(super) struct MatchDrafts {
    owners: Vec<Owner>,
    list: Vec<(Draft, u32)>,
    /// The match that is there because of `-p`, without `-m`.
    by_protocol: Option<Owner>,
}

enum Draft {
    /// `-m tcp` or `-m udp`.
    Ports {
        udp: bool,
        source: Option<Not<Ports>>,
        destination: Option<Not<Ports>>,
        flags: Option<Not<TcpFlags>>,
    },
    Multiport(Option<(PortSet, Not<Vec<Ports>>)>),
    States {
        conntrack: bool,
        states: Option<Not<States>>,
    },
    Comment(Option<String>),
    Tproxy {
        not: bool,
    },
}

impl MatchDrafts {
    /// The matches whose options are known.
    pub(super) fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// `-m NAME`.
    pub(super) fn load(&mut self, name: &Word, context: &mut Context<'_>) -> Option<()> {
        let Some((_, owner)) = SERVED.iter().find(|(served, _)| *served == name.text) else {
            let served = SERVED.iter().map(|(served, _)| *served);
            if words::MATCHES.contains(&&*name.text) {
                context.fault(name.column, format!("match `{}` is not in this version", name.text));
            } else if let Some(meant) = nearest(&name.text, served.chain(words::MATCHES.iter().copied())) {
                context.fault_hint(
                    name.column,
                    format!("`{}` is no match", name.text),
                    format!("was `{meant}` meant?"),
                );
            } else {
                context.fault(name.column, format!("`{}` is no match", name.text));
            }
            return None;
        };
        // `-p tcp --syn -m tcp --dport 80` names the match that `-p tcp` has brought already.
        if let Some(by_protocol) = owner.filter(|owner| self.by_protocol == Some(*owner)) {
            self.by_protocol = None;
            self.latest(by_protocol, name.column);
            return Some(());
        }
        self.push(*owner, name.column);
        Some(())
    }

    fn push(&mut self, owner: Option<Owner>, column: u32) {
        let draft = match owner {
            Some(Owner::Tcp) => Draft::Ports { udp: false, source: None, destination: None, flags: None },
            Some(Owner::Udp) => Draft::Ports { udp: true, source: None, destination: None, flags: None },
            Some(Owner::Multiport) => Draft::Multiport(None),
            Some(Owner::State) => Draft::States { conntrack: false, states: None },
            Some(Owner::Conntrack) => Draft::States { conntrack: true, states: None },
            Some(Owner::Comment) => Draft::Comment(None),
            _ => Draft::Tproxy { not: false },
        };
        self.owners.extend(owner.filter(|owner| !self.owners.contains(owner)));
        self.list.push((draft, column));
    }

    /// Inverts the `-m tproxy` just read; `! -m tproxy` is how the match without options is inverted.
    pub(super) fn invert_tproxy(&mut self) -> bool {
        match self.list.last_mut() {
            Some((Draft::Tproxy { not }, _)) => {
                *not = true;
                true
            }
            _ => false,
        }
    }

    /// The latest match of an owner; `-p tcp --dport` brings `-m tcp` by itself.
    fn latest(&mut self, owner: Owner, column: u32) -> &mut Draft {
        let is = |draft: &Draft| match draft {
            Draft::Ports { udp: false, .. } => owner == Owner::Tcp,
            Draft::Ports { udp: true, .. } => owner == Owner::Udp,
            Draft::Multiport(_) => owner == Owner::Multiport,
            Draft::States { conntrack: false, .. } => owner == Owner::State,
            Draft::States { conntrack: true, .. } => owner == Owner::Conntrack,
            Draft::Comment(_) => owner == Owner::Comment,
            Draft::Tproxy { .. } => false,
        };
        let at = match self.list.iter().rposition(|(draft, _)| is(draft)) {
            Some(at) => at,
            None => {
                self.push(Some(owner), column);
                self.by_protocol = Some(owner);
                self.list.len() - 1
            }
        };
        &mut self.list[at].0
    }

    /// An option with one argument that `!` may invert.
    pub(super) fn option(&mut self, found: &Found, not: bool, value: &Word, context: &mut Context<'_>) {
        let (word, column) = (&*value.text, value.column);
        let mut twice = false;
        match (found.opt, self.latest(found.owner, column)) {
            (Opt::SourcePort, Draft::Ports { source, .. }) => match ports::range(word) {
                Ok(value) => twice = source.replace(Not { not, value }).is_some(),
                Err(why) => context.fault(column, why),
            },
            (Opt::DestinationPort, Draft::Ports { destination, .. }) => match ports::range(word) {
                Ok(value) => twice = destination.replace(Not { not, value }).is_some(),
                Err(why) => context.fault(column, why),
            },
            // A wrong argument still counts as given, or a second fault would say that it is missing.
            (opt, Draft::Multiport(ports)) => {
                let value = ports::list(word).unwrap_or_else(|why| {
                    context.fault(column, why);
                    Vec::new()
                });
                twice = ports.replace((port_set(opt), Not { not, value })).is_some();
            }
            (_, Draft::States { states, .. }) => {
                let value = read_states(word).unwrap_or_else(|why| {
                    context.fault(column, why);
                    States::default()
                });
                twice = states.replace(Not { not, value }).is_some();
            }
            _ => {}
        }
        if twice {
            context.fault(column, format!("`{}` is there twice", found.written));
        }
    }

    /// `--syn`.
    pub(super) fn syn(&mut self, not: bool, word: &Word, context: &mut Context<'_>) {
        if let Draft::Ports { flags, .. } = self.latest(Owner::Tcp, word.column)
            && flags.replace(Not { not, value: TcpFlags::SYN }).is_some()
        {
            context.fault(word.column, "`--syn` is there twice");
        }
    }

    /// `--tcp-flags`: the form that means `--syn`, which is how iptables-save prints it.
    pub(super) fn tcp_flags(&mut self, not: bool, mask: &Word, set: &Word, context: &mut Context<'_>) {
        let mut flags: Vec<&str> = mask.text.split(',').collect();
        flags.sort_unstable();
        if flags == ["ACK", "FIN", "RST", "SYN"] && set.text == "SYN" {
            return self.syn(not, mask, context);
        }
        let message = "`--tcp-flags` is in this version only as `FIN,SYN,RST,ACK SYN`, which is `--syn`";
        context.fault(mask.column, message);
    }

    /// `--comment`.
    pub(super) fn comment(&mut self, value: &Word, context: &mut Context<'_>) {
        if value.text.len() > COMMENT_MAX {
            context.fault(value.column, format!("the comment is longer than {COMMENT_MAX} bytes"));
        }
        if let Draft::Comment(comment) = self.latest(Owner::Comment, value.column) {
            *comment = Some(value.text.clone());
        }
    }

    /// The matches, when each has what it needs.
    pub(super) fn finish(self, protocol: Option<&Not<u8>>, context: &mut Context<'_>) -> Vec<Match> {
        let is = |wanted: u8| protocol.is_some_and(|p| !p.not && p.value == wanted);
        let mut matches = Vec::new();
        for (draft, column) in self.list {
            let mut need = |holds: bool, message: &str| {
                if !holds {
                    context.fault(column, message);
                }
                holds
            };
            match draft {
                Draft::Ports { udp: false, source, destination, flags } => {
                    need(is(TCP), "`-m tcp` needs `-p tcp`");
                    let (source, destination) = (narrow(source), narrow(destination));
                    matches.push(Match::Tcp { source, destination, flags, option: None });
                }
                Draft::Ports { source, destination, .. } => {
                    need(is(UDP), "`-m udp` needs `-p udp`");
                    matches.push(Match::Udp { source: narrow(source), destination: narrow(destination) });
                }
                Draft::Multiport(ports) => {
                    need(
                        WITH_PORTS.iter().any(|p| is(*p)),
                        "`-m multiport` needs `-p tcp`, `-p udp` or another protocol with ports",
                    );
                    need(ports.is_some(), "`-m multiport` needs `--sports`, `--dports` or `--ports`");
                    matches.extend(ports.map(|(which, ports)| Match::Multiport { which, ports }));
                }
                Draft::States { conntrack: false, states } => {
                    need(states.is_some(), "`-m state` needs `--state`");
                    matches.extend(states.map(Match::State));
                }
                Draft::States { states, .. } => {
                    need(states.is_some(), "`-m conntrack` needs `--ctstate`");
                    matches.extend(states.map(|states| {
                        Match::Conntrack(Box::new(Tracking { states: Some(states), ..Tracking::default() }))
                    }));
                }
                Draft::Comment(comment) => {
                    need(comment.is_some(), "`-m comment` needs `--comment`");
                    matches.extend(comment.map(Match::Comment));
                }
                Draft::Tproxy { not } => matches.push(Match::Tproxy(Not { not, value: () })),
            }
        }
        matches
    }
}

/// All ports are no criterion, unless inverted.
fn narrow(ports: Option<Not<Ports>>) -> Option<Not<Ports>> {
    ports.filter(|ports| ports.not || !ports.value.is_all())
}

fn port_set(opt: Opt) -> PortSet {
    match opt {
        Opt::SourcePorts => PortSet::Source,
        Opt::DestinationPorts => PortSet::Destination,
        _ => PortSet::Either,
    }
}

fn read_states(word: &str) -> Result<States, String> {
    let mut states = States::empty();
    for state in word.split(',') {
        match &*state.to_ascii_uppercase() {
            "NEW" => states |= States::NEW,
            "ESTABLISHED" => states |= States::ESTABLISHED,
            "RELATED" => states |= States::RELATED,
            "INVALID" => states |= States::INVALID,
            "UNTRACKED" => states |= States::UNTRACKED,
            "SNAT" | "DNAT" => return Err(format!("state `{state}` is not in this version")),
            _ => {
                return Err(format!(
                    "`{state}` is no state: NEW, ESTABLISHED, RELATED, INVALID or UNTRACKED was expected"
                ));
            }
        }
    }
    Ok(states)
}
