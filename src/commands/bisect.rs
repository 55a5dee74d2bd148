//! `bisect`: which op introduces a difference, and why?

use super::console::{Console, Done};
use super::table::Call;
use crate::analysis::bisect::{Introduced, Live, Other, Start, bisect, first_apart, marks};
use crate::analysis::{Tolerance, Verdict};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::peers::{Elements, Has, Side, SideValue, level};
use crate::debugger::{Error, Result};
use crate::lang::words::{OptionSpec, take_options, words};
use crate::lang::{LangError, Span};
use crate::tensor::{Kind, Value, step};

const OPTIONS: [OptionSpec; 4] = [
    OptionSpec { name: "-prefix", takes_value: true },
    OptionSpec { name: "-first", takes_value: false },
    OptionSpec { name: "-all", takes_value: false },
    OptionSpec { name: "-fail", takes_value: false },
];

/// Rows listed unless all are asked for.
const LISTED: usize = 12;

/// Ops without fault that are listed where there are no culprits.
const LARGEST: usize = 5;

/// `bisect BRANCH|FILE [-prefix TEXT] [-first] [-all] [-fail]`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS)?;
    let has = |name: &str| given.iter().any(|option| option.name == name);
    let prefix = given.iter().find(|option| option.name == "-prefix").and_then(|option| option.value.as_ref());
    let own = [console.session.run.branch().name.clone(), console.session.name.clone()];
    let left = match left.as_slice() {
        [first, rest @ ..] if !rest.is_empty() && own.contains(&first.text) => rest,
        all => all,
    };
    let [word] = left else {
        let at = left.get(1).map_or(Span::at(call.args.offset), |extra| extra.span);
        let error = LangError::new("expected the side to compare with", at);
        return Err(Error::At(
            error.help("bisect SIDE; the other one is the current branch: \"checkout\" or \"use\" goes to another"),
        ));
    };
    let side = console.side(word, prefix.map_or("", |word| word.text.as_str()))?;
    let name = console.session.side_name(&side);
    let own = Side::Branch(console.session.run.current);
    console.session.bring(&side)?;
    if let Some(how) = console.session.texts_differ(&own, &side)? {
        return Err(Error::refused(format!("{}: bisect compares two ways to compute one text", how.words)));
    }
    let mut title: Vec<String> = console.session.missing_in(&side).into_iter().collect();
    let found = match has("-first") {
        true => console.first_introduced(&side, &mut title)?,
        false => console.introduced(&side, None)?,
    };
    let culprits: Vec<&Introduced> = found.iter().filter(|one| one.culprit).collect();
    let branch = &console.session.run.branch().name;
    title.push(format!("{} ops of branch {branch} run with the inputs of {name}", found.len()));
    title.push(match culprits.as_slice() {
        [] => "nothing is introduced beyond rounding".to_string(),
        [one] => format!("introduced at {}{}", one.site, because(one)),
        [one, rest @ ..] => format!("introduced at {}{} and at {} more", one.site, because(one), rest.len()),
    });
    let shown: Vec<&Introduced> = match (has("-all"), culprits.is_empty()) {
        (true, _) => found.iter().collect(),
        (false, false) => culprits.iter().copied().take(LISTED).collect(),
        (false, true) => {
            let mut all: Vec<&Introduced> = found.iter().collect();
            all.sort_by(|a, b| b.relative.total_cmp(&a.relative));
            all.truncate(LARGEST);
            all
        }
    };
    let rows = shown.into_iter().map(|one| {
        vec![
            Cell::Text(one.site.clone()),
            Cell::Num(one.relative),
            Cell::Num(one.difference.max),
            one.in_double.map_or(Cell::Empty, Cell::Num),
            Cell::Text(if one.culprit { "introduced" } else { "rounding" }.into()),
            Cell::Text(one.reason.clone().unwrap_or_default()),
            Cell::Text(shortened(&one.from)),
        ]
    });
    let columns = ["Site", "Relative", "Max abs", "In f64", "", "Reason", "Computed from"].map(String::from).to_vec();
    let table = Table { title: title.join("\n"), columns, rows: rows.collect() };
    match (has("-fail"), culprits.first()) {
        (true, Some(first)) => {
            let more = culprits.len() - 1;
            let more = if more > 0 { format!(" and {more} more ops") } else { String::new() };
            let by = significant(first.relative, 3);
            Err(Error::refused(format!("{}{more} differ: {by} of its size introduced{}", first.site, because(first))))
        }
        _ => Ok(Answer::Table(table)),
    }
}

fn because(one: &Introduced) -> String {
    one.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"))
}

fn shortened(sites: &[String]) -> String {
    let more = if sites.len() > 3 { ", ..." } else { "" };
    format!("{}{more}", sites[..sites.len().min(3)].join(", "))
}

impl Console {
    /// What ops introduce: all of them, or those behind one op up to another.
    fn introduced(&mut self, side: &Side, between: Option<(Option<usize>, usize)>) -> Result<Vec<Introduced>> {
        self.session.bring(side)?;
        let program = self.session.run.program.clone();
        let mut start = Start::default();
        if let Some((behind, last)) = between {
            start.end = Some(last + 1);
            for op in 0..behind.map_or(0, |op| op + 1) {
                // Of what stands before, only what is read further on is looked up.
                let read = program.readers(op).iter().any(|&reader| Some(reader) > behind && reader <= last);
                start.before.push(if read { Some(self.given(side, op)?) } else { None });
            }
        }
        // Values of the other side are read before the ops are run: both need the session.
        let mut theirs: Vec<Option<SideValue>> = Vec::with_capacity(program.ops.len());
        for (number, op) in program.ops.iter().enumerate() {
            let outside = number < start.before.len() || start.end.is_some_and(|end| number >= end);
            theirs.push(if outside { None } else { self.of_side(side, &op.site)? });
        }
        let live = self.session.live(side).map(|run| Live { program: run.0, weights: run.1, spec: run.2 });
        let mut values = |op: usize, own: &Value| -> Result<Option<Vec<f64>>> {
            let Some(value) = theirs[op].take().filter(|value| value.shape == own.shape()[1..]) else {
                return Ok(None);
            };
            let own = Elements::Double(own.read_f64()?);
            Ok(Some(value.on_footing_of(&own).elements.double().into_owned()))
        };
        let mut other = Other { values: &mut values, live };
        bisect(&self.session, &mut other, start)
    }

    /// What the first block introduces that makes a difference. It is found by halving: of so many blocks, few are looked at. If it is
    /// rounding after all, all ops are run.
    fn first_introduced(&mut self, side: &Side, title: &mut Vec<String>) -> Result<Vec<Introduced>> {
        self.session.bring(side)?;
        let program = self.session.run.program.clone();
        let has: Vec<bool> = match self.session.sites_of_dump(side) {
            Some(sites) => program.ops.iter().map(|op| sites.contains(op.site.as_str())).collect(),
            None => vec![true; program.ops.len()],
        };
        let marks = marks(&program, &|op| has[op]);
        let mut values = 0;
        let (first, looked) = first_apart(&marks, &mut |op| -> Result<bool> {
            let site = program.ops[op].site.clone();
            step(&site, values, 0)?;
            values += 1;
            let ours = self.own(&site)?;
            let Some(theirs) = self.of_side(side, &site)? else {
                return Err(Error::refused(format!(
                    "{site} lies in another way on the other side: bisect without -first compares what it can"
                )));
            };
            if ours.shape != theirs.shape {
                let message = format!("{site} is {:?} here and {:?} there", ours.shape, theirs.shape);
                return Err(Error::refused(format!("{message}: bisect without -first compares what it can")));
            }
            let (ours, theirs) = level(ours, theirs);
            let tolerance = ours.tolerance(Tolerance::default());
            let found = ours.elements.difference(&theirs.elements, &ours.shape, tolerance);
            Ok(found.verdict() == Verdict::Different)
        })?;
        title.push(match first {
            Some(first) => {
                let site = &program.ops[marks[first]].site;
                format!("{looked} of {} blocks and heads compared: {site} is the first that differs", marks.len())
            }
            None => format!("{looked} of {} blocks and heads compared: the last one agrees", marks.len()),
        });
        if let Some(first) = first {
            let behind = first.checked_sub(1).map(|before| marks[before]);
            let found = self.introduced(side, Some((behind, marks[first])))?;
            if found.iter().any(|one| one.culprit) {
                return Ok(found);
            }
            title.push("what differs there is rounding: all ops were run".into());
        }
        self.introduced(side, None)
    }

    fn of_side(&mut self, side: &Side, site: &str) -> Result<Option<SideValue>> {
        Ok(match self.session.value_of_side(side, site)? {
            Has::Value(value) => Some(value),
            Has::Other(_) | Has::Nothing => None,
        })
    }

    /// The value here, of the current branch.
    fn own(&mut self, site: &str) -> Result<SideValue> {
        let own = Side::Branch(self.session.run.current);
        self.of_side(&own, site)?.ok_or_else(|| {
            Error::refused(format!("{site} has not been computed here: -first compares a complete pass (\"continue\")"))
        })
    }

    /// The other side's value of an op, or the one here where it has none: what ops further on read.
    fn given(&mut self, side: &Side, op: usize) -> Result<Value> {
        let (row, program) = (self.session.focus.row, self.session.run.program.clone());
        let own = self.session.run.peek(op)?.rows(row..row + 1);
        let Some(theirs) = self.of_side(side, &program.ops[op].site)? else { return Ok(own) };
        if theirs.shape != own.shape()[1..] || own.kind() != Kind::Float {
            return Ok(own);
        }
        let theirs = theirs.on_footing_of(&Elements::Double(own.read_f64()?));
        let data = theirs.elements.double().iter().map(|x| *x as f32).collect();
        Ok(Value::from_f32(data, own.shape(), self.session.run.device()).with_axes(own.axes()))
    }
}
