//! The session as commands see it.

use std::collections::BTreeMap;

use super::frames::Selected;
use super::memory::Memory;
use super::screen::Screen;
use super::settings::Chosen;
use super::snapshot::Listing;
use crate::answer::StopView;
use crate::debugger::Session;
use crate::model::chat::Conversation;

/// A session, and what commands keep between each other.
pub struct Console {
    /// Everything the user has set up.
    pub session: Session,
    pub model_name: String,
    /// Whether the prompts went through a chat template.
    pub chat: bool,
    /// The conversations that prompts were made of, by their texts.
    pub conversations: BTreeMap<String, Conversation>,
    /// The template that was chosen for them, by its name or file.
    pub template: Option<String>,
    /// What is to be said at the start: mistakes in files of configuration.
    pub notices: Vec<String>,
    pub screen: Screen,
    pub(crate) memory: Memory,
    pub(crate) chosen: Chosen,
    /// Where settings come from that are not as at the start.
    pub(crate) origins: BTreeMap<&'static str, String>,
    /// Lines printed on the way by the command that runs.
    pub(crate) printed: Vec<String>,
    /// The exit status that `quit` has asked for.
    pub(crate) quits: Option<i32>,
    pub(crate) listing: Listing,
    pub(crate) shown_stop: Option<StopView>,
    pub(crate) watches_values: bool,
    pub(crate) selected_frame: Selected,
    /// The lines that were typed, the oldest first.
    pub(crate) typed: Vec<String>,
}

impl Console {
    pub fn new(session: Session, model_name: impl Into<String>) -> Console {
        let listing = Listing::of(&session);
        let notices = session.run.model.report.replaced.clone();
        Console {
            session,
            model_name: model_name.into(),
            chat: false,
            conversations: BTreeMap::new(),
            template: None,
            notices,
            screen: Screen::default(),
            memory: Memory::default(),
            chosen: Chosen::default(),
            origins: BTreeMap::new(),
            printed: Vec::new(),
            quits: None,
            listing,
            shown_stop: None,
            watches_values: false,
            selected_frame: Selected::default(),
            typed: Vec::new(),
        }
    }

    /// Keeps a line that was typed.
    pub fn typed(&mut self, line: &str) {
        self.typed.push(line.trim().to_string());
    }

    /// Forgets what was shown of another model.
    pub(crate) fn forget_shown(&mut self) {
        self.listing = Listing::of(&self.session);
        self.shown_stop = None;
        (self.memory.dump, self.memory.attributed, self.memory.compared) = (None, None, None);
    }
}
