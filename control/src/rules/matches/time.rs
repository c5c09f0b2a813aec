//! `-m time`: dates, times of day, days. All in UTC.
//! What a value means for a flow is the policy's matter; here is how it is written, checked and printed.

use super::super::criteria::{Days, Match, TimeSpan};
use super::super::modules::{Draft, Facts, Given, Made, Module, within};
use super::super::options::Spec;

pub(super) static TIME: Module = Module {
    name: "time",
    spelled: "-m time",
    options: &[
        Spec::value("datestart"),
        Spec::value("datestop"),
        Spec::value("timestart"),
        Spec::value("timestop"),
        Spec::value("monthdays").not(),
        Spec::value("weekdays").not(),
        Spec::flag("contiguous"),
        Spec::flag("utc"),
        Spec::flag("kerneltz"),
        Spec::flag("localtz"),
    ],
    new: || Box::new(ANY_TIME),
};

/// 2038-01-19T03:14:07, the last second of 32 signed bits: iptables' "no end".
pub(super) const NO_END: u32 = i32::MAX as u32;
/// Midnight less a second.
pub(super) const DAY_END: u32 = 86_399;
/// Abbreviations of iptables, Monday first.
pub(super) const WEEK_DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const ANY_TIME: TimeSpan = TimeSpan {
    date_start: 0,
    date_stop: NO_END,
    day_start: 0,
    day_stop: DAY_END,
    month_days: Days::MONTH,
    week_days: Days::WEEK,
    contiguous: false,
};

impl Draft for TimeSpan {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let word = given.value;
        match given.option {
            "datestart" => self.date_start = date(word)?,
            "datestop" => self.date_stop = date(word)?,
            "timestart" => self.day_start = time_of_day(word)?,
            "timestop" => self.day_stop = time_of_day(word)?,
            "monthdays" => self.month_days = days(word, given.not, Days::MONTH, month_day)?,
            "weekdays" => self.week_days = days(word, given.not, Days::WEEK, week_day)?,
            "contiguous" => self.contiguous = true,
            "utc" => {}
            _ => return Err("times are UTC here: the machine's time zone must not decide".to_owned()),
        }
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        if self.contiguous && self.day_stop >= self.day_start {
            return Err("`--contiguous` needs a `--timestop` before `--timestart`".to_owned());
        }
        Ok(Made::Match(Match::Time(Box::new(*self))))
    }
}

/// A list of days, or all but these.
fn days(word: &str, not: bool, all: Days, day: fn(&str) -> Result<u32, String>) -> Result<Days, String> {
    let mut days = 0;
    for name in word.split(',').filter(|name| !name.is_empty()) {
        days |= 1 << day(name)?;
    }
    let days = if not { all.0 & !days } else { days };
    if days == 0 { Err(format!("`{word}` leaves no day")) } else { Ok(Days(days)) }
}

fn month_day(word: &str) -> Result<u32, String> {
    within(word, 1, 31).map(|day| day as u32).map_err(|_| format!("`{word}` is no day of a month: 1 to 31"))
}

/// `Mon` or 1 to `Sun` or 7.
fn week_day(word: &str) -> Result<u32, String> {
    if let Ok(day) = within(word, 1, 7) {
        return Ok(day as u32);
    }
    let named = WEEK_DAYS.iter().position(|name| *name == word);
    let named = named.ok_or_else(|| format!("`{word}` is no day of a week: Mon to Sun, or 1 to 7"))?;
    Ok(named as u32 + 1)
}

/// `hh:mm` or `hh:mm:ss`.
fn time_of_day(word: &str) -> Result<u32, String> {
    let wrong = || format!("`{word}` is no time of day: hh:mm or hh:mm:ss was expected");
    let parts: Vec<&str> = word.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return Err(wrong());
    }
    let mut seconds = 0;
    for (at, part) in parts.iter().enumerate() {
        let most = if at == 0 { 23 } else { 59 };
        let digits = !part.is_empty() && part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        let value: u32 = part.parse().ok().filter(|value| digits && *value <= most).ok_or_else(wrong)?;
        seconds = seconds * 60 + value;
    }
    Ok(if parts.len() == 2 { seconds * 60 } else { seconds })
}

/// `YYYY[-MM[-DD[Thh[:mm[:ss]]]]]`, as seconds since 1970.
fn date(word: &str) -> Result<u32, String> {
    let wrong = || format!("`{word}` is no date: YYYY-MM-DDThh:mm:ss or the beginning of one was expected");
    let (day, time) = word.split_once('T').map_or((word, None), |(day, time)| (day, Some(time)));
    let number = |text: &str, most: u32| {
        let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|value: &u32| digits && *value <= most).ok_or_else(wrong)
    };
    let day: Vec<&str> = day.split('-').collect();
    let time: Vec<&str> = time.map(|time| time.split(':').collect()).unwrap_or_default();
    if day.len() > 3 || time.len() > 3 || (!time.is_empty() && day.len() < 3) {
        return Err(wrong());
    }
    let part = |parts: &[&str], at: usize, least: u32, most: u32| match parts.get(at) {
        Some(text) => number(text, most).and_then(|value| if value < least { Err(wrong()) } else { Ok(value) }),
        None => Ok(least),
    };
    let (year, month) = (part(&day, 0, 1970, 2038)?, part(&day, 1, 1, 12)?);
    let date = part(&day, 2, 1, 31)?;
    let (hour, minute, second) = (part(&time, 0, 0, 23)?, part(&time, 1, 0, 59)?, part(&time, 2, 0, 59)?);
    let seconds = u64::from(days_since_1970(year, month, date)) * 86_400;
    let seconds = seconds + u64::from(hour * 3600 + minute * 60 + second);
    u32::try_from(seconds).ok().filter(|seconds| *seconds <= NO_END).ok_or_else(wrong)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; a 31st of a short month is the next month's first, as
/// mktime has it.
fn days_since_1970(year: u32, month: u32, day: u32) -> u32 {
    // Years that begin in March end with the leap day, and months have 30.6 days.
    let (year, month) = if month <= 2 { (year - 1, month + 12) } else { (year, month) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 1;
    days - 719_468
}

/// A number of seconds since 1970 as `YYYY-MM-DDThh:mm:ss`.
pub(super) fn written(seconds: u32) -> String {
    let (mut day, time) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u32::from(leap(year)) {
        day -= 365 + u32::from(leap(year));
        year += 1;
    }
    let february = 28 + u32::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}T{}", day + 1, written_time(time))
}

/// A time of day as `hh:mm:ss`.
pub(super) fn written_time(seconds: u32) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
