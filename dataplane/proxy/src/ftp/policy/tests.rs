//! The ready-made classes as lists, and entries on top of them.

use super::*;

fn verdict(policy: &Policy, line: &str) -> Verdict {
    policy.command(&Command::parse(line.as_bytes()).expect("it is a command"))
}

fn permitted(class: Class) -> String {
    let policy = Policy { class, ..Policy::default() };
    let permitted = Known::ALL.iter().filter(|known| verdict(&policy, known.name()) == Verdict::Accept);
    permitted.map(|known| known.name()).collect::<Vec<_>>().join(" ")
}

#[test]
fn classes_are_these() {
    let read = "ABOR ACCT AUTH CDUP CWD EPRT EPSV FEAT LIST MDTM MLSD MLST MODE NLST NOOP OPTS PASS PASV PBSZ PORT PROT PWD QUIT REST RETR SIZE STAT STRU SYST TYPE USER";
    assert_eq!(permitted(Class::ReadOnly), read);
    assert_eq!(permitted(Class::AnonymousReadOnly), read);
    let added = |class| {
        let before: Vec<&str> = read.split(' ').collect();
        let now = permitted(class);
        now.split(' ').filter(|name| !before.contains(name)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(added(Class::AnonymousReadWrite), "APPE DELE MKD RMD RNFR RNTO STOR STOU");
    assert_eq!(added(Class::ReadWrite), "ALLO APPE DELE MKD RMD RNFR RNTO STOR STOU");
    let full = added(Class::Full);
    assert_eq!(full, "ALLO APPE CCC DELE HELP MKD REIN RMD RNFR RNTO SITE SMNT STOR STOU XCUP XCWD XMKD XPWD XRMD");
}

#[test]
fn entries_are_on_top_of_the_class() {
    let mut policy = Policy { class: Class::ReadOnly, ..Policy::default() };
    assert_eq!(verdict(&policy, "STOR a"), Verdict::Denied);
    assert_eq!(verdict(&policy, "CLNT a"), Verdict::Unknown);
    assert_eq!(verdict(&policy, "GREETING"), Verdict::Unknown);
    policy.commands.insert("STOR".into(), Action::Accept);
    policy.commands.insert("CLNT".into(), Action::Accept);
    policy.commands.insert("LPRT".into(), Action::Accept);
    policy.commands.insert("DELE".into(), Action::Abort);
    assert_eq!(verdict(&policy, "stor a"), Verdict::Accept);
    assert_eq!(verdict(&policy, "CLNT a"), Verdict::Accept);
    assert_eq!(verdict(&policy, "LPRT 4,4"), Verdict::Denied);
    assert_eq!(verdict(&policy, "DELE a"), Verdict::Abort);
    policy.other_commands = Some(Action::Reject);
    assert_eq!(verdict(&policy, "RETR a"), Verdict::Denied);
    policy.unknown_commands = true;
    assert_eq!(verdict(&policy, "XYZZY"), Verdict::Accept);
}

#[test]
fn the_longest_entry_of_a_reply_counts() {
    let mut policy = Policy::default();
    assert_eq!(policy.reply("SIZE", 213), Action::Accept);
    assert_eq!(policy.reply("SIZE", 226), Action::Reject);
    assert_eq!(policy.reply("SIZE", 502), Action::Accept);
    assert_eq!(policy.reply("CLNT", 299), Action::Accept);
    let entries = |entries: &[(&str, Action)]| entries.iter().map(|(code, action)| ((*code).into(), *action)).collect();
    policy.replies.insert("SIZE".into(), entries(&[("2", Action::Accept), ("21", Action::Abort)]));
    policy.replies.insert("*".into(), entries(&[("229", Action::Reject), ("5", Action::Abort)]));
    assert_eq!(policy.reply("SIZE", 226), Action::Accept);
    assert_eq!(policy.reply("SIZE", 213), Action::Abort);
    assert_eq!(policy.reply("SIZE", 229), Action::Reject);
    assert_eq!(policy.reply("SIZE", 550), Action::Abort);
    assert_eq!(policy.reply("RETR", 226), Action::Accept);
}
