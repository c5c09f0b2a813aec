//! TIME-WAIT: the session is over, the connection is gone, and a record of it keeps old segments out.

use std::time::Duration;

use dataplane::limits::Capacity;
use sim::gateway::{CAPACITY, Settings};
use sim::town::TERMINATED;
use sim::{ConnectionId, Pattern, Step, Town, for_each_seed};
use tcp::{Flags, Header};

use crate::{LONG, SERVERS, at, hand};

const BYTES: Pattern = Pattern { key: 3, len: 5_000 };

/// One connection to its end, from a port of its own; the client closes first, so the server's leg waits.
fn call(town: &mut Town, server: &str, port: u16) -> ConnectionId {
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    let steps = [Step::Exchange(BYTES, BYTES), Step::Finish, Step::AwaitFinish];
    let (now, remote) = (town.world.now, at(server, 80).parse().expect("an address"));
    let client = town.world.get_mut(town.client);
    let local = std::net::SocketAddr::new(client.address_towards(std::net::SocketAddr::ip(&remote)), port);
    let number = client.connect_from(now, local, remote, &steps);
    let call = ConnectionId { host: town.client, number };
    town.world.run(Duration::from_secs(1));
    assert_eq!(town.world.report(call).bytes.1, 5_000, "{}", town.world.gateway.state());
    call
}

#[test]
fn a_session_is_over_when_only_time_wait_is_left() {
    for_each_seed(3, |seed| {
        for server in SERVERS {
            let mut town = Town::terminated(seed);
            call(&mut town, server, 4_000);
            let audit = town.world.gateway.audit();
            assert_eq!((audit.sessions, audit.sockets, audit.time_wait, audit.flows), (0, 0, 1, 1), "{audit:?}");
            assert_eq!(town.world.gateway.summaries.len(), 1);
            assert_eq!(town.world.gateway.summaries[0].reason, "finished");
            town.world.run(Duration::from_secs(58));
            assert_eq!(town.world.gateway.audit().time_wait, 1);
            town.world.run(Duration::from_secs(5));
            assert_eq!(town.world.gateway.audit(), Default::default());
            town.world.settle(LONG);
        }
    });
}

#[test]
fn time_wait_assassination() {
    for_each_seed(3, |seed| {
        let mut town = Town::terminated(seed);
        town.world.record();
        call(&mut town, SERVERS[0], 4_000);
        let capture = town.world.capture.take().unwrap_or_default();
        let last = *hand::segments(&capture, 1, true).last().expect("an ACK of the server's FIN");
        let server = town.server;
        let mut say = |flags: Flags, seq: u32| {
            let header = Header { options: last.options, ..hand::segment((80, 4_000), flags, seq, last.seq.0) };
            hand::send(&mut town, server, SERVERS[0], "192.168.1.2", &header, &[]);
            town.world.record();
            town.world.run(Duration::from_millis(10));
            hand::segments(&town.world.capture.take().unwrap_or_default(), 1, true)
        };
        // RFC 1337: a RST does not end it, exact though it is.
        assert_eq!(say(Flags::RST, last.ack.0), []);
        // The server's FIN again is acknowledged again.
        let answer = say(Flags::FIN | Flags::ACK, last.ack.0.wrapping_sub(1));
        assert_eq!(
            answer.iter().map(|header| (header.flags, header.ack)).collect::<Vec<_>>(),
            [(Flags::ACK, last.ack)]
        );
        // And one more RST: the server's own connection was gone, so it refuses that acknowledgment.
        assert_eq!(town.world.gateway.counter("tcp_time_wait_reset"), 2);
        assert_eq!(town.world.gateway.audit().time_wait, 1);
        town.world.settle(LONG);
    });
}

#[test]
fn the_clients_new_connection_takes_the_tuple_over() {
    for_each_seed(3, |seed| {
        let mut town = Town::terminated(seed);
        // A client whose own TIME-WAIT is short uses its port again at once.
        town.world.get_mut(town.client).tcp.config.time_wait = Duration::from_millis(100);
        town.world.get_mut(town.server).tcp.config.time_wait = Duration::from_millis(100);
        call(&mut town, SERVERS[0], 4_000);
        call(&mut town, SERVERS[0], 4_000);
        assert_eq!(town.world.gateway.audit().time_wait, 1, "one of the tuple");
        assert_eq!(town.world.gateway.counter("tuple_busy"), 0);
        town.world.settle(LONG);
    });
}

#[test]
fn the_oldest_makes_room() {
    let limits = Capacity { sessions: 8, ..CAPACITY };
    let mut town = Town::with(2, &[TERMINATED], &Settings { limits, ..Settings::default() });
    for port in 4_000..4_010 {
        call(&mut town, SERVERS[0], port);
    }
    assert_eq!(town.world.gateway.audit().time_wait, limits.time_wait());
    assert_eq!(town.world.gateway.counter("time_wait_evicted"), 10 - limits.time_wait() as u64);
    town.world.settle(LONG);
}
