//! The full-screen interface.
//!
//! A pure core: [`update::update`] applies a [`message::Msg`] to the [`state::State`] and returns effects,
//! [`view::view`] draws the state. Around it one loop ([`drive`]) waits for the engine, the keyboard and signals, and
//! draws at most every 16 ms, and only if something happened. Tests run the same core on a buffer, without a terminal.

mod actions;
mod asking;
mod background;
pub mod config;
mod console;
pub mod drive;
mod glyphs;
mod heads;
mod history;
mod keymap;
mod layout;
mod letters;
pub mod measure;
mod message;
mod palette;
pub mod panes;
mod pixels;
mod prompt;
mod query;
mod queue;
mod reader;
mod scales;
mod state;
mod strings;
mod svg;
mod text;
mod theme;
mod tour;
mod tree;
mod update;
mod value;
mod view;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use background::Background;
use crossbeam_channel::{Receiver, Sender, unbounded};
use drive::{Host, Wiring};
use keymap::Keymap;
use panes::Panes;
use pixels::Pixels;
use queue::Job;
use ratatui::Terminal;
use ratatui::buffer::Buffer;
use state::{Colours, State};
use theme::Theme;

use super::Action;
use super::shown::Shown;
use crate::engine::history::History;
use crate::engine::messages::{Event, Request, Source};
use crate::term::graphics::query::Question;
use crate::term::graphics::{Layer, Picture, Surface, query as terminal_query};
use crate::term::{Capabilities, ColorDepth, Frames, Over, Screen, clipboard, input, screen, signals};

/// The configuration files as shipped: name and text.
pub fn defaults() -> [(&'static str, &'static str); 3] {
    [("keys.toml", keymap::DEFAULT), ("layouts.toml", panes::DEFAULT), ("theme.toml", theme::DEFAULT)]
}

#[derive(Clone, Debug, Default)]
pub struct TuiOptions {
    /// The model, as the user named it; shown while it loads.
    pub model: String,
    /// Draw with ASCII only, whatever the locale.
    pub ascii: bool,
    /// The number of colours; `None` takes it from the environment.
    pub color: Option<ColorDepth>,
    /// The actions to run after the model is loaded, in order.
    pub actions: Vec<Action>,
    /// Whether scripts continue after a failed command.
    pub keep_going: bool,
    /// Lines shown in the console at the start.
    pub banner: Vec<String>,
    /// The history file, which the plain prompt uses too.
    pub history: Option<PathBuf>,
    /// Whether to show the tour.
    pub tour: bool,
    /// The file that standard error goes to while the screen is in use.
    pub log: Option<PathBuf>,
}

/// Runs the interface until the user quits; returns the exit status. The engine may still be loading the model. At the
/// end the terminal is restored, the last stop is in the scrollback, and the engine has been asked to end.
pub fn run(
    requests: Sender<Request>,
    events: Receiver<Event>,
    interrupt: Arc<AtomicBool>,
    options: TuiOptions,
) -> color_eyre::Result<i32> {
    let capabilities = Capabilities::detect();
    let mut state = initial_state(&options, &capabilities);
    // If the history cannot be read, it lasts for the session.
    let history = options.history.as_deref().and_then(|file| History::open(file).ok()).unwrap_or_default();
    state.prompt.history = history::History::new(history.lines().to_vec());
    let (signal_sender, signals) = unbounded();
    let (input_sender, inputs) = unbounded();
    signals::spawn(signal_sender.clone())?;
    let screen = Screen::enter(options.log.as_deref())?;
    input::spawn(input_sender, signal_sender)?;
    let mut terminal = Terminal::new(Frames::stdout())?;
    let over = terminal.backend().over();
    let mut host = Tty { screen, capabilities, history, layer: Layer::default(), over };
    let wiring = Wiring { requests: requests.clone(), events, inputs, signals, interrupt };
    let ended = drive::drive(&mut terminal, &mut state, &wiring, &mut host);
    drop(terminal);
    drop(host);
    requests.send(Request::Shutdown).ok();
    let (status, error) = ended?;
    if status != signals::HANGUP_STATUS {
        say_farewell(&state, &error);
    }
    Ok(status)
}

fn initial_state(options: &TuiOptions, capabilities: &Capabilities) -> State {
    let directory = config::directory();
    let names = ["theme.toml", "keys.toml", "layouts.toml"];
    let files = names.map(|name| config::user_file(directory.as_ref(), name));
    let [theme, keys, layouts] = files.each_ref().map(|file| file.as_ref().map(|(_, text)| text.as_str()));
    let colours = Colours { depth: options.color.unwrap_or(capabilities.colors), user: theme.map(String::from) };
    let (_, theme_problems) = Theme::new(colours.depth, theme);
    let (keymap, key_problems) = Keymap::new(keys);
    let (panes, layout_problems) = Panes::new(layouts);
    let ascii = options.ascii || !capabilities.utf8;
    let glyphs = if ascii { &glyphs::ASCII } else { &glyphs::UNICODE };
    let mut state = State::new(options.model.clone(), colours, glyphs, keymap, panes);
    state.pixels = Pixels::new(capabilities);
    state.background = Background::new(capabilities);
    state.tour = options.tour.then(tour::Tour::new);
    // The tour is a tour of the keys.
    state.typing &= !options.tour;
    state.rest();
    state.console.extend(console::Kind::Notice, &options.banner);
    let problems = [theme_problems, key_problems, layout_problems];
    for ((name, file), problems) in names.iter().zip(&files).zip(problems) {
        let path = file.as_ref().map_or(*name, |(path, _)| path.as_str());
        state.console.extend(console::Kind::Error, problems.iter().map(|problem| problem.describe(path)));
    }
    for action in &options.actions {
        let job = match action {
            Action::Command(line) => Job::Line(line.clone(), Source::Option),
            Action::Script(file) => Job::Script(file.clone(), options.keep_going),
        };
        state.queue.push(job, false);
    }
    state
}

/// What stays in the scrollback. There may be nobody left to read it: errors are not worth a word.
fn say_farewell(state: &State, error: &str) {
    let mut out = Shown::new(io::stdout().lock());
    for line in &state.last_stop {
        writeln!(out, "{line}").ok();
    }
    out.flush().ok();
    if !error.is_empty() {
        writeln!(Shown::new(io::stderr()), "{error}").ok();
    }
}

/// The real terminal around the core.
struct Tty {
    screen: Screen,
    capabilities: Capabilities,
    history: History,
    /// The pictures on the screen, and the way there.
    layer: Layer,
    over: Over,
}

impl Host for Tty {
    fn copy(&mut self, text: &str) -> String {
        let directories = directories::ProjectDirs::from("", "", "llmdbg");
        let state = directories.and_then(|found| found.state_dir().map(PathBuf::from));
        clipboard::copy(text, &self.capabilities, &state.unwrap_or_else(std::env::temp_dir))
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.screen.suspend()
    }

    fn retake(&mut self) -> io::Result<()> {
        self.screen.retake()
    }

    fn keep_picture(&mut self, svg: &str) -> io::Result<String> {
        let free = (1..).map(|number| format!("llmdbg-{number}.svg")).find(|name| !std::path::Path::new(name).exists());
        let name = free.unwrap_or_default();
        std::fs::write(&name, svg)?;
        Ok(name)
    }

    fn ask(&mut self, what: Question) -> io::Result<()> {
        terminal_query::ask(what, self.capabilities.tmux)
    }

    fn show_pictures(&mut self, surface: Option<Surface>, pictures: Vec<Picture>, buffer: &mut Buffer) {
        let bytes = self.layer.show(surface, pictures, buffer, self.over.was_cleared());
        self.over.send(&bytes);
        screen::before_leaving(self.layer.farewell());
    }

    fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.screen.mouse(on)
    }

    fn remember(&mut self, line: &str) -> io::Result<()> {
        self.history.push(line)
    }
}
