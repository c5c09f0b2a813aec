//! Words of iptables that are understood as such and not served in this version.
//!
//! An operator who brings a working rule set must be told "not yet" from "no such thing": the first is a plan, the second a typo.

/// Tables.
pub(super) const TABLES: &[&str] = &["nat", "mangle", "raw", "security"];

/// Targets.
pub(super) const TARGETS: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CLUSTERIP",
    "CONNMARK",
    "CONNSECMARK",
    "CT",
    "DNAT",
    "DNPT",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "LOG",
    "MARK",
    "MASQUERADE",
    "NETMAP",
    "NFLOG",
    "NFQUEUE",
    "NOTRACK",
    "QUEUE",
    "RATEEST",
    "REDIRECT",
    "SECMARK",
    "SET",
    "SNAT",
    "SNPT",
    "SYNPROXY",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TRACE",
    "TTL",
    "ULOG",
];

/// Matches.
pub(super) const MATCHES: &[&str] = &[
    "addrtype", "ah", "bpf", "cgroup", "cluster", "connbytes", "connlabel", "connlimit", "connmark", "cpu", "dccp",
    "devgroup", "dscp", "dst", "ecn", "esp", "eui64", "frag", "hashlimit", "hbh", "helper", "hl", "icmp", "icmp6",
    "iprange", "ipv6header", "ipvs", "length", "limit", "mac", "mark", "mh", "nfacct", "osf", "owner", "physdev",
    "pkttype", "policy", "quota", "rateest", "realm", "recent", "rpfilter", "rt", "sctp", "set", "socket", "statistic",
    "string", "tcpmss", "time", "tos", "ttl", "u32", "udplite",
];

/// Long options of the matches and targets above, and of those we have in part.
pub(super) const OPTIONS: &[&str] = &[
    "tcp-option", "icmp-type", "icmpv6-type", "ctproto", "ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst",
    "ctorigsrcport", "ctorigdstport", "ctreplsrcport", "ctrepldstport", "ctstatus", "ctexpire", "ctdir", "tproxy-mark",
    "limit", "limit-burst", "log-prefix", "log-level", "to-destination", "to-source", "to-ports", "set-mark",
    "set-xmark", "mark", "mac-source", "src-range", "dst-range", "match-set", "transparent", "nowildcard",
    "restore-skmark", "pkt-type", "ttl-eq", "src-type", "dst-type", "connlimit-above", "connlimit-upto",
    "hashlimit-upto", "hashlimit-above", "hashlimit-name",
];
