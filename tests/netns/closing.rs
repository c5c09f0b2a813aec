//! How connections begin to speak and how they end, each as both ends see it.

use crate::address::Family;
use crate::limits;
use crate::on_every_device;
use crate::servers::{page, port};
use crate::world::World;

on_every_device!(
    kernel,
    the_server_speaks_first,
    the_client_finishes_first,
    the_server_finishes_first,
    the_server_resets,
    the_client_resets,
    a_killed_client_ends_its_connection_only
);

/// What holds for a mirrored handshake holds for an immediate one.
const HUNDREDS: [u16; 2] = [port::MIRRORED, port::IMMEDIATE];

fn the_server_speaks_first(world: &World, family: Family) {
    for hundred in HUNDREDS {
        let result = client(world, family, "read-line", hundred + port::GREETING);
        assert_eq!(result["greeting"], "220 ns2 ready\r\n", "{result}");
        assert_eq!(result["answer"], "QUIT\r\n", "{result}");
    }
}

fn the_client_finishes_first(world: &World, family: Family) {
    for hundred in HUNDREDS {
        // The server answers only after it has seen the client's FIN.
        let result = client(world, family, "echo", hundred + port::ECHO);
        assert_eq!(result["received"], "hello through the gateway\n", "{result}");
        let end = world.servers().wait_for_end(hundred + port::ECHO, family.client(), &result["local_port"]);
        assert_eq!(end["how"], "closed", "{end}");
    }
}

fn the_server_finishes_first(world: &World, family: Family) {
    for hundred in HUNDREDS {
        let result = client(world, family, "speak-after-eof", hundred + port::FINISHES_FIRST);
        assert_eq!(result["received"], "that is all\n", "{result}");
        let ended = || world.servers().events_of("ended", hundred + port::FINISHES_FIRST, family.client()).pop();
        let end = crate::wait::until("the server's end", limits::VISIBLE, ended);
        assert_eq!(end["bytes"], result["sent"], "what was said after the server's FIN: {end}");
        assert_eq!(end["how"], "closed", "{end}");
    }
}

fn the_server_resets(world: &World, family: Family) {
    for hundred in HUNDREDS {
        let result = client(world, family, "be-reset", hundred + port::RESETS);
        assert_eq!(result["result"], "ECONNRESET", "port {}", hundred + port::RESETS);
    }
}

fn the_client_resets(world: &World, family: Family) {
    for hundred in HUNDREDS {
        let result = client(world, family, "reset", hundred + port::WATCHES);
        assert_eq!(result["reply"], "ok\n", "{result}");
        let end = world.servers().wait_for_end(hundred + port::WATCHES, family.client(), &result["local_port"]);
        assert_eq!(end["how"], "ECONNRESET", "{end}");
    }
}

fn a_killed_client_ends_its_connection_only(world: &World, family: Family) {
    let server = family.server().to_string();
    let port = port::MIRRORED + port::ECHO;
    let before = world.servers().events_of("ended", port, family.client()).len();
    let mut bystander = world.client.start_client(&["hold", &server, &port.to_string()]);
    bystander.wait_for("held", limits::VISIBLE);
    let mut victim = world.client.start_client(&["pour", &server, &port.to_string()]);
    victim.wait_for("pouring", limits::VISIBLE);
    victim.signal("KILL");
    assert_eq!(victim.finish(limits::VISIBLE).code(), 128 + 9);
    let ended = || world.servers().events_of("ended", port, family.client()).into_iter().nth(before);
    let end = crate::wait::until("the server sees the killed client's end", limits::VISIBLE, ended);
    // Its kernel resets what was unread; what the server still writes finds nobody either way.
    assert!(end["how"] == "ECONNRESET" || end["how"] == "EPIPE", "{end}");
    bystander.go_on();
    assert_eq!(bystander.finish(limits::VISIBLE).successful().json()["received"], "still here\n");
    let url = format!("http://{}/", family.server_at(80));
    let curl = world.client.namespace.run(&["curl", "-sS", "-g", "-m", "10", &url]).successful();
    assert_eq!(curl.stdout, page("ns2"));
}

#[track_caller]
fn client(world: &World, family: Family, command: &str, port: u16) -> serde_json::Value {
    world.client.client(&[command, &family.server().to_string(), &port.to_string()])
}
