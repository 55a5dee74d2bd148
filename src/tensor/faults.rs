//! What goes wrong on a device after the work that it was for was handed over.
//!
//! Nothing waits for a device but a read, so a driver reports what fails on a thread of the device, when whoever asked
//! for the work has gone on. It is noted here, and the next read, the next command and the end of loading ask for it:
//! no failure is lost because the value that it is about was never read, or was read as if it were sound.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::wgpu::wgpu;

use super::TensorError;
use super::task::note_failure;

/// What a device reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its memory is full. It can be used further: what was computed since may be missing.
    Full,
    /// It was lost, with the driver's reason: nothing on it can be read or computed any more.
    Lost(String),
    /// Something else, in the driver's words.
    Failed(String),
}

/// The faults of one device.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    /// The first that nobody has asked for yet.
    pending: Option<Fault>,
    /// Why it was lost, if it was.
    lost: Option<String>,
    count: u64,
}

impl Faults {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, fault: Fault) {
        let mut noted = self.noted();
        if noted.lost.is_some() {
            // Whatever is done on a lost device fails too, and says nothing new.
            return;
        }
        noted.count += 1;
        match fault {
            Fault::Lost(reason) => {
                noted.lost = Some(reason.clone());
                noted.pending = Some(Fault::Lost(reason));
            }
            fault => _ = noted.pending.get_or_insert(fault),
        }
    }

    /// How many there have been.
    pub(super) fn count(&self) -> u64 {
        self.noted().count
    }

    /// The first that nobody has asked for yet.
    pub(super) fn take(&self) -> Option<Fault> {
        self.noted().pending.take()
    }

    /// Why the device was lost, if it was.
    pub(super) fn lost(&self) -> Option<String> {
        self.noted().lost.clone()
    }

    /// What a driver reports outside of any operation that could return it.
    ///
    /// # Panics
    /// If its memory is full, without a message: what the memory was for cannot go on. cubecl catches that for each
    /// task, and then nothing that the task should have written can be read.
    pub(super) fn uncaptured(&self, error: &wgpu::Error) {
        match error {
            wgpu::Error::OutOfMemory { .. } => {
                self.note(Fault::Full);
                std::panic::resume_unwind(Box::new("the memory of the device is full"));
            }
            error => self.note(Fault::Failed(first_line(&error.to_string()))),
        }
    }
}

impl Fault {
    /// As the error of whoever meets it, on the device of that name.
    pub(super) fn on(self, device: &str) -> TensorError {
        note_failure();
        let device = device.to_owned();
        match self {
            Fault::Full => TensorError::DeviceFull { device },
            Fault::Lost(reason) => TensorError::DeviceLost { device, reason },
            Fault::Failed(message) => TensorError::DeviceFailed { device, message },
        }
    }
}

/// The innermost cause in the report of a lost device, which goes on with a backtrace.
pub(super) fn reason_of(report: &str) -> String {
    let lines: Vec<&str> = report.lines().map(str::trim).take_while(|line| !line.starts_with("Backtrace")).collect();
    let mut causes = lines.iter().zip(lines.iter().skip(1)).filter(|(line, _)| line.starts_with("Caused by"));
    let cause = causes.next_back().map_or_else(|| first_line(report), |(_, cause)| (*cause).to_owned());
    cause.trim_end_matches([':', ' ']).to_owned()
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason was given").to_owned()
}

/// Whether the calling thread is one on which cubecl does the work of a device. Their panics are caught there, and
/// show in the reads that depend on what they left undone.
pub fn on_device_thread() -> bool {
    std::thread::current().name().is_some_and(|name| name.starts_with("DSU-") || name.starts_with("DSD-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_is_told_once_and_a_lost_device_says_nothing_else() {
        let faults = Faults::default();
        assert_eq!((faults.take(), faults.count(), faults.lost()), (None, 0, None));
        faults.note(Fault::Full);
        faults.note(Fault::Failed("later".into()));
        assert_eq!((faults.take(), faults.take(), faults.count()), (Some(Fault::Full), None, 2));
        faults.note(Fault::Lost("a reset".into()));
        faults.note(Fault::Failed("of course".into()));
        assert_eq!((faults.take(), faults.count()), (Some(Fault::Lost("a reset".into())), 3));
        assert_eq!((faults.take(), faults.lost().as_deref()), (None, Some("a reset")));
    }

    #[test]
    fn the_reason_is_found_in_a_report() {
        let report = "The device is poisoned\nCaused by:\n  Destroyed: by a test\nBacktrace:\n  0: main";
        assert_eq!(reason_of(report), "Destroyed: by a test");
        assert_eq!(reason_of(&format!("The device is poisoned\nCaused by:\n  {report}")), "Destroyed: by a test");
        assert_eq!(reason_of("no bytes: The device is poisoned\nCaused by:\n  Destroyed: \n"), "Destroyed");
        assert_eq!(reason_of("\n short \n more"), "short");
        assert_eq!(reason_of(""), "no reason was given");
    }
}
