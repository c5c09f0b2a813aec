//! The server speaks first, as with SMTP, SSH and FTP.

use sim::{Step, Town, for_each_seed};

use crate::{LONG, SERVERS, at};

#[test]
fn a_greeting_reaches_a_client_that_says_nothing() {
    for_each_seed(3, |seed| {
        for (server, port) in SERVERS.into_iter().flat_map(|server| [(server, 25), (server, 8080)]) {
            let mut town = Town::new(seed);
            let talk = [Step::send(1, 80), Step::receive(2, 30), Step::send(3, 40), Step::AwaitFinish, Step::Finish];
            town.world.get_mut(town.server).tcp.listen(port, &talk);
            let client =
                [Step::receive(1, 80), Step::send(2, 30), Step::receive(3, 40), Step::Finish, Step::AwaitFinish];
            town.world.connect(town.client, &at(server, port), &client);
            town.world.finish(LONG);
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}
