//! `-m limit`, and rates as iptables writes them: `5/second`, `7/min`.
//! What a value means for a flow is the policy's matter; here is how it is written, checked and printed.

use super::super::criteria::{Limit, Match};
use super::super::modules::{Draft, Facts, Given, Made, Module, by_beginning, within};
use super::super::options::Spec;

pub(super) static LIMIT: Module = Module {
    name: "limit",
    spelled: "-m limit",
    options: &[Spec::value("limit"), Spec::value("limit-burst")],
    // iptables' defaults: three an hour, five at once.
    new: || Box::new(Limit { period: 3600 * SCALE as u32 / 3, burst: 5 }),
};

/// Parts of a second in which `-m limit` keeps its period.
pub(super) const SCALE: u64 = 10_000;

/// The longest time a full bucket may take to fill, in those parts: the kernel counts it in 32 parts for each of its
/// thousand ticks a second, in 32 bits, and refuses what does not fit.
const FULL_MAX: u64 = (u32::MAX as u64 / 32) * (SCALE / 1000);

impl Draft for Limit {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        match given.option {
            "limit" => self.period = period(given.value, SCALE)? as u32,
            _ => self.burst = within(given.value, 0, 10_000)? as u32,
        }
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        if self.burst == 0 {
            return Err("`--limit-burst 0` lets nothing match".to_owned());
        }
        if u64::from(self.period) * u64::from(self.burst) > FULL_MAX {
            return Err(format!("{} at that rate take too long to gather: lower `--limit-burst`", self.burst));
        }
        Ok(Made::Match(Match::Limit(*self)))
    }
}

const UNITS: [(&str, u64); 4] = [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];

/// Time for one of `n/unit`, in parts of a second of which there are `scale`.
pub(super) fn period(word: &str, scale: u64) -> Result<u64, String> {
    let wrong = || format!("`{word}` is no rate: n/second, n/minute, n/hour or n/day was expected");
    let (count, unit) = match word.split_once('/') {
        Some((count, unit)) => (count, by_beginning(unit, &UNITS).ok_or_else(wrong)?),
        None => (word, 1),
    };
    let count = within(count, 1, u64::from(u32::MAX)).map_err(|_| wrong())?;
    match scale * unit / count {
        0 => Err(format!("`{word}` is too fast: {scale} a second are possible")),
        period => Ok(period),
    }
}

/// A period as `n/unit`, in the finest unit that tells it well enough, as iptables-save does.
pub(super) fn rate(period: u64, scale: u64) -> String {
    let units = [("day", 86_400 * scale), ("hour", 3600 * scale), ("min", 60 * scale), ("sec", scale)];
    let tells = |(_, unit): &&(&str, u64)| period <= *unit && *unit / period >= *unit % period;
    let (name, unit) = units[units.iter().skip(1).take_while(tells).count()];
    format!("{}/{name}", unit / period)
}
