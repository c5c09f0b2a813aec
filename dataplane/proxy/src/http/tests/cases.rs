//! The tables' format: see the head of `requests.txt`.

/// One case.
#[derive(Debug, Default, Clone)]
pub(super) struct Case {
    pub name: String,
    pub why: String,
    /// Settings other than the defaults, by name.
    pub with: String,
    /// What is said.
    pub says: Vec<u8>,
    /// Statuses and events.
    pub verdict: Vec<String>,
    /// What arrives at the other side; `None`: anything.
    pub sees: Option<Vec<u8>>,
}

/// All cases of a table.
pub(super) fn cases(table: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("case ") {
            cases.push(Case { name: name.to_owned(), sees: Some(Vec::new()), ..Case::default() });
            continue;
        }
        let case = cases.last_mut().expect("a table begins with a case");
        if let Some(why) = line.strip_prefix("why ") {
            case.why = why.to_owned();
        } else if let Some(with) = line.strip_prefix("with ") {
            case.with = with.to_owned();
        } else if line == "<*" {
            case.sees = None;
        } else if let Some(verdict) = line.strip_prefix('=') {
            case.verdict = verdict.split_whitespace().map(str::to_owned).collect();
        } else if let Some(said) = line.strip_prefix('>') {
            unescape(said.strip_prefix(' ').unwrap_or(said), &mut case.says);
        } else if let Some(seen) = line.strip_prefix('<') {
            unescape(seen.strip_prefix(' ').unwrap_or(seen), case.sees.get_or_insert_default());
        } else {
            panic!("no line of a table: {line}");
        }
    }
    cases
}

fn unescape(line: &str, out: &mut Vec<u8>) {
    let mut rest = line.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match rest {
            [] => return,
            [b'r', after @ ..] => (out.push(b'\r'), rest = after).1,
            [b'n', after @ ..] => (out.push(b'\n'), rest = after).1,
            [b't', after @ ..] => (out.push(b'\t'), rest = after).1,
            [b'0', after @ ..] => (out.push(0), rest = after).1,
            [b'\\', after @ ..] => (out.push(b'\\'), rest = after).1,
            [b'x', high, low, after @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16).expect("it is a digit") as u8;
                out.push(digit(*high) * 16 + digit(*low));
                rest = after;
            }
            [b'{', after @ ..] => {
                let end = after.iter().position(|byte| *byte == b'}').expect("it is closed");
                let text = std::str::from_utf8(&after[..end]).expect("it is text");
                let (count, what) = text.split_once('*').expect("COUNT*BYTE");
                out.extend(what.as_bytes().repeat(count.parse().expect("it is a number")));
                rest = &after[end + 1..];
            }
            other => panic!("no escape: {}", String::from_utf8_lossy(other)),
        }
    }
    out.extend_from_slice(b"\r\n");
}
