//! Many connections at once, each with its own bytes.

use std::time::Duration;

use sim::{Pattern, Step, Town, for_each_seed};

use crate::{LONG, SERVERS, at};

#[test]
fn a_thousand_connections_at_once() {
    for_each_seed(1, |seed| {
        let mut town = Town::either(seed);
        for key in 0..1_000 {
            let (up, down) = (Pattern { key, len: 500 + key }, Pattern { key: key + 5_000, len: 2_000 + key });
            let port = 1_000 + key as u16;
            let server = [Step::Exchange(down, up), Step::Finish, Step::AwaitFinish];
            town.world.get_mut(town.server).tcp.listen(port, &server);
            let client = [Step::Exchange(up, down), Step::AwaitFinish, Step::Finish];
            town.world.connect(town.client, &at(SERVERS[(key % 2) as usize], port), &client);
        }
        town.world.finish(LONG);
        assert_eq!(town.world.accepted(town.server).len(), 1_000);
        town.world.settle(LONG);
        town.world.no_faults();
    });
}

#[test]
fn the_same_ports_again_and_again() {
    let mut town = Town::new(2);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    let bytes = Pattern { key: 3, len: 3_000 };
    let local = "192.168.1.2:4000".parse().expect("an address");
    for round in 1..=20 {
        let now = town.world.now;
        let client = [Step::Exchange(bytes, bytes), Step::AwaitSent, Step::Finish, Step::AwaitFinish];
        let remote = "10.0.0.2:80".parse().expect("an address");
        town.world.get_mut(town.client).connect_from(now, local, remote, &client);
        town.world.finish(LONG);
        assert_eq!(town.world.accepted(town.server).len(), round);
        town.world.settle(LONG);
        // The client came into its TIME-WAIT a moment after the gateway.
        town.world.run(Duration::from_millis(1));
    }
}
