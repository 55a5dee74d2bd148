//! An engine at the other end of a connection, for tests of what is in front of it.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Hub, Line, connect_line};
use crate::engine::messages::Event;
use crate::engine::testing::engine_with;
use crate::engine::thread::Handle;

/// An engine with a made-up session, elsewhere.
pub fn far_engine() -> Handle {
    let (flag, interrupt) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    far(engine_with(flag.clone()), flag, interrupt)
}

/// The same engine, behind a pair of sockets.
pub fn far(engine: Handle, flag: Arc<AtomicBool>, interrupt: Arc<AtomicBool>) -> Handle {
    let hub = Hub::new(engine, flag, false, Vec::new());
    let (here, there) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        let ended = hub.converse(Line::of_socket(there).unwrap());
        hub.shut_down();
        ended
    });
    let gone = || Err(std::io::Error::other("gone"));
    let mut handle = connect_line(Line::of_socket(here).unwrap(), Box::new(gone), "test", interrupt).unwrap().handle;
    // What is said of the connection itself is left out: the rest has to be as without one.
    let (events, passed) = crossbeam_channel::unbounded();
    let received = std::mem::replace(&mut handle.events, passed);
    std::thread::spawn(move || {
        for mut event in received {
            if let Event::Ready(snapshot) = &mut event {
                Arc::make_mut(snapshot).notices.retain(|notice| !notice.starts_with("connected to"));
            }
            if events.send(event).is_err() {
                return;
            }
        }
    });
    handle
}
