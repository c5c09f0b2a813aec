//! What users see of the gateway, one file per behaviour, in the simulator.
//!
//! Where chance decides, a scenario runs for several seeds; where its flows end, nothing is left behind: no flow, no
//! connection, no frame.

mod accept_one;
mod attacks;
mod chaos;
mod crowd;
mod crumbs;
mod decided;
mod denied;
mod detect;
mod drain;
mod echo;
mod entries;
mod first_word;
mod flood;
mod forged;
mod forward;
mod fragments;
mod ftp;
mod half_close;
mod hand;
mod handshake;
mod http;
mod icmp;
mod immediate;
mod local;
mod lossy;
mod marked;
mod nat;
mod nat_local;
mod page;
mod plug_limits;
mod probation;
mod program_datagrams;
mod redecide;
mod refused;
mod released;
mod reload;
mod reset;
mod same_seed;
mod servers;
mod slow_reader;
mod syn_flood;
mod time_wait;
mod total_time;
mod udp;
mod vlan;
mod withdrawn;

use std::time::Duration;

/// Longer than any scenario should take, and than TIME-WAIT lasts.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// The town's server, by each family.
pub(crate) const SERVERS: [&str; 2] = ["10.0.0.2", "fd00:2::2"];

/// `ADDRESS:PORT`, with brackets where the family wants them.
pub(crate) fn at(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
