//! Taking the terminal and giving it back.
//!
//! [`Screen`] is a guard: while it lives, the terminal is in raw mode on its alternate screen and standard error goes
//! to a file (graphics drivers write there). Dropping it restores everything; so does a panic of the thread that took
//! it, before its message is printed. Restoring twice is harmless.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::execute;
use crossterm::style::{Attribute, SetAttribute, force_color_output};
use crossterm::terminal::{
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::graphics::query;
use super::quiet::Quiet;
use super::signals;

/// Whether the program has the terminal now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the program has the mouse whenever it has the terminal.
static MOUSE: AtomicBool = AtomicBool::new(false);

/// The thread whose panic must restore the terminal; panics of others are caught by the code that started them.
static OWNER: Mutex<Option<ThreadId>> = Mutex::new(None);

/// Held while the program has the terminal: keeps standard error off the screen.
static QUIET: Mutex<Option<Quiet>> = Mutex::new(None);

/// What removes the pictures that the terminal shows.
static PICTURES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

pub struct Screen {
    log: Option<PathBuf>,
    /// The program stopped itself and was continued: the signal for that is still to come and must be ignored.
    continued: bool,
}

impl Screen {
    /// Takes the terminal. What other code writes to standard error goes to `log` (nowhere, without one) until it is
    /// given back.
    pub fn enter(log: Option<&Path>) -> io::Result<Self> {
        // The library emits a full reset after every attribute when NO_COLOR is set, which erases the reverse video
        // that monochrome themes need. The theme leaves colours out instead.
        force_color_output(true);
        restore_on_panic();
        *OWNER.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current().id());
        let screen = Self { log: log.map(Path::to_path_buf), continued: false };
        screen.take()?;
        Ok(screen)
    }

    /// Gives the terminal back, stops the process until it is continued, and takes the terminal again. The caller must
    /// repaint.
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        signals::stop_process()?;
        self.continued = true;
        self.take()
    }

    /// Takes the terminal again after a stop from outside. The caller must repaint.
    pub fn retake(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.continued) {
            // Giving up raw mode even for a moment would change keys that are being typed.
            return Ok(());
        }
        // The library assumes that the terminal is still raw and would do nothing.
        disable_raw_mode().ok();
        TAKEN.store(false, Ordering::SeqCst);
        self.take()
    }

    /// Takes the mouse, or leaves it to the terminal, whose own selection of text then works again.
    pub fn mouse(&mut self, on: bool) -> io::Result<()> {
        if MOUSE.swap(on, Ordering::SeqCst) == on {
            return Ok(());
        }
        if on { execute!(io::stdout(), EnableMouseCapture) } else { execute!(io::stdout(), DisableMouseCapture) }
    }

    fn take(&self) -> io::Result<()> {
        if TAKEN.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let entered =
            enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste));
        if entered.is_err() {
            restore();
            return entered;
        }
        if MOUSE.load(Ordering::SeqCst) {
            execute!(io::stdout(), EnableMouseCapture)?;
        }
        // Best effort: a program whose drivers may write on the screen is better than none.
        *QUIET.lock().unwrap_or_else(PoisonError::into_inner) = Quiet::begin(self.log.as_deref()).ok();
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Notes what is to be sent before the terminal is given back, to remove the pictures that it shows.
pub fn before_leaving(bytes: Vec<u8>) {
    *PICTURES.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
}

/// Gives the terminal back if the program has it. Errors are ignored: the terminal may be gone.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    query::let_answers_arrive();
    let mut out = io::stdout();
    out.write_all(&std::mem::take(&mut *PICTURES.lock().unwrap_or_else(PoisonError::into_inner))).ok();
    if MOUSE.load(Ordering::SeqCst) {
        execute!(out, DisableMouseCapture).ok();
    }
    execute!(
        out,
        EndSynchronizedUpdate,
        SetAttribute(Attribute::Reset),
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    )
    .ok();
    out.flush().ok();
    disable_raw_mode().ok();
    drop(QUIET.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// Chains to the panic hook once: restore first, then report the panic.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // A panic of the engine is caught and reported as an answer; only one of this thread ends the interface.
            let ours = OWNER.try_lock().is_ok_and(|owner| *owner == Some(thread::current().id()));
            if ours {
                restore();
            }
            previous(info);
        }));
    });
}
