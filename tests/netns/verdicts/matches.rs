//! Matches at random, of those that a packet decides by itself.
//!
//! Names of groups and lists are never used twice: Linux keeps what has a name as long as any rule names it.

use super::generate::{Maker, PORTS};

/// Bits of TCP, as rules write them.
const FLAGS: [&str; 6] = ["SYN SYN", "SYN,ACK SYN", "SYN,PSH SYN,PSH", "ALL SYN", "URG NONE", "FIN,RST NONE"];

impl Maker {
    /// A match that may stand where the rule stands.
    pub(super) fn some_match(&mut self, protocol: Option<&str>) -> Option<String> {
        if self.chance(50)
            && let Some(protocol) = protocol
        {
            return self.of_protocol(protocol);
        }
        let not = self.not();
        let any = match self.below(16) {
            0 => self.ranges(),
            1 if self.hook != "POSTROUTING" => {
                format!("-m mac {not}--mac-source 02:00:00:00:01:0{}", 1 + self.below(3))
            }
            2 => format!("-m length {not}--length {}", self.of(&["0:200", "100:400", "300:", "77"])),
            3 | 4 => self.tracking(),
            5 | 6 => format!("-m mark {not}--mark 0x{:x}/0x{:x}", self.below(8), self.of(&[1, 3, 7, 0xf])),
            7 => format!("-m connmark {not}--mark 0x{:x}/0x{:x}", self.below(4), self.of(&[1, 3])),
            8 => self.kinds(),
            9 => format!("-m pkttype {not}--pkt-type {}", self.of(&["unicast", "broadcast", "multicast"])),
            10 => self.hops(),
            11 => format!("-m limit --limit 1/hour --limit-burst {}", 1 + self.below(5)),
            12 => self.groups(),
            13 => self.list(),
            14 if self.hook == "INPUT" && self.table != "nat" => {
                self.of(&["-m socket --transparent", "-m tproxy"]).to_owned()
            }
            _ => format!(
                "-m state {not}--state {}",
                self.of(&["NEW", "ESTABLISHED,RELATED", "UNTRACKED", "INVALID,NEW"])
            ),
        };
        Some(any)
    }

    fn of_protocol(&mut self, protocol: &str) -> Option<String> {
        let not = self.not();
        Some(match protocol {
            "tcp" | "udp" if self.chance(30) => self.multiport(),
            "tcp" if self.chance(20) => format!("-m tcp {not}--tcp-flags {}", self.of(&FLAGS)),
            "tcp" if self.chance(20) => format!("-m tcp {not}--tcp-option {}", self.of(&[2, 3, 4, 8, 30])),
            "tcp" if self.chance(10) => format!("{not}--syn"),
            "tcp" | "udp" if self.chance(30) || !self.tells_destination() => format!("{not}--sport {}", self.ports()),
            "tcp" | "udp" => format!("{not}--dport {}", self.ports()),
            "icmp" => format!("-m icmp {not}--icmp-type {}", self.of(&["8", "8/0", "8/3", "any", "13", "echo-reply"])),
            "ipv6-icmp" => format!("-m icmp6 {not}--icmpv6-type {}", self.of(&["128", "128/0", "129", "1"])),
            _ => return None,
        })
    }

    /// Whether destinations are the same to both: INPUT behind a redirection is not.
    fn tells_destination(&self) -> bool {
        !(self.redirects() && self.hook == "INPUT")
    }

    fn ports(&mut self) -> String {
        let port = self.of(&PORTS);
        match self.below(4) {
            0 => format!("{port}:"),
            1 => format!(":{port}"),
            2 => format!("{port}:{}", port.saturating_add(600)),
            _ => port.to_string(),
        }
    }

    fn multiport(&mut self) -> String {
        let not = self.not();
        let which = if self.tells_destination() { self.of(&["sports", "dports", "ports"]) } else { "sports" };
        let ports: Vec<String> = (0..1 + self.below(4))
            .map(|_| match self.below(3) {
                0 => format!("{}:{}", 1_000 + self.below(500), 1_600 + self.below(40_000)),
                _ => self.of(&PORTS).to_string(),
            })
            .collect();
        format!("-m multiport {not}--{which} {}", ports.join(","))
    }

    fn ranges(&mut self) -> String {
        let not = self.not();
        let source = !self.tells_destination() || self.chance(50);
        let network = if source { 1 } else { 2 };
        let host = 5 + self.below(60) as u8;
        let (first, last) = (self.family.address(network, host), self.family.address(network + 1, host + 30));
        format!("-m iprange {not}--{}-range {first}-{last}", if source { "src" } else { "dst" })
    }

    fn tracking(&mut self) -> String {
        let not = self.not();
        let told = self.tells_destination();
        match self.below(9) {
            0 => format!(
                "-m conntrack {not}--ctstate {}",
                self.of(&["NEW", "UNTRACKED", "ESTABLISHED", "DNAT", "SNAT", "NEW,DNAT"])
            ),
            1 => format!("-m conntrack {not}--ctproto {}", self.of(&["tcp", "udp", "99"])),
            2 => format!("-m conntrack {not}--ctorigsrc {}", self.plain_network(true)),
            3 => format!("-m conntrack {not}--ctorigdst {}", self.plain_network(false)),
            4 if told => format!("-m conntrack {not}--ctreplsrc {}", self.plain_network(false)),
            5 => format!("-m conntrack --ctproto tcp {not}--ctorigdstport {}", self.of(&PORTS)),
            6 => format!("-m conntrack --ctdir {}", self.of(&["ORIGINAL", "REPLY"])),
            7 => format!("-m conntrack {not}--ctstatus {}", self.of(&["NONE", "EXPECTED", "SEEN_REPLY", "ASSURED"])),
            _ => format!("-m conntrack {not}--ctrepldst {}", self.plain_network(true)),
        }
    }

    fn plain_network(&mut self, source: bool) -> String {
        let address = if source { self.client() } else { self.server() };
        let lengths: [u8; 3] = if self.v4() { [16, 24, 32] } else { [32, 64, 128] };
        format!("{address}/{}", self.of(&lengths))
    }

    fn kinds(&mut self) -> String {
        let not = self.not();
        let limit = if self.hook != "POSTROUTING" && self.chance(30) { " --limit-iface-in" } else { "" };
        let kind = self.of(&["UNICAST", "LOCAL", "MULTICAST", "LOCAL,MULTICAST", "BROADCAST", "BROADCAST,LOCAL"]);
        let kind = if !self.v4() && kind.contains("BROADCAST") { "UNICAST,LOCAL" } else { kind };
        let which = if self.tells_destination() { self.of(&["dst", "dst", "src"]) } else { "src" };
        format!("-m addrtype {not}--{which}-type {kind}{limit}")
    }

    fn hops(&mut self) -> String {
        let (name, prefix) = if self.v4() { ("ttl", "ttl") } else { ("hl", "hl") };
        let with = self.of(&[1, 2, 31, 32, 63, 64, 100]);
        match self.below(3) {
            0 => format!("-m {name} {}--{prefix}-eq {with}", self.not()),
            1 => format!("-m {name} --{prefix}-lt {with}"),
            _ => format!("-m {name} --{prefix}-gt {with}"),
        }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("n{}", self.names)
    }

    fn groups(&mut self) -> String {
        let (name, how) = (self.name(), self.of(&["upto", "above"]));
        let mode = if self.tells_destination() {
            self.of(&["srcip", "dstip", "srcip,dstip", "dstip,dstport"])
        } else {
            "srcip"
        };
        let mask = if mode.starts_with("src") && self.chance(40) { " --hashlimit-srcmask 16" } else { "" };
        let burst = 1 + self.below(4);
        format!(
            "-m hashlimit --hashlimit-{how} 1/hour --hashlimit-burst {burst} --hashlimit-mode {mode} --hashlimit-name {name}{mask} --hashlimit-htable-expire 3600000"
        )
    }

    /// A set's lists are shared by its rules: one puts into it, another asks.
    fn list(&mut self) -> String {
        let which = self.below(2);
        let name = format!("l{}x{which}", self.sets);
        let side = if self.tells_destination() { self.of(&["--rsource", "--rdest"]) } else { "--rsource" };
        match self.below(3) {
            0 => format!("-m recent {}--set --name {name} {side}", self.not()),
            1 => format!("-m recent {}--rcheck --name {name} {side}", self.not()),
            _ => format!("-m recent --name {name} {}--update --seconds 3600 --hitcount 2 {side}", self.not()),
        }
    }
}
