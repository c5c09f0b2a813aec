//! A page is fetched, and the server sees the client itself: its address and its port.

use sim::{Step, Town, for_each_seed};

use crate::{LONG, SERVERS, at};

#[test]
fn page_comes_and_the_server_sees_the_client() {
    for_each_seed(5, |seed| {
        for server in SERVERS {
            let mut town = Town::new(seed);
            let request = Step::receive(1, 200);
            town.world
                .get_mut(town.server)
                .tcp
                .listen(80, &[request, Step::send(2, 150_000), Step::Finish, Step::AwaitFinish]);
            let client = [Step::send(1, 200), Step::receive(2, 150_000), Step::AwaitFinish, Step::Finish];
            let fetch = town.world.connect(town.client, &at(server, 80), &client);
            town.world.finish(LONG);

            let seen = town.world.accepted(town.server);
            assert_eq!(seen.len(), 1);
            assert_eq!(seen[0].remote, town.world.report(fetch).local, "the server sees the client's address and port");
            assert_eq!(seen[0].bytes, (150_000, 200));
            town.world.settle(LONG);
            town.world.no_faults();
            assert_eq!(town.world.gateway.counter("sessions_served"), 1);
        }
    });
}

#[test]
fn the_summary_tells_what_happened() {
    let mut town = Town::new(1);
    let server = [Step::receive(1, 300), Step::send(2, 4_000), Step::Finish, Step::AwaitFinish];
    town.world.get_mut(town.server).tcp.listen(80, &server);
    let client = [Step::send(1, 300), Step::receive(2, 4_000), Step::AwaitFinish, Step::Finish];
    let fetch = town.world.connect(town.client, "10.0.0.2:80", &client);
    town.world.finish(LONG);
    town.world.settle(LONG);

    let [summary] = &town.world.gateway.summaries[..] else {
        panic!("one summary: {:?}", town.world.gateway.summaries)
    };
    assert_eq!(summary.service, "anything");
    assert_eq!(summary.interface, "intra");
    assert_eq!(summary.client, town.world.report(fetch).local);
    assert_eq!(summary.server_local, Some(summary.client));
    assert_eq!(summary.destination.to_string(), "10.0.0.2:80");
    assert_eq!((summary.bytes_to_server, summary.bytes_to_client), (300, 4_000));
    assert_eq!(summary.client_zone.as_deref(), Some("intranet"));
    assert_eq!(summary.server_zone.as_deref(), Some("dmz"));
    assert_eq!(summary.verdict, "ACCEPTED");
}

#[test]
fn hosts_behind_the_router_are_reached_through_it() {
    for server in ["198.51.100.7", "2001:db8:99::7"] {
        let mut town = Town::new(3);
        town.world.get_mut(town.router).tcp.listen(443, &[Step::Echo, Step::Finish]);
        let client = [
            Step::Exchange(sim::Pattern { key: 9, len: 50_000 }, sim::Pattern { key: 9, len: 50_000 }),
            Step::Finish,
            Step::AwaitFinish,
        ];
        town.world.connect(town.client, &at(server, 443), &client);
        town.world.finish(LONG);
        assert_eq!(town.world.accepted(town.router)[0].local.to_string(), at(server, 443));
        town.world.settle(LONG);
        town.world.no_faults();
    }
}
