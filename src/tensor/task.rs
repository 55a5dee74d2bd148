//! What a command and the tensors that it computes tell each other, across the layers between them: whether the user wants it to
//! end, and whether it was the device that failed.
//!
//! A command runs on one thread. Whatever loops for long on that thread asks with [`proceed`], and passes the error on: no loop
//! needs the flag handed to it, so none lacks it by oversight. Every op that is executed asks. In the other direction, an error of
//! the device becomes a part of a sentence on its way up, and the exit status still has to say that it was one.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::TensorError;

thread_local! {
    static WATCHED: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; on this thread, [`proceed`] fails in it from when `flag` is set, and [`device_failed`] is about it.
pub fn interruptible<R>(flag: &Arc<AtomicBool>, work: impl FnOnce() -> R) -> R {
    FAILED.set(false);
    watching(Some(flag.clone()), work)
}

/// Whether a device failed, or refused what is too large for it, since [`interruptible`] work last began on this thread.
pub fn device_failed() -> bool {
    FAILED.get()
}

/// Notes that a device failed.
pub(super) fn note_failure() {
    FAILED.set(true);
}

/// Runs `work`, in which [`proceed`] never fails: for a step that is short, between which its caller looks at the flag.
pub fn undisturbed<R>(work: impl FnOnce() -> R) -> R {
    watching(None, work)
}

/// Whether to go on.
///
/// # Errors
/// [`TensorError::Interrupted`] if the user interrupts.
pub fn proceed() -> Result<(), TensorError> {
    let set = WATCHED.with_borrow(|flag| flag.as_ref().is_some_and(|flag| flag.load(Ordering::SeqCst)));
    if set { Err(TensorError::Interrupted) } else { Ok(()) }
}

fn watching<R>(flag: Option<Arc<AtomicBool>>, work: impl FnOnce() -> R) -> R {
    let _before = Before(WATCHED.replace(flag));
    work()
}

/// What was watched before, and is again when this is dropped, also by a panic.
struct Before(Option<Arc<AtomicBool>>);

impl Drop for Before {
    fn drop(&mut self) {
        WATCHED.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_counts_while_its_work_runs_and_no_longer() {
        let flag = Arc::new(AtomicBool::new(true));
        assert_eq!(proceed(), Ok(()));
        interruptible(&flag, || {
            assert_eq!(proceed(), Err(TensorError::Interrupted));
            undisturbed(|| assert_eq!(proceed(), Ok(())));
            assert_eq!(proceed(), Err(TensorError::Interrupted));
            flag.store(false, Ordering::SeqCst);
            assert_eq!(proceed(), Ok(()));
            flag.store(true, Ordering::SeqCst);
        });
        assert_eq!(proceed(), Ok(()));
        let panics = std::panic::catch_unwind(|| interruptible(&flag, || panic!("on the way")));
        assert!(panics.is_err() && proceed() == Ok(()));
    }
}
