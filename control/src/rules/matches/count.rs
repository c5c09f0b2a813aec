//! Matches that remember: connlimit, recent, set.
//! What a value means for a flow is the policy's matter; here is how it is written, checked and printed.

use std::net::IpAddr;

use super::super::criteria::{ConnLimit, Family, Match, Not, Recent, RecentOperation, SetDirection, SetMatch, Touched};
use super::super::modules::{Draft, Facts, Given, Made, Module, within};
use super::super::options::Spec;
use super::hashlimit::WHOLE;

pub(super) static CONNLIMIT: Module = Module {
    name: "connlimit",
    spelled: "-m connlimit",
    options: &[
        Spec::value("connlimit-upto").not(),
        Spec::value("connlimit-above").not(),
        Spec::value("connlimit-mask"),
        Spec::flag("connlimit-saddr"),
        Spec::flag("connlimit-daddr"),
    ],
    new: || Box::new(ConnLimitDraft::default()),
};

#[derive(Default)]
struct ConnLimitDraft {
    limit: Option<(u32, bool)>,
    length: Option<u8>,
    which: Option<Touched>,
}

impl Draft for ConnLimitDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let which = match given.option {
            "connlimit-mask" => {
                self.length = Some(within(given.value, 0, u64::from(WHOLE))? as u8);
                return Ok(());
            }
            "connlimit-saddr" => Touched::Source,
            "connlimit-daddr" => Touched::Destination,
            option => {
                let limit = within(given.value, 0, u64::from(u32::MAX))? as u32;
                let above = (option == "connlimit-above") != given.not;
                return match self.limit.replace((limit, above)) {
                    Some(_) => Err("`--connlimit-upto` and `--connlimit-above` exclude each other".to_owned()),
                    None => Ok(()),
                };
            }
        };
        match self.which.replace(which) {
            Some(_) => Err("`--connlimit-saddr` and `--connlimit-daddr` exclude each other".to_owned()),
            None => Ok(()),
        }
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        let (limit, above) = self.limit.ok_or("`-m connlimit` needs `--connlimit-upto` or `--connlimit-above`")?;
        // iptables takes more bits than IPv4 has for all of them.
        let whole = facts.family == Some(Family::V4) && self.length.is_some_and(|length| length >= 32);
        let length = if whole { WHOLE } else { self.length.unwrap_or(WHOLE) };
        Ok(Made::Match(Match::ConnLimit(ConnLimit {
            limit,
            above,
            length,
            which: self.which.unwrap_or(Touched::Source),
        })))
    }
}

const SET_OPERATION: Spec = Spec::flag("set").not();

pub(super) static RECENT: Module = Module {
    name: "recent",
    spelled: "-m recent",
    options: &[
        SET_OPERATION,
        Spec::flag("rcheck").not(),
        Spec::flag("update").not(),
        Spec::flag("remove").not(),
        Spec::value("seconds"),
        Spec::flag("reap"),
        Spec::value("hitcount"),
        Spec::flag("rttl"),
        Spec::value("name"),
        Spec::flag("rsource"),
        Spec::flag("rdest"),
        Spec::value("mask"),
    ],
    new: || Box::new(RecentDraft::default()),
};

/// Name of the list where a rule says none.
const DEFAULT_LIST: &str = "DEFAULT";
/// Characters of a list's name in iptables.
const LIST_NAME_MAX: usize = 199;

#[derive(Default)]
struct RecentDraft {
    operation: Option<Not<RecentOperation>>,
    seconds: Option<u32>,
    reap: bool,
    hits: Option<u16>,
    same_ttl: bool,
    name: Option<String>,
    destination: bool,
    mask: Option<IpAddr>,
}

impl Draft for RecentDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let word = given.value;
        let operation = match given.option {
            "set" => RecentOperation::Set,
            "rcheck" => RecentOperation::Check,
            "update" => RecentOperation::Update,
            "remove" => RecentOperation::Remove,
            other => return self.detail(other, word),
        };
        match self.operation.replace(Not { not: given.not, value: operation }) {
            Some(_) => Err("`--set`, `--rcheck`, `--update` and `--remove` exclude each other".to_owned()),
            None => Ok(()),
        }
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        let needs = "`-m recent` needs `--set`, `--rcheck`, `--update` or `--remove`";
        let Not { not, value: operation } = self.operation.clone().ok_or(needs)?;
        let looks = matches!(operation, RecentOperation::Check | RecentOperation::Update);
        if !looks && (self.seconds.is_some() || self.hits.is_some_and(|hits| hits > 0) || self.same_ttl) {
            return Err("`--seconds`, `--hitcount` and `--rttl` belong to `--rcheck` and `--update`".to_owned());
        }
        if self.reap && self.seconds.is_none() {
            return Err("`--reap` needs `--seconds`".to_owned());
        }
        if let (Some(mask), Some(family)) = (self.mask, facts.family)
            && mask.is_ipv4() != (family == Family::V4)
        {
            return Err(format!("the mask {mask} is of the other family"));
        }
        Ok(Made::Match(Match::Recent(Box::new(Not {
            not,
            value: Recent {
                name: self.name.clone().unwrap_or_else(|| DEFAULT_LIST.to_owned()),
                operation,
                seconds: self.seconds,
                reap: self.reap,
                hits: self.hits.filter(|hits| *hits > 0),
                same_ttl: self.same_ttl,
                mask: self.mask.filter(|mask| !is_whole(*mask)),
                which: if self.destination { Touched::Destination } else { Touched::Source },
            },
        }))))
    }
}

impl RecentDraft {
    fn detail(&mut self, option: &str, word: &str) -> Result<(), String> {
        match option {
            "seconds" => self.seconds = Some(within(word, 1, u64::from(u32::MAX))? as u32),
            "reap" => self.reap = true,
            "hitcount" => self.hits = Some(within(word, 0, u64::from(u16::MAX))? as u16),
            "rttl" => self.same_ttl = true,
            "rsource" => self.destination = false,
            "rdest" => self.destination = true,
            "mask" => self.mask = Some(word.parse().map_err(|_| format!("`{word}` is no mask"))?),
            _ => {
                let good = |c: char| !c.is_whitespace() && !c.is_control() && c != '/';
                if word.is_empty() || word.len() > LIST_NAME_MAX || !word.chars().all(good) {
                    return Err(format!("`{word}` is no name of a list: 1 to {LIST_NAME_MAX} characters without `/`"));
                }
                self.name = Some(word.to_owned());
            }
        }
        Ok(())
    }
}

fn is_whole(mask: IpAddr) -> bool {
    match mask {
        IpAddr::V4(mask) => mask.to_bits() == u32::MAX,
        IpAddr::V6(mask) => mask.to_bits() == u128::MAX,
    }
}

pub(super) static SET: Module = Module {
    name: "set",
    spelled: "-m set",
    options: &[
        Spec { takes: 2, ..Spec::value("match-set").not() },
        Spec::flag("return-nomatch"),
        Spec::flag("update-counters").not(),
        Spec::flag("update-subcounters").not(),
        Spec::value("packets-eq").not(),
        Spec::value("packets-lt"),
        Spec::value("packets-gt"),
        Spec::value("bytes-eq").not(),
        Spec::value("bytes-lt"),
        Spec::value("bytes-gt"),
    ],
    new: || Box::new(SetDraft(None)),
};

/// Characters of a set's name, and dimensions of a set, in iptables.
const SET_NAME_MAX: usize = 31;
const DIMENSIONS_MAX: usize = 6;

struct SetDraft(Option<Not<SetMatch>>);

impl Draft for SetDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        match given.option {
            "match-set" => {}
            "return-nomatch" => {
                return Err("`--return-nomatch` is not served: a `nomatch` entry never matches".to_owned());
            }
            // Not to count is what sets here do anyway.
            "update-counters" | "update-subcounters" if given.not => return Ok(()),
            _ => return Err("entries of sets here do not count".to_owned()),
        }
        let name = given.value;
        if name.is_empty() || name.len() > SET_NAME_MAX {
            return Err(format!("`{name}` is no name of a set: 1 to {SET_NAME_MAX} characters"));
        }
        let direction = |word: &str| match word {
            "src" => Ok(SetDirection::Source),
            "dst" => Ok(SetDirection::Destination),
            _ => Err(format!("`{word}` is no direction of a set: src or dst, with commas between")),
        };
        let directions = given.second.split(',').map(direction).collect::<Result<Vec<_>, _>>()?;
        if directions.len() > DIMENSIONS_MAX {
            return Err(format!("a set has {DIMENSIONS_MAX} dimensions at most"));
        }
        self.0 = given.not(SetMatch { name: name.to_owned(), directions });
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        Ok(Made::Match(Match::Set(self.0.clone().ok_or("`-m set` needs `--match-set NAME src|dst`")?)))
    }
}
