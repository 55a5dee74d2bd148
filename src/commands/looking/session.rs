//! Commands that report the session: `info`, `backtrace`, `list`, `focus`.

use std::collections::BTreeSet;

use crate::answer::text::quoted;
use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, gdb, named, places, snapshot};
use crate::debugger::Run;
use crate::lang::location::{Choice, parse_location};
use crate::lang::{LangError, Span};
use crate::model::spec::{Encoder, Head, Mixer, ModelSpec, UNBOUNDED};
use crate::model::text::bytes;
use crate::model::weights::Residency;
use crate::program::{Module, Op, comes_in_pieces, shape_of};
use crate::tensor::{Axis, Precision, largest_held};

/// `info WHAT`: one of the subjects that the groups of commands report.
pub fn info(console: &mut Console, call: Call<'_>) -> Done {
    let Some(subject) = call.args.subcommand() else {
        let names: Vec<&str> = call.all.subjects().map(|subject| subject.name).collect();
        return Err(call.expected("what to tell about", format!("one of: {}", names.join(", "))));
    };
    let command = named(call.all.subjects(), "info", subject.word, subject.span);
    let command = command.map_err(|error| match gdb::subject_instead_of(subject.word) {
        Some(instead) => error.help(instead),
        None => error,
    })?;
    (command.run)(console, Call { args: &subject, command, ..call })
}

pub fn model(console: &Console) -> Answer {
    let run = &console.session.run;
    let spec = &run.model.spec;
    let ModelSpec { family, n_layers, n_heads, d_model, vocab, max_positions, .. } = spec;
    let each = |of: &dyn Fn(usize) -> usize| -> String {
        let all: BTreeSet<usize> = (0..*n_layers).map(of).collect();
        all.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ")
    };
    let (width, mlp) = (each(&|layer| spec.head_dim_of(layer)), each(&|layer| spec.mlp_of(layer)));
    let kv_heads = each(&|layer| spec.kv_heads_of(layer));
    let end =
        |positions: usize| if positions == UNBOUNDED { "any number of".to_owned() } else { positions.to_string() };
    let there = |is: bool, words: String| if is { words } else { String::new() };
    let heads = there(spec.attention_layers() > 0, format!(", {n_heads} heads of width {width}"));
    let neurons = there(spec.layers.iter().any(|layer| layer.mlp), format!(", MLP {mlp}"));
    let mut lines = vec![
        format!("{}: {family} with {n_layers} layers{heads}", console.model_name),
        format!("width {d_model}{neurons}, vocabulary {vocab}, {} positions", end(*max_positions)),
    ];
    let both = spec.layers.iter().filter(|layer| matches!(layer.mixer, Mixer::Both(_))).count();
    lines.extend((both > 0).then(|| format!("a state space next to the attention of {both} layers")));
    let mut others: Vec<&str> =
        spec.layers.iter().filter(|layer| !layer.mixer.has_attention()).map(|layer| layer.mixer.name()).collect();
    others.sort_unstable();
    others.dedup();
    lines.extend((!others.is_empty()).then(|| {
        let attend = spec.attention_layers();
        format!("attention in {attend} of {n_layers} layers, {} in the others", others.join(" or "))
    }));
    lines.extend((kv_heads != n_heads.to_string()).then(|| format!("{kv_heads} key/value heads")));
    lines.extend((spec.v_head_dim != spec.head_dim).then(|| format!("values of width {}", spec.v_head_dim)));
    let shared = spec.layers.iter().filter(|layer| layer.keys_of.is_some()).count();
    lines.extend((shared > 0).then(|| format!("the last {shared} layers read keys and values of earlier ones")));
    if matches!(spec.head, Head::CausalLm(_)) && !spec.is_causal_lm() {
        lines.push("each position looks both ways, so no next token is predicted".to_owned());
    }
    lines.extend(spec.encoder.as_ref().map(|encoder| {
        let Encoder { spec, shares_embedding, .. } = &**encoder;
        let (layers, heads, width) = (spec.n_layers, spec.n_heads, spec.head_dim);
        let embedding = if *shares_embedding { "; both have one token embedding" } else { "" };
        format!(
            "this is the decoder; an encoder with {layers} layers, {heads} heads of width {width} and MLP {} reads the prompt, \
             and each block attends to it{embedding}",
            spec.d_mlp
        )
    }));
    lines.extend((!spec.labels().is_empty()).then(|| format!("classes: {}", spec.labels().join(", "))));
    let report = &run.model.report;
    lines.push(format!("{} parameters, {}", report.parameters, bytes(report.bytes)));
    lines.push(resident(&run.model.weights.residency()));
    lines.extend(report.files.iter().map(|(file, size)| format!("read {file}, {}", bytes(*size))));
    let dtypes = report.dtypes.iter().map(|(dtype, count)| format!("{count} tensors of {dtype}"));
    let held = match run.model.weights.precision() {
        Precision::F32 => "computed in f32",
        Precision::F16 => "held in f16, as all values are; each op is computed in f32 and rounded once",
    };
    lines.push(format!("stored as {}; {held}", dtypes.collect::<Vec<_>>().join(", ")));
    lines.extend(report.ignored.iter().map(|(name, why)| format!("not used: {name} ({why})")));
    lines.extend(report.replaced.iter().chain(&report.notes).cloned());
    lines.extend(run.model.weights.tied().then(|| "the head is the token embedding (tied)".to_string()));
    lines.extend(run.model.placement.description());
    Answer::Text(lines.join("\n"))
}

/// What of the weights is in memory.
fn resident(found: &Residency) -> String {
    let Residency { resident, budget, read, read_again, .. } = *found;
    let limit = if budget == u64::MAX { String::new() } else { format!(" of a budget of {}", bytes(budget)) };
    let again = if read_again == 0 { String::new() } else { format!(", {} of them again", bytes(read_again)) };
    format!("weights in memory: {}{limit}; read so far: {}{again}", bytes(resident), bytes(read))
}

/// The state of the session in a few lines, as a debugger shows registers.
pub fn registers(console: &Console) -> Answer {
    let session = &console.session;
    let (run, focus) = (&session.run, session.focus);
    let branch = run.branch();
    let op = run.program.ops.get(run.next_op());
    let module = op.map(|op| run.program.modules[op.module].path.clone()).filter(|path| !path.is_empty());
    let next = match op {
        _ if !run.live => "nothing has run".to_string(),
        Some(op) => format!("{} ({} of {})", op.site, run.next_op(), run.program.ops.len()),
        None => "end of pass".to_string(),
    };
    let pos = session.focus_pos();
    let total: u64 = run.branches.iter().map(|branch| branch.status().bytes).sum();
    let weights = run.model.weights.residency();
    let mut table = Table::new(["Name", "Value"]);
    table.push(("model", format!("{}, {} layers", console.model_name, run.model.spec.n_layers)));
    table.push(("device", run.model.placement.names()));
    table.push(("branch", format!("{} of {}", branch.name, run.branches.len())));
    table.push(("pass", format!("{} of {}", run.pass, branch.passes())));
    table.push(("next op", next));
    table.push(("module", module.unwrap_or_else(|| "the model itself".to_string())));
    table.push(("pos", format!("{pos} {}", quoted(&console.name_of(Axis::Pos, pos)))));
    table.push(("head", focus.head.to_string()));
    if branch.text().rows.len() > 1 {
        table.push(("row", format!("{} of {}", focus.row, branch.text().rows.len())));
    }
    table.push(("stop points", session.stops.len().to_string()));
    table.push(("edits", branch.edits.len().to_string()));
    table.push(("recorded", format!("{} of {}", bytes(total), bytes(run.budget()))));
    table.push(("weights", format!("{} of {} in memory", bytes(weights.resident), bytes(weights.held))));
    table.into()
}

pub fn modules(console: &Console) -> Answer {
    let program = &console.session.run.program;
    let name = |module: &Module| format!("{}{}", "  ".repeat(module.depth - 1), module.path);
    let rows = program.modules.iter().skip(1).map(|module| (name(module), module.start, module.end - 1));
    Table::new(["Module", "First op", "Last op"]).rows(rows).into()
}

pub fn record(console: &Console) -> Answer {
    let run = &console.session.run;
    let (branch, status) = (&run.branch().name, run.branch().status());
    let (computed, kept, recomputed) = (status.computed, status.kept, status.recomputed);
    let ops: usize = (0..run.branch().passes()).map(|pass| run.program.ops.len() - run.program.first_of(pass)).sum();
    let total: u64 = run.branches.iter().map(|branch| branch.status().bytes).sum();
    let mut lines = vec![
        format!("branch {branch}: {computed} of {ops} ops computed, {kept} kept, {}", bytes(status.bytes)),
        format!("all branches: {} of a budget of {}", bytes(total), bytes(run.budget())),
    ];
    let pieces: usize = (0..run.branch().passes()).map(|pass| in_pieces(run, pass)).sum();
    if kept + pieces < computed {
        let what = "block boundaries are kept as far as they fit, all else is computed again when asked for";
        lines.push(format!("over the budget: {what}"));
    }
    if pieces > 0 {
        let held = bytes(largest_held());
        lines.push(format!(
            "{pieces} values are larger than {held}: they are computed in pieces when they are looked at"
        ));
    }
    if recomputed > 0 {
        lines.push(format!("{recomputed} values have been computed again, with the same bits"));
    }
    lines.push(resident(&run.model.weights.residency()));
    Answer::Text(lines.join("\n"))
}

/// Ops of a pass computed so far whose values are in pieces.
fn in_pieces(run: &Run, pass: usize) -> usize {
    let (branch, rows) = (run.branch(), run.branch().text().rows.len());
    let first = run.program.first_of(pass);
    let ops = run.program.ops.iter().take(branch.frontier(pass)).skip(first);
    let shape = |op: &Op| shape_of(op, rows, branch.span(pass), branch.text().source_length());
    ops.filter(|op| comes_in_pieces(op, &shape(op), op.device(&run.model.placement))).count()
}

pub fn sites(console: &mut Console) -> Answer {
    let ops = 0..console.session.run.program.ops.len();
    Answer::Table(console.op_table(ops))
}

/// Ops around the cursor or a location.
pub fn list(console: &mut Console, call: Call<'_>) -> Done {
    let ops = console.session.run.program.ops.len();
    let middle = match call.args.rest {
        "" => match console.selected() {
            0 => console.session.run.cursor,
            frame => console.frames()[frame].ops.start + console.chosen.list_size / 2,
        },
        text => {
            let location = parse_location(text, call.args.offset)?;
            let found = places::places(&console.session, &location)?;
            places::position_of(&console.session, &found[0])?.1
        }
    };
    let listed = console.chosen.list_size;
    let start = middle.saturating_sub(listed / 2).min(ops.saturating_sub(listed));
    Ok(Answer::Table(console.op_table(start..(start + listed).min(ops))))
}

pub fn focus(console: &mut Console, call: Call<'_>) -> Done {
    if !call.args.rest.is_empty() {
        // The words after a location have the same form: borrow a location's parser.
        let text = format!("tokens {}", joined(call.args.rest));
        let shift = call.args.offset.saturating_sub("tokens ".len());
        let location = parse_location(&text, shift).map_err(|error| error.help("focus row=1 pos=3 head=2"))?;
        let rows = console.session.run.branch().text().rows.len();
        let session = &mut console.session;
        let within = |choice: &Choice, len: usize, what: &str, span: Span| match choice {
            Choice::Index(n) => {
                let wanted = if *n < 0 { n + len as i64 } else { *n };
                usize::try_from(wanted).ok().filter(|i| *i < len).ok_or_else(|| {
                    let there = if len == 1 { "0".to_string() } else { format!("0..{}", len.saturating_sub(1)) };
                    LangError::new(format!("no {what} {n}; choose from {there}"), span).into()
                })
            }
            Choice::Text(_) => Err(LangError::new(format!("a {what} is a number"), span).into()),
        };
        let mut next = session.focus;
        if let Some(row) = &location.row {
            next.row = within(&row.value, rows, "row", row.span)?;
            next.pos = None;
        }
        if let Some(head) = &location.head {
            next.head = within(&head.value, session.run.program.n_heads(), "head", head.span)?;
        }
        if let Some(pos) = &location.pos {
            let row_before = std::mem::replace(&mut session.focus.row, next.row);
            let found = match &pos.value {
                Choice::Text(token) => session.position_of(token).map_err(|error| error.at(pos.span)),
                choice => within(choice, session.row_length(), "position", pos.span),
            };
            session.focus.row = row_before;
            next.pos = Some(found?);
        }
        session.focus = next;
    }
    let session = &console.session;
    let pos = session.focus_pos();
    let token = console.name_of(Axis::Pos, pos);
    Ok(Answer::Text(format!("row {}, pos {pos} {token:?}, head {}", session.focus.row, session.focus.head)))
}

/// `row=1` for `row 1`, as people type it.
fn joined(text: &str) -> String {
    let mut text = text.to_string();
    for word in ["row", "pos", "head"] {
        let typed = format!("{word} ");
        let at = text.find(&typed).filter(|at| *at == 0 || text[..*at].ends_with(' '));
        if let Some(at) = at.map(|at| at + word.len())
            && !text[at..].trim_start().starts_with('=')
        {
            text.replace_range(at..at + 1, "=");
        }
    }
    text
}

impl Console {
    fn op_table(&mut self, ops: std::ops::Range<usize>) -> Table {
        let mut marks = self.listing.flags(&self.session);
        self.mark_nonfinite(&mut marks, ops.clone());
        let run = &self.session.run;
        let rows = ops.map(|i| {
            let pointer = if i == run.cursor { "->" } else { "" };
            let flags = snapshot::letters(marks.get(i).copied().unwrap_or_default());
            (pointer, i, &run.program.ops[i].site, &self.listing.ops[i].shape, flags)
        });
        Table::new(["", "Op", "Site", "Shape", "Flags"]).rows(rows)
    }
}

/// The chat templates of the model.
pub fn template(console: &Console) -> Answer {
    let chat = &console.session.run.model.chat;
    if chat.is_empty() {
        return Answer::Text("The model has no chat template; --chat-template FILE takes one.".into());
    }
    let templates = chat.all.iter().map(|template| {
        let text = &template.text;
        format!("{} (from {}, {} bytes):\n{}", template.name, template.source, text.len(), text.trim_end())
    });
    let tokens = chat.tokens.iter().map(|(name, text)| format!("{name} is {text:?}"));
    let lines: Vec<String> = templates.chain(tokens).collect();
    Answer::Text(format!("{}\n--chat takes a prompt as what a user says", lines.join("\n")))
}
