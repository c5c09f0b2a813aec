//! A side that tears its connection down tears down the other's: nobody is left waiting, nobody believes it was an end.

use std::time::Duration;

use sim::{Step, Town, for_each_seed};
use tcp::Error;

use crate::{LONG, SERVERS, at};

#[test]
fn a_reset_by_the_client_reaches_the_server() {
    for_each_seed(3, |seed| {
        for (address, port) in SERVERS.into_iter().flat_map(|address| [(address, 80), (address, 8080)]) {
            let mut town = Town::either(seed);
            town.world.get_mut(town.server).tcp.listen(port, &[Step::receive(1, 5_000), Step::AwaitReset]);
            let client = [Step::send(1, 5_000), Step::AwaitSent, Step::Wait(Duration::from_millis(50)), Step::Reset];
            town.world.connect(town.client, &at(address, port), &client);
            town.world.finish(LONG);
            assert_eq!(town.world.accepted(town.server)[0].error, Some(Error::Reset));
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn a_reset_by_the_server_reaches_the_client() {
    for_each_seed(3, |seed| {
        for (address, port) in SERVERS.into_iter().flat_map(|address| [(address, 80), (address, 8080)]) {
            let mut town = Town::either(seed);
            let server = [Step::receive(1, 5_000), Step::Wait(Duration::from_millis(50)), Step::Reset];
            town.world.get_mut(town.server).tcp.listen(port, &server);
            let call = town.world.connect(town.client, &at(address, port), &[Step::send(1, 5_000), Step::AwaitReset]);
            town.world.finish(LONG);
            assert_eq!(town.world.report(call).error, Some(Error::Reset));
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn a_reset_after_half_a_close_reaches_the_other_side() {
    let mut town = Town::new(4);
    let server = [Step::AwaitFinish, Step::send(1, 1_000), Step::Wait(Duration::from_millis(50)), Step::Reset];
    town.world.get_mut(town.server).tcp.listen(80, &server);
    let client = [Step::Finish, Step::receive(1, 1_000), Step::AwaitReset];
    town.world.connect(town.client, "10.0.0.2:80", &client);
    town.world.finish(LONG);
    town.world.settle(LONG);
}
