//! Paths and bodies made into requests; what happens on a real socket is tested with [`crate::thread`].

use super::*;

#[test]
fn operations_stand_in_the_path_and_arguments_in_the_body() {
    let body = br#"{"protocol":"tcp","local":"10.0.0.1:5001","set":["LISTEN","ONCE"]}"#;
    let request = parse_request("flags", body).expect("a request");
    let Request::Flags { protocol: 6, set: Some(flags), .. } = request else { panic!("{request:?}") };
    assert_eq!(flags.to_string(), "LISTEN,ONCE");
    assert_eq!(parse_request("version", b""), Ok(Request::Version { version: None }));
}

#[test]
fn what_is_no_request_is_refused_as_the_kernel_would() {
    for (operation, body, errno) in [
        ("accept", "{}", Errno::ENOPROTOOPT),
        ("query", "", Errno::EINVAL),
        ("query", "[]", Errno::EINVAL),
        ("query", "{", Errno::EINVAL),
        ("query", r#"{"protocol":"tcp","local":"10.0.0.1:1","op":"assign"}"#, Errno::EINVAL),
        ("query", r#"{"protocol":"tcp","local":"10.0.0.1:1","loco":1}"#, Errno::EINVAL),
        ("query", r#"{"protocol":"tpc","local":"10.0.0.1:1"}"#, Errno::EINVAL),
        ("assign", r#"{"protocol":"tcp","local":"10.0.0.1:1"}"#, Errno::EINVAL),
    ] {
        let refusal = parse_request(operation, body.as_bytes()).expect_err(body);
        assert_eq!(refusal.errno, errno, "{operation} {body}: {refusal}");
    }
}

#[test]
fn changes_of_sets_stand_in_the_path_and_members_in_the_body() {
    let members = br#"{"members":["10.0.0.1"]}"#;
    let one = || vec!["10.0.0.1".to_owned()];
    assert_eq!(parse_change("add", members), Ok(SetChange::Add { members: one() }));
    assert_eq!(parse_change("delete", members), Ok(SetChange::Delete { members: one() }));
    assert_eq!(parse_change("flush", b""), Ok(SetChange::Flush));
    assert_eq!(parse_change("swap", br#"{"with":"b"}"#), Ok(SetChange::Swap { with: "b".to_owned() }));
    for (operation, body, status) in [("add", "{}", 400), ("add", "", 400), ("swap", "[]", 400), ("burn", "{}", 404)] {
        assert_eq!(parse_change(operation, body.as_bytes()).expect_err(operation).status, status, "{operation} {body}");
    }
}
