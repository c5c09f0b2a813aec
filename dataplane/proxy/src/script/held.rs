//! A view in a script's hands: there as long as its hook runs, gone afterwards, even if the script kept a reference.

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;

use mlua::{Error, Result};

/// Shared with the call that lent it.
pub(super) struct Held<T>(Rc<RefCell<Option<T>>>);

impl<T> Held<T> {
    /// Lends a view: one for the script, one to take it back by.
    pub(super) fn lend(view: T) -> (Held<T>, Held<T>) {
        let shared = Rc::new(RefCell::new(Some(view)));
        (Held(Rc::clone(&shared)), Held(shared))
    }

    /// Takes it back; the script's has nothing any more.
    pub(super) fn take(&self) -> Option<T> {
        self.0.borrow_mut().take()
    }

    pub(super) fn get(&self) -> Result<Ref<'_, T>> {
        Ref::filter_map(self.0.borrow(), Option::as_ref).map_err(|_| over())
    }

    pub(super) fn get_mut(&self) -> Result<RefMut<'_, T>> {
        RefMut::filter_map(self.0.borrow_mut(), Option::as_mut).map_err(|_| over())
    }
}

fn over() -> Error {
    Error::runtime("what this was about is over")
}
