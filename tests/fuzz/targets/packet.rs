//! Any bytes as a frame: parsing ends, and what it says lies within the frame.
#![no_main]

use dataplane::packet::{self, Network, RxChecks, Transport};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, frame)) = data.split_first() else { return };
    // With checksums taken for good, mutation gets past them.
    let checks = RxChecks {
        ip_checksum_good: first & 1 != 0,
        l4_checksum_good: first & 2 != 0,
        vlan: (first & 4 != 0).then_some(u16::from(*first) << 4),
    };
    let packet = match packet::parse(frame, checks) {
        Ok(packet) => packet,
        Err(malformed) => {
            assert!(!malformed.name().is_empty() && !malformed.sentence().is_empty());
            return;
        }
    };
    if let Network::Ip(ip) = &packet.network {
        assert!(ip.header.start <= ip.header.end && ip.header.end <= ip.transport.end);
        let transport = &frame[ip.transport.clone()];
        let _ends = (ip.source_socket(), ip.destination_socket());
        match &ip.kind {
            Transport::Tcp { payload, .. } => {
                assert!(payload.start >= ip.transport.start && payload.end == ip.transport.end);
            }
            // RFC 768 lets a datagram be shorter than the IP packet that carries it.
            Transport::Udp { payload, .. } => {
                assert!(payload.start == ip.transport.start + 8 && payload.end <= ip.transport.end);
                assert!(frame[payload.clone()].len() + 8 <= transport.len());
            }
            Transport::Icmp(_) | Transport::Other => {}
        }
    }
});
