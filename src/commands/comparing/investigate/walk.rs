//! One investigation: the steps of a plan that are about a symptom, and what their answers make one suspect.

use std::collections::BTreeSet;

use super::fill::Names;
use super::finding::{Finding, State};
use super::plan::{Plan, Step, Symptom};
use super::predicate::{Answered, Row};
use super::scratch::Scratch;
use crate::answer::Answer;
use crate::debugger::Result;
use crate::debugger::sides::Peer;
use crate::tensor::step as progress;

/// Causes that are looked for one after the other.
const ROUNDS: usize = 4;

/// What a model loaded as a base is called, unless it is called so already.
const BASE: &str = "reference";

/// The step that looks whether there is anything to investigate.
pub const THE_SYMPTOM: &str = "the symptom";

pub struct Walk<'a> {
    pub scratch: Scratch<'a>,
    pub symptom: &'a Symptom,
    pub name: &'a str,
    pub names: Names,
    pub findings: Vec<Finding>,
    /// Models of the same shape.
    bases: Vec<String>,
    /// The number of the symptom where experiments start.
    pub(super) before: Option<f64>,
    /// Tokens that were generated at the beginning.
    pub(super) generated: usize,
}

/// A row that raised a suspicion, with the names that it gives.
pub(super) struct Suspicion<'a> {
    pub(super) row: Row<'a>,
    pub(super) names: Names,
    pub(super) what: String,
}

impl<'a> Walk<'a> {
    pub fn new(scratch: Scratch<'a>, (name, symptom): (&'a str, &'a Symptom), names: Names) -> Walk<'a> {
        let mut walk =
            Walk { scratch, symptom, name, names, findings: Vec::new(), bases: Vec::new(), before: None, generated: 0 };
        walk.bases = walk.at_hand();
        walk
    }

    /// Other models of the session with the shape of this one.
    fn at_hand(&self) -> Vec<String> {
        let shape = |session: &crate::debugger::Session| {
            let spec = &session.run.model.spec;
            (spec.n_layers, spec.n_heads, spec.d_model, spec.vocab)
        };
        let own = shape(self.scratch.session());
        let peers = self.scratch.session().peers.iter();
        let alike = peers.filter(|(_, peer)| matches!(peer, Peer::Model(session) if shape(session) == own));
        alike.map(|(name, _)| name.clone()).collect()
    }

    /// Goes through the steps.
    ///
    /// # Errors
    /// If the user interrupts, the device fails, or the symptom cannot be measured.
    pub fn investigate(&mut self, plan: &Plan) -> Result<()> {
        if !self.begin()? {
            return Ok(());
        }
        let steps: Vec<&Step> =
            plan.steps.iter().filter(|step| step.symptoms.iter().any(|of| of == self.name)).collect();
        for _ in 0..ROUNDS {
            let mut goes_on = false;
            let mut answered: BTreeSet<&str> = BTreeSet::new();
            for (number, step) in steps.iter().enumerate() {
                // Steps of one name ask the same: the first that has an answer gives it.
                if answered.contains(step.name.as_str()) {
                    continue;
                }
                let before = self.findings.len();
                progress(&format!("investigate: {}", step.name), number as u64, steps.len() as u64)?;
                goes_on = self.step(step)?;
                if self.findings[before.min(self.findings.len())..].iter().any(|new| new.state == State::Confirmed) {
                    answered.insert(&step.name);
                }
                if goes_on {
                    break;
                }
            }
            if !goes_on {
                break;
            }
            // What was found in order was so where the cause was still there.
            self.findings.retain(|finding| finding.state == State::Confirmed);
        }
        Ok(())
    }

    /// Goes to the end of the pass and measures the symptom. Whether there is one.
    fn begin(&mut self) -> Result<bool> {
        let run = &self.scratch.session().run;
        let first = match (run.live, run.at_end()) {
            (false, _) => Some("run"),
            (true, false) => Some("continue"),
            (true, true) => None,
        };
        for line in first.map(str::to_string).into_iter().chain(self.symptom.prepare.clone()) {
            self.refresh();
            let line = self.filled(&line, &self.names)?;
            if let Answer::Error(error) = self.scratch.run(&line)?.answer {
                return Err(error.message.into());
            }
        }
        self.refresh();
        self.before = match self.measured("before", None)? {
            Ok(before) => Some(before),
            // The symptom can be present without a number that measures it.
            Err(_) if self.symptom.look.is_some() => None,
            Err(failed) => return Err(failed.into()),
        };
        if self.is_present()? {
            return Ok(true);
        }
        let what = format!(
            "{} is {}",
            self.filled(&self.symptom.what, &self.names)?,
            self.before.map_or_else(String::new, super::finding::number)
        );
        let what = format!("there is no such symptom here: {what}");
        self.findings.push(Finding { step: THE_SYMPTOM.into(), what, state: State::Cleared, tried: None });
        Ok(false)
    }

    pub(super) fn is_present(&mut self) -> Result<bool> {
        if let Some(look) = self.symptom.look.clone() {
            let line = self.filled(&look, &self.names)?;
            let answered = self.scratch.run(&line)?;
            if let Answer::Error(error) = answered.answer {
                return Err(error.message.into());
            }
            if !self.symptom.is_in(answered.rows()) {
                return Ok(false);
            }
        }
        match self.symptom.present.clone() {
            Some(present) => {
                let condition = self.filled(&present, &self.names)?;
                self.scratch.holds(&condition)
            }
            None => Ok(true),
        }
    }

    /// Names that follow from where the copy of the session is.
    pub(super) fn refresh(&mut self) {
        let session = self.scratch.session();
        let run = &session.run;
        let (own, back) = (self.scratch.own.clone(), run.branch().name.clone());
        let row = session.focused_row();
        let prompt = row.and_then(|row| row.text.clone());
        let first = row.and_then(|row| row.mask.iter().position(|real| *real)).unwrap_or(0);
        let generated: Vec<String> = (1..run.branch().passes()).map(|pass| format!("tokens#{pass}")).collect();
        let last = self.last_site();
        let side = self.names.text("side").map(str::to_string);
        let is_branch = side.as_ref().is_some_and(|side| run.branch_named(side).is_some());
        let is_model = side.as_ref().is_some_and(|side| {
            session.peers.iter().any(|(name, peer)| name == side && matches!(peer, Peer::Model(_)))
        });
        match (&side, is_branch, is_model) {
            (Some(side), true, _) => {
                self.names.set("to", format!("checkout {side}"));
                self.names.set("back", format!("checkout {back}"));
            }
            (Some(side), _, true) => {
                self.names.set("to", format!("use {side}"));
                self.names.set("back", format!("use {own}"));
            }
            _ => {}
        }
        self.names.set("own", own);
        self.names.set("first", first.to_string());
        self.names.set("last", last);
        self.names.set("generated", generated.join(", "));
        if let Some(prompt) = prompt {
            self.names.set_quoted("prompt", prompt);
        }
    }

    /// The last site of the program that the other side has too.
    fn last_site(&self) -> String {
        let session = self.scratch.session();
        let side = self.names.text("side").and_then(|side| session.side_named(side));
        let known = side.and_then(|side| session.sites_of_dump(&side));
        let has = |site: &&String| known.as_ref().is_none_or(|known| known.contains(site.as_str()));
        let sites = session.run.program.sites();
        sites.iter().rev().find(has).or(sites.last()).cloned().unwrap_or_default()
    }

    pub(super) fn filled(&self, template: &str, names: &Names) -> Result<String> {
        names.fill(template).map_err(|name| unknown(&name).into())
    }

    /// One step, for each base model if it asks for that. Whether the next cause is to be looked for.
    fn step(&mut self, step: &Step) -> Result<bool> {
        if !step.each_base {
            return self.one(step);
        }
        for base in self.bases.clone() {
            let side = self.names.text("side").map(str::to_string);
            self.names.set("base", &base);
            self.names.set("side", &base);
            let goes_on = self.one(step);
            match side {
                Some(side) => self.names.set("side", side),
                None => self.names.set("side", ""),
            }
            if goes_on? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn one(&mut self, step: &Step) -> Result<bool> {
        self.refresh();
        let Ok(line) = self.names.fill(&step.run) else { return Ok(false) };
        let mut answered = self.scratch.ask(&line)?;
        if let (Answer::Error(error), false) = (&answered.answer, step.when.expects_failure()) {
            if step.optional {
                return Ok(false);
            }
            let what = error.message.lines().next().unwrap_or_default().to_string();
            self.findings.push(Finding { step: step.name.clone(), what, state: State::NotRun, tried: None });
            return Ok(false);
        }
        if let Some((column, like)) = &step.ratio {
            answered = answered.with_ratio(column, like);
        }
        let found = self.suspicions(step, &answered);
        if found.is_empty() {
            if !step.clear.is_empty() {
                let what = self.filled(&step.clear, &self.names)?;
                self.push(Finding { step: step.name.clone(), what, state: State::Cleared, tried: None });
            }
            return Ok(false);
        }
        if let (Some(template), Some(first), true) = (&step.load_base, found.first(), self.bases.is_empty()) {
            self.load_base(template, &first.names.clone())?;
        }
        if step.together {
            let more = match found.len() {
                1 => String::new(),
                count => format!("; and {} more", count - 1),
            };
            return Ok(self.decide(step, &found, format!("{}{more}", found[0].what))?.1);
        }
        let (before, tried) = (self.findings.len(), &found[..found.len().min(step.most)]);
        let mut confirmed = false;
        for one in tried {
            let (state, goes_on) = self.decide(step, std::slice::from_ref(one), one.what.clone())?;
            confirmed |= state == State::Confirmed;
            if goes_on {
                return Ok(true);
            }
        }
        let decides = step.experiments.iter().any(|experiment| !experiment.mechanism && experiment.measured.is_none());
        match tried.len() > 1 && !confirmed && decides {
            true => self.jointly(step, tried, before),
            false => Ok(false),
        }
    }

    /// Everything that a step suspects, changed together, where none of it alone was enough: causes may hide each other. If that
    /// confirms, it takes the place of the findings from `first` on.
    fn jointly(&mut self, step: &Step, found: &[Suspicion<'_>], first: usize) -> Result<bool> {
        let apart = self.findings.len();
        let all: Vec<&str> = found.iter().map(|one| one.what.as_str()).collect();
        let (state, goes_on) = self.decide(step, found, format!("{}, together", all.join("; ")))?;
        match state {
            State::Confirmed => _ = self.findings.drain(first..apart),
            _ => self.findings.truncate(apart),
        }
        Ok(goes_on)
    }

    fn load_base(&mut self, template: &str, names: &Names) -> Result<()> {
        let taken = |name: &str| self.scratch.session().side_named(name).is_some();
        let name =
            std::iter::once(BASE.to_string()).chain((2..).map(|n| format!("{BASE}{n}"))).find(|name| !taken(name));
        let mut names = names.clone();
        names.set("as", name.unwrap_or_default());
        let line = self.filled(template, &names)?;
        self.scratch.run(&line)?;
        self.bases = self.at_hand();
        Ok(())
    }

    /// The rows that match, each with its names.
    fn suspicions<'r>(&self, step: &Step, answered: &'r Answered) -> Vec<Suspicion<'r>> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let prompt = self.names.text("prompt").unwrap_or_default();
        for mut row in answered.rows() {
            row.cells.insert("prompt".into(), prompt.into());
            let Some(groups) = step.when.found(&row) else { continue };
            let mut names = self.names.clone();
            let cells = row.cells.iter().filter(|(column, _)| *column != "prompt");
            cells.for_each(|(column, cell)| names.set_cell(column.replace(' ', "-"), cell));
            groups.into_iter().for_each(|(name, text)| names.set(name, text));
            // A template with a name that this row does not have is of another kind of row.
            let Ok(what) = names.words(&step.suspect) else { continue };
            if seen.insert(what.clone()) {
                found.push(Suspicion { row, names, what });
            }
        }
        found
    }

    pub(super) fn push(&mut self, finding: Finding) {
        let same = |known: &&mut Finding| known.what == finding.what;
        match self.findings.iter_mut().find(same) {
            Some(known) if known.state <= finding.state => {}
            Some(known) => *known = finding,
            None => self.findings.push(finding),
        }
    }
}

pub(super) fn unknown(name: &str) -> String {
    format!("nothing here is called {{{name}}}")
}
