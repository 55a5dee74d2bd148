//! Whether maps are drawn in pixels: what the user wants, and what the terminal has said.

use std::time::Instant;

use super::message::Effect;
use super::strings;
use crate::term::Capabilities;
use crate::term::graphics::query::{Answer, Answers, PATIENCE, Question};
use crate::term::graphics::{Protocol, Surface};

#[derive(Clone, Debug, Default)]
pub struct Pixels {
    /// The setting: `auto`, `on`, `off`, or the name of a protocol; empty before the session has said it.
    wish: String,
    /// Whether the line to the terminal is slow, or something is on it that would not pass the questions on.
    far: bool,
    tmux: bool,
    /// Whether colours show values at all.
    coloured: bool,
    asked: Option<Instant>,
    answers: Answers,
    /// Whether what the terminal has said is all that counts.
    decided: bool,
    surface: Option<Surface>,
}

impl Pixels {
    pub fn new(capabilities: &Capabilities) -> Pixels {
        let far = capabilities.remote || capabilities.screen;
        Pixels { far, tmux: capabilities.tmux, ..Pixels::default() }
    }

    /// How pictures are drawn; `None` if they are not.
    pub fn surface(&self) -> Option<Surface> {
        self.surface
    }

    fn wanted(&self) -> bool {
        self.coloured && !matches!(self.wish.as_str(), "" | "off") && (self.wish != "auto" || !self.far)
    }

    /// Follows the setting and the theme. The terminal is asked when pictures are wanted, and the screen is drawn again
    /// after that, for terminals that show a question that they do not know.
    pub fn follow(&mut self, wish: &str, coloured: bool, now: Instant) -> Vec<Effect> {
        if self.wish == wish && self.coloured == coloured {
            return Vec::new();
        }
        (self.wish, self.coloured) = (wish.to_string(), coloured);
        // Who asks for pictures may have moved to another terminal in the meantime.
        if self.wanted() && (self.asked.is_none() || self.wish != "auto") {
            (self.asked, self.answers, self.decided) = (Some(now), Answers::default(), false);
            return vec![Effect::Ask(Question::Pictures), Effect::Repaint];
        }
        // The answers are known, and are judged by the new setting.
        self.decided = false;
        self.surface = None;
        Vec::new()
    }

    /// Asks for the sizes again, if pictures are drawn.
    pub fn ask_again(&mut self, now: Instant) -> Option<Effect> {
        self.surface?;
        self.asked = Some(now);
        self.answers.forget_sizes();
        Some(Effect::Ask(Question::Sizes))
    }

    /// Takes an answer, in a window of this many columns and rows. What comes too late changes nothing.
    pub fn take(&mut self, answer: &Answer, size: (u16, u16), now: Instant) {
        if self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < PATIENCE) {
            self.answers.take(answer, self.tmux, size);
            self.decided = false;
        }
    }

    /// Decides when the terminal has said everything or its time is over. Returns what to tell the user, if pictures were
    /// asked for and there are none.
    pub fn decide(&mut self, now: Instant) -> Option<&'static str> {
        let over = |asked: Instant| now.saturating_duration_since(asked) >= PATIENCE;
        let ripe = self.asked.is_some_and(|asked| self.answers.complete || over(asked));
        if self.decided || !ripe {
            return None;
        }
        self.decided = true;
        self.surface = None;
        if self.wanted() {
            let protocol = Protocol::named(&self.wish);
            self.surface = self.answers.surface(protocol, self.tmux);
            let silent = self.surface.is_some() || self.wish == "auto";
            return (!silent).then_some(if protocol.is_some() { strings::NO_SURFACE } else { strings::NO_PIXELS });
        }
        None
    }

    /// When its time is over.
    pub fn wake(&self) -> Option<Instant> {
        self.asked.filter(|_| !self.decided && !self.answers.complete).map(|asked| asked + PATIENCE)
    }
}
