//! What went wrong, in the operator's words: what was being done and to what, why it failed, what to try, and what
//! EAL and the driver said meanwhile.

use std::ffi::CStr;
use std::fmt;

/// A refusal by EAL, a driver or the machine.
#[derive(Clone, Debug)]
pub struct Error {
    doing: String,
    cause: String,
    advice: Option<String>,
    log: Vec<String>,
}

impl Error {
    pub(crate) fn new(doing: impl Into<String>, cause: impl Into<String>) -> Self {
        Error { doing: doing.into(), cause: cause.into(), advice: None, log: Vec::new() }
    }

    /// From DPDK's error number, of either sign.
    pub(crate) fn number(doing: impl Into<String>, code: i32) -> Self {
        Error::new(doing, describe(code))
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(crate) fn with_log(mut self, log: Vec<String>) -> Self {
        self.log = log;
        self
    }

    /// What was being done, and to what.
    pub fn doing(&self) -> &str {
        &self.doing
    }

    /// Why it failed.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What to try.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// What EAL and the driver logged meanwhile.
    pub fn log(&self) -> &[String] {
        &self.log
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.cause)?;
        if let Some(advice) = &self.advice {
            write!(f, "\n  try: {advice}")?;
        }
        for line in &self.log {
            write!(f, "\n  dpdk: {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The text of an error number, of either sign.
pub(crate) fn describe(code: i32) -> String {
    let code = code.saturating_abs();
    // SAFETY: rte_strerror takes any number and returns a string that lives in a thread-local buffer or for ever; it
    // is copied before this thread can call it again.
    let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(code)) };
    format!("{} (error {code})", text.to_string_lossy())
}
