//! Requests to the engine for what a pane shows.
//!
//! One request is pending at a time. Changes in the meantime are requested after its answer has arrived, so that a slow
//! device never computes what nobody will see.

/// What was requested, and what is shown.
#[derive(Clone, Debug)]
pub struct Asking<T> {
    /// The request of the last answer.
    pub shown: Option<T>,
    pub asked: Option<T>,
    /// The state has changed since the last request was sent.
    stale: bool,
}

impl<T> Default for Asking<T> {
    fn default() -> Self {
        Self { shown: None, asked: None, stale: false }
    }
}

impl<T: Clone + PartialEq> Asking<T> {
    /// Notes that the answer may have changed.
    pub fn invalidate(&mut self) {
        self.stale = true;
    }

    pub fn is_behind(&self) -> bool {
        self.stale || self.asked.is_some()
    }

    /// The request to send in order to show the answer to `wanted`, if one is needed.
    pub fn request(&mut self, wanted: T) -> Option<T> {
        let known = self.asked.as_ref().or(self.shown.as_ref()) == Some(&wanted) && !self.stale;
        if known || self.asked.is_some() {
            return None;
        }
        self.stale = false;
        self.asked = Some(wanted.clone());
        Some(wanted)
    }

    /// Notes that the pending request was answered; returns the request that was shown before.
    pub fn answered(&mut self) -> Option<T> {
        std::mem::replace(&mut self.shown, self.asked.take())
    }
}
