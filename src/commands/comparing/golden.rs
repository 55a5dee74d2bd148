//! `golden`: a summary of a pass that is small enough to commit, and a check against it.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::answer::numbers::significant;
use crate::answer::{Answer, Table, text};
use crate::commands::comparing::diff::limit;
use crate::commands::frame::{Done, mistake, number};
use crate::commands::state::{Call, Console};
use crate::debugger::{Mark, Result};
use crate::lang::{LangError, Span};
use crate::model::file::read_text;
use crate::tensor::ops::Slice;
use crate::tensor::{Kind, Rows, Summary, Tolerance};

/// Elements of each site that are kept, evenly spread over it.
const SAMPLES: usize = 16;

/// Sites that are listed when they differ.
const LISTED: usize = 20;

/// What is kept of a pass.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    /// Always `llmdbg golden 1`.
    format: String,
    model: String,
    tokens: Vec<u32>,
    atol: f64,
    rtol: f64,
    sites: Vec<Kept>,
}

/// What is kept of a site.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    site: String,
    shape: Vec<usize>,
    nan: u64,
    pos_inf: u64,
    neg_inf: u64,
    mean: f64,
    l2: f64,
    absmax: f64,
    /// Elements at even distances; what is not a finite number is none.
    samples: Vec<Option<f64>>,
    /// The sizes of the rows that these are in; files from before there were any have none.
    #[serde(default)]
    sizes: Vec<f64>,
}

const FORMAT: &str = "llmdbg golden 1";

const FORMS: &str = "golden write FILE, golden check FILE";

/// `golden write FILE [SITES] [-atol X] [-rtol X]`, `golden check FILE [-atol X] [-rtol X]`.
pub fn golden(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let tolerance = |name: &str| given.value(name).map(|word| number(word, |x| *x >= 0.0, "tolerance")).transpose();
    let (atol, rtol) = (tolerance("-atol")?, tolerance("-rtol")?);
    let [what, file, rest @ ..] = left.as_slice() else {
        return Err(mistake("expected write or check and a file", Span::at(call.args.offset), FORMS));
    };
    if !console.session.run.at_end() {
        return Err("a golden file is of a complete pass: \"run\" or \"continue\" to its end first".into());
    }
    match what.text.as_str() {
        "write" => {
            let usual = Tolerance::default();
            let sites = console.sites_of(rest)?;
            let golden = Golden {
                format: FORMAT.into(),
                model: console.model_name.clone(),
                tokens: console.read_tokens(),
                atol: atol.unwrap_or(usual.absolute),
                rtol: rtol.unwrap_or(usual.relative),
                sites: console.kept(&sites)?,
            };
            let text = serde_json::to_string(&golden).map_err(|error| error.to_string())?;
            // A line for each site, so that version control shows which one changed.
            let text = text.replace("{\"site\"", "\n{\"site\"") + "\n";
            fs::write(&file.text, &text).map_err(|error| format!("cannot write {}: {error}", file.text))?;
            let count = golden.sites.len();
            Ok(Answer::Text(format!("{count} sites written to {}, {} bytes", file.text, text.len())))
        }
        "check" => {
            if let Some(extra) = rest.first() {
                return Err(LangError::new("unexpected word: the file says which sites", extra.span).into());
            }
            let text = read_text(Path::new(&file.text));
            let text = text.map_err(|error| format!("cannot read {}: {error}", file.text))?;
            let golden: Golden =
                serde_json::from_str(&text).map_err(|error| format!("{} is not a golden file: {error}", file.text))?;
            if golden.format != FORMAT {
                return Err(format!("{} is of another version: {}", file.text, golden.format).into());
            }
            let tolerance = Tolerance { absolute: atol.unwrap_or(golden.atol), relative: rtol.unwrap_or(golden.rtol) };
            console.check(&golden, tolerance, &file.text)
        }
        other => Err(mistake(format!("no such thing as golden {other}"), what.span, FORMS)),
    }
}

impl Console {
    /// Tokens of the focused row up to the end of the pass.
    fn read_tokens(&self) -> Vec<u32> {
        let length = self.session.row_length();
        self.session.focused_row().map_or(Vec::new(), |row| row.ids[..length].to_vec())
    }

    /// What is kept of these sites, of those that hold numbers.
    fn kept(&mut self, sites: &[String]) -> Result<Vec<Kept>> {
        let (pass, row) = (self.session.run.pass, self.session.focus.row);
        let mut all = Vec::new();
        for site in sites {
            let Some(op) = self.session.run.program.op_of(site) else { continue };
            let value = self.session.run.value_at(Mark { pass, op })?;
            if value.kind() != Kind::Float {
                continue;
            }
            let value = value.slice(&[Slice::At(row)])?;
            let data = value.read_f64()?;
            let summary = Summary::of_host(data.iter().copied(), value.shape());
            let count = data.len().clamp(1, SAMPLES);
            let places = || (0..count).map(|i| i * data.len() / count).filter(|at| *at < data.len());
            let rows = Rows::of(&data, value.shape());
            // Three digits will do for a tolerance, and keep the file small.
            let short = |size: f64| format!("{size:.2e}").parse().unwrap_or(size);
            all.push(Kept {
                site: site.clone(),
                shape: value.shape().to_vec(),
                nan: summary.nan,
                pos_inf: summary.pos_inf,
                neg_inf: summary.neg_inf,
                mean: summary.mean,
                l2: summary.l2,
                absmax: summary.absmax,
                samples: places().map(|at| Some(data[at]).filter(|x| x.is_finite())).collect(),
                sizes: places().map(|at| short(rows.size(at))).collect(),
            });
        }
        Ok(all)
    }

    fn check(&mut self, golden: &Golden, tolerance: Tolerance, file: &str) -> Done {
        if golden.tokens != self.read_tokens() {
            return Err(format!("{file} is of another text: its tokens are {:?}", golden.tokens).into());
        }
        let sites: Vec<String> = golden.sites.iter().map(|kept| kept.site.clone()).collect();
        let now = self.kept(&sites)?;
        let fault = |then: &Kept| match now.iter().find(|one| one.site == then.site) {
            None => Some("the model has no such site".to_string()),
            Some(one) => differs(one, then, tolerance),
        };
        let faults = golden.sites.iter().filter_map(|then| Some((&then.site, fault(then)?)));
        let rows: Vec<(&String, String)> = faults.collect();
        let limit = limit(tolerance);
        let (count, all) = (rows.len(), golden.sites.len());
        let Some((first, fault)) = rows.first().cloned() else {
            return Ok(Answer::Text(format!("{all} sites agree with {file} within {limit}")));
        };
        let table = Table::new(["Site", "Differs"]).rows(rows.into_iter().take(LISTED));
        let lines = text::lines(&table.into(), None).join("\n");
        let model = if golden.model == self.model_name { String::new() } else { format!(" (of {})", golden.model) };
        let differ = format!("{count} of {all} sites differ from {file}{model} beyond {limit}");
        Err(format!("{differ}, first {first}: {fault}\n{lines}").into())
    }
}

/// What of a site is not as it was; nothing if all is within the tolerance.
fn differs(now: &Kept, then: &Kept, tolerance: Tolerance) -> Option<String> {
    if now.shape != then.shape {
        return Some(format!("shape {:?} instead of {:?}", now.shape, then.shape));
    }
    let counts = [("NaN", now.nan, then.nan), ("inf", now.pos_inf, then.pos_inf), ("-inf", now.neg_inf, then.neg_inf)];
    if let Some((what, a, b)) = counts.into_iter().find(|(_, a, b)| a != b) {
        return Some(format!("{a} {what} instead of {b}"));
    }
    // A norm is as large as the root of the number of elements says, and so is what it may be off by.
    let root = (now.shape.iter().product::<usize>() as f64).sqrt().max(1.0);
    let of_norm = Tolerance { absolute: tolerance.absolute * root, ..tolerance };
    let usual = then.l2 / root;
    let numbers = [
        ("largest magnitude", now.absmax, then.absmax, tolerance, 0.0),
        ("norm", now.l2, then.l2, of_norm, 0.0),
        ("mean", now.mean, then.mean, tolerance, usual),
    ];
    if let Some((what, a, b, ..)) = numbers.into_iter().find(|(_, a, b, near, size)| !near.agree(*a, *b, *size)) {
        return Some(format!("{what} {} instead of {}", significant(a, 6), significant(b, 6)));
    }
    for (i, (a, b)) in now.samples.iter().zip(&then.samples).enumerate() {
        let same = match (a, b) {
            (Some(a), Some(b)) => tolerance.agree(*a, *b, then.sizes.get(i).copied().unwrap_or(usual)),
            (a, b) => a == b,
        };
        if !same {
            let word = |x: &Option<f64>| x.map_or("not finite".to_string(), |x| significant(x, 6));
            return Some(format!("sample {i} {} instead of {}", word(a), word(b)));
        }
    }
    None
}
