//! Keeping other people's C code from writing on the screen.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use super::descriptors;

/// Runs `work` while standard error goes to the log file, or nowhere without one. Graphics drivers write there when a
/// device is opened, past any logger.
pub fn without_stderr<T>(log: Option<&Path>, work: impl FnOnce() -> T) -> T {
    let target = log.unwrap_or(Path::new("/dev/null"));
    let saved = io::stderr().as_fd().try_clone_to_owned().ok();
    let redirected = saved.is_some()
        && OpenOptions::new()
            .append(true)
            .open(target)
            .is_ok_and(|file| descriptors::point_stderr_at(file.as_fd()).is_ok());
    let result = work();
    if let (true, Some(saved)) = (redirected, saved) {
        descriptors::point_stderr_at(saved.as_fd()).ok();
    }
    result
}
