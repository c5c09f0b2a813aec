//! Rules as tables: what they come to at each step, and that looking only as far as needed changes nothing.

use rustls::AlertDescription;

use super::{Action, Decision, EchKind, Known, Match, Rule, Rules, Shown};
use crate::session::SessionInfo;
use crate::tls::hello::Hello;
use crate::tls::names::Names;
use crate::tls::testing::{hello_for, info};
use crate::tls::verify::Distrust;

fn names(words: &[&str]) -> Option<Names> {
    Some(Names::new(words.iter().copied()).expect("names"))
}

fn rules(list: Vec<(Match, Action)>, otherwise: Action) -> Rules {
    let numbered = list.into_iter().enumerate();
    let rules = numbered.map(|(at, (matches, action))| Rule { name: (at + 1).to_string(), matches, action }).collect();
    Rules { rules, otherwise, ech_names: names(&["public.example"]).expect("names") }
}

struct World {
    info: SessionInfo,
    hello: Hello,
    shown: Shown,
}

impl World {
    fn new(sni: Option<&str>, verdict: Result<(), Distrust>) -> World {
        World {
            info: info(),
            hello: hello_for(sni, &["h2", "http/1.1"]),
            shown: Shown { verdict, names: vec!["real.example".into()] },
        }
    }

    /// What the rules come to at each step, up to the final one.
    fn steps<'a>(&self, rules: &'a Rules) -> Vec<Decision<'a>> {
        let first = Known { info: &self.info, hello: None, certificate: None };
        let second = Known { hello: Some(&self.hello), ..first };
        let third = Known { certificate: Some(&self.shown), ..second };
        let mut steps = Vec::new();
        for known in [first, second, third] {
            steps.push(rules.decide(&known));
            if steps.last() != Some(&Decision::LookOn) {
                break;
            }
        }
        steps
    }
}

#[test]
fn one_looks_only_as_far_as_needed() {
    let bank = Match { sni: names(&[".bank.example"]), ..Match::default() };
    let zone = Match { client_zones: vec!["intranet".into()], ..Match::default() };
    let foreign = Match { client_zones: vec!["guests".into()], sni: names(&["x"]), ..Match::default() };
    let bad = Match { trusted: Some(false), ..Match::default() };
    let look = Decision::LookOn;
    let by = |action, rule| Decision::Final(action, rule);
    type Case<'a> = (Vec<(Match, Action)>, Option<&'a str>, Result<(), Distrust>, Vec<Decision<'a>>);
    let cases: [Case<'_>; 7] = [
        (vec![], None, Ok(()), vec![by(Action::Bump, "otherwise")]),
        (
            vec![(foreign, Action::Splice), (zone.clone(), Action::Terminate)],
            None,
            Ok(()),
            vec![by(Action::Terminate, "2")],
        ),
        (vec![(bank.clone(), Action::Splice)], Some("www.bank.example"), Ok(()), vec![look, by(Action::Splice, "1")]),
        (vec![(bank.clone(), Action::Splice)], None, Ok(()), vec![look, by(Action::Bump, "otherwise")]),
        (
            vec![(bank.clone(), Action::Splice), (bad.clone(), Action::Terminate)],
            Some("a.example"),
            Err(Distrust::Expired),
            vec![look, look, by(Action::Terminate, "2")],
        ),
        (
            vec![(bank, Action::Splice), (bad, Action::Terminate)],
            Some("bank.example"),
            Err(Distrust::Expired),
            vec![look, by(Action::Splice, "1")],
        ),
        (
            vec![(Match::default(), Action::Peek), (zone, Action::Splice)],
            None,
            Ok(()),
            vec![look, look, by(Action::Splice, "2")],
        ),
    ];
    for (list, sni, verdict, expected) in cases {
        let rules = rules(list, Action::Bump);
        assert_eq!(World::new(sni, verdict).steps(&rules), expected, "{rules:?}");
    }
}

#[test]
fn each_matcher() {
    // The library's client shuffles its extensions: each hello of it has a JA3 of its own.
    let world = World::new(Some("a.example"), Err(Distrust::Expired));
    let (ja3, ja4) = (world.hello.ja3(), world.hello.ja4().to_string());
    let cases: Vec<(Match, bool)> = vec![
        (Match { clients: vec!["192.168.0.0/16".parse().expect("a network")], ..Match::default() }, true),
        (Match { clients: vec!["10.0.0.0/8".parse().expect("a network")], ..Match::default() }, false),
        (Match { servers: vec!["10.0.0.9/32".parse().expect("a network")], ..Match::default() }, true),
        (Match { server_zones: vec!["dmz".into(), "x".into()], ..Match::default() }, true),
        (Match { server_zones: vec!["x".into()], ..Match::default() }, false),
        (Match { ports: vec![1..=100, 443..=443], ..Match::default() }, true),
        (Match { ports: vec![444..=500], ..Match::default() }, false),
        (Match { has_sni: Some(true), ..Match::default() }, true),
        (Match { has_sni: Some(false), ..Match::default() }, false),
        (Match { alpn: vec!["h3".into(), "h2".into()], ..Match::default() }, true),
        (Match { alpn: vec!["h3".into()], ..Match::default() }, false),
        (Match { ja3: vec![ja3], ..Match::default() }, true),
        (Match { ja3: vec!["0".repeat(32)], ..Match::default() }, false),
        (Match { ja4: vec![ja4.clone()], ..Match::default() }, true),
        (Match { ja4: vec![ja4[..10].into()], ..Match::default() }, true),
        (Match { ja4: vec![ja4[..9].into()], ..Match::default() }, false),
        (Match { ech: Some(EchKind::Absent), ..Match::default() }, true),
        (Match { ech: Some(EchKind::Real), ..Match::default() }, false),
        (Match { trusted: Some(false), ..Match::default() }, true),
        (Match { trusted: Some(true), ..Match::default() }, false),
        (Match { faults: vec![Distrust::Expired, Distrust::Revoked], ..Match::default() }, true),
        (Match { faults: vec![Distrust::Revoked], ..Match::default() }, false),
        (Match { certificate_names: names(&[".real.example"]), ..Match::default() }, true),
        (Match { certificate_names: names(&["a.example"]), ..Match::default() }, false),
    ];
    for (matches, expected) in cases {
        let text = format!("{matches:?}");
        let alert = Action::Reject(AlertDescription::AccessDenied);
        let rules = rules(vec![(matches, alert)], Action::Splice);
        let action = if expected { Decision::Final(alert, "1") } else { Decision::Final(Action::Splice, "otherwise") };
        assert_eq!(world.steps(&rules).last(), Some(&action), "{text}");
    }
}

#[test]
fn a_splice_that_waits_for_the_certificate_is_known_before() {
    let world = World::new(Some("a.example"), Ok(()));
    let known = Known { info: &world.info, hello: Some(&world.hello), certificate: None };
    let by_certificate = Match { trusted: Some(true), ..Match::default() };
    assert!(rules(vec![(by_certificate.clone(), Action::Splice)], Action::Bump).may_splice(&known));
    assert!(rules(vec![(by_certificate.clone(), Action::Bump)], Action::Splice).may_splice(&known));
    let elsewhere = Match { sni: names(&["b.example"]), ..by_certificate.clone() };
    assert!(
        !rules(vec![(elsewhere, Action::Splice), (by_certificate, Action::Terminate)], Action::Bump).may_splice(&known)
    );
}

#[test]
fn grease_is_told_from_an_encrypted_hello_by_the_name() {
    let rules = rules(vec![], Action::Bump);
    let ech = Some(crate::tls::hello::Ech { cipher: (1, 1), config_id: 3, payload: 144 });
    for (sni, ech, expected) in [
        (Some("public.example"), ech, EchKind::Real),
        (Some("a.example"), ech, EchKind::Grease),
        (None, ech, EchKind::Grease),
        (Some("public.example"), None, EchKind::Absent),
    ] {
        let mut hello = hello_for(sni, &[]);
        hello.ech = ech;
        assert_eq!(rules.ech(&hello), expected);
    }
}
