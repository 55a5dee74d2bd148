//! Panics of the engine thread and of devices: they go to the log instead of the screen, and a command that panics gives an error.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use thiserror::Error;

use crate::answer::{ErrorView, Fault};
use crate::tensor::on_device_thread;

thread_local! {
    static ON_ENGINE: Cell<bool> = const { Cell::new(false) };
}

/// A panic that was caught; the session can still be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("internal error: {0} (please report this; the session continues)")]
pub struct Panicked(String);

impl From<Panicked> for ErrorView {
    fn from(panicked: Panicked) -> ErrorView {
        ErrorView { message: panicked.to_string(), fault: Fault::Model, ..ErrorView::default() }
    }
}

/// Whether the calling thread is an engine thread, whose panics are caught and answered.
pub(super) fn on_engine_thread() -> bool {
    ON_ENGINE.get()
}

pub(super) fn enter_engine() {
    ON_ENGINE.set(true);
}

/// Sends panics of engine threads to the log, and those of the threads of devices, which show as errors of the reads that
/// depend on them; those of other threads still go to the hook that was there before.
pub(super) fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if on_engine_thread() || on_device_thread() {
                tracing::error!("panic caught: {info}\n{}", std::backtrace::Backtrace::force_capture());
            } else {
                others(info);
            }
        }));
    });
}

pub(super) fn guard<T>(f: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Panicked(message_of(payload.as_ref()).to_string()))
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}
