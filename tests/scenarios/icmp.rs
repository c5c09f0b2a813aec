//! ICMP errors about connections that end at the gateway, on either side: believed only if they quote what is under way,
//! and then for what they are (RFC 5927).

use std::time::Duration;

use sim::frame::{self, Ip, Network};
use sim::world::Captured;
use sim::{Conditions, HostId, Pattern, Progress, Step, Town};
use tcp::{Header, SeqNumber};

use crate::hand::{self, ATTACKER, PUPPET};
use crate::{LONG, SERVERS};

const CLIENT: &str = "192.168.1.2";

/// A leg as its peer's side sees it: the port of its cable, who sends from there, and between whom segments go.
struct Side {
    port: u16,
    router: (HostId, &'static str),
    ends: (&'static str, &'static str),
}

/// A long exchange over links with some delay, under way.
fn under_way(seed: u64) -> (Town, sim::ConnectionId, [Side; 2]) {
    let mut town = Town::terminated(seed);
    let (attacker, puppet) = (hand::attacker(&mut town), hand::puppet(&mut town));
    town.world.set_all(Conditions { delay: Duration::from_millis(20), ..Conditions::CLEAN });
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    let bytes = Pattern { key: 5, len: 20_000_000 };
    let client = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
    let call = town.world.connect(town.client, "10.0.0.2:80", &client);
    town.world.run(Duration::from_millis(400));
    let to_client = Side { port: 0, router: (attacker, ATTACKER), ends: (SERVERS[0], CLIENT) };
    let to_server = Side { port: 1, router: (puppet, PUPPET), ends: (CLIENT, SERVERS[0]) };
    (town, call, [to_client, to_server])
}

/// Segments with data that the gateway puts on a cable in a while: header and length of the IP packet.
fn sent(town: &mut Town, port: u16, time: Duration) -> Vec<(Header, usize)> {
    town.world.record();
    town.world.run(time);
    let ours = |captured: &Captured| captured.by_gateway && captured.port.0 == port;
    let read = |captured: Captured| {
        let Ok((_, Network::Ip(ip))) = frame::parse(&captured.frame) else { return None };
        let (header, length) = Header::parse(&ip.payload).ok()?;
        (ip.payload.len() > length).then_some((header, 20 + ip.payload.len()))
    };
    town.world.capture.take().unwrap_or_default().into_iter().filter(ours).filter_map(read).collect()
}

fn say(town: &mut Town, from: HostId, error: Ip) {
    let now = town.world.now;
    town.world.get_mut(from).send(now, error);
}

#[test]
fn too_big_is_believed_on_both_legs_if_it_quotes_what_is_under_way() {
    for (leg, mtu) in [(0, 1_300), (1, 1_300), (0, 600), (1, 600)] {
        let (mut town, call, sides) = under_way(2);
        let Side { port, router, ends } = &sides[leg];
        let last = sent(&mut town, *port, Duration::from_millis(100)).last().expect("data").0;
        let forged = Header { seq: SeqNumber(last.seq.0.wrapping_add(1 << 24)), ..last };
        say(&mut town, router.0, hand::too_big(router.1, *ends, &forged, mtu));
        let after = sent(&mut town, *port, Duration::from_millis(200));
        assert!(after.iter().any(|(_, length)| *length == 1_500), "a forged one changes nothing");
        let last = after.last().expect("data").0;
        say(&mut town, router.0, hand::too_big(router.1, *ends, &last, mtu));
        // The path carries more in truth, and who probes it may find that out again (RFC 8899): one looks at once.
        town.world.run(Duration::from_millis(30));
        let after = sent(&mut town, *port, Duration::from_millis(30));
        let small = after.iter().filter(|(_, length)| *length <= usize::from(mtu)).count();
        assert!(small > 0 && small * 10 >= after.len() * 9, "leg {leg}: {small} of {}", after.len());
        assert_eq!(town.world.gateway.counter("icmp_delivered"), 2);
        town.world.finish(LONG);
        assert_eq!(town.world.report(call).bytes.1, 20_000_000);
        town.world.settle(LONG);
    }
}

#[test]
fn a_hard_error_ends_no_connection() {
    for leg in 0..2 {
        let (mut town, call, sides) = under_way(3);
        let Side { port, router, ends } = &sides[leg];
        let last = sent(&mut town, *port, Duration::from_millis(100)).last().expect("data").0;
        say(&mut town, router.0, hand::unreachable(router.1, *ends, &last));
        town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
        assert_eq!(town.world.report(call).bytes.1, 20_000_000, "{}", town.world.gateway.state());
        assert_eq!(town.world.gateway.counter("icmp_delivered"), 1);
        town.world.settle(LONG);
    }
}
