//! Device strings as operators write them.

use super::*;

#[track_caller]
fn check(text: &str, kind: Kind<'_>, interface: Option<&str>) {
    let device = DeviceString::new(text);
    assert_eq!(device.kind(), kind, "{text}");
    assert_eq!(device.kernel_interface(), interface, "{text}");
}

#[test]
fn virtual_devices() {
    check("net_af_packet0,iface=veth-intra", Kind::Virtual("net_af_packet"), Some("veth-intra"));
    check("net_af_packet_lan,blocksz=4096,iface=x", Kind::Virtual("net_af_packet"), Some("x"));
    check("net_af_xdp1,iface=eth0,start_queue=0", Kind::Virtual("net_af_xdp"), Some("eth0"));
    check("net_tap0,iface=tap-dmz", Kind::Virtual("net_tap"), None);
    check("net_tap0,iface=tap-dmz,remote=eth1", Kind::Virtual("net_tap"), Some("eth1"));
    check("net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap", Kind::Virtual("net_pcap"), None);
    check("vdev:net_null7", Kind::Virtual("net_null"), None);
    check("net_virtio_user0,path=/tmp/s", Kind::Virtual("net_virtio_user"), None);
}

#[test]
fn pci_addresses() {
    check("0000:03:00.0", Kind::Pci("0000:03:00.0"), None);
    check("03:00.1,arg=1", Kind::Pci("03:00.1"), None);
    check("pci:0000:3b:1f.7", Kind::Pci("0000:3b:1f.7"), None);
    assert!(names_pci("0000:03:00.0"));
    assert!(!names_pci("net_null0"));
}

#[test]
fn neither() {
    for text in ["eth0", "", "net_foo0", "0000:03:00", "0000:03:00.8", "x000:03:00.0", "00000000000:03:00.0"] {
        check(text, Kind::Unknown, None);
    }
}

#[test]
fn arguments() {
    let device = DeviceString::new("net_memif0,role=server,id=3,socket=/tmp/a.sock");
    assert_eq!(device.name, "net_memif0");
    assert_eq!(device.argument("id"), Some("3"));
    assert_eq!(device.argument("socket"), Some("/tmp/a.sock"));
    assert_eq!(device.argument("iface"), None);
}
