//! Rules at random over the whole grammar: good ones, and some with one thing broken. The same seed makes the same
//! rules.
//!
//! Values that the two are known to read differently (`exceptions.txt`) are not among the choices: whatever differs
//! here is news.

use super::oracle::Line;
use control::rules::Family;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// So many rules.
pub(crate) fn rules(family: Family, count: usize, seed: u64) -> Vec<Line> {
    let mut maker = Maker { random: ChaCha8Rng::seed_from_u64(seed), v4: family == Family::V4, broken: false };
    (0..count).map(|_| maker.rule()).collect()
}

struct Maker {
    random: ChaCha8Rng,
    v4: bool,
    /// Whether wrong values are among the choices of this rule.
    broken: bool,
}

/// Tables with their chains; the user's own is in each.
const TABLES: [(&str, &[&str]); 4] = [
    ("filter", &["INPUT", "FORWARD", "OUTPUT", "U"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING", "U"]),
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", "U"]),
    ("raw", &["PREROUTING", "OUTPUT", "U"]),
];

/// A value or, in a rule that may be broken, sometimes a wrong one.
macro_rules! pick {
    ($maker:expr, $good:expr, $bad:expr) => {{
        let (good, bad): (&[&str], &[&str]) = (&$good, &$bad);
        $maker.of(good, bad)
    }};
}

impl Maker {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn of(&mut self, good: &[&str], bad: &[&str]) -> String {
        let wrong = self.broken && !bad.is_empty() && self.chance(20);
        let from = if wrong { bad } else { good };
        from[self.random.random_range(0..from.len())].to_owned()
    }

    fn not(&mut self) -> &'static str {
        if self.chance(25) { "! " } else { "" }
    }

    fn rule(&mut self) -> Line {
        self.broken = self.chance(50);
        let (table, chains) = TABLES[[0, 0, 0, 1, 1, 2, 2, 3][self.random.random_range(0..8)]];
        let chain = chains[self.random.random_range(0..chains.len())];
        let protocol = self.chance(65).then(|| self.protocol());
        let mut words = self.base(chain);
        if let Some(protocol) = &protocol {
            words.push(format!("-p {protocol}"));
        }
        for _ in 0..[0, 0, 1, 1, 2, 3][self.random.random_range(0..6)] {
            words.push(self.some_match(protocol.as_deref()));
        }
        // The base and the matches come in any order; `-p` stands before what depends on it.
        if self.chance(80) {
            words.push(self.target(table, chain, protocol.as_deref()));
        }
        if self.broken && self.chance(4) {
            let extra = pick!(self, ["extra", "! ", "--nothing", "-s 1.1.1.1 -s 1.1.1.1", "-j DROP -j DROP", "-z"], []);
            words.push(extra);
        }
        Line { table, rule: format!("-A {chain} {}", words.join(" ")).trim_end().to_owned() }
    }

    fn protocol(&mut self) -> String {
        let icmp = if self.v4 { ["icmp", "1"] } else { ["icmpv6", "58"] };
        match self.random.random_range(0..10) {
            0..4 => pick!(self, ["tcp", "6", "TCP"], ["tpc"]),
            4..7 => pick!(self, ["udp", "17"], ["256"]),
            7 => pick!(self, icmp, ["-1"]),
            _ => pick!(self, ["sctp", "udplite", "esp", "gre", "99", "all"], ["nothing", "1000"]),
        }
    }

    fn address(&mut self) -> String {
        if self.v4 {
            pick!(
                self,
                [
                    "10.0.0.1",
                    "10.1",
                    "192.168.1.0/24",
                    "172.16/12",
                    "010.1.1.1",
                    "0x0a.1.1.1",
                    "1.2.3.4/255.255.0.0",
                    "10.0.0.1/0.0.0.255",
                    "0.0.0.0"
                ],
                [
                    "10.0.0.256",
                    "10.0.0.1/33",
                    "1.2.3.4.5",
                    "10.0.0.1/",
                    "fd00::1",
                    "10.0.0.1,",
                    "08.1.1.1",
                    "10.0.0.1/255.0"
                ]
            )
        } else {
            pick!(
                self,
                ["fd00::1", "fd00::/64", "::1", "fd00::1/ffff::", "2001:db8::1/128"],
                ["fd00::/129", "fd00:::1", "fd00::1/"]
            )
        }
    }

    fn base(&mut self, chain: &str) -> Vec<String> {
        let mut words = Vec::new();
        // Where one is inverted, iptables wants no list in the other, either.
        let lists = self.chance(15);
        for option in ["-s", "-d", "--src", "--destination"] {
            if self.chance(12) {
                let not = if lists { "" } else { self.not() };
                let mut list = self.address();
                if lists {
                    list = format!("{list},{}", self.address());
                }
                words.push(format!("{not}{option} {list}"));
            }
        }
        let (input, output) = match chain {
            "INPUT" | "PREROUTING" => (true, false),
            "OUTPUT" | "POSTROUTING" => (false, true),
            _ => (true, true),
        };
        let wrong = self.broken && self.chance(5);
        if (input || wrong) && self.chance(15) {
            let not = self.not();
            words.push(format!("{not}-i {}", pick!(self, ["eth0", "eth+", "lo", "a.1"], ["1234567890123456", "\"\""])));
        }
        if (output || wrong) && self.chance(15) {
            let not = self.not();
            words.push(format!(
                "{not}--out-interface {}",
                pick!(self, ["eth1", "tun+", "x"], ["12345678901234567", "\"\""])
            ));
        }
        if self.v4 && self.chance(3) {
            let not = self.not();
            words.push(format!("{not}-f"));
        }
        words
    }

    fn ports(&mut self) -> String {
        pick!(self, ["80", "0", "1024:", ":1023", "5:9", "65535", "7:7"], ["http:x", "65536x", "a", "-1"])
    }

    /// A match, with those more often that fit the protocol.
    fn some_match(&mut self, protocol: Option<&str>) -> String {
        let ports = match protocol {
            Some("tcp" | "6" | "TCP") => Some("tcp"),
            Some("udp" | "17") => Some("udp"),
            Some("sctp") => Some("sctp"),
            _ => None,
        };
        if let Some(name) = ports
            && self.chance(40)
        {
            return self.by_port(name);
        }
        if self.broken && self.chance(3) {
            return pick!(
                self,
                [
                    "--dport 80",
                    "-m tcp --dport 5",
                    "-m nosuch",
                    "-m limit --limit-bust 5",
                    "! -m limit",
                    "--mark 5",
                    "-m multiport --ports 5"
                ],
                []
            );
        }
        if matches!(protocol, Some("icmp" | "1" | "icmpv6" | "58")) && self.chance(60) {
            return self.icmp();
        }
        match self.random.random_range(0..20) {
            0 => self.state(),
            1 => self.conntrack(),
            2 => self.limit(),
            3 => self.hashlimit(),
            4 => self.connlimit(),
            5 => self.iprange(),
            6 => format!(
                "-m mac {}--mac-source {}",
                self.not(),
                pick!(
                    self,
                    ["00:11:22:33:44:55", "a:B:c:D:e:f"],
                    ["00:11:22:33:44", "00:11:22:33:44:55:66", "0g:1:2:3:4:5"]
                )
            ),
            7 => format!(
                "-m comment --comment {}",
                pick!(
                    self,
                    ["x", "\"two words\"", "a\"b c\"", "\"q\\\"uote\"", "\"\"", "it's", "\"back\\\\slash\"", "dot.dot"],
                    []
                )
            ),
            8 => {
                let name = pick!(self, ["mark", "connmark"], []);
                format!(
                    "-m {name} {}--mark {}",
                    self.not(),
                    pick!(
                        self,
                        ["1", "0x10/0xff", "0", "010", "4294967295", "0xff/0x0f"],
                        ["x", "0x100000000", "1/", "/1", "1/2/3"]
                    )
                )
            }
            9 => self.addrtype(),
            10 => format!("-m socket{}{}", self.maybe(" --transparent"), self.maybe(" --nowildcard")),
            11 => format!(
                "-m pkttype {}--pkt-type {}",
                self.not(),
                pick!(self, ["unicast", "broadcast", "multicast", "mcast", "bcast", "host"], ["uni", "anycast"])
            ),
            12 => format!(
                "-m length {}--length {}",
                self.not(),
                pick!(self, ["0", "40", "40:1500", ":100", "100:", "65535"], ["65536", "a", "1:2:3"])
            ),
            13 => self.hops(),
            14 => self.time(),
            15 | 16 => self.recent(),
            _ => format!(
                "-m state --state {}",
                pick!(self, ["NEW", "ESTABLISHED,RELATED", "new,rel", "INVALID", "UNTRACKED"], ["NEWS", "", "SNAT"])
            ),
        }
    }

    fn maybe(&mut self, text: &'static str) -> &'static str {
        if self.chance(50) { text } else { "" }
    }

    fn by_port(&mut self, name: &str) -> String {
        if self.chance(25) {
            let which =
                pick!(self, ["--sports", "--dports", "--ports", "--source-ports", "--destination-port"], ["--nports"]);
            let list = pick!(
                self,
                ["1", "1,2,3", "22,80:90", "80,443", "1:2,3:4,5:6,7:8,9:10,11:12,13:14,15", "0,65535"],
                ["5:5", "7:6", ":7", "7:", "1,,2", "1:2,3:4,5:6,7:8,9:10,11:12,13:14,15:16", "70000"]
            );
            return format!("-m multiport {}{which} {list}", self.not());
        }
        let mut words = if self.chance(50) { format!("-m {name}") } else { String::new() };
        if self.chance(70) {
            let option = pick!(self, ["--dport", "--destination-port", "--dp"], ["--dports", "--dprot"]);
            words = format!("{words} {}{option} {}", self.not(), self.ports());
        }
        if self.chance(30) {
            words = format!("{words} {}--sport {}", self.not(), self.ports());
        }
        if name == "tcp" && self.chance(30) {
            let flags = pick!(
                self,
                [
                    "--syn",
                    "--tcp-flags SYN,ACK SYN",
                    "--tcp-flags ALL NONE",
                    "--tcp-flags FIN,SYN,RST,PSH,ACK,URG FIN,PSH,URG",
                    "--tcp-flags all syn"
                ],
                ["--tcp-flags SYN", "--tcp-flags FOO SYN"]
            );
            words = format!("{words} {}{flags}", self.not());
        }
        if name == "tcp" && self.chance(10) {
            words =
                format!("{words} {}--tcp-option {}", self.not(), pick!(self, ["2", "255", "0x8"], ["0", "256", "x"]));
        }
        words.trim_start().to_owned()
    }

    fn icmp(&mut self) -> String {
        let kind = if self.v4 {
            pick!(
                self,
                [
                    "any",
                    "8",
                    "echo-request",
                    "ping",
                    "3/4",
                    "destination-unreachable",
                    "port-unreachable",
                    "0",
                    "255",
                    "ttl-exceeded",
                    "11/0",
                    "Source-Quench",
                    "fragmentation-n"
                ],
                ["echo", "256", "3/256", "8:9", "3/", "nothing"]
            )
        } else {
            pick!(
                self,
                [
                    "128",
                    "echo-request",
                    "1/4",
                    "no-route",
                    "packet-too-big",
                    "neighbour-solicitation",
                    "redirect",
                    "time-exceeded"
                ],
                ["echo", "256", "1/256", "fragmentation-needed"]
            )
        };
        let option = if self.v4 { "icmp-type" } else { "icmpv6-type" };
        format!("{}--{option} {kind}", self.not())
    }

    fn state(&mut self) -> String {
        format!(
            "-m conntrack {}--ctstate {}",
            self.not(),
            pick!(
                self,
                ["NEW", "RELATED,ESTABLISHED", "SNAT,DNAT", "INVALID,UNTRACKED", "est"],
                ["NEW,", ",NEW", "OLD"]
            )
        )
    }

    fn conntrack(&mut self) -> String {
        let mut words = "-m conntrack".to_owned();
        if self.chance(40) {
            words = format!(
                "{words} {}--ctproto {}",
                self.not(),
                pick!(self, ["tcp", "17", "0", "99"], ["256", "nothing"])
            );
        }
        for option in ["ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"] {
            if self.chance(15) {
                let address = if self.v4 {
                    pick!(self, ["10.0.0.1", "10.0.0.0/8", "1.2.3.0/24"], ["1.2.3.4.5", "10.0.0.256"])
                } else {
                    pick!(self, ["fd00::1", "fd00::/8"], ["fd00::g"])
                };
                words = format!("{words} {}--{option} {address}", self.not());
            }
        }
        for option in ["ctorigsrcport", "ctorigdstport", "ctreplsrcport", "ctrepldstport"] {
            if self.chance(10) {
                words = format!(
                    "{words} {}--{option} {}",
                    self.not(),
                    pick!(self, ["5", "5:9", ":9", "9:", "http"], ["a"])
                );
            }
        }
        if self.chance(25) {
            words = format!(
                "{words} {}--ctstatus {}",
                self.not(),
                pick!(self, ["NONE", "ASSURED,CONFIRMED", "SEEN_REPLY", "exp"], ["NOTHING", "ASSURED,"])
            );
        }
        if self.chance(20) {
            words = format!(
                "{words} {}--ctexpire {}",
                self.not(),
                pick!(self, ["5", "5:9", ":9", "9:", "0"], ["a", "4294967296"])
            );
        }
        if self.chance(20) {
            words = format!("{words} --ctdir {}", pick!(self, ["ORIGINAL", "REPLY", "reply"], ["BOTH"]));
        }
        words
    }

    fn rate(&mut self) -> String {
        let number = self.random.random_range(20..400);
        pick!(self, ["/sec", "/second", "/s", "/min", "/minute", "/hour", "/h", "/d"], ["/", "/week", "x"]).replacen(
            "",
            &number.to_string(),
            1,
        )
    }

    fn limit(&mut self) -> String {
        let mut words = "-m limit".to_owned();
        if self.chance(80) {
            let rate = if self.broken && self.chance(10) { "10001/s".to_owned() } else { self.rate() };
            words = format!("{words} --limit {rate}");
        }
        if self.chance(40) {
            words = format!("{words} --limit-burst {}", pick!(self, ["1", "5", "7", "20"], ["10001", "x"]));
        }
        words
    }

    fn hashlimit(&mut self) -> String {
        let which = pick!(
            self,
            ["--hashlimit-upto", "--hashlimit-above", "! --hashlimit-upto", "--hashlimit"],
            ["--hashlimit-up 5/s --hashlimit-above"]
        );
        let bytes = self.chance(25);
        // ip6tables prints how long a slow group is kept as if it had been said.
        let rate = if !bytes && !self.v4 {
            "100/sec".to_owned()
        } else if bytes {
            pick!(self, ["512kb/s", "16b/s", "1mb/s", "1600b/s", "3mb/s"], ["0b/s", "5gb/s", "xkb/s"])
        } else {
            self.rate()
        };
        let mut words = format!("-m hashlimit {which} {rate}");
        if !self.broken || self.chance(90) {
            words = format!("{words} --hashlimit-name {}", pick!(self, ["a", "name.with-dot", "b_2"], ["\"\""]));
        }
        if self.chance(40) && !bytes {
            words = format!("{words} --hashlimit-burst {}", pick!(self, ["1", "8", "10000"], ["0", "1000001", "1kb"]));
        }
        if self.chance(60) {
            words = format!(
                "{words} --hashlimit-mode {}",
                pick!(
                    self,
                    ["srcip", "dstip,srcip", "srcip,srcport,dstip,dstport", "dstport"],
                    ["source", "srcip,dst"]
                )
            );
        }
        for (option, good) in [
            ("srcmask", "24"),
            ("dstmask", "8"),
            ("htable-size", "100"),
            ("htable-max", "1000"),
            ("htable-expire", "5000"),
            ("htable-gcinterval", "2000"),
        ] {
            if self.chance(15) {
                words = format!("{words} --hashlimit-{option} {}", self.of(&[good], &["x", "4294967296"]));
            }
        }
        words
    }

    fn connlimit(&mut self) -> String {
        let which = pick!(
            self,
            ["--connlimit-above", "--connlimit-upto", "! --connlimit-above"],
            ["--connlimit-upto 3 --connlimit-above", "--connlimit"]
        );
        let mut words =
            format!("-m connlimit {which} {}", pick!(self, ["0", "5", "100000"], ["-1", "x", "4294967296"]));
        if self.chance(40) {
            words = format!("{words} --connlimit-mask {}", pick!(self, ["0", "8", "24", "32"], ["x", "-1"]));
        }
        format!(
            "{words}{}",
            pick!(self, ["", " --connlimit-saddr", " --connlimit-daddr"], [" --connlimit-saddr --connlimit-daddr"])
        )
    }

    fn iprange(&mut self) -> String {
        let option = pick!(self, ["--src-range", "--dst-range"], ["--range"]);
        let range = if self.v4 {
            pick!(
                self,
                ["10.0.0.1-10.0.0.9", "10.0.0.1", "1.1.1.1-1.1.1.1", "10.1-10.2"],
                ["10.0.0.1-", "10.0.0.300-10.0.1.1", "fd00::1-fd00::2"]
            )
        } else {
            pick!(self, ["fd00::1-fd00::9", "fd00::1"], ["1.1.1.1-1.1.1.2", "fd00::g"])
        };
        format!("-m iprange {}{option} {range}", self.not())
    }

    fn addrtype(&mut self) -> String {
        let option = pick!(self, ["--src-type", "--dst-type"], ["--type"]);
        let kind = pick!(self, ["LOCAL", "UNICAST,LOCAL", "multicast", "uni"], ["NOTHING", "LOCAL,", ",LOCAL"]);
        let limit = self.broken && self.chance(30);
        let limit = if limit {
            pick!(self, [" --limit-iface-in", " --limit-iface-out", " --limit-iface-in --limit-iface-out"], [])
        } else {
            String::new()
        };
        format!("-m addrtype {}{option} {kind}{limit}", self.not())
    }

    fn hops(&mut self) -> String {
        let name = if self.v4 { "ttl" } else { "hl" };
        let how = pick!(self, ["eq", "lt", "gt"], ["ge", "eq 3 --ttl-lt"]);
        let not = if how == "eq" { self.not() } else { "" };
        format!("-m {name} {not}--{name}-{how} {}", pick!(self, ["0", "1", "64", "255"], ["256", "x", "-1"]))
    }

    fn time(&mut self) -> String {
        let mut words = "-m time".to_owned();
        if self.chance(50) {
            words = format!(
                "{words} --timestart {}",
                pick!(self, ["10:00", "08:05:30", "0:0", "23:59:59"], ["24:00", "10", "10:60"])
            );
        }
        if self.chance(40) {
            words = format!("{words} --timestop {}", pick!(self, ["18:00", "08:05", "23:59"], ["25:00", "x"]));
        }
        if self.chance(40) {
            words = format!(
                "{words} {}--weekdays {}",
                self.not(),
                pick!(self, ["Mon,Tue,Wed", "6,7", "Sun"], ["mon", "x"])
            );
        }
        if self.chance(30) {
            words =
                format!("{words} {}--monthdays {}", self.not(), pick!(self, ["1", "1,15,31", "2,3,4"], ["32", "x"]));
        }
        if self.chance(30) {
            words = format!(
                "{words} --datestart {}",
                pick!(
                    self,
                    ["2020", "2024-02-29", "2030-12-31T23:59:59", "2021-05", "2022-06-07T08:09"],
                    ["20", "2024-13", "x"]
                )
            );
        }
        if self.chance(20) {
            words =
                format!("{words} --datestop {}", pick!(self, ["2037", "2024-03-01T12:00"], ["2024-14", "2024-01-32"]));
        }
        words
    }

    fn recent(&mut self) -> String {
        let operation = pick!(self, ["--set", "--rcheck", "--update", "--remove"], ["", "--set --update"]);
        let mut words = format!("-m recent {}{operation}", if operation.is_empty() { "" } else { self.not() });
        let looks = matches!(&*operation, "--rcheck" | "--update");
        if (looks || self.broken) && self.chance(50) {
            words = format!("{words} --seconds {}", pick!(self, ["1", "60", "86400"], ["0", "x"]));
            words = format!("{words}{}", self.maybe(" --reap"));
        }
        if (looks || self.broken) && self.chance(40) {
            words = format!("{words} --hitcount {}", pick!(self, ["1", "20", "0", "255"], ["65536", "x"]));
        }
        if looks && self.chance(20) {
            words.push_str(" --rttl");
        }
        if self.chance(50) {
            words = format!("{words} --name {}", pick!(self, ["list", "a-b_c", "x.y"], ["\"\"", "a/b"]));
        }
        let mask = if self.v4 { ["255.255.255.0", "255.255.255.255"] } else { ["ffff:ffff::", "ffff::"] };
        if self.chance(20) {
            words = format!("{words} --mask {}", self.of(&mask, &["x"]));
        }
        format!("{words}{}", self.of(&["", " --rsource", " --rdest"], &[]))
    }

    fn target(&mut self, table: &str, chain: &str, protocol: Option<&str>) -> String {
        let ported = matches!(protocol, Some("tcp" | "udp" | "6" | "17" | "TCP" | "sctp"));
        let any = self.broken && self.chance(10);
        match self.random.random_range(0..12) {
            0..3 => pick!(self, ["-j ACCEPT", "-j RETURN", "--jump ACCEPT"], ["-j", "-j accept", "-g ACCEPT"]),
            3 if table != "nat" || self.broken => "-j DROP".to_owned(),
            4 if chain != "U" => pick!(self, ["-j U", "-g U", "--goto U"], ["-j NOBODY", "-g NOBODY", "-j INPUT"]),
            5 => self.log(),
            6 | 7 if table == "filter" || any => self.reject(protocol),
            6 | 7 if table == "nat" => self.nat(chain, ported),
            8 if table == "nat" || any => self.nat(chain, ported),
            6 | 7 if table == "mangle" => {
                let ip = if self.v4 { " --on-ip 10.0.0.1" } else { " --on-ip fd00::1" };
                let ip = self.maybe(if self.v4 { " --on-ip 10.0.0.1" } else { ip });
                let port = pick!(self, ["--on-port 50080", "--on-port 0", "--on-port http"], ["", "--on-port x"]);
                let mark = pick!(self, ["", " --tproxy-mark 1", " --tproxy-mark 0x1/0x1"], [" --tproxy-mark x"]);
                if chain == "PREROUTING" || self.broken { format!("-j TPROXY {port}{ip}{mark}") } else { self.mark() }
            }
            6 | 7 if table == "raw" => "-j CT --notrack".to_owned(),
            9 | 10 => self.mark(),
            _ => "-j ACCEPT".to_owned(),
        }
    }

    fn log(&mut self) -> String {
        let mut words = "-j LOG".to_owned();
        if self.chance(50) {
            words = format!("{words} --log-prefix {}", pick!(self, ["x", "\"drop: \"", "\"a\\\"b\"", "IN="], ["\"\""]));
        }
        if self.chance(50) {
            words = format!(
                "{words} --log-level {}",
                pick!(self, ["0", "4", "7", "info", "debug", "warning", "error"], ["8", "loud", "WARNING"])
            );
        }
        for flag in [" --log-tcp-sequence", " --log-tcp-options", " --log-ip-options", " --log-uid", " --log-macdecode"]
        {
            if self.chance(10) {
                words.push_str(flag);
            }
        }
        words
    }

    fn reject(&mut self, protocol: Option<&str>) -> String {
        if matches!(protocol, Some("tcp" | "6" | "TCP")) && self.chance(40) {
            return "-j REJECT --reject-with tcp-reset".to_owned();
        }
        let with = if self.v4 {
            pick!(
                self,
                [
                    "",
                    " --reject-with icmp-net-unreachable",
                    " --reject-with icmp-host-prohibited",
                    " --reject-with port-unreach",
                    " --reject-with icmp-admin"
                ],
                [" --reject-with tcp-reset", " --reject-with nothing", " --reject-with"]
            )
        } else {
            pick!(
                self,
                [
                    "",
                    " --reject-with icmp6-no-route",
                    " --reject-with icmp6-adm-prohibited",
                    " --reject-with addr-unreach"
                ],
                [" --reject-with tcp-reset", " --reject-with nothing"]
            )
        };
        format!("-j REJECT{with}")
    }

    fn mark(&mut self) -> String {
        if self.chance(50) {
            return format!(
                "-j MARK {}",
                pick!(
                    self,
                    [
                        "--set-mark 5",
                        "--set-mark 0xff/0xf0",
                        "--set-xmark 0x1/0x3",
                        "--and-mark 7",
                        "--or-mark 0x10",
                        "--xor-mark 3"
                    ],
                    ["", "--set-mark x", "--set-mark 1 --or-mark 2"]
                )
            );
        }
        format!(
            "-j CONNMARK {}",
            pick!(
                self,
                [
                    "--save-mark",
                    "--restore-mark",
                    "--save-mark --mask 0xff",
                    "--restore-mark --nfmask 0xf --ctmask 0xf0",
                    "--set-mark 5",
                    "--set-xmark 1/3",
                    "--or-mark 4",
                    "--set-mark 6 --mask 0xf"
                ],
                ["", "--mask 3", "--save-mark --mask 1 --nfmask 2"]
            )
        )
    }

    fn nat(&mut self, chain: &str, ported: bool) -> String {
        let with_ports = ported && self.chance(60) || self.broken && self.chance(10);
        let (one, range) = if self.v4 { ("10.0.0.1", "10.0.0.1-10.0.0.9") } else { ("fd00::1", "fd00::1-fd00::9") };
        let addresses = self.of(&[one, range], &["10.0.0.300", "x"]);
        let ports = pick!(self, ["80", "80-90", "http"], ["90-80", "70000", "80:90", ""]);
        let to = match (with_ports, self.v4) {
            (true, true) => format!("{addresses}:{ports}"),
            (true, false) => format!("[{addresses}]:{ports}"),
            (false, _) => addresses,
        };
        let to_ports = if with_ports { format!(" --to-ports {ports}") } else { String::new() };
        let random = self.maybe(" --random");
        let persistent = self.maybe(" --persistent");
        let here: &[&str] = match chain {
            "PREROUTING" | "OUTPUT" => &["DNAT", "REDIRECT"],
            "POSTROUTING" => &["SNAT", "MASQUERADE"],
            "INPUT" => &["SNAT"],
            _ => &["DNAT", "REDIRECT", "SNAT", "MASQUERADE"],
        };
        match &*self.of(here, &["DNAT", "REDIRECT", "SNAT", "MASQUERADE"]) {
            "DNAT" => format!("-j DNAT --to-destination {to}{random}{persistent}"),
            "REDIRECT" => format!("-j REDIRECT{to_ports}{random}"),
            "SNAT" => format!("-j SNAT --to-source {to}{random}{persistent}"),
            _ => format!("-j MASQUERADE{to_ports}{random}"),
        }
    }
}
