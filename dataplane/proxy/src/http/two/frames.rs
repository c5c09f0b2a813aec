//! HTTP/2 frames as they pass (RFC 9113, 4.1), without a copy of them: type, flags, length, and the first four bytes.
//!
//! The library does not tell of every frame that it has seen; floods are counted here, from the same bytes. Nothing is
//! judged and nothing kept but the frame that is under way, so any bytes may come, in any pieces.

/// RFC 9113, 3.4: the client connection preface.
pub(in crate::http) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// RFC 9113, 6.1.
pub(super) const DATA: u8 = 0x0;
/// RFC 9113, 6.2.
pub(super) const HEADERS: u8 = 0x1;
/// RFC 9113, 6.4.
pub(super) const RST_STREAM: u8 = 0x3;
/// RFC 9113, 6.5.
pub(super) const SETTINGS: u8 = 0x4;
/// RFC 9113, 6.6.
pub(super) const PUSH_PROMISE: u8 = 0x5;
/// RFC 9113, 6.7.
pub(super) const PING: u8 = 0x6;
/// RFC 9113, 6.8.
pub(super) const GOAWAY: u8 = 0x7;
/// RFC 9113, 6.9.
pub(super) const WINDOW_UPDATE: u8 = 0x8;
/// RFC 9113, 6.10.
pub(super) const CONTINUATION: u8 = 0x9;

const HEADER: usize = 9;
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;

/// A frame that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub kind: u8,
    pub flags: u8,
    /// Of its payload.
    pub len: usize,
    /// The payload's first bytes; zeros where it is shorter.
    pub first: [u8; 4],
}

impl Frame {
    /// SETTINGS or PING that answers one of ours.
    pub(super) fn is_ack(&self) -> bool {
        self.flags & ACK != 0
    }

    pub(super) fn ends_headers(&self) -> bool {
        self.flags & END_HEADERS != 0
    }

    /// DATA that brings nothing, not even the stream's end.
    pub(super) fn is_empty_data(&self) -> bool {
        let data = match self.flags & PADDED {
            0 => self.len,
            _ => self.len.saturating_sub(1 + usize::from(self.first[0])),
        };
        self.kind == DATA && data == 0 && self.flags & END_STREAM == 0
    }

    /// The first four bytes as a number: the code of RST_STREAM, the increment of WINDOW_UPDATE.
    pub(super) fn number(&self) -> u32 {
        u32::from_be_bytes(self.first)
    }
}

/// What has come of the stream of frames.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes before the first frame.
    skip: usize,
    head: [u8; HEADER],
    /// Bytes of the head that have come.
    have: usize,
    /// Payload that is still to come, and what has come of its first bytes.
    left: usize,
    first: [u8; 4],
    firsts: usize,
}

impl Frames {
    /// What a client sends.
    pub(super) fn of_client() -> Frames {
        Frames { skip: PREFACE.len(), ..Frames::of_server() }
    }

    /// What a server sends.
    pub(super) fn of_server() -> Frames {
        Frames { skip: 0, head: [0; HEADER], have: 0, left: 0, first: [0; 4], firsts: 0 }
    }

    /// The type of the frame whose head is there and whose payload is not, yet.
    pub(super) fn under_way(&self) -> Option<u8> {
        (self.have == HEADER).then_some(self.head[3])
    }

    /// Takes bytes that pass; `each` sees every frame that ends with them.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame)) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        bytes = &bytes[skipped..];
        while !bytes.is_empty() {
            if self.have < HEADER {
                let more = (HEADER - self.have).min(bytes.len());
                self.head[self.have..self.have + more].copy_from_slice(&bytes[..more]);
                self.have += more;
                bytes = &bytes[more..];
                if self.have < HEADER {
                    return;
                }
                self.left = self.len();
            }
            let more = self.left.min(bytes.len());
            let firsts = (4 - self.firsts).min(more);
            self.first[self.firsts..self.firsts + firsts].copy_from_slice(&bytes[..firsts]);
            self.firsts += firsts;
            self.left -= more;
            bytes = &bytes[more..];
            if self.left == 0 {
                each(Frame { kind: self.head[3], flags: self.head[4], len: self.len(), first: self.first });
                (self.have, self.first, self.firsts) = (0, [0; 4], 0);
            }
        }
    }

    fn len(&self) -> usize {
        usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2])
    }
}

#[cfg(test)]
mod tests;
