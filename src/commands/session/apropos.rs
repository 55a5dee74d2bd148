//! `apropos`: everything that has something to do with a word, names first.

use regex::{Regex, RegexBuilder};

use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, Directory, SETTINGS};
use crate::commands::stopping::breakpoints::no_pattern;
use crate::lang::eval::FUNCTIONS;
use crate::lang::{LangError, Span};

/// What people look for by other words than the program's.
const TOPICS: &[(&str, &str)] = &[
    (
        "chat",
        "conversations: --chat puts the prompt through the chat template, the command chat goes on with the next turn",
    ),
    ("sampling", "how tokens are chosen: set generation temperature, top-k, top-p, min-p, seed"),
    ("hooks", "stop points with commands, and edits: break, commands, set, ablate, steer, patch"),
    ("logit lens", "what each block would predict: lens"),
    ("activation patching", "values of one run in another: patch, patch sweep"),
    ("attention", "patterns of heads: heads, print/h L2.attn.pattern[head=0]"),
    ("integrated gradients", "attr ig"),
    ("kv cache", "keys and values of earlier tokens: kv(L, k), set kv(L, v)[...] = 0, check cache"),
    ("quantization", "GGUF types and --dtype f16: info weights -block N, diff weights"),
    ("undo", "edits are taken back by undo, drop edits, checkout; motions by reverse-step, back"),
    ("keys", "? in the full screen shows the keys; docs/keys.md lists them"),
    ("export", "save value, save activations, save table, save picture, save report, export model"),
];

/// What is listed unless all is asked for.
const LISTED: usize = 20;

/// A thing that can be looked for: what it is called, what is said of it, and what else is known.
struct Entry {
    kind: &'static str,
    name: String,
    about: String,
    more: String,
}

/// `apropos REGEX`.
pub fn apropos(console: &mut Console, call: Call<'_>) -> Done {
    let (given, text, offset) = call.options_before()?;
    let span = Span::new(offset, offset + text.len());
    if text.is_empty() {
        return Err(LangError::new("expected what to look for", span).help("apropos breakpoint").into());
    }
    let pattern = RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build();
    let pattern = pattern.map_err(|error| no_pattern(&error, span))?;
    let mut found: Vec<(usize, Entry)> =
        entries(console, call.all).into_iter().filter_map(|entry| Some((rank(&pattern, &entry)?, entry))).collect();
    if found.is_empty() {
        return Ok(Answer::Text(format!("Nothing has to do with {text}; \"help\" lists the groups of commands.")));
    }
    found.sort_by_key(|(rank, _)| *rank);
    let rows = found.into_iter().map(|(_, entry)| (entry.name, entry.kind, entry.about));
    let table = Table::new(["name", "is a", "what it is about"]).rows(rows);
    let order = (0..table.rows.len()).collect();
    Ok(given.rows(table.listing(order, LISTED))?.into())
}

/// The whole name, its beginning, a part of it, the description, the rest; none if the pattern is nowhere.
fn rank(pattern: &Regex, entry: &Entry) -> Option<usize> {
    let in_name = pattern.find(&entry.name).map(|found| match (found.start(), found.len() == entry.name.len()) {
        (0, true) => 0,
        (0, false) => 1,
        _ => 2,
    });
    in_name
        .or_else(|| pattern.is_match(&entry.about).then_some(3))
        .or_else(|| pattern.is_match(&entry.more).then_some(4))
}

fn entries(console: &Console, all: &Directory) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut add = |kind, name: String, about: &str, more: String| {
        found.push(Entry { kind, name, about: about.to_string(), more });
    };
    for command in all.commands() {
        let more = [command.short.join(" "), command.usage.to_string(), command.help.to_string()].join(" ");
        add("command", command.name.to_string(), command.about, more);
        for (option, about) in command.options {
            add("option", format!("{} {option}", command.name), about, String::new());
        }
        for kind in command.kinds(all) {
            add("command", format!("{} {}", command.name, kind.name), kind.about, kind.help.to_string());
        }
    }
    for setting in SETTINGS {
        add("setting", format!("set {}", setting.name), setting.about, setting.takes.to_string());
    }
    for function in FUNCTIONS {
        add("function", function.usage(), function.about, String::new());
    }
    for (topic, about) in TOPICS {
        add("topic", topic.to_string(), about, String::new());
    }
    let mut sites: Vec<String> = Vec::new();
    for op in &console.session.run.program.ops {
        let site = match op.part {
            Some(part) => format!("blocks.*.{part}"),
            None => op.site.clone(),
        };
        if !sites.contains(&site) {
            sites.push(site);
        }
    }
    sites.into_iter().for_each(|site| add("site", site, "a value of the pass", String::new()));
    found
}
