use std::time::Duration;

use super::*;

fn opening() -> Opening {
    let timestamp = Some(TimestampClock::with_offset(5));
    Opening { isn: SeqNumber(1), mss: 1460, window_scale: Some(7), sack_permitted: true, timestamp }
}

fn theirs() -> Options {
    Options {
        mss: Some(1400),
        window_scale: Some(9),
        sack_permitted: true,
        timestamp: Some(Timestamp { value: 77, echo: 0 }),
        ..Options::default()
    }
}

#[test]
fn a_syn_offers_all_of_the_opening() {
    let options = opening().options(Instant::from_micros(3_000), None);
    assert_eq!(options.timestamp, Some(Timestamp { value: 8, echo: 0 }));
    assert_eq!((options.mss, options.window_scale, options.sack_permitted), (Some(1460), Some(7), true));
}

#[test]
fn a_syn_ack_answers_only_what_was_asked() {
    let bare = Options { mss: Some(1400), ..Options::default() };
    assert_eq!(opening().options(Instant::ZERO, Some(&bare)), Options { mss: Some(1460), ..Options::default() });
    let full = opening().options(Instant::ZERO, Some(&theirs()));
    assert_eq!(full.timestamp, Some(Timestamp { value: 5, echo: 77 }));
    assert!(full.sack_permitted && full.window_scale == Some(7));
}

#[test]
fn an_option_counts_only_if_both_had_it() {
    let both = Agreed::new(&opening(), &theirs(), 1_460);
    assert_eq!(both, Agreed { send_mss: 1400, send_shift: 9, receive_shift: 7, timestamps: true, sack: true });
    let none = Agreed { send_mss: 536, send_shift: 0, receive_shift: 0, timestamps: false, sack: false };
    assert_eq!(Agreed::new(&opening(), &Options::default(), 1_460), none);
    let silent = Opening { window_scale: None, sack_permitted: false, timestamp: None, ..opening() };
    assert_eq!(Agreed::new(&silent, &theirs(), 1_460), Agreed { send_mss: 1400, ..none });
}

#[test]
fn a_clock_goes_on_from_another_ends_clock() {
    let now = Instant::from_micros(12_345_678);
    let clock = TimestampClock::continuing(now, 0xffff_fffe);
    assert_eq!(clock.value(now), 0xffff_fffe);
    assert_eq!(clock.value(now + Duration::from_millis(5)), 3);
}

#[test]
fn the_smallest_scale_that_can_say_a_buffer() {
    assert_eq!(Opening::window_scale_for(65_535), 0);
    assert_eq!(Opening::window_scale_for(65_536), 1);
    assert_eq!(Opening::window_scale_for(1 << 20), 5);
    assert_eq!(Opening::window_scale_for(u32::MAX), 14);
}
