//! Two hosts on one cable, without a gateway: whatever fails here is not the gateway's fault.

use std::time::Duration;

use super::*;
use crate::app::{Pattern, Progress};
use crate::host::sockets::Report;
use crate::link::{Conditions, Wire};

struct Pair {
    now: Instant,
    hosts: [Host; 2],
    /// From the first, and to it.
    wires: [Wire; 2],
}

impl Pair {
    fn new(seed: u64, conditions: Conditions) -> Self {
        let mut random = Random::new(seed);
        let one = Host::new("one", &["10.0.0.1/24", "fd00::1/64"], &[], random.branch());
        let two = Host::new("two", &["10.0.0.2/24", "fd00::2/64"], &[], random.branch());
        let wires = [0, 1].map(|_| Wire::new(conditions, random.branch()));
        Self { now: Instant::from_micros(1 << 33), hosts: [one, two], wires }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now <= end {
            for from in 0..2 {
                while let Some(frame) = self.hosts[from].poll(self.now) {
                    self.wires[from].send(self.now, frame);
                }
                while let Some(frame) = self.wires[from].take(self.now) {
                    self.hosts[1 - from].handle(self.now, &frame);
                }
            }
            let hosts = self.hosts.iter().map(Host::deadline);
            let next = self.wires.iter().map(Wire::next).chain(hosts).flatten().min();
            self.now = next.map_or(end + Duration::from_micros(1), |next| next.max(self.now));
        }
    }

    /// Runs both scripts against each other, and gives what became of them.
    fn talk(&mut self, remote: &str, one: &[Step], two: &[Step]) -> Vec<Report> {
        self.hosts[1].tcp.listen(80, two);
        self.hosts[0].connect(self.now, remote.parse().expect("an address"), one);
        self.run(Duration::from_secs(1_800));
        self.hosts.iter().flat_map(|host| host.tcp.reports().cloned()).collect()
    }
}

#[test]
fn bytes_pass_both_ways_and_both_ends_close() {
    for remote in ["10.0.0.2:80", "[fd00::2]:80"] {
        let mut pair = Pair::new(1, Conditions::CLEAN);
        let (up, down) = (Pattern { key: 1, len: 300_000 }, Pattern { key: 2, len: 100_000 });
        let one = [Step::Exchange(up, down), Step::Finish, Step::AwaitFinish];
        let two = [Step::Exchange(down, up), Step::AwaitFinish, Step::Finish];
        for report in pair.talk(remote, &one, &two) {
            assert_eq!(report.progress, Progress::Done);
            assert!(report.closed, "{report:?}");
        }
        assert!(pair.hosts.iter().all(|host| host.faults.is_empty()));
    }
}

#[test]
fn bytes_pass_on_bad_cables() {
    crate::for_each_seed(40, |seed| {
        let conditions = Conditions::bad(&mut Random::new(seed));
        let mut pair = Pair::new(seed, conditions);
        let (up, down) = (Pattern { key: 1, len: 60_000 }, Pattern { key: 2, len: 60_000 });
        let one = [Step::Exchange(up, down), Step::Finish, Step::AwaitFinish];
        let two = [Step::Exchange(down, up), Step::AwaitFinish, Step::Finish];
        for report in pair.talk("10.0.0.2:80", &one, &two) {
            assert_eq!(report.progress, Progress::Done, "{conditions:?}");
        }
    });
}

#[test]
fn a_closed_port_refuses_and_a_ping_is_answered() {
    let mut pair = Pair::new(2, Conditions::CLEAN);
    let now = pair.now;
    let call = pair.hosts[0].connect(now, "10.0.0.2:81".parse().expect("an address"), &[Step::AwaitReset]);
    pair.hosts[0].ping(now, "fd00::2".parse().expect("an address"), 9);
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.hosts[0].tcp.report(call).error, Some(tcp::Error::Refused));
    assert_eq!(pair.hosts[0].echoes, [("fd00::2".parse().expect("an address"), 9)]);
}

#[test]
fn a_script_that_meets_other_bytes_has_failed() {
    let mut pair = Pair::new(3, Conditions::CLEAN);
    let reports = pair.talk("10.0.0.2:80", &[Step::send(1, 1_000), Step::Finish], &[Step::receive(2, 1_000)]);
    let Progress::Failed(why) = &reports[1].progress else { panic!("{reports:?}") };
    assert!(why.contains("another byte at"), "{why}");
    let mut pair = Pair::new(3, Conditions::CLEAN);
    let reports = pair.talk("10.0.0.2:80", &[Step::send(1, 900), Step::Finish], &[Step::receive(1, 1_000)]);
    let Progress::Failed(why) = &reports[1].progress else { panic!("{reports:?}") };
    assert!(why.contains("after 900 of 1000"), "{why}");
}
