//! The system calls for which std has no safe wrapper, one function each. Other unsafe code of the program maps
//! checkpoint files into memory, sets up the allocator, and vectorises loops on the CPU.

#![allow(unsafe_code, reason = "std has no safe wrapper for dup2 and poll")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Makes standard error refer to the file of `target`.
pub fn point_stderr_at(target: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both descriptors are open for the duration of the call; descriptor 2 is never owned by a Rust object.
    match unsafe { libc::dup2(target.as_raw_fd(), libc::STDERR_FILENO) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Waits, without reading, until `terminal` has something to read or is gone, or `patience` is over; returns whether it
/// was one of the former.
pub fn wait_for_input(terminal: BorrowedFd<'_>, patience: Option<Duration>) -> io::Result<bool> {
    // Rounded up, so that nothing is asked for before its time.
    let limit = patience.map_or(-1, |patience| i32::try_from(patience.as_millis() + 1).unwrap_or(i32::MAX));
    let mut watched = libc::pollfd { fd: terminal.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is to one valid pollfd that lives through the call, and the count says one.
    match unsafe { libc::poll(&mut watched, 1, limit) } {
        -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => Ok(false),
        -1 => Err(io::Error::last_os_error()),
        ready => Ok(ready > 0),
    }
}

/// Waits, without reading, until the other end of `terminal` is gone.
pub fn wait_for_hangup(terminal: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        let mut watched = libc::pollfd { fd: terminal.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: the pointer is to one valid pollfd that lives through the call, and the count says one.
        let ready = unsafe { libc::poll(&mut watched, 1, -1) };
        if ready > 0 && watched.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if ready < 0 && error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
