//! The commands that the proxy knows: one line each, with what its argument has to be, who may use it, and the codes of
//! the replies that belong to it.
//!
//! Names and codes are Zorp's (its tables of commands and replies), and what servers say today beside it. A command that
//! is not here passes only if the service lists it, without a look at its argument; those of [`NEVER`] not even then.

use Argument as A;

/// What stands behind a command's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Nothing: what is there is left out (RFC 1123 4.1.2.11 asks for leniency here).
    None,
    /// Nothing, and who says something is refused: words behind QUIT are no farewell.
    Nothing,
    /// A path that has to be there.
    Path,
    /// A path, or nothing.
    OptionalPath,
    /// Words, not empty.
    Words,
    /// Words or nothing.
    OptionalWords,
    /// A user's name.
    User,
    /// A password.
    Password,
    /// `A` or `I`.
    Type,
    /// `S`, `B` or `C`.
    Mode,
    /// `F`.
    Structure,
    /// `n` or `n R m`.
    Allocate,
    /// A number.
    Position,
    /// Six numbers.
    Port,
    /// `|1|address|port|`.
    ExtendedPort,
    /// Nothing, `1`, `2` or `ALL`.
    ExtendedPassive,
    /// `TLS`.
    Mechanism,
    /// `0`.
    BufferSize,
    /// `P` or `C`.
    Protection,
}

/// What a command does, for the ready-made classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Logging in, looking around, fetching.
    Read,
    /// Changing files.
    Write,
    /// Changing files, and only for users with a name of their own.
    WriteByName,
    /// Anything else.
    Other,
}

/// Which way the data of a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the server to the client.
    Download,
    /// From the client to the server.
    Upload,
}

/// Codes that are accepted from a server for any command (RFC 959 4.2: x0z is syntax): not understood, argument not
/// understood, not implemented, out of order, not for that argument, not logged in. 421 ends the session.
pub const ANY_REPLY: &[u16] = &[421, 500, 501, 502, 503, 504, 530];

/// Commands whose data connections the proxy would not see through: refused whatever the service lists.
///
/// LPRT and LPSV (RFC 1639), SPSV and CPSV name addresses in forms of their own; SSCN turns TLS of data around; ADAT, MIC,
/// CONF and ENC (RFC 2228) make the control connection unreadable.
pub const NEVER: &[&str] = &["LPRT", "LPSV", "SPSV", "CPSV", "SSCN", "ADAT", "MIC", "CONF", "ENC"];

macro_rules! known {
    ($($variant:ident $name:literal $argument:expr, $class:ident, [$($code:literal)*])*) => {
        /// A command that the proxy knows, and the greeting, to which a server replies without one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Known {
            $(#[doc = $name] $variant,)*
        }

        impl Known {
            /// All of them.
            pub const ALL: &[Known] = &[$(Known::$variant,)*];

            /// In capitals.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Known::$variant => $name,)* }
            }

            /// What its argument has to be.
            #[must_use]
            pub const fn argument(self) -> Argument {
                match self { $(Known::$variant => $argument,)* }
            }

            /// Who may use it.
            #[must_use]
            pub const fn class(self) -> Use {
                match self { $(Known::$variant => Use::$class,)* }
            }

            /// The codes that belong to it, beside [`ANY_REPLY`].
            #[must_use]
            pub const fn replies(self) -> &'static [u16] {
                match self { $(Known::$variant => &[$($code),*],)* }
            }

            /// The one of that name, in capitals.
            #[must_use]
            pub fn named(name: &str) -> Option<Known> {
                match name { $($name => Some(Known::$variant),)* _ => None }
            }
        }
    };
}

known! {
    Greeting "GREETING" A::None, Other, [120 220]
    Abor "ABOR" A::None, Read, [225 226 426]
    Acct "ACCT" A::Password, Read, [202 230]
    Allo "ALLO" A::Allocate, WriteByName, [200 202]
    Appe "APPE" A::Path, Write, [110 125 150 226 250 425 426 450 451 452 522 532 534 535 550 551 552 553]
    Auth "AUTH" A::Mechanism, Read, [234 334 431 534]
    Ccc "CCC" A::None, Other, [200 533 534]
    Cdup "CDUP" A::None, Read, [200 250 550]
    Cwd "CWD" A::Path, Read, [250 550]
    Dele "DELE" A::Path, Write, [250 450 550]
    Eprt "EPRT" A::ExtendedPort, Read, [200 522]
    Epsv "EPSV" A::ExtendedPassive, Read, [200 229 425 522]
    Feat "FEAT" A::None, Read, [211]
    Help "HELP" A::OptionalWords, Other, [211 214]
    List "LIST" A::OptionalPath, Read, [125 150 226 250 425 426 450 451 522 534 535 550]
    Mdtm "MDTM" A::Path, Read, [213 550]
    Mkd "MKD" A::Path, Write, [257 521 550]
    Mlsd "MLSD" A::OptionalPath, Read, [125 150 226 250 425 426 450 451 522 534 535 550]
    Mlst "MLST" A::OptionalPath, Read, [250 425 426 450 451 534 535 550]
    Mode "MODE" A::Mode, Read, [200]
    Nlst "NLST" A::OptionalPath, Read, [125 150 226 250 425 426 450 451 522 534 535 550]
    Noop "NOOP" A::None, Read, [200]
    Opts "OPTS" A::Words, Read, [200 202 451]
    Pass "PASS" A::Password, Read, [202 230 232 332]
    Pasv "PASV" A::None, Read, [227 425 522]
    Pbsz "PBSZ" A::BufferSize, Read, [200]
    Port "PORT" A::Port, Read, [200 522]
    Prot "PROT" A::Protection, Read, [200 431 534 536]
    Pwd "PWD" A::None, Read, [257 550]
    Quit "QUIT" A::Nothing, Read, [221]
    Rein "REIN" A::None, Other, [120 220]
    Rest "REST" A::Position, Read, [350]
    Retr "RETR" A::Path, Read, [110 125 150 226 250 425 426 450 451 452 522 532 534 535 550 551 553]
    Rmd "RMD" A::Path, Write, [250 550]
    Rnfr "RNFR" A::Path, Write, [350 450 550]
    Rnto "RNTO" A::Path, Write, [250 532 550 553]
    Site "SITE" A::Words, Other, [200 202 211 214 250 450 550]
    Size "SIZE" A::Path, Read, [213 550]
    Smnt "SMNT" A::Path, Other, [202 250 550]
    Stat "STAT" A::OptionalPath, Read, [211 212 213 450 550]
    Stor "STOR" A::Path, Write, [110 125 150 226 250 425 426 450 451 452 522 532 534 535 550 551 552 553]
    Stou "STOU" A::OptionalPath, Write, [110 125 150 226 250 425 426 450 451 452 522 532 534 535 551 552 553]
    Stru "STRU" A::Structure, Read, [200]
    Syst "SYST" A::None, Read, [215]
    Type "TYPE" A::Type, Read, [200]
    User "USER" A::User, Read, [230 232 331 332 336 550]
    Xcup "XCUP" A::None, Other, [200 250 550]
    Xcwd "XCWD" A::Path, Other, [250 550]
    Xmkd "XMKD" A::Path, Other, [257 521 550]
    Xpwd "XPWD" A::None, Other, [257 550]
    Xrmd "XRMD" A::Path, Other, [250 550]
}

impl Known {
    /// Which way its data goes; none: it has none.
    #[must_use]
    pub const fn direction(self) -> Option<Direction> {
        match self {
            Known::List | Known::Nlst | Known::Mlsd | Known::Retr => Some(Direction::Download),
            Known::Appe | Known::Stor | Known::Stou => Some(Direction::Upload),
            _ => None,
        }
    }

    /// Does its argument name something on the server?
    #[must_use]
    pub const fn has_path(self) -> bool {
        matches!(self.argument(), Argument::Path | Argument::OptionalPath)
    }
}

/// Features of FEAT that are commands of which nothing more is known here: a service that does not list them does not pass them.
pub const FEATURE_COMMANDS: &[&str] = &[
    "AVBL", "CLNT", "COMB", "CSID", "DSIZ", "ESTA", "ESTP", "HASH", "HOST", "LANG", "MACB", "MD5", "MFCT", "MFF",
    "MFMT", "MMD5", "PRET", "RANG", "RMDA", "THMB", "XCRC", "XMD5", "XSHA", "XSHA1", "XSHA256", "XSHA512",
];
