//! Interfaces that share a port and are told apart by their 802.1Q tags.

use sim::{Pattern, Step, Town, for_each_seed};

use crate::{LONG, SERVERS, at};

/// Client and server on one cable, with tags 10 and 20; the uplink on another, untagged.
const ONE_CABLE: [(&str, &str); 2] = [
    (r#"intra: { port: "cable0","#, r#"intra: { port: "cable0", vlan: 10,"#),
    (r#"dmz:   { port: "cable1","#, r#"dmz:   { port: "cable0", vlan: 20,"#),
];

#[test]
fn bytes_cross_from_one_tag_to_the_other() {
    for_each_seed(3, |seed| {
        for address in SERVERS {
            let mut town = Town::changed(seed, &ONE_CABLE);
            town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
            let bytes = Pattern { key: 1, len: 40_000 };
            let client = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
            let call = town.world.connect(town.client, &at(address, 80), &client);
            town.world.finish(LONG);
            assert_eq!(town.world.accepted(town.server)[0].remote, town.world.report(call).local);
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn frames_with_a_tag_of_nobody_are_counted() {
    let mut town = Town::changed(2, &ONE_CABLE);
    town.world.get_mut(town.client).vlan = Some(30);
    town.world.connect(town.client, "10.0.0.2:80", &[Step::AwaitReset]);
    town.world.run(std::time::Duration::from_secs(10));
    assert!(town.world.gateway.counter("unknown_vlan") > 0);
    assert_eq!(town.world.gateway.counter("sessions_served"), 0);
}
