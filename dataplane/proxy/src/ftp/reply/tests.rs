//! Replies from lines and back.

use proptest::prelude::*;

use super::{Reply, ReplyError, ReplyReader};

fn read(lines: &[&str], lines_max: usize) -> Result<Vec<Reply>, ReplyError> {
    let mut reader = ReplyReader::new(lines_max);
    let mut replies = Vec::new();
    for line in lines {
        replies.extend(reader.take(line.as_bytes().to_vec())?);
    }
    Ok(replies)
}

fn written(lines: &[&str]) -> String {
    let replies = read(lines, 100).expect("they are replies");
    replies.iter().map(|reply| String::from_utf8_lossy(&reply.encoded()).into_owned()).collect()
}

#[test]
fn replies_end_with_their_own_code_and_a_space() {
    assert_eq!(written(&["220 hello"]), "220 hello\r\n");
    assert_eq!(written(&["220"]), "220 \r\n");
    assert_eq!(
        written(&["211-Features:", " MDTM", " SIZE", "211 End"]),
        "211-Features:\r\n MDTM\r\n SIZE\r\n211 End\r\n"
    );
    assert_eq!(written(&["230-a", "230-b", "230 c"]), "230-a\r\n230-b\r\n230 c\r\n");
    assert_eq!(written(&["230-a", "226 no end", "230 c"]), "230-a\r\n 226 no end\r\n230 c\r\n");
    assert_eq!(written(&["230-a", "2", "", "230 c"]), "230-a\r\n 2\r\n\r\n230 c\r\n");
}

#[test]
fn what_is_no_reply_is_refused() {
    for bad in ["", "2", "22", "hello", "22a x", "020 x", "720 x", "220x", "220\tx", " 220 x"] {
        assert_eq!(read(&[bad], 100), Err(ReplyError::NoCode), "{bad:?}");
    }
    assert_eq!(read(&["220-a", "b", "220 c"], 3).map(|replies| replies.len()), Ok(1));
    assert_eq!(read(&["220-a", "b", "c", "220 d"], 3), Err(ReplyError::TooManyLines));
}

#[test]
fn our_own_words_stay_on_their_line() {
    assert_eq!(Reply::new(550, "no\r\n226 yes").encoded(), b"550 no  226 yes\r\n");
    assert_eq!(
        Reply::of_lines(211, [b"a".to_vec(), b" b\n".to_vec(), b"c".to_vec()]).encoded(),
        b"211-a\r\n b \r\n211 c\r\n"
    );
}

proptest! {
    /// Whatever a server says, what the client reads is the reply that was decided about, by the strict rule and by the lax one.
    #[test]
    fn what_is_written_is_the_same_reply(lines in prop::collection::vec("[1-6]?[0-9]{0,3}[- ]?[a-z]{0,3}", 0..12)) {
        let mut reader = ReplyReader::new(10);
        for line in lines {
            let Ok(reply) = reader.take(line.into_bytes()) else { return Ok(()) };
            let Some(reply) = reply else { continue };
            let encoded = reply.encoded();
            let text = String::from_utf8(encoded).expect("it was made of ASCII");
            let lines: Vec<&str> = text.split_terminator("\r\n").collect();
            let mut again = ReplyReader::new(10);
            let mut lax_ends = 0;
            for (index, line) in lines.iter().enumerate() {
                // A lax client ends at any three digits with a space behind.
                let is_last = line.len() >= 4 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit) && line.as_bytes()[3] == b' ';
                lax_ends += usize::from(is_last);
                let read = again.take(line.as_bytes().to_vec()).expect("it was a reply");
                prop_assert_eq!(read.is_some(), index + 1 == lines.len());
            }
            prop_assert_eq!(lax_ends, 1);
        }
    }
}
