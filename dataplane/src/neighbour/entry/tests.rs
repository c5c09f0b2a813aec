//! The whole table of transitions, printed: what each state does with each thing that can happen.

use super::*;

const INTERFACE: InterfaceId = InterfaceId(0);
const KNOWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
const START: Instant = Instant::from_micros(100_000_000);
const REACHABLE: Duration = Duration::from_secs(30);

fn entry(state: State) -> Entry<()> {
    let mut entry = Entry::new(START, INTERFACE, IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), state);
    entry.mac = Some(KNOWN).filter(|_| !matches!(state, State::Incomplete | State::Failed));
    entry.attempts = limits::NEIGHBOUR_SOLICITATIONS;
    entry
}

fn say(entry: &Entry<()>) -> String {
    let place = match entry.mac {
        Some(OTHER) => " at the other",
        Some(_) => "",
        None => " nowhere",
    };
    let time = entry.deadline.map_or(String::new(), |deadline| format!(" for {} s", (deadline - START).as_secs()));
    format!("{:?}{place}{time}", entry.state)
}

fn answers(mac: Option<MacAddress>, solicited: bool, overrides: bool) -> Claim {
    Claim::Answers { mac, solicited, overrides }
}

#[test]
fn table_of_transitions() {
    let claims = [
        ("asks", Claim::Asks { mac: KNOWN }),
        ("asks, elsewhere", Claim::Asks { mac: OTHER }),
        ("answers", answers(Some(KNOWN), true, true)),
        ("answers, elsewhere", answers(Some(OTHER), true, true)),
        ("answers, elsewhere, not overriding", answers(Some(OTHER), true, false)),
        ("announces", answers(Some(KNOWN), false, true)),
        ("announces, elsewhere", answers(Some(OTHER), false, true)),
        ("answers without address", answers(None, true, true)),
    ];
    let mut table = String::new();
    for state in [State::Incomplete, State::Reachable, State::Stale, State::Delay, State::Probe, State::Failed] {
        table += &format!("{state:?}\n");
        let mut it = entry(state);
        let (resolution, _) = it.handle_use(START);
        let resolution = if let Resolution::Known(_) = resolution { "Known".into() } else { format!("{resolution:?}") };
        table += &format!("  used: {resolution}, {}\n", say(&it));
        for (what, claim) in claims {
            let mut it = entry(state);
            let learned = it.handle_claim(START, claim, REACHABLE);
            table += &format!("  {what}: {learned:?}, {}\n", say(&it));
        }
        let mut it = entry(state);
        it.handle_confirmation(START, REACHABLE);
        table += &format!("  confirmed: {}\n", say(&it));
        let mut it = entry(state);
        let expiry = match it.handle_timeout(START) {
            Expiry::Stale => "nothing to do",
            Expiry::Solicit(Some(_)) => "ask it",
            Expiry::Solicit(None) => "ask all",
            Expiry::Failed => "failed",
            Expiry::Gone => "gone",
        };
        table += &format!("  timeout: {expiry}, {}\n", say(&it));
    }
    assert_eq!(table, EXPECTED, "\n{table}");
}

const EXPECTED: &str = "\
Incomplete
  used: Pending, Incomplete nowhere
  asks: New, Stale
  asks, elsewhere: New, Stale at the other
  answers: New, Reachable for 30 s
  answers, elsewhere: New, Reachable at the other for 30 s
  answers, elsewhere, not overriding: New, Reachable at the other for 30 s
  announces: New, Stale
  announces, elsewhere: New, Stale at the other
  answers without address: Ignored, Incomplete nowhere
  confirmed: Incomplete nowhere
  timeout: failed, Failed nowhere for 1 s
Reachable
  used: Known, Reachable
  asks: Same, Reachable
  asks, elsewhere: Moved, Stale at the other
  answers: Same, Reachable for 30 s
  answers, elsewhere: Moved, Reachable at the other for 30 s
  answers, elsewhere, not overriding: Ignored, Stale
  announces: Same, Reachable
  announces, elsewhere: Moved, Stale at the other
  answers without address: Same, Reachable for 30 s
  confirmed: Reachable for 30 s
  timeout: nothing to do, Stale
Stale
  used: Known, Delay for 5 s
  asks: Same, Stale
  asks, elsewhere: Moved, Stale at the other
  answers: Same, Reachable for 30 s
  answers, elsewhere: Moved, Reachable at the other for 30 s
  answers, elsewhere, not overriding: Ignored, Stale
  announces: Same, Stale
  announces, elsewhere: Moved, Stale at the other
  answers without address: Same, Reachable for 30 s
  confirmed: Reachable for 30 s
  timeout: nothing to do, Stale
Delay
  used: Known, Delay
  asks: Same, Delay
  asks, elsewhere: Moved, Stale at the other
  answers: Same, Reachable for 30 s
  answers, elsewhere: Moved, Reachable at the other for 30 s
  answers, elsewhere, not overriding: Ignored, Delay
  announces: Same, Delay
  announces, elsewhere: Moved, Stale at the other
  answers without address: Same, Reachable for 30 s
  confirmed: Reachable for 30 s
  timeout: ask it, Probe for 1 s
Probe
  used: Known, Probe
  asks: Same, Probe
  asks, elsewhere: Moved, Stale at the other
  answers: Same, Reachable for 30 s
  answers, elsewhere: Moved, Reachable at the other for 30 s
  answers, elsewhere, not overriding: Ignored, Probe
  announces: Same, Probe
  announces, elsewhere: Moved, Stale at the other
  answers without address: Same, Reachable for 30 s
  confirmed: Reachable for 30 s
  timeout: gone, Probe
Failed
  used: Unreachable, Failed nowhere
  asks: New, Stale
  asks, elsewhere: New, Stale at the other
  answers: New, Reachable for 30 s
  answers, elsewhere: New, Reachable at the other for 30 s
  answers, elsewhere, not overriding: New, Reachable at the other for 30 s
  announces: New, Stale
  announces, elsewhere: New, Stale at the other
  answers without address: Ignored, Failed nowhere
  confirmed: Failed nowhere
  timeout: gone, Failed nowhere
";
