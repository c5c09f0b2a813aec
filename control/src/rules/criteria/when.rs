//! `-m time`: dates, times of day and days at which a rule matches. Values only. Times are UTC.

/// Seconds since midnight, 0 to 86,399.
pub type TimeOfDay = u32;

/// Days as bits: of the month, bit 1 to bit 31; of the week, bit 1 (Monday) to bit 7 (Sunday).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(pub u32);

impl Days {
    /// Every day of a month.
    pub const MONTH: Days = Days(0xffff_fffe);
    /// Every day of a week.
    pub const WEEK: Days = Days(0xfe);

    /// Whether that day is one of them.
    pub fn contains(self, day: u32) -> bool {
        day < 32 && self.0 & (1 << day) != 0
    }
}

/// `-m time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// `--datestart`, as seconds since 1970; 0: none.
    pub date_start: u32,
    /// `--datestop`, as seconds since 1970; `u32::MAX` and 2038-01-19T03:14:07 (iptables' own default) are late enough
    /// to be none.
    pub date_stop: u32,
    /// `--timestart`.
    pub day_start: TimeOfDay,
    /// `--timestop`; before `day_start`, the span crosses midnight.
    pub day_stop: TimeOfDay,
    /// `--monthdays`.
    pub month_days: Days,
    /// `--weekdays`.
    pub week_days: Days,
    /// `--contiguous`: a span across midnight belongs to the day it began on.
    pub contiguous: bool,
}
