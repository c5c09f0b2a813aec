//! What happens within sessions, counted by name: a request that was denied, a certificate that was made.
//!
//! How a session as a whole ends is a [`crate::Reason`]; this is what happens before. Each module lists its own events
//! in its folder by `events!`, one line each; here they get one numbering for the host's counters.

use crate::{detect, ftp, http, icap, plug, script, tls};

/// Declares a module's events: variant, name, sentence for the operator, so that they cannot drift apart.
macro_rules! events {
    ($($variant:ident $name:literal $sentence:literal)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Event {
            $(#[doc = $sentence] $variant,)*
        }

        impl Event {
            /// All of them, in the order of [`Event::index`].
            pub const ALL: &[Event] = &[$(Event::$variant,)*];

            /// Place in [`Event::ALL`].
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }

            /// Name for counters: snake case, beginning with the module's.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Event::$variant => $name,)* }
            }

            /// A sentence for the operator.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Event::$variant => $sentence,)* }
            }
        }
    };
}
pub(crate) use events;

/// Joins the modules' events: one line each.
macro_rules! modules {
    ($($variant:ident $module:ident)*) => {
        /// An event of any module.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Event {
            $(#[doc = concat!("Of `", stringify!($module), "`.")] $variant($module::event::Event),)*
        }

        impl Event {
            /// How many there are.
            pub const COUNT: usize = 0 $(+ $module::event::Event::ALL.len())*;

            /// All of them, in the order of [`Event::index`].
            pub fn all() -> impl Iterator<Item = Event> {
                std::iter::empty()$(.chain($module::event::Event::ALL.iter().copied().map(Event::$variant)))*
            }

            /// Place in [`Event::all`].
            #[must_use]
            pub fn index(self) -> usize {
                let mut before = 0;
                $(
                    if let Event::$variant(event) = self {
                        return before + event.index();
                    }
                    before += $module::event::Event::ALL.len();
                )*
                before
            }

            /// Name for counters.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Event::$variant(event) => event.name(),)* }
            }

            /// A sentence for the operator.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Event::$variant(event) => event.sentence(),)* }
            }
        }

        $(
            impl From<$module::event::Event> for Event {
                fn from(event: $module::event::Event) -> Self {
                    Event::$variant(event)
                }
            }
        )*
    };
}

modules! {
    Http http
    Ftp ftp
    Tls tls
    Detect detect
    Script script
    Icap icap
    Plug plug
}

#[cfg(test)]
mod tests;
