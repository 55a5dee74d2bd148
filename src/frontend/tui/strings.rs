//! The texts of the interface itself.

/// Before a command.
pub const PROMPT: &str = "(llmdbg) ";

/// The prompt inside a block.
pub const BLOCK_PROMPT: &str = "> ";

/// A block was left before its end.
pub const NO_BLOCK: &str = "The block was abandoned.";
/// Before a search for a site.
pub const SITE_PROMPT: &str = "site: ";
/// The window is too small.
pub const TOO_SMALL: &str = "llmdbg needs 40x10";
/// Asked before quitting while a run is live.
pub const CONFIRM_QUIT: &str = "A run is live. Quit anyway? (y or n) ";
/// The second Ctrl-C in a row.
pub const HOW_TO_QUIT: &str = "Ctrl-C only interrupts. Press q or Ctrl-D, or type quit, to quit.";
/// Ctrl-C while nothing is running.
pub const NOTHING_RUNS: &str = "Nothing is running.";
/// Ctrl-C while a command is running.
pub const INTERRUPTING: &str = "Interrupting before the next op.";
/// The value pane before the first run.
pub const NO_RUN: &str = "Nothing has run. Press r to run, or type start.";
/// The value pane at an op that has not run; the key that runs up to it follows.
pub const NOT_COMPUTED: &str = "Not computed yet.";
/// The heads pane before a pattern is computed.
pub const NO_PATTERN: &str = "No attention pattern has been computed yet.";
/// The value pane while the value is read.
pub const FETCHING: &str = "reading";
/// No breakpoint can be set.
pub const NO_CHOICE: &str = "No op is selected.";
/// Nothing to copy.
pub const NOTHING_TO_COPY: &str = "Nothing to copy here.";
/// Cancels loading.
pub const CANCEL_LOADING: &str = "C-c or q to cancel";
/// Keys of the tour.
pub const TOUR_FOOT: &str = "F2 next, F1 back, q quit";
/// The tour is over.
pub const TOUR_END: &str = "End of the tour. Press ? for all keys, C-p to find a command by a few letters. \
                            help NAME describes a command, and llmdbg FOLDER -p TEXT opens your own model.";
/// Keys of the palette.
pub const PALETTE_FOOT: &str = "Up Down select, Enter run, Esc close";
/// Keys after the first of a sequence.
pub const PREFIX_FOOT: &str = "press the next key, or Esc to cancel";
/// Keys of the help itself.
pub const HELP_FOOT: &str = "Up Down to scroll, any other key to close";
/// The engine ended without an event.
pub const ENGINE_GONE: &str = "the engine has ended unexpectedly";
