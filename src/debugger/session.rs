//! Everything a user has set up: the run, stop points, focus, value history, variables, displays.

use std::collections::{BTreeMap, HashSet};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::directions::Direction;
use super::sides::{Differences, Peer};
use super::stops::Healths;
use super::{Checkpoint, Error, Focus, Gradients, Mark, Names, Reason, Result, Run, Stop, StopPoints, Trail};
use crate::lang::eval::Datum;
use crate::model::adapter::Adapter;
use crate::model::{Input, Model, Row, memory_check};
use crate::program::compile;
use crate::tensor::{Device, TensorError, free_memory_by};

/// Tokens that one word may be cut into and still be recognised.
const PIECES: usize = 8;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes that recordings may take.
    pub record_budget: u64,
}

pub struct Session {
    pub run: Run,
    pub stops: StopPoints,
    pub focus: Focus,
    /// Values printed so far: `$1` is the first.
    pub history: Vec<Datum>,
    /// Entries of the history whose values were not computed again when the session was resumed, and the command that
    /// gave them.
    pub forgone: BTreeMap<usize, String>,
    /// Where the next motion is interrupted, as one of an earlier session was.
    pub halt: Option<Mark>,
    pub variables: BTreeMap<String, Datum>,
    /// Named vectors, each of which is the variable of its name too.
    pub directions: Vec<Direction>,
    /// Expressions shown at each stop: number, format and text.
    pub displays: Vec<(usize, String, String)>,
    /// Set from another thread to pause at the next op.
    pub interrupt: Arc<AtomicBool>,
    pub last_stop: Option<Stop>,
    pub adapter: Option<Arc<Adapter>>,
    /// Where the cursor has stopped.
    pub trail: Trail,
    /// Places to return to, by their numbers; those deleted are gone.
    pub checkpoints: BTreeMap<usize, Checkpoint>,
    /// What the last `backward` found.
    pub(super) gradients: Option<Gradients>,
    /// Lines printed on the way by `dprintf`, until somebody takes them.
    pub printed: Vec<String>,
    /// Places where something was passed on that a catchpoint catches where it is produced: branch and mark.
    pub passed_on: HashSet<(usize, Mark)>,
    /// Other models and dumps, by their names.
    pub peers: Vec<(String, Peer)>,
    /// The side that follows every motion, by its name.
    pub compare: Option<String>,
    pub(super) differences: Differences,
    /// What this model is called among them.
    pub name: String,
    /// What it is called on the screen.
    pub title: String,
    pub(super) healths: Healths,
    /// Failures of the devices that have been seen to.
    faults: u64,
}

impl Session {
    /// A session on a model and an input. The input must fit the model (`Input` checks that).
    pub fn new(model: Model, input: Input, settings: &Settings, interrupt: Arc<AtomicBool>) -> Session {
        let program = Arc::new(compile(&model.spec));
        let names = Arc::new(Names::new(&program, &model.weights));
        Session::from_run(Run::new(Arc::new(model), program, names, input, settings.record_budget), interrupt)
    }

    pub fn from_run(run: Run, interrupt: Arc<AtomicBool>) -> Session {
        free_memory_by(memory_check::available);
        let faults = faults(&run);
        Session {
            run,
            faults,
            stops: StopPoints::default(),
            focus: Focus::default(),
            history: Vec::new(),
            forgone: BTreeMap::new(),
            halt: None,
            variables: BTreeMap::new(),
            directions: Vec::new(),
            displays: Vec::new(),
            interrupt,
            last_stop: None,
            adapter: None,
            trail: Trail::default(),
            checkpoints: BTreeMap::new(),
            gradients: None,
            printed: Vec::new(),
            passed_on: HashSet::new(),
            peers: Vec::new(),
            compare: None,
            differences: Differences::default(),
            name: "first".into(),
            title: String::new(),
            healths: Healths::default(),
        }
    }

    /// Sees to what failed on a device since the last call: nothing that was computed by then is kept.
    ///
    /// # Errors
    /// The first failure that has not been reported.
    pub fn see_to_faults(&mut self) -> std::result::Result<(), TensorError> {
        let faults = faults(&self.run);
        if std::mem::replace(&mut self.faults, faults) != faults {
            self.run.forget_values();
            self.gradients = None;
        }
        self.run.model.placement.devices().iter().try_for_each(Device::fault)
    }

    /// Starts the pass from its beginning and stops there.
    pub fn start(&mut self) -> Stop {
        self.run.restart();
        self.stop_here(Reason::Start)
    }

    /// Exchanges the run, and the gradients that belong to it, for others.
    pub fn exchange(&mut self, run: &mut Run, gradients: &mut Option<Gradients>) {
        std::mem::swap(&mut self.run, run);
        std::mem::swap(&mut self.gradients, gradients);
    }

    /// Adds a value to the history and returns its number.
    pub fn remember(&mut self, datum: Datum) -> usize {
        self.history.push(datum);
        self.history.len()
    }

    /// Adds so many entries to the history that hold nothing: what the command gave in an earlier session was not
    /// computed again.
    pub fn forgo(&mut self, values: usize, command: &str) {
        for _ in 0..values {
            let number = self.remember(Datum::Void);
            self.forgone.insert(number, command.to_string());
        }
    }

    /// Whether a motion is to pause here: the user asked for it, now or in the session that is resumed.
    pub(super) fn pauses(&mut self, here: Mark) -> bool {
        self.interrupt.swap(false, Ordering::SeqCst) || self.halt == Some(here)
    }

    /// The block that the value just computed belongs to, or the op at the cursor.
    pub fn block(&self) -> Option<usize> {
        self.block_at(self.run.cursor)
    }

    /// The same if the cursor were at `position`.
    pub fn block_at(&self, position: usize) -> Option<usize> {
        let program = &self.run.program;
        position.checked_sub(1).and_then(|op| program.layer_at(op)).or_else(|| program.layer_at(position))
    }

    /// A convenience variable; those that the session sets itself included.
    pub fn variable(&self, name: &str) -> Datum {
        match (self.variables.get(name), name) {
            (Some(datum), _) => datum.clone(),
            (None, "bpnum") => Datum::Num(self.stops.last_number() as f64),
            (None, "_hit_bpnum") => {
                let number = self.last_stop.as_ref().and_then(|stop| stop.ids.first());
                number.map_or(Datum::Void, |number| Datum::Num(*number as f64))
            }
            (None, "_exitcode") if self.run.live && self.run.at_end() => Datum::Num(0.0),
            (None, "_pass") if self.run.live => Datum::Num(self.run.pass as f64),
            (None, _) => Datum::Void,
        }
    }

    pub fn focused_row(&self) -> Option<&Row> {
        self.run.branch().text().rows.get(self.focus.row)
    }

    /// Columns of the text up to the end of the current pass.
    pub fn row_length(&self) -> usize {
        self.run.branch().span(self.run.pass).end
    }

    /// The focused position: as chosen, or the last real token of the focused row.
    pub fn focus_pos(&self) -> usize {
        let length = self.row_length();
        let last = self.focused_row().and_then(|row| row.mask[..length].iter().rposition(|real| *real)).unwrap_or(0);
        // An edit of the prompt may have made the row shorter.
        self.focus.pos.filter(|pos| *pos < length).unwrap_or(last)
    }

    /// Where the token with exactly this text is in the focused row.
    pub fn positions_of(&self, text: &str) -> Vec<usize> {
        let Some(row) = self.focused_row() else { return Vec::new() };
        self.positions_among(&row.ids[..self.row_length()], text)
    }

    /// The same in what the encoder of a decoder reads.
    pub fn source_positions_of(&self, text: &str) -> Vec<usize> {
        let source = self.focused_row().and_then(|row| row.source.as_ref());
        source.map_or_else(Vec::new, |source| self.positions_among(&source.ids, text))
    }

    fn positions_among(&self, ids: &[u32], text: &str) -> Vec<usize> {
        let Some(tokenizer) = &self.run.model.tokenizer else { return Vec::new() };
        let is_it = |id: u32| {
            let token = tokenizer.token_text(id);
            token == text || token.trim_start_matches(' ') == text
        };
        let exact: Vec<usize> = (0..ids.len()).filter(|&i| tokenizer.token_text(ids[i]) == text).collect();
        match exact.is_empty() {
            true => (0..ids.len()).filter(|&i| is_it(ids[i])).collect(),
            false => exact,
        }
    }

    /// The only position of the focused row whose token has this text.
    ///
    /// # Errors
    /// In words: the text has no such token, or several.
    pub fn position_of(&self, text: &str) -> Result<usize> {
        match self.positions_of(text)[..] {
            [only] => Ok(only),
            [] => Err(self.not_in_text(text).into()),
            ref many => {
                let at: Vec<String> = many.iter().map(usize::to_string).collect();
                Err(Error::refused(format!("{text:?} is at positions {}: give one of these numbers", at.join(", "))))
            }
        }
    }

    /// That no token of the focused row has this text, and what it may have been meant to be.
    pub fn not_in_text(&self, text: &str) -> String {
        let hint = self.like_token(text).unwrap_or_else(|| "\"info tokens\" lists its tokens".into());
        format!("{text:?} is not a token of the text; {hint}")
    }

    /// What a text that is not a token of the focused row may have been meant to be: the tokens that it is cut into
    /// there, or the nearest one.
    pub fn like_token(&self, text: &str) -> Option<String> {
        let tokenizer = self.run.model.tokenizer.as_ref()?;
        let row = self.focused_row()?;
        let tokens: Vec<String> = row.ids[..self.row_length()].iter().map(|&id| tokenizer.token_text(id)).collect();
        let bare = |text: &str| text.trim().to_lowercase();
        let wanted = bare(text);
        if let Some(same) = tokens.iter().find(|token| !wanted.is_empty() && bare(token) == wanted) {
            return Some(format!("did you mean {same:?}?"));
        }
        for first in 0..tokens.len() {
            for last in first + 2..=tokens.len().min(first + PIECES) {
                let pieces = &tokens[first..last];
                if bare(&pieces.concat()) == wanted {
                    let pieces: Vec<String> = pieces.iter().map(|piece| format!("{piece:?}")).collect();
                    return Some(format!("it is cut into {}", pieces.join(", ")));
                }
            }
        }
        let far = |token: &&String| strsim::damerau_levenshtein(&bare(token), &wanted);
        let nearest = tokens.iter().min_by_key(far).filter(|token| far(token) <= wanted.chars().count() / 3);
        nearest.map(|token| format!("did you mean {token:?}?"))
    }
}

/// A session in another branch of its run; it is in its own again when this is dropped, whatever happens before.
pub struct InBranch<'a> {
    session: &'a mut Session,
    here: usize,
}

impl Session {
    /// The session as it is in another branch, at the same place.
    pub fn in_branch(&mut self, branch: usize) -> InBranch<'_> {
        let here = std::mem::replace(&mut self.run.current, branch);
        InBranch { session: self, here }
    }
}

impl Deref for InBranch<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session
    }
}

impl DerefMut for InBranch<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session
    }
}

impl Drop for InBranch<'_> {
    fn drop(&mut self) {
        self.session.run.current = self.here;
    }
}

/// Failures of all devices of a run so far.
fn faults(run: &Run) -> u64 {
    run.model.placement.devices().iter().map(Device::faults).sum()
}
