//! Experiments: something is changed in a new branch, and the symptom is measured before and after.

use std::time::Instant;

use super::finding::{Finding, State, Tried};
use super::plan::{Experiment, Step};
use super::walk::{Suspicion, Walk, unknown};
use crate::answer::{Answer, Cell};
use crate::debugger::Result;

/// A command is timed so often, and the shortest time counts.
const TIMES: usize = 3;

/// A text that ends before so many tokens repeats nothing.
const FEWEST: usize = 8;

impl Walk<'_> {
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
    pub(super) fn measured(&mut self, variable: &str, expression: Option<&str>) -> Result<Result<f64, String>> {
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

    /// Tries the experiments of a step on what it suspects. What came of them, and whether the next cause is
    /// to be looked for.
    pub(super) fn decide(&mut self, step: &Step, found: &[Suspicion<'_>], what: String) -> Result<(State, bool)> {
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

    /// An experiment in a new branch, with the names of what is suspected in force.
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
