//! Matches by mark, and those with little to read: socket, tproxy, comment.
//! What a value means for a flow is the policy's matter; here is how it is written, checked and printed.

use super::super::criteria::{Match, Not};
use super::super::modules::{Draft, Facts, Given, Made, Module, number};
use super::super::options::Spec;
use super::super::target::Masked;
use crate::limits::COMMENT_MAX;

const MARK_OPTION: &[Spec] = &[Spec::value("mark").not()];

pub(super) static MARK: Module =
    Module { name: "mark", spelled: "-m mark", options: MARK_OPTION, new: || Box::new(MarkDraft(false, None)) };
pub(super) static CONNMARK: Module =
    Module { name: "connmark", spelled: "-m connmark", options: MARK_OPTION, new: || Box::new(MarkDraft(true, None)) };

/// Whether of the connection, and the mark.
struct MarkDraft(bool, Option<Not<Masked>>);

impl Draft for MarkDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        self.1 = given.not(masked(given.value)?);
        Ok(())
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        let mark = self.1.clone().ok_or("the match needs `--mark`")?;
        if mark.value.value & !mark.value.mask != 0 {
            facts.warn("the mark has bits that its mask does not look at, and is never met", "widen the mask");
        }
        Ok(Made::Match(if self.0 { Match::Connmark(mark) } else { Match::Mark(mark) }))
    }
}

/// `value` or `value/mask`.
pub(in crate::rules) fn masked(word: &str) -> Result<Masked, String> {
    let (value, mask) = match word.split_once('/') {
        Some((value, mask)) => (value, Some(mask)),
        None => (word, None),
    };
    let bits = |word: &str| {
        let value = number(word, u64::from(u32::MAX)).map(|value| value as u32);
        value.ok_or_else(|| format!("`{word}` is no mark: a number of 32 bits was expected"))
    };
    Ok(Masked { value: bits(value)?, mask: mask.map(bits).transpose()?.unwrap_or(u32::MAX) })
}

pub(super) static SOCKET: Module = Module {
    name: "socket",
    spelled: "-m socket",
    options: &[Spec::flag("transparent"), Spec::flag("nowildcard"), Spec::flag("restore-skmark")],
    new: || Box::new(SocketDraft::default()),
};

#[derive(Default)]
struct SocketDraft {
    transparent: bool,
    nowildcard: bool,
    restore_mark: bool,
}

impl Draft for SocketDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        match given.option {
            "transparent" => self.transparent = true,
            "nowildcard" => self.nowildcard = true,
            _ => self.restore_mark = true,
        }
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        let SocketDraft { transparent, nowildcard, restore_mark } = *self;
        Ok(Made::Match(Match::Socket { transparent, nowildcard, restore_mark }))
    }
}

pub(super) static TPROXY: Module =
    Module { name: "tproxy", spelled: "-m tproxy", options: &[], new: || Box::new(TproxyDraft { not: false }) };

struct TproxyDraft {
    not: bool,
}

impl Draft for TproxyDraft {
    /// The match itself is inverted: it has no option to invert.
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        self.not = given.not;
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        Ok(Made::Match(Match::Tproxy(Not { not: self.not, value: () })))
    }
}

pub(super) static COMMENT: Module = Module {
    name: "comment",
    spelled: "-m comment",
    options: &[Spec::value("comment").text()],
    new: || Box::new(CommentDraft(None)),
};

struct CommentDraft(Option<String>);

impl Draft for CommentDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        if given.value.len() > COMMENT_MAX {
            return Err(format!("the comment is longer than {COMMENT_MAX} bytes"));
        }
        self.0 = Some(given.value.to_owned());
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        Ok(Made::Match(Match::Comment(self.0.clone().ok_or("`-m comment` needs `--comment`")?)))
    }
}
