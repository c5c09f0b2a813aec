//! What is left of a server's features.

use super::*;
use crate::ftp::policy::{Action, Class};

const SERVER: &[&str] = &[
    "Features:",
    " AUTH TLS",
    " EPRT",
    " EPSV",
    " LANG en",
    " LPRT",
    " MDTM",
    " MFMT",
    " MLST type*;size*;",
    " MODE Z",
    " PBSZ",
    " PROT",
    " REST STREAM",
    " SITE UTIME",
    " SIZE",
    " TVFS",
    " UTF8",
    "End",
];

fn filtered(lines: &[&str], policy: &Policy, tls: bool) -> (String, u64) {
    let reply = Reply::of_lines(211, lines.iter().map(|line| line.as_bytes().to_vec()));
    let (reply, dropped) = filter(&reply, policy, tls);
    let lines: Vec<_> = reply.lines().iter().map(|line| String::from_utf8_lossy(line).trim().to_owned()).collect();
    (lines.join("|"), dropped)
}

#[test]
fn what_the_service_refuses_is_not_offered() {
    let full = "Features:|EPRT|EPSV|MDTM|MLST type*;size*;|REST STREAM|SITE UTIME|SIZE|TVFS|UTF8|End";
    assert_eq!(filtered(SERVER, &Policy::default(), false), (full.to_owned(), 7));
    let mut policy = Policy { class: Class::ReadOnly, ..Policy::default() };
    policy.commands.insert("MFMT".into(), Action::Accept);
    policy.commands.insert("SIZE".into(), Action::Reject);
    policy.features.insert("TVFS".into(), Feature::Drop);
    let read_only = "Features:|EPRT|EPSV|MDTM|MFMT|MLST type*;size*;|REST STREAM|UTF8|End";
    assert_eq!(filtered(SERVER, &policy, false).0, read_only);
}

#[test]
fn what_the_proxy_does_itself_is_offered() {
    let tls = "Features:|UTF8|AUTH TLS|PBSZ|PROT|End";
    assert_eq!(filtered(&["Features:", " UTF8", "End"], &Policy::default(), true).0, tls);
    let mut policy = Policy::default();
    policy.features.insert("*".into(), Feature::Drop);
    assert_eq!(filtered(SERVER, &policy, false), ("No features".to_owned(), 16));
    policy.features.insert("UTF8".into(), Feature::Insert);
    policy.features.insert("TVFS".into(), Feature::Insert);
    assert_eq!(filtered(&["nothing"], &policy, false).0, "Features:|TVFS|UTF8|End");
    let own = own(&Policy::default(), true);
    let own: Vec<_> = own.lines().iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    assert_eq!(own, ["Features:", " EPRT", " EPSV", " PASV", " AUTH TLS", " PBSZ", " PROT", "End"]);
}
