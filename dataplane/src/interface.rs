//! The gateway's interfaces at run time: which port and VLAN a packet of an interface crosses.
//!
//! Rules speak of interfaces by name, the policy by [`InterfaceId`]; a port may carry several, told apart by their
//! 802.1Q tag. What is here is fixed while the gateway runs (a reload cannot change it).

use control::policy::{InterfaceId, Policy};

use crate::nic::{Nic, Offloads, PortId, PortInfo};
use crate::packet::MacAddress;
use crate::packet::emit::LinkOut;

/// One interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name in rules.
    pub name: String,
    /// The port it is on.
    pub port: PortId,
    /// Its 802.1Q tag; `None`: untagged.
    pub vlan: Option<u16>,
    /// Its address on the link.
    pub mac: MacAddress,
    /// Largest IP packet, bytes.
    pub mtu: u16,
    /// What the port does for us on transmit.
    pub offloads: Offloads,
}

impl Interface {
    /// The Ethernet header of a frame to `destination`.
    pub fn link_to(&self, destination: MacAddress) -> LinkOut {
        LinkOut { source: self.mac, destination, vlan: self.vlan }
    }

    /// Largest TCP payload of one packet without options, bytes.
    pub fn mss(&self, ipv6: bool) -> u16 {
        self.mtu.saturating_sub(if ipv6 { 60 } else { 40 })
    }
}

/// All interfaces, by id.
#[derive(Clone, Debug)]
pub struct Interfaces(Vec<Interface>);

impl Interfaces {
    /// Joins the policy's interfaces with the ports they are on (`ports`: by interface id).
    pub fn new<N: Nic>(policy: &Policy, ports: &[PortId], nic: &N) -> Self {
        assert_eq!(policy.interfaces().len(), ports.len(), "every interface has its port");
        Self(
            policy
                .interfaces()
                .iter()
                .zip(ports)
                .map(|(configured, port)| {
                    let PortInfo { mac, mtu, offloads, .. } = nic.info(*port);
                    Interface {
                        name: configured.name.clone(),
                        port: *port,
                        vlan: configured.vlan,
                        mac: *mac,
                        mtu: configured.mtu.map_or(*mtu, |wanted| wanted.min(*mtu)),
                        offloads: *offloads,
                    }
                })
                .collect(),
        )
    }

    /// One interface.
    pub fn get(&self, id: InterfaceId) -> &Interface {
        &self.0[usize::from(id.0)]
    }

    /// The interface of a packet that came in on `port` with this tag; there are few: a walk beats a map.
    pub fn find(&self, port: PortId, vlan: Option<u16>) -> Option<InterfaceId> {
        self.0.iter().position(|i| i.port == port && i.vlan == vlan).map(|i| InterfaceId(u16::try_from(i).unwrap_or(0)))
    }

    /// All, with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        self.0.iter().enumerate().map(|(i, interface)| (InterfaceId(u16::try_from(i).unwrap_or(0)), interface))
    }
}
