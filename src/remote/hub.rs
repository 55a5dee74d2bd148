//! One engine and its clients: connections, and what happens when one breaks.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::frame::{self, LONGEST_REQUEST, MAGIC, WireError};
use super::line::Line;
use super::state::{Owner, State};
use super::wire::{Hello, LONGEST_HELLO, PROTOCOL, Up, Welcome};
use crate::engine::messages::{Request, Snapshot};
use crate::engine::thread::Handle;

/// How long clients have to read the last events of an engine that has ended.
const FAREWELL: Duration = Duration::from_secs(10);

/// An engine and its clients.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Something happened that a connection may have to send.
    news: Condvar,
    interrupt: Arc<AtomicBool>,
    session: String,
    outlives: bool,
}

impl Hub {
    /// Takes over an engine. `start` is what it is asked first, by nobody: what is refused of it becomes a notice.
    pub fn new(engine: Handle, interrupt: Arc<AtomicBool>, outlives: bool, start: Vec<Request>) -> Hub {
        let Handle { requests, events, .. } = engine;
        let own = || Owner { client: String::new(), looked: None, size: 0 };
        let owners = start.iter().map(|_| own()).collect();
        // If the engine has ended already, its events say why.
        start.into_iter().for_each(|request| _ = requests.send(request));
        let state = State {
            requests,
            owners,
            peers: BTreeMap::new(),
            driver: None,
            snapshot: None,
            failed: None,
            ended: false,
            connections: 0,
            notices: Vec::new(),
        };
        let shared = Shared { state: Mutex::new(state), news: Condvar::new(), interrupt, session: token(), outlives };
        let hub = Hub { shared: Arc::new(shared) };
        let pump = hub.clone();
        std::thread::spawn(move || {
            for event in events {
                pump.lock().take(event);
                pump.shared.news.notify_all();
            }
            pump.lock().ended = true;
            pump.shared.news.notify_all();
        });
        hub
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the engine has ended.
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Why the model could not be opened, if it could not.
    pub fn failure(&self) -> Option<String> {
        self.lock().failed.clone()
    }

    /// Ends the engine, and with it every connection.
    pub fn shut_down(&self) {
        self.shared.interrupt.store(true, Ordering::SeqCst);
        // It may have ended.
        _ = self.lock().requests.send(Request::Shutdown);
    }

    /// Waits until the engine has ended and its last events are sent, or nobody reads them. With `somebody`, they are for
    /// a client that may still be on its way.
    pub fn wait(&self, somebody: bool) {
        let mut state = self.lock();
        while !state.ended {
            state = self.shared.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let end = Instant::now() + FAREWELL;
        let open = |state: &State| {
            (somebody && state.connections == 0) || state.peers.values().any(|peer| peer.connection.is_some())
        };
        while open(&state) && Instant::now() < end {
            let waited = self.shared.news.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Serves a connection until it ends.
    ///
    /// # Errors
    /// If the other end is not a client of this protocol, or says what it must not.
    pub fn converse(&self, line: Line) -> Result<(), WireError> {
        let Line { mut input, mut output, close, .. } = line;
        let welcome = |refused: &str| Welcome {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            refused: refused.into(),
            ..Welcome::default()
        };
        output.write_all(MAGIC)?;
        frame::read_magic(&mut input)?;
        let hello: Hello = frame::read(&mut input, LONGEST_HELLO)?.ok_or(WireError::Cut)?;
        if hello.protocol != PROTOCOL {
            // It gets the number, and finds the words itself.
            frame::write(&mut output, &welcome(""), LONGEST_HELLO)?;
            return Err(WireError::Protocol { theirs: hello.protocol, version: hello.version });
        }
        let attached = self.lock().attach(&hello);
        let (connection, accepted, resumed, drives) = match attached {
            Ok(attached) => attached,
            Err(refused) => {
                frame::write(&mut output, &welcome(&refused.to_string()), LONGEST_HELLO)?;
                return Err(refused);
            }
        };
        let folder = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
        let notices = self.lock().notices.iter().take(20).map(|notice| notice.chars().take(300).collect()).collect();
        let (session, outlives) = (self.shared.session.clone(), self.shared.outlives);
        let welcome = Welcome { session, outlives, accepted, resumed, drives, folder, notices, ..welcome("") };
        let client = hello.client;
        let said = frame::write(&mut output, &welcome, usize::MAX).and_then(|()| {
            let (hub, name) = (self.clone(), client.clone());
            // The writer ends when this connection does.
            std::thread::scope(|scope| {
                let close = &close;
                scope.spawn(move || {
                    let sent = hub.send_all(&name, connection, &mut output);
                    if let Err(error) = sent {
                        tracing::info!("a client is gone: {error}");
                    }
                    drop(output);
                    hub.lock().detach(&name, connection, hub.shared.outlives);
                    hub.shared.news.notify_all();
                    close();
                });
                let heard = self.listen(&client, connection, &mut input);
                self.lock().detach(&client, connection, self.shared.outlives);
                self.shared.news.notify_all();
                close();
                heard
            })
        });
        if said.is_err() {
            self.lock().detach(&client, connection, self.shared.outlives);
        }
        said
    }

    /// Sends what a client has to get, until its connection ends.
    fn send_all(&self, client: &str, connection: u64, output: &mut dyn Write) -> Result<(), WireError> {
        let mut has: Option<Arc<Snapshot>> = None;
        loop {
            let mut state = self.lock();
            let (number, accepted, content) = loop {
                let ended = state.ended;
                let Some(peer) = state.peers.get_mut(client).filter(|peer| peer.connection == Some(connection)) else {
                    return Ok(());
                };
                if let Some(next) = peer.next() {
                    break next;
                }
                if ended && peer.is_drained() {
                    return Ok(());
                }
                state = self.shared.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            output.write_all(&content.message(number, accepted, has.as_deref())?)?;
            output.flush()?;
            if let super::peer::Content::Snapshot { snapshot, .. } = &content {
                has = Some(snapshot.clone());
            }
        }
    }

    /// Takes what a client says, until its connection ends.
    fn listen(&self, client: &str, connection: u64, input: &mut dyn std::io::Read) -> Result<(), WireError> {
        let mut input = input;
        while let Some(message) = frame::read::<Up>(&mut input, LONGEST_REQUEST)? {
            let mut state = self.lock();
            if state.peers.get(client).is_none_or(|peer| peer.connection != Some(connection)) {
                return Ok(());
            }
            match message {
                Up::Request { number, request } => state.ask(client, number, request)?,
                Up::Interrupt if state.may_interrupt(client) => self.shared.interrupt.store(true, Ordering::SeqCst),
                Up::Interrupt => {}
                Up::Received(number) => state.peers.entry(client.into()).or_default().received(number),
                Up::Leave => {
                    state.forget(client);
                    return Ok(());
                }
            }
            drop(state);
            self.shared.news.notify_all();
        }
        Ok(())
    }
}

/// A number that no other process has.
pub fn token() -> String {
    let random = || RandomState::new().hash_one((std::process::id(), Instant::now()));
    format!("{:016x}{:016x}", random(), random())
}
