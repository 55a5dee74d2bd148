//! `bisect`: which op introduces a difference, and why?

use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::comparing::reasons::sentence;
use crate::commands::comparing::shared::{ALIKE, few, in_any_block, in_blocks, listing, shown};
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Console};
use crate::comparing::bisect::{Introduced, Live, Other, Start, bisect, first_difference, marks};
use crate::debugger::Result;
use crate::debugger::sides::{Elements, Has, Side, SideValue, level};
use crate::lang::Span;
use crate::tensor::{Kind, Tolerance, Value, Verdict, step};

/// What compares sites that -first cannot.
const INSTEAD: &str = "bisect without -first compares what it can";

/// `bisect BRANCH|FILE [-prefix TEXT] [-first] [-all] [-fail]`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let prefix = given.value("-prefix");
    let own = [console.session.run.branch().name.clone(), console.session.name.clone()];
    let left = match left.as_slice() {
        [first, rest @ ..] if !rest.is_empty() && own.contains(&first.text) => rest,
        all => all,
    };
    let [word] = left else {
        let at = left.get(1).map_or(Span::at(call.args.offset), |extra| extra.span);
        let help = "bisect SIDE; the other one is the current branch: \"checkout\" or \"use\" goes to another";
        return Err(mistake("expected the side to compare with", at, help));
    };
    let side = console.side(word, prefix.map_or("", |word| word.text.as_str()))?;
    let name = console.session.side_name(&side);
    let own = Side::Branch(console.session.run.current);
    console.session.bring(&side)?;
    if let Some(how) = console.session.texts_differ(&own, &side)? {
        return Err(format!("{}: bisect compares two ways to compute one text", how.words).into());
    }
    let mut title: Vec<String> = console.session.missing_in(&side).into_iter().collect();
    let found = match given.has("-first") {
        true => console.first_introduced(&side, &mut title)?,
        false => console.introduced(&side, None)?,
    };
    let culprits: Vec<&Introduced> = found.iter().filter(|one| one.culprit).collect();
    let branch = &console.session.run.branch().name;
    title.push(format!("{} ops of branch {branch} run with the inputs of {name}", found.len()));
    title.push(match culprits.as_slice() {
        [] => "nothing is introduced beyond rounding".to_string(),
        [one] => format!("introduced at {}{}", one.site, because(one)),
        [one, rest @ ..] => format!("introduced at {}{}; and at {} more", one.site, because(one), rest.len()),
    });
    let causes = match given.has("-all") || culprits.is_empty() {
        true => found.iter().map(Cause::of).collect(),
        false => causes(&culprits),
    };
    let all = given.has("-all") || given.has("-sort");
    let (causes, left) = shown(&causes, all, |cause| cause.first.culprit, |cause| cause.relative);
    let rows = causes.into_iter().map(|cause| {
        let kind = if cause.first.culprit { "introduced" } else { "rounding" };
        let Cause { site, relative, max, in_double, reason, .. } = cause;
        (site, *relative, *max, *in_double, kind, few(&cause.first.from, 3), reason)
    });
    let table = Table::new(["Site", "Relative", "Max abs", "In f64", "Is", "Computed from", "Reason"]);
    match (given.has("-fail"), culprits.as_slice()) {
        (true, [first, rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more ops", rest.len()) };
            let by = significant(first.relative, 3);
            Err(format!("{}{more} differ: {by} of its size introduced{}", first.site, because(first)).into())
        }
        _ => {
            let table = table.title(title.join("\n")).rows(rows);
            let table = listing(table, left);
            Ok(given.rows(table)?.into())
        }
    }
}

/// A row: an op, or the same op of several blocks that one cause makes differ.
struct Cause<'a> {
    site: String,
    reason: String,
    first: &'a Introduced,
    relative: f64,
    max: f64,
    in_double: Option<f64>,
}

impl Cause<'_> {
    fn of(one: &Introduced) -> Cause<'_> {
        Cause {
            site: one.site.clone(),
            reason: one.reason.as_ref().map(sentence).unwrap_or_default(),
            first: one,
            relative: one.relative,
            max: one.difference.max,
            in_double: one.in_double,
        }
    }
}

/// One row for what several blocks have in common: the same op, for the same reason. Ops of which no reason was looked for are counted
/// with those that have one.
fn causes<'a>(culprits: &[&'a Introduced]) -> Vec<Cause<'a>> {
    struct Group<'a> {
        site: String,
        reason: String,
        all: Vec<&'a Introduced>,
    }
    let mut groups: Vec<Group<'_>> = Vec::new();
    for one in culprits {
        let site = in_any_block(&one.site);
        let reason = one.reason.as_ref().map(sentence).map(|reason| in_any_block(&reason)).unwrap_or_default();
        let same = |group: &&mut Group<'_>| group.site == site && (one.untried || group.reason == reason);
        match groups.iter_mut().find(same) {
            Some(group) => group.all.push(one),
            None => groups.push(Group { site, reason, all: vec![one] }),
        }
    }
    let largest = |numbers: &mut dyn Iterator<Item = f64>| numbers.reduce(f64::max);
    let mut causes = Vec::new();
    for Group { site, reason, all } in groups {
        if all.len() < ALIKE {
            causes.extend(all.into_iter().map(Cause::of));
            continue;
        }
        let untried = all.iter().filter(|one| one.untried).count();
        let tried = match untried {
            0 => String::new(),
            _ => format!(" (tried in {} of {})", all.len() - untried, all.len()),
        };
        causes.push(Cause {
            site: in_blocks(&site, all.iter().map(|one| one.site.as_str())),
            reason: reason + &tried,
            first: all[0],
            relative: largest(&mut all.iter().map(|one| one.relative)).unwrap_or(f64::NAN),
            max: largest(&mut all.iter().map(|one| one.difference.max)).unwrap_or(f64::NAN),
            in_double: largest(&mut all.iter().filter_map(|one| one.in_double)),
        });
    }
    causes.sort_by_key(|cause| cause.first.op);
    causes
}

fn because(one: &Introduced) -> String {
    one.reason.as_ref().map_or_else(String::new, |reason| format!(": {}", sentence(reason)))
}

impl Console {
    /// What ops introduce: all of them, or those after one op up to another.
    fn introduced(&mut self, side: &Side, between: Option<(Option<usize>, usize)>) -> Result<Vec<Introduced>> {
        self.session.bring(side)?;
        let program = self.session.run.program.clone();
        let mut start = Start::default();
        if let Some((behind, last)) = between {
            start.end = Some(last + 1);
            for op in 0..behind.map_or(0, |op| op + 1) {
                // Of what is before, only what is read further on is looked up.
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
        let (first, looked) = first_difference(&marks, &mut |op| -> Result<bool> {
            let site = program.ops[op].site.clone();
            step(&site, values, 0)?;
            values += 1;
            let ours = self.own(&site)?;
            let Some(theirs) = self.of_side(side, &site)? else {
                return Err(format!("{site} has a different layout on the other side: {INSTEAD}").into());
            };
            if ours.shape != theirs.shape {
                let shapes = format!("{:?} here and {:?} there", ours.shape, theirs.shape);
                return Err(format!("{site} is {shapes}: {INSTEAD}").into());
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
            format!("{site} has not been computed here: -first compares a complete pass (\"continue\")").into()
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
        Ok(Value::from_f32(data, own.shape(), self.session.run.device_of(op)).with_axes(own.axes()))
    }
}
