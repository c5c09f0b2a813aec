use super::*;
use crate::congestion::rate::Excess;

const SEGMENT: u64 = 1_000;
const RTT: Duration = Duration::from_millis(40);

/// A path of `rate` bytes per second: one acknowledgment per millisecond, window and pace obeyed; a queue without end.
struct Path {
    bbr: Bbr,
    window: u64,
    in_flight: u64,
    now: Instant,
    delivered: u64,
    rate: u64,
    limited: bool,
    losses: LossNews,
    /// Until then acknowledgments tell of a tenth lost.
    lossy_until: Instant,
    /// Each state, and when it was entered.
    states: Vec<(State, Instant)>,
}

impl Path {
    fn new(rate: u64) -> Path {
        let now = Instant::from_micros(1_000_000);
        Path {
            bbr: Bbr::new(SEGMENT),
            window: 10 * SEGMENT,
            in_flight: 0,
            now,
            delivered: 0,
            rate,
            limited: false,
            losses: LossNews::default(),
            lossy_until: Instant::ZERO,
            states: Vec::new(),
        }
    }

    /// For so many milliseconds the path delivers what the window allows, up to its rate; beyond it a queue grows.
    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += Duration::from_millis(1);
            let product = self.rate * 40 / 1_000;
            let pace = self.bbr.pace(self.window, Some(RTT)) / 1_000;
            self.in_flight += self.window.saturating_sub(self.in_flight).min(pace);
            let tx_in_flight = self.in_flight;
            let bytes = self.in_flight.min(product) / 40;
            self.in_flight -= bytes;
            let queued = self.in_flight.saturating_sub(product);
            let rtt = RTT + Duration::from_micros(queued * 1_000_000 / self.rate);
            self.delivered += bytes;
            let sample = Sample {
                rate: Some(bytes * 1_000),
                prior: self.delivered.saturating_sub(self.in_flight),
                delivered: self.delivered,
                limited: self.limited,
                lost: if self.now < self.lossy_until { tx_in_flight / 10 } else { 0 },
                in_flight: tx_in_flight,
            };
            let progress = Progress {
                now: self.now,
                sample,
                bytes,
                rtt: Some(rtt),
                in_flight: self.in_flight,
                losses: std::mem::take(&mut self.losses),
                window_limited: self.window <= self.in_flight + SEGMENT,
                repairing: false,
                sack: true,
            };
            self.window = self.bbr.on_ack(self.window, SEGMENT, &progress);
            if self.states.last().is_none_or(|(state, _)| *state != self.bbr.state) {
                self.states.push((self.bbr.state, self.now));
            }
        }
    }

    fn run_until(&mut self, state: State) {
        for _ in 0..20_000 {
            if self.bbr.state == state {
                return;
            }
            self.run(1);
        }
        panic!("never in {state:?}: {:?}", self.states);
    }

    /// A transmission is lost that left with so much in flight, beyond the threshold.
    fn lose(&mut self, in_flight: u64) {
        let excess = Some(Excess { in_flight, limited: false });
        self.lossy_until = self.now + RTT;
        self.losses = LossNews { bytes: SEGMENT, over: excess, last: excess };
    }

    fn names(&self) -> Vec<State> {
        self.states.iter().map(|(state, _)| *state).collect()
    }
}

/// Appendix A.1, A.3, A.5, A.8.
#[test]
fn finds_the_rate_drains_the_queue_and_goes_round_the_cycle() {
    let mut path = Path::new(10_000_000);
    path.run(4_800);
    assert_eq!(path.bbr.max_rate.get(), 10_000_000);
    assert_eq!(path.bbr.min_rtt.get(), Some(RTT));
    let names = path.names();
    assert!(names.len() >= 6, "{names:?}");
    let cycle = [State::Down, State::Cruise, State::Refill, State::Up];
    // Down is over as soon as the queue is: after Drain at once.
    let expected = [State::Startup, State::Drain].into_iter().chain(cycle.into_iter().cycle().skip(1));
    assert!(names.iter().copied().eq(expected.take(names.len())), "{names:?}");
}

/// 5.3.3.8: two to three seconds, or as many rounds as Reno would take, at most 63.
#[test]
fn probes_for_bandwidth_every_two_to_three_seconds() {
    let mut path = Path::new(10_000_000);
    path.run_until(State::Cruise);
    let began = path.now;
    path.run_until(State::Refill);
    let waited = path.now - began;
    assert!((2_000..=3_050).contains(&waited.as_millis()), "{waited:?}");
}

/// A.10.
#[test]
fn halves_what_is_in_flight_when_no_shorter_round_trip_was_seen_for_five_seconds() {
    let mut path = Path::new(10_000_000);
    path.run_until(State::ProbeRtt);
    path.run(100);
    assert_eq!(path.window, 200_000, "half of 10 MB/s times 40 ms");
    path.run(200);
    assert_eq!(path.bbr.state, State::Cruise, "200 ms and a round trip later");
    assert_eq!(path.bbr.max_rate.get(), 10_000_000);
}

/// A.16: "after the BBR.max_bw window expires (2 PROBE_BW cycles) BBR.max_bw drops to the new limit".
#[test]
fn a_slower_path_is_noticed_after_two_cycles() {
    let mut path = Path::new(10_000_000);
    path.run_until(State::Cruise);
    path.rate = 1_000_000;
    path.run(20_000);
    assert!(path.bbr.max_rate.get() <= 1_000_000, "{}", path.bbr.max_rate.get());
}

/// A.15.
#[test]
fn a_faster_path_is_found_exponentially() {
    let mut path = Path::new(1_000_000);
    path.run_until(State::Cruise);
    path.rate = 10_000_000;
    path.run(20_000);
    assert!(path.bbr.max_rate.get() >= 9_500_000, "{}", path.bbr.max_rate.get());
}

/// A.7, A.22.
#[test]
fn what_the_application_limits_says_nothing_about_the_path() {
    let mut path = Path::new(10_000_000);
    path.limited = true;
    path.run(3_000);
    assert_eq!(path.bbr.state, State::Startup);
    let mut path = Path::new(10_000_000);
    path.run_until(State::Cruise);
    (path.limited, path.rate) = (true, 5_000_000);
    path.run(10_000);
    assert_eq!(path.bbr.max_rate.get(), 10_000_000);
}

/// A.21, and 5.5.10.2: "max(RS.tx_in_flight, TargetInflight() * BBR.Beta)".
#[test]
fn too_much_loss_ends_the_probe_and_bounds_what_is_in_flight() {
    let mut path = Path::new(10_000_000);
    path.run_until(State::Up);
    path.lose(350_000);
    path.run(1);
    assert_eq!((path.bbr.state, path.bbr.long), (State::Down, 350_000));
    path.run_until(State::Cruise);
    path.run(50);
    assert!(path.window <= path.bbr.long * 85 / 100, "headroom for others: {}", path.window);
    path.run_until(State::Up);
    let target = path.bbr.target();
    path.lose(1_000);
    path.run(1);
    assert_eq!(path.bbr.long, target * BETA / 100, "not lower than CUBIC would go");
}

/// 5.5.10.3: between probes, down towards what a round trip delivered; forgotten at the next probe.
#[test]
fn a_loss_between_probes_bounds_rate_and_window_until_the_next() {
    let mut path = Path::new(10_000_000);
    path.run_until(State::Cruise);
    path.rate = 5_000_000;
    for _ in 0..10 {
        path.lose(400_000);
        path.run(100);
    }
    let (rate, in_flight) = path.bbr.short;
    assert!(rate < 5_500_000 && in_flight != INFINITE, "{rate} {in_flight}");
    assert_eq!(path.bbr.max_rate.get(), 10_000_000, "the long-term model stays");
    path.run_until(State::Refill);
    assert_eq!(path.bbr.short, (INFINITE, INFINITE));
}

/// 3.7.
#[test]
fn a_mark_ends_startup_and_probes_as_a_loss_does() {
    let mut path = Path::new(10_000_000);
    path.run(100);
    assert_eq!(path.bbr.state, State::Startup);
    path.window = path.bbr.on_mark(path.now, path.window);
    path.run(1);
    assert_eq!(path.bbr.state, State::Drain);
    path.run_until(State::Up);
    path.window = path.bbr.on_mark(path.now, path.window);
    assert_eq!(path.bbr.state, State::Down);
    assert!(path.bbr.long < INFINITE);
}

/// A.18.
#[test]
fn a_loss_that_was_none_returns_to_the_probe() {
    let mut path = Path::new(10_000_000);
    path.run_until(State::Up);
    let long = path.bbr.long;
    path.bbr.on_loss(path.window);
    path.lose(350_000);
    path.run(1);
    assert_eq!(path.bbr.state, State::Down);
    path.window = path.bbr.on_spurious(path.window);
    assert_eq!((path.bbr.state, path.bbr.long), (State::Refill, long));
}

/// A.11.
#[test]
fn idling_is_a_probe_of_the_round_trip_time_of_its_own() {
    let mut path = Path::new(10_000_000);
    path.run_until(State::Cruise);
    path.now += Duration::from_secs(6);
    path.in_flight = 0;
    path.window = path.bbr.on_restart(path.now, path.window);
    path.run(60);
    assert!(path.bbr.is_probing_bw_state(), "{:?}", path.bbr.state);
}

/// A.14.
#[test]
fn four_segments_are_the_floor() {
    let mut path = Path::new(10_000);
    path.run(30_000);
    assert!(path.window >= 4 * SEGMENT, "{}", path.window);
}

#[test]
fn after_a_repair_the_window_comes_back() {
    let mut bbr = Bbr::new(SEGMENT);
    bbr.on_loss(50_000);
    assert_eq!(bbr.on_repaired(7_000), 50_000);
}
