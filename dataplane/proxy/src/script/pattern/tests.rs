//! The language of the patterns against the library's own matcher, and its bounds.

use mlua::{Lua, MultiValue, Value};
use proptest::prelude::*;

use super::{Capture, Fault, Matcher, is_plain};
use crate::script::limits::{CAPTURES_MAX, PATTERN_BYTES_MAX, PATTERN_DEPTH_MAX};

/// Steps that no case here needs.
const PLENTY: u64 = 1_000_000;

/// Where Lua's own `string.find` finds it, with the captures as it gives them.
fn by_lua(lua: &Lua, text: &[u8], pattern: &[u8]) -> Result<Option<Vec<String>>, ()> {
    let find: mlua::Function = lua.load("return string.find").eval().expect("it is there");
    let args = (lua.create_string(text).expect("room"), lua.create_string(pattern).expect("room"));
    let values: MultiValue = find.call(args).map_err(|_| ())?;
    if values.front().is_none_or(Value::is_nil) {
        return Ok(None);
    }
    Ok(Some(values.iter().map(show).collect()))
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", text.as_bytes()),
        other => other.to_string().expect("it can be shown"),
    }
}

fn by_us(text: &[u8], pattern: &[u8]) -> Result<Option<Vec<String>>, ()> {
    if is_plain(pattern) {
        let found = memchr::memmem::find(text, pattern);
        return Ok(found.map(|at| vec![(at + 1).to_string(), (at + pattern.len()).to_string()]));
    }
    let found = Matcher::new(text, pattern, PLENTY).search(0).map_err(|_| ())?;
    Ok(found.map(|found| {
        let mut shown = vec![(found.whole.start + 1).to_string(), found.whole.end.to_string()];
        shown.extend(found.captures.iter().map(|capture| match capture {
            Capture::Text(range) => format!("{:?}", &text[range.clone()]),
            Capture::Place(at) => (at + 1).to_string(),
        }));
        shown
    }))
}

#[test]
fn cases_of_the_manual() {
    let lua = Lua::new();
    for (text, pattern) in [
        ("hello world", "o w"),
        ("hello world", "(l+)o"),
        ("hello", "^h.-l"),
        ("hello", "l$"),
        ("  x", "^%s*(.-)%s*$"),
        ("key = value", "(%w+)%s*=%s*(%w+)"),
        ("THE (quick) fox", "%((%a+)%)"),
        ("f(a(b)c)d", "%b()"),
        ("THE (quick) fox", "%f[%a]%a+%f[%A]"),
        ("abcabc", "(abc)%1"),
        ("abc", "()b()"),
        ("a]b", "[]]"),
        ("a-b", "[a%-]+"),
        ("x^y", "[%^x]+"),
        ("0x1F", "^0[xX](%x+)$"),
        ("", ".*"),
        ("a\0b", "%z?b"),
        ("a.b", "%."),
        ("aaa", "a-$"),
        ("aXb", "[^%l]"),
        ("x", "[a-]"),
        ("-", "[a-]"),
        ("ab", "[%a-z]+"),
        ("abc", "b?c"),
        ("$100", "$%d+"),
        ("^a", "%^a"),
        ("a^", "a^"),
        ("%d", "%%d"),
        ("((x))", "(%b())"),
        ("abc", "((a)(b))"),
    ] {
        assert_eq!(
            by_us(text.as_bytes(), pattern.as_bytes()),
            by_lua(&lua, text.as_bytes(), pattern.as_bytes()),
            "{pattern}"
        );
    }
    for pattern in ["(a", "a.)", "[a", "[", "%", "[%", "%b", "%bx", "%f", "%fa", "%1", "(%1)", "[]", "[^]", "%0"] {
        assert!(by_us(b"a(a)a", pattern.as_bytes()).is_err(), "{pattern}");
        assert!(by_lua(&lua, b"a(a)a", pattern.as_bytes()).is_err(), "{pattern}");
    }
}

proptest! {
    #[test]
    fn as_the_library_has_it(text in "[abc(). -]{0,12}", pattern in r"[abc%().*+?$^\[\]wdsAbf1-]{0,8}") {
        let lua = Lua::new();
        let (ours, theirs) = (by_us(text.as_bytes(), pattern.as_bytes()), by_lua(&lua, text.as_bytes(), pattern.as_bytes()));
        prop_assert_eq!(ours, theirs, "{:?} in {:?}", pattern, text);
    }
}

#[test]
fn a_pattern_that_would_take_for_ever_takes_its_steps() {
    let text = [b'a'; 200];
    let pattern = [b"a-".repeat(30), b"b".to_vec()].concat();
    assert_eq!(Matcher::new(&text, &pattern, PLENTY).search(0), Err(Fault::Steps));
    let mut matcher = Matcher::new(&text, b"a", 5);
    assert!(matcher.search(0).is_ok_and(|found| found.is_some()));
    assert!(matcher.steps_left() < 5);
}

#[test]
fn bounds() {
    let long = vec![b'a'; PATTERN_BYTES_MAX + 1];
    assert_eq!(Matcher::new(b"a", &long, PLENTY).search(0), Err(Fault::Malformed("pattern too long")));
    let deep = b"a?".repeat(PATTERN_DEPTH_MAX as usize + 1);
    let text = vec![b'a'; deep.len()];
    assert_eq!(Matcher::new(&text, &deep, PLENTY).search(0), Err(Fault::Malformed("pattern too complex")));
    let many = b"()".repeat(CAPTURES_MAX + 1);
    assert_eq!(Matcher::new(b"a", &many, PLENTY).search(0), Err(Fault::Malformed("too many captures")));
}
