//! A side that does not read stops the other one, and nothing but its own buffers fills up meanwhile.

use std::time::Duration;

use sim::{Pattern, Step, Town, for_each_seed};

use crate::{LONG, SERVERS, at};

/// More than all buffers on the way together hold.
const MUCH: u64 = 8 << 20;

#[test]
fn a_stalled_client_stops_the_server_and_gets_every_byte_later() {
    for_each_seed(2, |seed| {
        for address in SERVERS {
            let mut town = Town::either(seed);
            town.world.get_mut(town.server).tcp.listen(80, &[Step::send(1, MUCH), Step::Finish, Step::AwaitFinish]);
            let client =
                [Step::Wait(Duration::from_secs(120)), Step::receive(1, MUCH), Step::AwaitFinish, Step::Finish];
            town.world.connect(town.client, &at(address, 80), &client);
            town.world.run(Duration::from_secs(60));

            let stalled = town.world.accepted(town.server)[0].bytes.0;
            town.world.run(Duration::from_secs(50));
            assert_eq!(town.world.accepted(town.server)[0].bytes.0, stalled, "the server is held back");
            assert!(stalled < MUCH, "not everything fits into buffers");

            town.world.finish(LONG);
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn a_stalled_server_stops_the_client_but_not_the_other_direction() {
    let mut town = Town::new(5);
    let down = Pattern { key: 2, len: 100_000 };
    let server = [
        Step::Exchange(down, Pattern { key: 0, len: 0 }),
        Step::Wait(Duration::from_secs(90)),
        Step::receive(1, MUCH),
        Step::AwaitFinish,
        Step::Finish,
    ];
    town.world.get_mut(town.server).tcp.listen(80, &server);
    let client = [Step::Exchange(Pattern { key: 1, len: MUCH }, down), Step::Finish, Step::AwaitFinish];
    let call = town.world.connect(town.client, "10.0.0.2:80", &client);
    town.world.run(Duration::from_secs(30));
    let (up, got) = town.world.report(call).bytes;
    assert_eq!(got, down.len, "the other direction goes on");
    assert!(up < MUCH, "the client is held back");
    town.world.finish(LONG);
    town.world.settle(LONG);
    town.world.no_faults();
}
