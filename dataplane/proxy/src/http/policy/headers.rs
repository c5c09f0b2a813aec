//! Rules for header fields: Zorp's ACCEPT, ABORT, DROP, CHANGE_NAME, CHANGE_VALUE, CHANGE_REGEXP, INSERT and REPLACE.
//!
//! Each field goes through the first rule of its name, or that of `*`; fields to insert come last. Fields that frame the
//! message are not for rules: the configuration's reader refuses them, and the connection writes its own.

use regex::bytes::{Regex, RegexBuilder};

use super::{Action, Refusal};
use crate::http::event::Event;
use crate::http::filter::one_line;
use crate::http::headers::{Edit, Headers};
use crate::http::limits::REGEX_BYTES_MAX;

/// What becomes of a field.
#[derive(Clone, Debug)]
pub enum Change {
    /// It passes.
    Accept,
    /// It is left out.
    Drop,
    /// The message does not pass.
    Refuse(Action),
    /// It gets another name.
    Name(String),
    /// It gets another value.
    Value(Vec<u8>),
    /// What the expression finds in the value is replaced; `$1` is its first group.
    Regex(Regex, Vec<u8>),
    /// One is added, beside those that are there.
    Insert(Vec<u8>),
    /// One takes the place of those that are there, or is added.
    Replace(Vec<u8>),
}

impl Change {
    /// Replaces what the expression finds.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn regex(text: &str, by: &str) -> Result<Change, String> {
        let regex = RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build();
        let regex = regex.map_err(|error| one_line(&error.to_string()))?;
        Ok(Change::Regex(regex, by.as_bytes().to_vec()))
    }
}

/// One row of [`HeaderRules`].
#[derive(Clone, Debug)]
pub struct HeaderRule {
    /// Of which field; `*`: of those that have no rule of their own.
    pub name: String,
    /// What becomes of it.
    pub change: Change,
}

/// Rules in their order.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules(pub Vec<HeaderRule>);

impl HeaderRules {
    pub(super) fn apply(&self, headers: &mut Headers) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut refusal = None;
        headers.edit(|name, value| match self.of(name).map(|rule| &rule.change) {
            None | Some(Change::Accept | Change::Insert(_) | Change::Replace(_)) => Edit::Keep,
            Some(Change::Drop) => Edit::Drop,
            Some(Change::Refuse(action)) => {
                refusal = refusal.take().or_else(|| Refusal::by(action, Event::HeaderDenied));
                Edit::Keep
            }
            Some(Change::Name(name)) => Edit::Change { name: Some(name.clone()), value: None },
            Some(Change::Value(value)) => Edit::Change { name: None, value: Some(value.clone()) },
            Some(Change::Regex(regex, by)) => match regex.replace_all(value, by.as_slice()) {
                std::borrow::Cow::Borrowed(_) => Edit::Keep,
                std::borrow::Cow::Owned(value) => Edit::Change { name: None, value: Some(value.trim_ascii().to_vec()) },
            },
        });
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        for HeaderRule { name, change } in &self.0 {
            let done = match change {
                Change::Insert(value) => headers.insert(name, value),
                Change::Replace(value) => headers.set(name, value),
                _ => Ok(()),
            };
            // The configuration has checked name and value: what is left is a head that becomes too large.
            done.map_err(|_| Refusal::page(Event::HeadLong))?;
        }
        Ok(())
    }

    fn of(&self, name: &str) -> Option<&HeaderRule> {
        let named = self.0.iter().find(|rule| rule.name.eq_ignore_ascii_case(name));
        named.or_else(|| self.0.iter().find(|rule| rule.name == "*"))
    }
}
