//! Pieces fit, follow each other without gaps, and are parsed as the fragments they are.

use super::{Cut, piece};
use crate::packet::emit::LinkOut;
use crate::packet::testing::{GATE, HOST, TestFrame, pair};
use crate::packet::{self, Network, RxChecks};

const LINK: LinkOut = LinkOut { source: HOST, destination: GATE, vlan: None };

fn datagram(v6: bool, payload: usize) -> Vec<u8> {
    let text: Vec<u8> = (0..payload).map(|byte| byte as u8).collect();
    let mut out = Vec::new();
    let built = match pair(v6) {
        (std::net::IpAddr::V4(from), std::net::IpAddr::V4(to)) => {
            etherparse::PacketBuilder::ipv4(from.octets(), to.octets(), 64).udp(1, 2).write(&mut out, &text)
        }
        (std::net::IpAddr::V6(from), std::net::IpAddr::V6(to)) => {
            etherparse::PacketBuilder::ipv6(from.octets(), to.octets(), 64).udp(1, 2).write(&mut out, &text)
        }
        _ => unreachable!("one family"),
    };
    built.expect("it is written");
    out
}

#[test]
fn pieces_add_up_to_the_datagram() {
    for v6 in [false, true] {
        let whole = datagram(v6, 5_000);
        let repeated = if v6 { 40 } else { 20 };
        for limit in [1_280, 1_492, 1_500] {
            let cut = Cut { limit, repeated, next_at: 6, identification: 7, dont_fragment: false };
            let (mut at, mut body, mut count) = (Some(0), Vec::new(), 0);
            while let Some(begin) = at {
                let mut frame = TestFrame::new();
                at = piece(&mut frame, &LINK, &whole, &cut, begin).expect("it fits");
                let parsed = packet::parse(&frame.bytes, RxChecks::default()).expect("a good packet");
                let Network::Ip(ip) = parsed.network else { panic!("IP") };
                let fragment = ip.fragment.expect("a fragment");
                assert_eq!((usize::from(fragment.offset), fragment.more), (begin, at.is_some()));
                assert!(ip.datagram().len() <= limit);
                body.extend_from_slice(&frame.bytes[ip.transport]);
                count += 1;
            }
            assert_eq!(body, whole[repeated..]);
            assert!(count <= 5, "no more pieces than needed");
        }
    }
}

#[test]
fn what_cannot_be_cut_so_small_is_refused() {
    let whole = datagram(false, 100);
    let cut = Cut { limit: 27, repeated: 20, next_at: 0, identification: 0, dont_fragment: false };
    assert!(piece(&mut TestFrame::new(), &LINK, &whole, &cut, 0).is_err());
}

#[test]
fn options_of_the_first_fragment_stay_there() {
    let mut whole = datagram(false, 2_000);
    // A time stamp (68), which is not copied, and a router alert (148), which is.
    let options = [68, 4, 5, 0, 148, 4, 0, 0];
    whole.splice(20..20, options);
    whole[0] = 0x47;
    let cut = Cut { limit: 1_500, repeated: 28, next_at: 0, identification: 0, dont_fragment: true };
    let mut first = TestFrame::new();
    let next = piece(&mut first, &LINK, &whole, &cut, 0).expect("it fits").expect("there is more");
    assert_eq!(first.bytes[34..42], options);
    let mut second = TestFrame::new();
    assert_eq!(piece(&mut second, &LINK, &whole, &cut, next), Ok(None));
    assert_eq!(second.bytes[34..42], [1, 1, 1, 1, 148, 4, 0, 0]);
    assert_eq!(second.bytes[20] & 0x40, 0x40, "don't fragment is kept");
}
