//! What is said and heard on the two control connections: a command to the server, its replies, answers to the client.
//!
//! What must hold: whoever waits for one peer hears of the other one's end; every line that is none, and every end, becomes the
//! end of the session with its reason and, where somebody still listens, its words.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::command::Command;
use super::control::ControlError;
use super::event::Event;
use super::limits::PRELIMINARY_REPLIES;
use super::line::{LineError, encoded};
use super::policy::Action;
use super::reply::Reply;
use super::talk::{Admitted, Over, Talk};
use crate::host::{ConnectError, Host, Level};
use crate::outcome::{Reason, Side};
use crate::stream::Stream;

impl<H: Host> Talk<H> {
    /// Sends the server a command, and waits for its last reply, which the client does not see.
    pub(super) async fn ask(&mut self, command: &Command) -> Result<Reply, Over> {
        self.send(command).await?;
        let reply = self.last_reply(command.name()).await?;
        if reply.code() == 421 {
            return Err(Over { reason: Reason::Finished, words: Some(reply) });
        }
        self.judged(command.name(), reply)
    }

    pub(super) async fn last_reply(&mut self, name: &str) -> Result<Reply, Over> {
        for _ in 0..=PRELIMINARY_REPLIES {
            let reply = self.reply().await?;
            if !reply.is_preliminary() {
                return Ok(reply);
            }
            // It is not passed on, but it may be one that ends the session.
            self.judged(name, reply)?;
        }
        Err(self.server_violation("too many preliminary replies"))
    }

    /// The next reply; a client that is gone ends the wait.
    pub(super) async fn reply(&mut self) -> Result<Reply, Over> {
        poll_fn(|cx| {
            if let Poll::Ready(reply) = self.poll_reply(cx) {
                return Poll::Ready(reply);
            }
            self.client.wire().poll_failed(cx).map(|error| Err(Reason::failed(Side::Client, error).into()))
        })
        .await
    }

    /// What the policy makes of a reply.
    pub(super) fn judged(&self, name: &str, reply: Reply) -> Result<Reply, Over> {
        match self.settings.policy.reply(name, reply.code()) {
            Action::Accept => Ok(if self.settings.server_text { reply } else { stripped(reply) }),
            Action::Reject => {
                self.host.count(Event::RepliesDenied.into());
                self.log(Level::Warning, format_args!("reply to {name} is not permitted: {reply:?}"));
                Ok(self.rejected())
            }
            Action::Abort => {
                self.host.count(Event::RepliesDenied.into());
                self.log(Level::Warning, format_args!("reply to {name} ends the session: {reply:?}"));
                let words = Some(Reply::new(421, "The server's reply is not permitted by the gateway"));
                Err(Over { reason: Reason::PolicyAborted, words })
            }
        }
    }

    /// What the client gets instead of a reply that does not pass.
    pub(super) fn rejected(&self) -> Reply {
        Reply::new(500, "The server's reply is not permitted by the gateway")
    }

    /// The server's next reply.
    pub(super) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Over>> {
        let Some(server) = &mut self.server else { return Poll::Pending };
        loop {
            let line = match server.poll_line(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Some(line))) => line,
                Poll::Ready(Ok(None)) => {
                    let words = Some(Reply::new(421, "The server has closed the connection"));
                    return Poll::Ready(Err(Over { reason: Reason::Finished, words }));
                }
                Poll::Ready(Err(ControlError::Stream(error))) => {
                    let words = Some(Reply::new(421, "The server is gone"));
                    return Poll::Ready(Err(Over { reason: Reason::failed(Side::Server, error), words }));
                }
                Poll::Ready(Err(ControlError::Line(_))) => {
                    self.host.count(Event::LinesInvalid.into());
                    return Poll::Ready(Err(self.server_violation("a line is too long, or does not end in CR LF")));
                }
            };
            self.watch.touch(self.host.now());
            match self.replies.take(line) {
                Ok(None) => {}
                Ok(Some(reply)) => {
                    self.host.log(self.id, Level::Debug, format_args!("reply: {reply:?}"));
                    return Poll::Ready(Ok(reply));
                }
                Err(_) => return Poll::Ready(Err(self.server_violation("a reply has no code, or too many lines"))),
            }
        }
    }

    /// The client's next line; `None`: it has finished.
    pub(super) fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, Over>> {
        let error = match self.client.poll_line(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(line)) => {
                self.watch.touch(self.host.now());
                return Poll::Ready(Ok(line));
            }
            Poll::Ready(Err(error)) => error,
        };
        let (reason, text) = match error {
            ControlError::Stream(error) => return Poll::Ready(Err(Reason::failed(Side::Client, error).into())),
            ControlError::Line(LineError::TooLong) => (Reason::ClientViolation, "The line is too long"),
            ControlError::Line(LineError::BadEnd) => (Reason::ClientViolation, "A line ends in CR LF"),
        };
        self.host.count(Event::LinesInvalid.into());
        self.log(Level::Warning, format_args!("violation of the client: {text}"));
        Poll::Ready(Err(Over { reason, words: Some(Reply::new(500, text)) }))
    }

    pub(super) fn server_violation(&self, what: &str) -> Over {
        self.log(Level::Warning, format_args!("violation of the server: {what}"));
        let words = Some(Reply::new(421, "The server broke the protocol"));
        Over { reason: Reason::ServerViolation, words }
    }

    /// Says something to the client.
    pub(super) async fn say(&mut self, reply: &Reply) -> Result<(), Over> {
        let sent = self.client.send(reply.encoded()).await;
        sent.map_err(|error| Reason::failed(Side::Client, error).into())
    }

    /// An answer of our own.
    pub(super) async fn answer(&mut self, code: u16, text: &str) -> Result<(), Over> {
        self.say(&Reply::new(code, text)).await
    }

    pub(super) async fn refuse(&mut self, code: u16, text: &str) -> Result<Admitted, Over> {
        self.answer(code, text).await?;
        Ok(Admitted::Answered)
    }

    /// Sends the server a command.
    pub(super) async fn send(&mut self, command: &Command) -> Result<(), Over> {
        let Some(server) = &mut self.server else { return Err(Reason::from(ConnectError::Cut).into()) };
        let sent = server.send(encoded(&command.line())).await;
        sent.map_err(|error| Over {
            reason: Reason::failed(Side::Server, error),
            words: Some(Reply::new(421, "The server is gone")),
        })
    }

    /// Last words, and both connections' orderly end; the time for it is bounded by the caller.
    pub(super) async fn goodbye(&mut self, words: Option<Reply>) {
        if let Some(server) = &mut self.server {
            server.wire().shutdown();
        }
        if let Some(words) = words
            && self.say(&words).await.is_err()
        {
            return;
        }
        if self.client.finish().await.is_ok()
            && let Some(server) = &mut self.server
        {
            let _ = server.finish().await;
        }
    }
}

/// A reply without the server's words, where the client needs only the code.
fn stripped(reply: Reply) -> Reply {
    match reply.code() {
        211..=215 | 227 | 229 | 257 => reply,
        code => Reply::new(code, if reply.is_failure() { "Failed" } else { "Done" }),
    }
}
