//! Asking the engine for what a pane shows.
//!
//! One request is under way at a time. Whatever changes meanwhile is asked for when its answer has come, so that a slow
//! device is never asked for what nobody will see.

/// What was asked, and what is shown.
#[derive(Clone, Debug)]
pub struct Asking<T> {
    /// What the last answer was to.
    pub shown: Option<T>,
    /// What was asked and not yet answered.
    pub asked: Option<T>,
    /// The state changed since the last request was sent.
    stale: bool,
}

impl<T> Default for Asking<T> {
    fn default() -> Self {
        Self { shown: None, asked: None, stale: false }
    }
}

impl<T: Clone + PartialEq> Asking<T> {
    /// The answer may be another one now.
    pub fn invalidate(&mut self) {
        self.stale = true;
    }

    /// Whether a later answer is on its way.
    pub fn is_behind(&self) -> bool {
        self.stale || self.asked.is_some()
    }

    /// The request to send so that the answer to `wanted` comes to be shown, if any.
    pub fn request(&mut self, wanted: T) -> Option<T> {
        let known = self.asked.as_ref().or(self.shown.as_ref()) == Some(&wanted) && !self.stale;
        if known || self.asked.is_some() {
            return None;
        }
        self.stale = false;
        self.asked = Some(wanted.clone());
        Some(wanted)
    }

    /// The answer to what was asked has come; gives what was shown before.
    pub fn answered(&mut self) -> Option<T> {
        std::mem::replace(&mut self.shown, self.asked.take())
    }
}
