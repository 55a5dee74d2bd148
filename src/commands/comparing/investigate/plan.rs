//! Plans of `investigate`: symptoms, and steps with what they look for and the experiments that decide. Plans are data,
//! `config/investigate.toml` or a file of the user's.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::fill::FILTERS;
use super::predicate::{Predicate, Row};

/// The plan that is used if no other is named.
pub const BUILT_IN: &str = include_str!("../../../../config/investigate.toml");

/// Commands that no plan may run: they write files, run programs, or end the session.
pub const OUTSIDE: [&str; 11] =
    ["save", "export", "shell", "pipe", "source", "transcript", "golden", "quit", "kill", "investigate", "layout"];

#[derive(Debug)]
pub struct Plan {
    pub symptoms: BTreeMap<String, Symptom>,
    pub steps: Vec<Step>,
}

/// What is wrong, and the number that says how wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Symptom {
    pub about: String,
    /// What follows its name.
    #[serde(default)]
    pub takes: Takes,
    /// Words by which it is recognised in a free description.
    #[serde(default)]
    pub words: Vec<String>,
    /// Commands before anything is measured.
    #[serde(default)]
    pub prepare: Vec<String>,
    /// The number: an expression, the seconds of a command, or a cell of what a command answers.
    pub measure: Option<String>,
    pub measure_seconds: Option<String>,
    pub measure_run: Option<String>,
    /// Which row has it, and in which column.
    pub measure_row: Option<Spanned<String>>,
    pub measure_column: Option<String>,
    /// What the number is, in words.
    pub what: String,
    /// An expression over `$before` and `$after` that holds if an experiment has removed the symptom.
    pub cured: String,
    /// The same if it has made it clearly smaller.
    pub helped: Option<String>,
    /// An expression that holds if there is the symptom.
    pub present: Option<String>,
    /// A command, and what its answer says if there is no such symptom, or one of the things that it says if there is.
    pub look: Option<String>,
    pub absent: Option<Spanned<String>>,
    #[serde(default)]
    pub there: Vec<Spanned<String>>,
    /// Whether stop points of the session are part of it.
    #[serde(default)]
    pub with_stops: bool,
    /// Whether what experiments confirm ends the symptom only together: the next cause is looked for where the last one is mended.
    #[serde(default)]
    pub several: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Takes {
    #[default]
    Nothing,
    /// A token: `{token}`.
    Token,
    /// A branch, a model, a dump or a file: `{side}`.
    Side,
    /// `EXPR by FIELD in FILE`.
    Gap,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    symptom: BTreeMap<String, Spanned<Symptom>>,
    #[serde(default)]
    step: Vec<Spanned<StepText>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StepText {
    name: String,
    symptoms: Spanned<Vec<String>>,
    run: Spanned<String>,
    when: Spanned<String>,
    suspect: String,
    #[serde(default)]
    clear: String,
    #[serde(default)]
    each_base: bool,
    #[serde(default)]
    together: bool,
    most: Option<usize>,
    ratio: Option<String>,
    like: Option<String>,
    load_base: Option<String>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    experiment: Vec<Spanned<ExperimentText>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ExperimentText {
    changes: String,
    #[serde(default)]
    prepare: Vec<Spanned<String>>,
    #[serde(default)]
    run: Vec<Spanned<String>>,
    #[serde(default)]
    after: Vec<Spanned<String>>,
    each: Option<String>,
    measure: Option<String>,
    what: Option<String>,
    cured: Option<String>,
    when: Option<Spanned<String>>,
    measured: Option<Spanned<String>>,
    #[serde(default)]
    mechanism: bool,
}

/// A command, what its answer has to say to raise a suspicion, and how to decide about that.
#[derive(Clone, Debug)]
pub struct Step {
    pub name: String,
    pub symptoms: Vec<String>,
    pub run: String,
    pub when: Predicate,
    /// The suspicion, in a clause.
    pub suspect: String,
    /// What is said if nothing matches.
    pub clear: String,
    /// Whether it is made for each base model that is at hand, as `{base}`.
    pub each_base: bool,
    /// Whether everything that matches is one suspicion.
    pub together: bool,
    /// Most suspicions that are followed.
    pub most: usize,
    /// A column that is compared with its median over the rows that differ in `like` by the number of the block.
    pub ratio: Option<(String, String)>,
    /// A model that is loaded as a base if something matches.
    pub load_base: Option<String>,
    /// Whether nothing is said if its command cannot be carried out.
    pub optional: bool,
    /// Tried in turn, until one confirms.
    pub experiments: Vec<Experiment>,
}

#[derive(Clone, Debug)]
pub struct Experiment {
    /// What it changes, in a clause.
    pub changes: String,
    /// Commands before it, in a branch of their own; those that make the change, for each row; those that take back what is not part of
    /// the branch.
    pub prepare: Vec<String>,
    pub run: Vec<String>,
    pub after: Vec<String>,
    /// The word `{each}` of a command is each item of this list in turn.
    pub each: Option<String>,
    /// Another number than that of the symptom, with its words and its limit.
    pub measure: Option<String>,
    pub what: Option<String>,
    pub cured: Option<String>,
    /// Which rows it is for; all, if it does not say.
    pub when: Option<Predicate>,
    /// If the step itself was the experiment: what its row says if that confirms.
    pub measured: Option<Predicate>,
    /// Whether it shows how the model does something, which alone is no fault: it gives evidence at most.
    pub mechanism: bool,
}

/// Suspicions of a step that are followed, if it does not say.
const MOST: usize = 4;

/// What is wrong with a plan, and on which line of it, from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct PlanError {
    pub line: usize,
    pub message: String,
}

impl Plan {
    /// Reads a plan. `command` gives the full name of a command.
    ///
    /// # Errors
    /// With its line, if it is not TOML, has unknown keys, names a symptom or a command that there is not, or has a predicate or a
    /// template that cannot be read.
    pub fn parse(text: &str, command: &dyn Fn(&str) -> Option<&'static str>) -> Result<Plan, PlanError> {
        let line_at = |byte: usize| text[..byte.min(text.len())].matches('\n').count() + 1;
        let toml_error = |error: toml::de::Error, from: usize| PlanError {
            line: line_at(error.span().map_or(from, |span| span.start)),
            message: error.message().to_string(),
        };
        let file: File = toml::from_str(text).map_err(|error| toml_error(error, 0))?;
        let mut symptoms = BTreeMap::new();
        for (name, spanned) in file.symptom {
            let line = line_at(spanned.span().start);
            let symptom = spanned.into_inner();
            let checked = symptom.check().and_then(|()| {
                let templates = symptom.prepare.iter().chain(&symptom.look);
                templates
                    .chain(&symptom.measure_run)
                    .chain(&symptom.measure_seconds)
                    .try_for_each(|line| runs(line, command))
            });
            checked.map_err(|message| PlanError { line, message: format!("symptom {name}: {message}") })?;
            symptoms.insert(name, symptom);
        }
        let mut steps = Vec::new();
        for spanned in file.step {
            let at = spanned.span().start;
            let step = spanned.into_inner().step(at, &symptoms, command);
            steps.push(step.map_err(|(at, message)| PlanError { line: line_at(at), message })?);
        }
        Ok(Plan { symptoms, steps })
    }
}

impl Symptom {
    fn check(&self) -> Result<(), String> {
        let row = &self.measure_row;
        match (&self.measure, &self.measure_seconds, &self.measure_run) {
            (Some(_), None, None) | (None, Some(_), None) => {}
            (None, None, Some(_)) if row.is_some() && self.measure_column.is_some() => {}
            _ => {
                return Err(
                    "needs one of measure, measure-seconds, and measure-run with measure-row and measure-column".into(),
                );
            }
        }
        if self.look.is_some() == (self.absent.is_none() && self.there.is_empty()) {
            return Err("look belongs to absent or there, and one of them to look".into());
        }
        let predicates = [&self.absent, row].into_iter().flatten().chain(&self.there);
        for text in predicates {
            Predicate::parse(text.get_ref())?;
        }
        let texts =
            [Some(&self.what), Some(&self.cured), self.helped.as_ref(), self.present.as_ref(), self.measure.as_ref()];
        texts.into_iter().flatten().try_for_each(|text| braces(text))
    }

    fn absent(&self) -> Option<Predicate> {
        Predicate::parse(self.absent.as_ref()?.get_ref()).ok()
    }

    /// Whether rows say that there is the symptom.
    pub fn is_in<'r>(&self, mut rows: impl Iterator<Item = Row<'r>>) -> bool {
        let there: Vec<Predicate> =
            self.there.iter().filter_map(|text| Predicate::parse(text.get_ref()).ok()).collect();
        match self.absent() {
            Some(absent) => !rows.any(|row| absent.found(&row).is_some()),
            None => rows.any(|row| there.iter().any(|there| there.found(&row).is_some())),
        }
    }

    /// Which row of the answer of `measure-run` has the number.
    pub fn row(&self) -> Option<Predicate> {
        Predicate::parse(self.measure_row.as_ref()?.get_ref()).ok()
    }
}

type At<T> = Result<T, (usize, String)>;

impl StepText {
    fn step(
        self,
        at: usize,
        symptoms: &BTreeMap<String, Symptom>,
        command: &dyn Fn(&str) -> Option<&'static str>,
    ) -> At<Step> {
        let predicate =
            |text: &Spanned<String>| Predicate::parse(text.get_ref()).map_err(|message| (text.span().start, message));
        let here = |message: String| (at, message);
        let named = self.symptoms.get_ref().iter().find(|name| !symptoms.contains_key(*name));
        if let Some(name) = named {
            let known: Vec<&str> = symptoms.keys().map(String::as_str).collect();
            let message = format!("there is no symptom {name:?}; there are {}", known.join(", "));
            return Err((self.symptoms.span().start, message));
        }
        runs(self.run.get_ref(), command).map_err(|message| (self.run.span().start, message))?;
        [&self.suspect, &self.clear].into_iter().try_for_each(|text| braces(text)).map_err(here)?;
        let ratio = match (self.ratio, self.like) {
            (Some(ratio), Some(like)) => Some((ratio, like)),
            (None, None) => None,
            _ => return Err((at, "ratio and like belong together".into())),
        };
        let experiments = self.experiment.into_iter().map(|spanned| {
            let (at, text) = (spanned.span().start, spanned.into_inner());
            if text.run.is_empty() == text.measured.is_none() {
                return Err((at, "an experiment has commands to run, or says what its step has measured".to_string()));
            }
            for line in text.prepare.iter().chain(&text.run).chain(&text.after) {
                runs(line.get_ref(), command).map_err(|message| (line.span().start, message))?;
            }
            let texts = [Some(&text.changes), text.what.as_ref(), text.measure.as_ref(), text.cured.as_ref()];
            texts.into_iter().flatten().try_for_each(|text| braces(text)).map_err(|message| (at, message))?;
            Ok(Experiment {
                when: text.when.as_ref().map(predicate).transpose()?,
                measured: text.measured.as_ref().map(predicate).transpose()?,
                prepare: text.prepare.into_iter().map(Spanned::into_inner).collect(),
                run: text.run.into_iter().map(Spanned::into_inner).collect(),
                after: text.after.into_iter().map(Spanned::into_inner).collect(),
                changes: text.changes,
                each: text.each,
                measure: text.measure,
                what: text.what,
                cured: text.cured,
                mechanism: text.mechanism,
            })
        });
        Ok(Step {
            when: predicate(&self.when)?,
            experiments: experiments.collect::<At<_>>()?,
            name: self.name,
            symptoms: self.symptoms.into_inner(),
            run: self.run.into_inner(),
            suspect: self.suspect,
            clear: self.clear,
            each_base: self.each_base,
            together: self.together,
            most: self.most.unwrap_or(MOST),
            ratio,
            load_base: self.load_base,
            optional: self.optional,
        })
    }
}

/// That a template is of a command that a plan may run. What it is made of when it runs is checked then.
fn runs(line: &str, command: &dyn Fn(&str) -> Option<&'static str>) -> Result<(), String> {
    let word = line.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
    if word.starts_with('{') {
        return braces(line);
    }
    match command(word) {
        None => Err(format!("there is no command {word:?}")),
        Some(name) if OUTSIDE.contains(&name) => Err(format!(
            "a plan cannot run {name}: it looks at the session and changes branches of it, and nothing outside"
        )),
        Some(_) => braces(line),
    }
}

/// That the names in braces can be read: `{name}` or `{name|filter}`, with a filter that there is.
fn braces(text: &str) -> Result<(), String> {
    for part in text.split('{').skip(1) {
        let (name, _) = part.split_once('}').ok_or_else(|| format!("{{{part} has no closing brace"))?;
        let mut words = name.split('|');
        _ = words.next();
        if let Some(filter) = words.find(|word| FILTERS.iter().all(|(known, _)| known != word)) {
            let known: Vec<&str> = FILTERS.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no filter {filter:?} for {{{name}}}; there are {}", known.join(", ")));
        }
    }
    Ok(())
}
