//! EAL's log: quiet, but never lost. Every message goes to `tracing`; what is a warning or worse and came on a thread
//! that is [`listen`]ing goes into the error that thread is about to make.
//!
//! EAL logs on the thread that calls it, so a thread-local list needs no lock. Left out: EAL's own syslog and console
//! streams, which our stream replaces.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::slice;

use crate::error::Error;
use crate::limits;

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Turns EAL's log to us; once, before `rte_eal_init`.
pub(crate) fn install() -> Result<(), Error> {
    // SAFETY: the callback has the signature that fopencookie wants and lives for ever.
    let code = unsafe { dpdk_sys::limpid_log_open(Some(write)) };
    if code < 0 { Err(Error::number("cannot redirect the log of EAL", code)) } else { Ok(()) }
}

/// Runs `call` and returns with its result the warnings and errors that EAL and drivers logged on this thread.
pub(crate) fn listen<T>(call: impl FnOnce() -> T) -> (T, Vec<String>) {
    HEARD.set(Some(Vec::new()));
    let result = call();
    (result, HEARD.take().unwrap_or_default())
}

/// The write function of the stream: one call a message, because EAL flushes after each.
unsafe extern "C" fn write(_cookie: *mut c_void, bytes: *const c_char, len: usize) -> isize {
    // SAFETY: the C library hands over `len` readable bytes that stay put during the call.
    let bytes = unsafe { slice::from_raw_parts(bytes.cast::<u8>(), len) };
    // SAFETY: reads a thread-local of EAL that is set while a message is being written.
    let level = u32::try_from(unsafe { dpdk_sys::rte_log_cur_msg_loglevel() }).unwrap_or(0);
    for line in String::from_utf8_lossy(bytes).lines().map(str::trim).filter(|line| !line.is_empty()) {
        note(level, line);
    }
    len.cast_signed()
}

fn note(level: u32, line: &str) {
    let kept = level <= dpdk_sys::LIMPID_LOG_WARNING && keep(line);
    // A kept line reaches the operator with the error; when the call succeeds in spite of it, it was no error.
    if level <= dpdk_sys::LIMPID_LOG_ERR && !kept {
        tracing::warn!(target: "dpdk::eal", "{line}");
    } else {
        tracing::debug!(target: "dpdk::eal", "{line}");
    }
}

/// Keeps the line if this thread listens.
fn keep(line: &str) -> bool {
    HEARD
        .try_with(|heard| {
            let Ok(mut heard) = heard.try_borrow_mut() else { return false };
            let Some(lines) = heard.as_mut() else { return false };
            if lines.len() < limits::LOG_LINES {
                lines.push(line.chars().take(limits::LOG_LINE_LEN).collect());
            }
            true
        })
        .unwrap_or(false)
}
