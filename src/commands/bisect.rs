//! `bisect`: which op introduces a difference, and why?

use super::console::{Console, Done};
use super::fail::Fail;
use super::table::Call;
use crate::analysis::bisect::{Introduced, Live, Other, bisect};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::peers::{Has, Side, SideValue};
use crate::lang::words::{OptionSpec, take_options, words};
use crate::lang::{LangError, Span};

const OPTIONS: [OptionSpec; 3] = [
    OptionSpec { name: "-prefix", takes_value: true },
    OptionSpec { name: "-all", takes_value: false },
    OptionSpec { name: "-fail", takes_value: false },
];

/// Rows listed unless all are asked for.
const LISTED: usize = 12;

/// Ops without fault that are listed where there are no culprits.
const LARGEST: usize = 5;

/// `bisect BRANCH|FILE [-prefix TEXT] [-all] [-fail]`.
pub fn run(console: &mut Console, call: Call<'_, '_>) -> Done {
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
        return Err(Fail::At(
            error.help("bisect SIDE; the other one is the current branch: \"checkout\" or \"use\" goes to another"),
        ));
    };
    let side = console.side(word, prefix.map_or("", |word| word.text.as_str()))?;
    let name = console.session.side_name(&side);
    let found = console.introduced(&side, call.progress)?;
    let culprits: Vec<&Introduced> = found.iter().filter(|one| one.culprit).collect();
    let mut title = vec![format!(
        "{} ops of branch {} run with the inputs of {}",
        found.len(),
        console.session.run.branch().name,
        name
    )];
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
            Err(Fail::because(format!("{}{more} differ: {by} of its size introduced{}", first.site, because(first))))
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
    fn introduced(&mut self, side: &Side, told: crate::debugger::Progress<'_>) -> Result<Vec<Introduced>, Fail> {
        self.session.bring(side, told).map_err(Fail::because)?;
        let program = self.session.run.program.clone();
        // Values of the other side are read before the ops are run: both need the session.
        let mut theirs: Vec<Option<SideValue>> = Vec::with_capacity(program.ops.len());
        for op in &program.ops {
            theirs.push(match self.session.value_of_side(side, &op.site).map_err(Fail::because)? {
                Has::Value(value) => Some(value),
                Has::Other(_) | Has::Nothing => None,
            });
        }
        let live = self.session.live(side).map(|run| Live { program: run.0, weights: run.1, spec: run.2 });
        let mut values = |op: usize, shape: &[usize]| -> Result<Option<Vec<f64>>, String> {
            let Some(value) = theirs[op].take() else { return Ok(None) };
            Ok((value.shape == shape).then(|| value.elements.double().into_owned()))
        };
        let mut other = Other { values: &mut values, live };
        bisect(&self.session, &mut other, told).map_err(Fail::because)
    }
}
