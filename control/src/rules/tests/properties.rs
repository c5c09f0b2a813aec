//! No text panics, and what is printed reads back as the same rules.

use super::*;

proptest! {
    #[test]
    fn no_text_panics(text in "(?s).{0,300}") {
        let _ = printed(&text);
    }

    /// Words that rules are made of, in any order: deeper than noise gets.
    #[test]
    fn no_sentence_panics(words in prop::collection::vec(word(), 0..20)) {
        let _ = rule(&words.join(" "));
        let _ = printed(&words.join("\n"));
    }

    #[test]
    fn words_survive_quoting(word in "[ -~]{0,40}") {
        let words = lex::words(&lex::quote(&word)).unwrap();
        prop_assert_eq!(words.len(), 1);
        prop_assert_eq!(&words[0].text, &word);
    }

    #[test]
    fn printed_rules_read_back(rules in prop::collection::vec(any_rule(), 0..8)) {
        let hooks = TableKind::Filter.hooks().iter();
        let mut chains: Vec<Chain> = hooks
            .map(|hook| Chain { name: hook.name().into(), policy: Some(ChainPolicy::Accept), rules: Vec::new(), place: Place::file("r") })
            .collect();
        chains.push(Chain { name: "LO".into(), policy: None, rules: Vec::new(), place: Place::file("r") });
        chains[1].rules = rules;
        let written = Ruleset { tables: vec![Table { kind: TableKind::Filter, chains }] };
        let (mut faults, mut warnings) = (Faults::new(), Faults::new());
        let text = written.to_string();
        let read = parse(&Source::file("r", &text), &Macros::default(), &mut faults, &mut warnings);
        prop_assert!(faults.is_empty(), "{}\n{}", text, faults);
        prop_assert_eq!(read.len(), written.len());
        for (read, written) in read.tables[0].chains[1].rules.iter().zip(&written.tables[0].chains[1].rules) {
            prop_assert_eq!(&read.criteria, &written.criteria, "{}", text);
            prop_assert_eq!(&read.target, &written.target, "{}", text);
        }
        prop_assert_eq!(read.to_string(), text);
    }
}

fn word() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "*filter",
        "*tproxy",
        "COMMIT",
        ":LO -",
        "-A",
        "-I",
        "-N",
        "-P",
        "INPUT",
        "FORWARD",
        "PREROUTING",
        "LO",
        "!",
        "-s",
        "-d",
        "-i",
        "-o",
        "-p",
        "tcp",
        "udp",
        "-m",
        "multiport",
        "state",
        "tproxy",
        "comment",
        "--dport",
        "--sport",
        "--dports",
        "--state",
        "NEW",
        "--comment",
        "\"a b\"",
        "-j",
        "-g",
        "DROP",
        "TPROXY",
        "--on-port",
        "--on-ip",
        "80",
        "1:2",
        ":",
        "0/0",
        "10.0.0.1",
        "fd00::/8",
        "1.1.1.1,2.2.2.2",
        "REJECT",
        "--reject-with",
        "--",
        "-",
        "--dport=",
        "\"",
        "\\",
        "[1:2]",
        "-c",
    ];
    prop_oneof![9 => prop::sample::select(KNOWN).prop_map(str::to_owned), 1 => "[ -~]{0,6}"]
}

fn not<T: fmt::Debug + Clone>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Not<T>> {
    (any::<bool>(), value).prop_map(|(not, value)| Not { not, value })
}

fn ports() -> impl Strategy<Value = Ports> {
    // All ports are no criterion; they are not printed.
    (1u16.., any::<u16>()).prop_map(|(a, b)| Ports { first: a.min(b.max(1)), last: a.max(b) })
}

fn network(v4: bool) -> BoxedStrategy<Network> {
    let v4s = (any::<u32>(), any::<u32>()).prop_map(|(address, mask)| Network::V4 { address: address & mask, mask });
    let v6s = (any::<u128>(), 0u32..=128).prop_map(|(address, length)| {
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        Network::V6 { address: address & mask, mask }
    });
    // All addresses inverted are none, and refused.
    let all = |network: &Network| !network.is_all();
    if v4 { v4s.prop_filter("all", all).boxed() } else { v6s.prop_filter("all", all).boxed() }
}

fn states() -> impl Strategy<Value = States> {
    (1u8..0x20).prop_map(States::from_bits_retain)
}

fn matches(tcp: bool) -> impl Strategy<Value = Vec<Match>> {
    let port = || prop::option::of(not(ports()));
    let by_port =
        (port(), port(), prop::option::of(not(Just(TcpFlags::SYN)))).prop_map(move |(source, destination, flags)| {
            match tcp {
                true => Match::Tcp { source, destination, flags, option: None },
                false => Match::Udp { source, destination },
            }
        });
    let which = prop::sample::select(&[PortSet::Source, PortSet::Destination, PortSet::Either][..]);
    let multiport =
        (which, not(prop::collection::vec(ports(), 1..7))).prop_map(|(which, ports)| Match::Multiport { which, ports });
    let rest = prop_oneof![
        multiport,
        not(states()).prop_map(Match::State),
        not(states())
            .prop_map(|states| Match::Conntrack(Box::new(Tracking { states: Some(states), ..Tracking::default() }))),
        not(Just(())).prop_map(Match::Tproxy),
        "[ -~]{0,30}".prop_map(Match::Comment),
    ];
    (prop::option::of(by_port), prop::collection::vec(rest, 0..3))
        .prop_map(|(first, rest)| first.into_iter().chain(rest).collect())
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let target = prop::option::of(prop_oneof![
        Just(Target::Accept),
        Just(Target::Drop),
        Just(Target::Return),
        Just(Target::Reject(RejectKind::HostProhibited)),
        Just(Target::Jump("LO".into())),
        Just(Target::Goto("LO".into())),
    ]);
    (any::<bool>(), any::<bool>()).prop_flat_map(move |(v4, tcp)| {
        let family = if v4 { Family::V4 } else { Family::V6 };
        let interface = || prop::option::of(not("[a-z]{1,5}[0-9]\\+?"));
        let addresses = (prop::option::of(not(network(v4))), prop::option::of(not(network(v4))));
        (addresses, interface(), interface(), matches(tcp), target.clone(), any::<bool>()).prop_map(
            move |((source, destination), input, output, matches, target, only)| Rule {
                criteria: Criteria {
                    family: (only || source.is_some() || destination.is_some()).then_some(family),
                    source,
                    destination,
                    input,
                    output,
                    protocol: Some(Not {
                        not: false,
                        value: if tcp { crate::policy::TCP } else { crate::policy::UDP },
                    }),
                    fragment: None,
                    matches,
                },
                target,
                place: Place::file("r"),
                text: String::new(),
            },
        )
    })
}
