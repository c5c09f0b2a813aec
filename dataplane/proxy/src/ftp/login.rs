//! Log-ins that name their server: `USER user@host[:port]`, for clients that connect to the gateway itself.
//!
//! Left out: Zorp's forms with a second user and password for the gateway (`user@gateway_user@host`), because there is no
//! authentication of gateway users to check them by; and looking names up, because cores ask no DNS: names are those that
//! the service lists.

use std::net::{IpAddr, SocketAddr};

use super::command::Command;
use super::event::Event;
use super::known::Known;
use super::limits;
use super::settings::NamedServer;
use super::talk::{Over, Talk};
use super::{feat, reply::Reply};
use crate::host::{Host, Level, Target};
use crate::outcome::Reason;

/// Who wants to log in, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As the server gets it.
    pub user: Vec<u8>,
    /// Where.
    pub server: SocketAddr,
    /// As the client called it.
    pub host: String,
}

/// Why a name is none; the words are what the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNamed(pub u16, pub &'static str);

impl NamedServer {
    /// Reads `user@host[:port]`; an IPv6 address with a port stands in brackets. The user's own name may have an @ in it.
    ///
    /// # Errors
    /// The form is wrong, or the service does not permit the host or the port.
    pub fn read(&self, argument: &[u8]) -> Result<Named, NotNamed> {
        const FORM: NotNamed = NotNamed(501, "Say USER user@host, or user@host:port");
        let at = memchr::memrchr(b'@', argument).ok_or(FORM)?;
        let (user, host) = (&argument[..at], &argument[at + 1..]);
        if user.is_empty() || host.is_empty() {
            return Err(FORM);
        }
        if host.len() > limits::HOST {
            return Err(NotNamed(501, "The name of the host is too long"));
        }
        let host = std::str::from_utf8(host).map_err(|_| FORM)?;
        let (name, port) = split_port(host).ok_or(FORM)?;
        if !self.ports.iter().any(|ports| ports.contains(&port)) {
            return Err(NotNamed(501, "The port is not permitted by the gateway"));
        }
        let literal = name.parse::<IpAddr>().ok().filter(|_| self.literal);
        let listed = self.hosts.get(&name.to_ascii_lowercase()).copied();
        let address = listed.or(literal).ok_or(NotNamed(501, "The host is not known to the gateway"))?;
        Ok(Named { user: user.to_vec(), server: SocketAddr::new(address, port), host: name.to_owned() })
    }
}

fn split_port(host: &str) -> Option<(&str, u16)> {
    const FTP: u16 = 21;
    if let Some(inner) = host.strip_prefix('[') {
        let (name, rest) = inner.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((name, port.parse().ok()?)),
            None if rest.is_empty() => Some((name, FTP)),
            None => None,
        };
    }
    match host.split_once(':') {
        None => Some((host, FTP)),
        // More than one colon: an IPv6 address, which takes its port in brackets only.
        Some((_, rest)) if rest.contains(':') => Some((host, FTP)),
        Some((name, port)) => Some((name, port.parse().ok()?)),
    }
}

impl<H: Host> Talk<H> {
    /// USER before there is a server: it says which one.
    pub(super) async fn log_in_by_name(&mut self, command: &Command) -> Result<(), Over> {
        let Some(login) = &self.settings.login else { return Ok(()) };
        let named = match login.read(command.argument()) {
            Ok(named) => named,
            Err(NotNamed(code, text)) => {
                self.host.count(Event::CommandsInvalid.into());
                self.log(Level::Info, format_args!("{text}: {command}"));
                return self.answer(code, text).await;
            }
        };
        self.connect(Target::Address(named.server)).await?;
        let greeting = self.greeting().await?;
        if !greeting.is_done() {
            let words = Some(Reply::new(421, "The server does not serve now"));
            return Err(Over { reason: Reason::Finished, words });
        }
        self.secured.host = Some(named.host);
        self.secure_server().await?;
        self.relay(&Command::of(Known::User, &named.user)).await
    }

    /// What can be answered before there is a server.
    pub(super) async fn without_server(&mut self, known: Option<Known>) -> Result<(), Over> {
        match known {
            Some(Known::Quit) => {
                let words = Some(Reply::new(221, "Goodbye"));
                Err(Over { reason: Reason::Finished, words })
            }
            Some(Known::Noop) => self.answer(200, "Nothing done").await,
            Some(Known::Feat) => {
                let features = feat::own(&self.settings.policy, self.offers_tls());
                self.say(&features).await
            }
            _ => self.answer(530, "Say USER user@host first").await,
        }
    }
}

#[cfg(test)]
mod tests;
