//! The doors of a server: its own input and output, or a socket that only the user may open.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::umask;

use super::hub::Hub;
use super::line::Line;

/// How long a new connection has to say what it is.
const INTRODUCTION: Duration = Duration::from_secs(20);

/// How long a client may leave what it is sent unread before its connection ends.
const UNREAD: Duration = Duration::from_secs(60);

/// How many connections there may be, those that have not introduced themselves among them.
const MOST_CONNECTIONS: usize = 32;

/// Where clients come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// The input and output of this process, which is one connection; the session ends with it.
    Stdio,
    /// A socket; the session outlives its connections.
    Socket(PathBuf),
}

/// A door that is open. A socket is removed when it is dropped.
pub struct Open(Option<(UnixListener, Remove)>);

impl Door {
    /// Opens it. This is to be done before other threads make files: it changes for a moment who may read them.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub fn open(&self) -> io::Result<Open> {
        Ok(Open(match self {
            Door::Stdio => None,
            Door::Socket(path) => Some((listen(path)?, Remove(path.clone()))),
        }))
    }
}

/// Serves an engine. Returns when it has ended, or with [`Door::Stdio`] when the connection has.
pub fn serve(hub: &Hub, door: Open) {
    match door.0 {
        None => {
            let line = Line {
                input: Box::new(io::stdin()),
                output: Box::new(io::stdout()),
                close: Box::new(|| ()),
                said: Arc::default(),
            };
            let talk = hub.clone();
            let (ended, end) = crossbeam_channel::bounded::<()>(1);
            let waiting = ended.clone();
            std::thread::spawn(move || {
                if let Err(error) = talk.converse(line) {
                    tracing::warn!("{error}");
                    // There may be nobody to read it.
                    _ = writeln!(io::stderr(), "llmdbg: {error}");
                }
                _ = ended.send(());
            });
            // A thread that waits for input has no end when the engine ends.
            let engine = hub.clone();
            std::thread::spawn(move || {
                engine.wait(true);
                _ = waiting.send(());
            });
            _ = end.recv();
            hub.shut_down();
        }
        Some((socket, _remove)) => {
            let accepting = hub.clone();
            std::thread::spawn(move || accept(&accepting, &socket));
            hub.wait(false);
        }
    }
}

fn accept(hub: &Hub, socket: &UnixListener) {
    let open = Arc::new(());
    for connection in socket.incoming().flatten() {
        if Arc::strong_count(&open) > MOST_CONNECTIONS {
            continue;
        }
        let (hub, counted) = (hub.clone(), open.clone());
        std::thread::spawn(move || {
            let _counted = counted;
            if let Err(error) = introduce(&hub, connection) {
                tracing::warn!("a connection: {error}");
            }
        });
    }
}

fn introduce(hub: &Hub, connection: UnixStream) -> Result<(), super::WireError> {
    let clock = connection.try_clone()?;
    connection.set_read_timeout(Some(INTRODUCTION))?;
    connection.set_write_timeout(Some(UNREAD))?;
    let mut line = Line::of_socket(connection)?;
    // Once the first message is there, the client may be silent for as long as it likes.
    line.input = Box::new(Patient { inner: line.input, clock: Some(clock), read: 0 });
    hub.converse(line)
}

/// An input whose time limit ends with the introduction.
struct Patient {
    inner: Box<dyn Read + Send>,
    clock: Option<UnixStream>,
    read: usize,
}

impl Read for Patient {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.read += count;
        // The greeting, a length, and the beginning of a message.
        if self.read > 20
            && let Some(clock) = self.clock.take()
        {
            clock.set_read_timeout(None)?;
        }
        Ok(count)
    }
}

/// Makes the socket, for this user alone. One that nobody listens at any more is replaced.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(named(io::Error::new(ErrorKind::AlreadyExists, "there is a file of that name")));
        }
        match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(named)?,
            _ => return Err(named(io::Error::new(ErrorKind::AddrInUse, "a server listens there already"))),
        }
    }
    // From its first moment on, nobody else may open it.
    let before = umask(Mode::from_bits_truncate(0o177));
    let socket = UnixListener::bind(path).map_err(named);
    umask(before);
    socket
}

/// Removes the socket at the end.
struct Remove(PathBuf);

impl Drop for Remove {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        _ = fs::remove_file(&self.0);
    }
}

/// Joins input and output of this process to the socket of a server, for `ssh box llmdbg attach SOCKET`.
///
/// # Errors
/// If nobody listens there, or the connection breaks.
pub fn relay(path: &Path) -> io::Result<()> {
    let socket = UnixStream::connect(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let mut from = socket.try_clone()?;
    let mut to = socket.try_clone()?;
    std::thread::spawn(move || {
        // At the end of the input the server is informed, and its last words are still passed on.
        _ = io::copy(&mut io::stdin().lock(), &mut to);
        _ = to.shutdown(std::net::Shutdown::Write);
    });
    let mut out = io::stdout().lock();
    let mut some = [0; 1 << 16];
    loop {
        match from.read(&mut some) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                out.write_all(&some[..count])?;
                out.flush()?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
