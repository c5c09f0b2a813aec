//! Captures made here byte by byte, in every format that is read, against two configurations.

use std::io::Write as _;

use etherparse::PacketBuilder;

use super::*;

const OLD: &str = r#"
interfaces:
  intra: { port: "net_null0", addresses: [192.168.1.1/24] }
  inter: { port: "net_null1", addresses: [203.0.113.1/24] }
routes:
  - { to: 0.0.0.0/0, via: 203.0.113.254 }
rules: |
  *filter
  :INPUT DROP
  :FORWARD DROP
  :OUTPUT ACCEPT
  -A FORWARD -i intra -p tcp --dport 80 -j ACCEPT
  COMMIT
"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(new: &str) -> Folder {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("old.yaml"), OLD).expect("a file");
        std::fs::write(folder.path().join("new.yaml"), new).expect("a file");
        Folder(folder)
    }

    /// What is found in a capture.
    fn replay(&self, bytes: &[u8]) -> Result<Found, String> {
        let path = self.0.path().join("capture");
        std::fs::File::create(&path).and_then(|mut file| file.write_all(bytes)).expect("a file");
        let side = |name: &str| {
            let policy = file::policy(&self.0.path().join(name)).unwrap_or_else(|failure| panic!("{failure:?}"));
            let memory = Memory::new(&policy);
            Side { policy, memory }
        };
        let replay = Replay { capture: path.clone(), interface: None, limit: 10 };
        let (mut sides, mut known, mut found) =
            ([side("old.yaml"), side("new.yaml")], Known::default(), Found::default());
        capture::read(&path, |captured| packet_of(&replay, &mut sides, &mut known, &mut found, captured))?;
        Ok(found)
    }
}

/// Port 80 is closed, port 443 open.
fn changed() -> String {
    OLD.replace("--dport 80", "--dport 443")
}

fn syn(port: u16, from: u16) -> Vec<u8> {
    let ends = ([192, 168, 1, 4], [198, 51, 100, 7]);
    let packet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(ends.0, ends.1, 64);
    let mut bytes = Vec::new();
    packet.tcp(from, port, 1, 1_000).syn().write(&mut bytes, &[]).expect("it fits");
    bytes
}

fn answer(port: u16, to: u16) -> Vec<u8> {
    let ends = ([198, 51, 100, 7], [192, 168, 1, 4]);
    let packet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]).ipv4(ends.0, ends.1, 64);
    let mut bytes = Vec::new();
    packet.tcp(port, to, 1, 1_000).syn().ack(2).write(&mut bytes, &[]).expect("it fits");
    bytes
}

fn pcap(link: u32, big: bool, packets: &[(Vec<u8>, usize)]) -> Vec<u8> {
    let word = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let half = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut out = Vec::new();
    out.extend(word(0xa1b2_c3d4));
    out.extend([half(2), half(4)].concat());
    for field in [0, 0, 65_535, link] {
        out.extend(word(field));
    }
    for (at, (packet, length)) in packets.iter().enumerate() {
        for field in [1_000 + at as u32, 5, packet.len() as u32, *length as u32] {
            out.extend(word(field));
        }
        out.extend(packet);
    }
    out
}

fn whole(packets: &[Vec<u8>]) -> Vec<(Vec<u8>, usize)> {
    packets.iter().map(|packet| (packet.clone(), packet.len())).collect()
}

/// A section with one interface called so.
fn pcapng(interface: &str, packets: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, mut body: Vec<u8>| {
        body.resize(body.len().next_multiple_of(4), 0);
        let length = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &length].concat()
    };
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    section.extend((-1i64).to_le_bytes());
    let mut described = vec![1, 0, 0, 0];
    described.extend(65_535u32.to_le_bytes());
    described.extend([2, 0]);
    described.extend((interface.len() as u16).to_le_bytes());
    described.extend(interface.as_bytes());
    described.resize(described.len().next_multiple_of(4), 0);
    described.extend([0; 4]);
    let mut out = [block(0x0a0d_0d0a, section), block(1, described)].concat();
    for packet in packets {
        let mut body = Vec::new();
        for field in [0, 0, 7, packet.len() as u32, packet.len() as u32] {
            body.extend(u32::to_le_bytes(field));
        }
        body.extend(packet);
        out.extend(block(6, body));
    }
    out
}

#[test]
fn flows_whose_verdict_changes_are_listed_with_both_reasons() {
    let folder = Folder::new(&changed());
    let packets = [syn(80, 1), answer(80, 1), syn(80, 1), syn(443, 2), syn(22, 3), answer(25, 4)];
    let found = folder.replay(&pcap(1, false, &whole(&packets))).expect("a capture");
    assert_eq!((found.packets, found.flows, found.changed, found.under_way), (6, 3, 2, 1));
    let first = &found.listed[0];
    assert_eq!((&first["destination"], &first["interface"]), (&json!("198.51.100.7:80"), &json!("intra")));
    assert_eq!((&first["old"]["verdict"], &first["new"]["verdict"]), (&json!("forward"), &json!("drop")));
    assert_eq!(first["new"]["reason"], "filter_policy");
    assert_eq!((&first["old"]["rule"]["chain"], &first["old"]["rule"]["line"]), (&json!("FORWARD"), &json!(12)));
    assert!(sentence(&first["old"]).contains("old.yaml:12"), "{}", sentence(&first["old"]));
    assert_eq!(found.listed[1]["new"]["verdict"], "forward");
    assert_eq!(first["time"], "1970-01-01T00:16:40.000005Z");
}

#[test]
fn the_same_configuration_changes_nothing() {
    let found = Folder::new(OLD).replay(&pcap(1, true, &whole(&[syn(80, 1), syn(443, 2)]))).expect("a capture");
    assert_eq!((found.flows, found.changed), (2, 0));
}

#[test]
fn every_format_says_the_same() {
    let folder = Folder::new(&changed());
    let bare = |packet: Vec<u8>| packet[14..].to_vec();
    let cooked = |packet: Vec<u8>| [&[0; 14][..], &packet[12..]].concat();
    let null = |packet: Vec<u8>| [&[2, 0, 0, 0][..], &packet[14..]].concat();
    for (what, bytes) in [
        ("ethernet, little", pcap(1, false, &whole(&[syn(80, 1)]))),
        ("ethernet, big", pcap(1, true, &whole(&[syn(80, 1)]))),
        ("raw", pcap(101, false, &whole(&[bare(syn(80, 1))]))),
        ("cooked", pcap(113, false, &whole(&[cooked(syn(80, 1))]))),
        ("null", pcap(0, false, &whole(&[null(syn(80, 1))]))),
        ("cut off", pcap(1, false, &[(syn(80, 1)[..54].to_vec(), 1_514)])),
        ("pcapng", pcapng("intra", &[syn(80, 1)])),
        ("pcapng of an interface elsewhere", pcapng("eth7", &[syn(80, 1)])),
    ] {
        let found = folder.replay(&bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((found.flows, found.changed, found.unreadable), (1, 1, 0), "{what}");
    }
}

/// On the interface that the capture names the flow has no permission in either.
#[test]
fn the_captures_interface_counts() {
    let found = Folder::new(&changed()).replay(&pcapng("inter", &[syn(80, 1)])).expect("a capture");
    assert_eq!((found.flows, found.changed), (1, 0));
}

#[test]
fn what_is_no_capture_is_said_to_be_none() {
    let folder = Folder::new(OLD);
    let good = pcap(1, false, &whole(&[syn(80, 1)]));
    for (bytes, words) in [
        (&b"interfaces: {}\n and more of it, longer than a header"[..], "neither"),
        (&good[..good.len() - 3], "breaks off"),
        (&b""[..], ""),
    ] {
        let error = folder.replay(bytes).map(|found| found.packets).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
    let unread = folder.replay(&pcap(147, false, &whole(&[syn(80, 1)]))).expect("a capture of another link type");
    assert_eq!((unread.flows, unread.unreadable), (0, 1));
}

/// Rules that count do so by the capture's own clock.
#[test]
fn rates_are_those_of_the_capture() {
    let limited = OLD.replace("--dport 80 -j", "--dport 80 -m limit --limit 1/second --limit-burst 1 -j");
    let folder = Folder::new(&limited);
    let packets: Vec<Vec<u8>> = (1..=4).map(|from| syn(80, from)).collect();
    let found = folder.replay(&pcap(1, false, &whole(&packets))).expect("a capture");
    assert_eq!((found.flows, found.changed), (4, 0), "one a second");
    let found = folder.replay(&pcapng("intra", &packets)).expect("a capture");
    assert_eq!((found.flows, found.changed), (4, 3), "all at once");
    assert_eq!(found.listed[0]["old"]["verdict"], "forward");
}
