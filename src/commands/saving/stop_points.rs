//! `save breakpoints`, `save edits`, `load edits`: a session's stop points and edits in files.

use std::path::Path;

use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::debugger::{Disposition, EditFile, Error, HitCondition, Kind, StopPoint};
use crate::export;
use crate::lang::LangError;

/// Writes a script that sets every stop point as it is, but for its hits.
pub fn breakpoints(console: &Console, file: &str) -> Done {
    let stops = &console.session.stops;
    let lines: Vec<String> = stops.iter().flat_map(lines_of).collect();
    export::file(file, format!("{}\n", lines.join("\n")))?;
    let noun = if stops.len() == 1 { "stop point" } else { "stop points" };
    Ok(Answer::Text(format!("Wrote {} {noun} to {file}", stops.len())))
}

/// Writes the edits of this branch as data.
pub fn edits(console: &Console, file: &str) -> Done {
    let run = &console.session.run;
    let edits = run.branch().edits.len();
    if edits == 0 {
        return Err(Error::refused(format!("branch {} has no edits", run.branch().name)));
    }
    export::file(file, EditFile::from_run(run)?.text())?;
    let noun = if edits == 1 { "edit" } else { "edits" };
    Ok(Answer::Text(format!("Wrote {edits} {noun} of branch {} to {file}", run.branch().name)))
}

/// `load edits FILE`: makes the edits of a file.
pub fn load(console: &mut Console, call: Call<'_>) -> Done {
    let given = call.words()?;
    let [what, file] = given.as_slice() else {
        return Err(call.expected("what to load and a file", "load edits FILE"));
    };
    if what.text.is_empty() || !"edits".starts_with(&what.text) {
        return Err(LangError::new(format!("cannot load {}", what.text), what.span).help("load edits FILE").into());
    }
    let named = |error: &dyn std::fmt::Display| Error::refused(format!("{}: {error}", file.text));
    let text = crate::model::file::read_text(Path::new(&file.text)).map_err(|error| named(&error))?;
    let edits = EditFile::parse(&text).and_then(|edits| edits.edits(&console.session.run));
    let edits = edits.map_err(|error| named(&error))?;
    if edits.is_empty() {
        return Err(named(&"there are no edits in it"));
    }
    console.apply(edits)
}

fn lines_of(point: &StopPoint) -> Vec<String> {
    let temporary = point.disposition == Disposition::Delete && point.left.is_none();
    let command = match &point.kind {
        Kind::Break if temporary => "tbreak",
        Kind::Break => "break",
        Kind::Watch(_) => "watch",
        Kind::Access { written: false, .. } => "rwatch",
        Kind::Access { written: true, .. } => "awatch",
        Kind::Catch(_) => "catch",
        Kind::Trace(_) => "trace",
        Kind::Print(_) => "dprintf",
    };
    let name = point.name.as_ref().map(|name| format!("-name {name} ")).unwrap_or_default();
    // The filter of a trace is part of what it is called.
    let condition = match (&point.condition, &point.kind) {
        (Some(condition), Kind::Break | Kind::Watch(_) | Kind::Access { .. } | Kind::Catch(_)) => {
            format!(" if {}", condition.expr)
        }
        _ => String::new(),
    };
    let mut lines = vec![format!("{command} {name}{}{condition}", point.location)];
    if let (Some(condition), Kind::Print(_)) = (&point.condition, &point.kind) {
        lines.push(format!("condition $bpnum {}", condition.expr));
    }
    let hits = point.hit_condition;
    lines.extend(hits.map(|HitCondition { op, count }| format!("condition -hits $bpnum {op} {count}")));
    lines.extend((point.ignore > 0).then(|| format!("ignore $bpnum {}", point.ignore)));
    match (point.disposition, point.left) {
        (Disposition::Disable, Some(left)) => lines.push(format!("enable count {left} $bpnum")),
        (Disposition::Disable, None) => lines.push("enable once $bpnum".into()),
        (Disposition::Delete, _) if command != "tbreak" => lines.push("enable delete $bpnum".into()),
        _ => {}
    }
    lines.extend((!point.enabled).then(|| "disable $bpnum".into()));
    if !point.commands.is_empty() {
        lines.push("commands $bpnum".into());
        lines.extend(point.commands.iter().map(|line| format!("  {line}")));
        lines.push("end".into());
    }
    lines
}
