//! Holds each request against its conditions, in the order in which the kernel patch did, and changes the table.
//!
//! Beyond the original: a local address must be one the gateway really has (there are no sockets to be bound to it);
//! besides ASSIGN also the requests that change somebody's entry want a privileged caller, because there is no file
//! descriptor here that proves whose it is; and an entry may be told to expire. Each change leaves a line in the log:
//! who asked, and for ONCE entries later who used it.
//!
//! Left out: EINVAL for a socket that is connected already, and EFAULT for a bad pointer: there are neither.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use tracing::{debug, info};

use super::audit::{Change, Event, Trail};
use super::{Caller, Errno, Group, Permission, Refusal, Reply, Request, TCP, UDP, Version, protocol};
use crate::tproxy::limits::EPHEMERAL_PORTS;
use crate::tproxy::{Audit, Entry, Flags, Full, Record, Writer, unplaced};

/// The writer together with what requests are held against.
pub(crate) struct Requests {
    writer: Writer,
    permission: Permission,
    trail: Trail,
    own_addresses: HashSet<IpAddr>,
    /// Where ALLOC goes on looking.
    rover: u16,
}

/// What identifies a program's end: protocol and local address.
type Local = (u8, SocketAddr);

impl Requests {
    pub(crate) fn new(writer: Writer, own_uid: u32) -> Requests {
        Requests {
            writer,
            permission: Permission { own_uid, group: None },
            trail: Trail::default(),
            own_addresses: HashSet::new(),
            rover: *EPHEMERAL_PORTS.start(),
        }
    }

    /// The addresses that programs may be bound to; those of a new policy.
    pub(crate) fn set_own_addresses(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.own_addresses = addresses.into_iter().filter(|address| !address.is_unspecified()).collect();
    }

    /// The operator's group, whose members may make requests.
    pub(crate) fn set_group(&mut self, group: Option<Group>) {
        self.permission.group = group;
    }

    pub(crate) fn own_uid(&self) -> u32 {
        self.permission.own_uid
    }

    /// Who asked, who used it: the last changes.
    pub(crate) fn trail(&self) -> &Trail {
        &self.trail
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.writer.records()
    }

    pub(crate) fn table(&self) -> &crate::tproxy::Table {
        self.writer.table()
    }

    pub(crate) fn perform(&mut self, now_us: u64, caller: Caller, request: Request) -> Result<Reply, Refusal> {
        self.tick(now_us);
        match request {
            Request::Version { version } => declare_version(version),
            Request::Assign { protocol, local, foreign, reuse, expires_ms } => {
                let wish = Wish { foreign: plain_address(foreign), reuse, expires_ms };
                self.assign(now_us, caller, tuple(protocol, local)?, &wish)
            }
            Request::Unassign { protocol, local } => self.unassign(now_us, caller, tuple(protocol, local)?),
            Request::Query { protocol, local } => {
                let foreign = self.entry(tuple(protocol, local)?)?.foreign;
                Ok(Reply::Foreign { foreign })
            }
            Request::Flags { protocol, local, set: None } => {
                let flags = self.writer.flags(tuple(protocol, local)?).ok_or_else(no_entry)?;
                Ok(Reply::Flags { flags: flags & Flags::VISIBLE })
            }
            Request::Flags { protocol, local, set: Some(flags) } => {
                self.set_flags(caller, tuple(protocol, local)?, flags)
            }
            Request::Alloc { protocol, local } => self.alloc(caller, tuple(protocol, local)?),
            Request::Connect { protocol, local, remote } => {
                self.connect(caller, tuple(protocol, local)?, plain_address(remote))
            }
        }
    }

    /// Takes back what cores have used up, and takes out what has expired.
    pub(crate) fn tick(&mut self, now_us: u64) {
        for claim in self.writer.reclaim() {
            let event = Event::new(now_us, Change::Used, &claim.entry, claim.audit.owner);
            self.trail.write(Event { used_by: claim.used_by, ..event });
            let used_by = claim.used_by.map(tracing::field::display);
            let age_us = now_us.saturating_sub(claim.audit.since_us);
            let (protocol, local) = (protocol::name(claim.entry.protocol), claim.entry.local);
            info!(%protocol, %local, foreign = %claim.entry.foreign, used_by, owner = %claim.audit.owner, age_us, "tproxy entry used up");
        }
        for record in self.writer.expire(now_us) {
            self.trail.write(Event::new(now_us, Change::Expired, &record.entry, record.audit.owner));
            log_change(&record.entry, record.audit.owner, "tproxy entry expired unused");
        }
    }

    /// When [`Requests::tick`] has something to do.
    pub(crate) fn deadline_us(&self) -> Option<u64> {
        self.writer.deadline_us()
    }

    fn assign(&mut self, now_us: u64, caller: Caller, local: Local, wish: &Wish) -> Result<Reply, Refusal> {
        self.permit(caller, "assign foreign addresses")?;
        let (ip, port) = (local.1.ip(), local.1.port());
        if ip.is_unspecified() || port == 0 {
            return refuse(Errno::EINVAL, "the local address needs an address and a port that are not zero");
        }
        if !self.own_addresses.contains(&ip) {
            return refuse(Errno::EINVAL, format!("{ip} is no address of this gateway, nor of a listener"));
        }
        let mark_only = wish.foreign.ip().is_unspecified();
        if !mark_only && wish.foreign.is_ipv4() != ip.is_ipv4() {
            return refuse(Errno::EINVAL, "the local and the foreign address are of different families");
        }
        if let Some(existing) = self.writer.record(local) {
            if mark_only && wish.foreign.port() == 0 && existing.entry.mark_only() {
                self.writer.share(local);
                return Ok(Reply::Foreign { foreign: local.1 });
            }
            return refuse(Errno::EEXIST, format!("{} has an entry already", local.1));
        }
        let entry = if mark_only {
            unplaced(local.0, local.1, local.1, Flags::MARK)
        } else {
            unplaced(local.0, local.1, wish.foreign, Flags::empty())
        };
        let program = if matches!(caller, Caller::Program { .. }) { Flags::PROGRAM } else { Flags::empty() };
        let entry = self.share_foreign(Entry { flags: entry.flags | program, ..entry }, wish.reuse)?;
        let expires_us = wish.expires_ms.map(|ms| now_us.saturating_add(ms.saturating_mul(1000)));
        let audit = Audit { owner: caller, since_us: now_us, expires_us };
        self.writer.insert(entry, audit).map_err(|Full| self.full())?;
        self.trail.write(Event { by: Some(caller), ..Event::new(now_us, Change::Assigned, &entry, caller) });
        log_change(&entry, caller, "tproxy entry assigned");
        Ok(Reply::Foreign { foreign: entry.foreign })
    }

    /// Decides what a new entry may be whose foreign address is perhaps taken.
    fn share_foreign(&self, entry: Entry, reuse: bool) -> Result<Entry, Refusal> {
        let taken = self.writer.foreign_use((entry.protocol, entry.foreign));
        if entry.foreign.port() == 0 || taken.entries == 0 {
            return Ok(entry);
        }
        if !reuse {
            return refuse(Errno::EADDRINUSE, format!("{} is taken; reuse was not asked for", entry.foreign));
        }
        if entry.mark_only() && self.writer.listener((entry.protocol, entry.foreign), None).is_some() {
            return refuse(Errno::EINVAL, format!("somebody listens on {}: it cannot be marked", entry.foreign));
        }
        let second = taken.plain > 0 && !entry.mark_only();
        Ok(Entry { flags: entry.flags | if second { Flags::CONNECT_ONLY } else { Flags::empty() }, ..entry })
    }

    fn unassign(&mut self, now_us: u64, caller: Caller, local: Local) -> Result<Reply, Refusal> {
        let entry = self.entry(local)?;
        self.permit(caller, "unassign")?;
        let owner = self.writer.record(local).map_or(caller, |record| record.audit.owner);
        if !self.writer.release(local) {
            return Err(no_entry());
        }
        self.trail.write(Event { by: Some(caller), ..Event::new(now_us, Change::Unassigned, &entry, owner) });
        log_change(&entry, caller, "tproxy entry unassigned");
        Ok(Reply::Done {})
    }

    fn set_flags(&mut self, caller: Caller, local: Local, flags: Flags) -> Result<Reply, Refusal> {
        let entry = self.entry(local)?;
        self.permit(caller, "set flags")?;
        if entry.mark_only() {
            return Ok(Reply::Flags { flags: self.writer.flags(local).ok_or_else(no_entry)? & Flags::VISIBLE });
        }
        // Unknown bits, and those that are not the program's to set, are passed over in silence, as they were.
        let flags = flags & Flags::USER;
        if flags.contains(Flags::LISTEN) && entry.flags.contains(Flags::CONNECT_ONLY) {
            return refuse(
                Errno::EINVAL,
                format!("another entry had {} first: this one may only connect", entry.foreign),
            );
        }
        let wanted = Entry { flags: (entry.flags - Flags::USER) | flags, ..entry };
        if wanted.listens() {
            self.reserve(&entry, entry.foreign, entry.remote)?;
        }
        match self.writer.set_flags(local, flags) {
            Ok(true) => {}
            Ok(false) => return Err(no_entry()),
            Err(Full) => return Err(self.full()),
        }
        debug!(protocol = %protocol::name(local.0), local = %local.1, foreign = %entry.foreign, %flags, by = %caller, "tproxy flags set");
        // The kernel finds this out after it has set the flags, and leaves them; programs have come to see that.
        if flags.contains(Flags::ESTABLISHED) && entry.remote.is_none() {
            return refuse(Errno::EINVAL, "ESTABLISHED needs a remote address: CONNECT first");
        }
        Ok(Reply::Flags { flags: self.writer.flags(local).ok_or_else(no_entry)? & Flags::VISIBLE })
    }

    fn alloc(&mut self, caller: Caller, local: Local) -> Result<Reply, Refusal> {
        let entry = self.entry(local)?;
        self.permit(caller, "allocate ports")?;
        if entry.mark_only() {
            return Ok(Reply::Foreign { foreign: entry.foreign });
        }
        if entry.foreign.port() != 0 {
            return refuse(Errno::EINVAL, format!("the port is chosen already: {}", entry.foreign));
        }
        let Some(port) = self.free_port(local.0, entry.foreign.ip()) else {
            return refuse(
                Errno::EFAULT,
                format!("every port of {} from {EPHEMERAL_PORTS:?} is taken", entry.foreign.ip()),
            );
        };
        let foreign = SocketAddr::new(entry.foreign.ip(), port);
        self.move_to(local, foreign, entry.remote)?;
        debug!(protocol = %protocol::name(local.0), local = %local.1, %foreign, by = %caller, "tproxy port allocated");
        Ok(Reply::Foreign { foreign })
    }

    fn free_port(&mut self, protocol: u8, foreign: IpAddr) -> Option<u16> {
        for _ in EPHEMERAL_PORTS {
            let port = self.rover;
            self.rover = if port == *EPHEMERAL_PORTS.end() { *EPHEMERAL_PORTS.start() } else { port + 1 };
            if self.writer.foreign_use((protocol, SocketAddr::new(foreign, port))).entries == 0 {
                return Some(port);
            }
        }
        None
    }

    fn connect(&mut self, caller: Caller, local: Local, remote: SocketAddr) -> Result<Reply, Refusal> {
        let entry = self.entry(local)?;
        self.permit(caller, "name a remote address")?;
        if remote.ip().is_unspecified() || remote.port() == 0 || entry.mark_only() {
            return Ok(Reply::Done {});
        }
        if remote.is_ipv4() != entry.foreign.is_ipv4() {
            return refuse(Errno::EINVAL, "the remote and the foreign address are of different families");
        }
        if entry.listens() {
            self.reserve(&entry, entry.foreign, Some(remote))?;
        }
        self.move_to(local, entry.foreign, Some(remote))?;
        debug!(protocol = %protocol::name(local.0), local = %local.1, foreign = %entry.foreign, %remote, by = %caller, "tproxy remote set");
        Ok(Reply::Done {})
    }

    fn move_to(&mut self, local: Local, foreign: SocketAddr, remote: Option<SocketAddr>) -> Result<(), Refusal> {
        match self.writer.rekey(local, foreign, remote) {
            Ok(true) => Ok(()),
            Ok(false) => Err(no_entry()),
            Err(Full) => Err(self.full()),
        }
    }

    /// What the kernel calls reserving the NAT tuple: nobody else may listen there for the same peer.
    fn reserve(&self, entry: &Entry, foreign: SocketAddr, remote: Option<SocketAddr>) -> Result<(), Refusal> {
        match self.writer.listener((entry.protocol, foreign), remote) {
            Some(other) if other.local != entry.local => {
                refuse(Errno::EINVAL, format!("{} listens on {foreign} for the same peers", other.local))
            }
            _ => Ok(()),
        }
    }

    /// The entry of a local address, with its flags as they are now.
    fn entry(&self, local: Local) -> Result<Entry, Refusal> {
        let flags = self.writer.flags(local).ok_or_else(no_entry)?;
        let entry = self.writer.record(local).ok_or_else(no_entry)?.entry;
        Ok(Entry { flags, ..entry })
    }

    fn permit(&self, caller: Caller, what: &str) -> Result<(), Refusal> {
        if self.permission.allows(caller) {
            return Ok(());
        }
        refuse(Errno::EPERM, format!("{caller} may not {what}: only {} may", self.permission))
    }

    fn full(&self) -> Refusal {
        Refusal::new(Errno::ENOBUFS, format!("all {} tproxy entries are in use", self.writer.table().capacity()))
    }
}

struct Wish {
    foreign: SocketAddr,
    reuse: bool,
    expires_ms: Option<u64>,
}

fn declare_version(version: Option<Version>) -> Result<Reply, Refusal> {
    let ours = Version::CURRENT;
    match version {
        Some(theirs) if theirs.0 != ours.0 || theirs.1 > ours.1 => {
            refuse(Errno::EINVAL, format!("version {theirs} is not spoken here, this is {ours}"))
        }
        _ => Ok(Reply::Version { version: ours }),
    }
}

fn tuple(protocol: u8, local: SocketAddr) -> Result<Local, Refusal> {
    if protocol != TCP && protocol != UDP {
        return refuse(Errno::EINVAL, format!("{} is neither tcp nor udp", protocol::name(protocol)));
    }
    Ok((protocol, plain_address(local)))
}

/// Without flow label and scope, which would keep equal addresses from being equal.
fn plain_address(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

fn refuse<T>(errno: Errno, reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(errno, reason))
}

fn no_entry() -> Refusal {
    Refusal::new(Errno::ENOENT, "there is no entry for this local address")
}

fn log_change(entry: &Entry, by: Caller, what: &str) {
    let (local, foreign) = (entry.local, entry.foreign);
    info!(protocol = %protocol::name(entry.protocol), %local, %foreign, mark = entry.mark_only(), %by, "{what}");
}
