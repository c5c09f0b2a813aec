//! In which order a SYN had its options, padding included: what tells operating systems apart. A mirrored SYN keeps it.
//!
//! Ten places of three bits. Linux needs five of them (`MSS SACK TS NOP WS`), Windows six, macOS eight. What we write ourselves
//! has Linux's order, which is nothing to remember: then, and where there were more options than places, this is empty.
//!
//! What must hold: whatever it says, what is written are the options there are, each once, in at most 40 bytes. Options that
//! we do not speak leave no trace, as they leave none on the other leg.

use smallvec::SmallVec;

use super::{Options, SPACE, Timestamp, kind};

const BITS: u32 = 3;
const PLACES: u32 = u32::BITS / BITS;

/// The order; empty: the usual one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Order(u32);

/// What may stand in a place, in its three bits; zero is none.
const KINDS: [u8; 5] = [kind::NOP, kind::MSS, kind::WINDOW_SCALE, kind::SACK_PERMITTED, kind::TIMESTAMP];

impl Order {
    /// Bits that no place has say that there were too many.
    const OVERFLOWN: u32 = 1 << (BITS * PLACES);

    pub(super) fn is_said(self) -> bool {
        self.0 != 0
    }

    /// One more, behind the others.
    pub(super) fn push(&mut self, option: u8) {
        let Some(code) = KINDS.iter().position(|kind| *kind == option) else { return };
        if self.0 >> (BITS * (PLACES - 1)) != 0 {
            self.0 |= Order::OVERFLOWN;
            return;
        }
        // From the left: the first is in the highest place that is used.
        #[expect(clippy::cast_possible_truncation, reason = "an index into five")]
        let code = code as u32 + 1;
        self.0 = self.0 << BITS | code;
    }

    /// Empty if it is how `options` are written anyway, or too long.
    pub(super) fn unless_usual(self, options: &Options) -> Order {
        if self.0 & Order::OVERFLOWN != 0 {
            return Order::default();
        }
        let mut usual = Order::default();
        let stamps = options.timestamp.is_some();
        let padding = if options.sack_permitted != stamps { 2 } else { 0 };
        for (there, option) in [
            (options.mss.is_some(), kind::MSS),
            (padding > 0, kind::NOP),
            (padding > 0, kind::NOP),
            (options.sack_permitted, kind::SACK_PERMITTED),
            (stamps, kind::TIMESTAMP),
            (options.window_scale.is_some(), kind::NOP),
            (options.window_scale.is_some(), kind::WINDOW_SCALE),
        ] {
            if there {
                usual.push(option);
            }
        }
        if usual == self { Order::default() } else { self }
    }

    fn kinds(self) -> impl Iterator<Item = u8> {
        (0..PLACES).rev().filter_map(move |place| {
            let code = self.0 >> (BITS * place) & ((1 << BITS) - 1);
            KINDS.get((code as usize).checked_sub(1)?).copied()
        })
    }
}

impl Options {
    /// Those in the order first, then what it does not name, then zeros up to a whole word.
    pub(super) fn write_in_order(&self, out: &mut SmallVec<[u8; SPACE]>) {
        let mut left = Options { order: Order::default(), ..*self };
        for option in self.order.kinds() {
            left.write_one(option, out);
        }
        for option in [kind::MSS, kind::SACK_PERMITTED, kind::TIMESTAMP, kind::WINDOW_SCALE] {
            left.write_one(option, out);
        }
        while !out.len().is_multiple_of(4) {
            out.push(kind::END);
        }
        left.write_sack(out);
    }

    /// Writes an option that is there, and takes it away: the same one twice in the order is written once.
    fn write_one(&mut self, option: u8, out: &mut SmallVec<[u8; SPACE]>) {
        match option {
            kind::NOP => out.push(kind::NOP),
            kind::MSS => {
                let Some(mss) = self.mss.take() else { return };
                out.extend_from_slice(&[kind::MSS, 4]);
                out.extend_from_slice(&mss.to_be_bytes());
            }
            kind::WINDOW_SCALE => {
                let Some(shift) = self.window_scale.take() else { return };
                out.extend_from_slice(&[kind::WINDOW_SCALE, 3, shift]);
            }
            kind::SACK_PERMITTED if std::mem::take(&mut self.sack_permitted) => {
                out.extend_from_slice(&[kind::SACK_PERMITTED, 2]);
            }
            kind::TIMESTAMP => {
                let Some(Timestamp { value, echo }) = self.timestamp.take() else { return };
                out.extend_from_slice(&[kind::TIMESTAMP, 10]);
                out.extend_from_slice(&value.to_be_bytes());
                out.extend_from_slice(&echo.to_be_bytes());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn again(bytes: &[u8]) -> Vec<u8> {
        let options = Options::parse(bytes);
        let mut out = SmallVec::new();
        options.write(&mut out);
        assert_eq!(options.len(), out.len());
        out.to_vec()
    }

    /// SYNs as they are on the wire.
    #[test]
    fn every_system_s_own_order_is_kept() {
        let stamps = [8, 10, 1, 2, 3, 4, 0, 0, 0, 0];
        let linux = [&[2, 4, 5, 180, 4, 2][..], &stamps, &[1, 3, 3, 7]].concat();
        let windows = [2, 4, 5, 180, 1, 3, 3, 8, 1, 1, 4, 2].to_vec();
        let macos = [&[2, 4, 5, 180, 1, 3, 3, 6, 1, 1][..], &stamps, &[4, 2, 0, 0]].concat();
        let freebsd = [&[2, 4, 5, 180, 1, 3, 3, 6, 4, 2][..], &stamps].concat();
        let openbsd = [&[2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 6, 1, 1][..], &stamps].concat();
        for (bytes, usual) in [(linux, true), (windows, false), (macos, false), (freebsd, false), (openbsd, false)] {
            assert_eq!(again(&bytes), bytes);
            assert_eq!(Options::parse(&bytes).order.is_said(), !usual, "{bytes:?}");
        }
    }

    #[test]
    fn what_has_too_many_places_is_written_as_usual() {
        let many = [&[1; 12][..], &[2, 4, 5, 180]].concat();
        assert_eq!(again(&many), [2, 4, 5, 180]);
        let ten = [&[1; 9][..], &[2, 4, 5, 180], &[0; 3]].concat();
        assert_eq!(again(&ten), ten);
    }

    #[test]
    fn an_option_that_is_not_passed_on_leaves_its_padding_only() {
        let windows = [2, 4, 5, 180, 1, 3, 3, 8, 1, 1, 4, 2];
        let options = Options { window_scale: None, ..Options::parse(&windows) };
        let mut out = SmallVec::new();
        options.write(&mut out);
        assert_eq!(out.as_slice(), [2, 4, 5, 180, 1, 1, 1, 4, 2, 0, 0, 0]);
    }

    proptest! {
        /// Whatever a SYN had: what is written has the same options, and is the same when it is read and written again.
        #[test]
        fn written_again_it_stays_the_same(bytes in proptest::collection::vec(0u8..12, 0..41)) {
            let options = Options::parse(&bytes);
            let once = again(&bytes);
            prop_assert!(once.len() <= SPACE && once.len().is_multiple_of(4));
            let read = Options::parse(&once);
            prop_assert_eq!(Options { order: Order::default(), ..read }, Options { order: Order::default(), ..options });
        }
    }
}
