//! Each cause from the facts that lead to it.

use super::*;

#[track_caller]
fn check(device: &str, code: i32, facts: &Facts, wanted: &[&str]) {
    let error = refused(&DeviceString::new(device), code, vec!["a line of the driver's".into()], facts);
    let text = error.to_string();
    for part in wanted.iter().chain(&[device, "try: ", "dpdk: a line of the driver's"]) {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

fn all_well() -> Facts {
    Facts { interface_there: true, pci_there: true, capabilities: u64::MAX, ..Facts::default() }
}

#[test]
fn an_interface_that_is_not_there() {
    let facts = Facts { interface_there: false, ..all_well() };
    check("net_af_packet0,iface=nope", -1, &facts, &["no interface `nope`", "ip link"]);
    check("net_af_packet0", -1, &facts, &["names no interface", "net_af_packet0,iface=NAME"]);
}

#[test]
fn a_capability_that_is_missing() {
    let facts = Facts { capabilities: 1 << 12, ..all_well() };
    check("net_af_packet0,iface=x", -1, &facts, &["lacks CAP_NET_RAW", "root"]);
    check("net_tap0", -1, &Facts { capabilities: 0, ..all_well() }, &["lacks CAP_NET_ADMIN"]);
    check("net_af_xdp0,iface=x", -1, &Facts { capabilities: 0, ..all_well() }, &["CAP_NET_ADMIN and CAP_NET_RAW"]);
}

#[test]
fn a_pci_device_that_is_not_there_or_the_kernels() {
    check("0000:ff:00.0", -19, &Facts::default(), &["no PCI device at 0000:ff:00.0", "dpdk-devbind.py --status"]);
    check("0000:03:00.0", -19, &all_well(), &["bound to no driver", "--bind=vfio-pci 0000:03:00.0"]);
    let facts = Facts { pci_driver: Some("ixgbe".into()), ..all_well() };
    check("0000:03:00.0", -19, &facts, &["kernel's driver `ixgbe`", "--bind=vfio-pci"]);
    let facts = Facts { pci_driver: Some("vfio-pci".into()), ..all_well() };
    check("0000:03:00.0", -19, &facts, &["No such device", "librte-net"]);
}

#[test]
fn a_driver_that_nobody_knows() {
    check("net_foo0", -14, &all_well(), &["`net_foo0`", "net_memif"]);
    check("eth0", -14, &all_well(), &["`eth0`", "0000:03:00.0"]);
}

#[test]
fn files_and_numbers() {
    let facts = Facts { missing_file: Some("/nope/in.pcap".into()), ..all_well() };
    check("net_pcap0,rx_pcap=/nope/in.pcap", -1, &facts, &["`/nope/in.pcap` does not exist"]);
    let facts = Facts { missing_file: Some("/dev/net/tun".into()), ..all_well() };
    check("net_tap0", -1, &facts, &["modprobe tun"]);
    check("net_null0", -17, &all_well(), &["attached already", "another number"]);
    check("net_memif0,role=x", -22, &all_well(), &["Invalid argument", "guide's page of net_memif"]);
}

#[test]
fn the_machine_itself_answers() {
    let facts = Facts::look(&DeviceString::new("net_af_packet0,iface=lo"));
    assert!(facts.interface_there);
    let facts = Facts::look(&DeviceString::new("net_pcap0,rx_pcap=/nope/in.pcap"));
    assert_eq!(facts.missing_file.as_deref(), Some("/nope/in.pcap"));
    assert!(interface_mtu("no-such-if").is_none());
}
