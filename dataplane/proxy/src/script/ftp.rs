//! An FTP command as a script sees it: `verb`, `argument`, `user`. The argument can be set, and stays one line.

use bytes::Bytes;
use mlua::{Error, LuaString, UserData, UserDataFields};

use super::held::Held;
use super::limits::VALUE_BYTES_MAX;
use super::view::Command;

/// Telnet's "interpret as command" (RFC 854): in an argument it would begin a command to the server's Telnet.
const IAC: u8 = 255;

impl UserData for Held<Command> {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("verb", |_, this| Ok(this.get()?.verb.clone()));
        fields.add_field_method_get("user", |_, this| Ok(this.get()?.user.clone()));
        fields.add_field_method_get("argument", |lua, this| lua.create_string(&this.get()?.argument));
        fields.add_field_method_set("argument", |_, this, argument: LuaString| {
            let bytes = argument.as_bytes();
            if bytes.len() > VALUE_BYTES_MAX || bytes.iter().any(|byte| matches!(*byte, b'\r' | b'\n' | 0 | IAC)) {
                return Err(Error::runtime("an argument has no line ends, NUL or IAC, and at most 8 KiB"));
            }
            let mut command = this.get_mut()?;
            (command.argument, command.changed.argument) = (Bytes::copy_from_slice(&bytes), true);
            Ok(())
        });
    }
}
