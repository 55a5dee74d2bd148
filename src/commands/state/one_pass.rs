//! The console as if all of the text had been the prompt.

use std::ops::{Deref, DerefMut};

use super::Console;
use crate::debugger::{Gradients, Mark, Result, Run};

/// A console whose run reads the prompt and what was generated in one pass. When this is dropped, whatever happens before,
/// the run is what it was; values and answers that were kept meanwhile stay.
pub(crate) struct OnePass<'a> {
    console: &'a mut Console,
    /// The run of the session, and its gradients.
    own: (Run, Option<Gradients>),
}

impl Console {
    /// The console in one pass over the text up to the end of the pass of `to`, whose op is reached.
    ///
    /// # Errors
    /// If edits are in force that cannot be made so.
    pub(crate) fn in_one_pass(&mut self, to: Mark) -> Result<OnePass<'_>> {
        let mut own = (self.session.run.as_one_pass(to)?, None);
        self.session.exchange(&mut own.0, &mut own.1);
        Ok(OnePass { console: self, own })
    }
}

impl Deref for OnePass<'_> {
    type Target = Console;

    fn deref(&self) -> &Console {
        self.console
    }
}

impl DerefMut for OnePass<'_> {
    fn deref_mut(&mut self) -> &mut Console {
        self.console
    }
}

impl Drop for OnePass<'_> {
    fn drop(&mut self) {
        self.console.session.exchange(&mut self.own.0, &mut self.own.1);
    }
}
