//! The texts of the interface itself.

pub(super) use crate::frontend::{BLOCK_PROMPT, PROMPT};

/// A block was left before its end.
pub const NO_BLOCK: &str = "The block was abandoned.";
/// The end of the notice that keys have acted which were meant as a command.
pub const KEYS_ACTED: &str = "The commands above are theirs; back and undo take them back.";
/// The keys that show the rest of an answer.
pub const MORE: &str = "Space or PgDn scrolls, F3 opens it";
pub const NO_ANSWER: &str = "Nothing has been answered yet.";
pub const FILTER_PROMPT: &str = "lines with: ";
pub const FILTER_FOOT: &str = "type to filter, Enter to keep, Esc to clear";
pub const JUMP_FOOT: &str = "press the letter of a row, or Esc";
pub const READER_FOOT: &str = "Space b scroll, g G first and last, / filter, y copy, q close";
/// How the running command is stopped.
pub const STOPS: &str = "Ctrl-C stops it.";
pub const TOO_SMALL: &str = "llmdbg needs 40x10";
/// Asked before quitting while a run is live.
pub const CONFIRM_QUIT: &str = "A run is live. Quit anyway? (y or n) ";
/// The second Ctrl-C in a row.
pub const HOW_TO_QUIT: &str = "Ctrl-C only interrupts. Press q or Ctrl-D, or type quit, to quit.";
pub const NOTHING_RUNS: &str = "Nothing is running.";
pub const INTERRUPTING: &str = "Interrupting before the next op.";
/// The value pane before the first run.
pub const NO_RUN: &str = "Nothing has run. Press r to run, or type start.";
/// The same while the prompt has the keyboard.
pub const NO_RUN_YET: &str = "Nothing has run. Type run, or start to stop before the first op.";
/// The value pane at an op that has not run; the key that runs up to it follows.
pub const NOT_COMPUTED: &str = "Not computed yet.";
/// The heads pane before a pattern is computed.
pub const NO_PATTERN: &str = "No attention pattern has been computed yet.";
/// The value pane while the value is read.
pub const FETCHING: &str = "reading";
pub const NO_CHOICE: &str = "No op is selected.";
/// Pictures are asked for, and the terminal has not said that it draws any.
pub const NO_PIXELS: &str = "The terminal has not said that it draws pictures: heat maps stay in half blocks.";
/// The same for a protocol that was named.
pub const NO_SURFACE: &str = "The terminal has not said how large its cells are, or tmux does not pass such pictures on: heat \
                              maps stay in half blocks.";
pub const NOTHING_TO_COPY: &str = "Nothing to copy here.";
pub const CANCEL_LOADING: &str = "C-c or q to cancel";
pub const TOUR_FOOT: &str = "F2 next, F1 back, q quit";
pub const TOUR_END: &str = "End of the tour. Press ? for all keys, C-p to find a command by a few letters. \
                            help NAME describes a command, and llmdbg FOLDER -p TEXT opens your own model.";
pub const PALETTE_FOOT: &str = "Up Down select, Enter run, Esc close";
pub const SEARCH_FOOT: &str = "Up Down select, Enter keep, Esc back";
/// Keys after the first of a sequence.
pub const PREFIX_FOOT: &str = "press the next key, or Esc to cancel";
pub const HELP_FOOT: &str = "Up Down to scroll, any other key to close";
pub const ENGINE_GONE: &str = "the engine has ended unexpectedly";
