//! Signals as messages, and a thread that notices when the terminal is gone.
//!
//! When the terminal vanishes (a dropped connection, a killed tmux pane), the library's reader can spin on a dead
//! descriptor for ever. A thread that only waits for the hangup notices it, notifies the interface, and ends the
//! process after a grace period, whatever the other threads do.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use super::descriptors;

/// Exit status after a hangup: 128 and the number of SIGHUP.
pub const HANGUP_STATUS: i32 = 129;

pub const TERMINATE_STATUS: i32 = 143;

/// Time for an orderly end after a hangup.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Interrupt what runs (SIGINT from outside; Ctrl-C arrives as a key).
    Interrupt,
    Terminate,
    /// The terminal is gone: end without drawing.
    Hangup,
    /// Stop until continued.
    Suspend,
    /// Continued after a stop that was not asked for through the program: the screen must be taken again.
    Continue,
}

/// Starts the threads that turn signals and the loss of the terminal into messages.
pub fn spawn(signals: Sender<Signal>) -> io::Result<()> {
    watch_terminal(signals.clone())?;
    let mut incoming = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT])?;
    thread::Builder::new().name("signals".to_string()).spawn(move || {
        for number in incoming.forever() {
            let signal = match number {
                SIGINT => Signal::Interrupt,
                SIGTERM => Signal::Terminate,
                SIGHUP => Signal::Hangup,
                SIGTSTP => Signal::Suspend,
                _ => Signal::Continue,
            };
            if signals.send(signal).is_err() {
                return;
            }
            if signal == Signal::Hangup {
                end_after_grace();
            }
        }
    })?;
    Ok(())
}

/// Stops the process as the default action of SIGTSTP would; returns when it is continued.
pub fn stop_process() -> io::Result<()> {
    signal_hook::low_level::emulate_default_handler(SIGTSTP)
}

fn watch_terminal(signals: Sender<Signal>) -> io::Result<()> {
    thread::Builder::new().name("hangup".to_string()).spawn(move || {
        let watched = if io::stdin().is_terminal() {
            descriptors::wait_for_hangup(io::stdin().as_fd())
        } else if io::stdout().is_terminal() {
            descriptors::wait_for_hangup(io::stdout().as_fd())
        } else {
            return;
        };
        if watched.is_ok() {
            signals.send(Signal::Hangup).ok();
            end_after_grace();
        }
    })?;
    Ok(())
}

fn end_after_grace() {
    thread::sleep(GRACE);
    signal_hook::low_level::exit(HANGUP_STATUS);
}
