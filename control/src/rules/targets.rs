//! The targets (`-j`, `-g`): which are served, and why the others are not.
//! What becomes of a flow is the policy's and the data plane's matter; here is how a target is written, checked and printed.

use super::lex::Word;
use super::modules::{Facts, Instance, Made, Module};
use super::rule::{Context, chain_name, shared};
use super::target::Target;
use crate::faults::nearest;

mod log;
mod mark;
mod nat;
mod print;
mod redirect;
mod reject;

pub(super) use print::print;

/// The targets with modules, most with options.
pub(super) const SERVED: &[&Module] = &[
    &reject::REJECT,
    &redirect::TPROXY,
    &log::LOG,
    &nat::DNAT,
    &nat::REDIRECT,
    &nat::SNAT,
    &nat::MASQUERADE,
    &mark::MARK,
    &mark::CONNMARK,
    &mark::CT,
    &mark::NOTRACK,
];

/// Targets without options.
const STANDARD: [(&str, Target); 3] = [("ACCEPT", Target::Accept), ("DROP", Target::Drop), ("RETURN", Target::Return)];

/// Targets of iptables that are refused, and why.
const REFUSED: &[(&str, &str)] = &[
    ("QUEUE", "no program decides about packets here: a proxy does, or a rule"),
    ("NFQUEUE", "no program decides about packets here: a proxy does, or a rule"),
    ("NFLOG", "there is no packet log: `-j LOG` writes flows to the log"),
    ("ULOG", "there is no packet log: `-j LOG` writes flows to the log"),
    ("TRACE", "`limpid explain` tells the way of a flow through the rules"),
    ("AUDIT", "`-j LOG` writes flows to the log"),
    ("TCPMSS", "proxied connections have the segment size of each side; forwarded ones keep what the ends said"),
    ("TCPOPTSTRIP", "packets of forwarded flows are not changed"),
    ("DSCP", "packets of forwarded flows are not changed"),
    ("TOS", "packets of forwarded flows are not changed"),
    ("TTL", "packets of forwarded flows are not changed"),
    ("HL", "packets of forwarded flows are not changed"),
    ("ECN", "packets of forwarded flows are not changed"),
    ("CHECKSUM", "checksums are always right here"),
    ("CLASSIFY", "there are no queues to choose"),
    ("SECMARK", "there are no security labels"),
    ("CONNSECMARK", "there are no security labels"),
    ("SET", "`limpid set add` changes sets; `-m recent` remembers addresses"),
    ("SYNPROXY", "services that accept at once answer a SYN by themselves"),
    ("TEE", "packets are not copied to elsewhere"),
    ("NETMAP", "a `static` NAT policy of a service maps networks"),
    ("HMARK", "marks are given by `-j MARK`"),
    ("IDLETIMER", "there are no interfaces to put to sleep"),
    ("LED", "there are no lamps"),
    ("RATEEST", "`-m hashlimit --hashlimit-rate-match` measures rates"),
    ("CLUSTERIP", "one gateway sees all of a flow"),
    ("DNPT", "prefixes are not translated"),
    ("SNPT", "prefixes are not translated"),
];

/// What `-j` or `-g` names.
pub(super) enum TargetDraft {
    /// ACCEPT, DROP or RETURN.
    Standard(Target),
    /// A chain.
    Chain { name: String, goto: bool },
    /// One with a module.
    Module(Instance),
}

/// The target of that name.
pub(super) fn load(name: &Word, goto: bool, context: &mut Context<'_>) -> Option<TargetDraft> {
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name.text) {
        context.fault_hint(name.column, format!("target `{}` is not served", name.text), *why);
        return None;
    }
    chain_name(name, context)?;
    let standard = STANDARD.iter().find(|(standard, _)| *standard == name.text);
    let module = SERVED.iter().find(|module| module.name == name.text);
    if goto && (standard.is_some() || module.is_some()) {
        context.fault(name.column, format!("`-g` goes to a chain, `{}` is none", name.text));
        return None;
    }
    Some(match (standard, module) {
        (Some((_, target)), _) => TargetDraft::Standard(target.clone()),
        (_, Some(module)) => TargetDraft::Module(Instance::new(module, name.column)),
        _ => TargetDraft::Chain { name: name.text.clone(), goto },
    })
}

impl TargetDraft {
    /// The target; none when something is wrong, which has been said.
    pub(super) fn finish(&self, facts: &mut Facts<'_>, context: &mut Context<'_>) -> Option<Target> {
        match self {
            TargetDraft::Standard(target) => Some(target.clone()),
            TargetDraft::Chain { name, goto: true } => Some(Target::Goto(shared(name))),
            TargetDraft::Chain { name, goto: false } => Some(Target::Jump(shared(name))),
            TargetDraft::Module(instance) => match instance.finish(facts, context)? {
                Made::Target(target) => Some(target),
                Made::Match(_) => None,
            },
        }
    }
}

/// Whether a chain of that name could never be jumped to, for a target has it.
pub(super) fn is_target(name: &str) -> bool {
    STANDARD.iter().any(|(standard, _)| *standard == name)
        || SERVED.iter().any(|module| module.name == name)
        || REFUSED.iter().any(|(refused, _)| *refused == name)
}

/// What to say about a target that is neither known nor a chain of the table.
pub(super) fn meant<'a>(name: &str, chains: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let standard = STANDARD.iter().map(|(name, _)| *name);
    nearest(name, standard.chain(SERVED.iter().map(|module| module.name)).chain(chains))
}
