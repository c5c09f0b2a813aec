//! What others may know of a connection: how much waits in it, whether it has finished, and its figures.

use std::time::Duration;

use crate::connection::Connection;
use crate::info::Info;
use crate::payload::Payload;
use crate::seq::Position;

impl<P: Payload> Connection<P> {
    /// Bytes written and not sent yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        usize::try_from(self.transmit.unsent()).unwrap_or(usize::MAX)
    }

    /// Bytes sent and not acknowledged yet; a FIN not counted.
    #[must_use]
    pub fn unacked(&self) -> usize {
        usize::try_from(self.transmit.held().saturating_sub(self.transmit.unsent())).unwrap_or(usize::MAX)
    }

    /// Pieces of payload held, received and to be sent: however small, each may pin a whole packet buffer of the owner.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.receive.pieces() + self.transmit.pieces()
    }

    /// Everything written, and the FIN after it, is acknowledged.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.transmit.is_finished()
    }

    /// A look inside.
    #[must_use]
    pub fn info(&self) -> Info {
        let (transmit, receive) = (&self.transmit, &self.receive);
        let counts = *transmit.counts;
        let (sent, acked) = transmit.progress(Position::of_syn(self.opening.seq()) + 1);
        let start = Position::of_syn(self.peer.seq()) + 1;
        let received = receive.next().saturating_since(start) - u64::from(receive.is_finished());
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Info {
            state: self.beat.state.name(),
            ca_state: transmit.phase().name(),
            congestion: transmit.congestion().name(),
            timestamps: self.agreed.timestamps,
            sack: self.agreed.sack,
            ecn: self.beat.notification.is_agreed(),
            snd_wscale: self.agreed.send_shift,
            rcv_wscale: self.agreed.receive_shift,
            rto_us: micros(transmit.rtt.timeout()),
            rtt_us: transmit.rtt.smoothed().map_or(0, micros),
            rttvar_us: micros(transmit.rtt.variation()),
            min_rtt_us: transmit.rtt.min().map_or(0, micros),
            snd_mss: u32::try_from(transmit.segment()).unwrap_or(u32::MAX),
            rcv_mss: receive.acknowledge.segment(),
            snd_cwnd: transmit.congestion().window(),
            snd_ssthresh: transmit.congestion().threshold(),
            snd_wnd: transmit.window().size(),
            rcv_wnd: receive.right().saturating_since(receive.next()),
            rcv_space: receive.buffer(),
            unacked: transmit.held().saturating_sub(transmit.unsent()),
            sacked: transmit.board().sacked(),
            lost: transmit.board().lost(),
            notsent: transmit.unsent(),
            unread: receive.unread(),
            reassembly: receive.early(),
            backoff: u32::from(transmit.rtt.backoff()),
            probes: u32::from(self.beat.probes),
            segs_out: u64::from(self.segments_out),
            segs_in: u64::from(self.beat.segments_in),
            segs_in_predicted: u64::from(self.beat.segments_in.wrapping_sub(self.unexpected)),
            bytes_sent: sent,
            bytes_retrans: counts.bytes_again,
            total_retrans: counts.segments_again,
            bytes_acked: acked,
            bytes_received: if self.met { received } else { 0 },
            dsack_dups: counts.duplicates,
            reord_seen: counts.reordered,
            timeouts: counts.timeouts,
            undone: counts.undone,
        }
    }
}
