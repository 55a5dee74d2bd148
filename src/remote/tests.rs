//! Sessions elsewhere: interrupts, lookers, broken connections, and other ends that are not what they should be.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::frame::{self, LONGEST_REQUEST, MAGIC, WireError};
use super::wire::{Hello, PROTOCOL, Up, Welcome};
use super::{Connected, Hub, Line, connect_line, switchable};
use crate::answer::Answer;
use crate::engine::messages::{Answered, Event, Request, Source};
use crate::engine::testing::{engine_with, lasting_engine};
use crate::engine::thread::Handle;

const PATIENCE: Duration = Duration::from_secs(30);

fn hub() -> Hub {
    let interrupt = Arc::new(AtomicBool::new(false));
    Hub::new(lasting_engine(interrupt.clone()), interrupt, true, Vec::new())
}

/// The other end of a new connection to the hub.
fn dial(hub: &Hub) -> UnixStream {
    let (here, there) = UnixStream::pair().unwrap();
    let hub = hub.clone();
    std::thread::spawn(move || hub.converse(Line::of_socket(there).unwrap()));
    here
}

/// A client, and the flag that interrupts.
fn client(hub: &Hub) -> (Connected, Arc<AtomicBool>) {
    let (interrupt, again) = (Arc::new(AtomicBool::new(false)), hub.clone());
    let open = move || Line::of_socket(dial(&again));
    let line = Line::of_socket(dial(hub)).unwrap();
    (connect_line(line, Box::new(open), "test", interrupt.clone()).unwrap(), interrupt)
}

fn send(handle: &Handle, id: u64, line: &str) {
    handle.requests.send(Request::Command { id, line: line.into(), source: Source::Option }).unwrap();
}

/// The next answer.
fn answered(handle: &Handle) -> (u64, Answer) {
    loop {
        if let Event::Answer(Answered { id, answer, in_script: false, .. }) =
            handle.events.recv_timeout(PATIENCE).expect("an answer")
        {
            return (id, answer);
        }
    }
}

fn text(answer: Answer) -> String {
    match answer {
        Answer::Text(text) => text,
        Answer::Error(error) => format!("error: {}", error.message),
        Answer::Stop(stop) => stop.reason.word().to_string(),
        other => format!("{other:?}"),
    }
}

fn ask(handle: &Handle, line: &str) -> String {
    send(handle, 7, line);
    text(answered(handle).1)
}

#[test]
fn an_interrupt_overtakes_the_command_that_runs() {
    let hub = hub();
    let (Connected { handle, drives }, interrupt) = client(&hub);
    assert!(drives);
    send(&handle, 1, "loop");
    while !matches!(handle.events.recv_timeout(PATIENCE).unwrap(), Event::Progress { .. }) {}
    interrupt.store(true, Ordering::SeqCst);
    assert_eq!(text(answered(&handle).1), "interrupt");
    assert_eq!(ask(&handle, "step"), "at op 1");
}

#[test]
fn one_drives_and_the_others_look() {
    let hub = hub();
    let (driver, _) = client(&hub);
    assert_eq!(ask(&driver.handle, "step"), "at op 1");
    let (looker, _) = client(&hub);
    assert!(!looker.drives);
    assert!(ask(&looker.handle, "step").starts_with("error: another connection drives"));
    assert_eq!(ask(&looker.handle, "info stops"), "asked info stops");
    // It sees what the driver does.
    assert_eq!(ask(&driver.handle, "step"), "at op 2");
    let seen = |op: usize| loop {
        match looker.handle.events.recv_timeout(PATIENCE).unwrap() {
            Event::Moved(snapshot) | Event::Ready(snapshot) if snapshot.cursor == op => return,
            _ => {}
        }
    };
    seen(2);
    // When the driver has left, who asks first drives; `quit` ends what its user sees, not the session.
    assert_eq!(ask(&driver.handle, "quit"), "");
    driver.handle.requests.send(Request::Shutdown).unwrap();
    driver.handle.join.join().unwrap();
    let start = Instant::now();
    while ask(&looker.handle, "step") != "at op 3" {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A connection that ends after so many bytes, in either direction.
fn fragile(hub: &Hub, most: usize) -> std::io::Result<Line> {
    let (far, near) = (dial(hub), UnixStream::pair()?);
    let left = Arc::new(AtomicUsize::new(most));
    for (mut from, mut to) in [(far.try_clone()?, near.1.try_clone()?), (near.1, far)] {
        let left = left.clone();
        std::thread::spawn(move || {
            let mut some = [0; 64];
            while let Ok(count @ 1..) = from.read(&mut some) {
                let take =
                    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(count)));
                let count = take.unwrap_or(0).min(count);
                if count == 0 || to.write_all(&some[..count]).is_err() {
                    break;
                }
            }
            _ = from.shutdown(std::net::Shutdown::Both);
            _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
    Line::of_socket(near.0)
}

proptest! {
    #![proptest_config(Config { cases: 12, failure_persistence: None, ..Config::default() })]

    /// However often the connection breaks, and wherever in a message: every command is carried out once, and answered once.
    #[test]
    fn a_connection_cut_at_any_moment_loses_no_command(lengths in prop::collection::vec(200_usize..4000, 1..6)) {
        let hub = hub();
        let cuts = Arc::new(Mutex::new(lengths.into_iter()));
        let again = hub.clone();
        let next = move || {
            let length = cuts.lock().unwrap().next().unwrap_or(usize::MAX);
            fragile(&again, length)
        };
        let interrupt = Arc::new(AtomicBool::new(false));
        // The introduction itself is not repeated: the first connection lives through it.
        let first = fragile(&hub, 900).unwrap();
        let Connected { handle, .. } = connect_line(first, Box::new(next), "test", interrupt).unwrap();
        for id in 1..=40 {
            send(&handle, id, "step");
            if id % 3 == 0 {
                send(&handle, 100 + id, "say something that makes the message longer");
            }
        }
        let mut steps = Vec::new();
        while steps.len() < 40 {
            let (id, answer) = answered(&handle);
            if id <= 40 {
                steps.push((id, text(answer)));
            }
        }
        let wanted: Vec<_> = (1..=40).map(|op| (op, format!("at op {op}"))).collect();
        prop_assert_eq!(steps, wanted);
        prop_assert_eq!(ask(&handle, "step"), "at op 41");
    }

    /// Whatever somebody sends, before or after an introduction: the session goes on, and its other clients with it.
    #[test]
    fn bytes_of_any_kind_harm_nobody(bytes in prop::collection::vec(any::<u8>(), 0..400), polite in 0..3) {
        let hub = hub();
        let mut odd = dial(&hub);
        if polite > 0 {
            odd.write_all(MAGIC).unwrap();
        }
        if polite > 1 {
            let hello = Hello { protocol: PROTOCOL, version: "x".into(), client: "odd".into(), received: 0 };
            odd.write_all(&frame::encode(&hello, 1 << 20).unwrap()).unwrap();
        }
        // It may have been thrown out already.
        _ = odd.write_all(&bytes);
        let (Connected { handle, .. }, _) = client(&hub);
        drop(odd);
        let said = ask(&handle, "say x");
        prop_assert_eq!(said, "x");
    }
}

#[test]
fn what_claims_to_be_long_takes_no_memory_and_is_refused() {
    let claim = |length: u32| frame::read::<Up>(&mut &length.to_be_bytes()[..], LONGEST_REQUEST);
    assert!(matches!(claim(u32::MAX), Err(WireError::TooLong { .. })));
    // What is short of its length is cut, and no more is taken than has come.
    assert!(matches!(claim(LONGEST_REQUEST as u32), Err(WireError::Cut)));
    // A list that claims more entries than there are bytes.
    let bomb = [0x9b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert!(matches!(frame::decode::<Vec<String>>(&bomb), Err(WireError::Malformed(_))));
    let deep = vec![0x81; 100_000];
    assert!(matches!(frame::decode::<Vec<Up>>(&deep), Err(WireError::Malformed(_))));
}

#[test]
fn other_protocols_and_other_programs_are_refused_by_name() {
    let hub = hub();
    let mut old = dial(&hub);
    old.write_all(MAGIC).unwrap();
    let hello = Hello { protocol: 99, version: "9.9".into(), client: "old".into(), received: 0 };
    frame::write(&mut old, &hello, 1 << 20).unwrap();
    frame::read_magic(&mut old).unwrap();
    let welcome: Welcome = frame::read(&mut old, 1 << 20).unwrap().unwrap();
    assert_eq!(welcome.protocol, PROTOCOL);
    assert!(frame::read::<Welcome>(&mut old, 1 << 20).unwrap().is_none(), "nothing follows");
    // A client meets a newer server, and something else.
    let meet = |bytes: Vec<u8>| {
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(&bytes).unwrap();
        there.shutdown(std::net::Shutdown::Write).unwrap();
        let gone = || Err(std::io::Error::other("gone"));
        let met = connect_line(Line::of_socket(here).unwrap(), Box::new(gone), "test", Arc::default());
        met.err().unwrap().to_string()
    };
    let newer = Welcome { protocol: 7, version: "9.9".into(), ..Welcome::default() };
    let newer = [MAGIC.to_vec(), frame::encode(&newer, 1 << 20).unwrap()].concat();
    assert!(meet(newer).contains("speaks protocol 7 (llmdbg 9.9), and this program protocol 1"));
    let said = meet(b"Welcome to box.example.org!\n".to_vec());
    assert_eq!(said, "the other end is not an llmdbg server: it said \"Welcome to box.example.org!\"");
    assert!(meet(Vec::new()).ends_with("it said nothing"));
}

#[test]
fn one_who_does_not_read_is_left_and_holds_up_nobody() {
    let hub = hub();
    let mut deaf = dial(&hub);
    deaf.write_all(MAGIC).unwrap();
    let hello = Hello { protocol: PROTOCOL, version: "x".into(), client: "deaf".into(), received: 0 };
    frame::write(&mut deaf, &hello, 1 << 20).unwrap();
    let long = "x".repeat(1 << 20);
    for number in 1..=100 {
        let request = Request::Command { id: number, line: format!("say {long}"), source: Source::Option };
        // At some point it is left.
        if frame::write(&mut deaf, &Up::Request { number, request }, LONGEST_REQUEST).is_err() {
            break;
        }
    }
    let (Connected { handle, .. }, _) = client(&hub);
    let start = Instant::now();
    while ask(&handle, "step") != "at op 1" {
        assert!(start.elapsed() < PATIENCE, "the one that does not read still drives");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A session of this process that `target remote` can leave, and the flag that interrupts it.
fn here() -> (Handle, Arc<AtomicBool>) {
    let interrupt = Arc::new(AtomicBool::new(false));
    let handle = switchable(engine_with(interrupt.clone()), interrupt.clone()).unwrap();
    assert!(matches!(handle.events.recv_timeout(PATIENCE).unwrap(), Event::Ready(_)));
    (handle, interrupt)
}

#[test]
fn a_connection_that_is_never_made_is_given_up() {
    let (handle, interrupt) = here();
    assert_eq!(ask(&handle, "step"), "at op 1");
    send(&handle, 9, "target remote | sleep 600");
    while !matches!(handle.events.recv_timeout(PATIENCE).unwrap(), Event::Progress { .. }) {}
    interrupt.store(true, Ordering::SeqCst);
    let (id, said) = answered(&handle);
    assert_eq!((id, text(said).as_str()), (9, "error: interrupted while connecting to | sleep 600"));
    assert!(ask(&handle, "target remote | echo hello").contains("not an llmdbg server: it said \"hello\""));
    assert_eq!(ask(&handle, "step"), "at op 2");
}

#[test]
fn when_a_session_elsewhere_ends_the_one_of_this_process_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let flag = Arc::new(AtomicBool::new(false));
    let hub = Hub::new(engine_with(flag.clone()), flag, false, Vec::new());
    let serving = hub.clone();
    std::thread::spawn(move || {
        let (line, _) = listener.accept().unwrap();
        serving.converse(Line::of_socket(line).unwrap())
    });
    let (handle, _) = here();
    assert_eq!(ask(&handle, "step"), "at op 1");
    assert!(ask(&handle, &format!("target remote {}", socket.display())).starts_with("connected to"));
    assert_eq!(ask(&handle, "step"), "at op 1", "the other session has its own place");
    hub.shut_down();
    // It is reported once, before anything else is asked or as the answer of what was.
    let mut reported = false;
    for _ in 0..2 {
        send(&handle, 7, "step");
        loop {
            match handle.events.recv_timeout(PATIENCE).expect("an answer") {
                Event::Answer(Answered { answer: Answer::Error(error), in_script, .. }) => {
                    assert!(error.message.contains("this is the session of this process"), "{}", error.message);
                    reported = true;
                    if !in_script {
                        break;
                    }
                }
                Event::Answer(Answered { answer, .. }) => {
                    assert_eq!(text(answer), "at op 2");
                    assert!(reported);
                    return;
                }
                _ => {}
            }
        }
    }
    panic!("no step of this process");
}
