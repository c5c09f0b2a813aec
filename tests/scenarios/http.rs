//! HTTP through the whole gateway, over clean and over bad cables: each side hears the same bytes, whatever is lost.

use std::time::Duration;

use sim::{Conditions, Random, Step, Town, for_each_seed};

use crate::{LONG, SERVERS, at};

/// Bad cables need patience.
const VERY_LONG: Duration = Duration::from_secs(7_200);

/// Port 8080 is served by the HTTP proxy; WebDAV's methods go to another port of the same server.
fn town(seed: u64) -> Town {
    let http = "  at_once:  { proxy: http, accept: immediate, http: { methods: [GET, POST, PROPFIND], servers: [
    { methods: PROPFIND, server: \"10.0.0.2:8081\" }], times: { request: 60s, body_grace: 600s } } }";
    Town::changed(seed, &[("  at_once:  { proxy: plug, accept: immediate }", http)])
}

fn mirrored(seed: u64) -> Town {
    let http = "  anything: { proxy: http, accept: mirror, http: { times: { request: 60s, body_grace: 600s } } }";
    Town::changed(seed, &[("  anything: { proxy: plug, accept: mirror }", http)])
}

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: server\r\nX-Kept: As It Is\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello";
const POST: &str = "POST /c HTTP/1.1\r\nHost: server\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
const MADE: &str = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

#[test]
fn requests_and_responses_over_bad_cables() {
    for_each_seed(24, |seed| {
        let mut random = Random::new(seed ^ 0x0477);
        let address = SERVERS[(seed % 2) as usize];
        let (mut town, port) = if seed % 4 < 2 { (town(seed), 8080) } else { (mirrored(seed), 80) };
        // A neighbour whose answers are lost three times counts as not there, which is right, and no subject here.
        town.world
            .get_mut(town.server)
            .tcp
            .listen(7, &[Step::Hear(GET), Step::Say(OK), Step::AwaitFinish, Step::Finish]);
        let first = [Step::Say(GET), Step::Hear(OK), Step::Finish, Step::AwaitFinish];
        town.world.connect(town.client, &at(address, 7), &first);
        town.world.finish(VERY_LONG);
        for interface in ["intra", "dmz"] {
            town.world.set(interface, Conditions { corruption: 0.0, ..Conditions::bad(&mut random) });
        }
        let server = [
            Step::Hear(GET),
            Step::Say(OK),
            Step::Hear(POST),
            Step::Say(MADE),
            Step::Hear(GET),
            Step::Say(OK),
            Step::AwaitFinish,
            Step::Finish,
        ];
        town.world.get_mut(town.server).tcp.listen(port, &server);
        // The first two are said at once: the second waits until the first is answered.
        let client = [
            Step::Say(GET),
            Step::Say(POST),
            Step::Hear(OK),
            Step::Hear(MADE),
            Step::Say(GET),
            Step::Hear(OK),
            Step::Finish,
            Step::AwaitFinish,
        ];
        town.world.connect(town.client, &at(address, port), &client);
        town.world.finish(VERY_LONG);
        town.world.set_all(Conditions::CLEAN);
        town.world.settle(VERY_LONG);
    });
}

#[test]
fn methods_go_to_servers_of_their_own_and_back() {
    const FIND: &str = "PROPFIND /a HTTP/1.1\r\nHost: server\r\nContent-Length: 0\r\n\r\n";
    for_each_seed(4, |seed| {
        let mut town = town(seed);
        let server = town.world.get_mut(town.server);
        let reads = [Step::Hear(GET), Step::Say(OK), Step::AwaitFinish, Step::Finish];
        server.tcp.listen(8080, &reads);
        server.tcp.listen(8081, &[Step::Hear(FIND), Step::Say(MADE), Step::AwaitFinish, Step::Finish]);
        let client = [
            Step::Say(GET),
            Step::Hear(OK),
            Step::Say(FIND),
            Step::Hear(MADE),
            Step::Say(GET),
            Step::Hear(OK),
            Step::Finish,
            Step::AwaitFinish,
        ];
        town.world.connect(town.client, "10.0.0.2:8080", &client);
        town.world.finish(LONG);
        assert_eq!(town.world.accepted(town.server).len(), 3);
        town.world.settle(LONG);
        town.world.no_faults();
    });
}

#[test]
fn a_server_that_closes_is_asked_again() {
    let mut town = town(5);
    town.world
        .get_mut(town.server)
        .tcp
        .listen(8080, &[Step::Hear(GET), Step::Say(OK), Step::Finish, Step::AwaitFinish]);
    let client = [
        Step::Say(GET),
        Step::Hear(OK),
        Step::Wait(Duration::from_secs(2)),
        Step::Say(GET),
        Step::Hear(OK),
        Step::Finish,
        Step::AwaitFinish,
    ];
    let call = town.world.connect(town.client, "10.0.0.2:8080", &client);
    town.world.finish(LONG);
    let accepted = town.world.accepted(town.server);
    assert_eq!(accepted.len(), 2);
    // The client's address both times; its port is in TIME-WAIT at the server the second time.
    let client = town.world.report(call).local;
    assert_eq!((accepted[0].remote, accepted[1].remote.ip()), (client, client.ip()));
    assert_ne!(accepted[1].remote.port(), client.port());
    town.world.settle(LONG);
}

#[test]
fn what_is_no_request_is_told_and_never_seen() {
    let mut town = town(6);
    town.world.get_mut(town.server).tcp.listen(8080, &[Step::AwaitFinish]);
    let client = [
        Step::Say("GET / HTTP/1.1\nHost: a\n\n"),
        Step::Hear("HTTP/1.1 400 Bad Request\r\n"),
        Step::Sink,
        Step::Finish,
    ];
    town.world.connect(town.client, "10.0.0.2:8080", &client);
    town.world.finish(LONG);
    assert!(town.world.accepted(town.server).is_empty());
    assert_eq!(town.world.gateway.counter("http_bare_lf"), 1);
    let record = town.world.gateway.records.iter().find(|record| record.kind == "http.request");
    assert!(record.is_some(), "it is on record");
    town.world.settle(LONG);
}
