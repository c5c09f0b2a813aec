//! Any text as a configuration: faults have places, and what has none compiles and decides.
#![no_main]

use control::{Memory, NewFlow, NoTrace, PacketFacts, Policy, config};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match config::parse("fuzz.yaml", text) {
        Err(faults) => assert!(!faults.to_string().is_empty()),
        Ok(config) => {
            let Ok(policy) = Policy::compile(&config, 1) else {
                panic!("a configuration without fault does not compile")
            };
            for (at, interface) in (0..).zip(policy.interfaces()) {
                let Some(own) = interface.addresses.first() else { continue };
                let (source, destination) = ((own.addr(), 1_234).into(), (own.network(), 80).into());
                let interface = control::InterfaceId(at);
                policy.decide(&NewFlow { interface, protocol: 6, source, destination, packet: PacketFacts::default() }, None, &mut Memory::observer(), &mut NoTrace);
            }
        }
    }
});
