//! Rules as operators write them: what they become, and what is said about those that are wrong.

use proptest::prelude::*;

use super::*;
use crate::policy::RejectKind;

mod generated;
mod properties;

/// Reads a text; the canonical text, or the faults with their places.
fn printed(text: &str) -> Result<String, String> {
    read_with(text, &[]).0
}

fn read_with(text: &str, macros: &[(&str, &[&str])]) -> (Result<String, String>, String) {
    let (mut faults, mut warnings) = (Faults::new(), Faults::new());
    let definition = |(name, words): &(&str, &[&str])| Definition {
        name: (*name).to_owned(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        place: Place::file("m"),
    };
    let macros = Macros::new(&macros.iter().map(definition).collect::<Vec<_>>(), &mut faults);
    let ruleset = read(&Source::file("r", text), &macros, None, &mut faults, &mut warnings);
    faults.sort();
    let read = if faults.is_empty() { Ok(ruleset.to_string()) } else { Err(faults.to_string()) };
    (read, warnings.to_string())
}

/// One rule of filter INPUT, without `-A INPUT`, canonical.
fn rule(rule: &str) -> Result<String, String> {
    let text = printed(&format!("*filter\n:LO -\n-A INPUT {rule}\nCOMMIT\n"))?;
    let rules: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("-A INPUT ")).collect();
    Ok(rules.join(" | "))
}

#[test]
fn rules_print_as_iptables_save_prints_them() {
    for (written, canonical) in [
        ("-j ACCEPT", "-j ACCEPT"),
        ("-p tcp --dport 80 -j ACCEPT", "-p tcp -m tcp --dport 80 -j ACCEPT"),
        ("-ptcp --dport=80 -jDROP", "-p tcp -m tcp --dport 80 -j DROP"),
        ("-m tcp --dport 80 -p tcp -j DROP", "-p tcp -m tcp --dport 80 -j DROP"),
        (
            "-p tcp --syn -m tcp --dport 5 -j DROP",
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m tcp --dport 5 -j DROP",
        ),
        ("-p tcp --dpo 80 -j DROP", "-p tcp -m tcp --dport 80 -j DROP"),
        ("-p tcp --dport :1023 -j DROP", "-p tcp -m tcp --dport 0:1023 -j DROP"),
        ("-p tcp --dport 1024: -j DROP", "-p tcp -m tcp --dport 1024:65535 -j DROP"),
        ("-p tcp --dport 7:7 -j DROP", "-p tcp -m tcp --dport 7 -j DROP"),
        ("-p tcp --dport 0:65535 -j DROP", "-p tcp -m tcp -j DROP"),
        ("-p tcp ! --dport 0:65535 -j DROP", "-p tcp -m tcp ! --dport 0:65535 -j DROP"),
        ("-p udp --sport domain --dport ntp -j LO", "-p udp -m udp --sport 53 --dport 123 -j LO"),
        ("-p tcp ! --syn -j DROP", "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"),
        ("-p tcp --tcp-flags SYN,RST,ACK,FIN SYN -j DROP", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"),
        ("-j DROP -d 10.1.2.3 -s 10.1", "-s 10.1.0.0/32 -d 10.1.2.3/32 -j DROP"),
        ("-s 010.0x10.1.9/255.255.0.0 -j DROP", "-s 8.16.0.0/16 -j DROP"),
        ("-s 10.0.0.1/255.0.0.255 -j DROP", "-s 10.0.0.1/255.0.0.255 -j DROP"),
        ("-d 0/0 -j DROP", "-d 0.0.0.0/0 -j DROP"),
        ("-s fd00::1/64 -j DROP", "-s fd00::/64 -j DROP"),
        ("! -i lo -p all -j DROP", "! -i lo -j DROP"),
        ("-i + -j DROP", "-j DROP"),
        ("! -i + -j DROP", "! -i + -j DROP"),
        ("-i eth+ -j DROP", "-i eth+ -j DROP"),
        ("-p 6 -j DROP", "-p tcp -j DROP"),
        ("-p 99 -j DROP", "-p 99 -j DROP"),
        (
            "-s 1.1.1.1,2.2.2.2 -d 3.3.3.3,4.4.4.4 -j DROP",
            "-s 1.1.1.1/32 -d 3.3.3.3/32 -j DROP | -s 1.1.1.1/32 -d 4.4.4.4/32 -j DROP | -s 2.2.2.2/32 -d 3.3.3.3/32 -j DROP | -s 2.2.2.2/32 -d 4.4.4.4/32 -j DROP",
        ),
        (
            "-s 1.1.1.1,fd00::1 -d 3.3.3.3,fd00::3 -j DROP",
            "-s 1.1.1.1/32 -d 3.3.3.3/32 -j DROP | -s fd00::1/128 -d fd00::3/128 -j DROP",
        ),
        (
            "-p tcp -m multiport ! --dports 22,80,1000:2000 -j DROP",
            "-p tcp -m multiport ! --dports 22,80,1000:2000 -j DROP",
        ),
        ("! -d 1.1.1.1,fd00::1 -j DROP", "! -d 1.1.1.1/32 -j DROP | ! -d fd00::1/128 -j DROP"),
        ("-m state --state established,NEW -j ACCEPT", "-m state --state NEW,ESTABLISHED -j ACCEPT"),
        ("-m conntrack ! --ctstate NEW -j ACCEPT", "-m conntrack ! --ctstate NEW -j ACCEPT"),
        ("-m comment --comment \"two words\" -j DROP", "-m comment --comment \"two words\" -j DROP"),
        ("-m comment --comment a\"b \\\" c\" -j DROP", "-m comment --comment \"ab \\\" c\" -j DROP"),
        ("-m comment --comment \"\" -j DROP", "-m comment --comment \"\" -j DROP"),
        ("-m tproxy -j ACCEPT", "-m tproxy -j ACCEPT"),
        ("! -m tproxy -j ACCEPT", "! -m tproxy -j ACCEPT"),
        ("-j REJECT", "-j REJECT --reject-with icmp-port-unreachable"),
        ("-p tcp -j REJECT --reject-with tcp-rst", "-p tcp -j REJECT --reject-with tcp-reset"),
        ("-j REJECT --reject-with icmp6-adm-prohibited", "-j REJECT --reject-with icmp-admin-prohibited"),
        ("-g LO", "-g LO"),
        ("-p tcp", "-p tcp"),
        ("-c 1 2 -j DROP", "-j DROP"),
        ("-6 -j DROP", "-6 -j DROP"),
        ("-4 -s 10.0.0.0/8 -j DROP", "-s 10.0.0.0/8 -j DROP"),
    ] {
        assert_eq!(rule(written).as_deref(), Ok(canonical), "{written}");
        for one in canonical.split(" | ") {
            assert_eq!(rule(one).as_deref(), Ok(one), "printed from {written}");
        }
    }
}

#[test]
fn wrong_rules_are_refused_at_their_column() {
    for (written, fault) in [
        ("-j NOPE", "r:3:1: `-j NOPE`: there is no such target"),
        ("-j INPUT", "r:3:1: `-j INPUT`: rules cannot jump to a built-in chain"),
        (
            "--dport 80 -j DROP",
            "r:3:10: `--dport` without a protocol: ports belong to TCP or UDP\n    hint: put `-p tcp`",
        ),
        ("! -p tcp --dport 80 -j DROP", "r:3:19: `--dport` without a protocol"),
        ("-m tcp --dport 80 -j DROP", "r:3:13: `-m tcp` needs `-p tcp`"),
        ("-p udp -m tcp -j DROP", "r:3:20: `-m tcp` needs `-p tcp`"),
        ("-i -j DROP", "r:3:12: `-i` lacks its argument: an interface was expected before `-j`"),
        ("-j", "r:3:12: `-j` lacks its argument: a target was expected"),
        ("-p tcp --dport 2:1 -j DROP", "r:3:25: `2:1` runs backwards"),
        ("-p tcp --dport 65536 -j DROP", "r:3:25: `65536` is no port"),
        ("-p tcp --dport +5 -j DROP", "r:3:25: `+5` is no port"),
        ("-s 10.0.0.0/33 -j DROP", "r:3:13: `/33` is no prefix length of IPv4"),
        ("-s www.example.com -j DROP", "r:3:13: `www.example.com` is no address: names are not resolved"),
        ("-s 1.2.3.4.5 -j DROP", "r:3:13: `1.2.3.4.5` is no address"),
        ("-s 08.1.1.1 -j DROP", "r:3:13: `08.1.1.1` is no address"),
        ("-s 10.0.0.1,300.0.0.1 -j DROP", "r:3:22: `300.0.0.1` is no address"),
        ("-s 1.1.1.1 -s 2.2.2.2 -j DROP", "r:3:21: `-s` is there twice"),
        ("-i + -i x -j DROP", "r:3:15: `-i` is there twice"),
        ("-c 1 2 -c 1 2 -j DROP", "r:3:17: `-c` is there twice"),
        ("-p tcp --dport 1 --dport 2 -j DROP", "r:3:35: `--dport` is there twice"),
        ("! -s 1.1.1.1,2.2.2.2 -j DROP", "r:3:15: `!` cannot invert a list"),
        ("-s 1.1.1.1 -d fd00::1 -j DROP", "r:3:24: the rule never matches"),
        ("! ! -s 1.1.1.1 -j DROP", "r:3:12: `!` twice"),
        ("-j DROP !", "r:3:18: `!` at the end"),
        ("! -j DROP", "r:3:10: `!` cannot invert `-j`"),
        ("! -m tcp -p tcp -j DROP", "r:3:10: `!` cannot invert `-m tcp`"),
        ("! -p all -j DROP", "r:3:15: `! -p all` matches nothing"),
        ("-o x -j DROP", "r:3:13: `-o` cannot stand in INPUT"),
        ("-i 1234567890123456 -j DROP", "r:3:13: `1234567890123456` is no interface"),
        ("-m nosuch -j DROP", "r:3:13: `nosuch` is no match"),
        ("-m owner --uid-owner 0 -j DROP", "r:3:13: match `owner` is not served\n    hint: packets that pass"),
        ("-m dscp --dscp 1 -j DROP", "r:3:13: match `dscp` is not served\n    hint: a decision sees"),
        ("-j NFQUEUE --queue-num 0", "r:3:13: target `NFQUEUE` is not served\n    hint: no program"),
        ("-p tcp --dports 1 -j DROP", "r:3:17: `--dports` is an option of `-m multiport`, which is not before it"),
        ("-p tcp -m multiport -j DROP", "r:3:20: `-m multiport` needs `--sports`"),
        ("-m multiport --ports 1 -j DROP", "r:3:13: `-m multiport` needs `-p tcp`"),
        ("-j TPROXY --on-port 1", "r:3:13: TPROXY cannot stand in table filter, only in tables tproxy and mangle"),
        ("-g DROP", "r:3:13: `-g` goes to a chain"),
        ("-j REJECT --reject-with tcp-reset", "r:3:13: `--reject-with tcp-reset` needs `-p tcp`"),
        ("-t nat -j DROP", "r:3:10: `-t` cannot stand in a rule"),
        ("-j DROP extra", "r:3:18: `extra` is no option"),
        ("--s 1.1.1.1 -j DROP", "r:3:10: `--s` is short for several options"),
        ("-A INPUT -j DROP", "r:3:10: the line has two commands"),
        ("-m comment --comment \"open", "r:3:31: the quote is not closed"),
    ] {
        let said = rule(written).expect_err(written);
        assert!(said.contains(fault), "{written}\n  expected {fault}\n  said     {said}");
    }
}

#[test]
fn what_table_nat_cannot_do_is_a_fault_when_it_is_loaded() {
    let said = |rules: &str| {
        let (mut faults, mut warnings) = (Faults::new(), Faults::new());
        let text = format!("*nat\n:U -\n{rules}\nCOMMIT\n");
        parse(&Source::file("r", &text), &Macros::default(), &mut faults, &mut warnings);
        faults.to_string()
    };
    for served in [
        "-A PREROUTING -j REDIRECT",
        "-A PREROUTING -p udp -j REDIRECT --to-ports 5-9 --random",
        "-A OUTPUT -p tcp -j DNAT --to-destination 10.0.0.1:80",
        "-A POSTROUTING -p icmp -j SNAT --to-source 10.0.0.1:5-9 --random-fully",
        "-A POSTROUTING -j MASQUERADE",
        // Reached from where it can be done only.
        "-A PREROUTING -j U\n-A U -j REDIRECT",
        "-A POSTROUTING -j U\n-A U -j SNAT --to-source fd00::1",
    ] {
        assert_eq!(said(served), "", "{served}");
    }
    for (written, fault) in [
        ("-A OUTPUT -j REDIRECT", "r:3:1: REDIRECT in OUTPUT is not served in this version\n    hint: it leads back"),
        ("-A OUTPUT -p tcp -j U\n-A U -j REDIRECT", "r:4:1: REDIRECT in OUTPUT is not served"),
        ("-A INPUT -j SNAT --to-source 10.0.0.1", "r:3:1: SNAT in INPUT is not served"),
        ("-A PREROUTING -j DNAT --to-destination 127.0.0.1", "r:3:1: DNAT to a loopback address is not served"),
        ("-A PREROUTING -p icmp -j REDIRECT --to-ports 5", "r:3:1: a new destination port for other protocols"),
        ("-A POSTROUTING -p sctp -j MASQUERADE --to-ports 5", "r:3:1: a new source port for other protocols"),
    ] {
        assert!(said(written).contains(fault), "{written}\n  expected {fault}\n  said     {}", said(written));
    }
}

#[test]
fn tables_chains_and_policies() {
    let text = "# a comment\n*filter\n:INPUT DROP [1:2]\n:FORWARD ACCEPT [0:0]\n:LO - [0:0]\n-N LO2\n-P FORWARD DROP\n[3:4] -A LO -j RETURN\n-I LO -j DROP\n-I LO 2 -j ACCEPT\nCOMMIT\n\n*tproxy\n-A PREROUTING -p tcp -j TPROXY --on-port 50080\n-A PREROUTING -p udp -j TPROXY --on-port 0 --on-ip fd00::1\nCOMMIT\n# done\n";
    let canonical = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:LO - [0:0]\n:LO2 - [0:0]\n-A LO -j DROP\n-A LO -j ACCEPT\n-A LO -j RETURN\nCOMMIT\n*tproxy\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A PREROUTING -p tcp -j TPROXY --on-port 50080 --on-ip 0.0.0.0\n-A PREROUTING -p udp -j TPROXY --on-port 0 --on-ip fd00::1\nCOMMIT\n";
    assert_eq!(printed(text).as_deref(), Ok(canonical));
    assert_eq!(printed(canonical).as_deref(), Ok(canonical));
}

#[test]
fn a_table_named_again_replaces_what_it_held() {
    let text = "*filter\n-A INPUT -j DROP\nCOMMIT\n*filter\n-A FORWARD -j DROP\nCOMMIT\n";
    assert!(!printed(text).unwrap().contains("-A INPUT"));
}

#[test]
fn broken_files_are_refused() {
    for (text, fault) in [
        ("-A INPUT -j DROP\n", "r:1:1: the line is in no table"),
        ("COMMIT\n", "r:1:1: COMMIT without a table"),
        ("*filter\n", "r:1: table filter has no COMMIT at its end"),
        ("*filter\nCOMMIT \n", "r:2:7: there are blanks after COMMIT"),
        ("*filter\n*tproxy\nCOMMIT\n", "r:2:1: table filter (line 1) has no COMMIT before this table"),
        ("*security\nCOMMIT\n", "r:1:2: table `security` is not served"),
        ("*fliter\nCOMMIT\n", "r:1:2: `fliter` is no table\n    hint: was `filter` meant?"),
        ("*filter\n:INPUT -\nCOMMIT\n", "r:2:8: the built-in chain INPUT needs ACCEPT or DROP"),
        ("*filter\n:LO DROP\nCOMMIT\n", "r:2:5: `LO` is your own chain, it has no policy"),
        ("*filter\n:LO -\n:LO -\nCOMMIT\n", "r:3:2: chain `LO` is there twice, first in line 2"),
        ("*filter\n:INPUT DROP [1]\nCOMMIT\n", "r:2:13: `[1]` is no counter"),
        ("*filter\n[x:1] -A INPUT -j DROP\nCOMMIT\n", "r:2:1: `[x:1]` is no counter"),
        ("*filter\n:INPUT\nCOMMIT\n", "r:2:1: a chain's line is `:NAME POLICY`"),
        ("*filter\n #x\nCOMMIT\n", "r:2:1: the line begins with blanks"),
        ("*filter\n-A NOPE -j DROP\nCOMMIT\n", "r:2:4: there is no chain `NOPE` in table filter"),
        ("*filter\n-I INPUT 2 -j DROP\nCOMMIT\n", "r:2:4: `-I INPUT 2`: the chain has 0 rules"),
        ("*filter\n-L INPUT\nCOMMIT\n", "r:2:1: the command `-L` is not served"),
        ("*filter\n:A -\n:B -\n-A A -j B\n-A B -g A\nCOMMIT\n", "r:5:1: chains run in a circle: A → B → A"),
        ("*filter\n:A -\n-A A -j A\nCOMMIT\n", "r:3:1: chains run in a circle: A → A"),
        ("*tproxy\n-A PREROUTING -p tcp -j TPROXY\nCOMMIT\n", "r:2:25: TPROXY needs `--on-port`"),
        (
            "*tproxy\n-A PREROUTING -p tcp -j TPROXY --on-port 1 --on-port 2\nCOMMIT\n",
            "r:2:54: `--on-port` is there twice",
        ),
        (
            "*tproxy\n-A PREROUTING -p tcp -j TPROXY --on-port 1 --tproxy-mark 1\nCOMMIT\n",
            "r:2:25: `--tproxy-mark` belongs to the TPROXY of table mangle",
        ),
        ("*tproxy\n-A PREROUTING -j REJECT\nCOMMIT\n", "r:2:18: REJECT cannot stand in table tproxy"),
        ("*tproxy\n-A OUTPUT -i x -j ACCEPT\nCOMMIT\n", "r:2:14: `-i` cannot stand in OUTPUT"),
    ] {
        let said = printed(text).expect_err(text);
        assert!(said.contains(fault), "{text}\n  expected {fault}\n  said     {said}");
    }
}

#[test]
fn the_seeds_own_lines_are_read_or_told_what_is_missing() {
    let seed = "*tproxy\n:PRintra -\n-A PREROUTING -i intra -d ! 192.168.1.1 -j PRintra\nCOMMIT\n";
    let (read, warnings) = read_with(seed, &[]);
    assert!(read.unwrap().contains("-A PREROUTING ! -d 192.168.1.1/32 -i intra -j PRintra"));
    assert_eq!(warnings, "r:3:27: `-d !` is iptables' old way of inverting\n    hint: write `! -d 192.168.1.1`");
    let said = rule("-d 0/0 --dport 80 -j ACCEPT").unwrap_err();
    assert!(said.contains("put `-p tcp` or `-p udp` before `--dport`"), "{said}");
    assert!(rule("-i -j LO").unwrap_err().contains("`-i` lacks its argument"));
}

#[test]
fn macros_copy_rules() {
    let macros: &[(&str, &[&str])] = &[
        ("SSH", &["1.1.1.1", "2.2.2.2"]),
        ("SSH_MORE", &["SSH", "3.3.3.3"]),
        ("PORTS", &["22", "80:81"]),
        ("NET", &["10.0.0.0"]),
        ("NONE", &[]),
    ];
    let rules = |rule: &str| {
        let (read, warnings) = read_with(&format!("*filter\n-A INPUT {rule}\nCOMMIT\n"), macros);
        let text = read.unwrap();
        let rules: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("-A INPUT ")).map(str::to_owned).collect();
        (rules, warnings)
    };
    assert_eq!(rules("-s SSH -j DROP").0, ["-s 1.1.1.1/32 -j DROP", "-s 2.2.2.2/32 -j DROP"]);
    assert_eq!(rules("-s SSH_MORE -j DROP").0.len(), 3);
    // The leftmost macro varies slowest, as it is written.
    assert_eq!(
        rules("-p tcp --dport PORTS -s SSH -j DROP").0,
        [
            "-s 1.1.1.1/32 -p tcp -m tcp --dport 22 -j DROP",
            "-s 2.2.2.2/32 -p tcp -m tcp --dport 22 -j DROP",
            "-s 1.1.1.1/32 -p tcp -m tcp --dport 80:81 -j DROP",
            "-s 2.2.2.2/32 -p tcp -m tcp --dport 80:81 -j DROP",
        ]
    );
    assert_eq!(
        rules("-s SSH -d SSH -j DROP").0,
        ["-s 1.1.1.1/32 -d 1.1.1.1/32 -j DROP", "-s 2.2.2.2/32 -d 2.2.2.2/32 -j DROP"]
    );
    assert_eq!(rules("-s SSH -d SSH* -j DROP").0.len(), 4);
    assert_eq!(rules("-s NET/8 -j DROP").0, ["-s 10.0.0.0/8 -j DROP"]);
    assert_eq!(
        rules("-p tcp -m comment --comment \"not SSH\" -j DROP").0,
        ["-p tcp -m comment --comment \"not SSH\" -j DROP"]
    );
    let (none, warnings) = rules("-s NONE -j ACCEPT");
    assert!(none.is_empty() && warnings.contains("macro `NONE` is empty: the rule is left out"), "{warnings}");
}

#[test]
fn a_macro_in_a_name_has_one_word() {
    let macros: &[(&str, &[&str])] = &[("ONE", &["LOx"]), ("TWO", &["a", "b"])];
    let (read, _) = read_with("*filter\n:ONE -\n-A ONE -j DROP\nCOMMIT\n", macros);
    assert!(read.unwrap().contains("-A LOx -j DROP"));
    let (read, _) = read_with("*filter\n:TWO -\nCOMMIT\n", macros);
    assert!(read.unwrap_err().contains("macro `TWO` has 2 words, a name wants one"));
}

#[test]
fn macros_have_bounds() {
    let many: Vec<String> = (0..300).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (read, _) = read_with("*filter\n-A INPUT -s M -d M* -j DROP\nCOMMIT\n", &[("M", &many)]);
    assert!(read.unwrap_err().contains("make more than 65536 copies of it"));
    let names: Vec<String> = (0..20).map(|n| format!("M{n}")).collect();
    let bodies: Vec<[&str; 1]> = (0..20).map(|n| [names.get(n + 1).map_or("x", String::as_str)]).collect();
    let nested: Vec<(&str, &[&str])> =
        names.iter().zip(&bodies).map(|(name, body)| (name.as_str(), &body[..])).collect();
    assert!(read_with("", &nested).0.unwrap_err().contains("nested deeper than 16"));
}

#[test]
fn macros_are_bounded_together_too() {
    let words = vec!["x"; crate::limits::MACRO_WORDS_MAX];
    let names: Vec<String> =
        (0..=crate::limits::MACRO_WORDS_TOTAL_MAX / words.len()).map(|n| format!("M{n}")).collect();
    let mut all: Vec<(&str, &[&str])> = vec![("BIG", &words)];
    all.extend(names.iter().map(|name| (name.as_str(), &["BIG"][..])));
    let said = read_with("", &all).0.unwrap_err();
    assert_eq!(said.matches("all together stand for more than 1048576 words").count(), 1, "{said}");
}

#[test]
fn lists_of_addresses_multiply_within_bounds() {
    let list = vec!["1"; 300].join(",");
    let both = format!("-s {list} -d {list} -j DROP");
    assert!(rule(&both).unwrap_err().contains("the lists of addresses in this rule make more than 65536 rules"));
    // Within the bound by itself, beyond it with the copies a macro makes.
    let list = vec!["1"; 200].join(",");
    let text = format!("*filter\n-A INPUT -s {list} -d {list} -p tcp --dport M -j DROP\nCOMMIT\n");
    let said = read_with(&text, &[("M", &["1", "2", "3", "4"])]).0.unwrap_err();
    assert!(said.contains("there are more than 65536 rules"), "{said}");
}

#[test]
fn chains_have_bounds() {
    let depth = crate::limits::CHAIN_DEPTH_MAX + 1;
    let mut text = "*filter\n".to_owned();
    (0..depth).for_each(|n| text.push_str(&format!(":c{n} -\n")));
    text.push_str("-A INPUT -j c0\n");
    (1..depth).for_each(|n| text.push_str(&format!("-A c{} -j c{n}\n", n - 1)));
    let said = printed(&format!("{text}COMMIT\n")).unwrap_err();
    assert!(said.contains("chains are nested deeper than 32 below INPUT"), "{said}");
    assert!(printed(&format!("{}COMMIT\n", text.replace("-A INPUT -j c0", "-A INPUT -j c1"))).is_ok());

    let mut text = "*filter\n:a -\n:b -\n:c -\n".to_owned();
    for (from, to) in [("INPUT", "-j a"), ("a", "-j b"), ("b", "-j c"), ("c", "-p tcp")] {
        (0..120).for_each(|_| text.push_str(&format!("-A {from} {to}\n")));
    }
    let said = printed(&format!("{text}COMMIT\n")).unwrap_err();
    assert!(said.contains("rules in INPUT, 1048576 are possible"), "{said}");
}

#[test]
fn a_table_has_a_bound_of_chains() {
    let chains: String = (0..crate::limits::CHAINS_MAX).map(|n| format!(":c{n} -\n")).collect();
    let said = printed(&format!("*filter\n{chains}COMMIT\n")).unwrap_err();
    assert!(said.contains("table filter has 16384 chains already"), "{said}");
}

#[test]
fn lines_and_words_have_bounds() {
    assert!(
        rule(&format!("-m comment --comment {} -j DROP", "x".repeat(256))).unwrap_err().contains("longer than 255")
    );
    assert!(
        rule(&format!("-m comment --comment {} -j DROP", "x".repeat(1024))).unwrap_err().contains("1023 are possible")
    );
    assert!(rule(&"-p tcp ".repeat(2000)).unwrap_err().contains("iptables-restore reads 10239"));
    assert!(rule(&"! ".repeat(300)).unwrap_err().contains("255 are possible"));
    let said = printed(&format!("*filter\n:{} -\nCOMMIT\n", "c".repeat(29))).unwrap_err();
    assert!(said.contains("is no name of a chain"), "{said}");
}

#[test]
fn words_are_split_as_iptables_restore_does() {
    let words = |line: &str| lex::words(line).map(|words| words.into_iter().map(|word| word.text).collect::<Vec<_>>());
    assert_eq!(words("a  b\tc").unwrap(), ["a", "b", "c"]);
    assert_eq!(words("ab\"c d\"").unwrap(), ["abc d"]);
    assert_eq!(words("\"a b\"c").unwrap(), ["a b", "c"]);
    assert_eq!(words("a \"\" b").unwrap(), ["a", "", "b"]);
    assert_eq!(words("\"a\\\"b\" 'c d' \\e").unwrap(), ["a\"b", "'c", "d'", "\\e"]);
    assert_eq!(words("\"open").unwrap_err().0, 1);
    let columns: Vec<u32> = lex::words("  a \"b\" é c").unwrap().iter().map(|word| word.column).collect();
    assert_eq!(columns, [3, 5, 9, 11]);
}

#[test]
fn reject_kinds_have_one_name_each() {
    for kind in RejectKind::ALL {
        let protocol = if *kind == RejectKind::TcpReset { "-p tcp " } else { "" };
        let canonical = format!("{protocol}-j REJECT --reject-with {}", kind.name());
        assert_eq!(rule(&canonical).as_deref(), Ok(&*canonical));
    }
}
