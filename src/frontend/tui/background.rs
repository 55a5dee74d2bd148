//! The theme `auto`: light on a light background, and dark on a dark one and where the terminal has not said.

use super::message::Effect;
use crate::term::Capabilities;
use crate::term::graphics::query::Question;

/// The setting that leaves the theme to the terminal.
const AUTO: &str = "auto";

#[derive(Clone, Copy, Debug, Default)]
pub struct Background {
    /// What the terminal has said.
    pub light: bool,
    asked: bool,
}

impl Background {
    /// Inside GNU screen, which does not pass the question on, nothing is asked.
    pub fn new(capabilities: &Capabilities) -> Background {
        Background { light: false, asked: capabilities.screen }
    }

    /// The name of the theme for a setting.
    pub fn theme<'s>(&self, setting: &'s str) -> &'s str {
        match setting {
            AUTO if self.light => "light",
            AUTO => "dark",
            named => named,
        }
    }

    /// Asks the terminal once, when the answer matters; `asks` if it is being asked about pictures, which includes this.
    pub fn ask(&mut self, setting: &str, coloured: bool, asks: bool) -> Vec<Effect> {
        let wanted = setting == AUTO && coloured && !self.asked && !asks;
        self.asked |= wanted || asks;
        // A terminal may show a question that it does not know.
        if wanted { vec![Effect::Ask(Question::Background), Effect::Repaint] } else { Vec::new() }
    }
}
