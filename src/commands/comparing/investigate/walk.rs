//! One investigation: the steps of a plan that are about a symptom, and the experiments that decide what they suspect.

use std::collections::BTreeSet;
use std::time::Instant;

use super::fill::Names;
use super::finding::{Finding, State, Tried};
use super::plan::{Experiment, Plan, Step, Symptom};
use super::predicate::{Answered, Row};
use super::scratch::Scratch;
use crate::answer::{Answer, Cell};
use crate::debugger::Result;
use crate::debugger::sides::Peer;
use crate::tensor::step as progress;

/// Causes that are looked for one after the other.
const ROUNDS: usize = 4;

/// A command is timed so often, and the shortest time counts.
const TIMES: usize = 3;

/// A text that ends before so many tokens repeats nothing.
const FEWEST: usize = 8;

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
    before: Option<f64>,
    /// Tokens that were generated at the beginning.
    generated: usize,
}

/// A row that raised a suspicion, with the names that it gives.
struct Suspicion<'a> {
    row: Row<'a>,
    names: Names,
    what: String,
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
            // Whether there is the symptom can be told without its number.
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

    fn is_present(&mut self) -> Result<bool> {
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
    fn refresh(&mut self) {
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

    fn filled(&self, template: &str, names: &Names) -> Result<String> {
        names.fill(template).map_err(|name| unknown(&name).into())
    }

    /// Generates as many tokens as there were at the beginning, or up to the end of the text. How many there are.
    fn generate(&mut self) -> Result<usize> {
        let passes = |walk: &Walk<'_>| walk.scratch.session().run.branch().passes() - 1;
        let missing = self.generated.saturating_sub(passes(self));
        if missing > 0 {
            self.scratch.run(&format!("generate {missing}"))?;
        }
        let found = passes(self);
        self.generated = self.generated.max(found);
        Ok(found)
    }

    /// The number of the symptom, or of an expression in its place; why it cannot be measured.
    fn measured(&mut self, variable: &str, expression: Option<&str>) -> Result<Result<f64, String>> {
        let symptom = self.symptom;
        if let Some(template) = expression.or(symptom.measure.as_deref()) {
            if template.contains("{generated}") && self.generate()? < FEWEST {
                self.scratch.note("the text has ended");
                self.scratch.keep(variable, 0.0);
                return Ok(Ok(0.0));
            }
            self.refresh();
            return match self.names.fill(template) {
                Ok(expression) => self.scratch.number(variable, &expression),
                Err(name) => Ok(Err(unknown(&name))),
            };
        }
        self.refresh();
        let found = match (&symptom.measure_seconds, &symptom.measure_run) {
            (Some(template), _) => {
                let line = self.filled(template, &self.names)?;
                let mut shortest = f64::INFINITY;
                // The first one warms up.
                for time in 0..=TIMES {
                    let start = Instant::now();
                    if let Answer::Error(error) = self.scratch.run(&line)?.answer {
                        return Ok(Err(error.message));
                    }
                    if time > 0 {
                        shortest = shortest.min(start.elapsed().as_secs_f64());
                    }
                }
                Some(shortest)
            }
            (None, Some(template)) => {
                let line = self.filled(template, &self.names)?;
                let answered = self.scratch.run(&line)?;
                if let Answer::Error(error) = answered.answer {
                    return Ok(Err(error.message));
                }
                let (row, column) = (symptom.row(), symptom.measure_column.clone().unwrap_or_default());
                let found = answered.rows().find(|of| row.as_ref().is_some_and(|row| row.found(of).is_some()));
                found.and_then(|row| match row.cells.get(&column) {
                    Some(Cell::Num(x)) => Some(*x),
                    Some(Cell::Int(x)) => Some(*x as f64),
                    _ => None,
                })
            }
            (None, None) => None,
        };
        let Some(x) = found else { return Ok(Err("the answer has no such row".into())) };
        self.scratch.keep(variable, x);
        Ok(Ok(x))
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

    /// Tries the experiments of a step on what it suspects. What came of them, and whether the next cause is
    /// to be looked for.
    fn decide(&mut self, step: &Step, found: &[Suspicion<'_>], what: String) -> Result<(State, bool)> {
        let mut best: Option<(State, Option<Tried>)> = None;
        let mut goes_on = false;
        for experiment in &step.experiments {
            let fits = |one: &Suspicion<'_>| experiment.when.as_ref().is_none_or(|when| when.found(&one.row).is_some());
            if !found.iter().all(fits) {
                continue;
            }
            let (state, tried, on) = self.tries(experiment, found)?;
            goes_on = on;
            if best.as_ref().is_none_or(|(known, _)| state < *known) {
                best = Some((state, Some(tried)));
            }
            if state == State::Confirmed {
                break;
            }
        }
        let alone = if step.load_base.is_some() { State::Evidence } else { State::Hypothesis };
        let (state, tried) = best.unwrap_or((alone, None));
        self.push(Finding { step: step.name.clone(), what, state, tried });
        Ok((state, goes_on))
    }

    fn push(&mut self, finding: Finding) {
        let same = |known: &&mut Finding| known.what == finding.what;
        match self.findings.iter_mut().find(same) {
            Some(known) if known.state <= finding.state => {}
            Some(known) => *known = finding,
            None => self.findings.push(finding),
        }
    }

    fn tries(&mut self, experiment: &Experiment, found: &[Suspicion<'_>]) -> Result<(State, Tried, bool)> {
        let names = &found[0].names;
        let changes = names.words(&experiment.changes).unwrap_or_else(|_| experiment.changes.clone());
        let what = experiment.what.as_ref().unwrap_or(&self.symptom.what);
        let what = names.words(what).unwrap_or_else(|_| what.clone());
        let mut tried = Tried { changes, what, before: None, after: None, commands: Vec::new(), failed: None };
        if let Some(measured) = &experiment.measured {
            let all = found.iter().all(|one| measured.found(&one.row).is_some());
            return Ok((if all { State::Confirmed } else { State::Evidence }, tried, false));
        }
        self.scratch.note(&format!("experiment: {}", tried.changes));
        let outer = std::mem::replace(&mut self.names, names.clone());
        let done = self.attempt(experiment, found, &mut tried);
        self.names = outer;
        let (state, goes_on) = done?;
        Ok((state, tried, goes_on))
    }

    /// An experiment in a branch of its own, with the names of what is suspected in force.
    fn attempt(
        &mut self,
        experiment: &Experiment,
        found: &[Suspicion<'_>],
        tried: &mut Tried,
    ) -> Result<(State, bool)> {
        let other = experiment.measure.as_deref();
        match self.measured("before", other)? {
            Ok(before) => tried.before = Some(before),
            Err(_) if self.before.is_none() && other.is_none() => self.scratch.keep("before", f64::NAN),
            Err(failed) => {
                tried.failed = Some(failed);
                return Ok((State::Hypothesis, false));
            }
        }
        let branch = self.scratch.open()?;
        // From the last one on: numbers of a list stay what they are.
        tried.failed = self.lines(&experiment.prepare, None, tried)?;
        for one in found.iter().rev() {
            if tried.failed.is_some() {
                break;
            }
            self.names = one.names.clone();
            self.names.set("try", &branch);
            self.refresh();
            tried.failed = self.lines(&experiment.run, experiment.each.as_deref(), tried)?;
        }
        self.names = found[0].names.clone();
        if tried.failed.is_none() {
            match self.measured("after", other)? {
                Ok(after) => tried.after = Some(after),
                Err(failed) => tried.failed = Some(failed),
            }
        }
        if tried.failed.is_some() {
            self.take_back(experiment, found)?;
            return Ok((State::Hypothesis, false));
        }
        let cured = experiment.cured.as_ref().unwrap_or(&self.symptom.cured).clone();
        let mut is_cured = self.condition(&cured)?;
        if is_cured && self.symptom.measure_seconds.is_some() {
            is_cured = self.again(&cured, &branch, experiment, found, tried)?;
        }
        let helped = self.symptom.helped.clone().filter(|_| other.is_none());
        let has_helped = !is_cured && helped.map_or(Ok(false), |helped| self.condition(&helped))?;
        let state = match (is_cured, has_helped) {
            (true, _) if !experiment.mechanism => State::Confirmed,
            (true, _) | (_, true) => State::Evidence,
            _ => State::Refuted,
        };
        if state == State::Confirmed && self.symptom.several && self.is_present()? {
            self.scratch.note("the next cause is looked for here");
            self.scratch.go_on_here();
            return Ok((state, true));
        }
        self.take_back(experiment, found)?;
        Ok((state, false))
    }

    /// Goes back to where the experiment began.
    fn take_back(&mut self, experiment: &Experiment, found: &[Suspicion<'_>]) -> Result<()> {
        let mut unused = Tried::default();
        for one in found {
            self.names = one.names.clone();
            self.lines(&experiment.after, None, &mut unused)?;
        }
        self.scratch.close()
    }

    /// Whether a time is still shorter than before, if before is measured again afterwards: what else the machine does may have ended.
    fn again(
        &mut self,
        cured: &str,
        branch: &str,
        experiment: &Experiment,
        found: &[Suspicion<'_>],
        tried: &mut Tried,
    ) -> Result<bool> {
        self.take_back(experiment, found)?;
        let Ok(again) = self.measured("before", None)? else { return Ok(false) };
        let before = tried.before.map_or(again, |before| before.min(again));
        tried.before = Some(before);
        self.scratch.keep("before", before);
        self.scratch.run(&format!("checkout {branch}"))?;
        self.condition(cured)
    }

    fn condition(&mut self, template: &str) -> Result<bool> {
        match self.names.fill(template) {
            Ok(condition) => self.scratch.holds(&condition),
            Err(_) => Ok(false),
        }
    }

    /// Runs the commands of templates, each once or for each item of a list in commas. Why one could not be carried out.
    fn lines(&mut self, templates: &[String], each: Option<&str>, tried: &mut Tried) -> Result<Option<String>> {
        let list = match each.map(|list| self.names.fill(list)).transpose() {
            Ok(list) => list.unwrap_or_default(),
            Err(name) => return Ok(Some(unknown(&name))),
        };
        for template in templates {
            for item in list.split(',') {
                let mut names = self.names.clone();
                names.set("each", item.trim());
                let line = match names.fill(template) {
                    Ok(line) => line,
                    Err(name) => return Ok(Some(unknown(&name))),
                };
                let answered = self.scratch.run(&line)?;
                tried.commands.push(line);
                if let Answer::Error(error) = answered.answer {
                    return Ok(Some(error.message.lines().next().unwrap_or_default().to_string()));
                }
            }
        }
        Ok(None)
    }
}

fn unknown(name: &str) -> String {
    format!("nothing here is called {{{name}}}")
}
