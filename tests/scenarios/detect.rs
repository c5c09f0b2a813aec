//! One port, several protocols, through the whole gateway and over bad cables: each session comes to its service, and
//! each side hears what the other said, whoever spoke first.

use std::time::Duration;

use sim::{Conditions, Random, Step, Town, for_each_seed};

use crate::{LONG, SERVERS, at};

/// Bad cables need patience.
const VERY_LONG: Duration = Duration::from_secs(7_200);

/// Both ports are served by a detector; what is unknown is refused.
fn town(seed: u64) -> Town {
    let detect = "detect: { http: web, ssh: shell, smtp: mail, timeout_s: 60 }";
    let mirrored = format!("  anything: {{ proxy: detect, accept: mirror, {detect} }}");
    let at_once = format!(
        "  at_once:  {{ proxy: detect, accept: immediate, {detect} }}
  web: {{ proxy: plug }}
  shell: {{ proxy: plug }}
  mail: {{ proxy: plug }}"
    );
    Town::changed(
        seed,
        &[
            ("  anything: { proxy: plug, accept: mirror }", &mirrored),
            ("  at_once:  { proxy: plug, accept: immediate }", &at_once),
        ],
    )
}

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: server\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const BANNER: &str = "SSH-2.0-server\r\n";
const ANSWER: &str = "SSH-2.0-client\r\n";
const GREETING: &str = "220 server ESMTP ready\r\n";
const EHLO: &str = "EHLO client\r\n";

#[test]
fn each_protocol_comes_to_its_service_over_bad_cables() {
    let ends = [Step::Finish, Step::AwaitFinish];
    let cases: [(&str, &[Step], &[Step]); 3] = [
        ("detect_http", &[Step::Say(GET), Step::Hear(OK)], &[Step::Hear(GET), Step::Say(OK)]),
        ("detect_ssh", &[Step::Hear(BANNER), Step::Say(ANSWER)], &[Step::Say(BANNER), Step::Hear(ANSWER)]),
        ("detect_smtp", &[Step::Hear(GREETING), Step::Say(EHLO)], &[Step::Say(GREETING), Step::Hear(EHLO)]),
    ];
    for_each_seed(12, |seed| {
        let mut random = Random::new(seed ^ 0xde7e);
        for port in [80, 8080] {
            for (counter, client, server) in cases {
                let mut town = town(seed);
                for interface in ["intra", "dmz"] {
                    town.world.set(interface, Conditions { corruption: 0.0, ..Conditions::bad(&mut random) });
                }
                let address = SERVERS[(seed % 2) as usize];
                town.world.get_mut(town.server).tcp.listen(port, &[server, &ends].concat());
                town.world.connect(town.client, &at(address, port), &[client, &ends].concat());
                town.world.finish(VERY_LONG);
                assert_eq!(town.world.gateway.counter(counter), 1, "{}", town.world.gateway.state());
                town.world.set_all(Conditions::CLEAN);
                town.world.settle(VERY_LONG);
            }
        }
    });
}

#[test]
fn what_nobody_knows_is_reset() {
    for_each_seed(2, |seed| {
        for (port, said) in [(80, "\u{5}\u{1}"), (8080, "HELO\r\n")] {
            let mut town = town(seed);
            town.world.get_mut(town.server).tcp.listen(port, &[Step::AwaitReset]);
            let client = [Step::Say(said), Step::AwaitReset];
            town.world.connect(town.client, &at(SERVERS[0], port), &client);
            town.world.finish(LONG);
            assert_eq!(town.world.gateway.counter("session_not_detected"), 1, "{}", town.world.gateway.state());
            assert_eq!(town.world.gateway.counter("detect_timed_out"), 1);
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}
