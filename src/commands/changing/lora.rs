//! `lora`: a low-rank adapter as a branch of the model that it was trained on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::debugger::{Change, Edit, Error, Mark, Result, Target};
use crate::model::adapter::{self, Adapter, Delta};
use crate::model::role::WeightId;
use crate::tensor::ops::Slice;

/// What edits of an adapter are called, so that they are found again.
const COMMAND: &str = "lora on";

pub fn lora(console: &mut Console, call: Call<'_>) -> Done {
    let given = call.words()?;
    let given: Vec<&str> = given.iter().map(|word| word.text.as_str()).collect();
    match given[..] {
        [] => Ok(Answer::Text(report(console))),
        ["on"] => on(console),
        ["off"] => off(console),
        ["load", folder] => load(console, Path::new(folder)),
        _ => Err(call.expected("on, off or load DIR", "lora on, lora off, lora load DIR")),
    }
}

impl Console {
    /// Applies the adapter of a folder in a separate branch, before any command.
    pub fn with_adapter(mut self, folder: &Path) -> Result<Console> {
        let adapter = adapter::read(folder, &self.session.run.model)?;
        self.session.adapter = Some(Arc::new(adapter));
        on(&mut self)?;
        Ok(self)
    }
}

fn load(console: &mut Console, folder: &Path) -> Done {
    if is_on(console) {
        return Err(Error::refused("an adapter is on in this branch; \"lora off\" first"));
    }
    let adapter = adapter::read(folder, &console.session.run.model)?;
    let before = console.session.adapter.replace(Arc::new(adapter));
    on(console).inspect_err(|_| console.session.adapter = before)
}

fn on(console: &mut Console) -> Done {
    let adapter = loaded(console)?;
    if is_on(console) {
        let branch = &console.session.run.branch().name;
        return Err(Error::refused(format!("the adapter is on in branch {branch} already")));
    }
    let edit = |(id, delta): &(_, Delta)| Edit {
        from: Mark::START,
        target: Target::Weight(*id),
        change: match delta {
            Delta::LowRank { left, right, scale, lengths } => {
                let (left, right, lengths) = (left.clone(), right.clone(), lengths.clone());
                Change::LowRank { left, right, scale: *scale, lengths }
            }
            Delta::Replace(weight) => Change::Assign { slices: Vec::new(), op: None, patch: weight.clone() },
            Delta::Rows { first, rows } => {
                let slice = Slice::Range { start: *first, end: first + rows.shape()[0], step: 1 };
                Change::Assign { slices: vec![slice], op: None, patch: rows.clone() }
            }
        },
        lasting: true,
        text: COMMAND.to_string(),
    };
    let edits = adapter.deltas.iter().map(edit).collect();
    let done = console.session.run.open_branch("lora", edits)?;
    let branch = done.branch.unwrap_or_default();
    let weights: BTreeSet<WeightId> = adapter.deltas.iter().map(|(id, _)| *id).collect();
    let mut text = format!("The adapter is on: {} weights changed; branch {branch}", weights.len());
    if done.replayed > 0 {
        text.push_str(&format!("; {} ops computed again", done.replayed));
    }
    Ok(Answer::Text(format!("{text}.")))
}

fn off(console: &mut Console) -> Done {
    loaded(console)?;
    if !is_on(console) {
        return Err(Error::refused(format!("no adapter is on in branch {}", console.session.run.branch().name)));
    }
    let run = &mut console.session.run;
    let branch = run.branch();
    let others: Vec<&Edit> = branch.edits.iter().filter(|edit| edit.text != COMMAND).collect();
    let parent = branch.parent.map(|(parent, _)| parent).filter(|&parent| {
        let edits = &run.branches[parent].edits;
        edits.len() == others.len() && edits.iter().zip(&others).all(|(a, b)| a.same(b))
    });
    if let Some(parent) = parent {
        run.checkout(parent)?;
        return Ok(Answer::Text(format!("The adapter is off; branch {}.", run.branch().name)));
    }
    let dropped: Vec<bool> = branch.edits.iter().map(|edit| edit.text == COMMAND).collect();
    let done = run.keep_edits(&|edit| !dropped[edit])?;
    Ok(Answer::Text(format!("The adapter is off; branch {}.", done.branch.unwrap_or_default())))
}

fn loaded(console: &Console) -> Result<Arc<Adapter>> {
    let adapter = console.session.adapter.clone();
    adapter.ok_or_else(|| Error::refused("no adapter is loaded; \"lora load DIR\", or start with --lora DIR"))
}

fn is_on(console: &Console) -> bool {
    console.session.run.branch().edits.iter().any(|edit| edit.text == COMMAND)
}

fn report(console: &Console) -> String {
    let Ok(adapter) = loaded(console) else { return "No adapter is loaded.".into() };
    let mut lines = vec![format!("{}: {} numbers", adapter.path.display(), adapter.parameters)];
    lines.extend(adapter.base.as_ref().map(|base| format!("trained on {base}")));
    lines.extend(adapter.deltas.iter().map(|(id, delta)| match delta {
        Delta::LowRank { left, scale, lengths, .. } => {
            let lengths = if lengths.is_some() { ", then scaled to trained lengths" } else { "" };
            format!("{id}: rank {}, times {scale}{lengths}", left.shape()[1])
        }
        Delta::Replace(_) => format!("{id}: replaced"),
        Delta::Rows { first, rows } if rows.shape()[0] == 1 => format!("{id}: row {first} replaced"),
        Delta::Rows { first, rows } => format!("{id}: rows {first} to {} replaced", first + rows.shape()[0] - 1),
    }));
    let place = if is_on(console) { "on" } else { "off" };
    lines.push(format!("{place} in branch {}", console.session.run.branch().name));
    lines.join("\n")
}
