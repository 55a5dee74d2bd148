//! Work in a separate process, for what libraries do with files from strangers.
//!
//! A template or a tokenizer can ask for any amount of memory and time, and a failed allocation ends the process. A
//! process can be ended from outside whatever it does, so such work is done in one: this program again, with limits of
//! the system on its memory, which is asked and answers through pipes and is ended when an answer takes too long.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};

/// Longest answer that is taken from a process.
const LONGEST: u64 = 256 << 20;

/// How often a process looks at the time.
const TICK: Duration = Duration::from_secs(1);

/// This program, once [`allow`] has said that it can be started again.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Says that this program can be started again for work: that it knows the arguments. Called once, at its beginning;
/// without it, work is done in this process, as for programs that use this one as a library.
pub fn allow() {
    if let Ok(program) = std::env::current_exe() {
        _ = PROGRAM.set(program);
    }
}

/// The program to start for work, if there is one.
pub fn program() -> Option<&'static Path> {
    PROGRAM.get().map(PathBuf::as_path)
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Addresses, in bytes: the program itself, its stacks, and what the work makes.
    pub memory: u64,
    /// Time for one answer.
    pub time: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum Ended {
    #[error("cannot start a process to run it in: {0}")]
    NotStarted(io::Error),
    #[error("it takes more than {} seconds", .0.as_secs())]
    TooLong(Duration),
    /// It ended before it answered: an allocation failed, or its stack was too small.
    #[error("it needs too much memory, or recurses without end")]
    Died,
}

#[derive(Debug)]
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<Vec<u8>>,
}

impl Worker {
    /// Starts the program with the argument that has it [`serve`].
    pub fn start(program: &Path, argument: &str) -> Result<Worker, Ended> {
        let mut command = Command::new(program);
        command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Ctrl-C in the terminal is meant for this process alone.
        let mut child = command.process_group(0).spawn().map_err(Ended::NotStarted)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (sender, answers) = sync_channel(0);
        let worker = Worker { child, input, answers };
        let reader = thread::Builder::new().name("sandbox".into());
        let read = move || _ = output.map(|mut output| forward(&mut output, &sender));
        reader.spawn(read).map_err(Ended::NotStarted)?;
        Ok(worker)
    }

    /// Asks it, and waits for the answer.
    ///
    /// # Errors
    /// If there is none. The process is gone then.
    pub fn ask(&mut self, request: &[u8], time: Duration) -> Result<Vec<u8>, Ended> {
        let Some(input) = &mut self.input else { return Err(Ended::Died) };
        if write_frame(input, request).is_err() {
            self.end();
            return Err(Ended::Died);
        }
        self.answers.recv_timeout(time).map_err(|error| {
            self.end();
            match error {
                RecvTimeoutError::Timeout => Ended::TooLong(time),
                RecvTimeoutError::Disconnected => Ended::Died,
            }
        })
    }

    fn end(&mut self) {
        self.input = None;
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// Passes answers on until there are no more, or the receiver is gone.
fn forward(output: &mut impl Read, answers: &SyncSender<Vec<u8>>) {
    while let Ok(Some(answer)) = read_frame(output) {
        if answers.send(answer).is_err() {
            return;
        }
    }
}

/// What the process does: sets its limits, then answers every request until there are no more.
///
/// # Errors
/// If the other process is gone.
pub fn serve(
    limits: Limits,
    input: &mut dyn Read,
    output: &mut dyn Write,
    answer: &mut dyn FnMut(Vec<u8>) -> Vec<u8>,
) -> io::Result<()> {
    // What cannot be limited is still bounded by the time that the parent grants.
    let limit = |resource, most: u64| _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    limit(Resource::As, limits.memory);
    limit(Resource::Core, 0);
    let began: Arc<Mutex<Option<Instant>>> = Arc::default();
    let since = began.clone();
    // The parent ends this process in time; this is for when the parent is gone.
    thread::Builder::new().name("watch".into()).spawn(move || {
        loop {
            thread::sleep(TICK);
            if since.lock().is_ok_and(|began| began.is_some_and(|began| began.elapsed() > 2 * limits.time)) {
                std::process::abort();
            }
        }
    })?;
    let busy = |at: Option<Instant>| _ = began.lock().map(|mut began| *began = at);
    while let Some(request) = read_frame(input)? {
        busy(Some(Instant::now()));
        let answered = answer(request);
        busy(None);
        write_frame(output, &answered)?;
    }
    Ok(())
}

/// Its length in eight bytes, then the bytes.
fn write_frame(output: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(&(bytes.len() as u64).to_le_bytes())?;
    output.write_all(bytes)?;
    output.flush()
}

/// `None` at the end.
fn read_frame(input: &mut (impl Read + ?Sized)) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 8];
    match input.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u64::from_le_bytes(length);
    let mut bytes = Vec::new();
    if length > LONGEST || input.take(length).read_to_end(&mut bytes)? as u64 != length {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_until_there_are_no_more() {
        let mut asked = Vec::new();
        write_frame(&mut asked, b"one").unwrap();
        write_frame(&mut asked, b"").unwrap();
        let mut input = asked.as_slice();
        assert_eq!(read_frame(&mut input).unwrap().unwrap(), b"one");
        assert_eq!(read_frame(&mut input).unwrap().unwrap(), b"");
        assert_eq!(read_frame(&mut input).unwrap(), None);
        assert!(read_frame(&mut &asked[..9]).is_err());
        assert!(read_frame(&mut &[0xff; 16][..]).is_err());
    }

    #[test]
    fn a_process_that_is_silent_or_gone_is_told_apart() {
        let of = |program: &str, argument: &str| {
            let mut worker = Worker::start(Path::new(program), argument).unwrap();
            worker.ask(b"x", Duration::from_millis(300)).unwrap_err()
        };
        assert!(matches!(of("/bin/sleep", "60"), Ended::TooLong(_)));
        assert!(matches!(of("/bin/sleep", "nonsense"), Ended::Died));
        assert!(matches!(Worker::start(Path::new("/nonexistent"), "x"), Err(Ended::NotStarted(_))));
    }
}
