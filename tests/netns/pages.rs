//! The job itself: a client gets a page, and the server's own log names the client's address and port.

use crate::address::Family;
use crate::on_every_device;
use crate::servers::{page, port};
use crate::world::World;
use serde_json::Value;

on_every_device!(
    kernel,
    a_page_crosses_and_the_server_sees_the_client,
    many_pages_over_one_connection,
    both_ways_of_answering_keep_address_and_port
);

fn a_page_crosses_and_the_server_sees_the_client(world: &World, family: Family) {
    let url = format!("http://{}/index.html?{family:?}", family.server_at(80));
    let local_port = "%{stderr}%{local_port}";
    let curl = world.client.namespace.run(&["curl", "-sS", "-g", "-m", "10", "-w", local_port, &url]).successful();
    assert_eq!(curl.stdout, page("ns2"));
    let client_port = curl.stderr.trim().parse().expect("curl names its port");
    world.servers().wait_for_request(&format!("/index.html?{family:?}"), family.client(), client_port);
}

fn many_pages_over_one_connection(world: &World, family: Family) {
    let url = format!("http://{}/", family.server_at(80));
    let mut words = vec!["curl", "-sS", "-g", "-m", "20", "-w", "%{stderr}%{num_connects}\\n"];
    words.extend([url.as_str(); 50]);
    let curl = world.client.namespace.run(&words).successful();
    assert_eq!(curl.stdout, page("ns2").repeat(50));
    let connects: u32 = curl.stderr.lines().filter_map(|line| line.trim().parse::<u32>().ok()).sum();
    assert_eq!(connects, 1, "all over the first connection:\n{}", curl.stderr);
}

fn both_ways_of_answering_keep_address_and_port(world: &World, family: Family) {
    let server = family.server().to_string();
    for hundred in [port::MIRRORED, port::IMMEDIATE, port::FORWARDED] {
        let port = (hundred + port::WHOAMI).to_string();
        let answer = world.client.client(&["read", &server, &port]);
        let seen: Value = serde_json::from_str(answer["received"].as_str().unwrap_or_default()).unwrap_or_default();
        assert_eq!(seen["server"], "ns2", "port {port}: {answer}");
        assert_eq!(seen["peer"], *family.client().to_string(), "port {port}: {answer}");
        assert_eq!(seen["peer_port"], answer["local_port"], "port {port}: {answer}");
    }
}
