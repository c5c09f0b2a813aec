//! Draining: sessions that are there finish, new ones are not begun, and then the gateway is empty.

use std::time::Duration;

use sim::{Pattern, Step, Town, for_each_seed};

use crate::LONG;

#[test]
fn what_is_there_finishes_and_nothing_new_begins() {
    for_each_seed(3, |seed| {
        let mut town = Town::either(seed);
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        let bytes = Pattern { key: 1, len: 20_000 };
        let client = [
            Step::Exchange(bytes, bytes),
            Step::Wait(Duration::from_secs(3)),
            Step::Exchange(bytes, bytes),
            Step::Finish,
            Step::AwaitFinish,
        ];
        let old = town.world.connect(town.client, "10.0.0.2:80", &client);
        town.world.run(Duration::from_secs(1));
        town.world.gateway.drain(town.world.now);
        let new = town.world.connect(town.client, "10.0.0.2:80", &[Step::AwaitReset]);
        town.world.run_until(LONG, |world| world.report(old).closed);
        assert_eq!(town.world.report(old).bytes, (40_000, 40_000));
        assert_eq!(town.world.report(new).established_at, None);
        assert!(town.world.gateway.counter("draining") > 0);
        town.world.settle(LONG);
    });
}

#[test]
fn stopping_tells_both_sides() {
    let mut town = Town::new(2);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::receive(1, 500), Step::AwaitReset]);
    town.world.connect(town.client, "10.0.0.2:80", &[Step::send(1, 500), Step::AwaitReset]);
    town.world.run(Duration::from_secs(1));
    // Asked twice, it does not wait.
    town.world.gateway.drain(town.world.now);
    town.world.gateway.drain(town.world.now);
    town.world.finish(LONG);
}
