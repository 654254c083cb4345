//! A request on its way, until it is known how it went.

use std::rc::Rc;

use crate::{
    process::Shared,
    reactions::{Number, Task},
    repeat::Repeat,
};

/// A request on its way. Dropped before it is known how it went, it has gone wrong: the target has got no answer, whether its peer
/// gave none, or it went away itself.
pub(crate) struct Try {
    shared: Rc<Shared>,
    task: Task,
    /// What the request is to its server.
    repeat: Repeat,
    /// Nothing once the target has an answer of which nothing is said.
    number: Option<Number>,
}

impl Try {
    /// A request comes.
    pub(super) fn comes(shared: &Rc<Shared>, task: Task, repeat: Repeat) -> Self {
        let now_ms = shared.now_ms();
        let number = shared.reactions.borrow_mut().comes(task, now_ms);
        Self {
            shared: Rc::clone(shared),
            task,
            repeat,
            number: Some(number),
        }
    }

    /// The server has carried it out.
    pub(super) fn is_carried_out(&self) {
        let mut reactions = self.shared.reactions.borrow_mut();
        reactions.is_carried_out(self.task, self.repeat);
    }

    /// It was answered well, and no fault has met it.
    pub(super) fn goes_well(&self) {
        self.shared.reactions.borrow_mut().goes_well(self.task);
    }

    /// It was answered in a way that is no failure, and that a fault has made: it is neither made good nor left.
    pub(super) const fn is_answered(&mut self) {
        self.number = None;
    }

    /// It has failed, by itself.
    pub(super) fn goes_wrong(&self) {
        if let Some(number) = self.number {
            let now_ms = self.shared.now_ms();
            let mut reactions = self.shared.reactions.borrow_mut();
            reactions.goes_wrong(self.task, number, now_ms);
        }
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        self.goes_wrong();
    }
}
