//! The node's words: `delay=10ms`, `ab.loss=1%`, `rate=100mbit`. What is not understood is an error that names the word;
//! nothing is guessed, because a figure over other conditions than meant is worse than none.

use std::time::Duration;

use sim::link::Conditions;

/// Bytes that may wait for a rate when nothing is said of them: a small router's buffer.
const QUEUE: u64 = 256 * 1024;

/// What was said: conditions by direction, and the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    pub(crate) ab: Conditions,
    pub(crate) ba: Conditions,
    pub(crate) seed: u64,
}

impl Words {
    pub(crate) fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Words, String> {
        let clean = Conditions { delay: Duration::ZERO, queue: QUEUE, ..Conditions::CLEAN };
        let mut all = Words { ab: clean, ba: clean, seed: 1 };
        for word in words {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("{word}: no KEY=VALUE"))?;
            let understood = match key.split_once('.') {
                None if key == "seed" => value.parse().map(|seed| all.seed = seed).is_ok(),
                None => set(&mut all.ab, key, value).and_then(|()| set(&mut all.ba, key, value)).is_some(),
                Some(("ab", key)) => set(&mut all.ab, key, value).is_some(),
                Some(("ba", key)) => set(&mut all.ba, key, value).is_some(),
                Some(_) => false,
            };
            if !understood {
                return Err(format!("{word}: not understood"));
            }
        }
        Ok(all)
    }
}

fn set(conditions: &mut Conditions, key: &str, value: &str) -> Option<()> {
    match key {
        "delay" => conditions.delay = time(value)?,
        "jitter" => conditions.jitter = time(value)?,
        "held" => conditions.held = Some(time(value)?),
        "loss" => conditions.loss = share(value)?,
        "duplication" => conditions.duplication = share(value)?,
        "reorder" => conditions.reorder = share(value)?,
        "corruption" => conditions.corruption = share(value)?,
        "rate" => conditions.rate = Some(number(value, &[("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3), ("bit", 1.0)])?),
        "queue" => conditions.queue = number(value, &[("MB", 1e6), ("kB", 1e3), ("B", 1.0)])?,
        _ => return None,
    }
    Some(())
}

fn time(value: &str) -> Option<Duration> {
    number(value, &[("ms", 1e3), ("us", 1.0), ("s", 1e6)]).map(Duration::from_micros)
}

/// `1%`, or `0`.
fn share(value: &str) -> Option<f64> {
    let share = if value == "0" { 0.0 } else { value.strip_suffix('%')?.parse::<f64>().ok()? / 100.0 };
    (0.0..=1.0).contains(&share).then_some(share)
}

/// A number with one of these units; the first that fits, so the longer ones come first.
fn number(value: &str, units: &[(&str, f64)]) -> Option<u64> {
    let (digits, unit) = units.iter().find_map(|(unit, factor)| Some((value.strip_suffix(unit)?, factor)))?;
    let number = digits.parse::<f64>().ok()? * unit;
    (0.0..1e15).contains(&number).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Words, String> {
        Words::parse(line.split_whitespace())
    }

    #[test]
    fn words_mean_what_they_say() {
        let words = parse("delay=10ms jitter=200us held=1.5ms loss=1% ab.reorder=5% rate=100mbit queue=250kB seed=7");
        let Words { ab, ba, seed } = words.expect("all good");
        assert_eq!((ab.delay, ba.jitter), (Duration::from_millis(10), Duration::from_micros(200)));
        assert_eq!((ab.held, ab.loss), (Some(Duration::from_micros(1_500)), 0.01));
        assert_eq!((ab.reorder, ba.reorder), (0.05, 0.0), "one direction only");
        assert_eq!((ba.rate, ba.queue, seed), (Some(100_000_000), 250_000, 7));
        let Words { ab, .. } = parse("").expect("no words are none too few");
        assert_eq!((ab.delay, ab.rate, ab.loss), (Duration::ZERO, None, 0.0));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for word in ["loss=1", "loss=101%", "delay=10", "delay", "speed=1mbit", "xy.loss=1%", "seed=x", "rate=-1mbit"] {
            assert!(parse(&format!("loss=1% {word}")).is_err_and(|why| why.starts_with(word)), "{word}");
        }
    }
}
