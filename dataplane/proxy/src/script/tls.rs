//! A `ClientHello` as a script sees it: nothing in it can be set, for it goes on as it came, or not at all.

use mlua::{UserData, UserDataFields};

use super::held::Held;
use super::view::Hello;

impl UserData for Held<Hello> {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("sni", |_, this| Ok(this.get()?.sni.clone()));
        fields.add_field_method_get("alpn", |_, this| Ok(this.get()?.alpn.clone()));
        fields.add_field_method_get("ja3", |_, this| Ok(this.get()?.ja3.clone()));
        fields.add_field_method_get("ja4", |_, this| Ok(this.get()?.ja4.clone()));
        fields.add_field_method_get("ech", |_, this| Ok(this.get()?.ech));
        fields.add_field_method_get("version", |_, this| {
            Ok(match this.get()?.version {
                0x0304 => "1.3",
                0x0303 => "1.2",
                0x0302 => "1.1",
                0x0301 => "1.0",
                _ => "other",
            })
        });
    }
}
