//! Everything a key can do outside the prompt. The key line, the help and the configuration file all draw on this one
//! table, so they cannot disagree.

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sends a command line to the engine.
    Command(&'static str),
    /// Runs to the chosen op.
    RunTo,
    /// Sets or clears a breakpoint at the chosen op.
    Break,
    /// Opens the prompt to assign to the chosen value.
    Edit,
    /// Changes how the value is shown.
    View,
    /// Shows gradients instead of values, or values again.
    Gradient,
    /// Copies what the focused pane shows.
    Copy,
    /// Opens the prompt to search a site.
    Search,
    /// Moves the choice, or scrolls.
    Select(Toward),
    /// Folds or unfolds.
    Open,
    /// The next or previous pane.
    Pane(Step),
    /// The focused pane alone, or all of them.
    Zoom,
    /// The same place one block on or back.
    Layer(Step),
    /// Another head.
    Head(Step),
    /// Another position.
    Position(Step),
    /// The heads pane, or back to the program.
    Heads,
    /// Another layout: its name, `next` or `prev`.
    Layout(&'static str),
    /// Closer to single values, or away from them.
    Closer(Step),
    /// Chooses from all commands.
    Palette,
    /// Opens the prompt.
    Prompt,
    /// Opens the prompt and searches the history.
    HistorySearch,
    /// Shows the keys.
    Help,
    /// Draws everything again.
    Repaint,
    /// Stops the process, as Ctrl-Z does in a shell.
    Suspend,
    /// Interrupts what runs.
    Interrupt,
    /// Leaves.
    Quit,
}

/// One on or one back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// One on.
    Next,
    /// One back.
    Previous,
}

/// Where the choice goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Toward {
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// One column left, or fold.
    Left,
    /// One column right, or unfold.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the start.
    First,
    /// To the end.
    Last,
}

/// An action and the words for it.
#[derive(Debug, PartialEq)]
pub struct ActionInfo {
    /// Its name in the configuration file.
    pub name: &'static str,
    /// What it does.
    pub action: Action,
    /// Its word in the key line; empty where it has none. Neighbours with the same word are shown as one.
    pub hint: &'static str,
    /// Its line in the help.
    pub help: &'static str,
}

const fn row(name: &'static str, action: Action, hint: &'static str, help: &'static str) -> ActionInfo {
    ActionInfo { name, action, hint, help }
}

use Action::Command;

/// All actions: those of the key line first, in its order.
pub const ACTIONS: &[ActionInfo] = &[
    row("step", Command("step"), "step", "run one op"),
    row("next", Command("next"), "next", "run to the next op or module at this depth"),
    row("layer", Command("layer"), "layer", "run to the start of the next block"),
    row("finish", Command("finish"), "finish", "run to the end of this module"),
    row("continue", Command("continue"), "continue", "run to the next stop"),
    row("break", Action::Break, "break", "set or clear a breakpoint at the chosen op"),
    row("reverse-step", Command("reverse-step"), "back", "one op back"),
    row("reverse-next", Command("reverse-next"), "back", "one op or module back at this depth"),
    row("reverse-layer", Command("reverse-layer"), "back", "back to the start of a block"),
    row("reverse-finish", Command("reverse-finish"), "back", "back to the start of this module"),
    row("reverse-continue", Command("reverse-continue"), "back", "back to the previous stop"),
    row("run-to", Action::RunTo, "to", "run to the chosen op"),
    row("edit", Action::Edit, "edit", "assign to the chosen value"),
    row("view", Action::View, "view", "show the value as map, numbers, vector, histogram or largest elements"),
    row("heads", Action::Heads, "heads", "all heads of the layer; again goes back to the program"),
    row("gradient", Action::Gradient, "", "show gradients instead of values, or values again; after backward"),
    row("run", Command("run"), "run", "start the pass"),
    row("where", Command("where"), "", "tell where the cursor stands"),
    row("copy", Action::Copy, "", "copy what the pane shows"),
    row("search", Action::Search, "", "search a site"),
    row("select-up", Action::Select(Toward::Up), "", "up"),
    row("select-down", Action::Select(Toward::Down), "", "down"),
    row("select-left", Action::Select(Toward::Left), "", "left, or fold a module"),
    row("select-right", Action::Select(Toward::Right), "", "right, or unfold a module"),
    row("page-up", Action::Select(Toward::PageUp), "", "a page up"),
    row("page-down", Action::Select(Toward::PageDown), "", "a page down"),
    row("first", Action::Select(Toward::First), "", "to the start"),
    row("last", Action::Select(Toward::Last), "", "to the end"),
    row("open", Action::Open, "", "fold or unfold a module; at a prompt, run the line"),
    row("pane-next", Action::Pane(Step::Next), "pane", "next pane"),
    row("pane-previous", Action::Pane(Step::Previous), "", "previous pane"),
    row("closer", Action::Closer(Step::Next), "", "single values of a pooled map, around the crosshair"),
    row("farther", Action::Closer(Step::Previous), "", "the whole map again"),
    row("layout-program", Action::Layout("program"), "", "layout of the program and a value"),
    row("layout-attention", Action::Layout("attention"), "", "layout with all heads"),
    row("layout-lens", Action::Layout("lens"), "", "layout with the logit lens"),
    row("layout-diff", Action::Layout("diff"), "", "layout with what diff found"),
    row("layout-grad", Action::Layout("grad"), "", "layout with gradients and attribution"),
    row("layout-generate", Action::Layout("generate"), "", "layout with the tokens generated"),
    row("layout-session", Action::Layout("session"), "", "layout with displays, branches and memory"),
    row("layout-next", Action::Layout("next"), "", "next layout"),
    row("layout-previous", Action::Layout("prev"), "", "previous layout"),
    row("zoom", Action::Zoom, "zoom", "this pane alone, or all panes"),
    row("layer-previous", Action::Layer(Step::Previous), "", "the same op in the previous block"),
    row("layer-next", Action::Layer(Step::Next), "", "the same op in the next block"),
    row("head-previous", Action::Head(Step::Previous), "", "previous head"),
    row("head-next", Action::Head(Step::Next), "", "next head"),
    row("position-previous", Action::Position(Step::Previous), "", "previous position"),
    row("position-next", Action::Position(Step::Next), "", "next position"),
    row("palette", Action::Palette, "", "find a command by a few letters"),
    row("prompt", Action::Prompt, "command", "type a command; so does any letter without a meaning"),
    row("history-search", Action::HistorySearch, "", "search the commands typed before"),
    row("repaint", Action::Repaint, "", "draw everything again"),
    row("suspend", Action::Suspend, "", "back to the shell; fg returns"),
    row("interrupt", Action::Interrupt, "", "interrupt what runs; never leaves"),
    row("quit", Action::Quit, "", "leave"),
    row("help", Action::Help, "help", "these keys"),
];

/// Keys of the prompt: key, word in the key line (empty: none), line in the help. They are those of a shell and fixed.
pub const PROMPT_KEYS: &[(&str, &str, &str)] = &[
    ("Enter", "run", "run the line; an empty one repeats the last command"),
    ("Tab", "complete", "complete the word; again lists the candidates"),
    ("Up Down", "history", "earlier lines that begin like this one"),
    ("C-r", "search", "search earlier lines by some of their letters"),
    ("Esc C-g", "keys", "back to the keys"),
    ("Right C-f", "", "at the end: take the rest that is shown, from an earlier line"),
    ("C-a C-e", "", "start and end of the line"),
    ("C-b C-f", "", "one character back or on; with M- one word"),
    ("C-w C-u C-k", "", "delete the word, all before, all behind the cursor"),
    ("C-y", "", "put back what was deleted"),
    ("C-c", "", "clear the line"),
    ("PgUp PgDn", "", "scroll the console"),
];
