//! Sets of servers' names: exact ones, whole domains, expressions.
//!
//! As written: `www.example.com` is that name, `.example.com` the domain with all below it, `/^api[0-9]+\./` an expression
//! (of linear time, found anywhere unless it is anchored). Names and domains are looked up by hash, one look-up a label,
//! so that lists may be long.

use std::collections::HashSet;

use regex::{RegexSet, RegexSetBuilder};

/// Size of the expressions of one set, compiled, bytes: some thousand of ordinary ones.
const EXPRESSIONS_SIZE_MAX: usize = 4 << 20;

/// See the module.
#[derive(Clone, Debug)]
pub struct Names {
    exact: HashSet<String>,
    domains: HashSet<String>,
    expressions: RegexSet,
}

impl Names {
    /// The set of these words.
    ///
    /// # Errors
    /// The place of the word that is wrong, and why it is.
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Names, (usize, String)> {
        let (mut exact, mut domains, mut expressions) = (HashSet::new(), HashSet::new(), Vec::new());
        for (place, word) in words.into_iter().enumerate() {
            if let Some(expression) = word.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
                regex::Regex::new(expression).map_err(|error| (place, reason(&error)))?;
                expressions.push((place, expression));
                continue;
            }
            let (set, name) = match word.strip_prefix('.') {
                Some(domain) => (&mut domains, domain),
                None => (&mut exact, word),
            };
            if !is_name(name) {
                return Err((place, "a name, a domain that begins with a dot, or an /expression/ was expected".into()));
            }
            set.insert(name.to_ascii_lowercase());
        }
        let compiled = RegexSetBuilder::new(expressions.iter().map(|(_, expression)| expression))
            .size_limit(EXPRESSIONS_SIZE_MAX)
            .build()
            .map_err(|error| (expressions.first().map_or(0, |(place, _)| *place), reason(&error)))?;
        Ok(Names { exact, domains, expressions: compiled })
    }

    /// Is it one of them? In lower case, as [`super::Hello::server_name`] gives it.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.exact.contains(name) || self.is_below(name) || self.expressions.is_match(name)
    }

    fn is_below(&self, name: &str) -> bool {
        if self.domains.is_empty() {
            return false;
        }
        let mut rest = Some(name);
        while let Some(domain) = rest {
            if self.domains.contains(domain) {
                return true;
            }
            rest = domain.split_once('.').map(|(_, above)| above);
        }
        false
    }
}

fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    !name.is_empty()
        && name.len() <= super::limits::NAME_MAX
        && name.bytes().all(good)
        && name.split('.').all(|label| !label.is_empty())
}

/// The last line of what the crate says is the one that says it.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests;
