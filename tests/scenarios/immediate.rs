//! `accept: immediate`: the client is answered before anybody knows of a server.

use std::time::Duration;

use sim::{Pattern, Progress, Step, Town, for_each_seed};
use tcp::Error;

use crate::{LONG, SERVERS, at};

#[test]
fn bytes_pass_and_the_server_sees_the_client() {
    for_each_seed(4, |seed| {
        for address in SERVERS {
            let mut town = Town::new(seed);
            let (up, down) = (Pattern { key: 1, len: 70_000 }, Pattern { key: 2, len: 90_000 });
            let server = [Step::Exchange(down, up), Step::AwaitFinish, Step::Finish];
            town.world.get_mut(town.server).tcp.listen(8080, &server);
            let client = [Step::Exchange(up, down), Step::Finish, Step::AwaitFinish];
            let call = town.world.connect(town.client, &at(address, 8080), &client);
            town.world.finish(LONG);
            assert_eq!(town.world.accepted(town.server)[0].remote, town.world.report(call).local);
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn a_closed_port_looks_open_for_a_moment() {
    for address in SERVERS {
        let mut town = Town::new(2);
        let call = town.world.connect(town.client, &at(address, 8080), &[Step::AwaitReset]);
        town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
        let report = town.world.report(call);
        assert!(report.established_at.is_some());
        assert_eq!(report.error, Some(Error::Reset));
        town.world.settle(LONG);
    }
}

#[test]
fn a_client_is_answered_though_the_server_is_slow() {
    let mut town = Town::new(3);
    town.world.set("dmz", sim::Conditions { delay: Duration::from_millis(400), ..sim::Conditions::CLEAN });
    town.world.get_mut(town.server).tcp.listen(8080, &[Step::receive(1, 5_000), Step::AwaitFinish, Step::Finish]);
    let client = [Step::send(1, 5_000), Step::Finish, Step::AwaitFinish];
    let call = town.world.connect(town.client, "10.0.0.2:8080", &client);
    town.world.finish(LONG);
    let report = town.world.report(call);
    let took = report.established_at.expect("it was established") - report.opened_at;
    assert!(took < Duration::from_millis(100), "{took:?}");
    town.world.settle(LONG);
}
