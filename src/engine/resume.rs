//! `resume`: runs the commands of a journal again, and continues the journal.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::journal::{self, Entry, Fate, Journal};
use super::lists::{fault_of, refused};
use super::messages::{Event, Source};
use super::script::{self, Builtin, Opener, opener};
use super::thread::Engine;
use crate::answer::{Answer, Reason, text};
use crate::commands::{Console, Outcome};

/// How the commands of a journal ended.
#[derive(Default)]
struct Tally {
    done: usize,
    failed: usize,
    /// Those that were refused or interrupted in the earlier session.
    refused: usize,
    /// Read-only commands that were left out, with the numbers of their values.
    looked: Vec<String>,
    /// Those that were interrupted now.
    skipped: Vec<String>,
    /// The lines of the last stop.
    stop: Vec<String>,
}

impl Engine {
    /// Runs the commands of a journal. Those of hooks and stop points are in the journal too, so they are not triggered
    /// again. Commands that changed nothing are left out, and so are read-only commands, unless a later command needs
    /// their values. Ctrl-C skips the command that is running.
    pub(super) fn resume(&mut self, id: u64, file: &Path) -> Outcome {
        let (start, written) = match journal::read(file) {
            Ok(read) => read,
            Err(error) => return refused(error),
        };
        let (mut entries, cut) = journal::entries(&written);
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
            let what = format!("resuming, {} of {count}: {head}", number + 1);
            self.meter.instead.replace(Some(what.clone()));
            self.send(Event::Progress { what, done: number as u64, total: count as u64 });
            // An interrupt that came before this command began is meant for it.
            let asked = self.interrupt.swap(false, Ordering::SeqCst);
            let outcome = (!asked).then(|| self.again(id, file, entry));
            let fate = outcome.as_ref().map_or(Fate::Refused, fate_of);
            let skipped = match fate {
                // The interrupt of the earlier session comes again at the same place; only a different one is new.
                Fate::Interrupted { .. } => fate != entry.fate,
                Fate::Refused => asked || self.interrupt.swap(false, Ordering::SeqCst),
                // An interrupt that came too late for this command is meant for the next.
                Fate::Done | Fate::Looked(_) => false,
            };
            if let Some(stop @ Answer::Stop(_)) = outcome.as_ref().map(|outcome| &outcome.answer) {
                tally.stop = text::lines(stop, None);
            }
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
        self.meter.instead.take();
        self.interrupt.store(false, Ordering::SeqCst);
        let changed = !tally.skipped.is_empty() || cut.is_some();
        let gone_on = if changed { journal::rewrite(file, &start, &entries) } else { Ok(()) };
        match gone_on.and_then(|()| Journal::go_on(file)) {
            Ok(journal) => self.journal.go_on(journal, start, &entries),
            Err(error) => return refused(format!("{} cannot be written: {error}", file.display())),
        }
        let said = format!("Resumed {}: {}", file.display(), tally.summary(cut.as_deref()));
        Outcome { changed: true, ..Outcome::of(Answer::Text(said)) }
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

    /// Reserves the numbers of the values of a read-only command that is left out, so that later values keep theirs.
    /// Returns the words for the summary.
    fn forgone(&mut self, entry: &Entry) -> Option<String> {
        let Fate::Looked(values @ 1..) = entry.fate else { return None };
        let held = self.interpreter.remembered();
        self.interpreter.forgo(values, &entry.text);
        let numbers =
            if values == 1 { format!("${}", held + 1) } else { format!("${} to ${}", held + 1, held + values) };
        Some(format!("{} ({numbers})", entry.text))
    }

    /// Reserves the number of a value that was printed in the earlier session and cannot be printed now, because the
    /// command that gave it was left out.
    fn pad(&mut self, entry: &Entry, outcome: &Outcome) {
        if fault_of(&outcome.answer).is_some() && name_of(entry) == "print" {
            self.interpreter.forgo(1, &entry.text);
        }
    }
}

impl Tally {
    fn summary(&self, cut: Option<&str>) -> String {
        let many = |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
        let mut text = many(self.done, "command");
        if self.failed > 0 {
            text += &format!(", {} of which failed as before", self.failed);
        }
        if self.refused > 0 {
            text += &format!("; {} that changed nothing were left out", self.refused);
        }
        text += ".";
        if !self.looked.is_empty() {
            text += &format!("\nRead-only commands were not run again: {}.", self.looked.join(", "));
        }
        if !self.skipped.is_empty() {
            text += &format!("\nInterrupted and skipped: {}.", self.skipped.join(", "));
        }
        if let Some(cut) = cut {
            text += &format!("\nThe journal ends inside a block, which was left out: {cut}");
        }
        if !self.stop.is_empty() {
            text += &format!("\nThe last stop was:\n{}", self.stop.join("\n"));
        }
        text
    }
}

pub(super) fn fate_of(outcome: &Outcome) -> Fate {
    match &outcome.answer {
        Answer::Stop(stop) if stop.reason == Reason::Interrupt => {
            Fate::Interrupted { pass: stop.pass as usize, op: stop.op }
        }
        Answer::Error(_) if !outcome.half_done => Fate::Refused,
        _ => Fate::Done,
    }
}

/// The full name of a command of the table; empty if it is not one of the table.
fn name_of(entry: &Entry) -> &'static str {
    Console::command(script::word_of(&entry.text)).map_or("", |command| command.name)
}

/// Whether a command that runs again may read the history of values. In the condition of a stop point, `$` is the value
/// there.
fn needs_history(entry: &Entry) -> bool {
    let is_stop = |name| matches!(name, "break" | "tbreak" | "rbreak" | "watch" | "catch" | "condition" | "trace");
    let name = name_of(entry);
    let reads = |text: &str| {
        text.match_indices('$').any(|(at, _)| !text[at + 1..].starts_with(|c: char| c.is_alphabetic() || c == '_'))
    };
    let carried_out = matches!(entry.fate, Fate::Done | Fate::Interrupted { .. });
    carried_out && !is_stop(name) && !matches!(name, "print" | "x" | "display") && reads(&entry.text)
}
