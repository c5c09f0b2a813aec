//! How old the log-in is that this program runs in: the age of the process that leads its session, as `/proc` tells.
//!
//! A new SSH connection, console log-in or `setsid` has a leader of its own; what is started from a shell has the
//! shell's. Left out: log-ins whose leader is hidden (another PID namespace), which count as of unknown age.

/// Ticks a second in `/proc`: the kernel's USER_HZ, 100 on every architecture that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Milliseconds since the session's leader was started.
pub(super) fn age_ms() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let leader = session(&read("/proc/self/stat")?)?;
    age_of(&read(&format!("/proc/{leader}/stat"))?, &read("/proc/uptime")?)
}

/// proc(5): the sixth field is the session; the second may have blanks and brackets in it.
fn session(stat: &str) -> Option<u32> {
    field(stat, 6)?.parse().ok().filter(|leader| *leader != 0)
}

/// The 22nd field is the start, in ticks since the machine's.
fn age_of(stat: &str, uptime: &str) -> Option<u64> {
    let started: f64 = field(stat, 22)?.parse().ok()?;
    let up: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some(((up - started / TICKS_PER_SECOND) * 1_000.0).max(0.0) as u64)
}

fn field(stat: &str, number: usize) -> Option<&str> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(number - 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "812 (a ) name) S 1 811 810 34816 812 4194304 1 0 0 0 5 3 0 0 20 0 1 0 123450 1 2 3";

    #[test]
    fn the_leader_and_its_age() {
        assert_eq!(session(STAT), Some(810));
        assert_eq!(age_of(STAT, "1244.50 99.1\n"), Some(10_000));
        assert_eq!(age_of(STAT, "1.0 1.0"), Some(0), "clocks differ by a tick");
        assert_eq!(session("812 (x) S 1 811 0 0"), None, "hidden in another namespace");
        assert_eq!(age_of("812 (x) S", "1.0 1.0"), None);
    }

    #[test]
    fn our_own_session_has_an_age_or_none() {
        // In a container its leader may be hidden; else it is older than nothing.
        if let Some(age) = age_ms() {
            assert!(age < 1_000_000_000_000);
        }
    }
}
