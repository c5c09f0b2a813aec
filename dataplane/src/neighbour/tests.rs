//! Neighbours found, lost and looked for, on virtual time; every bound reached.

use proptest::prelude::*;

use super::*;
use crate::packet::testing::TestFrame;

const LINK: InterfaceId = InterfaceId(3);
const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 7]);
const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 8]);
const SECOND: Duration = Duration::from_secs(1);

fn host(n: u32) -> IpAddr {
    IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + n))
}

fn answer(mac: MacAddress) -> Claim {
    Claim::Answers { mac: Some(mac), solicited: true, overrides: true }
}

/// A frame that can be told from others.
fn frame(n: u8) -> TestFrame {
    let mut frame = TestFrame::new();
    frame.push(&[0, 0, 0, 0, 0, 0, n]).expect("room");
    frame
}

struct World {
    now: Instant,
    table: Neighbours<TestFrame>,
}

impl World {
    fn new() -> Self {
        Self::with(Bounds::default())
    }

    fn with(bounds: Bounds) -> Self {
        Self { now: Instant::from_micros(5_000_000), table: Neighbours::new(1, bounds) }
    }

    fn resolve(&mut self, address: IpAddr) -> Resolution {
        self.table.resolve(self.now, LINK, address)
    }

    fn claim(&mut self, address: IpAddr, claim: Claim) -> Learned {
        self.table.handle_claim(self.now, LINK, address, claim)
    }

    fn state(&self, address: IpAddr) -> Option<State> {
        self.table.iter().find(|&(_, of, ..)| of == address).map(|(_, _, state, _)| state)
    }

    /// Passes the time, stopping at every deadline; returns what came out, with the second it came in.
    fn pass(&mut self, time: Duration) -> Vec<(u64, Event<TestFrame>)> {
        let (start, end) = (self.now, self.now + time);
        let mut out = Vec::new();
        loop {
            while let Some(event) = self.table.poll() {
                out.push(((self.now - start).as_secs(), event));
            }
            match self.table.deadline().filter(|&deadline| deadline <= end) {
                Some(deadline) => self.now = self.now.max(deadline),
                None => break,
            }
            self.table.handle_timeout(self.now);
        }
        self.now = end;
        out
    }

    fn events(&mut self) -> Vec<Event<TestFrame>> {
        std::iter::from_fn(|| self.table.poll()).collect()
    }
}

fn ask(target: IpAddr, unicast: Option<MacAddress>) -> Event<TestFrame> {
    Event::Solicit { interface: LINK, target, unicast }
}

#[test]
fn found_at_once() {
    for address in [host(1), "fd00::1".parse().expect("an address")] {
        let mut world = World::new();
        assert_eq!(world.resolve(address), Resolution::Pending);
        assert_eq!(world.table.hold(LINK, address, frame(1)), None);
        assert_eq!(world.resolve(address), Resolution::Pending);
        assert_eq!(world.table.hold(LINK, address, frame(2)), None);
        assert_eq!(world.events(), [ask(address, None)], "asked once");
        assert_eq!(world.claim(address, answer(MAC)), Learned::New);
        let sent: Vec<_> = world.events();
        let addressed = |n| TestFrame { bytes: vec![2, 0, 0, 0, 0, 7, n], ..frame(n) };
        let send = |n| Event::Send { interface: LINK, frame: addressed(n) };
        assert_eq!(sent, [send(1), send(2)], "in their order, addressed");
        assert_eq!(world.resolve(address), Resolution::Known(MAC));
        assert_eq!((world.table.held(), world.state(address)), (0, Some(State::Reachable)));
        assert_eq!(world.table.resolve(world.now, InterfaceId(4), address), Resolution::Pending, "another link");
    }
}

#[test]
fn never_found() {
    let mut world = World::new();
    assert_eq!(world.resolve(host(1)), Resolution::Pending);
    world.table.hold(LINK, host(1), frame(1));
    world.table.hold(LINK, host(1), frame(2));
    let failed = |frame| Event::Failed { interface: LINK, neighbour: host(1), frame };
    let expected = [
        (0, ask(host(1), None)),
        (1, ask(host(1), None)),
        (2, ask(host(1), None)),
        (3, failed(Some(frame(1)))),
        (3, failed(Some(frame(2)))),
        (3, failed(None)),
    ];
    assert_eq!(world.pass(SECOND * 3), expected);
    assert_eq!(world.resolve(host(1)), Resolution::Unreachable, "and at once, for a while");
    assert!(world.pass(limits::NEIGHBOUR_FAILED - Duration::from_millis(1)).is_empty());
    assert_eq!(world.resolve(host(1)), Resolution::Unreachable);
    world.pass(Duration::from_millis(1));
    assert_eq!((world.table.len(), world.table.held(), world.table.deadline()), (0, 0, None));
    assert_eq!(world.resolve(host(1)), Resolution::Pending, "then it is looked for anew");
}

#[test]
fn a_failed_neighbour_that_comes_up_is_known_at_once() {
    let mut world = World::new();
    world.resolve(host(1));
    world.pass(SECOND * 3);
    assert_eq!(world.claim(host(1), Claim::Asks { mac: MAC }), Learned::New);
    assert_eq!(world.resolve(host(1)), Resolution::Known(MAC));
}

#[test]
fn from_reachable_to_forgotten() {
    let mut world = World::new();
    world.resolve(host(1));
    world.claim(host(1), answer(MAC));
    world.events();
    assert!(world.pass(SECOND * 14).is_empty());
    assert_eq!(world.state(host(1)), Some(State::Reachable), "for 15 s at least");
    world.pass(SECOND * 31);
    assert_eq!(world.state(host(1)), Some(State::Stale), "for 45 s at most");
    assert!(world.pass(SECOND * 1000).is_empty(), "who is not spoken to is not asked");
    assert_eq!(world.resolve(host(1)), Resolution::Known(MAC));
    let probes = [5, 6, 7].map(|at| (at, ask(host(1), Some(MAC))));
    assert_eq!(world.pass(SECOND * 8), probes);
    assert_eq!((world.table.len(), world.table.deadline()), (0, None));
}

#[test]
fn confirmation_spares_the_question() {
    let mut world = World::new();
    world.resolve(host(1));
    world.claim(host(1), answer(MAC));
    world.events();
    for _ in 0..100 {
        assert_eq!(world.pass(SECOND * 10), []);
        assert_eq!(world.resolve(host(1)), Resolution::Known(MAC));
        world.table.confirm(world.now, LINK, host(1));
        assert_eq!(world.state(host(1)), Some(State::Reachable));
    }
    assert_eq!(world.table.timers.len(), 1, "confirmations leave no timers behind");
}

#[test]
fn a_probe_that_is_answered() {
    let mut world = World::new();
    assert_eq!(world.claim(host(1), Claim::Asks { mac: MAC }), Learned::New);
    assert_eq!(world.state(host(1)), Some(State::Stale));
    world.resolve(host(1));
    assert_eq!(world.pass(SECOND * 5), [(5, ask(host(1), Some(MAC)))]);
    assert_eq!(world.claim(host(1), answer(MAC)), Learned::Same);
    assert_eq!(world.pass(SECOND * 10), []);
    assert_eq!(world.state(host(1)), Some(State::Reachable));
}

#[test]
fn a_neighbour_that_moves() {
    let mut world = World::new();
    world.resolve(host(1));
    world.claim(host(1), answer(MAC));
    let announcement = Claim::Answers { mac: Some(OTHER), solicited: false, overrides: true };
    assert_eq!(world.claim(host(1), announcement), Learned::Moved);
    assert_eq!(world.resolve(host(1)), Resolution::Known(OTHER));
    assert_eq!(world.claim(host(2), announcement), Learned::Ignored, "who was not asked is not learned");
    assert_eq!(world.table.len(), 1);
}

#[test]
fn groups_need_no_asking() {
    let mut world = World::new();
    let known = |text: &str| Resolution::Known(text.parse().expect("a station address"));
    assert_eq!(world.resolve("255.255.255.255".parse().expect("ip")), known("ff:ff:ff:ff:ff:ff"));
    assert_eq!(world.resolve("239.129.2.3".parse().expect("ip")), known("01:00:5e:01:02:03"));
    assert_eq!(world.resolve("ff02::1:2".parse().expect("ip")), known("33:33:00:01:00:02"));
    assert!(world.table.is_empty());
}

#[test]
fn a_queue_keeps_the_latest() {
    let mut world = World::new();
    world.resolve(host(1));
    for n in 0..limits::NEIGHBOUR_QUEUE as u8 {
        assert_eq!(world.table.hold(LINK, host(1), frame(n)), None);
    }
    assert_eq!(world.table.hold(LINK, host(1), frame(99)), Some((frame(0), Overflow::Replaced)));
    assert_eq!(world.table.held(), limits::NEIGHBOUR_QUEUE);
}

#[test]
fn all_queues_together_are_bounded() {
    let mut world = World::new();
    let per_host = limits::NEIGHBOUR_QUEUE as u32;
    let hosts = limits::NEIGHBOUR_QUEUE_TOTAL as u32 / per_host;
    for n in 0..hosts * per_host {
        world.resolve(host(n / per_host));
        assert_eq!(world.table.hold(LINK, host(n / per_host), frame(0)), None);
    }
    world.resolve(host(hosts));
    assert_eq!(world.table.hold(LINK, host(hosts), frame(5)), Some((frame(5), Overflow::Total)));
    assert_eq!(world.table.held(), limits::NEIGHBOUR_QUEUE_TOTAL);
    let failed = world.pass(SECOND * 3);
    let frames = failed.iter().filter(|(_, event)| matches!(event, Event::Failed { frame: Some(_), .. })).count();
    assert_eq!((frames, world.table.held()), (limits::NEIGHBOUR_QUEUE_TOTAL, 0), "every frame comes back");
}

#[test]
fn who_is_not_looked_for_holds_nothing() {
    let mut world = World::new();
    assert_eq!(world.table.hold(LINK, host(1), frame(1)), Some((frame(1), Overflow::NotPending)));
}

#[test]
fn a_scan_cannot_push_out_who_is_there() {
    let mut world = World::new();
    world.resolve(host(0));
    world.claim(host(0), answer(MAC));
    let mut answers = std::collections::HashMap::<_, usize>::new();
    for n in 1..10_000 {
        *answers.entry(format!("{:?}", world.resolve(host(n)))).or_insert(0) += 1;
    }
    assert_eq!(answers["Pending"], limits::NEIGHBOURS_INCOMPLETE);
    assert_eq!(answers["Full"], 9_999 - limits::NEIGHBOURS_INCOMPLETE);
    assert_eq!(world.resolve(host(0)), Resolution::Known(MAC));
    world.pass(SECOND * 4);
    assert_eq!(world.table.len(), 1, "the search ends and leaves nothing");
}

#[test]
fn a_full_table_forgets_the_least_used_and_keeps_its_bound() {
    let bounds = Bounds { neighbours: 16, incomplete: 8, ..Bounds::default() };
    let mut world = World::with(bounds);
    for n in 0..16 {
        assert_eq!(world.claim(host(n), Claim::Asks { mac: MAC }), Learned::New);
        world.pass(Duration::from_millis(1));
    }
    assert_eq!(world.claim(host(16), Claim::Asks { mac: MAC }), Learned::New);
    assert_eq!((world.table.len(), world.state(host(0))), (16, None), "the oldest went");
    // Those in use are not forgotten for strangers, and for our own need only when they are not being asked.
    for n in 1..17 {
        world.resolve(host(n));
        world.table.confirm(world.now, LINK, host(n));
    }
    assert_eq!(world.claim(host(20), Claim::Asks { mac: MAC }), Learned::NoRoom);
    assert_eq!(world.resolve(host(20)), Resolution::Pending);
    assert_eq!(world.table.len(), 16);
}

#[test]
fn a_flood_of_claims_stops_at_the_bound() {
    let mut world = World::new();
    world.resolve(host(0));
    world.claim(host(0), answer(MAC));
    for n in 1..limits::NEIGHBOURS as u32 * 3 {
        assert_eq!(world.claim(host(n), Claim::Asks { mac: OTHER }), Learned::New);
    }
    assert_eq!((world.table.len(), world.table.entries.len()), (limits::NEIGHBOURS, limits::NEIGHBOURS));
    assert_eq!(world.resolve(host(0)), Resolution::Known(MAC), "who is in use stays");
}

#[test]
fn what_is_not_wanted_any_more_is_forgotten() {
    let mut world = World::new();
    world.claim(host(1), Claim::Asks { mac: MAC });
    world.resolve(host(2));
    world.table.hold(LINK, host(2), frame(2));
    world.claim(host(3), Claim::Asks { mac: MAC });
    world.events();
    world.table.retain(|_, address| address == host(3));
    let failed = |frame| Event::Failed { interface: LINK, neighbour: host(2), frame };
    assert_eq!(world.events(), [failed(Some(frame(2))), failed(None)]);
    assert_eq!((world.table.len(), world.table.held(), world.table.deadline()), (1, 0, None));
}

#[derive(Clone, Debug)]
enum Step {
    Send(u32),
    Claim(u32, Claim),
    Confirm(u32),
    Pass(u64),
    Poll,
}

fn step() -> impl Strategy<Value = Step> {
    let mac = prop_oneof![Just(MAC), Just(OTHER)];
    let claim = prop_oneof![
        mac.clone().prop_map(|mac| Claim::Asks { mac }),
        (proptest::option::of(mac), any::<bool>(), any::<bool>())
            .prop_map(|(mac, solicited, overrides)| Claim::Answers { mac, solicited, overrides }),
    ];
    prop_oneof![
        4 => (0..40u32).prop_map(Step::Send),
        3 => (0..40u32, claim).prop_map(|(n, claim)| Step::Claim(n, claim)),
        1 => (0..40u32).prop_map(Step::Confirm),
        2 => (0..40_000u64).prop_map(Step::Pass),
        1 => Just(Step::Poll),
    ]
}

proptest! {
    /// Whatever happens: bounds hold, counts are right, no frame is lost or doubled, and rest brings it to nothing.
    #[test]
    fn frames_come_back_exactly_once(steps in proptest::collection::vec(step(), 0..300)) {
        let bounds = Bounds { neighbours: 24, incomplete: 12, queue: 3, queue_total: 9 };
        let mut world = World::with(bounds);
        let (mut given, mut back) = (0, 0);
        let returned = |events: &[Event<TestFrame>]| {
            let is_frame = |e: &&Event<TestFrame>| matches!(e, Event::Send { .. } | Event::Failed { frame: Some(_), .. });
            events.iter().filter(is_frame).count()
        };
        for step in steps {
            match step {
                Step::Send(n) => {
                    if world.resolve(host(n)) == Resolution::Pending {
                        given += 1;
                        back += usize::from(world.table.hold(LINK, host(n), frame(0)).is_some());
                    }
                }
                Step::Claim(n, claim) => {
                    world.claim(host(n), claim);
                }
                Step::Confirm(n) => world.table.confirm(world.now, LINK, host(n)),
                Step::Pass(ms) => {
                    let events: Vec<_> = world.pass(Duration::from_millis(ms)).into_iter().map(|(_, e)| e).collect();
                    back += returned(&events);
                }
                Step::Poll => back += returned(&world.events()),
            }
            let table = &world.table;
            prop_assert!(table.len() <= bounds.neighbours && table.held() <= bounds.queue_total);
            let incomplete = table.iter().filter(|(_, _, state, _)| *state == State::Incomplete).count();
            prop_assert_eq!(incomplete, table.incomplete);
            prop_assert!(incomplete <= bounds.incomplete && table.timers.len() <= table.len());
            prop_assert_eq!(given, back + table.held());
        }
        let rest = world.pass(SECOND * 300);
        back += returned(&rest.into_iter().map(|(_, event)| event).collect::<Vec<_>>());
        prop_assert_eq!((given, world.table.held(), world.table.deadline()), (back, 0, None));
    }
}
