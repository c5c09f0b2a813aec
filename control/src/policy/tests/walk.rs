//! The walk through chains: jumps, gotos, returns, and every criterion both ways.

use super::*;

#[test]
fn jumps_return_and_gotos_do_not_come_back() {
    let policy = small(
        "",
        ":FORWARD DROP
         :A -
         :B -
         :C -
         -A FORWARD -p tcp -j A
         -A FORWARD -p udp -g B
         -A FORWARD -p icmp -j RETURN
         -A FORWARD -j ACCEPT
         -A A -p tcp --dport 1 -j RETURN
         -A A -p tcp --dport 2 -g B
         -A A -p tcp --dport 3 -j B
         -A A -p tcp --dport 3 -j REJECT
         -A A -p tcp --dport 4
         -A A -p tcp --dport 4 -j DROP
         -A B -p tcp --dport 9 -j DROP
         -A B -j C",
    );
    check(
        &policy,
        &[
            // Returned by RETURN, and by the end of the chain.
            ("a tcp 10.0.0.9:5 10.0.1.9:1", "forward by filter FORWARD 4"),
            ("a tcp 10.0.0.9:5 10.0.1.9:7", "forward by filter FORWARD 4"),
            // B was gone to from A: it returns to where A was called.
            ("a tcp 10.0.0.9:5 10.0.1.9:2", "forward by filter FORWARD 4"),
            ("a tcp 10.0.0.9:5 10.0.1.9:3", "reject icmp-port-unreachable by filter A 4"),
            // A rule without target only counts.
            ("a tcp 10.0.0.9:5 10.0.1.9:4", "drop filter_rule by filter A 6"),
            // Gone to from the built-in chain: its end is the policy; so is RETURN there.
            ("a udp 10.0.0.9:5 10.0.1.9:4", "drop filter_policy"),
            ("a icmp 10.0.0.9 10.0.1.9", "drop filter_policy"),
            ("a gre 10.0.0.9 10.0.1.9", "forward by filter FORWARD 4"),
        ],
    );
}

#[test]
fn every_criterion_fits_and_does_not_fit() {
    for (rule, fits, does_not) in [
        ("-p tcp", "a tcp 10.0.0.9:5 10.0.1.9:1", "a udp 10.0.0.9:5 10.0.1.9:1"),
        ("! -p tcp", "a udp 10.0.0.9:5 10.0.1.9:1", "a tcp 10.0.0.9:5 10.0.1.9:1"),
        ("-i a", "a udp 10.0.0.9:5 10.0.1.9:1", "b udp 10.0.0.9:5 10.0.1.9:1"),
        ("! -i a", "b udp 10.0.0.9:5 10.0.1.9:1", "a udp 10.0.0.9:5 10.0.1.9:1"),
        ("-o b", "a udp 10.0.0.9:5 10.0.1.9:1", "a udp 10.0.1.9:5 10.0.0.9:1"),
        ("-o b", "a udp 10.0.0.9:5 99.0.1.9:1", "a udp [fd99::1]:5 [fd99::2]:1"),
        ("-s 10.0.0.8/30", "a udp 10.0.0.9:5 10.0.1.9:1", "a udp 10.0.0.12:5 10.0.1.9:1"),
        ("! -s 10.0.0.8/30", "a udp 10.0.0.12:5 10.0.1.9:1", "a udp 10.0.0.9:5 10.0.1.9:1"),
        ("-d fd00::/64", "a udp [fd01::1]:5 [fd00::2]:1", "a udp 10.0.0.9:5 10.0.1.9:1"),
        // An inverted address is still one family's.
        ("! -d fd00::/64", "a udp [fd01::1]:5 [fd02::2]:1", "a udp 10.0.0.9:5 10.0.1.9:1"),
        ("-d 0.0.0.0/0", "a udp 10.0.0.9:5 10.0.1.9:1", "a udp [fd01::1]:5 [fd02::2]:1"),
        ("-6", "a udp [fd01::1]:5 [fd02::2]:1", "a udp 10.0.0.9:5 10.0.1.9:1"),
        ("-s 10.0.0.1/255.0.0.255", "a udp 10.7.7.1:5 10.0.1.9:1", "a udp 10.7.7.2:5 10.0.1.9:1"),
        ("-p udp --sport 5:6", "a udp 10.0.0.9:6 10.0.1.9:1", "a udp 10.0.0.9:7 10.0.1.9:1"),
        ("-p udp ! --dport 1", "a udp 10.0.0.9:6 10.0.1.9:2", "a udp 10.0.0.9:7 10.0.1.9:1"),
        ("-p tcp -m multiport --ports 7,9:11", "a tcp 10.0.0.9:6 10.0.1.9:10", "a tcp 10.0.0.9:8 10.0.1.9:1"),
        ("-p tcp -m multiport ! --dports 7,9:11", "a tcp 10.0.0.9:10 10.0.1.9:1", "a tcp 10.0.0.9:8 10.0.1.9:7"),
        ("-p tcp --syn", "a tcp 10.0.0.9:10 10.0.1.9:1", "a udp 10.0.0.9:8 10.0.1.9:7"),
        ("-i + -p tcp", "a tcp 10.0.0.9:10 10.0.1.9:1", "a udp 10.0.0.9:8 10.0.1.9:7"),
        ("-i b+", "b tcp 10.0.0.9:10 10.0.1.9:1", "a tcp 10.0.0.9:8 10.0.1.9:7"),
        ("-p tcp -m state --state NEW,INVALID", "a tcp 10.0.0.9:10 10.0.1.9:1", "a udp 10.0.0.9:8 10.0.1.9:7"),
    ] {
        let policy = small("", &format!("-A FORWARD {rule} -j DROP"));
        assert_eq!(decided(&policy, fits), "drop filter_rule by filter FORWARD 1", "{rule}: {fits}");
        assert_eq!(decided(&policy, does_not), "forward", "{rule}: {does_not}");
    }
    for never in [
        "-m state --state ESTABLISHED,RELATED",
        "-m conntrack ! --ctstate NEW",
        "-p tcp ! --syn",
        "-m tproxy",
        "-i c",
        "! -i +",
    ] {
        let policy = small("", &format!("-A FORWARD {never} -j DROP"));
        assert_eq!(decided(&policy, "a tcp 10.0.0.9:10 10.0.1.9:1"), "forward", "{never}");
    }
    for always in ["! -m tproxy", "-m conntrack ! --ctstate ESTABLISHED", "! -i c", "-m comment --comment x"] {
        let policy = small("", &format!("-A FORWARD {always} -j DROP"));
        assert_eq!(
            decided(&policy, "a tcp 10.0.0.9:10 10.0.1.9:1"),
            "drop filter_rule by filter FORWARD 1",
            "{always}"
        );
    }
}

#[test]
fn a_walk_as_deep_as_permitted_returns_from_everywhere() {
    let depth = crate::limits::CHAIN_DEPTH_MAX;
    let mut filter = ":FORWARD DROP\n".to_owned();
    (0..depth).for_each(|n| filter.push_str(&format!(":c{n} -\n")));
    filter.push_str("-A FORWARD -j c0\n-A FORWARD -j ACCEPT\n");
    (1..depth).for_each(|n| filter.push_str(&format!("-A c{} -j c{n}\n", n - 1)));
    check(&small("", &filter), &[("a tcp 10.0.0.9:10 10.0.1.9:1", "forward by filter FORWARD 2")]);
}

#[test]
fn long_explanations_are_cut_and_say_so() {
    let rules: String = (0..crate::limits::EXPLANATION_STEPS_MAX + 10)
        .map(|n| format!("-A FORWARD -p tcp --dport {n} -j DROP\n"))
        .collect();
    let policy = small("", &rules);
    let explanation = policy.explain(&flow(&policy, "a udp 10.0.0.9:5 10.0.1.9:1"), None);
    assert!(explanation.steps.last().unwrap().ends_with("more steps are not shown)"), "{:?}", explanation.steps.last());
}
