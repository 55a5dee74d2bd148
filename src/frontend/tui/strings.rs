//! What the interface itself says.

/// In front of a command.
pub const PROMPT: &str = "(llmdbg) ";

/// The prompt inside a block.
pub const BLOCK_PROMPT: &str = "> ";

/// A block was left before its end.
pub const NO_BLOCK: &str = "The block is given up.";
/// In front of a search for a site.
pub const SITE_PROMPT: &str = "site: ";
/// The window is too small.
pub const TOO_SMALL: &str = "llmdbg needs 40x10";
/// Asked before leaving while a run is live.
pub const CONFIRM_QUIT: &str = "A run is live. Quit anyway? (y or n) ";
/// The second Ctrl-C in a row.
pub const HOW_TO_QUIT: &str = "Ctrl-C interrupts and never leaves; q, quit or Ctrl-D leaves.";
/// Ctrl-C while nothing runs.
pub const NOTHING_RUNS: &str = "Nothing runs.";
/// Ctrl-C while a command runs.
pub const INTERRUPTING: &str = "Interrupting at the next op.";
/// The value pane before the first run.
pub const NO_RUN: &str = "No run yet: r runs, start stops at the first op.";
/// The value pane at an op that has not run.
pub const NOT_COMPUTED: &str = "not computed yet";
/// The heads pane before a pattern is computed.
pub const NO_PATTERN: &str = "no attention pattern is computed yet";
/// The value pane while the value is fetched.
pub const FETCHING: &str = "reading";
/// No breakpoint can be set.
pub const NO_CHOICE: &str = "No op is chosen.";
/// Nothing to copy.
pub const NOTHING_TO_COPY: &str = "Nothing to copy here.";
/// Cancels loading.
pub const CANCEL_LOADING: &str = "C-c or q cancels";
/// Keys of the tour.
pub const TOUR_FOOT: &str = "F2 skips, F1 goes back, q leaves";
/// The tour is over.
pub const TOUR_END: &str = "That was the tour. ? shows all keys, C-p finds a command by a few letters, help NAME explains one, and llmdbg FOLDER -p TEXT opens a model of yours.";
/// Keys of the palette.
pub const PALETTE_FOOT: &str = "Up Down choose, Enter takes, Esc closes";
/// Keys after the first of a sequence.
pub const PREFIX_FOOT: &str = "the next key chooses, Esc gives up";
/// Keys of the help itself.
pub const HELP_FOOT: &str = "Up Down scroll, any other key closes";
/// The engine ended without a word.
pub const ENGINE_GONE: &str = "the engine has ended unexpectedly";
