//! A thousand connections that are open at the same time, each with its own bytes.

use crate::address::Family;
use crate::limits;
use crate::on_every_device;
use crate::servers::port;
use crate::wait;
use crate::world::{Middle, World};

on_every_device!(kernel, a_crowd_is_held_and_each_gets_its_own_bytes);

fn a_crowd_is_held_and_each_gets_its_own_bytes(world: &World, family: Family) {
    let (server, count) = (family.server().to_string(), limits::CROWD.to_string());
    let port = port::MIRRORED + port::ECHO;
    let words = ["many", &server, &port.to_string(), "--count", &count, "--timeout", "40"];
    let mut crowd = world.client.start_client(&words);
    let held = crowd.wait_for("held", limits::PROGRAM);
    assert_eq!(held["held"], limits::CROWD, "{held}");
    let accepted =
        || (world.servers().events_of("accepted", port, family.client()).len() as u64 == limits::CROWD).then_some(());
    wait::until("the server has accepted all of them", limits::VISIBLE, accepted);
    if world.middle() != Middle::Kernel {
        assert_eq!(sessions(world), limits::CROWD, "sessions that limpid status reports");
    }
    crowd.go_on();
    let result = crowd.finish(limits::PROGRAM).successful().json();
    assert_eq!(result["equal"], limits::CROWD, "{result}");
    if world.middle() != Middle::Kernel {
        wait::until("no session is left", limits::PROGRAM, || (sessions(world) == 0).then_some(()));
    }
}

fn sessions(world: &World) -> u64 {
    world.limpid(&["status"])["sessions"].as_u64().expect("limpid status says how many sessions there are")
}
