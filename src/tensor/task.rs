//! The work that a thread does for the user: how far it is, whether the user wants it to end, and whether the device
//! failed in it.
//!
//! A command runs on one thread, and may go through any layer. Whatever loops for long says where it is with [`step`],
//! or asks with [`proceed`], and passes the error on. Neither takes a handle: a loop that had to be given one could be
//! written without it. Every op that is executed asks, every larger operation on values and every read of a value, so a
//! loop over those can be interrupted even if it reports nothing.
//!
//! In the other direction, an error of the device may become a part of a sentence on its way up, and the exit status
//! still has to say that it was one.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::TensorError;

/// What is called at each step: what is being done, how much of it is done, and of how much; 0 of 0 if that is not
/// known.
pub type Report = Rc<dyn Fn(&str, u64, u64)>;

thread_local! {
    static WATCHED: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
    static REPORT: RefCell<Option<Report>> = const { RefCell::new(None) };
    static PLACE: RefCell<Interrupted> = const { RefCell::new(Interrupted { what: String::new(), done: 0, total: 0 }) };
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Where the work was when the user interrupted it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupted {
    /// What was being done; empty if no step was reported.
    pub what: String,
    pub done: u64,
    /// Of how much; 0 if that is not known.
    pub total: u64,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Interrupted { what, done, total } = self;
        match (what.is_empty(), total) {
            (true, _) => write!(f, "interrupted"),
            (false, 0) => write!(f, "interrupted at {what}"),
            (false, _) => write!(f, "interrupted at {what} ({done} of {total})"),
        }
    }
}

/// Runs `work`; on this thread, [`step`] and [`proceed`] fail in it once `flag` is set, and [`device_failed`] is about
/// it.
pub fn interruptible<R>(flag: &Arc<AtomicBool>, work: impl FnOnce() -> R) -> R {
    FAILED.set(false);
    PLACE.take();
    with(&WATCHED, Some(flag.clone()), work)
}

/// Runs `work`; the steps that it takes on this thread are reported to `report`.
pub fn reporting<R>(report: Report, work: impl FnOnce() -> R) -> R {
    with(&REPORT, Some(report), work)
}

/// Whether a device failed, or refused what is too large for it, since [`interruptible`] work last began on this
/// thread.
pub fn device_failed() -> bool {
    FAILED.get()
}

pub(super) fn note_failure() {
    FAILED.set(true);
}

/// Runs `work`, in which [`proceed`] never fails: for a step that is short, between which its caller looks at the flag.
pub fn undisturbed<R>(work: impl FnOnce() -> R) -> R {
    with(&WATCHED, None, work)
}

/// Reports that `what` is next, with `done` of `total` behind it, and asks whether to go on.
///
/// # Errors
/// [`TensorError::Interrupted`] if the user interrupts.
pub fn step(what: &str, done: u64, total: u64) -> Result<(), TensorError> {
    PLACE.with_borrow_mut(|place| {
        place.what.clear();
        place.what.push_str(what);
        (place.done, place.total) = (done, total);
    });
    // The report may itself take steps, so it must not be borrowed while it runs.
    if let Some(report) = REPORT.with_borrow(Clone::clone) {
        report(what, done, total);
    }
    proceed()
}

/// Whether to go on.
///
/// # Errors
/// [`TensorError::Interrupted`] if the user interrupts.
pub fn proceed() -> Result<(), TensorError> {
    let set = WATCHED.with_borrow(|flag| flag.as_ref().is_some_and(|flag| flag.load(Ordering::SeqCst)));
    if set { Err(TensorError::Interrupted(Box::new(PLACE.with_borrow(Clone::clone)))) } else { Ok(()) }
}

type Slot<T> = std::thread::LocalKey<RefCell<Option<T>>>;

/// Runs `work` while a slot of this thread holds `value`; afterwards, also after a panic, it holds what it held before.
fn with<T: 'static, R>(slot: &'static Slot<T>, value: Option<T>, work: impl FnOnce() -> R) -> R {
    struct Before<T: 'static>(&'static Slot<T>, Option<T>);
    impl<T> Drop for Before<T> {
        fn drop(&mut self) {
            self.0.set(self.1.take());
        }
    }
    let _before = Before(slot, slot.replace(value));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_counts_while_its_work_runs_and_no_longer() {
        let flag = Arc::new(AtomicBool::new(true));
        let stopped = |result| matches!(result, Err(TensorError::Interrupted(_)));
        assert_eq!(proceed(), Ok(()));
        interruptible(&flag, || {
            assert!(stopped(proceed()));
            undisturbed(|| assert_eq!(proceed(), Ok(())));
            assert!(stopped(proceed()));
            flag.store(false, Ordering::SeqCst);
            assert_eq!(proceed(), Ok(()));
            flag.store(true, Ordering::SeqCst);
        });
        assert_eq!(proceed(), Ok(()));
        let panics = std::panic::catch_unwind(|| interruptible(&flag, || panic!("on the way")));
        assert!(panics.is_err() && proceed() == Ok(()));
    }

    #[test]
    fn steps_are_reported_and_say_where_the_work_was() {
        let flag = Arc::new(AtomicBool::new(false));
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (inside, setting) = (seen.clone(), flag.clone());
        let report: Report = Rc::new(move |what, done, total| {
            inside.borrow_mut().push(format!("{what} {done}/{total}"));
            setting.store(done == 2, Ordering::SeqCst);
        });
        let ended = reporting(report, || {
            interruptible(&flag, || (0..5).try_for_each(|i| step("heads", i, 5)).expect_err("interrupted"))
        });
        assert_eq!(seen.take(), ["heads 0/5", "heads 1/5", "heads 2/5"]);
        assert_eq!(ended.to_string(), "interrupted at heads (2 of 5)");
        assert_eq!(step("nothing listens", 0, 0), Ok(()));
        assert!(seen.borrow().is_empty());
        let unplaced = interruptible(&Arc::new(AtomicBool::new(true)), proceed).expect_err("interrupted");
        assert_eq!(unplaced.to_string(), "interrupted");
    }
}
