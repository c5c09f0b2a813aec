//! What a script may use, with the reason of each bound: one core stands still while a hook runs.

use std::time::Duration;

/// Memory of one script's state on one core, unless the service says otherwise.
///
/// An empty state with its library takes about 70 KiB; a table of ten thousand short names fits.
pub const MEMORY_DEFAULT: usize = 1 << 20;

/// The least that can be set: an empty state and a little.
pub const MEMORY_MIN: usize = 256 << 10;

/// The most that can be set: with 64 cores and ten scripts, 20 GiB is the end of what anybody would give.
pub const MEMORY_MAX: usize = 32 << 20;

/// Instructions of one hook, unless the service says otherwise: about a millisecond.
pub const INSTRUCTIONS_DEFAULT: u64 = 100_000;

/// The least that can be set: a hook that compares a few strings.
pub const INSTRUCTIONS_MIN: u64 = 1_000;

/// The most that can be set: a tenth of a second, in which a core's other sessions wait.
pub const INSTRUCTIONS_MAX: u64 = 10_000_000;

/// Instructions that the outermost chunk may use when a script is loaded: it may build tables.
pub const INSTRUCTIONS_TO_LOAD: u64 = 20_000_000;

/// Instructions between two looks at the budget: looks cost less than a hundredth then, and a hook overruns by no more.
pub const INSTRUCTIONS_PER_LOOK: u32 = 1_000;

/// Bytes that cost as much as an instruction, where a string is gone through or memory is taken.
pub const BYTES_PER_INSTRUCTION: u64 = 16;

/// Length of a script: more than anybody writes by hand, and what a large generated table needs.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;

/// Length of a string that the library makes: the largest header block fits twice.
pub const STRING_BYTES_MAX: usize = 256 << 10;

/// Length of a pattern: a step may look through all of it, so that it also bounds what a step costs.
pub const PATTERN_BYTES_MAX: usize = 1_024;

/// How deep a pattern may nest, as in Lua's own library: the matcher calls itself.
pub const PATTERN_DEPTH_MAX: u32 = 200;

/// Captures of a pattern, as in Lua's own library.
pub const CAPTURES_MAX: usize = 32;

/// Log lines of one hook; the host limits their rate beyond that.
pub const LINES_PER_CALL_MAX: usize = 8;

/// Length of a log line, and of the words of a verdict.
pub const LINE_BYTES_MAX: usize = 512;

/// Values in `shared`, of one script on one core: at most 2.5 MiB with their keys.
pub const SHARED_VALUES_MAX: usize = 4_096;

/// Length of a key of `shared`: a host name and a few words.
pub const SHARED_KEY_BYTES_MAX: usize = 320;

/// Length of a text in `shared`.
pub const SHARED_TEXT_BYTES_MAX: usize = 320;

/// How long a value stays in `shared` at most; also when nothing is said.
pub const SHARED_TIME_MAX: Duration = Duration::from_secs(86_400);

/// Header lines that a script may bring a message to.
pub const HEADERS_MAX: usize = 128;

/// Length of a header value, URL or argument that a script sets: what servers take.
pub const VALUE_BYTES_MAX: usize = 8 << 10;
