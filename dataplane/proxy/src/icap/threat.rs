//! What a scanner says it has found: `X-Infection-Found`, `X-Violations-Found` (draft-stecher-icap-subid), and the older
//! `X-Virus-ID`, `X-Blocked` of scanners in use.

use super::limits::THREAT_MAX;
use crate::http::Headers;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threat {
    /// Its name, if the scanner says one.
    pub name: String,
    /// The scanner has removed it: what it gives back is clean.
    pub repaired: bool,
}

impl Threat {
    /// What a scanner's head says.
    #[must_use]
    pub fn of(headers: &Headers) -> Option<Threat> {
        if let Some(value) = headers.get("X-Infection-Found") {
            return Some(infection(&String::from_utf8_lossy(value)));
        }
        if let Some(value) = headers.get("X-Violations-Found") {
            // The number of violations, then four lines of each: file, violation, its number, resolution.
            let text = String::from_utf8_lossy(value).into_owned();
            let name = text.split_whitespace().nth(2).unwrap_or_default();
            return Some(Threat { name: named(name), repaired: false });
        }
        let value = headers.get("X-Virus-ID").or_else(|| headers.get("X-Blocked"))?;
        Some(Threat { name: named(&String::from_utf8_lossy(value)), repaired: false })
    }
}

/// `Type=0; Resolution=2; Threat=EICAR;`: of the resolutions 0 is "not fixed", 1 "repaired", 2 "blocked".
fn infection(text: &str) -> Threat {
    let value = |key: &str| {
        let mut parts = text.split(';').filter_map(|part| part.trim().split_once('='));
        parts.find(|(name, _)| name.trim().eq_ignore_ascii_case(key)).map(|(_, value)| value.trim())
    };
    Threat { name: named(value("Threat").unwrap_or_default()), repaired: value("Resolution") == Some("1") }
}

/// For people: no controls, and not too long.
fn named(name: &str) -> String {
    let name: String = name.chars().filter(|letter| !letter.is_control()).take(THREAT_MAX).collect();
    if name.is_empty() { "a threat without a name".to_owned() } else { name }
}
