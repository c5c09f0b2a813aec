//! `-m state` and `-m conntrack`: what connection tracking knows about the flow.
//! What a value means for a flow is the policy's matter; here is how it is written, checked and printed.

use super::super::Network;
use super::super::criteria::{Direction, Match, Not, Ports, States, Status, TrackedAddresses, Tracking};
use super::super::draft::protocol_by_name;
use super::super::modules::{Draft, Facts, Given, Made, Module, by_beginning, number_range};
use super::super::options::Spec;
use super::super::ports;

pub(super) static STATE: Module = Module {
    name: "state",
    spelled: "-m state",
    options: &[Spec::value("state").not()],
    new: || Box::new(StateDraft(None)),
};

pub(super) static CONNTRACK: Module = Module {
    name: "conntrack",
    spelled: "-m conntrack",
    options: &[
        Spec::value("ctstate").not(),
        Spec::value("ctproto").not(),
        Spec::value("ctorigsrc").not(),
        Spec::value("ctorigdst").not(),
        Spec::value("ctreplsrc").not(),
        Spec::value("ctrepldst").not(),
        Spec::value("ctorigsrcport").not(),
        Spec::value("ctorigdstport").not(),
        Spec::value("ctreplsrcport").not(),
        Spec::value("ctrepldstport").not(),
        Spec::value("ctstatus").not(),
        Spec::value("ctexpire").not(),
        Spec::value("ctdir"),
    ],
    new: || Box::new(Tracking::default()),
};

/// States in the order in which iptables prints them.
pub(super) const STATES: [(&str, States); 7] = [
    ("INVALID", States::INVALID),
    ("NEW", States::NEW),
    ("RELATED", States::RELATED),
    ("ESTABLISHED", States::ESTABLISHED),
    ("UNTRACKED", States::UNTRACKED),
    ("SNAT", States::SNAT),
    ("DNAT", States::DNAT),
];

pub(super) const STATUS: [(&str, Status); 5] = [
    ("NONE", Status::NONE),
    ("EXPECTED", Status::EXPECTED),
    ("SEEN_REPLY", Status::SEEN_REPLY),
    ("ASSURED", Status::ASSURED),
    ("CONFIRMED", Status::CONFIRMED),
];

/// A list of states; those of a translation belong to `--ctstate` alone.
fn states(word: &str, count: usize) -> Result<States, String> {
    let mut states = States::empty();
    for name in word.split(',') {
        let state = by_beginning(name, &STATES[..count]);
        states |= state.ok_or_else(|| {
            let names: Vec<&str> = STATES[..count].iter().map(|(name, _)| *name).collect();
            format!("`{name}` is no state: one of {} was expected", names.join(", "))
        })?;
    }
    Ok(states)
}

struct StateDraft(Option<Not<States>>);

impl Draft for StateDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        self.0 = given.not(states(given.value, 5)?);
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        Ok(Made::Match(Match::State(self.0.clone().ok_or("`-m state` needs `--state`")?)))
    }
}

impl Draft for Tracking {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        match given.option {
            "ctstate" => self.states = given.not(states(given.value, STATES.len())?),
            "ctproto" => {
                let number = protocol_by_name(given.value).or_else(|| (given.value == "all").then_some(0));
                let number = number.ok_or_else(|| format!("`{}` is no protocol", given.value))?;
                self.protocol = given.not(number);
            }
            "ctorigsrc" => self.original.source = address(given)?,
            "ctorigdst" => self.original.destination = address(given)?,
            "ctreplsrc" => self.reply.source = address(given)?,
            "ctrepldst" => self.reply.destination = address(given)?,
            "ctorigsrcport" => self.original.source_port = port(given)?,
            "ctorigdstport" => self.original.destination_port = port(given)?,
            "ctreplsrcport" => self.reply.source_port = port(given)?,
            "ctrepldstport" => self.reply.destination_port = port(given)?,
            "ctstatus" => self.status = given.not(status(given.value)?),
            "ctexpire" => {
                let (first, last) = number_range(given.value, u64::from(u32::MAX))?;
                self.expire_s = given.not((first as u32, last as u32));
            }
            _ => {
                let directions = [("ORIGINAL", Direction::Original), ("REPLY", Direction::Reply)];
                let named = directions.iter().find(|(name, _)| name.eq_ignore_ascii_case(given.value));
                let named = named.ok_or_else(|| format!("`{}` is no direction: ORIGINAL or REPLY", given.value))?;
                self.direction = Some(named.1);
            }
        }
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        if *self == Tracking::default() {
            return Err("`-m conntrack` needs an option, such as `--ctstate`".to_owned());
        }
        Ok(Made::Match(Match::Conntrack(Box::new(self.clone()))))
    }
}

fn address(given: &Given<'_>) -> Result<Option<Not<Network>>, String> {
    Network::parse(given.value).map(|network| given.not(network))
}

fn port(given: &Given<'_>) -> Result<Option<Not<Ports>>, String> {
    ports::range(given.value).map(|range| given.not(range))
}

fn status(word: &str) -> Result<Status, String> {
    let mut status = Status::empty();
    for name in word.split(',') {
        let one = by_beginning(name, &STATUS);
        let wrong = || format!("`{name}` is no status: NONE, EXPECTED, SEEN_REPLY, ASSURED or CONFIRMED was expected");
        status |= one.ok_or_else(wrong)?;
    }
    // A flow that is something is not nothing.
    Ok(if status == Status::NONE { status } else { status - Status::NONE })
}

impl TrackedAddresses {
    /// The networks in it.
    pub(in crate::rules) fn networks(&self) -> impl Iterator<Item = &Network> {
        [&self.source, &self.destination].into_iter().flatten().map(|network| &network.value)
    }
}
