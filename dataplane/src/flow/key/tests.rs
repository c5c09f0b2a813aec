//! What goes into a key comes out of it, and everything in it tells keys apart.

use std::net::{IpAddr, SocketAddr};

use control::policy::InterfaceId;
use proptest::prelude::*;

use super::Key;

fn tuple() -> impl Strategy<Value = (u16, u8, SocketAddr, SocketAddr)> {
    let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    (any::<u16>(), any::<u8>(), prop_oneof![v4, v6], any::<u16>(), any::<u16>()).prop_map(
        |(interface, protocol, (source, destination), from, to)| {
            (interface, protocol, SocketAddr::new(source, from), SocketAddr::new(destination, to))
        },
    )
}

proptest! {
    #[test]
    fn packing_loses_nothing(tuple in tuple(), back in any::<u16>()) {
        let (interface, protocol, source, destination) = tuple;
        let key = Key::new(InterfaceId(interface), protocol, source, destination);
        prop_assert_eq!(
            (key.interface().0, key.protocol(), key.source(), key.destination()),
            (interface, protocol, source, destination)
        );
        let reply = key.reply(InterfaceId(back));
        prop_assert_eq!(reply, Key::new(InterfaceId(back), protocol, destination, source));
        prop_assert_eq!(reply.reply(InterfaceId(interface)), key);
    }

    #[test]
    fn keys_are_equal_exactly_when_their_tuples_are(a in tuple(), b in tuple()) {
        let key = |(interface, protocol, source, destination)| Key::new(InterfaceId(interface), protocol, source, destination);
        prop_assert_eq!(key(a) == key(b), a == b);
    }
}

#[test]
fn both_legs_of_a_proxied_flow_have_different_keys() {
    let client: SocketAddr = "192.168.1.5:40000".parse().expect("it is an address");
    let server: SocketAddr = "10.0.0.9:80".parse().expect("it is an address");
    let from_client = Key::new(InterfaceId(0), 6, client, server);
    let from_server = Key::new(InterfaceId(1), 6, server, client);
    assert_ne!(from_client, from_server);
    assert_eq!(from_client.reply(InterfaceId(1)), from_server);
    // On one interface too: the direction tells them apart.
    assert_ne!(from_client, from_client.reply(InterfaceId(0)));
}

#[test]
fn an_embedded_address_is_not_the_address() {
    let v4: SocketAddr = "0.0.0.1:5".parse().expect("it is an address");
    let v6: SocketAddr = "[::1]:5".parse().expect("it is an address");
    assert_ne!(Key::new(InterfaceId(0), 6, v4, v4), Key::new(InterfaceId(0), 6, v6, v6));
    assert_eq!(format!("{:?}", Key::new(InterfaceId(3), 6, v6, v6)), "if3 proto 6 [::1]:5 -> [::1]:5");
}
