//! `probe`: a number over many prompts, by group; what carries a difference between groups; which words move it.

mod carriers;
mod cases;
mod words;

use std::collections::BTreeMap;

use cases::{Case, read};

use crate::analysis::samples::{Mean, mean, welch};
use crate::answer::numbers::significant;
use crate::answer::{Cell, Table};
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Console, tokens};
use crate::debugger::{Result, RunScope};
use crate::lang::Span;
use crate::lang::eval::number;
use crate::lang::words::parse_count;
use crate::tensor::step;

/// A field with so many values divides the prompts; with more of them it is likely to tell them apart one by one.
const FEW: usize = 20;

/// The field that says which prompts are pairs.
const PAIR: &str = "pair";

/// Kinds of trouble with prompts that are reported.
const TROUBLES: usize = 4;

/// A group that is so many times larger than a different one is reported.
const IMBALANCE: usize = 3;

/// Said once, whatever the number of prompts.
const PLAIN: &str = "the prompts were not put through the model's chat template";

/// A prompt with its number.
struct Probed {
    case: Case,
    value: f64,
}

/// `probe FILE [-metric EXPR] [-by FIELD] [-carriers|-words]`.
pub fn probe(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let usage = "probe FILE -metric logit(\" she\") - logit(\" he\")";
    let file = match left.as_slice() {
        [file] => file,
        [] => return Err(mistake("expected a file of prompts", Span::at(call.args.offset), usage)),
        [_, extra, ..] => return Err(given.stray(extra, usage)),
    };
    let (mut all, unusual) = read(&file.text)?;
    all.truncate(given.count("-limit")?.unwrap_or(usize::MAX));
    let seed = given.value("-seed").map(parse_count).transpose()?.unwrap_or(0);
    let metric = match given.value("-metric") {
        Some(word) => word.text.clone(),
        None if console.session.run.generates() => "loss".to_string(),
        None => return Err("this model has no loss: give a number, as in -metric label(\"POSITIVE\")".into()),
    };
    let mut troubles: BTreeMap<String, usize> = BTreeMap::new();
    let (mut found, mut plain) = (Vec::new(), None);
    let count = all.len();
    for (done, case) in all.into_iter().enumerate() {
        step("probing", done as u64, count as u64)?;
        match console.number_on(&case, &case.prompt, &metric)? {
            Ok((value, warnings, note)) => {
                plain = plain.or(note);
                warnings.into_iter().for_each(|warning| *troubles.entry(warning).or_default() += 1);
                found.push(Probed { case, value });
            }
            Err(why) => *troubles.entry(format!("left out: {why}")).or_default() += 1,
        }
    }
    if found.is_empty() {
        let why = troubles.into_keys().next().unwrap_or_default();
        return Err(format!("no prompt could be read; {why}").into());
    }
    let names = groups_of(&found, given.value("-by").map(|word| &*word.text))?;
    let mut lines = notes(&found, &troubles, &names);
    lines.extend(plain.map(|_| PLAIN.to_string()));
    lines.extend(unusual.map(|unusual| format!("{}: {unusual}", file.text)));
    if given.has("-words") {
        return words::report(console, &found, &metric, &lines, seed);
    }
    if given.has("-carriers") {
        return carriers::report(console, &found, &metric, &names, &lines);
    }
    Ok(by_group(&found, &metric, &names, &lines, seed).into())
}

/// The fields that divide the prompts: as asked, or every field with few values; none are all in one.
fn groups_of(found: &[Probed], by: Option<&str>) -> Result<Vec<String>> {
    let mut names: Vec<String> = found.iter().flat_map(|one| one.case.fields.keys().cloned()).collect();
    names.sort();
    names.dedup();
    if let Some(by) = by {
        return match names.iter().any(|name| name == by) {
            true => Ok(vec![by.to_string()]),
            false => Err(format!("no prompt has {by}; choose from {}", names.join(", ")).into()),
        };
    }
    let few = 2..=FEW.max(found.len() / 4);
    names.retain(|name| name != PAIR);
    Ok(names.into_iter().filter(|name| few.contains(&divided(found, name).len())).collect())
}

/// The numbers of the prompts with each value of a field, in the order of the file.
fn divided(found: &[Probed], name: &str) -> Vec<(String, Vec<f64>)> {
    let mut groups: Vec<(String, Vec<f64>)> = Vec::new();
    for one in found {
        let Some(value) = one.case.fields.get(name) else { continue };
        match groups.iter_mut().find(|(known, _)| known == value) {
            Some((_, all)) => all.push(one.value),
            None => groups.push((value.clone(), vec![one.value])),
        }
    }
    groups
}

/// What is odd about the prompts as a whole.
fn notes(found: &[Probed], troubles: &BTreeMap<String, usize>, names: &[String]) -> Vec<String> {
    let trouble = |(what, count): (&String, &usize)| match count {
        1 => format!("1 prompt: {what}"),
        count => format!("{count} prompts: {what}"),
    };
    let mut lines: Vec<String> = troubles.iter().take(TROUBLES).map(trouble).collect();
    if troubles.len() > TROUBLES {
        lines.push(format!("and {} more kinds of trouble", troubles.len() - TROUBLES));
    }
    let mut texts: Vec<&str> = found.iter().map(|one| one.case.prompt.as_str()).collect();
    texts.sort_unstable();
    let twice = texts.windows(2).filter(|pair| pair[0] == pair[1]).count();
    if twice > 0 {
        lines.push(format!("{twice} prompts are in the file more than once"));
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

fn by_group(found: &[Probed], metric: &str, names: &[String], lines: &[String], seed: u64) -> Table {
    let row = |name: String, all: &[f64]| {
        let Mean { count, mean, interval, std, .. } = mean(all, seed);
        let (low, high) = interval.unzip();
        (name, count, mean, low, high, std)
    };
    let all: Vec<f64> = found.iter().map(|one| one.value).collect();
    let mut table = Table::new(["Group", "N", "Mean", "Low", "High", "Std"]).row(row("all".into(), &all));
    let count = found.len();
    table.title =
        format!("{metric} over {count} prompts; intervals hold the mean in 95 of 100, by bootstrap, seed {seed}");
    for name in names {
        let mut groups = divided(found, name);
        groups.sort_by(|(_, a), (_, b)| mean(b, seed).mean.total_cmp(&mean(a, seed).mean));
        table = table.rows(groups.iter().map(|(value, all)| row(format!("{name} {value}"), all)));
        let [(first, _), (second, _)] = groups.as_slice() else { continue };
        let pairs: Vec<f64> = pairs(found, name, first, second).iter().map(|(a, b)| a.value - b.value).collect();
        let difference = format!("{name} {first} - {second}");
        if !pairs.is_empty() {
            table.push(row(format!("{difference}, {} pairs", pairs.len()), &pairs));
            table.title += &format!("\n{difference}: the mean of the differences of {} pairs", pairs.len());
        } else if let Some(found) = welch(&groups[0].1, &groups[1].1) {
            let (low, high) = found.interval;
            let count = groups[0].1.len() + groups[1].1.len();
            table.push((difference.clone(), count, found.difference, low, high, Cell::Empty));
            let p = significant(found.p, 2);
            table.title += &format!(
                "\n{difference}: the difference of the means of two groups without pairs, with its 95 % interval by \
                 Welch's t-test, p = {p}"
            );
        }
    }
    lines.iter().for_each(|line| table.title += &format!("\n{line}"));
    table
}

/// Prompts that differ in one field alone, or that their file calls pairs: of the first value and of the second.
fn pairs<'a>(found: &'a [Probed], name: &str, first: &str, second: &str) -> Vec<(&'a Probed, &'a Probed)> {
    // What a template makes of one line differs in its slots alone.
    let alike = |a: &Case, b: &Case| {
        if let [Some(ours), Some(theirs)] = [a, b].map(|case| case.fields.get(PAIR)) {
            return ours == theirs;
        }
        let [ours, theirs] = [a, b].map(|case| case.fields.iter().filter(|(field, _)| *field != name));
        ours.eq(theirs) && a.prompt.replacen(first, second, 1) == b.prompt
    };
    let has = |one: &Probed, value: &str| one.case.fields.get(name).is_some_and(|known| known == value);
    let partner = |a: &Probed| found.iter().find(|b| has(b, second) && alike(&a.case, &b.case));
    found.iter().filter(|one| has(one, first)).filter_map(|a| Some((a, partner(a)?))).collect()
}

/// A number, what is odd about its prompt, and what is to be known of it, or why there is none.
type Number = Result<(f64, Vec<String>, Option<String>)>;

impl Console {
    /// The number of a prompt: a separate pass, with the edits of the current branch.
    fn number_on(&mut self, case: &Case, prompt: &str, metric: &str) -> Result<Number> {
        let (text, expr) = case.expr(metric)?;
        let session = match self.on_texts(&[prompt]) {
            Ok(session) => session,
            Err(why) => return Ok(Err(why)),
        };
        self.within(session, |console| {
            let (warnings, note) = (tokens::warnings(console), tokens::without_template(console));
            let value = number(&expr, &mut RunScope::new(&mut console.session));
            Ok(Ok((value.map_err(|error| format!("{text}: {}", error.message))?, warnings, note)))
        })
    }
}
