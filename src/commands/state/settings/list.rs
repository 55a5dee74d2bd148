//! The table of settings.

use super::Setting;
use crate::debugger::RunScope;
use crate::lang::eval::evaluate;
use crate::lang::{parse_expr, size};
use crate::tensor::{hold_up_to, largest_held};

/// Every setting, in the order of `show`.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "compare",
        takes: "off, on, or the name of a branch, a model or a dump",
        default: "off",
        about: "the side that follows every motion, and is shown at every stop; on is the only one there is",
        get: |console| console.session.compare.clone().unwrap_or_else(|| "off".into()),
        set: |console, text| {
            console.session.compare = match text {
                "off" => None,
                "on" => Some(console.session.only_other()?),
                name => Some(console.session.side_named(name).map(|_| name.to_string())?),
            };
            Some(())
        },
    },
    Setting {
        name: "console-rows",
        takes: "a whole number of at least 0",
        default: "0",
        about: "rows of the console in the full screen; 0 leaves it to the layout",
        get: |console| console.screen.console_rows.to_string(),
        set: |console, text| put(&mut console.screen.console_rows, text.parse().ok().filter(|rows| *rows < 1000)),
    },
    Setting {
        name: "generation temperature",
        takes: "a number of at least 0",
        default: "0",
        about: "divides the logits; 0 takes the most likely token",
        get: |console| console.session.run.sampling.temperature.to_string(),
        set: |console, text| put(&mut console.session.run.sampling.temperature, number(text, 0.0, 1e6)),
    },
    Setting {
        name: "generation top-k",
        takes: "a whole number of at least 0",
        default: "0",
        about: "only so many of the likeliest tokens; 0 for all",
        get: |console| console.session.run.sampling.top_k.to_string(),
        set: |console, text| put(&mut console.session.run.sampling.top_k, text.parse().ok()),
    },
    Setting {
        name: "generation top-p",
        takes: "a number above 0, up to 1",
        default: "1",
        about: "only the likeliest tokens with this probability together; 1 for all",
        get: |console| console.session.run.sampling.top_p.to_string(),
        set: |console, text| put(&mut console.session.run.sampling.top_p, number(text, 0.0, 1.0).filter(|x| *x > 0.0)),
    },
    Setting {
        name: "generation min-p",
        takes: "a number from 0 to 1",
        default: "0",
        about: "only tokens with this share of the likeliest one's probability; 0 for all",
        get: |console| console.session.run.sampling.min_p.to_string(),
        set: |console, text| put(&mut console.session.run.sampling.min_p, number(text, 0.0, 1.0)),
    },
    Setting {
        name: "generation repetition-penalty",
        takes: "a number above 0",
        default: "1",
        about: "lowers the logits of tokens that are in the text; 1 for none",
        get: |console| console.session.run.sampling.repetition_penalty.to_string(),
        set: |console, text| {
            put(&mut console.session.run.sampling.repetition_penalty, number(text, 0.0, 1e6).filter(|x| *x > 0.0))
        },
    },
    Setting {
        name: "generation seed",
        takes: "a whole number of at least 0",
        default: "0",
        about: "where the random numbers begin",
        get: |console| console.session.run.sampling.seed.to_string(),
        set: |console, text| put(&mut console.session.run.sampling.seed, text.parse().ok()),
    },
    Setting {
        name: "generation stop",
        takes: "on or off",
        default: "on",
        about: "whether a token that ends a text ends the generation",
        get: |console| if console.session.run.sampling.stop { "on" } else { "off" }.to_string(),
        set: |console, text| put(&mut console.session.run.sampling.stop, switch(text)),
    },
    Setting {
        name: "key-wait",
        takes: "a whole number of milliseconds, at most 2000",
        default: "250",
        about: "how long a letter waits in key mode, in case it begins a command that is being typed; 0 acts at once",
        get: |console| console.screen.key_wait.to_string(),
        set: |console, text| put(&mut console.screen.key_wait, text.parse().ok().filter(|ms| *ms <= 2000)),
    },
    Setting {
        name: "largest-held",
        takes: "a size such as 512MiB",
        default: "268435456",
        about: "bytes of the largest value that is held; scores, patterns and logits beyond it are computed in pieces \
                when they are looked at, with the same bits",
        get: |_| largest_held().to_string(),
        set: |_, text| size::parse(text).ok().map(hold_up_to),
    },
    Setting {
        name: "layout",
        takes: "a layout, see \"layout\"",
        default: "program",
        about: "panes of the full screen",
        get: |console| console.screen.layout.clone(),
        set: |console, text| {
            let screen = &mut console.screen;
            put(&mut screen.layout, screen.layouts.iter().find(|name| *name == text).cloned())
        },
    },
    Setting {
        name: "list-size",
        takes: "a whole number of at least 1",
        default: "10",
        about: "ops that list shows",
        get: |console| console.chosen.list_size.to_string(),
        set: |console, text| put(&mut console.chosen.list_size, text.parse().ok().filter(|n| *n > 0)),
    },
    Setting {
        name: "logging enabled",
        takes: "on or off",
        default: "off",
        about: "whether answers are written to a file too",
        get: |console| if console.chosen.log { "on" } else { "off" }.to_string(),
        set: |console, text| put(&mut console.chosen.log, switch(text)),
    },
    Setting {
        name: "logging file",
        takes: "a file name",
        default: "llmdbg.txt",
        about: "where they are written",
        get: |console| console.chosen.log_file.clone(),
        set: |console, text| put(&mut console.chosen.log_file, (!text.is_empty()).then(|| text.to_string())),
    },
    Setting {
        name: "logging overwrite",
        takes: "on or off",
        default: "off",
        about: "whether a log replaces what is in the file; else it is added",
        get: |console| if console.chosen.overwrite { "on" } else { "off" }.to_string(),
        set: |console, text| put(&mut console.chosen.overwrite, switch(text)),
    },
    Setting {
        name: "mouse",
        takes: "on or off",
        default: "off",
        about: "whether the full screen uses the mouse; the terminal then selects text only with Shift",
        get: |console| if console.screen.mouse { "on" } else { "off" }.to_string(),
        set: |console, text| put(&mut console.screen.mouse, switch(text)),
    },
    Setting {
        name: "pixels",
        takes: "auto, on, off, kitty, iterm2, or sixel",
        default: "auto",
        about: "whether the full screen draws heat maps in pixels: auto asks the terminal unless it is at the other end of an \
                SSH connection, on asks it always, a name takes that protocol",
        get: |console| console.screen.pixels.clone(),
        set: |console, text| {
            let known = ["auto", "on", "off", "kitty", "iterm2", "sixel"].contains(&text);
            put(&mut console.screen.pixels, known.then(|| text.to_string()))
        },
    },
    Setting {
        name: "record-budget",
        takes: "a size such as 512MiB",
        default: "2147483648",
        about: "bytes that recordings may take; what no longer fits is computed again when asked for",
        get: |console| console.session.run.budget().to_string(),
        set: |console, text| size::parse(text).ok().map(|bytes| console.session.run.set_budget(bytes)),
    },
    Setting {
        name: "shell",
        takes: "on or off",
        default: "off",
        about: "whether any script may run programs; what is typed, and the user's own init file, always may",
        get: |console| if console.chosen.shell { "on" } else { "off" }.to_string(),
        set: |console, text| put(&mut console.chosen.shell, switch(text)),
    },
    Setting {
        name: "start-in",
        takes: "prompt or keys",
        default: "prompt",
        about: "what has the keyboard when the full screen opens; Esc changes between the two",
        get: |console| if console.screen.keys_first { "keys" } else { "prompt" }.to_string(),
        set: |console, text| {
            let keys = match text {
                "keys" => Some(true),
                "prompt" => Some(false),
                _ => None,
            };
            put(&mut console.screen.keys_first, keys)
        },
    },
    Setting {
        name: "theme",
        takes: "auto, dark, light, high-contrast, or mono",
        default: "auto",
        about: "colours of the full screen; auto asks the terminal whether its background is light",
        get: |console| console.screen.theme.clone(),
        set: |console, text| {
            let screen = &mut console.screen;
            put(&mut screen.theme, screen.themes.iter().find(|name| *name == text).cloned())
        },
    },
    Setting {
        name: "tokens-by",
        takes: "off, attribution, or an expression in quotes with a number for each position",
        default: "attribution",
        about: "what colours the tokens in the full screen",
        get: |console| match console.screen.tokens_by.as_str() {
            plain @ ("off" | "attribution") => plain.to_string(),
            text => format!("{text:?}"),
        },
        set: |console, text| {
            if !matches!(text, "off" | "attribution") {
                let expr = parse_expr(text, 0).ok()?;
                let mut scope = RunScope::new(&mut console.session);
                // What the pass has not come to yet may be right.
                let found = evaluate(&expr, &mut scope);
                Some(()).filter(|()| found.is_ok() || scope.missed())?;
            }
            console.screen.tokens_by = text.to_string();
            Some(())
        },
    },
    Setting {
        name: "top-rows",
        takes: "a whole number of at least 1",
        default: "10",
        about: "rows of print/t without a count",
        get: |console| console.chosen.top.to_string(),
        set: |console, text| put(&mut console.chosen.top, text.parse().ok().filter(|n| *n > 0)),
    },
];

/// Puts a value that was read in its place.
fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

fn number(text: &str, low: f64, high: f64) -> Option<f64> {
    text.parse::<f64>().ok().filter(|x| (low..=high).contains(x))
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}
