//! Who has which address. Network `n` is 10.0.n.0/24 and fd00:n::/64; the gateway is 1 in it, the host 99.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The IP version that a scenario runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// Any address of network `n`.
    pub(crate) fn address(self, n: u8, host: u8) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(10, 0, n, host).into(),
            // The last group reads like the IPv4 host: 99 is ::99.
            Family::V6 => {
                let digits = u16::from(host / 100) << 8 | u16::from(host / 10 % 10) << 4 | u16::from(host % 10);
                Ipv6Addr::new(0xfd00, n.into(), 0, 0, 0, 0, 0, digits).into()
            }
        }
    }

    pub(crate) fn prefix_length(self) -> u8 {
        match self {
            Family::V4 => 24,
            Family::V6 => 64,
        }
    }

    pub(crate) fn gateway(self, n: u8) -> IpAddr {
        self.address(n, 1)
    }

    pub(crate) fn client(self) -> IpAddr {
        self.address(1, 99)
    }

    pub(crate) fn server(self) -> IpAddr {
        self.address(2, 99)
    }

    pub(crate) fn other(self) -> IpAddr {
        self.address(3, 99)
    }

    /// `10.0.2.99:80`, `[fd00:2::99]:80`: as URLs and command lines want it.
    pub(crate) fn server_at(self, port: u16) -> SocketAddr {
        (self.server(), port).into()
    }
}

#[test]
fn addresses_of_a_network_read_alike() {
    assert_eq!(Family::V4.server_at(80).to_string(), "10.0.2.99:80");
    assert_eq!(Family::V6.server_at(80).to_string(), "[fd00:2::99]:80");
    assert_eq!(Family::V6.address(1, 200).to_string(), "fd00:1::200");
}
