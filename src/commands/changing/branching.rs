//! Branches and their edits as a whole: `branch`, `checkout`, `drop`, `info branches`, `info edits`.

use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::debugger::{Branch, Edit, Error, Mark, Result, Run, Target};
use crate::lang::LangError;
use crate::lang::words::parse_numbers;

pub fn branch(console: &mut Console, call: Call<'_>) -> Done {
    let (given, names) = call.options()?;
    let run = &mut console.session.run;
    match (given.is_empty(), names.as_slice()) {
        (true, []) => Ok(tree(console)),
        (true, [name]) => {
            run.copy_branch(&name.text)?;
            let (name, old) = (&name.text, &run.branch().name);
            Ok(Answer::Text(format!("Branch {name} is a copy of {old}; \"checkout {name}\" goes to it")))
        }
        (false, [rest @ .., name]) if rest.len() <= 1 => {
            let branch = rest.first().map_or(Ok(run.current), |old| known(run, &old.text))?;
            let old = run.branches[branch].name.clone();
            run.rename_branch(branch, &name.text)?;
            Ok(Answer::Text(format!("Branch {old} is now {}", name.text)))
        }
        _ => Err(call.expected("one name", "branch NAME, branch -m NEW, branch -m OLD NEW")),
    }
}

pub fn checkout(console: &mut Console, call: Call<'_>) -> Done {
    let name = call.args.rest;
    let run = &mut console.session.run;
    run.checkout(known(run, name)?)?;
    let pass = if run.pass > 0 { format!(" of pass {}", run.pass) } else { String::new() };
    Ok(Answer::Text(format!("On branch {name} at op {}{pass}", run.cursor)))
}

fn known(run: &Run, name: &str) -> Result<usize> {
    run.branch_named(name).ok_or_else(|| {
        let names: Vec<&str> = run.branches.iter().map(|branch| branch.name.as_str()).collect();
        Error::refused(format!("no branch {name:?}; choose from {}", names.join(", ")))
    })
}

pub fn drop(console: &mut Console, call: Call<'_>) -> Done {
    let what = call.args.subcommand().filter(|what| what.word.len() > 1 && "edits".starts_with(what.word));
    let what = what.ok_or_else(|| call.expected("what to drop", "drop edits, drop edits 2 3"))?;
    let edits = console.session.run.branch().edits.len();
    if edits == 0 {
        let name = &console.session.run.branch().name;
        return Err(Error::refused(format!("branch {name} has no edits")));
    }
    let numbers = parse_numbers(what.rest, what.offset, &|_| None)?;
    if let Some(wrong) = numbers.iter().find(|number| number.value == 0 || number.value as usize > edits) {
        let error = LangError::new(format!("no edit {}: there are 1..{edits}", wrong.value), wrong.span);
        return Err(error.help("info edits lists them").into());
    }
    let dropped = |edit: usize| numbers.is_empty() || numbers.iter().any(|number| number.value as usize == edit + 1);
    whole_prompts(console, &dropped)?;
    let done = console.session.run.keep_edits(&|edit| !dropped(edit))?;
    let count = (0..edits).filter(|&edit| dropped(edit)).count();
    let (noun, branch) = (if count == 1 { "edit" } else { "edits" }, done.branch.unwrap_or_default());
    Ok(Answer::Text(format!("Dropped {count} {noun}; branch {branch}; {} ops computed again.", done.replayed)))
}

/// An edit of the prompt holds all of it, with what edits before it changed: those cannot be dropped alone.
fn whole_prompts(console: &Console, dropped: &dyn Fn(usize) -> bool) -> Result<()> {
    let edits = &console.session.run.branch().edits;
    let of_prompt = |edit: &usize| edits[*edit].target == Target::Input;
    let prompts: Vec<usize> = (0..edits.len()).filter(of_prompt).collect();
    let Some(first) = prompts.iter().position(|edit| dropped(*edit)) else { return Ok(()) };
    match prompts[first..].iter().find(|edit| !dropped(**edit)) {
        None => Ok(()),
        Some(later) => {
            let what = format!("edit {} is the whole prompt, with edit {} in it", later + 1, prompts[first] + 1);
            Err(format!("{what}; drop both, and make what should stay again").into())
        }
    }
}

pub fn undo(console: &mut Console, call: Call<'_>) -> Done {
    call.no_arguments()?;
    let text = console.session.run.undo()?;
    Ok(Answer::Text(format!("Took back: {text}")))
}

pub fn redo(console: &mut Console, call: Call<'_>) -> Done {
    call.no_arguments()?;
    let text = console.session.run.redo()?;
    Ok(Answer::Text(format!("Made again: {text}")))
}

pub(crate) fn edits(console: &Console) -> Answer {
    let run = &console.session.run;
    let edits = &run.branch().edits;
    if edits.is_empty() {
        return Answer::Text(format!("No edits in branch {}.", run.branch().name));
    }
    let rows = edits.iter().enumerate().map(|(i, edit)| {
        let changes = run.affected_by(edit);
        let share = format!("{changes} of {}", run.program.ops.len());
        (i + 1, changed(console, edit), share, &edit.text)
    });
    let again = run.branch().status().recomputed;
    let title = format!("branch {}: {again} ops computed again since they were recorded", run.branch().name);
    Table::new(["Num", "What", "Ops changed", "Command"]).title(title).rows(rows).into()
}

pub(crate) fn changed(console: &Console, edit: &Edit) -> String {
    let program = &console.session.run.program;
    match &edit.target {
        Target::Op(op) | Target::Cache(op) => {
            let cache = if matches!(edit.target, Target::Cache(_)) { "cache of " } else { "" };
            let pass = match (edit.from.pass, edit.lasting || !cache.is_empty()) {
                (0, _) => String::new(),
                (pass, false) => format!("#{pass}"),
                (pass, true) => format!("#{pass} and later"),
            };
            format!("{cache}{}{pass}", program.ops[*op].site)
        }
        Target::Weight(id) => format!("param(\"{id}\")"),
        Target::Input => "tokens".into(),
        Target::Token => format!("tokens#{}", edit.from.pass),
    }
}

/// The answer of `info branches`: a tree, each branch below the one it grew from.
pub(crate) fn tree(console: &Console) -> Answer {
    let run = &console.session.run;
    let mut table = Table::new(["", "Name", "From", "Ops", "Edits"]);
    for root in (0..run.branches.len()).filter(|&i| run.branches[i].parent.is_none()) {
        add(console, root, "", "", &mut table);
    }
    table.into()
}

fn add(console: &Console, at: usize, stem: &str, below: &str, table: &mut Table) {
    let run = &console.session.run;
    let branch = &run.branches[at];
    let from = branch.parent.map(|(parent, at)| grown(console, &run.branches[parent], at)).unwrap_or_default();
    // One command may have made several edits in a row.
    let mut edits: Vec<&str> = branch.edits.iter().map(|edit| edit.text.as_str()).collect();
    edits.dedup();
    let (mark, name) = (if at == run.current { "*" } else { "" }, format!("{stem}{}", branch.name));
    table.push((mark, name, from, branch.status().computed, edits.join("; ")));
    let grew: Vec<usize> =
        (0..run.branches.len()).filter(|&i| run.branches[i].parent.is_some_and(|(parent, _)| parent == at)).collect();
    for (number, child) in grew.iter().enumerate() {
        let (joint, line) = if number + 1 == grew.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        add(console, *child, &format!("{below}{joint}"), &format!("{below}{line}"), table);
    }
}

fn grown(console: &Console, parent: &Branch, at: Mark) -> String {
    let program = &console.session.run.program;
    let pass = if at.pass > 0 { format!("#{}", at.pass) } else { String::new() };
    match program.ops.get(at.op) {
        Some(op) => format!("{} at {}{pass}", parent.name, op.site),
        None => format!("{} at the end{pass}", parent.name),
    }
}
