//! Commands: each turns arguments into one typed answer.
//!
//! `frame` knows no command; `state` is what commands share; the groups follow, each a folder whose `mod.rs` describes its
//! commands next to their handlers; `dispatch` names the groups, and nothing else does. Each uses only those before it:
//! `stopping`, `moving`, `generating`, `changing`, `looking`, `explaining`, `comparing`, `saving`, `scripting`, `session`.

mod changing;
mod comparing;
mod dispatch;
mod explaining;
mod frame;
mod generating;
#[cfg(test)]
mod limited_tests;
mod looking;
mod moving;
mod saving;
mod scripting;
mod session;
mod state;
mod stopping;

pub use dispatch::{ALL, commands};
pub use explaining::HEAD_SCORES;
pub use frame::{Follow, Outcome, declared};
pub use session::AGENT;
pub use state::{
    COUNTERPARTS, Command, Console, Counterpart, Directory, Group, Journalled, Outside, Repeats, SETTINGS, Screen,
    Setting, Takes,
};
