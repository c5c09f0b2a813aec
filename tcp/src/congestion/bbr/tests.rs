use super::*;

const SEGMENT: u64 = 1_000;
const RTT: Duration = Duration::from_millis(40);

/// A path of `rate` bytes per second: one acknowledgment per millisecond, window and pace obeyed.
struct Path {
    bbr: Bbr,
    window: u64,
    in_flight: u64,
    now: Instant,
    delivered: u64,
    rate: u64,
    modes: Vec<Mode>,
}

impl Path {
    fn new(rate: u64) -> Path {
        let now = Instant::from_micros(1_000_000);
        Path { bbr: Bbr::new(), window: 10 * SEGMENT, in_flight: 0, now, delivered: 0, rate, modes: Vec::new() }
    }

    /// For so many milliseconds the path delivers what the window allows, up to its rate; beyond it a queue grows.
    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += Duration::from_millis(1);
            let product = self.rate * 40 / 1_000;
            let prior_in_flight = self.in_flight;
            let pace = self.bbr.pace(self.window, Some(RTT)) / 1_000;
            self.in_flight += self.window.saturating_sub(self.in_flight).min(pace);
            let bytes = self.in_flight.min(product) / 40;
            self.in_flight -= bytes;
            let queued = self.in_flight.saturating_sub(product);
            let rtt = RTT + Duration::from_micros(queued * 1_000_000 / self.rate);
            self.delivered += bytes;
            let rate = Some(bytes * 1_000);
            let prior = self.delivered.saturating_sub(self.in_flight);
            let sample = Sample { rate, prior, delivered: self.delivered, limited: false };
            let (in_flight, rtt) = (self.in_flight, Some(rtt));
            let progress = Progress {
                now: self.now,
                sample,
                bytes,
                rtt,
                prior_in_flight,
                in_flight,
                loss: false,
                recovery: false,
            };
            self.window = self.bbr.on_ack(self.window, SEGMENT, &progress);
            if self.modes.last() != Some(&self.bbr.mode) {
                self.modes.push(self.bbr.mode);
            }
        }
    }
}

#[test]
fn finds_the_rate_drains_the_queue_and_probes() {
    let mut path = Path::new(10_000_000);
    path.run(3_000);
    assert_eq!(path.modes, [Mode::Startup, Mode::Drain, Mode::ProbeBw]);
    assert_eq!(path.bbr.rate(), 10_000_000);
    assert_eq!(path.bbr.rtprop, Some(RTT));
    // Twice the product, and the quantum's share.
    assert!((800_000..=900_000).contains(&path.window), "{}", path.window);
}

#[test]
fn goes_down_to_four_segments_when_no_lower_round_trip_was_seen_for_ten_seconds() {
    let mut path = Path::new(10_000_000);
    path.run(3_000);
    path.run(9_000);
    let probe = path.modes.iter().position(|mode| *mode == Mode::ProbeRtt);
    assert_eq!(probe.map(|at| path.modes[at + 1]), Some(Mode::ProbeBw), "{:?}", path.modes);
    assert_eq!(path.bbr.rate(), 10_000_000, "what the probe delivered says nothing");
}

#[test]
fn a_slower_path_is_noticed_after_ten_round_trips() {
    let mut path = Path::new(10_000_000);
    path.run(2_000);
    path.rate = 2_000_000;
    // The queue makes a round trip of 400 ms until then.
    path.run(6_000);
    assert_eq!(path.bbr.rate(), 2_000_000);
}

#[test]
fn a_sample_limited_by_the_application_counts_only_upwards() {
    let mut bbr = Bbr::new();
    let sample = |rate, limited| Sample { rate: Some(rate), prior: 0, delivered: 1, limited };
    bbr.update_rate(&sample(100, false));
    bbr.update_rate(&sample(50, true));
    assert_eq!(bbr.rate(), 100);
    bbr.update_rate(&sample(150, true));
    assert_eq!(bbr.rate(), 150);
}

#[test]
fn after_a_loss_the_window_comes_back() {
    let mut bbr = Bbr::new();
    bbr.on_loss(50_000);
    assert_eq!(bbr.on_repaired(7_000), 50_000);
}
