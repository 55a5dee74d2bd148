//! The whole interface without a terminal: pictures of it, what keys do, what frames cost, and that nothing fails at
//! any size.

mod answers;
mod budget;
mod finding;
mod first_minute;
mod keys;
mod panes;
mod pictures;
mod pixels;
mod pty;
mod random;
mod screenshots;
mod tour;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::fixture;
use super::message::{Effect, Msg};
use super::state::State;
use super::update::update;
use super::view;
use crate::answer::Answer;
use crate::engine::messages::{Answered, Event, Request, Snapshot};
use crate::term::{Chord, ColorDepth, Input};

/// The interface with a fake engine that answers panels at once and keeps command lines.
struct Session {
    state: State,
    snapshot: Snapshot,
    /// Command lines sent and not yet answered: number and line.
    commands: Vec<(u64, String)>,
    /// Every other effect.
    effects: Vec<Effect>,
    now: Instant,
}

/// The answer of a command that was requested as `id`.
fn answered(id: u64, line: String, answer: Answer) -> Event {
    Event::Answer(Answered { id, line, answer, at: None, ms: 1.0, printed: Vec::new(), in_script: false })
}

impl Session {
    /// Stopped at the breakpoint of the fixture, in a window of this size.
    fn new(depth: ColorDepth, size: (u16, u16)) -> Self {
        let mut session = Self::loading(depth, size);
        session.give(Event::Ready(Arc::new(session.snapshot.clone())));
        session.type_line("continue");
        session.answer(Answer::Stop(fixture::stop()));
        session
    }

    /// Before the model is loaded.
    fn loading(depth: ColorDepth, size: (u16, u16)) -> Self {
        let mut session = Self {
            state: fixture::state(depth),
            snapshot: fixture::snapshot_at("blocks.2.attn.pattern"),
            commands: Vec::new(),
            effects: Vec::new(),
            now: Instant::now(),
        };
        session.resize(size);
        session
    }

    fn send(&mut self, msg: Msg) {
        let mut waiting = vec![msg];
        while let Some(msg) = waiting.pop() {
            for effect in update(&mut self.state, msg) {
                match effect {
                    Effect::Request(Request::Panel(request)) => {
                        let panel = fixture::panel(&self.snapshot, &request);
                        waiting.push(Msg::Engine(Box::new(Event::Panel { request, panel: Ok(panel) }), self.now));
                    }
                    Effect::Request(Request::Query { line }) => {
                        let answer = fixture::answer(&line);
                        waiting.push(Msg::Engine(Box::new(Event::Queried { line, answer }), self.now));
                    }
                    Effect::Request(Request::Check { line }) => {
                        let fault = line.starts_with("wrong").then(|| (0..5, "no such command".to_string()));
                        waiting.push(Msg::Engine(Box::new(Event::Checked { line, fault }), self.now));
                    }
                    Effect::Request(Request::Command { id, line, .. }) => self.commands.push((id, line)),
                    effect => self.effects.push(effect),
                }
            }
        }
    }

    /// Gives an event as it comes from a session elsewhere, which is as it comes from one here.
    fn give(&mut self, event: Event) {
        let event = crate::remote::again(&event).expect("an event crosses a connection");
        self.send(Msg::Engine(Box::new(event), self.now));
    }

    /// A second passes, so that nothing counts as held down or pressed twice; then a key.
    fn press(&mut self, chord: Chord) {
        self.now += Duration::from_secs(2);
        self.send(Msg::Input(Input::Key(chord), self.now));
    }

    /// Time passes without anything happening.
    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.send(Msg::Tick(self.now));
    }

    /// Types a text at the prompt.
    fn type_text(&mut self, text: &str) {
        text.chars().for_each(|c| self.press(Chord::char(c)));
    }

    fn keys(&mut self, names: &str) {
        names.split(' ').for_each(|name| self.press(Chord::parse(name).expect("a key")));
    }

    fn type_line(&mut self, line: &str) {
        self.press(Chord::char(':'));
        line.chars().for_each(|c| self.press(Chord::char(c)));
        self.keys("Enter");
    }

    /// Answers the oldest command.
    fn answer(&mut self, answer: Answer) {
        let (id, line) = self.commands.remove(0);
        self.give(answered(id, line, answer));
    }

    /// Moves the cursor to before `site`.
    fn stop_at(&mut self, site: &str) {
        self.snapshot = fixture::snapshot_at(site);
        self.give(Event::Moved(Arc::new(self.snapshot.clone())));
    }

    fn resize(&mut self, (width, height): (u16, u16)) {
        self.send(Msg::Input(Input::Resize(width, height), self.now));
    }

    fn picture(&self) -> Buffer {
        let area = Rect::new(0, 0, self.state.size.0, self.state.size.1);
        let mut buffer = Buffer::empty(area);
        view::draw(&self.state, area, &mut buffer);
        buffer
    }

    /// The screen as lines of text without styles.
    fn lines(&self) -> Vec<String> {
        text_of(&self.picture())
    }

    /// The commands sent, as lines.
    fn sent(&self) -> Vec<&str> {
        self.commands.iter().map(|(_, line)| line.as_str()).collect()
    }
}

fn text_of(buffer: &Buffer) -> Vec<String> {
    let row = |y| -> String {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            skip = super::text::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        line.trim_end().to_string()
    };
    (0..buffer.area.height).map(row).collect()
}
