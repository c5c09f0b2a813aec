//! Sets of the running policy: what is in them, and changes that need no reload. The cores see a change with their next
//! look-up; a reload keeps it for as long as the set is defined as it was.

use serde_json::{Value, json};
use tracing::info;

use super::Engine;
use super::api::{ApiError, ApiReply, Body, SetChange};
use crate::limits::FLOWS_MAX;
use crate::policy::{Member, Set, SetError};
use crate::requests::Caller;

impl Engine {
    /// Every set, without its members.
    pub(super) fn sets(&self) -> Value {
        json!({ "sets": self.policy.sets().iter().map(|set| described(set)).collect::<Vec<_>>() })
    }

    /// One set, with members.
    pub(super) fn set(&self, name: &str, limit: usize) -> ApiReply {
        let set = self.set_named(name)?;
        let members: Vec<String> = set.members(limit.min(FLOWS_MAX)).iter().map(Member::to_string).collect();
        let mut body = described(set);
        body["members"] = members.into();
        Ok(Body::Json(body))
    }

    /// Changes a set, or says whether it has a member.
    pub(super) fn change_set(&mut self, caller: Caller, name: &str, change: &SetChange) -> ApiReply {
        let set = self.set_named(name)?;
        let read = |texts: &[String]| {
            let read = texts.iter().map(|text| set.kind().member(text)).collect::<Result<Vec<Member>, String>>();
            read.map_err(ApiError::bad)
        };
        if let SetChange::Test { member } = change {
            let member = read(std::slice::from_ref(member))?;
            return Ok(Body::Json(json!({ "set": name, "contains": member.iter().all(|member| set.test(member)) })));
        }
        if !caller.privileged(self.requests.own_uid()) {
            return Err(ApiError::forbidden(caller, "change sets"));
        }
        let changed = match change {
            // All are read before the first is added: a list with a fault changes nothing.
            SetChange::Add { members } => {
                let mut added = 0usize;
                for member in read(members)? {
                    added += usize::from(set.add(&member).map_err(refused)?);
                }
                added
            }
            SetChange::Delete { members } => read(members)?.iter().filter(|member| set.delete(member)).count(),
            SetChange::Flush => {
                let count = set.len();
                set.flush();
                count
            }
            SetChange::Swap { with } => {
                let other = self.set_named(with)?;
                set.swap(other).map_err(refused)?;
                set.len() + other.len()
            }
            SetChange::Test { .. } => 0,
        };
        info!(set = name, operation = change.name(), changed, by = caller.to_string(), "set changed");
        Ok(Body::Json(json!({ "set": name, "changed": changed, "members": set.len() })))
    }

    fn set_named(&self, name: &str) -> Result<&Set, ApiError> {
        self.policy.sets().get(name).map(|set| &**set).ok_or_else(|| {
            let known: Vec<&str> = self.policy.sets().iter().map(|set| set.name()).collect();
            ApiError::new(404, format!("there is no set {name:?}; there are: {}", known.join(", ")))
        })
    }
}

fn described(set: &Set) -> Value {
    json!({ "name": set.name(), "type": set.kind().name(), "count": set.len() })
}

fn refused(error: SetError) -> ApiError {
    let status = match error {
        SetError::Kind => 400,
        SetError::Full => 429,
        SetError::Unlike => 409,
    };
    ApiError::new(status, error.to_string())
}
