//! A connection as two byte streams, and what it is made with: a command, such as ssh, or a socket.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// How much of what a command says on its error output is kept.
const KEPT: usize = 4 << 10;

/// A connection.
pub struct Line {
    pub input: Box<dyn Read + Send>,
    pub output: Box<dyn Write + Send>,
    /// Ends it, so that a thread that reads from it goes on.
    pub close: Box<dyn Fn() + Send + Sync>,
    /// What the command that carries it has said about itself.
    pub said: Arc<Mutex<String>>,
}

impl Line {
    /// A socket.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn of_socket(socket: UnixStream) -> io::Result<Line> {
        let (output, closing) = (socket.try_clone()?, socket.try_clone()?);
        Ok(Line {
            input: Box::new(socket),
            output: Box::new(output),
            close: Box::new(move || _ = closing.shutdown(std::net::Shutdown::Both)),
            said: Arc::default(),
        })
    }

    /// What the command has said, for a message: on lines of its own.
    pub fn complaint(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.trim().is_empty() { String::new() } else { format!("\n{}", said.trim()) }
    }
}

/// Where a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A command whose input and output are the connection: `ssh box llmdbg serve --stdio tiny-gpt2`.
    Command(String),
    /// A socket of this machine.
    Socket(PathBuf),
}

impl Target {
    /// As `--connect` and `target remote` take it. What begins with a bar or has more than one word is a command,
    /// unless there is a socket of that name.
    pub fn parse(text: &str) -> Target {
        let text = text.trim();
        let is_socket = |path: &Path| path.metadata().is_ok_and(|found| found.file_type().is_socket());
        match text.strip_prefix('|') {
            Some(command) => Target::Command(command.trim().to_string()),
            None if !is_socket(Path::new(text)) && text.contains(char::is_whitespace) => Target::Command(text.into()),
            None => Target::Socket(text.into()),
        }
    }

    /// Makes the connection.
    ///
    /// # Errors
    /// If there is no such socket, or the command cannot be started.
    pub fn open(&self) -> io::Result<Line> {
        match self {
            Target::Socket(path) => Line::of_socket(UnixStream::connect(path)?),
            Target::Command(command) => run(command),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Command(command) => write!(f, "| {command}"),
            Target::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Starts a command. Ctrl-C in the terminal is meant for the program at the other end, which is informed by a message: the
/// command ignores it.
fn run(command: &str) -> io::Result<Line> {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("trap '' INT QUIT TSTP\n{command}"));
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let missing = || io::Error::other("the command has no pipes");
    let (input, output) = (child.stdout.take().ok_or_else(missing)?, child.stdin.take().ok_or_else(missing)?);
    let said = Arc::new(Mutex::new(String::new()));
    if let Some(mut errors) = child.stderr.take() {
        let said = said.clone();
        std::thread::Builder::new().name("remote-errors".into()).spawn(move || {
            let mut some = [0; 1024];
            while let Ok(count @ 1..) = errors.read(&mut some) {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                *said += &String::from_utf8_lossy(&some[..count]);
                let extra = said.len().saturating_sub(KEPT);
                let from = (extra..=said.len()).find(|&at| said.is_char_boundary(at)).unwrap_or(0);
                said.drain(..from);
            }
        })?;
    }
    let child = Mutex::new(child);
    Ok(Line {
        input: Box::new(input),
        output: Box::new(output),
        close: Box::new(move || end(&mut child.lock().unwrap_or_else(PoisonError::into_inner))),
        said,
    })
}

/// Ends a command, which may have ended by itself.
fn end(child: &mut Child) {
    _ = child.kill();
    _ = child.wait();
}
