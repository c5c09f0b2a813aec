//! What is asked of `ip` and of DPDK, in words; that they take them is for the tests in namespaces.

use control::config;

use super::*;

const YAML: &str = r#"
interfaces:
  intra: { port: net_null0, addresses: [192.168.1.1/24, "fd00:1::1/64"], kernel: true }
  inter: { port: net_null1, addresses: [203.0.113.1/24], kernel: { device: k1, driver: vhost_net } }
routes:
  - { to: 0.0.0.0/0, via: 203.0.113.254 }
  - { to: 10.0.0.0/8, interface: intra }
  - { to: "fd00:2::/64", via: "fd00:1::2" }
"#;

fn policy() -> Policy {
    let config = config::parse("device.yaml", YAML).unwrap_or_else(|faults| panic!("{faults}"));
    Policy::compile(&config, 1).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn addresses_come_before_the_link_is_up() {
    let policy = policy();
    let intra = "address add 192.168.1.1/24 dev lim-intra\naddress add fd00:1::1/64 dev lim-intra nodad\n";
    let up = "link set dev lim-intra mtu 1400 up\n";
    assert_eq!(addresses(policy.interface(InterfaceId(0)), "lim-intra", 1400), format!("{intra}{up}"));
}

#[test]
fn each_device_has_the_routes_of_its_interface() {
    let policy = policy();
    let intra = "route add 10.0.0.0/8 dev lim-intra metric 4096\n\
                 route add fd00:2::/64 via fd00:1::2 dev lim-intra metric 4096\n";
    assert_eq!(routes(&policy, InterfaceId(0), "lim-intra"), intra);
    assert_eq!(routes(&policy, InterfaceId(1), "k1"), "route add 0.0.0.0/0 via 203.0.113.254 dev k1 metric 4096\n");
}

#[test]
fn drivers_are_asked_in_their_words() {
    let policy = policy();
    let strings = [0, 1].map(|index| {
        let kernel = policy.interfaces()[index].kernel.clone().expect("a device");
        device_string(index, &kernel, MacAddress([2, 0, 0, 0, 0, 7]))
    });
    assert_eq!(strings[0], "net_tap_kernel0,iface=lim-intra,mac=02:00:00:00:00:07");
    assert!(strings[1].starts_with("net_virtio_user_kernel1,path=/dev/vhost-net,"), "{}", strings[1]);
    assert!(strings[1].ends_with("iface=k1,mac=02:00:00:00:00:07"), "{}", strings[1]);
}
