//! Everything that a key can do outside the prompt. The key line, the help and the configuration file use this one
//! table, so they cannot disagree.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Command(&'static str),
    RunTo,
    /// Sets or clears a breakpoint at the chosen op.
    Break,
    /// Opens the prompt to assign to the chosen value.
    Edit,
    View,
    /// The next scale of heat maps.
    Scale,
    /// Shows gradients instead of values, or values again.
    Gradient,
    Copy,
    Search,
    Select(Toward),
    Open,
    Pane(Step),
    /// Zooms the focused pane, or shows all panes again.
    Zoom,
    /// The same op in the next or previous block.
    Layer(Step),
    Head(Step),
    Position(Step),
    /// The heads pane, or back to the program.
    Heads,
    /// A layout by its name, `next` or `prev`.
    Layout(&'static str),
    /// Shows single values of a map, or the whole map again.
    Closer(Step),
    Palette,
    /// Shows a letter at each row of the focused pane; the next key selects its row.
    Jump,
    /// Writes a picture of the screen.
    Picture,
    Prompt,
    HistorySearch,
    Help,
    Repaint,
    /// Stops the process, as Ctrl-Z does in a shell.
    Suspend,
    Interrupt,
    /// Quits, after a question if a run is live.
    Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Next,
    Previous,
}

impl Step {
    /// The number after or before `at`, if it is below `count`.
    pub fn from(self, at: usize, count: usize) -> Option<usize> {
        match self {
            Step::Next => Some(at + 1).filter(|next| *next < count),
            Step::Previous => at.checked_sub(1),
        }
    }

    /// The same, from the last to the first and back.
    pub fn around(self, at: usize, count: usize) -> usize {
        self.from(at, count).unwrap_or(if self == Step::Next { 0 } else { count - 1 })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Toward {
    Up,
    Down,
    /// One column to the left, or fold.
    Left,
    /// One column to the right, or unfold.
    Right,
    PageUp,
    PageDown,
    First,
    Last,
}

#[derive(Debug, PartialEq)]
pub struct ActionInfo {
    /// Its name in the configuration file.
    pub name: &'static str,
    pub action: Action,
    /// Its word in the key line; empty if it has none. Neighbours with the same word are shown as one.
    pub hint: &'static str,
    /// Its description in the help.
    pub help: &'static str,
}

const fn row(name: &'static str, action: Action, hint: &'static str, help: &'static str) -> ActionInfo {
    ActionInfo { name, action, hint, help }
}

use Action::Command;

/// All actions, beginning with those of the key line in its order.
pub const ACTIONS: &[ActionInfo] = &[
    row("step", Command("step"), "step", "run one op"),
    row("next", Command("next"), "next", "run to the next op or module at this depth"),
    row("layer", Command("layer"), "layer", "run to the start of the next block"),
    row("finish", Command("finish"), "finish", "run to the end of this module"),
    row("continue", Command("continue"), "continue", "run to the next stop"),
    row("break", Action::Break, "break", "set or clear a breakpoint at the selected op"),
    row("reverse-step", Command("reverse-step"), "back", "go back one op"),
    row("reverse-next", Command("reverse-next"), "back", "go back one op or module at this depth"),
    row("reverse-layer", Command("reverse-layer"), "back", "go back to the start of a block"),
    row("reverse-finish", Command("reverse-finish"), "back", "go back to the start of this module"),
    row("reverse-continue", Command("reverse-continue"), "back", "go back to the previous stop"),
    row("run-to", Action::RunTo, "to", "run to the selected op"),
    row("edit", Action::Edit, "edit", "assign to the selected value"),
    row("view", Action::View, "view", "change the view: map, numbers, vector, histogram, largest"),
    row("scale", Action::Scale, "scale", "change the scale of maps: linear, robust, symlog, by row"),
    row("heads", Action::Heads, "heads", "show all heads of the layer; again: back to the program"),
    row("gradient", Action::Gradient, "", "show gradients or values, after backward"),
    row("run", Command("run"), "run", "start the pass"),
    row("where", Command("where"), "", "show where the cursor is"),
    row("copy", Action::Copy, "", "copy what the pane shows"),
    row("search", Action::Search, "", "search for a site"),
    row("select-up", Action::Select(Toward::Up), "", "up"),
    row("select-down", Action::Select(Toward::Down), "", "down"),
    row("select-left", Action::Select(Toward::Left), "", "left, or fold a module"),
    row("select-right", Action::Select(Toward::Right), "", "right, or unfold a module"),
    row("page-up", Action::Select(Toward::PageUp), "", "a page up"),
    row("page-down", Action::Select(Toward::PageDown), "", "a page down"),
    row("first", Action::Select(Toward::First), "", "to the start"),
    row("last", Action::Select(Toward::Last), "", "to the end"),
    row("open", Action::Open, "", "fold or unfold a module; at the prompt, run the line"),
    row("pane-next", Action::Pane(Step::Next), "pane", "next pane"),
    row("pane-previous", Action::Pane(Step::Previous), "", "previous pane"),
    row("closer", Action::Closer(Step::Next), "", "show single values of a pooled map, around the crosshair"),
    row("farther", Action::Closer(Step::Previous), "", "show the whole map again"),
    row("layout-program", Action::Layout("program"), "", "layout with the program and a value"),
    row("layout-attention", Action::Layout("attention"), "", "layout with all heads"),
    row("layout-lens", Action::Layout("lens"), "", "layout with the logit lens"),
    row("layout-diff", Action::Layout("diff"), "", "layout with the last diff"),
    row("layout-grad", Action::Layout("grad"), "", "layout with gradients and attribution"),
    row("layout-generate", Action::Layout("generate"), "", "layout with the tokens generated"),
    row("layout-stream", Action::Layout("stream"), "", "layout with what each block writes to a logit"),
    row("layout-graph", Action::Layout("graph"), "", "layout with the last attribution graph"),
    row("layout-session", Action::Layout("session"), "", "layout with displays, branches and memory"),
    row("layout-next", Action::Layout("next"), "", "next layout"),
    row("layout-previous", Action::Layout("prev"), "", "previous layout"),
    row("zoom", Action::Zoom, "zoom", "show this pane alone, or all panes"),
    row("layer-previous", Action::Layer(Step::Previous), "", "the same op in the previous block"),
    row("layer-next", Action::Layer(Step::Next), "", "the same op in the next block"),
    row("head-previous", Action::Head(Step::Previous), "", "previous head"),
    row("head-next", Action::Head(Step::Next), "", "next head"),
    row("position-previous", Action::Position(Step::Previous), "", "previous position"),
    row("position-next", Action::Position(Step::Next), "", "next position"),
    row("jump", Action::Jump, "", "select a row of the pane by a letter"),
    row("picture", Action::Picture, "", "write a picture of the screen (SVG)"),
    row("palette", Action::Palette, "", "find a command by a few letters"),
    row("prompt", Action::Prompt, "command", "type a command; any unused letter starts one too"),
    row("history-search", Action::HistorySearch, "", "search earlier commands"),
    row("repaint", Action::Repaint, "", "draw everything again"),
    row("suspend", Action::Suspend, "", "suspend to the shell; fg returns"),
    row("interrupt", Action::Interrupt, "", "interrupt the running command; never quits"),
    row("quit", Action::Quit, "", "quit"),
    row("help", Action::Help, "help", "show these keys"),
];

/// Keys of the prompt: key, word in the key line (may be empty), description in the help. They are those of a shell,
/// and fixed.
pub const PROMPT_KEYS: &[(&str, &str, &str)] = &[
    ("Enter", "run", "run the line; an empty one repeats the last command"),
    ("Tab", "complete", "complete the word; again: list the candidates"),
    ("Up Down", "history", "go through earlier lines that begin like this one"),
    ("C-r", "search", "search earlier lines by some of their letters"),
    ("Esc", "single keys", "keys act at once; Esc again: back to the prompt"),
    ("?", "help", "at an empty prompt: show these keys"),
    ("F3", "read", "read the last answer in the whole window"),
    ("M-x", "find", "find a command by a few letters"),
    ("Right C-f", "", "at the end of the line: accept the suggested rest"),
    ("C-a C-e", "", "go to the start or the end of the line"),
    ("C-b C-f", "", "go one character back or forward; with M- one word"),
    ("C-w C-u C-k", "", "delete the word, all before or all after the cursor"),
    ("C-y", "", "insert what was deleted"),
    ("C-c", "", "clear the line"),
    ("PgUp PgDn", "", "scroll the console; Space: on, while there is more"),
];
