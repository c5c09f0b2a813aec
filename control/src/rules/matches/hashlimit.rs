//! `-m hashlimit`: a rate for each group of flows, in flows or in bytes.
//! What a value means for a flow is the policy's matter; here is how it is written, checked and printed.

use super::super::criteria::{Burst, Family, HashKeys, HashLimit, HashRate, Match};
use super::super::modules::{Draft, Facts, Given, Made, Module, within};
use super::super::options::Spec;
use super::rate;

const UPTO: Spec = Spec::value("hashlimit-upto").not();

pub(super) static HASHLIMIT: Module = Module {
    name: "hashlimit",
    spelled: "-m hashlimit",
    options: &[
        UPTO,
        UPTO.alias("hashlimit"),
        Spec::value("hashlimit-above").not(),
        Spec::value("hashlimit-burst"),
        Spec::value("hashlimit-mode"),
        Spec::value("hashlimit-name"),
        Spec::value("hashlimit-srcmask"),
        Spec::value("hashlimit-dstmask"),
        Spec::value("hashlimit-htable-size"),
        Spec::value("hashlimit-htable-max"),
        Spec::value("hashlimit-htable-expire"),
        Spec::value("hashlimit-htable-gcinterval"),
        Spec::flag("hashlimit-rate-match"),
        Spec::value("hashlimit-rate-interval"),
    ],
    new: || Box::new(HashLimitDraft::default()),
};

/// Parts of a second in which hashlimit keeps its period.
pub(super) const SCALE: u64 = 1_000_000;
/// Bytes are counted in sixteens, as iptables does.
const CHUNK: u64 = 16;
/// The whole address, in both families.
pub(super) const WHOLE: u8 = 128;
/// Burst where a rule says none.
const BURST: u32 = 5;
/// Characters of a table's name in iptables.
const NAME_MAX: usize = 254;

#[derive(Default)]
struct HashLimitDraft {
    above: Option<bool>,
    rate: Option<HashRate>,
    burst: Option<String>,
    keys: HashKeys,
    name: Option<String>,
    source_length: Option<u8>,
    destination_length: Option<u8>,
    size: Option<u32>,
    max: Option<u32>,
    expire_ms: Option<u32>,
    sweep_ms: Option<u32>,
    rate_match: bool,
    rate_interval_s: Option<u32>,
}

impl Draft for HashLimitDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let word = given.value;
        let count = |least| within(word, least, u64::from(u32::MAX)).map(|count| Some(count as u32));
        match given.option {
            "hashlimit-upto" | "hashlimit-above" => {
                self.rate = Some(rate_of(word)?);
                if self.above.replace((given.option == "hashlimit-above") != given.not).is_some() {
                    return Err("`--hashlimit-upto` and `--hashlimit-above` exclude each other".to_owned());
                }
            }
            "hashlimit-burst" => self.burst = Some(word.to_owned()),
            "hashlimit-mode" => self.keys = keys(word)?,
            "hashlimit-name" => {
                if word.is_empty() || word.len() > NAME_MAX || word.contains('/') || word == "." || word == ".." {
                    return Err(format!("`{word}` is no name of a table: 1 to {NAME_MAX} characters without `/`"));
                }
                self.name = Some(word.to_owned());
            }
            "hashlimit-srcmask" => self.source_length = Some(within(word, 0, u64::from(WHOLE))? as u8),
            "hashlimit-dstmask" => self.destination_length = Some(within(word, 0, u64::from(WHOLE))? as u8),
            "hashlimit-htable-size" => self.size = count(0)?,
            "hashlimit-htable-max" => self.max = count(0)?,
            "hashlimit-htable-expire" => self.expire_ms = count(1)?,
            "hashlimit-htable-gcinterval" => self.sweep_ms = count(1)?,
            "hashlimit-rate-match" => self.rate_match = true,
            _ => self.rate_interval_s = count(1)?,
        }
        Ok(())
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        let rate = self.rate.ok_or("`-m hashlimit` needs `--hashlimit-upto` or `--hashlimit-above`")?;
        let name = self.name.clone().ok_or("`-m hashlimit` needs `--hashlimit-name`")?;
        if self.rate_interval_s.is_some() && !self.rate_match {
            facts.warn("`--hashlimit-rate-interval` without `--hashlimit-rate-match` says nothing", "leave it out");
        }
        let v4 = facts.family == Some(Family::V4);
        let length = |length: Option<u8>| match length {
            Some(beyond) if v4 && beyond > 32 => Err("a mask of IPv4 has 0 to 32 bits".to_owned()),
            Some(32) if v4 => Ok(WHOLE),
            other => Ok(other.unwrap_or(WHOLE)),
        };
        Ok(Made::Match(Match::HashLimit(Box::new(HashLimit {
            name,
            above: self.above.unwrap_or_default(),
            rate,
            burst: burst(self.burst.as_deref(), rate)?,
            keys: self.keys,
            source_length: length(self.source_length)?,
            destination_length: length(self.destination_length)?,
            size: self.size.filter(|size| *size > 0),
            max: self.max.filter(|max| *max > 0),
            expire_ms: self.expire_ms,
            sweep_ms: self.sweep_ms.filter(|sweep| *sweep != 1000),
            rate_match: self.rate_match,
            rate_interval_s: self.rate_interval_s.filter(|_| self.rate_match).unwrap_or(1),
        }))))
    }
}

fn burst(word: Option<&str>, rate: HashRate) -> Result<Burst, String> {
    let bad = |why: &str| format!("`--hashlimit-burst {}`: {why}", word.unwrap_or_default());
    match (rate, word) {
        (HashRate::Flows { .. }, None) => Ok(Burst::Flows(BURST)),
        (HashRate::Flows { .. }, Some(word)) => {
            let flows = within(word, 1, SCALE).map_err(|_| bad("a number of flows up to 1000000 was expected"))?;
            Ok(Burst::Flows(flows as u32))
        }
        (HashRate::Bytes { .. }, None) => Ok(Burst::Bytes(0)),
        (HashRate::Bytes { per_second }, Some(word)) => {
            let burst = bytes(word).filter(|burst| *burst >= per_second);
            let burst = burst.ok_or_else(|| bad(&format!("at least `{per_second}b`, the rate, was expected")))?;
            Ok(Burst::Bytes(burst))
        }
    }
}

/// `5/second`, `512kb/s`.
fn rate_of(word: &str) -> Result<HashRate, String> {
    let Some(per_second) = word.strip_suffix("/s").and_then(bytes) else {
        return rate::period(word, SCALE).map(|period| HashRate::Flows { period });
    };
    match per_second / CHUNK * CHUNK {
        0 => Err(format!("`{word}` is too slow: {CHUNK}b/s are possible")),
        _ if per_second / CHUNK > u64::from(u32::MAX) => Err(format!("`{word}` is too fast")),
        per_second => Ok(HashRate::Bytes { per_second }),
    }
}

/// `n` with `b`, `kb` or `mb`.
fn bytes(word: &str) -> Option<u64> {
    let number = word.strip_suffix('b')?;
    let (digits, unit) = match (number.strip_suffix('k'), number.strip_suffix('m')) {
        (Some(digits), _) => (digits, 1 << 10),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (number, 1),
    };
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Bytes in the largest unit that tells them whole.
pub(super) fn in_bytes(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 20) => format!("{}mb", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{}kb", bytes >> 10),
        _ => format!("{bytes}b"),
    }
}

fn keys(word: &str) -> Result<HashKeys, String> {
    let mut keys = HashKeys::default();
    for name in word.split(',').filter(|name| !name.is_empty()) {
        match &*name.to_ascii_lowercase() {
            "srcip" => keys.source = true,
            "srcport" => keys.source_port = true,
            "dstip" => keys.destination = true,
            "dstport" => keys.destination_port = true,
            _ => return Err(format!("`{name}` is no mode: srcip, srcport, dstip or dstport was expected")),
        }
    }
    Ok(keys)
}
