//! Asking the terminal whether it draws pictures, how large its cells are, and whether its background is light. Nothing is
//! concluded from its name.
//!
//! All questions are sent at once, and the answers come as inputs, in their order, whenever they come; nobody waits.
//! Every terminal answers the last question, for its device attributes, so that after this answer nothing more is to
//! come. Inside tmux the question of kitty's protocol is passed through to the terminal around it, which answers later
//! than tmux itself; tmux answers the others.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Protocol, Surface, kitty};
use crate::term::capabilities;

/// How long the terminal has for its answers. Later ones change nothing.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How long a terminal that has not answered may still do so while keys are read with that in mind.
const LATE: Duration = Duration::from_secs(10);

/// How long the end of the program waits for answers on their way, so that the shell does not read them.
const LAST: Duration = Duration::from_millis(300);

/// The device attribute that says sixel.
const SIXEL: u16 = 4;

/// The size of a cell in pixels where the terminal has not said it and scales pictures itself.
const USUAL: (u16, u16) = (8, 16);

/// Something that the terminal said about itself; sizes are in pixels.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Kitty's answer for the picture `id`.
    Kitty { id: u32, fine: bool },
    /// The size of a cell, as iTerm2 says it.
    Iterm2 { width: u16, height: u16 },
    /// The size of a cell.
    Cell { width: u16, height: u16 },
    /// The size of all cells.
    Window { width: u16, height: u16 },
    /// The primary device attributes.
    Attributes(Vec<u16>),
    /// Whether the background is light.
    Background { light: bool },
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The colour of the background alone, which terminals on slow lines answer too.
    Background,
    /// That, and whether the terminal draws pictures.
    Pictures,
    /// How large the cells are now. Nothing is passed through tmux, which gives what comes back to the pane that has the
    /// keyboard.
    Sizes,
}

/// When the terminal was asked, and whether through tmux, until it has answered everything.
static ASKED: Mutex<Option<(Instant, bool)>> = Mutex::new(None);

fn asked() -> std::sync::MutexGuard<'static, Option<(Instant, bool)>> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The questions. They are asked in the upper left corner and leave the cursor where it was: what a terminal shows of a
/// question that it does not know is overwritten by the next frame.
pub fn questions(what: Question, tmux: bool) -> Vec<u8> {
    let mut out = b"\x1b7\x1b[H".to_vec();
    if what == Question::Pictures {
        out.extend(kitty::question(tmux));
    }
    if what != Question::Sizes {
        out.extend(b"\x1b]11;?\x1b\\");
    }
    if what != Question::Background {
        if !tmux {
            out.extend(b"\x1b]1337;ReportCellSize\x1b\\");
        }
        out.extend(b"\x1b[16t\x1b[14t");
    }
    out.extend(b"\x1b[c\x1b8");
    out
}

/// Asks the terminal.
pub fn ask(what: Question, tmux: bool) -> io::Result<()> {
    // tmux answers the other questions itself.
    *asked() = Some((Instant::now(), tmux && what == Question::Pictures));
    let mut out = io::stdout().lock();
    out.write_all(&questions(what, tmux))?;
    out.flush()
}

/// Takes note of an answer: whether it was the last.
pub(in crate::term) fn note(answer: &Answer) {
    let mut asked = asked();
    let tmux = asked.is_some_and(|(_, tmux)| tmux);
    match answer {
        Answer::Attributes(_) if !tmux => *asked = None,
        Answer::Kitty { .. } if tmux => *asked = None,
        _ => {}
    }
}

/// Whether answers are still to come.
pub(in crate::term) fn is_awaited() -> bool {
    // Whether anything is passed through tmux is not known.
    asked().is_some_and(|(since, tmux)| since.elapsed() < if tmux { PATIENCE } else { LATE })
}

/// Waits a moment for answers on their way, if the terminal was asked just now.
pub(in crate::term) fn let_answers_arrive() {
    let recent = || asked().is_some_and(|(since, _)| since.elapsed() < PATIENCE);
    let end = Instant::now() + LAST;
    while recent() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
}

/// What the terminal has said so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    kitty: bool,
    iterm2: bool,
    sixel: bool,
    /// Columns and rows of a cell, in pixels.
    cell: Option<(u16, u16)>,
    /// Whether it has said everything.
    pub complete: bool,
}

impl Answers {
    /// Forgets how large the cells are: they may have another size.
    pub fn forget_sizes(&mut self) {
        (self.cell, self.complete) = (None, false);
    }

    /// Takes an answer, in a window of this many columns and rows.
    pub fn take(&mut self, answer: &Answer, tmux: bool, (columns, rows): (u16, u16)) {
        let sized = |width: u16, height: u16| (width > 0 && height > 0).then_some((width, height));
        match answer {
            Answer::Kitty { id, fine } => {
                self.kitty |= *fine && *id == kitty::QUESTION;
                self.complete |= tmux;
            }
            Answer::Iterm2 { width, height } => {
                self.iterm2 = true;
                self.cell = self.cell.or(sized(*width, *height));
            }
            Answer::Cell { width, height } => self.cell = sized(*width, *height).or(self.cell),
            Answer::Window { width, height } => {
                self.cell = self.cell.or(sized(width / columns.max(1), height / rows.max(1)));
            }
            Answer::Attributes(all) => {
                // What stands first is the terminal's class. What tmux says of sixel is not about the terminal around it.
                self.sixel = !tmux && all.iter().skip(1).any(|attribute| *attribute == SIXEL);
                self.complete |= !tmux;
            }
            Answer::Background { .. } => {}
        }
    }

    /// How pictures are drawn: as `wish` says, or else in the best way that the terminal has said it knows. `None` if
    /// there is none, or if its cells are of unknown size where that is needed.
    pub fn surface(&self, wish: Option<Protocol>, tmux: bool) -> Option<Surface> {
        let known = [(Protocol::Kitty, self.kitty), (Protocol::Iterm2, self.iterm2), (Protocol::Sixel, self.sixel)];
        let protocol = wish.or(known.iter().find(|(_, said)| *said).map(|(protocol, _)| *protocol))?;
        // What iTerm2 draws, tmux would have to know of.
        if tmux && protocol == Protocol::Iterm2 {
            return None;
        }
        let cell = self.cell.or_else(capabilities::cell_size);
        let cell = if protocol == Protocol::Sixel { cell } else { cell.or(Some(USUAL)) };
        Some(Surface { protocol, tmux, cell: cell? })
    }
}
