//! Fields keep order, case and duplicates; what is no field does not get in.

use super::{HeaderFault, Headers, list};
use crate::http::limits::HEAD_BYTES_MAX;

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.insert(name, value.as_bytes()).expect("it is a field");
    }
    headers
}

fn wire(headers: &Headers) -> String {
    let mut out = Vec::new();
    headers.write_to(&mut out);
    assert_eq!(out.len(), headers.wire_len());
    String::from_utf8(out).expect("it is text")
}

#[test]
fn order_case_and_duplicates_are_kept() {
    let headers = headers(&[("hOST", "a"), ("X", "1"), ("x", "2"), ("Y", "")]);
    assert_eq!(wire(&headers), "hOST: a\r\nX: 1\r\nx: 2\r\nY: \r\n");
    assert_eq!(headers.get("HOST"), Some(&b"a"[..]));
    assert_eq!(headers.get_all("X").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!((headers.len(), headers.contains("z")), (4, false));
}

#[test]
fn set_keeps_the_first_place_and_insert_adds() {
    let mut headers = headers(&[("a", "1"), ("X", "1"), ("b", "2"), ("x", "2")]);
    headers.set("x", b"3").expect("it is a value");
    assert_eq!(wire(&headers), "a: 1\r\nX: 3\r\nb: 2\r\n");
    headers.set("c", b"4").expect("it is a value");
    headers.insert("a", b"5").expect("it is a value");
    assert_eq!(wire(&headers), "a: 1\r\nX: 3\r\nb: 2\r\nc: 4\r\na: 5\r\n");
    assert_eq!((headers.remove("A"), headers.remove("A")), (2, 0));
    assert_eq!(wire(&headers), "X: 3\r\nb: 2\r\nc: 4\r\n");
}

#[test]
fn what_is_no_field_does_not_get_in() {
    let mut headers = headers(&[("a", "1")]);
    for name in ["", "a b", "a:", "ä", "a\r"] {
        assert_eq!(headers.insert(name, b"x"), Err(HeaderFault::Name), "{name:?}");
    }
    for value in ["a\r\nb: c", "a\nb", "a\0", "a\u{7f}", " a", "a\t"] {
        assert_eq!(headers.set("a", value.as_bytes()), Err(HeaderFault::Value), "{value:?}");
    }
    assert_eq!(wire(&headers), "a: 1\r\n");
}

#[test]
fn a_head_is_bounded_however_often_it_is_changed() {
    let mut headers = headers(&[("a", "1")]);
    let half = vec![b'x'; HEAD_BYTES_MAX / 2 - 100];
    for _ in 0..100 {
        headers.set("big", &half).expect("it fits");
    }
    assert!(headers.bytes.len() <= 2 * HEAD_BYTES_MAX, "{}", headers.bytes.len());
    assert_eq!(headers.get("a"), Some(&b"1"[..]));
    headers.insert("big", &half).expect("it fits");
    assert_eq!(headers.insert("big", &half), Err(HeaderFault::Large));
}

#[test]
fn lists_have_members() {
    let members = |value: &'static str| list(value.as_bytes()).collect::<Vec<_>>();
    assert_eq!(members("a, b ,,\tc"), [b"a", b"b", b"c"]);
    assert!(members(" , ").is_empty());
}
