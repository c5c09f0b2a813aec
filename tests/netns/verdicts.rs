//! Verdicts as Linux gives them: the same rules and the same first packets of flows through the kernel, in a namespace
//! that is thrown away, and through [`control::Policy::decide`].
//!
//! ```text
//!   tap a ──→ PREROUTING ──→ FORWARD ──→ POSTROUTING ──→ tap b        generated rules, each with a number as comment
//!   tap b ──→      └──────→ INPUT                        tap a        generated packets, each with a number as payload
//! ```
//!
//! A batch of packets goes through one rule set. Then every rule and every chain's policy must have counted the same
//! packets and bytes in both, lengths being chosen so that sums tell packets apart; and the packets that left on the
//! other side must be the same, with the same addresses after translation. What is drawn: tables raw, mangle, nat, filter
//! and tproxy (in Linux: TPROXY at the end of mangle) at the hooks that a packet from a wire meets, chains of their own, and
//! every match that a packet's own bytes, marks and tracking decide; `limit`, `hashlimit` and `recent` at rates at which
//! time does not count. Where the two differ on purpose stands in `verdicts/exceptions.txt`, and they must differ so.
//!
//! Left out: `connlimit` (Linux forgets dropped connections some jiffies later), sets (the tool that makes them is not
//! installed everywhere), `time` (their clocks are not one), OUTPUT (a proxy's leg is no connection of a Linux program).
//! `LIMPID_VERDICTS` is the number of rule sets of each family, `LIMPID_SEED` the seed of the first.

mod exceptions;
mod generate;
mod kernel;
mod limpid;
mod matches;
mod packet;
mod rules;

use std::collections::BTreeMap;

use crate::address::Family;
use generate::Maker;
use kernel::Kernel;
use packet::{Left, Packet};
use rules::Rules;

/// Packets through one rule set.
const BATCH: usize = 48;
/// Rule sets of each family, if nothing else is said.
const SETS: u64 = 120;

/// What became of a batch: packets and bytes by rule and chain, and what left.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    counted: BTreeMap<String, (u64, u64)>,
    left: BTreeMap<u32, Left>,
}

/// How many packets ended how.
type Ends = BTreeMap<&'static str, u64>;

/// Where two outcomes differ, a line each.
fn differences(linux: &Outcome, limpid: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    for (name, ours) in &limpid.counted {
        let theirs = linux.counted.get(name);
        if theirs != Some(ours) {
            found.push(format!("{name}: Linux counted {theirs:?}, Limpid {:?}", Some(ours)));
        }
    }
    for id in linux.left.keys().chain(limpid.left.keys().filter(|id| !linux.left.contains_key(id))) {
        let (theirs, ours) = (linux.left.get(id), limpid.left.get(id));
        if !theirs.zip(ours).is_some_and(|(theirs, ours)| ours.allows(theirs)) {
            let words = |left: Option<&Left>| left.map_or_else(|| "nothing".to_owned(), Left::to_string);
            found.push(format!("packet {id}: from Linux left {}, from Limpid {}", words(theirs), words(ours)));
        }
    }
    found
}

/// Plays packets through rules on both sides: where they differ, and how packets ended.
fn play(kernel: &mut Kernel, rules: &Rules, packets: &[Packet]) -> (Vec<String>, Ends) {
    kernel.load(&rules.for_linux());
    let left = kernel.inject(packets);
    let linux = Outcome { counted: kernel.counters(), left };
    let (limpid, ends) = limpid::decide(kernel.family(), rules, packets);
    (differences(&linux, &limpid), ends)
}

fn agree(family: Family) {
    let Some(mut kernel) = Kernel::new(family) else { return };
    let number = |name: &str, otherwise| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise);
    let (sets, seed) = (number("LIMPID_VERDICTS", SETS), number("LIMPID_SEED", 1));
    let mut maker = Maker::new(family);
    let (mut packets, mut wrong) = (0, Vec::new());
    let mut seen = Ends::new();
    for seed in seed..seed + sets {
        let (rules, batch) = maker.set(seed, BATCH);
        packets += batch.len();
        let (found, ends) = play(&mut kernel, &rules, &batch);
        for (name, count) in ends {
            *seen.entry(name).or_default() += count;
        }
        if !found.is_empty() {
            let batch: String = batch.iter().map(|packet| format!("  {packet}\n")).collect();
            eprintln!("seed {seed} differs in {} lines", found.len());
            wrong.push(format!("seed {seed}:\n{}\n{batch}{}", rules.for_limpid(), found.join("\n")));
        }
    }
    eprintln!("{sets} rule sets, {packets} packets: {seen:?}");
    assert!(
        wrong.is_empty(),
        "{} of {sets} rule sets differ\n{}",
        wrong.len(),
        wrong[..wrong.len().min(3)].join("\n\n")
    );
    // A generator that lets everything pass, or nothing, compares nothing.
    for end in ["forward", "local", "drop", "reject", "taken", "translated"] {
        let share = seen.get(end).copied().unwrap_or_default();
        assert!(share * 50 > packets as u64, "{end} is what became of {share} of {packets} packets only");
    }
}

#[test]
fn ipv4_verdicts_are_those_of_linux() {
    agree(Family::V4);
}

#[test]
fn ipv6_verdicts_are_those_of_linux() {
    agree(Family::V6);
}

#[test]
fn exceptions_differ_exactly_as_listed() {
    let listed = exceptions::read(include_str!("verdicts/exceptions.txt"));
    assert!(listed.len() >= 3, "exceptions are missing");
    for family in [Family::V4, Family::V6] {
        let Some(mut kernel) = Kernel::new(family) else { return };
        for exception in listed.iter().filter(|exception| exception.family == family) {
            let (found, _) = play(&mut kernel, &exception.rules, &exception.packets);
            assert_eq!(found, exception.differences, "{}", exception.rules.for_limpid());
        }
    }
}
