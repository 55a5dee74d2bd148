//! The loop around the core: wait, take everything that has arrived, draw once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError};
use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::console::Kind;
use super::message::{Effect, Msg};
use super::state::{Dirty, State};
use super::update::update;
use super::view::view;
use crate::engine::messages::{Event, Request};
use crate::term::graphics::query::Question;
use crate::term::graphics::{Picture, Surface};
use crate::term::{Input, Signal};

/// Shortest time between frames.
const FRAME: Duration = Duration::from_millis(16);

/// Shortest time between frames that show only progress.
const SLOW_FRAME: Duration = Duration::from_millis(100);

/// How many messages are taken before a frame is drawn, so that a flood of them cannot freeze the screen.
const DRAIN: usize = 256;

pub struct Wiring {
    pub requests: Sender<Request>,
    pub events: Receiver<Event>,
    pub inputs: Receiver<Input>,
    pub signals: Receiver<Signal>,
    /// Makes the engine stop before the next op.
    pub interrupt: Arc<AtomicBool>,
}

/// The effects that the core leaves to its caller.
pub trait Host {
    /// Copies a text; returns a message that says where to.
    fn copy(&mut self, text: &str) -> String;
    /// Restores the terminal, stops the process, and takes the terminal again when the process continues.
    fn suspend(&mut self) -> io::Result<()>;
    /// Takes the terminal again after a stop from outside.
    fn retake(&mut self) -> io::Result<()>;
    /// Writes a picture of the screen; returns the name of the file.
    fn keep_picture(&mut self, svg: &str) -> io::Result<String>;
    /// Asks the terminal about itself.
    fn ask(&mut self, what: Question) -> io::Result<()>;
    /// Shows pictures over the cells of the frame that is in `buffer`, and none besides them.
    fn show_pictures(&mut self, surface: Option<Surface>, pictures: Vec<Picture>, buffer: &mut Buffer);
    /// Takes the mouse, or leaves it to the terminal.
    fn mouse(&mut self, on: bool) -> io::Result<()>;
    /// Keeps a line for the next session.
    fn remember(&mut self, line: &str) -> io::Result<()>;
}

/// Runs until the interface ends; returns the exit status and a message for standard error.
pub fn drive<B: Backend<Error = E>, E: std::error::Error + Send + Sync + 'static>(
    terminal: &mut Terminal<B>,
    state: &mut State,
    wiring: &Wiring,
    host: &mut impl Host,
) -> color_eyre::Result<(i32, String)> {
    let size = terminal.size()?;
    state.size = (size.width, size.height);
    let mut last_frame: Option<Instant> = None;
    loop {
        let now = Instant::now();
        let due = match state.dirty {
            Dirty::No => None,
            Dirty::Slow => Some(last_frame.map_or(now, |last| last + SLOW_FRAME)),
            Dirty::Now => Some(last_frame.map_or(now, |last| last + FRAME)),
        };
        if due.is_some_and(|due| due <= now) {
            terminal.draw(|frame| {
                let pictures = view(state, frame);
                host.show_pictures(state.pixels.surface(), pictures, frame.buffer_mut());
            })?;
            state.dirty = Dirty::No;
            last_frame = Some(now);
            continue;
        }
        let deadline = due.into_iter().chain(state.wake()).min();
        let mut message = Some(wait(wiring, deadline));
        let mut taken = 0;
        while let Some(current) = message {
            for effect in update(state, current) {
                if let Effect::Leave { status, error } = effect {
                    return Ok((status, error));
                }
                perform(effect, terminal, state, wiring, host)?;
            }
            taken += 1;
            message = if taken < DRAIN { poll(wiring) } else { None };
        }
    }
}

fn perform<B: Backend<Error = E>, E: std::error::Error + Send + Sync + 'static>(
    effect: Effect,
    terminal: &mut Terminal<B>,
    state: &mut State,
    wiring: &Wiring,
    host: &mut impl Host,
) -> color_eyre::Result<()> {
    match effect {
        // If the engine is gone, the channel of events reports it.
        Effect::Request(request) => drop(wiring.requests.send(request)),
        Effect::Interrupt => wiring.interrupt.store(true, Ordering::SeqCst),
        Effect::Copy(text) => {
            let said = host.copy(&text);
            state.console.push(Kind::Notice, said);
            state.dirty = Dirty::Now;
        }
        Effect::Picture => {
            let area = Rect::new(0, 0, state.size.0, state.size.1);
            let mut buffer = Buffer::empty(area);
            super::view::draw(state, area, &mut buffer);
            let said = match host.keep_picture(&super::svg::svg(&buffer)) {
                Ok(name) => (Kind::Notice, format!("The screen is in {name}.")),
                Err(error) => (Kind::Error, format!("cannot write a picture of the screen: {error}")),
            };
            state.console.push(said.0, said.1);
            state.dirty = Dirty::Now;
        }
        Effect::Ask(what) => host.ask(what)?,
        Effect::Mouse(on) => host.mouse(on)?,
        Effect::Remember(line) => {
            if let Err(error) = host.remember(&line) {
                state.console.push(Kind::Notice, format!("history not saved: {error}"));
            }
        }
        Effect::Suspend | Effect::Retake | Effect::Repaint => {
            match effect {
                Effect::Suspend => host.suspend()?,
                Effect::Retake => host.retake()?,
                _ => {}
            }
            // The next frame is to draw every cell. The clear function of the library asks the terminal for its cursor,
            // and fails if no answer comes.
            let size = terminal.size()?;
            state.size = (size.width, size.height);
            terminal.resize(Rect::new(0, 0, size.width, size.height))?;
            state.dirty = Dirty::Now;
        }
        Effect::Leave { .. } => {}
    }
    Ok(())
}

/// The next message, waiting for it until `deadline`.
fn wait(wiring: &Wiring, deadline: Option<Instant>) -> Msg {
    if let Some(message) = poll(wiring) {
        return message;
    }
    let mut select = Select::new();
    select.recv(&wiring.inputs);
    select.recv(&wiring.events);
    select.recv(&wiring.signals);
    match deadline {
        Some(deadline) => drop(select.ready_deadline(deadline)),
        None => drop(select.ready()),
    }
    poll(wiring).unwrap_or_else(|| Msg::Tick(Instant::now()))
}

/// A message that has already arrived: signals first, then keys.
fn poll(wiring: &Wiring) -> Option<Msg> {
    if let Ok(signal) = wiring.signals.try_recv() {
        return Some(Msg::Signal(signal, Instant::now()));
    }
    match wiring.inputs.try_recv() {
        Ok(input) => return Some(Msg::Input(input, Instant::now())),
        // The thread that reads the keyboard has ended: there is no terminal any more.
        Err(TryRecvError::Disconnected) => return Some(Msg::Signal(Signal::Hangup, Instant::now())),
        Err(TryRecvError::Empty) => {}
    }
    match wiring.events.try_recv() {
        Ok(event) => Some(Msg::Engine(Box::new(event), Instant::now())),
        Err(TryRecvError::Disconnected) => Some(Msg::EngineGone),
        Err(TryRecvError::Empty) => None,
    }
}
