//! Keeping libraries in C from writing on the screen: standard error is redirected for a while.
//!
//! Two users need that at the same time: code that opens a device, on the engine's thread, and the [`Screen`] as long
//! as it lives. So they are counted: the first redirects and the last to end restores, in any order.
//!
//! [`Screen`]: super::Screen

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::descriptors;

/// Standard error as it was, and how many hold it redirected.
static REDIRECTED: Mutex<Option<(OwnedFd, usize)>> = Mutex::new(None);

/// While it lives, standard error is redirected.
pub struct Quiet(());

impl Quiet {
    /// Sends standard error to `log`, or nowhere without one. If it is redirected already, it stays so.
    pub fn begin(log: Option<&Path>) -> io::Result<Quiet> {
        let mut redirected = REDIRECTED.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *redirected {
            Some((_, holders)) => *holders += 1,
            None => {
                let target = log.unwrap_or(Path::new("/dev/null"));
                let file = OpenOptions::new().create(log.is_some()).append(true).open(target)?;
                let saved = io::stderr().as_fd().try_clone_to_owned()?;
                descriptors::point_stderr_at(file.as_fd())?;
                *redirected = Some((saved, 1));
            }
        }
        Ok(Quiet(()))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let mut redirected = REDIRECTED.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((saved, holders)) = &mut *redirected else { return };
        *holders -= 1;
        if *holders == 0 {
            descriptors::point_stderr_at(saved.as_fd()).ok();
            *redirected = None;
        }
    }
}

/// Runs `work` while standard error goes to the log file, or nowhere without one. Graphics drivers write there when a
/// device is opened, past any logger. Best effort: a driver that writes on the screen is better than no device.
pub fn without_stderr<T>(log: Option<&Path>, work: impl FnOnce() -> T) -> T {
    let _quiet = Quiet::begin(log);
    work()
}
