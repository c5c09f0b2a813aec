//! Explicit congestion notification (RFC 3168): routers mark instead of dropping.
//!
//! ```text
//!   sender ── ECT(0) ──→ router ── CE ──→ receiver
//!   sender ←───────── ECE on every ACK ── receiver      until
//!   sender ── CWR on the first new data ─→ receiver
//! ```
//!
//! This file is the negotiation and the receiver's half; `transmit/ack.rs` reacts. It is used only if both SYNs asked for it
//! and [`Config::ecn`](crate::Config::ecn) allows it. In mirror mode the owner sets that from what the other end's SYN said
//! ([`PeerSyn::does_ecn`]), so that the ends negotiate with each other and not with us.
//!
//! Not followed: 6.1.2 would have a sender with a window of one segment wait for its timer; ours stays at two segments, as
//! every loss leaves it.

use bitflags::bitflags;

use crate::open::PeerSyn;
use crate::segment::{Ecn, Flags};

bitflags! {
    /// Where it is.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Notification: u8 {
        /// Both ends do ECN.
        const AGREED = 1;
        /// A mark came, and the peer has not said that it reduced its window.
        const ECHO = 2;
        /// The IP header of the last output must say that it may be marked.
        const CAPABLE = 4;
    }
}

impl Notification {
    /// Flags of our SYN. 6.1.1.1: "A host that receives no reply to an ECN-setup SYN within the normal SYN retransmission
    /// timeout interval MAY resend the SYN ... with CWR and ECE cleared": some middle drops what it does not know.
    pub(crate) fn on_syn(allowed: bool, tries: u8) -> Flags {
        if allowed && tries <= 1 { Flags::ECE | Flags::CWR } else { Flags::empty() }
    }

    /// The SYN-ACK to our SYN, sent `tries` times. 6.1.1: "If the sender ... has sent at least one non-ECN-setup SYN", no.
    pub(crate) fn on_syn_ack(&mut self, allowed: bool, tries: u8, peer: &PeerSyn) {
        self.set(Notification::AGREED, allowed && tries <= 1 && peer.does_ecn());
    }

    /// Flags of our SYN-ACK to that SYN.
    pub(crate) fn accept(&mut self, allowed: bool, peer: &PeerSyn) -> Flags {
        self.set(Notification::AGREED, allowed && peer.does_ecn());
        if self.is_agreed() { Flags::ECE } else { Flags::empty() }
    }

    /// An acceptable segment arrived. True if a mark is to be reported at once.
    pub(crate) fn on_segment(&mut self, flags: Flags, ecn: Ecn, text: u64) -> bool {
        if !self.is_agreed() {
            return false;
        }
        // 6.1.3: "continues to set the ECN-Echo flag ... until it receives a CWR packet"; the same one may be marked itself.
        if flags.contains(Flags::CWR) {
            self.remove(Notification::ECHO);
        }
        // 6.1.4: pure acknowledgments are not ECT, so a mark on one is not the network's.
        let marked = ecn == Ecn::CongestionExperienced && text > 0;
        let new = marked && !self.contains(Notification::ECHO);
        if marked {
            self.insert(Notification::ECHO);
        }
        new
    }

    /// 6.1.3: "the TCP receiver ... sends ACK packets with the ECN-Echo flag set".
    pub(crate) fn on_ack(&self) -> Flags {
        if self.contains(Notification::ECHO) { Flags::ECE } else { Flags::empty() }
    }

    /// 6.1.5: "ECN-capable TCP implementations MUST NOT set either ECT codepoint in the IP header for retransmitted data
    /// packets"; nor for acknowledgments without data (6.1.4) and probes of a window (6.1.6).
    pub(crate) fn mark(&mut self, new_data: bool) {
        self.set(Notification::CAPABLE, new_data && self.is_agreed());
    }

    /// What the IP header of the last output must say.
    pub(crate) fn codepoint(self) -> Ecn {
        if self.contains(Notification::CAPABLE) { Ecn::Capable0 } else { Ecn::NotCapable }
    }

    /// Both ends do ECN.
    pub(crate) fn is_agreed(self) -> bool {
        self.contains(Notification::AGREED)
    }
}

impl PeerSyn {
    /// It is an ECN-setup SYN ("both ECE and CWR flags set") or SYN-ACK ("the ECE flag set but not the CWR flag").
    #[must_use]
    pub fn does_ecn(&self) -> bool {
        let cwr = !self.flags.contains(Flags::ACK);
        self.flags.contains(Flags::ECE) && self.flags.contains(Flags::CWR) == cwr
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::seq::SeqNumber;

    fn syn(flags: Flags) -> PeerSyn {
        PeerSyn { seq: SeqNumber(0), flags: flags | Flags::SYN, window: 0, options: Options::default() }
    }

    #[test]
    fn both_must_ask_in_the_right_words() {
        let both = Flags::ECE | Flags::CWR;
        let cases = [
            (both, true),
            (Flags::ECE, false),
            (Flags::CWR, false),
            (Flags::ACK | Flags::ECE, true),
            (Flags::ACK | both, false),
            (Flags::ACK, false),
        ];
        for (flags, does) in cases {
            assert_eq!(syn(flags).does_ecn(), does, "{flags:?}");
        }
        let mut ecn = Notification::default();
        assert_eq!((ecn.accept(false, &syn(both)), ecn.is_agreed()), (Flags::empty(), false));
        assert_eq!((ecn.accept(true, &syn(both)), ecn.is_agreed()), (Flags::ECE, true));
        ecn.on_syn_ack(true, 2, &syn(Flags::ACK | Flags::ECE));
        assert!(!ecn.is_agreed(), "the second SYN went without");
    }

    #[test]
    fn echoes_from_the_mark_until_the_window_is_reduced() {
        let mut ecn = Notification::AGREED;
        assert!(!ecn.on_segment(Flags::ACK, Ecn::CongestionExperienced, 0), "no data");
        assert!(ecn.on_segment(Flags::ACK, Ecn::CongestionExperienced, 10));
        assert!(!ecn.on_segment(Flags::ACK, Ecn::CongestionExperienced, 10), "known");
        assert!(!ecn.on_segment(Flags::ACK, Ecn::Capable0, 10));
        assert_eq!(ecn.on_ack(), Flags::ECE);
        assert!(!ecn.on_segment(Flags::ACK | Flags::CWR, Ecn::Capable0, 10));
        assert_eq!(ecn.on_ack(), Flags::empty());
        ecn.remove(Notification::AGREED);
        assert!(!ecn.on_segment(Flags::ACK, Ecn::CongestionExperienced, 10));
    }
}
