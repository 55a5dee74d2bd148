//! What is shown at a stop: why, where, the value just computed, the displays.

use crate::answer::numbers::short;
use crate::answer::text::quoted;
use crate::answer::{self, Answer, StopView};
use crate::commands::frame::Done;
use crate::commands::state::{Console, summary_line};
use crate::debugger::sides::Side;
use crate::debugger::{Finding, Kind, Mark, Reason, Result, Stop};
use crate::lang::eval::Datum;
use crate::tensor::ops::Slice;
use crate::tensor::{Difference, Tolerance, Verdict, distance};

impl Console {
    pub(crate) fn arrived(&mut self, stop: Stop) -> Done {
        let view = self.stop_view(&stop)?;
        self.session.trail.visit((self.session.run.current, stop.at));
        self.session.last_stop = Some(stop);
        Ok(Answer::Stop(view))
    }

    fn stop_view(&mut self, stop: &Stop) -> Result<StopView> {
        let program = self.session.run.program.clone();
        let (Mark { pass, op: cursor }, end) = (stop.at, program.ops.len());
        let site = cursor.checked_sub(1).map(|op| program.ops[op].site.clone()).unwrap_or_default();
        let module = program.modules[program.module_at(cursor)].path.clone();
        let mut lines = Vec::new();
        match stop.reason {
            Reason::Stopped => {
                lines.push(format!("{}, {}", headline(stop), self.value_line(stop.at)?));
                for finding in &stop.findings {
                    lines.extend(finding.lines.iter().cloned());
                    if let Some(change) = &finding.change {
                        lines.push(format!("Old value = {}", self.in_a_line(&change.old)?));
                        lines.push(format!("New value = {}", self.in_a_line(&change.new)?));
                    }
                }
            }
            Reason::Beginning => lines.push("No more reverse-execution history.".into()),
            Reason::Start => {}
            reason => {
                let before = match reason {
                    Reason::Interrupt => "Interrupted, ".to_string(),
                    Reason::Ended => "The text has ended, ".to_string(),
                    Reason::End if pass == 0 => format!("Pass finished: {end} ops, "),
                    Reason::End => format!("Pass {pass} finished{}: {end} ops, ", self.of_token(pass)),
                    _ => String::new(),
                };
                lines.push(before + &self.value_line(stop.at)?);
            }
        }
        if stop.at.op > 0 {
            lines.extend(self.beside_lines(stop.at)?);
        }
        for (number, error) in &stop.errors {
            let kind = self.session.stops.get(*number).map_or("breakpoint", |point| point.kind.word());
            lines.push(format!("Error in testing the condition of {kind} {number}:"));
            lines.extend(error.lines().map(String::from));
        }
        lines.push(match program.ops.get(self.session.run.next_op()) {
            Some(op) => {
                let within = if module.is_empty() { String::new() } else { format!(" in {module}") };
                format!("at op {cursor} of {end}{within}, pass {pass}; next: {}", op.site)
            }
            None => format!("at the end of pass {pass} (op {end} of {end})"),
        });
        let reason = match stop.reason {
            Reason::Stopped => {
                let first = stop.ids.first().and_then(|id| self.session.stops.get(*id));
                match first.map(|point| &point.kind) {
                    Some(Kind::Watch(_) | Kind::Access { .. }) => answer::Reason::Watchpoint,
                    Some(Kind::Catch(_)) => answer::Reason::Catchpoint,
                    _ => answer::Reason::Breakpoint,
                }
            }
            Reason::Step => answer::Reason::Step,
            Reason::End | Reason::Ended => answer::Reason::End,
            Reason::Start | Reason::Beginning => answer::Reason::Start,
            Reason::Interrupt => answer::Reason::Interrupt,
        };
        // "silent" as the first of its commands keeps a stop point from being reported.
        let silent = |finding: &Finding| finding.commands.first().is_some_and(|line| line == "silent");
        if !stop.findings.is_empty() && stop.errors.is_empty() && stop.findings.iter().all(silent) {
            lines.clear();
        }
        let displays = self.displays();
        let (ids, pass) = (stop.ids.clone(), pass as u32);
        let errors = stop.errors.iter().map(|(_, error)| error.clone()).collect();
        Ok(StopView { reason, ids, site, module, op: cursor, pass, lines, errors, value: None, displays })
    }

    /// The value of the side that follows, and how far the one just computed is from it.
    fn beside_lines(&mut self, at: Mark) -> Result<Vec<String>> {
        let Some(side) = self.session.follower() else { return Ok(Vec::new()) };
        let op = at.op - 1;
        let Some((apart, theirs)) = self.session.compare_at(Mark { op, ..at }, Tolerance::default())? else {
            return Ok(vec![format!("{} has no value like it", self.session.side_name(&side))]);
        };
        // Of two texts no distance says how well one is computed.
        let here = Side::Branch(self.session.run.current);
        let other = self.session.texts_differ(&here, &side)?.map(|text| text.words);
        let value = summary_line(&theirs.value())?;
        let apart_by = match apart.difference.max {
            0.0 => "the same numbers".to_string(),
            _ => {
                let Difference { at, pair: (x, y), rms, .. } = &apart.difference;
                let at: Vec<String> = theirs.axes.iter().zip(at).map(|(axis, i)| format!("{axis} {i}")).collect();
                let of = if apart.difference.verdict() == Verdict::Rounding { ": rounding" } else { "" };
                let [by, x, y, rms] = [distance(*x, *y), *x, *y, *rms].map(short);
                format!("apart by {by} at {} ({x} against {y}), rms {rms}{of}", at.join(", "))
            }
        };
        Ok(other.into_iter().chain([format!("{} {value}", apart.name), apart_by]).collect())
    }

    fn in_a_line(&self, datum: &Datum) -> Result<String> {
        Ok(match datum {
            Datum::Tensor(value) => summary_line(value)?,
            Datum::Num(x) => short(*x),
            Datum::Void => "not computed yet".into(),
            datum => datum.described(),
        })
    }

    /// The site just computed and a line about its value; at the beginning of a pass the token that it computes.
    fn value_line(&mut self, at: Mark) -> Result<String> {
        let Some(op) = at.op.checked_sub(1) else {
            return Ok(match at.pass {
                0 => "the start of the pass".into(),
                pass => format!("the start of pass {pass}{}", self.of_token(pass)),
            });
        };
        let site = self.session.run.program.ops[op].site.clone();
        let value = self.session.run.value_at(Mark { op, ..at })?.near()?;
        let value = value.slice(&[Slice::At(self.session.focus.row)])?;
        Ok(format!("{site} {}", summary_line(&value)?))
    }

    /// `, token 17 " Mary"`: what a pass computes in the focused row; nothing for the prompt.
    fn of_token(&self, pass: usize) -> String {
        let branch = self.session.run.branch();
        match branch.chosen(pass).map(|chosen| chosen.tokens[self.session.focus.row]) {
            Some(Some(token)) => format!(", position {} {}", branch.span(pass).start, quoted(&self.token_text(token))),
            Some(None) => ", after the end of this row".into(),
            None => String::new(),
        }
    }

    /// The text of a token, or its number without a tokenizer.
    pub(crate) fn token_text(&self, id: u32) -> String {
        match &self.session.run.model.tokenizer {
            Some(tokenizer) => tokenizer.token_text(id),
            None => id.to_string(),
        }
    }
}

/// `Breakpoint 1`, `Breakpoints 1, 3`, `Watchpoint 2 (max($cursor))`: what fired.
pub(crate) fn headline(stop: &Stop) -> String {
    let ids: Vec<String> = stop.ids.iter().map(usize::to_string).collect();
    match stop.findings.as_slice() {
        [only] if stop.ids.len() == 1 => match only.kind {
            kind @ "breakpoint" => {
                let kind = if stop.temporary.is_empty() { kind.to_string() } else { format!("temporary {kind}") };
                // A module is stopped at before its first op: the site just computed is another's.
                let at = if only.before { format!(" at {}", only.what) } else { String::new() };
                format!("{} {}{at}", capital(&kind), only.number)
            }
            kind => format!("{} {} ({})", capital(kind), only.number, only.what),
        },
        findings if stop.ids.len() == findings.len() && findings.iter().any(|f| f.kind != "breakpoint") => {
            let each = findings.iter().map(|f| format!("{} {}", f.kind, f.number));
            capital(&each.collect::<Vec<_>>().join(", "))
        }
        _ if stop.ids.len() > 1 => format!("Breakpoints {}", ids.join(", ")),
        _ => format!("Breakpoint {}", ids.join(", ")),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
