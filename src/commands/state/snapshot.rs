//! What a screen needs to know of the session.

use std::ops::Range;
use std::sync::Arc;

use crate::answer::view::{Breakpoint, Focus, ModuleLine, OpFlags, OpLine, Snapshot};
use crate::answer::{Answer, StopView};
use crate::commands::state::{Console, by};
use crate::debugger::{Mark, Session, Target};
use crate::model::Residency;
use crate::model::text::bytes;
use crate::program::{Module, Op, shape_of};

/// The listing of a program: the same while program and input length are.
pub struct Listing {
    pub(crate) ops: Arc<Vec<OpLine>>,
    modules: Arc<Vec<ModuleLine>>,
    span: Range<usize>,
    source: usize,
}

impl Listing {
    pub fn of(session: &Session) -> Listing {
        let run = &session.run;
        let (span, source) = (run.branch().span(run.pass), run.branch().text().source_length());
        let line = |op: &Op| {
            let shape = by(&shape_of(op, 1, span.clone(), source)[1..]);
            let label = op.label(&run.program.modules[op.module].path).to_string();
            OpLine { site: op.site.clone(), label, module: op.module, shape }
        };
        let module = |module: &Module| {
            let Module { path, depth, parent, start, end, .. } = module;
            let last = path.rsplit('.').next().filter(|last| last.parse::<usize>().is_err());
            let label = last.unwrap_or(path).to_string();
            ModuleLine { path: path.clone(), label, depth: *depth, parent: *parent, start: *start, end: *end }
        };
        Listing {
            ops: Arc::new(run.program.ops.iter().map(line).collect()),
            modules: Arc::new(run.program.modules.iter().map(module).collect()),
            span,
            source,
        }
    }

    pub(crate) fn flags(&self, session: &Session) -> Vec<OpFlags> {
        let run = &session.run;
        let program = &run.program;
        let mut flags = vec![OpFlags::default(); program.ops.len()];
        for edit in &run.branch().edits {
            match &edit.target {
                Target::Op(op) => flags[*op].edited |= edit.applies_to(Mark { pass: run.pass, op: *op }),
                Target::Input => flags[program.tokens()].edited |= run.pass == 0,
                Target::Token => flags[program.tokens()].edited |= edit.from.pass == run.pass,
                Target::Weight(_) | Target::Cache(_) => {}
            }
        }
        let affected = run.affected_by_edits();
        for (i, flag) in flags.iter_mut().enumerate() {
            flag.computed = i < run.cursor;
            flag.affected = affected[i] && !flag.edited;
        }
        for point in session.stops.iter() {
            // One that is looked at nearly everywhere, such as a catchpoint without a place, marks where it was hit.
            let everywhere = point.crossings.len() * 2 >= program.ops.len();
            for crossing in &point.crossings {
                let op = crossing.op.min(program.ops.len() - 1);
                let mark = Breakpoint { number: point.number, hit: point.hit_at.contains(&op), enabled: point.enabled };
                if everywhere && !mark.hit {
                    continue;
                }
                flags[op].breakpoint = Some(match flags[op].breakpoint {
                    Some(other) => Breakpoint {
                        number: other.number.min(mark.number),
                        hit: other.hit || mark.hit,
                        enabled: other.enabled || mark.enabled,
                    },
                    None => mark,
                });
            }
        }
        flags
    }
}

pub(crate) fn letters(flags: OpFlags) -> String {
    let mut text = String::new();
    for (set, letter) in [(flags.computed, '*'), (flags.edited, 'E'), (flags.affected, '~'), (flags.nonfinite, '!')] {
        if set {
            text.push(letter);
        }
    }
    if let Some(mark) = flags.breakpoint {
        text.push(if mark.hit { 'B' } else { 'b' });
        text.push(if mark.enabled { '+' } else { '-' });
    }
    text
}

impl Console {
    /// From now on the values of the current pass are looked at for the screen, which marks those that hold NaN or infinities.
    pub fn watch_values(&mut self) {
        self.watches_values = true;
    }

    /// Marks the ops of the current pass, out of these, whose values hold NaN or infinities.
    pub(crate) fn mark_nonfinite(&mut self, flags: &mut [OpFlags], ops: Range<usize>) {
        let pass = self.session.run.pass;
        let computed = flags.iter_mut().enumerate().take(ops.end.min(self.session.run.cursor)).skip(ops.start);
        for (op, flag) in computed {
            // A device that fails is reported of by whatever is computed next.
            flag.nonfinite = self.session.holds_nonfinite(Mark { pass, op }).unwrap_or(false);
        }
    }

    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        let branch = self.session.run.branch();
        let lengths = (branch.span(self.session.run.pass), branch.text().source_length());
        if lengths != (self.listing.span.clone(), self.listing.source) {
            self.listing = Listing::of(&self.session);
        }
        let mut flags = self.listing.flags(&self.session);
        if self.watches_values {
            let ops = 0..flags.len();
            self.mark_nonfinite(&mut flags, ops);
        }
        let screen = self.screen_view();
        let notices = std::mem::take(&mut self.notices);
        let session = &self.session;
        let (run, spec) = (&session.run, &session.run.model.spec);
        let branch = run.branch();
        let precision = branch.weights().precision();
        let name = if run.current == 0 { "main".to_string() } else { format!("main/{}", branch.name) };
        Arc::new(Snapshot {
            model: self.model_name.clone(),
            dimensions: format!("{}L {}H d{} {precision}", spec.n_layers, spec.n_heads, spec.d_model),
            device: run.model.placement.names(),
            device_reason: run.model.placement.description().join("\n"),
            branch: name,
            pass: run.pass as u32,
            live: run.live,
            cursor: run.cursor,
            ops: self.listing.ops.clone(),
            modules: self.listing.modules.clone(),
            flags,
            tokens: self.tokens(),
            rows: branch.text().rows.len(),
            focus: Focus { row: session.focus.row, pos: Some(session.focus_pos()), head: session.focus.head },
            heads: spec.n_heads,
            layers: spec.n_layers,
            breakpoints: session.stops.len(),
            edits: branch.edits.len(),
            recorded: branch.status().bytes,
            weights: part_in_memory(&run.model.weights.residency()),
            stop: self.shown_stop.clone(),
            screen,
            notices,
        })
    }

    pub(crate) fn keep_stop(&mut self, answer: &Answer) {
        if let Answer::Stop(stop) = answer {
            self.shown_stop = Some(StopView::clone(stop));
        }
    }
}

/// `9.1 of 131.4 GiB`, where the weights do not all fit; else nothing.
fn part_in_memory(found: &Residency) -> String {
    if found.held <= found.budget {
        return String::new();
    }
    let all = bytes(found.held);
    let unit = all.split_once(' ').map_or("", |(_, unit)| unit);
    match bytes(found.resident).split_once(' ') {
        Some((resident, same)) if same == unit => format!("{resident} of {all}"),
        _ => format!("{} of {all}", bytes(found.resident)),
    }
}
