//! The longest prefix wins: against a search through all networks.

use super::*;
use proptest::prelude::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn longest_wins_in_both_families() {
    let mut map = PrefixMap::new();
    for network in ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "::/0", "fd00::/8", "fd00:1::/32"] {
        map.insert(net(network), network);
    }
    let ask = |address: &str| *map.lookup(address.parse().unwrap()).unwrap().1;
    assert_eq!(ask("10.1.2.3"), "10.1.0.0/16");
    assert_eq!(ask("10.2.2.3"), "10.0.0.0/8");
    assert_eq!(ask("11.2.2.3"), "0.0.0.0/0");
    assert_eq!(ask("fd00:1::9"), "fd00:1::/32");
    assert_eq!(ask("2001:db8::1"), "::/0");
    assert_eq!(ask("::ffff:10.1.2.3"), "::/0");
}

#[test]
fn host_bits_do_not_make_another_network() {
    let mut map = PrefixMap::new();
    assert_eq!(map.insert(net("10.0.0.1/24"), 1), None);
    assert_eq!(map.insert(net("10.0.0.0/24"), 2), Some(1));
    assert_eq!((map.len(), map.get(net("10.0.0.77/24"))), (1, Some(&2)));
}

proptest! {
    #[test]
    fn agrees_with_a_search_through_all(
        nets in prop::collection::vec((any::<[u8; 4]>(), 0u8..=32), 0..40),
        asked in any::<[u8; 4]>(),
    ) {
        let nets: Vec<IpNet> = nets.into_iter().map(|(a, len)| IpNet::new(IpAddr::from(a), len).unwrap().trunc()).collect();
        let mut map = PrefixMap::new();
        nets.iter().for_each(|n| { map.insert(*n, *n); });
        let asked = IpAddr::from(asked);
        let best = nets.iter().filter(|n| n.contains(&asked)).max_by_key(|n| n.prefix_len());
        prop_assert_eq!(map.lookup(asked).map(|(n, _)| n), best.copied());
    }
}
