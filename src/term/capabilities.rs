//! What this terminal can do, found from the environment alone: nothing is sent or waited for, so a slow link costs no
//! time and a bare pseudo-terminal cannot hang the start. What only the terminal knows is asked in [`super::graphics`].

use std::io::IsTerminal;

/// How many colours may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColorDepth {
    /// None: bold, reverse and underline only.
    #[default]
    Mono,
    Sixteen,
    /// The 256 colours of xterm.
    Indexed,
    True,
}

impl ColorDepth {
    /// The names that options and settings use, fewest colours first.
    pub const NAMES: [(&'static str, ColorDepth); 4] = [
        ("mono", ColorDepth::Mono),
        ("16", ColorDepth::Sixteen),
        ("256", ColorDepth::Indexed),
        ("truecolor", ColorDepth::True),
    ];

    /// The depth called `name`; `None` for `auto` and unknown names.
    pub fn named(name: &str) -> Option<ColorDepth> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, depth)| *depth)
    }

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub colors: ColorDepth,
    /// Whether it shows characters beyond ASCII.
    pub utf8: bool,
    pub tmux: bool,
    /// Whether another program draws the terminal's screen that is not tmux: GNU screen.
    pub screen: bool,
    /// Whether the terminal is at the other end of an SSH connection.
    pub remote: bool,
    /// Whether the cursor can be moved at all; without it only plain mode works.
    pub addressable: bool,
}

impl Capabilities {
    /// The capabilities of the terminal that the process runs in.
    pub fn detect() -> Self {
        let mut found = Self::from_environment(|name| std::env::var(name).ok());
        found.addressable &= std::io::stdout().is_terminal();
        found
    }

    /// The capabilities according to the variables that `lookup` gives. An empty variable counts as unset.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let term = get("TERM").unwrap_or_default();
        let addressable = !term.is_empty() && term != "dumb";
        let colors = if get("NO_COLOR").is_some() || !addressable || term.ends_with("-m") || term.starts_with("vt") {
            ColorDepth::Mono
        } else if get("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit")
            && !term.starts_with("screen")
        {
            ColorDepth::True
        } else if term.contains("256") || term.contains("direct") {
            ColorDepth::Indexed
        } else {
            ColorDepth::Sixteen
        };
        let locale = get("LC_ALL").or_else(|| get("LC_CTYPE")).or_else(|| get("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase().replace('-', "");
        Self {
            colors,
            utf8: locale.contains("utf8"),
            tmux: get("TMUX").is_some(),
            screen: get("STY").is_some(),
            remote: get("SSH_CONNECTION").is_some(),
            addressable,
        }
    }
}

/// Columns and rows of the terminal.
pub fn size() -> std::io::Result<(u16, u16)> {
    crossterm::terminal::size()
}

/// Width and height of a cell in pixels, if the system knows it.
pub fn cell_size() -> Option<(u16, u16)> {
    let window = crossterm::terminal::window_size().ok()?;
    let cell = (window.width.checked_div(window.columns)?, window.height.checked_div(window.rows)?);
    (cell.0 > 0 && cell.1 > 0).then_some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Capabilities {
        Capabilities::from_environment(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn colours_follow_the_environment() {
        assert_eq!(with(&[("TERM", "xterm-256color")]).colors, ColorDepth::Indexed);
        assert_eq!(with(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]).colors, ColorDepth::True);
        assert_eq!(with(&[("TERM", "screen-256color"), ("COLORTERM", "truecolor")]).colors, ColorDepth::Indexed);
        assert_eq!(with(&[("TERM", "xterm")]).colors, ColorDepth::Sixteen);
        assert_eq!(with(&[("TERM", "xterm"), ("NO_COLOR", "1")]).colors, ColorDepth::Mono);
        assert_eq!(with(&[("TERM", "xterm"), ("NO_COLOR", "")]).colors, ColorDepth::Sixteen);
        assert_eq!(with(&[]).colors, ColorDepth::Mono);
    }

    #[test]
    fn a_dumb_terminal_is_not_addressable() {
        assert!(!with(&[("TERM", "dumb")]).addressable);
        assert!(!with(&[]).addressable);
        assert!(with(&[("TERM", "tmux-256color")]).addressable);
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        assert!(with(&[("LANG", "en_GB.UTF-8")]).utf8);
        assert!(with(&[("LC_ALL", "C.utf8"), ("LANG", "C")]).utf8);
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]).utf8);
        assert!(!with(&[]).utf8);
    }

    #[test]
    fn names_and_depths_agree() {
        for (name, depth) in ColorDepth::NAMES {
            assert_eq!(ColorDepth::named(name), Some(depth));
            assert_eq!(depth.name(), name);
        }
        assert_eq!(ColorDepth::named("auto"), None);
    }
}
