//! `probe`: a number over many prompts, by group; what carries a difference between groups; which words move it.

mod carriers;
mod cases;
mod words;

use std::collections::BTreeMap;

use super::console::{Console, Done};
use super::table::Call;
use super::tokenization;
use crate::analysis::samples::{Mean, mean};
use crate::answer::numbers::{short, significant};
use crate::answer::{Answer, Cell, Table};
use crate::debugger::RunScope;
use crate::debugger::{Error, Result};
use crate::lang::eval::number;
use crate::lang::words::{OptionSpec, parse_count, take_options, words as split};
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::step;
use cases::{Case, filled, read};

const OPTIONS: [OptionSpec; 6] = [
    OptionSpec { name: "-metric", takes_value: true },
    OptionSpec { name: "-by", takes_value: true },
    OptionSpec { name: "-carriers", takes_value: false },
    OptionSpec { name: "-words", takes_value: false },
    OptionSpec { name: "-limit", takes_value: true },
    OptionSpec { name: "-seed", takes_value: true },
];

/// A field with so many values divides the prompts; with more of them it is likely to tell them apart one by one.
const FEW: usize = 20;

/// Kinds of trouble with prompts that are told.
const TROUBLES: usize = 4;

/// A group that is so many times larger than another one is told.
const IMBALANCE: usize = 3;

/// A prompt with its number.
struct Probed {
    case: Case,
    value: f64,
}

/// `probe FILE [-metric EXPR] [-by FIELD] [-carriers|-words]`.
pub fn probe(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(split(call.args.rest, call.args.offset)?, &OPTIONS)?;
    let has = |name: &str| given.iter().any(|option| option.name == name);
    let value = |name: &str| given.iter().find(|option| option.name == name).and_then(|option| option.value.as_ref());
    let [file] = left.as_slice() else {
        let error = LangError::new("expected a file of prompts", Span::at(call.args.offset));
        return Err(Error::At(error.help("probe prompts.txt -metric \"logit(\\\" she\\\") - logit(\\\" he\\\")\"")));
    };
    let (mut all, unusual) = read(&file.text)?;
    if let Some(word) = value("-limit") {
        all.truncate(parse_count(word)? as usize);
    }
    let seed = value("-seed").map(parse_count).transpose()?.unwrap_or(0);
    let metric = match value("-metric") {
        Some(word) => word.text.clone(),
        None if console.session.run.generates() => "loss".to_string(),
        None => {
            return Err(Error::refused(
                "this model has no loss of its own: say a number, -metric \"label(\\\"...\\\")\"",
            ));
        }
    };
    let mut troubles: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    let count = all.len();
    for (done, case) in all.into_iter().enumerate() {
        step("probing", done as u64, count as u64)?;
        match console.number_on(&case, &case.prompt, &metric)? {
            Ok((value, warnings)) => {
                warnings.into_iter().for_each(|warning| *troubles.entry(warning).or_default() += 1);
                found.push(Probed { case, value });
            }
            Err(why) => *troubles.entry(format!("left out: {why}")).or_default() += 1,
        }
    }
    if found.is_empty() {
        let why = troubles.keys().next().cloned().unwrap_or_default();
        return Err(Error::refused(format!("no prompt could be read; {why}")));
    }
    let by = value("-by").map(|word| word.text.clone());
    let names = groups_of(&found, by.as_deref())?;
    let mut lines = notes(&found, &troubles, &names);
    lines.extend(unusual.map(|unusual| format!("{}: {unusual}", file.text)));
    if has("-words") {
        return words::told(console, &found, &metric, &lines, seed);
    }
    if has("-carriers") {
        return carriers::told(console, &found, &metric, &names, &lines);
    }
    Ok(Answer::Table(by_group(&found, &metric, &names, lines, seed)))
}

/// The fields that divide the prompts: as asked, or every field with few values; none are all in one.
fn groups_of(found: &[Probed], by: Option<&str>) -> Result<Vec<String>> {
    let mut names: Vec<String> = found.iter().flat_map(|one| one.case.fields.keys().cloned()).collect();
    names.sort();
    names.dedup();
    if let Some(by) = by {
        return match names.iter().any(|name| name == by) {
            true => Ok(vec![by.to_string()]),
            false => Err(Error::refused(format!("no prompt has {by}: there is {}", names.join(", ")))),
        };
    }
    let values = |name: &String| {
        let mut values: Vec<&String> = found.iter().filter_map(|one| one.case.fields.get(name)).collect();
        values.sort();
        values.dedup();
        values.len()
    };
    Ok(names.into_iter().filter(|name| (2..=FEW.max(found.len() / 4)).contains(&values(name))).collect())
}

/// The prompts of each value of a field, in the order of the file.
fn divided<'a>(found: &'a [Probed], name: &str) -> Vec<(String, Vec<&'a Probed>)> {
    let mut groups: Vec<(String, Vec<&Probed>)> = Vec::new();
    for one in found {
        let Some(value) = one.case.fields.get(name) else { continue };
        match groups.iter_mut().find(|(known, _)| known == value) {
            Some((_, all)) => all.push(one),
            None => groups.push((value.clone(), vec![one])),
        }
    }
    groups
}

/// What is odd about the prompts as a whole.
fn notes(found: &[Probed], troubles: &BTreeMap<String, usize>, names: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = troubles
        .iter()
        .take(TROUBLES)
        .map(|(what, count)| format!("{count} prompt{}: {what}", if *count == 1 { "" } else { "s" }))
        .collect();
    if troubles.len() > TROUBLES {
        lines.push(format!("and {} more kinds of trouble", troubles.len() - TROUBLES));
    }
    let mut texts: Vec<&str> = found.iter().map(|one| one.case.prompt.as_str()).collect();
    texts.sort_unstable();
    let twice = texts.windows(2).filter(|pair| pair[0] == pair[1]).count();
    if twice > 0 {
        lines.push(format!("{twice} prompts stand in the file more than once"));
    }
    for name in names {
        let groups = divided(found, name);
        let sizes = || groups.iter().map(|(_, all)| all.len());
        let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
        if least > 0 && most > IMBALANCE * least {
            lines.push(format!("groups of {name} are of different sizes: {least} to {most} prompts"));
        }
    }
    lines
}

fn by_group(found: &[Probed], metric: &str, names: &[String], lines: Vec<String>, seed: u64) -> Table {
    let cells = |name: String, of: Mean| {
        let (low, high) = of.interval.unzip();
        let optional = |x: Option<f64>| x.map_or(Cell::Empty, Cell::Num);
        vec![
            Cell::Text(name),
            Cell::Int(of.count as i64),
            Cell::Num(of.mean),
            optional(low),
            optional(high),
            Cell::Num(of.std),
        ]
    };
    let values = |all: &[&Probed]| all.iter().map(|one| one.value).collect::<Vec<_>>();
    let mut rows = vec![cells("all".into(), mean(&found.iter().map(|one| one.value).collect::<Vec<_>>(), seed))];
    let mut title = vec![format!(
        "{metric} over {} prompts; intervals hold the mean in 95 of 100, by bootstrap, seed {seed}",
        found.len()
    )];
    for name in names {
        let mut groups = divided(found, name);
        groups.sort_by(|a, b| mean(&values(&b.1), seed).mean.total_cmp(&mean(&values(&a.1), seed).mean));
        rows.extend(groups.iter().map(|(value, all)| cells(format!("{name} {value}"), mean(&values(all), seed))));
        if let [(first, _), (second, _)] = groups.as_slice() {
            let pairs: Vec<f64> =
                pairs(found, name, first, second).iter().map(|(a, b)| found[*a].value - found[*b].value).collect();
            let of = mean(&pairs, seed);
            if of.count > 0 {
                let within =
                    of.interval.map_or(String::new(), |(low, high)| format!(", {} to {}", short(low), short(high)));
                title.push(format!(
                    "{name} {first} beside {second}, {} pairs: {}{within}",
                    of.count,
                    significant(of.mean, 4)
                ));
            }
        }
    }
    title.extend(lines);
    let columns = ["Group", "N", "Mean", "Low", "High", "Std"].map(String::from).to_vec();
    Table { title: title.join("\n"), columns, rows }
}

/// Prompts that differ in one field alone: of the first value and of the second.
fn pairs(found: &[Probed], name: &str, first: &str, second: &str) -> Vec<(usize, usize)> {
    let others = |case: &Case| {
        let mut fields = case.fields.clone();
        fields.remove(name);
        fields
    };
    // What a template makes of one line differs in its slots alone.
    let alike = |a: &Case, b: &Case| others(a) == others(b) && a.prompt.replacen(first, second, 1) == b.prompt;
    let mut pairs = Vec::new();
    for (i, a) in found.iter().enumerate().filter(|(_, one)| one.case.fields.get(name).is_some_and(|v| v == first)) {
        let partner = found
            .iter()
            .position(|b| b.case.fields.get(name).is_some_and(|value| value == second) && alike(&a.case, &b.case));
        pairs.extend(partner.map(|j| (i, j)));
    }
    pairs
}

/// A number and what is odd about its prompt, or why there is none.
type Number = Result<(f64, Vec<String>)>;

impl Console {
    /// The number of a prompt: a pass of its own, with the edits of the current branch.
    fn number_on(&mut self, case: &Case, prompt: &str, metric: &str) -> Result<Number> {
        let text = filled(metric, case)?;
        let expr = parse_expr(&text, 0).map_err(|error| Error::refused(format!("{text}: {}", error.message)))?;
        let session = match self.on_texts(&[prompt]) {
            Ok(session) => session,
            Err(why) => return Ok(Err(why)),
        };
        self.within(session, |console| {
            let warnings = tokenization::warnings(console);
            let mut scope = RunScope::new(&mut console.session);
            number(&expr, &mut scope)
                .map(|value| Ok((value, warnings)))
                .map_err(|error| Error::refused(format!("{text}: {}", error.message)))
        })
    }
}
