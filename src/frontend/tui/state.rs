//! The whole state of the interface.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::layout::Rect;

use super::actions::Step;
use super::background::Background;
use super::console::Console;
use super::glyphs::Glyphs;
use super::heads::HeadsPane;
use super::keymap::Keymap;
use super::layout::{Chosen, Layout, MINIMUM};
use super::letters::Letters;
use super::message::Effect;
use super::palette::Palette;
use super::panes::{Pane, Panes};
use super::pixels::Pixels;
use super::prompt::{Prompt, Purpose};
use super::query::QueryPane;
use super::queue::Queue;
use super::reader::AnswerReader;
use super::theme::Theme;
use super::tour::{self, Tour};
use super::tree::Tree;
use super::update::mouse::Border;
use super::value::ValuePane;
use super::view::value::capacity;
use super::view::{heat, multiples};
use crate::engine::messages::{PanelRequest, PanelView, Request, ScreenView, Snapshot};
use crate::engine::script::Reader;
use crate::frontend::progress::Progress;
use crate::model::site_name::InBlock;
use crate::program::Part;
use crate::term::{Chord, ColorDepth};

/// Keys that follow each other faster than this count as one key that is held down.
pub const HELD: Duration = Duration::from_millis(80);

/// A command that takes longer than this has a line that says so, which is drawn again every [`BUSY_EVERY`].
const BUSY_AFTER: Duration = Duration::from_millis(300);
const BUSY_EVERY: Duration = Duration::from_secs(1);

/// The time without keys after which a held key counts as released, and the value is requested.
pub const QUIET: Duration = Duration::from_millis(60);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Keys,
    Prompt,
    /// A key answers whether to quit although a run is live.
    Confirm,
    /// The help is shown, scrolled by this many rows.
    Help(usize),
    /// A letter selects a row of the focused pane.
    Jump,
    /// The last answer fills the window.
    Reader,
    Palette,
    /// The first key of two has been pressed.
    Prefix(Chord),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dirty {
    #[default]
    No,
    /// Only progress changed: ten frames a second are enough.
    Slow,
    /// Something changed that the user is waiting for.
    Now,
}

#[derive(Clone, Debug)]
pub struct Colours {
    pub depth: ColorDepth,
    /// The text of the user's theme file.
    pub user: Option<String>,
}

pub struct State {
    pub theme: Theme,
    pub background: Background,
    pub colours: Colours,
    pub glyphs: &'static Glyphs,
    pub keymap: Keymap,
    /// Columns and rows of the window.
    pub size: (u16, u16),
    pub snapshot: Option<Arc<Snapshot>>,
    /// The model that is being loaded, as the user named it.
    pub model: String,
    /// The progress of loading, or of the command that is running.
    pub progress: Option<Progress>,
    pub tree: Tree,
    pub value: ValuePane,
    pub heads: HeadsPane,
    pub panes: Panes,
    /// The panes that show answers, as [`Panes::queries`] numbers them.
    pub queries: Vec<QueryPane>,
    pub layout_name: String,
    /// What the session last said about the screen.
    pub screen: ScreenView,
    pub console: Console,
    /// The last answer, to be read in the whole window.
    pub reader: AnswerReader,
    pub prompt: Prompt,
    pub block: Reader,
    pub mode: Mode,
    /// Whether the prompt has the keyboard when nothing else needs it; otherwise single keys act.
    pub typing: bool,
    pub letters: Letters,
    pub focus: Pane,
    /// Whether that pane fills the window.
    pub zoom: bool,
    pub tour: Option<Tour>,
    pub palette: Palette,
    /// The text of the last search for a site.
    pub sought: String,
    pub queue: Queue,
    /// Whether the program has the mouse.
    pub mouse: bool,
    /// Whether maps are drawn in pixels.
    pub pixels: Pixels,
    /// The place and the time of the last click.
    pub pressed: Option<((u16, u16), Instant)>,
    /// The line between panes that is being dragged.
    pub dragged: Option<Border>,
    /// The width of the left column, if it was dragged.
    pub column: Option<u16>,
    /// When the last message came.
    pub now: Instant,
    /// When the busy line was last due.
    pub busy_drawn: Option<Instant>,
    pub interrupted: Option<Instant>,
    pub last_key: Option<Instant>,
    /// Whether a key is held down. Text follows it at once, values after it is released.
    pub held: bool,
    /// The lines of the last stop, which are left in the scrollback.
    pub last_stop: Vec<String>,
    pub dirty: Dirty,
}

impl State {
    /// The state before anything has happened.
    pub fn new(model: String, colours: Colours, glyphs: &'static Glyphs, keymap: Keymap, panes: Panes) -> Self {
        Self {
            theme: Theme::new(colours.depth, colours.user.as_deref()).0,
            background: Background::default(),
            colours,
            glyphs,
            keymap,
            size: (80, 24),
            snapshot: None,
            model,
            progress: None,
            tree: Tree::default(),
            value: ValuePane::default(),
            heads: HeadsPane::default(),
            queries: panes.queries.iter().map(|pane| QueryPane::new(pane.from_end)).collect(),
            layout_name: panes.layouts[0].name.clone(),
            panes,
            screen: ScreenView::default(),
            tour: None,
            palette: Palette::default(),
            console: Console::default(),
            prompt: Prompt::default(),
            block: Reader::default(),
            mode: Mode::Prompt,
            typing: true,
            letters: Letters::default(),
            reader: AnswerReader::default(),
            focus: Pane::default(),
            zoom: false,
            sought: String::new(),
            queue: Queue::default(),
            mouse: false,
            pixels: Pixels::default(),
            pressed: None,
            dragged: None,
            column: None,
            now: Instant::now(),
            busy_drawn: None,
            interrupted: None,
            last_key: None,
            held: false,
            last_stop: Vec::new(),
            dirty: Dirty::Now,
        }
    }

    /// The layout for the present size of the window.
    pub fn layout(&self) -> Option<Layout> {
        let (width, height) = (self.size.0, self.size.1 - self.tour_rows());
        let arrangement = self.panes.layout(&self.layout_name);
        let chosen = Chosen { zoom: self.zoom, console_rows: self.screen.console_rows, column: self.column };
        Layout::new(Rect::new(0, 0, width, height), arrangement, self.focus, chosen)
    }

    /// The rows at the bottom that belong to the tour; 0 if the rest would be too small.
    pub fn tour_rows(&self) -> u16 {
        let fits = self.tour.is_some() && self.size.1 >= MINIMUM.1 + tour::ROWS;
        if fits { tour::ROWS } else { 0 }
    }

    /// Gives the keyboard back to what has it when nothing else needs it: the prompt, or the keys.
    pub fn rest(&mut self) {
        self.mode = if self.typing { Mode::Prompt } else { Mode::Keys };
        if self.prompt.purpose != Purpose::Command {
            self.prompt.open(Purpose::Command, "");
        }
    }

    /// How long the running command has been running, if that is long enough to say so.
    pub fn busy(&self) -> Option<Duration> {
        let since = self.queue.since().filter(|_| self.snapshot.is_some())?;
        Some(self.now.saturating_duration_since(since)).filter(|took| *took >= BUSY_AFTER)
    }

    /// How long a letter waits for the next one in key mode.
    pub fn key_wait(&self) -> Duration {
        Duration::from_millis(self.screen.key_wait)
    }

    /// Follows the session's description of the screen where it has changed. The rest stays, because keys may have
    /// changed it in the meantime.
    pub fn follow(&mut self, screen: &ScreenView) {
        let before = std::mem::replace(&mut self.screen, screen.clone());
        if before.theme != screen.theme {
            self.choose_theme();
        }
        if before.layout != screen.layout {
            self.lay_out(&screen.layout.clone());
        }
    }

    /// Makes the theme of the setting; `auto` is the one for the terminal's background.
    fn choose_theme(&mut self) {
        let name = self.background.theme(&self.screen.theme);
        self.theme = Theme::named(name, self.colours.depth, self.colours.user.as_deref()).0;
    }

    /// Follows what the terminal says of its background.
    pub fn on_background(&mut self, light: bool) {
        self.background.light = light;
        self.choose_theme();
    }

    /// Shows another layout; the focus moves to its first pane if it does not contain the focused one.
    pub fn lay_out(&mut self, name: &str) {
        let arrangement = self.panes.layout(name);
        self.layout_name.clone_from(&arrangement.name);
        let stays = matches!(self.focus, Pane::Tokens | Pane::Console)
            || arrangement.panes.contains(&self.focus)
            || arrangement.narrow.contains(&self.focus);
        if !stays {
            self.focus = arrangement.panes[0];
        }
        self.keep_focus_in_sight();
    }

    /// Moves the focus to a visible pane.
    pub fn keep_focus_in_sight(&mut self) {
        if let Some(layout) = self.layout()
            && layout.area(self.focus).is_none()
            && let Some((pane, _)) = layout.areas.first()
        {
            self.focus = *pane;
        }
    }

    /// Notes that everything shown may have changed.
    pub fn invalidate(&mut self) {
        self.value.asking.invalidate();
        self.heads.asking.invalidate();
        self.heads.grid.asking.invalidate();
        self.queries.iter_mut().for_each(|query| query.asking.invalidate());
    }

    /// The op whose heads the heads pane shows: the selected one if it has a map for each head, else the pattern of its
    /// block, else the last pattern that is computed.
    pub fn heads_op(&self) -> Option<usize> {
        let snapshot = self.snapshot.as_ref()?;
        let in_block = |op: usize| InBlock::parse(&snapshot.ops[op].site);
        let computed = |op: &usize| snapshot.flags.get(*op).is_some_and(|flags| flags.computed);
        let chosen = self.tree.chosen_op(snapshot);
        let has_maps = |at: InBlock<'_>| [Part::Pattern, Part::Scores].iter().any(|part| part.path() == at.part);
        if let Some(op) = chosen.filter(|op| in_block(*op).is_some_and(has_maps)) {
            return Some(op).filter(computed);
        }
        let block = chosen.and_then(in_block).map(|at| (at.stack, at.layer));
        let of_layer = |op: &usize| {
            in_block(*op).is_some_and(|at| {
                at.part == Part::Pattern.path() && block.is_none_or(|block| block == (at.stack, at.layer))
            })
        };
        (0..snapshot.ops.len()).rev().filter(of_layer).find(computed)
    }

    pub fn is_live(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.live)
    }

    pub fn chosen_op(&self) -> Option<usize> {
        self.tree.chosen_op(self.snapshot.as_ref()?)
    }

    pub fn position(&self) -> Option<usize> {
        let snapshot = self.snapshot.as_ref()?;
        let last = snapshot.tokens.len().checked_sub(1)?;
        Some(snapshot.focus.pos.unwrap_or(last).min(last))
    }

    pub fn next_position(&self, step: Step) -> Option<usize> {
        let (position, count) = (self.position()?, self.snapshot.as_ref()?.tokens.len());
        step.from(position, count)
    }

    /// When the core is to get a tick although nothing happens.
    pub fn wake(&self) -> Option<Instant> {
        let released = self.last_key.filter(|_| self.held).map(|last| last + QUIET);
        let letter = self.letters.waiting().map(|(_, since)| since + self.key_wait());
        let busy = self.queue.since().map(|since| match self.busy_drawn {
            Some(drawn) if drawn >= since => drawn + BUSY_EVERY,
            _ => since + BUSY_AFTER,
        });
        [released, letter, busy, self.pixels.wake()].into_iter().flatten().min()
    }

    /// Adjusts scrolling and requests what the panes need, after any change; and starts the next command.
    pub fn settle(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(snapshot) = self.snapshot.clone() else { return effects };
        if let Some(next) = self.queue.start_next(self.now) {
            if !next.quiet && !next.echoed && !next.shown().is_empty() {
                self.echo(&next.shown());
            }
            effects.push(Effect::Request(next.request()));
        }
        if self.mode == Mode::Prompt && !self.block.is_open() {
            effects.extend(self.prompt.unjudged().map(|line| Effect::Request(Request::Check { line })));
        }
        let Some(layout) = self.layout() else { return effects };
        self.tree.settle(&snapshot, layout.inside(Pane::Program).1);
        let computed = self.chosen_op().filter(|op| snapshot.flags.get(*op).is_some_and(|flags| flags.computed));
        match computed {
            Some(op) if layout.area(Pane::Value).is_some() && !self.held => {
                let (inside, view) = (layout.inside(Pane::Value), self.value.view);
                let numbers = view == PanelView::Numbers;
                let cells = match numbers {
                    true => heat::numbers_capacity(inside),
                    false => capacity(inside, &self.theme, self.glyphs),
                };
                let from = self.value.window.or(numbers.then_some((0, 0)));
                let wanted = PanelRequest { op, cells, view, gradient: self.value.gradient, from };
                effects.extend(self.value.asking.request(wanted).map(Effect::panel));
            }
            Some(_) => {}
            None => self.value.clear(),
        }
        if !self.held {
            self.ask_for_panes(&layout, &mut effects);
        }
        effects
    }

    fn ask_for_panes(&mut self, layout: &Layout, effects: &mut Vec<Effect>) {
        for (pane, _) in &layout.areas {
            match *pane {
                Pane::Query(number) => {
                    let known = self.queries.get_mut(number).zip(self.panes.queries.get(number));
                    let line = known.and_then(|(query, pane)| query.asking.request(pane.command.clone()));
                    effects.extend(line.map(Effect::query));
                }
                Pane::Heads => {
                    if let Some(line) = self.heads.command() {
                        effects.extend(self.heads.grid.asking.request(line).map(Effect::query));
                    } else if let Some(op) = self.heads_op() {
                        let count = self.snapshot.as_ref().map_or(1, |snapshot| snapshot.heads);
                        let plan = multiples::plan(
                            multiples::room(layout.inside(Pane::Heads)),
                            count,
                            0,
                            &self.theme,
                            self.glyphs,
                        );
                        let (view, gradient) = (PanelView::Heads, self.value.gradient);
                        let wanted = PanelRequest { op, cells: plan.cells, view, gradient, from: None };
                        effects.extend(self.heads.asking.request(wanted).map(Effect::panel));
                    } else {
                        self.heads.clear();
                    }
                }
                _ => {}
            }
        }
    }

    /// Writes a command into the console.
    pub fn echo(&mut self, line: &str) {
        self.console.push(super::console::Kind::Echo, format!("{}{line}", super::strings::PROMPT));
    }
}
