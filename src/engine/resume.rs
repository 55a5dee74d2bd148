//! `resume`: the commands of a journal again, and the journal goes on.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::journal::{self, Entry, Fate, Journal};
use super::lists::{failure, fault_of};
use super::messages::{Event, Source};
use super::script::{self, Builtin, Opener, opener};
use super::thread::Engine;
use crate::answer::{Answer, Fault, Reason};
use crate::commands::{Console, Outcome};

/// How the commands of a journal have fared.
#[derive(Default)]
struct Tally {
    done: usize,
    failed: usize,
    /// Refused or interrupted then.
    refused: usize,
    /// Those that only looked, with the numbers of what they gave.
    looked: Vec<String>,
    /// Interrupted now.
    skipped: Vec<String>,
}

impl Engine {
    /// Carries out the commands of a journal. They stand for themselves: those of hooks and stop points are among them. Those that
    /// changed nothing are left out, and so are those that only looked, unless a later one needs what they gave. Ctrl-C skips the
    /// command that runs.
    pub(super) fn resume(&mut self, id: u64, file: &Path) -> Outcome {
        let (start, text) = match journal::read(file) {
            Ok(read) => read,
            Err(error) => return failure(&error, Fault::Command),
        };
        let (mut entries, cut) = journal::entries(&text);
        let needed = entries.iter().rposition(needs_history).unwrap_or(0);
        let (mut tally, count) = (Tally::default(), entries.len());
        for (number, entry) in entries.iter_mut().enumerate() {
            let head = entry.text.lines().next().unwrap_or_default().to_string();
            let looked = matches!(entry.fate, Fate::Looked(_));
            if entry.fate == Fate::Refused {
                tally.refused += 1;
                continue;
            }
            if looked && number > needed {
                tally.looked.extend(self.forgone(entry));
                continue;
            }
            self.resuming = Some(format!("resuming, {} of {count}: {head}", number + 1));
            let what = self.resuming.clone().unwrap_or_default();
            self.send(Event::Progress { what, done: number as u64, total: count as u64 });
            // Asked for before it began, it is this command that is not wanted.
            let asked = self.interrupt.swap(false, Ordering::SeqCst);
            let outcome = (!asked).then(|| self.again(id, file, entry));
            let fate = outcome.as_ref().map_or(Fate::Refused, fate_of);
            let skipped = match fate {
                // An interrupt of then comes again at the same place, and is not of now.
                Fate::Interrupted { .. } => fate != entry.fate,
                Fate::Refused => asked || self.interrupt.swap(false, Ordering::SeqCst),
                // Where it came too late for this command it is for the next.
                Fate::Done | Fate::Looked(_) => false,
            };
            if skipped {
                tally.skipped.push(head);
                self.forgone(entry);
                if !looked {
                    entry.fate = fate;
                }
            } else if let Some(outcome) = outcome {
                tally.done += 1;
                tally.failed += usize::from(fault_of(&outcome.answer).is_some());
                if !tally.looked.is_empty() {
                    self.pad(entry, &outcome);
                }
            }
        }
        self.resuming = None;
        self.interrupt.store(false, Ordering::SeqCst);
        let gone_on = match tally.skipped.is_empty() && cut.is_none() {
            true => Ok(()),
            false => journal::rewrite(file, &start, &entries),
        };
        match gone_on.and_then(|()| Journal::go_on(file)) {
            Ok(journal) => self.journal = journal,
            Err(error) => return failure(&format!("{} cannot be written: {error}", file.display()), Fault::Command),
        }
        let text = format!("Resumed {}: {}", file.display(), tally.told(cut.as_deref()));
        Outcome { changed: true, ..Outcome::of(Answer::Text(text)) }
    }

    fn again(&mut self, id: u64, file: &Path, entry: &Entry) -> Outcome {
        let source = Source::Script { file: file.display().to_string(), line: entry.line };
        let line = &entry.text;
        self.interpreter.halt_at(match entry.fate {
            Fate::Interrupted { pass, op } => Some((pass, op)),
            _ => None,
        });
        let outcome = match (opener(line), script::builtin(line)) {
            (Some(Opener::Define | Opener::Document), _) => self.block(id, line, &source, true),
            (_, Some(Builtin::Alias(rest))) => self.alias(rest),
            _ => self.interpreted(line, &source),
        };
        self.interpreter.halt_at(None);
        outcome
    }

    /// Keeps the numbers of what a command gave that only looked, so that later ones stay what they were. What there is to say of it.
    fn forgone(&mut self, entry: &Entry) -> Option<String> {
        let Fate::Looked(values @ 1..) = entry.fate else { return None };
        let held = self.interpreter.remembered();
        self.interpreter.forgo(values, &entry.text);
        let numbers =
            if values == 1 { format!("${}", held + 1) } else { format!("${} to ${}", held + 1, held + values) };
        Some(format!("{} ({numbers})", entry.text))
    }

    /// A value that was printed then and cannot be now, since what it was made of was left out, keeps its number.
    fn pad(&mut self, entry: &Entry, outcome: &Outcome) {
        if fault_of(&outcome.answer).is_some() && name_of(entry) == "print" {
            self.interpreter.forgo(1, &entry.text);
        }
    }
}

impl Tally {
    fn told(&self, cut: Option<&str>) -> String {
        let many = |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
        let mut text = many(self.done, "command");
        if self.failed > 0 {
            text += &format!(", {} of which failed as before", self.failed);
        }
        if self.refused > 0 {
            text += &format!("; {} left out that changed nothing", self.refused);
        }
        text += ".";
        if !self.looked.is_empty() {
            text += &format!("\nNot computed again, since it only looked: {}.", self.looked.join(", "));
        }
        if !self.skipped.is_empty() {
            text += &format!("\nInterrupted, and skipped: {}.", self.skipped.join(", "));
        }
        if let Some(cut) = cut {
            text += &format!("\nThe journal ends inside a block, which is left out: {cut}");
        }
        text
    }
}

/// What came of a command.
pub(super) fn fate_of(outcome: &Outcome) -> Fate {
    match &outcome.answer {
        Answer::Stop(stop) if stop.reason == Reason::Interrupt => {
            Fate::Interrupted { pass: stop.pass as usize, op: stop.op }
        }
        Answer::Error(_) if !outcome.half_done => Fate::Refused,
        _ => Fate::Done,
    }
}

/// The whole name of a command of the table; empty of another one.
fn name_of(entry: &Entry) -> &'static str {
    Console::command(script::word_of(&entry.text)).map_or("", |command| command.name)
}

/// Whether a command that is carried out again may read the history of values. In the condition of a stop point, `$` is the value
/// there.
fn needs_history(entry: &Entry) -> bool {
    let is_stop =
        |name: &str| matches!(name, "break" | "tbreak" | "rbreak" | "watch" | "catch" | "condition" | "trace");
    let name = name_of(entry);
    let reads = |text: &str| {
        text.match_indices('$').any(|(at, _)| !text[at + 1..].starts_with(|c: char| c.is_alphabetic() || c == '_'))
    };
    let carried_out = matches!(entry.fate, Fate::Done | Fate::Interrupted { .. });
    carried_out && !is_stop(name) && name != "print" && name != "x" && name != "display" && reads(&entry.text)
}
