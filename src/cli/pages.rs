//! Completions for shells, and the manual page. Both are generated from the options and the table of commands.

use std::io::{self, Write};

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory, ValueHint};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Options;
use crate::commands::{ALL, commands};
use crate::model::bundled::BUNDLED;

pub use clap_complete::Shell;

/// What the program does apart from debugging: the first argument, and a description.
pub const TOOLS: [(&str, &str); 10] = [
    ("tour", "Take a tour of the program in ten steps, on the bundled model"),
    ("models", "List the models that can be opened by name"),
    ("completions", "Print completions for a shell: bash, elvish, fish, powershell or zsh"),
    ("man", "Print the manual page, as troff"),
    ("trust", "Let the .llmdbg file of this folder, or another file, run at the start of llmdbg until it changes"),
    (
        "serve",
        "Serve a session to llmdbg --connect: --stdio for ssh, or --socket PATH to attach again; then as without",
    ),
    (
        "mcp",
        "Serve agents by the Model Context Protocol; --allow-changes and --allow-outside let them do more than look",
    ),
    ("dap", "Serve an editor by the Debug Adapter Protocol"),
    ("core", "Show a core file, without its model: its session, its commands, its sites [TEXT], or the value of SITE"),
    ("attach", "Join input and output to the socket of a server, for ssh"),
];

/// The exit statuses, as in `docs/scripts.md`.
const STATUSES: [(&str, &str); 6] = [
    ("0", "all commands succeeded"),
    ("1", "a command failed, or a script could not be read"),
    ("2", "the command line is wrong"),
    ("3", "an assert did not hold"),
    ("4", "the model could not be opened, or the model or the device failed"),
    ("N", "the status given to \"quit N\""),
];

/// Writes completions for `shell`. After `-ex` they offer the commands of the debugger.
pub fn completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let names = PossibleValuesParser::new(commands().map(|command| command.name));
    let hinted =
        |name: &'static str, hint| move |arg: clap::Arg| if arg.get_id() == name { arg.value_hint(hint) } else { arg };
    let mut command = Options::command()
        .mut_arg("ex", |arg| arg.value_parser(names))
        .mut_arg("model", hinted("model", ValueHint::AnyPath))
        .mut_arg("x", hinted("x", ValueHint::FilePath))
        .mut_arg("prompt_file", hinted("prompt_file", ValueHint::FilePath))
        .mut_arg("log", hinted("log", ValueHint::FilePath))
        .mut_arg("lora", hinted("lora", ValueHint::DirPath));
    for (name, about) in TOOLS {
        let tool = Command::new(name).about(about);
        let shells = clap::Arg::new("shell").required(true).value_parser(clap::value_parser!(Shell));
        command = command.subcommand(if name == "completions" { tool.arg(shells) } else { tool });
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "llmdbg", &mut script);
    out.write_all(&script)
}

pub fn manual(out: &mut dyn Write) -> io::Result<()> {
    let man = Man::new(Options::command());
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    let mut page = Roff::new();
    page.control("SH", ["TOOLS"]);
    for (name, about) in TOOLS {
        entry(&mut page, &format!("llmdbg {name}"), about);
    }
    page.control("SH", ["MODELS"]);
    page.text([roman("A directory or file of a checkpoint, or one of these, which are part of the program:")]);
    for model in BUNDLED {
        entry(&mut page, model.name, model.description);
    }
    page.control("SH", ["COMMANDS"]);
    page.text([roman("In the program, \"help COMMAND\" describes a command, with examples.")]);
    for group in ALL.groups {
        page.control("SS", [group.title]);
        for command in group.commands {
            let short =
                if command.short.is_empty() { String::new() } else { format!(" ({})", command.short.join(", ")) };
            let usage = command.usage.lines().next().unwrap_or(command.name);
            entry(&mut page, &format!("{usage}{short}"), command.about);
        }
    }
    page.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in STATUSES {
        entry(&mut page, status, meaning);
    }
    page.control("SH", ["FILES"]);
    entry(&mut page, "$XDG_CONFIG_HOME/llmdbg/init.ldb", "commands that run first, unless -nx is given");
    entry(
        &mut page,
        ".llmdbg",
        "commands of a project, run after those if the file was trusted with \"llmdbg trust\" and has not changed",
    );
    entry(&mut page, "$XDG_CONFIG_HOME/llmdbg/keys.toml, theme.toml", "keys and colours of the full screen");
    entry(&mut page, "$XDG_STATE_HOME/llmdbg/history", "lines given at prompts");
    page.to_writer(out)
}

/// A term and what it means, under it.
fn entry(page: &mut Roff, term: &str, meaning: &str) {
    page.control("TP", []);
    page.text([bold(term)]);
    page.text([roman(meaning)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_manual_page_has_every_option_command_and_model() {
        // Troff writes a hyphen as `\-`.
        let page = text(manual).replace("\\-", "-").replace("\\\\", "\\").replace("\\*(Aq", "'");
        for option in Options::command().get_arguments().filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("--{option}")), "{option}");
        }
        for command in commands() {
            assert!(page.contains(command.about), "{}", command.name);
        }
        let names = BUNDLED.iter().map(|model| model.name).chain(TOOLS.map(|(name, _)| name));
        names.for_each(|name| assert!(page.contains(name), "{name}"));
        assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{}", &page[..80]);
    }

    #[test]
    fn completions_offer_options_commands_and_tools() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let script = text(|out| completions(shell, out));
            for word in ["record-budget", "keep-going", "completions", "models"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
        let script = text(|out| completions(Shell::Bash, out));
        commands().for_each(|command| assert!(script.contains(command.name), "{}", command.name));
    }
}
