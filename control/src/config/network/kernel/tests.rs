//! The forms of `kernel:`, what they mean, and what is refused in which words.

use crate::config;
use crate::policy::{KernelDevice, KernelDriver};

/// The `kernel` of interface `intra`, from what is written behind the key.
fn read(words: &str) -> Result<Option<KernelDevice>, String> {
    let yaml = format!("interfaces:\n  intra: {{ port: net_null0, kernel: {words} }}\n");
    let config = config::parse("kernel.yaml", &yaml).map_err(|faults| faults.to_string())?;
    Ok(config.interfaces[0].kernel.clone())
}

fn tap(name: &str) -> Option<KernelDevice> {
    let driver = KernelDriver::Tap;
    Some(KernelDevice { name: name.to_owned(), driver, packets_per_second: None, bytes_per_second: None })
}

#[test]
fn short_forms() {
    for (words, device) in
        [("true", tap("lim-intra")), ("on", tap("lim-intra")), ("false", None), ("off", None), ("k0", tap("k0"))]
    {
        assert_eq!(read(words), Ok(device), "kernel: {words}");
    }
}

#[test]
fn the_whole_form() {
    let words = "{ device: k0, driver: vhost_net, packets_per_second: 100, bytes_per_second: 1000000 }";
    let device = KernelDevice {
        name: "k0".to_owned(),
        driver: KernelDriver::VhostNet,
        packets_per_second: Some(100),
        bytes_per_second: Some(1_000_000),
    };
    assert_eq!(read(words), Ok(Some(device)));
    assert_eq!(
        read("{ packets_per_second: 5 }").map(|device| device.map(|d| d.name)),
        Ok(Some("lim-intra".to_owned()))
    );
}

#[test]
fn names_that_linux_would_not_take_and_rates_out_of_range() {
    for (words, said) in [
        ("a-name-of-16-chr", "up to 15 letters"),
        ("\"a/b\"", "no name of a kernel's device"),
        ("lo", "no name of a kernel's device"),
        ("[a]", "`true`, `false` or the name of a device was expected"),
        ("{ packets_per_second: 0 }", "a number from 1 to"),
        ("{ bytes_per_second: 1 }", "a number from 65536 to"),
        ("{ driver: tun }", "`tap` or `vhost_net` was expected"),
        ("{ name: k0 }", "`name` is no key of `kernel`"),
    ] {
        let refused = read(words).expect_err(words);
        assert!(refused.contains(said), "kernel: {words}: {refused}");
    }
}

#[test]
fn two_interfaces_have_two_devices() {
    let yaml = "interfaces:\n  a: { port: net_null0, kernel: k0 }\n  b: { port: net_null1, kernel: k0 }\n";
    let refused = config::parse("kernel.yaml", yaml).expect_err("one device for two").to_string();
    assert!(refused.contains("is that of interface `a` already"), "{refused}");
    let long = "interfaces:\n  intranet-one-a: { port: net_null0, kernel: true }\n  intranet-one-b: { port: net_null1, kernel: true }\n";
    let refused = config::parse("kernel.yaml", long).expect_err("cut to the same name").to_string();
    assert!(refused.contains("name it: `kernel: NAME`"), "{refused}");
}
