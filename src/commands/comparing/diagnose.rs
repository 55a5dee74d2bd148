//! `diagnose`: the checks that fit, and what they found, worst first.

use std::collections::BTreeMap;

use crate::analysis::health::{self, Measured};
use crate::analysis::{activations, model_inspection};
use crate::answer::numbers::significant;
use crate::answer::{Layout, Table, text};
use crate::commands::frame::{Done, mistake, no_more};
use crate::commands::state::rules::{self, Rule, Severity};
use crate::commands::state::{Call, Console, tokens};
use crate::comparing::{Recomputed, again, alone, recompute, selftest};
use crate::debugger::{Result, RunScope};
use crate::lang::eval::{Datum, evaluate};
use crate::lang::parse_expr;
use crate::lang::words::Word;
use crate::tensor::ops::{Reduction, Slice};

/// From so many times the loss of guessing on it is another rule's.
const FAR: f64 = 2.0;

/// What no model shows by itself.
const BESIDE: &str = "not checked: a wrong eps, base of rotations or order of blocks shows only in a comparison with a reference (diff, bisect, golden check)";

/// Findings of one rule that are listed.
const LISTED: usize = 3;

/// `diagnose [-deep] [-device] [-against FILE] [-all] [-fail SEVERITY]`.
pub fn diagnose(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    no_more(&left, "diagnose -deep -fail warning")?;
    let severity = |word: &Word| {
        let mut all = [Severity::Note, Severity::Warning, Severity::Error].into_iter();
        let found = all.find(|severity| severity.word() == word.text);
        found.ok_or_else(|| mistake(format!("no severity {}", word.text), word.span, "error, warning, or note"))
    };
    let fail = given.value("-fail").map(severity).transpose()?;
    if !console.session.run.at_end() {
        return Err("diagnose looks at a complete pass: \"run\" or \"continue\" to its end first".into());
    }
    let mut found = health::weights(&console.session)?;
    found.extend(model_inspection::weights(&console.session)?);
    found.extend(model_inspection::input(&console.session, console.chat));
    found.extend(health::values(&mut console.session)?);
    found.extend(health::attention(&mut console.session)?);
    found.extend(health::prediction(&mut console.session)?);
    found.extend(console.loss_beside_guessing().into_iter().flatten());
    // A text that does not fit, or edits that do not, leave the others.
    found.extend(model_inspection::distance_from_bundled(&console.session).ok().flatten());
    let warnings = tokens::warnings(console);
    let plain = tokens::without_template(console).map(|at| Measured { rule: "plain-prompt", at, value: 1.0 });
    found.extend(plain);
    let report = &console.session.run.model.report;
    let of_files = report.replaced.iter().chain(report.ignored.iter().map(|(name, _)| name));
    found.extend(warnings.iter().map(|warning| Measured { rule: "tokens", at: warning.clone(), value: 1.0 }));
    found.extend(of_files.map(|at| Measured { rule: "load", at: at.clone(), value: 1.0 }));
    if given.has("-deep") {
        console.look_deeper(&mut found)?;
    }
    if given.has("-device") {
        found.extend(console.device()?);
    }
    let (mut left_out, mut usual) = (0, String::new());
    if let Some(file) = given.value("-against") {
        (found, left_out) = console.beside_references(found, file)?;
        usual = format!("\nleft out, as on most texts of {}: {left_out} findings", file.text);
    }
    let checked = found.len() + left_out;
    let (mut table, worst) = table(found, checked, given.has("-all"));
    table.title += &usual;
    if let (Some(fail), Some(worst)) = (fail, worst)
        && worst >= fail
    {
        return Err(text::lines(&table.into(), None).join("\n").into());
    }
    Ok(table.into())
}

/// What the rules say of what was measured, and the worst severity.
fn table(found: Vec<Measured>, checked: usize, all: bool) -> (Table, Option<Severity>) {
    let mut by_rule: Vec<(&str, &Rule, Vec<Measured>)> = Vec::new();
    for one in found {
        let Some((name, rule)) = rules::ALL.get_key_value(one.rule).filter(|(_, rule)| rule.finds(one.value)) else {
            continue;
        };
        match by_rule.iter_mut().find(|(known, ..)| known == name) {
            Some((_, _, others)) => others.push(one),
            None => by_rule.push((name, rule, vec![one])),
        }
    }
    by_rule.sort_by_key(|(_, rule, _)| std::cmp::Reverse(rule.severity));
    let worst = by_rule.first().map(|(_, rule, _)| rule.severity);
    let mut counts = [0usize; 3];
    let mut table = Table::new(["", "Finding", "Where", "Measured", "Normal", "Look", "Why"]);
    let mut words = Vec::new();
    for (_, rule, mut found) in by_rule {
        counts[rule.severity as usize] += 1;
        found.sort_by(|a, b| rule.excess(b.value).total_cmp(&rule.excess(a.value)));
        let more = if all { 0 } else { found.len().saturating_sub(LISTED) };
        let listed = found.len() - more;
        words.push(format!("{}: {}", rule.severity.word(), rule.what));
        words.extend(found.iter().take(listed).map(|one| format!("  {}{}", one.at, rule.measured(one.value))));
        words.extend((more > 0).then(|| format!("  and at {more} more places; diagnose -all lists them")));
        words.push(format!("  Why it matters: {}.", rule.why));
        words.push(format!("  To see it: {}", rule.look.replace("{at}", found.first().map_or("", |one| &one.at))));
        for (number, one) in found.into_iter().take(listed).enumerate() {
            let at = match (number + 1 == listed, more) {
                (true, 1..) => format!("{} and {more} more", one.at),
                _ => one.at.clone(),
            };
            let about = [rule.severity.word(), &rule.what, &rule.why];
            let [severity, what, why] = if number == 0 { about } else { [""; 3] };
            table.push((severity, what, at, one.value, rule.limit(), rule.look.replace("{at}", &one.at), why));
        }
    }
    let [notes, warnings, errors] = counts;
    let result = match worst {
        None => "nothing found".to_string(),
        Some(_) => format!("errors {errors}, warnings {warnings}, notes {notes}"),
    };
    if !words.is_empty() {
        table.layout = Layout::Prose(words.join("\n"));
    }
    (table.title(format!("{checked} measurements, {} rules: {result}\n{BESIDE}", rules::ALL.len())), worst)
}

impl Console {
    /// Without the findings that are the same on most texts of a file, and with what is unlike them; how many were left out. Errors stay.
    fn beside_references(&mut self, found: Vec<Measured>, file: &Word) -> Result<(Vec<Measured>, usize)> {
        let here = activations::blocks(&mut self.session)?;
        let (count, unlike) = self.unlike(&here, file)?;
        let finds = |one: &Measured| rules::ALL.get(one.rule).is_some_and(|rule| rule.finds(one.value));
        let mut seen: BTreeMap<(&str, String), usize> = BTreeMap::new();
        self.over_references(file, &mut |console| {
            let session = &mut console.session;
            let mut all = health::values(session)?;
            all.extend(health::attention(session)?);
            all.extend(health::prediction(session)?);
            for one in all.into_iter().filter(finds) {
                *seen.entry((one.rule, one.at)).or_default() += 1;
            }
            Ok(())
        })?;
        let is_usual = |one: &Measured| {
            let often = seen.get(&(one.rule, one.at.clone())).is_some_and(|times| 2 * times > count);
            often && finds(one) && rules::ALL.get(one.rule).is_some_and(|rule| rule.severity != Severity::Error)
        };
        let before = found.len();
        let mut left: Vec<Measured> = found.into_iter().filter(|one| !is_usual(one)).collect();
        let left_out = before - left.len();
        left.extend(unlike.into_iter().map(|one| {
            let (here, usual) = (significant(one.here, 3), significant(one.usual, 3));
            let at = format!("{} of L{}: {here}, usually {usual}", one.name, one.layer);
            Measured { rule: "unusual", at, value: one.off }
        }));
        Ok((left, left_out))
    }

    /// The op that is furthest from what it is in 64 bits on the CPU, in units of what is allowed.
    fn device(&mut self) -> Result<Option<Measured>> {
        let precision = self.session.run.branch().weights().precision();
        let worst = selftest::selftest(&mut self.session)?.into_iter().next();
        let allowed = selftest::allowed(precision);
        Ok(worst.map(|one| Measured { rule: "device", at: one.site, value: one.relative / allowed }))
    }

    /// The loss in units of that of guessing; `None` if the model has no loss on this text.
    fn loss_beside_guessing(&mut self) -> Option<[Measured; 2]> {
        let expr = parse_expr("loss", 0).ok()?;
        let vocab = self.session.run.model.spec.vocab as f64;
        let Ok(Datum::Num(loss)) = evaluate(&expr, &mut RunScope::new(&mut self.session)) else { return None };
        let value = loss / vocab.ln();
        // What is far above is said once.
        let near = if value > FAR { 0.0 } else { value };
        let of = |rule, value| Measured { rule, at: "loss".into(), value };
        Some([of("loss", near), of("loss-far", value)])
    }

    /// The checks that compute the pass again, and gradients of the loss.
    fn look_deeper(&mut self, found: &mut Vec<Measured>) -> Result<()> {
        let worst = |rule: &'static str, of: fn(&Recomputed) -> f64, all: Vec<Recomputed>| {
            let worst = all.into_iter().max_by(|a, b| of(a).total_cmp(&of(b)));
            worst.map(|site| Measured { rule, at: format!("{}#{}", site.site, site.pass), value: of(&site) })
        };
        let relative = |site: &Recomputed| site.difference.relative;
        let run = &mut self.session.run;
        // A check that does not fit this session, with one pass or one row, says nothing.
        found.extend(again(run).ok().and_then(|all| worst("determinism", |site| site.bits as f64, all)));
        found.extend(recompute(run).ok().and_then(|all| worst("cache", relative, all)));
        found.extend(alone(run).ok().and_then(|all| worst("batch", relative, all)));
        let expr = parse_expr("loss", 0)?;
        if self.session.run.pass > 0 || self.loss_beside_guessing().is_none() {
            return Ok(());
        }
        self.session.backward(&expr, "loss")?;
        let program = self.session.run.program.clone();
        let row = self.session.focus.row;
        for (op, site) in program.sites().iter().enumerate().filter(|(_, site)| site.ends_with(".resid_post")) {
            let Ok(gradient) = self.session.gradient(op) else { continue };
            let norm = gradient.slice(&[Slice::At(row)])?.reduce(Reduction::Norm)?;
            let of = |rule| Measured { rule, at: site.clone(), value: norm };
            found.extend(["gradient-vanishing", "gradient-exploding"].map(of));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No session of a sound program gives other bits for the same pass; that the rule speaks is shown by numbers.
    #[test]
    fn other_bits_and_a_wrong_device_are_errors() {
        for (rule, sound, wrong) in [("determinism", 0.0, 1e-9), ("device", 0.9, 1.5), ("batch", 1e-5, 1e-3)] {
            let of = |value: f64| vec![Measured { rule, at: "blocks.1.attn.z#0".into(), value }];
            assert_eq!(table(of(sound), 1, false).1, None, "{rule}");
            let (found, worst) = table(of(wrong), 1, false);
            assert_eq!((worst, found.rows.len()), (Some(Severity::Error), 1), "{rule}");
        }
    }

    #[test]
    fn every_rule_has_one_limit_and_finds_what_lies_beyond_it() {
        assert!(rules::ALL.len() >= 18, "{}", rules::ALL.len());
        for (name, rule) in rules::ALL.iter() {
            assert!(rule.above.is_some() != rule.below.is_some(), "{name}");
            let limit = rule.above.or(rule.below).unwrap_or(0.0);
            let (beyond, within) = match rule.above {
                Some(_) => (limit + 1.0, limit),
                None => (limit / 2.0, limit),
            };
            assert!(rule.finds(beyond) && !rule.finds(within) && !rule.finds(f64::NAN), "{name}");
            assert!(!rule.what.is_empty() && !rule.why.is_empty() && !rule.look.is_empty(), "{name}");
        }
    }
}
