//! One transfer: the command, its replies, the data, and what the client says meanwhile.
//!
//! ```text
//! RETR ──→ server ──150──→ (held) ──first byte or end of the data──→ 150 to the client
//!                 ──226──→ (held) ──the client has all of it──→ 226 to the client
//!                 ──4yz, 5yz──→ both data connections are reset, the reply goes on
//! ```
//!
//! What must hold: a client is told of success only when its end of the data went well: where it did not, 226 becomes 425
//! or 426. The 150 of a download is held until there is something to read, so that what ends it before is one reply and
//! no broken file; that of an upload goes on at once.
//!
//! ABOR: RFC 959 has Telnet's Synch with it, urgent data that makes a server look. Our streams have none: the server gets the
//! bare ABOR in line, and its data connection is reset, which every server notices at once.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::channel::{Broken, Channel, Judge, Progress, Security};
use super::command::Command;
use super::event::Event;
use super::known::{Direction, Known};
use super::limits::PRELIMINARY_REPLIES;
use super::reply::Reply;
use super::state::State;
use super::talk::{Admitted, Over, Talk, shown};
use crate::host::{Host, Level};
use crate::outcome::{Reason, Side};
use crate::record::Record;

/// Commands that may be without their replies during a transfer: its own, an ABOR, a STAT.
const OUTSTANDING_MAX: usize = 3;

/// How often within the idle time it is looked whether a slow reader takes what is held for it.
const LOOKS: u32 = crate::limits::IDLE_LOOKS;

/// What is known of a transfer under way.
struct Transfer {
    direction: Direction,
    /// Commands without their last reply, the transfer's own first.
    outstanding: VecDeque<Known>,
    /// A 150 that the client has yet to hear.
    held: Option<Reply>,
    preliminary: usize,
    /// Some data, or its end, has come.
    begun: bool,
    /// The client's data connection was asked for.
    opened: bool,
    /// Both connections have to be there by then.
    setup: Option<Duration>,
    /// A reply in between was not permitted.
    rejected: bool,
    /// The receiver has everything.
    done: bool,
    broken: Option<Broken>,
    /// The server's last word on it.
    last: Option<Reply>,
    client_has_ended: bool,
    began: Duration,
}

enum Happened {
    Reply(Reply),
    Line(Option<Vec<u8>>),
    Data(Progress),
    Look,
    SetupTooLate,
}

impl Transfer {
    /// Nothing more is to come but the last word.
    fn is_over(&self) -> bool {
        self.last.as_ref().is_some_and(|last| self.done || self.broken.is_some() || last.is_failure())
    }

    /// Whose reply is it? The first that waits, unless it fits only another one.
    fn owner(&self, code: u16) -> usize {
        let fits = |known: &Known| known.replies().contains(&code);
        match self.outstanding.front() {
            Some(first) if !fits(first) => self.outstanding.iter().position(fits).unwrap_or(0),
            _ => 0,
        }
    }
}

impl<H: Host> Talk<H> {
    /// RETR, STOR and their like.
    pub(super) async fn transfer(&mut self, known: Known, command: &Command) -> Result<(), Over> {
        let Some(direction) = known.direction() else { return Ok(()) };
        if self.lacks_private_data() {
            // RFC 4217 section 10: "the server … SHOULD reply 522 … if it is not willing" for this PROT setting.
            return self.answer(522, "Say PROT P first").await;
        }
        let Some(prepared) = self.data.take() else {
            return self.answer(425, "Say PORT, PASV, EPRT or EPSV first").await;
        };
        let modes = (prepared.client.mode(Side::Client), prepared.server.mode(Side::Server));
        let mut channel = Channel::new(prepared.client, prepared.server, direction);
        channel.judge(Side::Server, self.server_judge());
        if !self.is_private(Side::Client) {
            channel.open(Side::Client, Security::Plain);
        }
        if !self.is_private(Side::Server) {
            channel.open(Side::Server, Security::Plain);
        }
        self.send(command).await?;
        channel.connect(Side::Server, &self.host, self.id);
        self.state = State::Data;
        let mut transfer = Transfer {
            direction,
            outstanding: VecDeque::from([known]),
            held: None,
            preliminary: 0,
            begun: false,
            opened: false,
            setup: None,
            rejected: false,
            done: false,
            broken: None,
            last: None,
            client_has_ended: false,
            began: self.host.now(),
        };
        let result = self.run_transfer(&mut transfer, &mut channel).await;
        self.state = State::Conversation;
        match direction {
            Direction::Download => self.downloaded += channel.bytes(),
            Direction::Upload => self.uploaded += channel.bytes(),
        }
        let code = self.conclude(&transfer);
        self.put_on_record(&transfer, command, modes, channel.bytes(), code.as_ref());
        result?;
        if let Some(reply) = code {
            if let Some(held) = transfer.held.take().filter(|_| !reply.is_failure()) {
                self.say(&held).await?;
            }
            self.say(&reply).await?;
        }
        for known in transfer.outstanding {
            self.relay_replies(known.name(), None).await?;
        }
        Ok(())
    }

    async fn run_transfer(&mut self, transfer: &mut Transfer, channel: &mut Channel<H>) -> Result<(), Over> {
        let look = (self.watch.idle() / LOOKS).max(crate::limits::IDLE_LOOK_MIN);
        while !transfer.is_over() {
            match self.happened(transfer, channel, look).await? {
                Happened::Reply(reply) => self.transfer_reply(transfer, channel, reply).await?,
                Happened::Line(None) => transfer.client_has_ended = true,
                Happened::Line(Some(line)) => self.transfer_line(transfer, channel, &line).await?,
                Happened::Data(Progress::Begun) => {
                    transfer.begun = true;
                    self.release(transfer, channel).await?;
                }
                Happened::Data(Progress::Done) => transfer.done = true,
                Happened::Data(Progress::Broken(broken)) => self.broke(transfer, broken),
                Happened::Look => {
                    if channel.is_taken() {
                        self.watch.touch(self.host.now());
                    }
                }
                Happened::SetupTooLate => {
                    transfer.setup = None;
                    if !channel.is_set_up() {
                        let broken = Broken::TooLate(channel.missing());
                        channel.break_off();
                        self.broke(transfer, broken);
                    }
                }
            }
        }
        Ok(())
    }

    /// The next thing that happens: the server's words first, then the data, then the client's words.
    async fn happened(
        &mut self,
        transfer: &Transfer,
        channel: &mut Channel<H>,
        look: Duration,
    ) -> Result<Happened, Over> {
        let host = self.host.clone();
        let mut looking = pin!(host.sleep(look));
        let setup = transfer.setup.map(|at| at.saturating_sub(host.now()));
        let mut setup = pin!(async {
            match setup {
                Some(after) => host.sleep(after).await,
                None => std::future::pending().await,
            }
        });
        let listens =
            self.waiting.is_none() && transfer.outstanding.len() < OUTSTANDING_MAX && !transfer.client_has_ended;
        poll_fn(|cx| {
            if let Poll::Ready(reply) = self.poll_reply(cx) {
                return Poll::Ready(reply.map(Happened::Reply));
            }
            let progress = channel.poll(cx);
            if channel.has_moved() {
                self.watch.touch(host.now());
            }
            if let Poll::Ready(progress) = progress {
                return Poll::Ready(Ok(Happened::Data(progress)));
            }
            if listens && let Poll::Ready(line) = self.poll_client(cx) {
                return Poll::Ready(line.map(Happened::Line));
            }
            if let Poll::Ready(error) = crate::stream::Stream::poll_failed(self.client.wire(), cx) {
                return Poll::Ready(Err(Reason::failed(Side::Client, error).into()));
            }
            if Pin::new(&mut setup).as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(Happened::SetupTooLate));
            }
            looking.as_mut().poll(cx).map(|()| Ok(Happened::Look))
        })
        .await
    }

    async fn transfer_reply(
        &mut self,
        transfer: &mut Transfer,
        channel: &mut Channel<H>,
        reply: Reply,
    ) -> Result<(), Over> {
        let owner = transfer.owner(reply.code());
        let Some(known) = transfer.outstanding.get(owner).copied() else { return Ok(()) };
        let code = reply.code();
        let passed = self.judged(known.name(), reply)?;
        if code == 421 {
            return Err(Over { reason: Reason::Finished, words: Some(passed) });
        }
        if known.direction().is_none() {
            // An ABOR's or a STAT's own; of those nothing is preliminary.
            let _ = transfer.outstanding.remove(owner);
            return self.say(&passed).await;
        }
        if passed.code() != code {
            transfer.rejected = true;
            channel.break_off();
            transfer.broken.get_or_insert(Broken::GivenUp);
        }
        if code >= 200 {
            transfer.outstanding.remove(owner);
            if passed.is_failure() {
                channel.break_off();
            } else {
                self.open_client(transfer, channel);
                // What is done without a 150 before has none for the client either, but its data connection begins.
                self.secure_client(channel);
            }
            transfer.last = Some(passed);
            return Ok(());
        }
        transfer.preliminary += 1;
        if transfer.preliminary > PRELIMINARY_REPLIES {
            return Err(self.server_violation("too many preliminary replies"));
        }
        if transfer.broken.is_none() {
            self.open_client(transfer, channel);
            if let Some(security) = self.private(Side::Server) {
                channel.open(Side::Server, security);
            }
            transfer.held.get_or_insert(passed);
            if transfer.begun || transfer.direction == Direction::Upload {
                self.release(transfer, channel).await?;
            }
        }
        Ok(())
    }

    /// The transfer begins for the client: its connection is made, if it waits for one.
    fn open_client(&mut self, transfer: &mut Transfer, channel: &mut Channel<H>) {
        if !transfer.opened {
            transfer.opened = true;
            transfer.setup = Some(self.setup_deadline());
            channel.connect(Side::Client, &self.host, self.id);
        }
    }

    /// The held 150 goes on. TLS with the client begins after it, as clients do.
    async fn release(&mut self, transfer: &mut Transfer, channel: &mut Channel<H>) -> Result<(), Over> {
        if let Some(held) = transfer.held.take() {
            self.secure_client(channel);
            self.say(&held).await?;
        }
        Ok(())
    }

    fn secure_client(&mut self, channel: &mut Channel<H>) {
        if let Some(security) = self.private(Side::Client) {
            channel.open(Side::Client, security);
        }
    }

    async fn transfer_line(
        &mut self,
        transfer: &mut Transfer,
        channel: &mut Channel<H>,
        line: &[u8],
    ) -> Result<(), Over> {
        match self.admit(line).await? {
            Admitted::Answered => {}
            Admitted::Later(command) => self.waiting = Some(command),
            Admitted::Now(command) => {
                if let Some(known) = command.known() {
                    self.send(&command).await?;
                    transfer.outstanding.push_back(known);
                    if known == Known::Abor {
                        channel.break_off();
                        self.broke(transfer, Broken::GivenUp);
                    }
                }
            }
        }
        Ok(())
    }

    /// The data will not get through: what the client is told waits for the server's last word.
    fn broke(&mut self, transfer: &mut Transfer, broken: Broken) {
        let level = match &broken {
            Broken::GivenUp => Level::Info,
            Broken::WrongPeer(..) => {
                self.host.count(Event::BounceServer.into());
                Level::Warning
            }
            Broken::WrongWay(_) => {
                self.host.count(Event::DataWrongWay.into());
                Level::Warning
            }
            Broken::Setup(..) | Broken::TooLate(_) => {
                self.host.count(Event::DataSetupFailed.into());
                Level::Info
            }
            Broken::Tls(..) => {
                self.host.count(Event::TlsFailed.into());
                Level::Warning
            }
            Broken::Failed(..) => Level::Info,
        };
        self.log(level, format_args!("data connection: {broken:?}"));
        transfer.broken.get_or_insert(broken);
    }

    /// The last reply as the client gets it; none: the session ended before.
    fn conclude(&self, transfer: &Transfer) -> Option<Reply> {
        let last = transfer.last.as_ref()?;
        if transfer.rejected {
            return Some(self.rejected());
        }
        Some(match &transfer.broken {
            _ if last.is_failure() => last.clone(),
            None => last.clone(),
            Some(Broken::GivenUp | Broken::Failed(..) | Broken::WrongWay(_)) => {
                Reply::new(426, "Data connection closed; transfer aborted")
            }
            Some(Broken::Setup(..) | Broken::TooLate(_) | Broken::WrongPeer(..) | Broken::Tls(..)) => {
                Reply::new(425, "Cannot open the data connection")
            }
        })
    }

    fn put_on_record(
        &self,
        transfer: &Transfer,
        command: &Command,
        modes: (&'static str, &'static str),
        bytes: u64,
        code: Option<&Reply>,
    ) {
        let took = self.host.now().saturating_sub(transfer.began);
        let is_done = code.is_some_and(Reply::is_done);
        self.host.count(if is_done { Event::Transfers } else { Event::TransfersFailed }.into());
        let record = Record::new("ftp.transfer")
            .with("command", command.name().to_owned())
            .with("path", shown(command.argument()))
            .with("user", shown(self.user.as_bytes()))
            .with("bytes", bytes)
            .with("duration_ms", u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
            .with("code", u64::from(code.map_or(0, Reply::code)))
            .with("client_mode", modes.0)
            .with("server_mode", modes.1)
            .with("client_tls", self.is_private(Side::Client))
            .with("server_tls", self.is_private(Side::Server));
        self.host.record(self.id, record);
    }

    /// Whom a listener on the server's side takes: port 20, or the one below the control port, where the service is strict.
    fn server_judge(&self) -> Judge {
        let control = self.ends.peer.port();
        let is_strict = self.settings.data.strict_server_port;
        Box::new(move |peer| !is_strict || peer.port() == 20 || peer.port() == control.saturating_sub(1))
    }
}
