//! One side has no more to say, and the other goes on for a long time yet.

use sim::{Step, Town, for_each_seed};

use crate::{LONG, SERVERS, at};

/// Runs both scripts against each other, mirrored and answered at once, in both families.
fn check(client: &[Step], server: &[Step]) {
    for_each_seed(3, |seed| {
        for (address, port) in SERVERS.into_iter().flat_map(|address| [(address, 80), (address, 8080)]) {
            let mut town = Town::either(seed);
            town.world.get_mut(town.server).tcp.listen(port, server);
            town.world.connect(town.client, &at(address, port), client);
            town.world.finish(LONG);
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn the_client_finishes_first_and_still_gets_everything() {
    check(
        &[Step::send(1, 10_000), Step::Finish, Step::receive(2, 300_000), Step::AwaitFinish],
        &[Step::receive(1, 10_000), Step::AwaitFinish, Step::send(2, 300_000), Step::Finish],
    );
}

#[test]
fn the_server_finishes_first_and_still_gets_everything() {
    check(
        &[Step::receive(2, 10_000), Step::AwaitFinish, Step::send(1, 300_000), Step::Finish],
        &[Step::send(2, 10_000), Step::Finish, Step::receive(1, 300_000), Step::AwaitFinish],
    );
}

#[test]
fn both_finish_at_once_without_a_byte() {
    check(&[Step::Finish, Step::AwaitFinish], &[Step::Finish, Step::AwaitFinish]);
}
