//! Who asks, as far as it can be known, and what they may: the kernel's word for a program's user and group takes the
//! place that CAP_NET_ADMIN had in the original interface.
//!
//! Root, the user the gateway runs as, and the members of one group of the operator's choice (`control.group`) may make
//! requests; what ends or reloads the gateway stays with the first two. The group's members are read from `/etc/group`
//! and `/etc/passwd` when the policy is taken up: a directory service is not asked, for that could take for ever.

use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A program at the control socket, as the kernel vouches for it (SO_PEERCRED).
    Peer {
        /// Its effective user.
        uid: u32,
        /// Its effective group.
        gid: u32,
    },
    /// A program at the handoff socket.
    Program {
        /// The how-manieth since the start.
        id: u32,
        /// Its effective user.
        uid: u32,
        /// Its effective group.
        gid: u32,
    },
    /// Somebody on the kernel's network, where the listener is read-only.
    Network,
    /// A proxy on one of the gateway's cores.
    Proxy {
        /// Which.
        core: usize,
    },
    /// The gateway's own signal handlers.
    Operator,
    /// The simulator.
    Simulator,
}

impl Caller {
    /// Whether the caller may change what the gateway does; `own_uid` is the user the gateway runs as.
    pub fn privileged(self, own_uid: u32) -> bool {
        match self {
            Caller::Peer { uid, .. } => uid == 0 || uid == own_uid,
            Caller::Network | Caller::Program { .. } => false,
            Caller::Proxy { .. } | Caller::Operator | Caller::Simulator => true,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Peer { uid, gid } => write!(f, "uid {uid} gid {gid}"),
            Caller::Program { id, uid, gid } => write!(f, "program {id} uid {uid} gid {gid}"),
            Caller::Network => f.write_str("network"),
            Caller::Proxy { core } => write!(f, "proxy on core {core}"),
            Caller::Operator => f.write_str("operator"),
            Caller::Simulator => f.write_str("simulator"),
        }
    }
}

impl Serialize for Caller {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who may make requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permission {
    /// The user the gateway runs as.
    pub own_uid: u32,
    /// The operator's group.
    pub group: Option<Group>,
}

impl Permission {
    /// Root, our own user, and the group's members; proxies and the gateway itself.
    pub fn allows(&self, caller: Caller) -> bool {
        match caller {
            Caller::Peer { uid, gid } | Caller::Program { uid, gid, .. } => {
                uid == 0 || uid == self.own_uid || self.group.as_ref().is_some_and(|group| group.has(uid, gid))
            }
            other => other.privileged(self.own_uid),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "root, uid {} and group {}", self.own_uid, group.name),
            None => write!(f, "root and uid {}", self.own_uid),
        }
    }
}

/// A group of the system, with those who are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// As the operator calls it.
    pub name: String,
    /// Its number.
    pub gid: u32,
    /// Users whose supplementary group it is; sorted.
    members: Vec<u32>,
}

impl Group {
    /// Looks a name or number up in the system's files.
    ///
    /// # Errors
    /// A sentence, if there is no such group.
    pub fn find(name: &str) -> Result<Group, String> {
        let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
        Group::find_in(name, &read("/etc/group"), &read("/etc/passwd"))
    }

    fn find_in(name: &str, groups: &str, users: &str) -> Result<Group, String> {
        // group(5): name:password:number:member,member
        let line = groups.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| {
            fields.len() >= 3 && (fields[0] == name || (name.parse::<u32>().is_ok() && fields[2] == name))
        });
        let Some(fields) = line else {
            let gid = name.parse().map_err(|_| format!("there is no group {name:?} in /etc/group"))?;
            return Ok(Group { name: name.to_owned(), gid, members: Vec::new() });
        };
        let gid = fields[2].parse().map_err(|_| format!("group {name:?} has no number in /etc/group"))?;
        let named: Vec<&str> = fields.get(3).map_or(Vec::new(), |list| list.split(',').collect());
        // passwd(5): name:password:number:...
        let mut members: Vec<u32> = users
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                let (user, uid) = (fields.next()?, fields.nth(1)?);
                named.contains(&user).then(|| uid.parse().ok()).flatten()
            })
            .collect();
        members.sort_unstable();
        Ok(Group { name: name.to_owned(), gid, members })
    }

    /// Is it the caller's own group, or one of those the user is also in?
    pub fn has(&self, uid: u32, gid: u32) -> bool {
        gid == self.gid || self.members.binary_search(&uid).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &str = "root:x:0:\nproxies:x:812:squid,haproxy,nobody-such\nother:x:5:\n";
    const USERS: &str = "root:x:0:0::/root:/bin/sh\nhaproxy:x:301:301::/:/bin/false\nsquid:x:13:13::/:/bin/false\n";

    #[test]
    fn a_group_has_those_the_files_name() {
        let group = Group::find_in("proxies", GROUPS, USERS).expect("it is there");
        assert_eq!((group.gid, group.members.as_slice()), (812, &[13, 301][..]));
        assert_eq!(Group::find_in("812", GROUPS, USERS).map(|group| group.members), Ok(vec![13, 301]));
        assert!(group.has(13, 13) && group.has(4711, 812) && !group.has(4711, 5));
        assert_eq!(Group::find_in("77", GROUPS, USERS).map(|group| group.gid), Ok(77), "a number needs no name");
        assert!(Group::find_in("nobody", GROUPS, USERS).is_err());
    }

    #[test]
    fn the_group_may_make_requests_and_nothing_else() {
        let group = Group::find_in("proxies", GROUPS, USERS).ok();
        let permission = Permission { own_uid: 990, group };
        let member = Caller::Peer { uid: 301, gid: 301 };
        assert!(permission.allows(member) && !member.privileged(990));
        assert!(permission.allows(Caller::Program { id: 1, uid: 4711, gid: 812 }));
        assert!(!permission.allows(Caller::Peer { uid: 4711, gid: 5 }));
        assert!(!permission.allows(Caller::Network));
        assert!(permission.allows(Caller::Peer { uid: 990, gid: 1 }) && permission.allows(Caller::Proxy { core: 0 }));
        assert!(!Permission { own_uid: 990, group: None }.allows(member));
    }
}
