//! A line into words, as iptables-restore does it.
//!
//! Blanks separate words. Double quotes hold blanks together; they may begin in mid-word (`ab"c d"` is `abc d`), and
//! a closing quote ends the word, so that text after it begins a new one. A backslash escapes the next character
//! inside quotes and is an ordinary character outside. `""` is an empty word. Single quotes are ordinary characters.

use crate::limits::{RULE_ARGUMENT_MAX, RULE_ARGUMENTS_MAX, RULE_LINE_MAX};

/// A word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Column of its first character, from 1.
    pub(super) column: u32,
    /// So many bytes of the text stood outside quotes; macros are replaced in them only.
    pub(super) bare: usize,
}

impl Word {
    /// Whether any of it was quoted: then it is a value, whatever it looks like.
    pub(super) fn is_quoted(&self) -> bool {
        self.bare < self.text.len() || self.text.is_empty()
    }
}

/// What is wrong with a line, and at which column.
pub(super) type LexFault = (u32, String);

/// Splits a line.
pub(super) fn words(line: &str) -> Result<Vec<Word>, LexFault> {
    if line.len() > RULE_LINE_MAX {
        return Err((0, format!("the line has {} characters, iptables-restore reads {RULE_LINE_MAX}", line.len())));
    }
    let mut words = Vec::new();
    let mut characters = (1u32..).zip(line.chars()).peekable();
    while let Some(&(column, first)) = characters.peek() {
        if is_blank(first) {
            characters.next();
            continue;
        }
        let mut text = String::new();
        while let Some((_, c)) = characters.next_if(|(_, c)| !is_blank(*c) && *c != '"') {
            text.push(c);
        }
        let bare = text.len();
        if let Some((quote, _)) = characters.next_if(|(_, c)| *c == '"') {
            quoted(&mut characters, &mut text).ok_or((quote, "the quote is not closed".to_owned()))?;
        }
        if text.len() > RULE_ARGUMENT_MAX {
            return Err((
                column,
                format!("the argument has {} characters, {RULE_ARGUMENT_MAX} are possible", text.len()),
            ));
        }
        words.push(Word { text, column, bare });
    }
    if words.len() > RULE_ARGUMENTS_MAX {
        return Err((0, format!("the rule has {} arguments, {RULE_ARGUMENTS_MAX} are possible", words.len())));
    }
    Ok(words)
}

/// The inside of quotes and the closing one.
fn quoted(characters: &mut impl Iterator<Item = (u32, char)>, text: &mut String) -> Option<()> {
    loop {
        match characters.next()?.1 {
            '"' => return Some(()),
            '\\' => text.push(characters.next()?.1),
            c => text.push(c),
        }
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// A name as a rule must hold it to be read back: in quotes only where it would be cut or unquoted.
pub(super) fn quote_name(word: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !"\"\\!".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('-') { word.to_owned() } else { quote(word) }
}

/// A word as a rule must hold it to be read back: in quotes unless it is made of letters, digits, `_` and `-`.
pub(super) fn quote(word: &str) -> String {
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return word.to_owned();
    }
    let escaped = word.chars().flat_map(|c| ['\\', c].into_iter().skip(usize::from(!"\"\\'".contains(c))));
    format!("\"{}\"", escaped.collect::<String>())
}
