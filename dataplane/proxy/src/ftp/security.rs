use super::channel::Security;
use super::command::Command;
use super::talk::{Over, Talk};
use crate::host::Host;
use crate::outcome::Side;

impl<H: Host> Talk<H> {
    pub(super) async fn security(&mut self, _: &Command) -> Result<(), Over> {
        self.answer(502, "TLS is not offered").await
    }
    pub(super) async fn secure_server(&mut self) -> Result<(), Over> {
        Ok(())
    }
    pub(super) fn is_secure(&self) -> bool {
        false
    }
    pub(super) fn offers_tls(&self) -> bool {
        false
    }
    pub(super) fn is_private(&self, _: Side) -> bool {
        false
    }
    pub(super) fn private(&self, _: Side) -> Option<Security> {
        None
    }
}
