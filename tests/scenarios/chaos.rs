//! Everything at once, chosen by the seed: many clients, changing weather, resets, stalls, hosts that vanish, garbage.
//!
//! What must hold whatever happens: nobody is ever handed a byte that was not sent at that place, the gateway goes on,
//! and when the hosts are gone nothing of them is left in it.

use std::time::Duration;

use sim::{Conditions, Pattern, Progress, Random, Step, Town, for_each_seed};

use crate::{LONG, SERVERS, at};

/// Half an hour is longer than any idle time or retransmission of the gateway's.
const FORGOTTEN: Duration = Duration::from_secs(3_600);

#[test]
fn whatever_happens_bytes_are_right_and_nothing_is_left() {
    for_each_seed(25, |seed| {
        let mut random = Random::new(seed ^ 0xc4a0_5000);
        let mut town = Town::either(seed);
        let connections = 1 + random.below(40);
        let (mut opened, mut calls) = (0, Vec::new());
        for _ in 0..30 {
            if random.chance(0.3) {
                let interface = ["intra", "dmz", "inter"][random.below(3) as usize];
                let conditions = if random.chance(0.6) { Conditions::bad(&mut random) } else { Conditions::CLEAN };
                town.world.set(interface, conditions);
            }
            while opened < connections && random.chance(0.7) {
                calls.push(call(&mut town, &mut random, opened));
                opened += 1;
            }
            garbage(&mut town, &mut random);
            town.world.run(Duration::from_micros(1 << random.below(23)));
        }
        town.world.set_all(Conditions::CLEAN);
        town.world.run_until(LONG, |world| calls.iter().all(|call| world.report(*call).progress != Progress::Running));
        // Half of the runs end with resets, half with hosts that are simply gone.
        let politely = random.chance(0.5);
        for host in [town.client, town.server, town.router] {
            town.world.get_mut(host).tcp.abandon(politely);
            town.world.get_mut(host).tcp.refuses = politely;
        }
        town.world.settle(FORGOTTEN);
        for host in [town.client, town.server, town.router] {
            for report in town.world.get(host).tcp.reports() {
                if let Progress::Failed(why) = &report.progress {
                    assert!(!why.contains("another byte"), "{report:?}");
                }
            }
        }
        assert_eq!(town.world.gateway.counter("task_panicked"), 0);
    });
}

/// Opens one connection whose two ends want whatever they want.
fn call(town: &mut Town, random: &mut Random, number: u64) -> sim::ConnectionId {
    // Port 8080 is answered at once; every other is mirrored. Some have nobody behind them.
    let port = if random.chance(0.3) { 8080 } else { 1_000 + number as u16 };
    let (up, down) = (number * 2 + 10_000, number * 2 + 10_001);
    let key = if port == 8080 { (1, 2) } else { (up, down) };
    let client = script(random, key.0, key.1);
    let server = script(random, key.1, key.0);
    let address = ["198.51.100.9", "2001:db8:99::9", SERVERS[0], SERVERS[1]][random.below(4) as usize];
    let host = if address.starts_with("198") || address.starts_with("2001") { town.router } else { town.server };
    if random.chance(0.9) {
        town.world.get_mut(host).tcp.listen(port, &server);
    }
    town.world.connect(town.client, &at(address, port), &client)
}

/// A script of one end: one pattern each way, not all of it perhaps, and one of several ends.
fn script(random: &mut Random, send: u64, receive: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    if random.chance(0.2) {
        steps.push(Step::Wait(Duration::from_millis(random.below(8_000))));
    }
    let mut len = || if random.chance(0.5) { random.below(3_000) } else { random.below(150_000) };
    let (send, receive) = (Pattern { key: send, len: len() }, Pattern { key: receive, len: len() });
    steps.push(Step::Exchange(send, receive));
    match random.below(6) {
        0 => steps.push(Step::Reset),
        1 => steps.extend([Step::AwaitFinish, Step::Finish]),
        2 => steps.push(Step::AwaitReset),
        3 => steps.extend([Step::Finish, Step::Wait(Duration::from_secs(random.below(200))), Step::Reset]),
        _ => steps.extend([Step::Finish, Step::AwaitFinish]),
    }
    steps
}

/// Some frames of the past come again, a little wrong.
fn garbage(town: &mut Town, random: &mut Random) {
    for _ in 0..random.below(5) {
        let mut frame = vec![0; 60 + random.below(100) as usize];
        random.fill(&mut frame);
        frame[..6].copy_from_slice(&[0x02, 0, 0, 0, 0xff, random.below(3) as u8]);
        frame[6] &= 0xfe;
        frame[12..14].copy_from_slice(if random.chance(0.5) { &[0x08, 0x00] } else { &[0x86, 0xdd] });
        frame[14] = if frame[12] == 8 { 0x45 } else { 0x60 };
        let host = [town.client, town.server, town.router][random.below(3) as usize];
        town.world.get_mut(host).send_frame(frame.into());
    }
}
