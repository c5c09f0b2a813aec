//! Rule sets and packets at random. The same seed makes the same rules; packets take source ports that the run has not
//! had yet.
//!
//! Addresses, ports and marks come from small pools, so that rules fit a fair share of packets. A user's chain belongs to
//! one hook, so that what may stand in it is known. Rules of table nat name single addresses: which one of a range is
//! chosen is each side's own hash.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use control::policy::{ICMP, ICMPV6, TCP, UDP};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::packet::Packet;
use super::rules::{Rules, Table};
use crate::address::Family;

/// GRE, and a number that no one has.
const OTHERS: [u8; 2] = [47, 99];
pub(crate) const PORTS: [u16; 9] = [22, 53, 80, 443, 1_000, 1_500, 2_000, 8_080, 65_535];

/// What a rule set is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// No translation, no redirection.
    Plain,
    Nat,
    /// TPROXY in mangle.
    Modern,
    /// TPROXY in a table of its own.
    Tproxy,
    /// REDIRECT to where a proxy listens.
    Listener,
}

pub(crate) struct Maker {
    pub(super) family: Family,
    pub(super) random: ChaCha8Rng,
    /// Source ports (ICMP: identifiers; others: hosts) that were used, by protocol.
    used: HashSet<(u8, u16)>,
    next: u32,
    /// Where a rule stands that is being made.
    pub(super) table: &'static str,
    pub(super) hook: &'static str,
    mode: Mode,
    /// There is a table nat, be it beside a redirection.
    pub(super) nat: bool,
    /// Groups that have got names, and sets that were made, for no name may come twice.
    pub(super) names: u32,
    pub(super) sets: u32,
}

impl Maker {
    pub(crate) fn new(family: Family) -> Maker {
        let random = ChaCha8Rng::seed_from_u64(0);
        let used = HashSet::new();
        Maker { family, random, used, next: 0, table: "", hook: "", mode: Mode::Plain, nat: false, names: 0, sets: 0 }
    }

    /// A rule set, and packets for it.
    pub(crate) fn set(&mut self, seed: u64, packets: usize) -> (Rules, Vec<Packet>) {
        self.random = ChaCha8Rng::seed_from_u64(seed);
        let modes = [Mode::Plain, Mode::Nat, Mode::Nat, Mode::Nat, Mode::Listener, Mode::Modern, Mode::Tproxy];
        self.mode = self.of(&modes);
        self.nat = matches!(self.mode, Mode::Nat | Mode::Listener) || self.redirects() && self.chance(60);
        self.sets += 1;
        let rules = self.rules();
        (rules, (0..packets).map(|_| self.packet()).collect())
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound)
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    pub(super) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(super) fn v4(&self) -> bool {
        self.family == Family::V4
    }

    fn rules(&mut self) -> Rules {
        let mut tables = Vec::new();
        if self.chance(40) {
            tables.push(self.table("raw", &["PREROUTING"]));
        }
        if self.chance(70) || self.mode == Mode::Modern {
            let all = &["PREROUTING", "INPUT", "FORWARD", "POSTROUTING"][..];
            // Behind a redirection comes a proxy's leg, which is no packet that Linux has.
            tables.push(self.table("mangle", if self.proxies() { &all[..3] } else { all }));
        }
        if self.mode == Mode::Tproxy {
            tables.push(self.table("tproxy", &["PREROUTING"]));
        }
        if self.nat {
            let all = &["PREROUTING", "INPUT", "POSTROUTING"][..];
            tables.push(self.table("nat", if self.proxies() { &all[..2] } else { all }));
        }
        tables.push(self.table("filter", &["INPUT", "FORWARD"]));
        Rules { tables, whole: false }
    }

    /// Have some flows a proxy's leg?
    fn proxies(&self) -> bool {
        self.redirects() || self.mode == Mode::Listener
    }

    pub(super) fn redirects(&self) -> bool {
        matches!(self.mode, Mode::Modern | Mode::Tproxy)
    }

    fn table(&mut self, table: &'static str, hooks: &[&'static str]) -> Table {
        let mut made = Table { name: table.to_owned(), ..Table::default() };
        self.table = table;
        for hook in hooks {
            self.hook = hook;
            let drops = match table {
                "filter" => self.chance(40),
                "nat" => false,
                // Linux has one policy where we have two tables.
                "mangle" if self.mode == Mode::Tproxy => false,
                "tproxy" => false,
                _ => self.chance(5),
            };
            let policy = if drops { "DROP" } else { "ACCEPT" };
            made.chains.push(((*hook).to_owned(), policy.to_owned()));
            let own: Vec<String> = (1..=self.below(3)).map(|n| format!("{table}-{}{n}", hook.to_lowercase())).collect();
            made.chains.extend(own.iter().map(|chain| (chain.clone(), "-".to_owned())));
            for _ in 0..2 + self.below(7) {
                let rule = self.rule(&own);
                made.rules.push(((*hook).to_owned(), rule));
            }
            for (at, chain) in own.iter().enumerate() {
                for _ in 0..1 + self.below(4) {
                    let rule = self.rule(&own[at + 1..]);
                    made.rules.push((chain.clone(), rule));
                }
            }
        }
        made
    }

    fn rule(&mut self, chains: &[String]) -> String {
        let target = self.target(chains);
        let protocol = match &target {
            Some((_, true)) => Some(self.of(&["tcp", "udp"])),
            _ if self.chance(60) => Some(self.protocol()),
            _ => None,
        };
        let mut words = self.base();
        words.extend(protocol.map(|protocol| format!("-p {protocol}")));
        let mut modules = Vec::new();
        for _ in 0..self.of(&[0, 0, 1, 1, 1, 2]) {
            // A module's options come once in a rule; those without module are the protocol's.
            let another = self.some_match(protocol).map(|text| (module(&text), text));
            let Some((module, text)) = another.filter(|(module, _)| !modules.contains(module)) else { continue };
            modules.push(module);
            words.push(text);
        }
        if let Some((target, _)) = target {
            // Not with a protocol that has none.
            let reset = target.contains("tcp-reset") && protocol != Some("tcp");
            words.push(if reset { "-j REJECT".to_owned() } else { target });
        }
        words.join(" ")
    }

    fn protocol(&mut self) -> &'static str {
        let icmp = if self.v4() { "icmp" } else { "ipv6-icmp" };
        self.of(&["tcp", "tcp", "tcp", "udp", "udp", icmp, "99"])
    }

    fn base(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        if self.chance(20) {
            words.push(format!("{}-s {}", self.not(), self.network(true)));
        }
        // INPUT sees where a redirection leads to; Linux' sees where the client wanted to go.
        let told = !self.redirects() || self.hook != "INPUT";
        if told && self.chance(25) {
            words.push(format!("{}-d {}", self.not(), self.network(false)));
        }
        if self.hook != "POSTROUTING" && self.chance(15) {
            words.push(format!("{}-i {}", self.not(), self.of(&["a", "b", "a+", "c"])));
        }
        if matches!(self.hook, "FORWARD" | "POSTROUTING") && self.chance(15) {
            words.push(format!("{}-o {}", self.not(), self.of(&["a", "b", "b+", "c"])));
        }
        words
    }

    pub(super) fn not(&mut self) -> &'static str {
        if self.chance(25) { "! " } else { "" }
    }

    /// A network that packets come from, or go to.
    pub(super) fn network(&mut self, source: bool) -> String {
        let address = if source { self.client() } else { self.server() };
        let whole = if self.v4() { 32 } else { 128 };
        match self.below(6) {
            0 | 1 => address.to_string(),
            2 => format!("{address}/{}", self.of(&[8, 16, 24])),
            3 => format!("{address}/{}", whole - self.below(16)),
            4 if self.v4() => format!("{address}/{}", self.of(&["255.255.0.255", "0.0.255.255", "255.0.255.0"])),
            4 => format!("{address}/{}", self.of(&["ffff:ffff::ffff", "::ffff", "ffff::"])),
            _ => format!("{address}/{whole}"),
        }
    }

    /// Where packets come from.
    pub(super) fn client(&mut self) -> IpAddr {
        let host = self.of(&[9, 10, 77, 200]);
        let network = self.of(&[1, 1, 2, 5, 6]);
        self.family.address(network, host)
    }

    /// Where they go to: machines, the gateway itself, and to all.
    pub(super) fn server(&mut self) -> IpAddr {
        match self.below(10) {
            0 | 1 => self.own(),
            2 if self.v4() => self.of(&["10.0.1.255", "255.255.255.255", "224.0.0.1"]).parse().expect("an address"),
            // Linux' REDIRECT looks for an address of the group's scope, and there is none.
            2 if !self.nat => "ff02::1".parse().expect("an address"),
            _ => {
                let network = self.of(&[2, 2, 3, 7]);
                let host = self.of(&[50, 51, 60, 130]);
                self.family.address(network, host)
            }
        }
    }

    fn own(&mut self) -> IpAddr {
        let network = self.of(&[1, 2]);
        self.family.address(network, 1)
    }

    /// What a rule does, and whether it needs ports.
    fn target(&mut self, chains: &[String]) -> Option<(String, bool)> {
        if !chains.is_empty() && self.chance(35) {
            let chain = &chains[self.below(chains.len())];
            let word = if self.chance(75) { "-j" } else { "-g" };
            return Some((format!("{word} {chain}"), false));
        }
        if self.chance(8) {
            return None;
        }
        if self.chance(8) {
            return Some(("-j RETURN".to_owned(), false));
        }
        let plain = |text: &str| Some((text.to_owned(), false));
        match (self.table, self.hook) {
            ("raw", _) => {
                let target = self.of(&["-j CT --notrack", "-j CT --notrack", "-j DROP", "-j ACCEPT"]);
                plain(target)
            }
            ("mangle", hook) => {
                if hook == "PREROUTING" && self.mode == Mode::Modern && self.chance(40) {
                    return Some((self.tproxy(), true));
                }
                // An ACCEPT in Linux' mangle would keep packets from what stands for table tproxy there.
                let ends = self.mode != Mode::Tproxy || hook != "PREROUTING";
                match self.below(10) {
                    0 => plain("-j DROP"),
                    1 if ends => plain("-j ACCEPT"),
                    2..6 => Some((self.connmark(), false)),
                    _ => Some((self.mark(), false)),
                }
            }
            ("tproxy", _) => match self.below(5) {
                0 => plain("-j DROP"),
                1 => plain("-j ACCEPT"),
                _ => Some((self.tproxy(), true)),
            },
            ("nat", "PREROUTING") => Some(self.destination()),
            ("nat", hook) => Some(self.source(hook)),
            _ => {
                let unreachable = if self.v4() { "icmp-host-prohibited" } else { "icmp6-adm-prohibited" };
                let reject = format!("-j REJECT --reject-with {unreachable}");
                let choices = [
                    "-j ACCEPT",
                    "-j ACCEPT",
                    "-j DROP",
                    "-j REJECT",
                    &reject,
                    "-j LOG",
                    "-j REJECT --reject-with tcp-reset",
                ];
                let target = choices[self.below(choices.len())];
                plain(target)
            }
        }
    }

    fn tproxy(&mut self) -> String {
        let on = if self.chance(30) { format!(" --on-ip {}", self.own()) } else { String::new() };
        let mark = if self.table == "mangle" { super::rules::TO_PROXY } else { "" };
        format!("-j TPROXY --on-port 50080{on}{mark}")
    }

    /// Marks without the bit that leads to a proxy in Linux.
    fn mark(&mut self) -> String {
        let value = self.below(16);
        let how = self.of(&["--set-xmark", "--set-mark", "--or-mark", "--xor-mark", "--and-mark"]);
        match how {
            "--and-mark" => format!("-j MARK --and-mark 0x{value:x}"),
            "--or-mark" | "--xor-mark" => format!("-j MARK {how} 0x{value:x}"),
            _ if self.chance(50) => format!("-j MARK {how} 0x{value:x}/0x{:x}", self.of(&[1, 3, 6, 0xff])),
            _ => format!("-j MARK {how} 0x{value:x}"),
        }
    }

    fn connmark(&mut self) -> String {
        let masks = if self.chance(40) {
            format!(" --nfmask 0x{:x} --ctmask 0x{:x}", self.below(16), self.below(16))
        } else {
            String::new()
        };
        match self.below(4) {
            0 => format!("-j CONNMARK --set-xmark 0x{:x}/0x{:x}", self.below(16), self.below(16)),
            1 => format!("-j CONNMARK --set-mark 0x{:x}", self.below(16)),
            2 => format!("-j CONNMARK --save-mark{masks}"),
            _ => format!("-j CONNMARK --restore-mark{masks}"),
        }
    }

    fn destination(&mut self) -> (String, bool) {
        let address = match self.below(4) {
            0 => self.own(),
            _ => self.family.address(self.random.random_range(2..4), 70),
        };
        let literal = SocketAddr::new(address, 1).to_string();
        let bare = &literal[..literal.len() - 2];
        match self.below(8) {
            0 => ("-j ACCEPT".to_owned(), false),
            1 => ("-j REDIRECT".to_owned(), false),
            2 if self.mode == Mode::Listener => ("-j REDIRECT --to-ports 50080".to_owned(), true),
            2 => (format!("-j REDIRECT --to-ports {}", self.of(&["8080", "1000-1005"])), true),
            3 => (format!("-j DNAT --to-destination {bare}:{}", self.of(&["80", "8080", "3000-3010"])), true),
            4 => (format!("-j DNAT --to-destination {bare}:{}", self.of(&["3000-3010/80", "7-65535/2000"])), true),
            5 if self.mode == Mode::Listener => {
                let own = SocketAddr::new(self.own(), 50_080);
                (format!("-j DNAT --to-destination {own}"), true)
            }
            5 => ("-j DNAT --to-destination :8080".to_owned(), true),
            _ => (format!("-j DNAT --to-destination {address}"), false),
        }
    }

    fn source(&mut self, hook: &str) -> (String, bool) {
        let address = self.family.address(2, self.random.random_range(90..93));
        let literal = SocketAddr::new(address, 1).to_string();
        let bare = &literal[..literal.len() - 2];
        let how = self.of(&["", "", " --random", " --random-fully"]);
        match self.below(7) {
            0 => ("-j ACCEPT".to_owned(), false),
            1 if hook == "POSTROUTING" => ("-j MASQUERADE".to_owned(), false),
            2 if hook == "POSTROUTING" => (format!("-j MASQUERADE --to-ports 20000-40000{how}"), true),
            3 => (format!("-j SNAT --to-source {bare}:20000-40000{how}"), true),
            4 => (format!("-j SNAT --to-source {address} --persistent"), false),
            _ => (format!("-j SNAT --to-source {address}"), false),
        }
    }

    fn packet(&mut self) -> Packet {
        let icmp = if self.v4() { ICMP } else { ICMPV6 };
        // Two flows without ports that become alike by translation are one too many, and Linux drops the second.
        let all = [TCP, TCP, TCP, TCP, UDP, UDP, UDP, icmp, icmp, OTHERS[0], OTHERS[1]];
        let protocol = self.of(if self.nat { &all[..9] } else { &all });
        let ported = matches!(protocol, TCP | UDP);
        let (mut source, destination) = (self.client(), self.server());
        let mut port = self.fresh(protocol);
        if OTHERS.contains(&protocol) {
            // Such a flow is told by its addresses alone.
            source = match self.family {
                Family::V4 => [10, 6, (port >> 8) as u8, port as u8].into(),
                Family::V6 => [0xfd00, 6, 0, 0, 0, 0, 0, port].into(),
            };
            port = 0;
        }
        self.next += 1;
        let kinds = self.of(&[&[][..], &[2], &[2, 4, 8, 3], &[2, 3], &[4, 30], &[8]]);
        let to = if ported { self.of(&PORTS) } else { 0 };
        Packet {
            id: self.next,
            interface: u16::from(!matches!(source, IpAddr::V4(of) if of.octets()[2] == 1) && self.chance(30)),
            protocol,
            source: SocketAddr::new(source, port),
            destination: SocketAddr::new(destination, to),
            flags: if protocol == TCP { self.of(&[0x02, 0x02, 0x02, 0xc2, 0x0a, 0x22]) } else { 0 },
            options: if protocol == TCP { kinds.to_vec() } else { Vec::new() },
            icmp: if self.v4() {
                self.of(&[(8, 0), (8, 0), (8, 3), (13, 0), (17, 0)])
            } else {
                (128, self.of(&[0, 0, 1]))
            },
            ttl: self.of(&[2, 32, 64, 64, 128, 255]),
            mac: [2, 0, 0, 0, 1, self.of(&[1, 2, 3])],
            padding: self.below(700),
        }
    }

    /// A port that no packet of this protocol came from yet.
    fn fresh(&mut self, protocol: u8) -> u16 {
        loop {
            let port = match self.below(3) {
                0 => self.random.random_range(1..2_000),
                _ => self.random.random_range(2_000..=u16::MAX),
            };
            if self.used.insert((protocol, port)) {
                return port;
            }
        }
    }
}

fn module(text: &str) -> String {
    let mut words = text.split_whitespace();
    let named = words.by_ref().any(|word| word == "-m").then(|| words.next()).flatten();
    named.filter(|name| !matches!(*name, "tcp" | "udp" | "multiport")).unwrap_or_default().to_owned()
}
