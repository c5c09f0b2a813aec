//! F-RTO (RFC 5682, 2.1): was the timeout needless? Found out by sending new data instead of repeating old.
//!
//! For peers that have neither timestamps nor D-SACK, whose echoes and reports `undo.rs` reads. After a timeout only the
//! first segment goes again. If what follows it arrives without having been sent again, the path was slow, not lossy.
//! The basic algorithm serves with SACK too; where SACK blocks already show holes it is not tried. Whether there is
//! new data to send is asked when the first acknowledgment comes, because it may open the window: if not, "the TCP sender ...
//! SHOULD ... continue with the conventional RTO recovery".

use crate::seq::Position;

/// How far the test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    /// End of what was sent again at the timeout.
    resent: Position,
    /// Its acknowledgment came, and new data went out.
    sent_new: bool,
}

/// What an acknowledgment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It says nothing.
    Wait,
    /// Step 2b: "transmit up to two new (previously unsent) segments and enter step 3".
    SendTwo,
    /// Step 3b: "the timeout was spurious".
    Spurious,
    /// Steps 2a and 3a: "revert to the conventional RTO recovery and continue by retransmitting unacknowledged data".
    Genuine,
}

/// What is seen of an acknowledgment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) una: Position,
    /// It moved SND.UNA; or it repeats the last one.
    pub(crate) advanced: bool,
    pub(crate) repeated: bool,
    /// It acknowledges something that was sent once only.
    pub(crate) once: bool,
    /// New data may go out.
    pub(crate) has_new: bool,
}

impl Forward {
    /// Step 1: the segment that ends at `resent` goes again.
    pub(crate) fn begin(resent: Position) -> Forward {
        Forward { resent, sent_new: false }
    }

    /// Steps 2 and 3.
    pub(crate) fn on_ack(&mut self, seen: &Seen) -> Verdict {
        if seen.repeated {
            return Verdict::Genuine;
        }
        if !seen.advanced {
            return Verdict::Wait;
        }
        if self.sent_new {
            return if seen.once { Verdict::Spurious } else { Verdict::Genuine };
        }
        // 2a: "the acknowledgment ... does not acknowledge all of the data that was retransmitted in step 1".
        if seen.una < self.resent || !seen.has_new {
            return Verdict::Genuine;
        }
        self.sent_new = true;
        Verdict::SendTwo
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::SeqNumber;

    fn at(bytes: u64) -> Position {
        Position::of_syn(SeqNumber(0xffff_fff0)) + bytes
    }

    fn seen(una: u64) -> Seen {
        Seen { una: at(una), advanced: true, repeated: false, once: true, has_new: true }
    }

    #[test]
    fn two_that_advance_mean_that_nothing_was_lost() {
        let mut forward = Forward::begin(at(100));
        assert_eq!(forward.on_ack(&Seen { advanced: false, ..seen(0) }), Verdict::Wait);
        assert_eq!(forward.on_ack(&seen(100)), Verdict::SendTwo);
        assert_eq!(forward.on_ack(&seen(200)), Verdict::Spurious);
    }

    #[test]
    fn whatever_else_means_a_loss() {
        let repeated = Seen { advanced: false, repeated: true, ..seen(0) };
        assert_eq!(Forward::begin(at(100)).on_ack(&repeated), Verdict::Genuine);
        assert_eq!(Forward::begin(at(100)).on_ack(&seen(99)), Verdict::Genuine);
        assert_eq!(Forward::begin(at(100)).on_ack(&Seen { has_new: false, ..seen(100) }), Verdict::Genuine);
        for after in [repeated, Seen { once: false, ..seen(200) }] {
            let mut forward = Forward::begin(at(100));
            assert_eq!(forward.on_ack(&seen(100)), Verdict::SendTwo);
            assert_eq!(forward.on_ack(&after), Verdict::Genuine);
        }
    }
}
