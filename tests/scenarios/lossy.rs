//! Bad cables on all sides: frames lost, doubled, late, out of order, damaged. The bytes are the same all the same.

use std::time::Duration;

use sim::{Conditions, Pattern, Random, Step, Town, for_each_seed};

use crate::{SERVERS, at};

/// Bad cables need patience.
const VERY_LONG: Duration = Duration::from_secs(7_200);

#[test]
fn bytes_are_equal_over_bad_cables() {
    for_each_seed(60, |seed| {
        let mut random = Random::new(seed ^ 0x10_55);
        let address = SERVERS[(seed % 2) as usize];
        let port = if seed % 3 == 0 { 8080 } else { 80 };
        let mut town = Town::either(seed);
        // A neighbour whose answers are lost three times counts as not there, which is right, and no subject here.
        town.world.get_mut(town.server).tcp.listen(7, &[Step::Finish, Step::AwaitFinish]);
        town.world.connect(town.client, &at(address, 7), &[Step::AwaitFinish, Step::Finish]);
        town.world.finish(VERY_LONG);
        for interface in ["intra", "dmz"] {
            town.world.set(interface, Conditions::bad(&mut random));
        }
        let up = Pattern { key: 1, len: random.below(200_000) };
        let down = Pattern { key: 2, len: random.below(200_000) };
        // Half of them close one after the other, half at once.
        let (client, server) = if seed % 4 < 2 {
            (
                vec![Step::Exchange(up, down), Step::Finish, Step::AwaitFinish],
                vec![Step::Exchange(down, up), Step::Finish, Step::AwaitFinish],
            )
        } else {
            (
                vec![Step::send(up.key, up.len), Step::Finish, Step::receive(down.key, down.len), Step::AwaitFinish],
                vec![Step::receive(up.key, up.len), Step::AwaitFinish, Step::send(down.key, down.len), Step::Finish],
            )
        };
        town.world.get_mut(town.server).tcp.listen(port, &server);
        town.world.connect(town.client, &at(address, port), &client);
        town.world.finish(VERY_LONG);
        town.world.set_all(Conditions::CLEAN);
        town.world.settle(VERY_LONG);
    });
}

#[test]
fn damaged_frames_are_counted() {
    let mut town = Town::new(7);
    town.world.set("intra", Conditions { corruption: 0.1, ..Conditions::CLEAN });
    town.world.get_mut(town.server).tcp.listen(80, &[Step::receive(1, 400_000), Step::AwaitFinish, Step::Finish]);
    let client = [Step::send(1, 400_000), Step::Finish, Step::AwaitFinish];
    town.world.connect(town.client, "10.0.0.2:80", &client);
    town.world.finish(VERY_LONG);
    let (to_gateway, _) = town.world.fates("intra");
    assert!(to_gateway.corrupted > 10);
    let noticed =
        town.world.gateway.counter("malformed_ipv4_checksum") + town.world.gateway.counter("malformed_tcp_checksum");
    assert!(noticed * 10 >= to_gateway.corrupted * 9, "{noticed} noticed of {}", to_gateway.corrupted);
}
