//! The whole state of the interface.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::actions::Step;
use super::console::Console;
use super::glyphs::Glyphs;
use super::keymap::Keymap;
use super::layout::{Layout, Pane};
use super::message::Effect;
use super::prompt::Prompt;
use super::queue::Queue;
use super::theme::Theme;
use super::tree::Tree;
use super::value::ValuePane;
use super::view::value::capacity;
use crate::engine::messages::{PanelRequest, Request, Snapshot};
use crate::engine::script::Reader;
use crate::frontend::loading::Progress;
use ratatui::layout::Rect;

/// Keys that follow each other faster than this are taken for one held down.
pub const HELD: Duration = Duration::from_millis(80);

/// Quiet time after which a held key counts as released and the value is fetched.
pub const QUIET: Duration = Duration::from_millis(60);

/// Who gets the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Single keys are commands.
    #[default]
    Keys,
    /// Keys edit the prompt.
    Prompt,
    /// A yes or no: leave although a run is live?
    Confirm,
    /// The help is shown, scrolled by so many rows.
    Help(usize),
}

/// Whether the next frame must come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dirty {
    /// Nothing changed.
    #[default]
    No,
    /// Only progress changed: ten frames a second are enough.
    Slow,
    /// Something the user waits for changed.
    Now,
}

/// Everything the interface knows.
pub struct State {
    /// Styles.
    pub theme: Theme,
    /// Characters.
    pub glyphs: &'static Glyphs,
    /// Keys.
    pub keymap: Keymap,
    /// Columns and rows of the window.
    pub size: (u16, u16),
    /// The session, once the model is loaded.
    pub snapshot: Option<Arc<Snapshot>>,
    /// What is being loaded, as the user named it.
    pub model: String,
    /// Progress of loading, or of the command that runs.
    pub progress: Option<Progress>,
    /// Program pane.
    pub tree: Tree,
    /// Value pane.
    pub value: ValuePane,
    /// Console pane.
    pub console: Console,
    /// The prompt.
    pub prompt: Prompt,
    /// The block that is being typed.
    pub block: Reader,
    /// Who gets the keys.
    pub mode: Mode,
    /// The pane that has the focus.
    pub focus: Pane,
    /// Whether that pane fills the window.
    pub zoom: bool,
    /// The last site searched.
    pub sought: String,
    /// Commands under way.
    pub queue: Queue,
    /// When Ctrl-C was last pressed.
    pub interrupted: Option<Instant>,
    /// When the last key came, and whether it is held down.
    pub last_key: Option<Instant>,
    /// A key is held down: text first, values when it is released.
    pub held: bool,
    /// Lines of the last stop, left behind in the scrollback.
    pub last_stop: Vec<String>,
    /// Whether a frame is due.
    pub dirty: Dirty,
}

impl State {
    /// The state before anything has happened.
    pub fn new(model: String, theme: Theme, glyphs: &'static Glyphs, keymap: Keymap) -> Self {
        Self {
            theme,
            glyphs,
            keymap,
            size: (80, 24),
            snapshot: None,
            model,
            progress: None,
            tree: Tree::default(),
            value: ValuePane::default(),
            console: Console::default(),
            prompt: Prompt::default(),
            block: Reader::default(),
            mode: Mode::default(),
            focus: Pane::default(),
            zoom: false,
            sought: String::new(),
            queue: Queue::default(),
            interrupted: None,
            last_key: None,
            held: false,
            last_stop: Vec::new(),
            dirty: Dirty::Now,
        }
    }

    /// The layout for the window as it is.
    pub fn layout(&self) -> Option<Layout> {
        let (width, height) = self.size;
        Layout::new(Rect::new(0, 0, width, height), self.focus, self.zoom)
    }

    /// Whether a pass is under way.
    pub fn is_live(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.live)
    }

    /// The op whose value the value pane shows.
    pub fn chosen_op(&self) -> Option<usize> {
        self.tree.chosen_op(self.snapshot.as_ref()?)
    }

    /// The position that the panes look at.
    pub fn position(&self) -> Option<usize> {
        let snapshot = self.snapshot.as_ref()?;
        let last = snapshot.tokens.len().checked_sub(1)?;
        Some(snapshot.focus.pos.unwrap_or(last).min(last))
    }

    /// The position one on or one back.
    pub fn next_position(&self, step: Step) -> Option<usize> {
        let (position, count) = (self.position()?, self.snapshot.as_ref()?.tokens.len());
        match step {
            Step::Next => Some(position + 1).filter(|next| *next < count),
            Step::Previous => position.checked_sub(1),
        }
    }

    /// When the core wants to be woken although nothing happens.
    pub fn wake(&self) -> Option<Instant> {
        let last = self.last_key.filter(|_| self.held)?;
        Some(last + QUIET)
    }

    /// Brings scrolling and the value pane in line with everything else, and starts the next command.
    pub fn settle(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(snapshot) = self.snapshot.clone() else { return effects };
        if let Some(next) = self.queue.start_next() {
            if !next.quiet && !next.echoed && !next.shown().is_empty() {
                self.echo(&next.shown());
            }
            effects.push(Effect::Request(next.request()));
        }
        let Some(layout) = self.layout() else { return effects };
        self.tree.settle(&snapshot, layout.inside(Pane::Program).1);
        let computed = self.chosen_op().filter(|op| snapshot.flags.get(*op).is_some_and(|flags| flags.computed));
        match computed {
            Some(op) if layout.value.is_some() && !self.held => {
                let cells = capacity(layout.inside(Pane::Value), &self.theme, self.glyphs);
                let wanted = PanelRequest { op, cells, view: self.value.view, gradient: self.value.gradient };
                effects.extend(self.value.request(wanted).map(|request| Effect::Request(Request::Panel(request))));
            }
            Some(_) => {}
            None => self.value.clear(),
        }
        effects
    }

    /// Writes a command into the console.
    pub fn echo(&mut self, line: &str) {
        self.console.push(super::console::Kind::Echo, format!("{}{line}", super::strings::PROMPT));
    }
}
