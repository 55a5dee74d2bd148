//! `diff`: where do two sides part? Each is a branch, another model, a dump, or a file of values.

mod report;
mod weights;

use std::path::Path;

use crate::commands::frame::{Done, mistake, number};
use crate::commands::state::{Call, Console};
use crate::comparing::{How, Lack, Parts, SiteDifferences, site_differences};
use crate::debugger::sides::Side;
use crate::debugger::{Error, Result, Session};
use crate::dumps::Reading;
use crate::lang::Span;
use crate::lang::location::{parse_location, resolve_sites};
use crate::lang::words::Word;
use crate::tensor::Tolerance;

pub use report::limit;

const USAGE: &str =
    "diff SIDE, diff SIDE SIDE, diff FILE.safetensors, diff weights SIDE; a side is a branch, a model or a dump";

/// What a difference is where sides read other texts.
const OF_TWO_TEXTS: &str = "what follows is about two texts, not about two ways to compute one";

/// `diff A [B] [SITES]`, `diff weights A [B]`.
pub fn diff(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let allowed = |name: &str, usual: f64| {
        given.value(name).map_or(Ok(usual), |word| number(word, |x| *x >= 0.0, "tolerance: a number of at least 0"))
    };
    let usual = Tolerance::default();
    let tolerance =
        Tolerance { absolute: allowed("-atol", usual.absolute)?, relative: allowed("-rtol", usual.relative)? };
    let prefix = given.value("-prefix").map_or("", |word| &word.text);
    let parts = given.value("-by").map(parts_of).transpose()?;
    let mut left = left.into_iter().peekable();
    let of_weights =
        left.peek().is_some_and(|word| word.text == "weights") && console.session.side_named("weights").is_none();
    if of_weights {
        left.next();
    }
    let nothing = || mistake("expected what to compare", Span::at(call.args.offset), USAGE);
    let first = left.next().ok_or_else(nothing)?;
    if of_weights {
        return console.diff_weights(&first, &left.collect::<Vec<_>>(), &given);
    }
    let first = console.side(&first, prefix)?;
    let second = match left.peek().map(|word| console.side(word, prefix)) {
        Some(Ok(side)) => {
            left.next();
            Some(side)
        }
        _ => None,
    };
    // Alone, it is what the current branch is compared with.
    let (a, b) = match second {
        Some(second) => (first, second),
        None => (Side::Branch(console.session.run.current), first),
    };
    let wanted: Vec<Word> = left.collect();
    let sites = console.sites_of(&wanted)?;
    let left_out = if wanted.is_empty() { console.session.sites_missing_here(&b) } else { Vec::new() };
    console.session.bring(&a)?;
    console.session.bring(&b)?;
    // Before anything is compared: whether it is one text, and what a side does not have.
    let texts = console.session.texts_differ(&a, &b)?;
    let looks_back_only = console.session.run.model.spec.attention.causal;
    let meaning = |starts_alike: bool| match starts_alike && looks_back_only {
        true => "compared is what both have",
        false => OF_TWO_TEXTS,
    };
    let mut before: Vec<String> =
        texts.map(|how| format!("{}; {}", how.words, meaning(how.starts_alike))).into_iter().collect();
    before.extend([&a, &b].into_iter().filter_map(|side| console.session.missing_in(side)));
    let how = How { tolerance, parts, first: given.has("-first") };
    let mut found = site_differences(&mut console.session, [&a, &b], &sites, how)?;
    if found.sites.is_empty() {
        return Err(nothing_in_common(&console.session, [&a, &b], &found));
    }
    found.apart.extend(left_out.into_iter().map(|site| (site, Lack::Left)));
    let comparison = Comparison { how, before, found };
    let (answer, beyond) = console.report(&a, &b, &comparison, given.has("-all") || given.has("-sort"));
    let answer = given.rows(answer)?;
    if let (Some(message), true) = (beyond, given.has("-fail")) {
        return Err(message.into());
    }
    console.memory.compared = Some(answer.clone());
    Ok(answer.into())
}

/// A comparison, for its report.
struct Comparison {
    how: How,
    /// What is shown before all else.
    before: Vec<String>,
    found: SiteDifferences,
}

/// What a site is divided into.
fn parts_of(word: &Word) -> Result<Parts> {
    let all = [("block", Parts::Block), ("head", Parts::Head), ("pos", Parts::Pos), ("element", Parts::Element)];
    let found = all.into_iter().find(|(name, _)| *name == word.text).map(|(_, parts)| parts);
    let message = || format!("no way to divide a site: {}", word.text);
    found.ok_or_else(|| mistake(message(), word.span, "-by block, head, pos or element"))
}

fn nothing_in_common(session: &Session, sides: [&Side; 2], found: &SiteDifferences) -> Error {
    let [a, b] = sides.map(|side| session.side_name(side));
    let why = found.apart.iter().find_map(|(site, lack)| match lack {
        Lack::Other(why) => Some(format!(": {site} is {why}")),
        Lack::Left | Lack::Right => None,
    });
    format!("{a} and {b} have no site in common{}", why.unwrap_or_default()).into()
}

impl Console {
    /// The side that a word names: a branch, a model, a dump or a file.
    pub(crate) fn side(&self, word: &Word, prefix: &str) -> Result<Side> {
        if let Some(side) = self.session.side_named(&word.text) {
            return Ok(side);
        }
        if word.text == self.session.name {
            return Ok(Side::Branch(self.session.run.current));
        }
        if ![".safetensors", ".npz"].iter().any(|end| word.text.ends_with(end)) {
            let message = format!("{} is not a branch, and no .safetensors or .npz file", word.text);
            let names = self.session.side_names().join(", ");
            return Err(mistake(message, word.span, format!("sides are {names}")));
        }
        let dump = self.session.open_dump(Path::new(&word.text), &Reading { prefix, map: Vec::new() });
        dump.map(|dump| Side::File(Box::new(dump)))
    }

    /// The sites that words name; all without any.
    pub(crate) fn sites_of(&self, wanted: &[Word]) -> Result<Vec<String>> {
        let program = &self.session.run.program;
        let mut sites = Vec::new();
        for word in wanted {
            let location = parse_location(&word.text, word.span.start)?;
            for site in resolve_sites(&location, &*self.session.run.names, self.session.block())? {
                if program.op_of(&site).is_some() && !sites.contains(&site) {
                    sites.push(site);
                }
            }
        }
        match wanted.is_empty() {
            true => Ok(program.sites().to_vec()),
            false => Ok(sites),
        }
    }
}

/// The table of the last `diff`.
pub fn last(console: &Console) -> Done {
    let compared = console.memory.compared.clone();
    Ok(compared.ok_or("nothing has been compared yet; \"diff BRANCH\" or \"diff FILE\" does")?.into())
}
