//! What a connection tells about itself: the fields of Linux's `tcp_info` that apply, under their names.

use serde::Serialize;

/// A look inside. Times are in microseconds, sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Info {
    /// The state's name.
    pub state: &'static str,
    /// `open`, `recovery` or `loss`.
    pub ca_state: &'static str,
    /// Name of the congestion control.
    pub congestion: &'static str,
    /// Timestamps are in use.
    pub timestamps: bool,
    /// SACK is in use.
    pub sack: bool,
    /// Explicit congestion notification is in use.
    pub ecn: bool,
    /// Shift of the windows we receive.
    pub snd_wscale: u8,
    /// Shift of the windows we send.
    pub rcv_wscale: u8,
    /// Retransmission timeout.
    pub rto_us: u64,
    /// Smoothed round-trip time.
    pub rtt_us: u64,
    /// Its variation.
    pub rttvar_us: u64,
    /// Smallest round-trip time seen.
    pub min_rtt_us: u64,
    /// Payload of a full segment we send.
    pub snd_mss: u32,
    /// Payload of a full segment we receive, as seen.
    pub rcv_mss: u32,
    /// Congestion window.
    pub snd_cwnd: u64,
    /// Slow start threshold; the largest number while none was found.
    pub snd_ssthresh: u64,
    /// The peer's window.
    pub snd_wnd: u64,
    /// Our window, as last offered.
    pub rcv_wnd: u64,
    /// What the receive buffer has grown to.
    pub rcv_space: u32,
    /// Sent and not acknowledged.
    pub unacked: u64,
    /// Of these, selectively acknowledged.
    pub sacked: u64,
    /// Of these, held for lost and not sent again yet.
    pub lost: u64,
    /// Written and not sent.
    pub notsent: u64,
    /// Received and not read.
    pub unread: u64,
    /// Received out of order.
    pub reassembly: u64,
    /// Consecutive timeouts.
    pub backoff: u32,
    /// Unanswered probes of a closed window or a silent peer.
    pub probes: u32,
    /// Segments sent.
    pub segs_out: u64,
    /// Segments received.
    pub segs_in: u64,
    /// Segments received that took the short way of those that were expected.
    pub segs_in_predicted: u64,
    /// Payload bytes sent for the first time.
    pub bytes_sent: u64,
    /// Payload bytes sent again.
    pub bytes_retrans: u64,
    /// Segments sent again.
    pub total_retrans: u64,
    /// Payload bytes acknowledged by the peer.
    pub bytes_acked: u64,
    /// Payload bytes received in order.
    pub bytes_received: u64,
    /// Retransmissions the peer had no need of (D-SACK).
    pub dsack_dups: u64,
    /// Times that reordering was seen.
    pub reord_seen: u64,
    /// Timeouts that fired.
    pub timeouts: u64,
    /// Recoveries that were taken back as spurious.
    pub undone: u64,
}
