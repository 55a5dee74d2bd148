//! Reading a theme file.

use std::ops::Range;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::palette::{DIVERGING, Ramp, SEQUENTIAL};
use super::{Role, Theme};
use crate::frontend::tui::config::{Problem, Problems, did_you_mean, sections, unknown};
use crate::term::ColorDepth;

const ATTRIBUTES: [(&str, Modifier); 5] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underline", Modifier::UNDERLINED),
    ("reverse", Modifier::REVERSED),
];

const NAMED: [(&str, Color); 16] = [
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightMagenta),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::White),
];

/// What is wrong with the words of a style.
#[derive(Debug, Error)]
enum StyleError {
    #[error("\"{0}\" is not a colour or an attribute{1}")]
    Unknown(String, String),
    #[error("\"{0}\" cannot be shown with {1} colours")]
    TooRich(String, &'static str),
}

/// Applies the file `text` to `theme`. Wrong entries change nothing and are returned.
pub fn apply(theme: &mut Theme, text: &str) -> Vec<Problem> {
    sections(text, "theme is", &["styles", "heat"], |name, table, problems| match name {
        "styles" => apply_styles(theme, table, problems),
        _ => apply_heat(theme, table, problems),
    })
}

/// A mistake: its bytes in the file, and a message.
type Fault = (Range<usize>, String);

fn apply_styles(theme: &mut Theme, styles: DeTable<'_>, problems: &mut Problems<'_>) {
    for (name, value) in styles {
        let word = name.get_ref().as_ref();
        let Some((_, role)) = Role::ALL.iter().find(|(known, _)| *known == word) else {
            problems.unknown("role", &name, Role::ALL.iter().map(|(known, _)| *known));
            continue;
        };
        let DeValue::Table(depths) = value.into_inner() else {
            let message = format!("\"{word}\" must be a table such as {{ mono = \"bold\", 256 = \"74\" }}");
            problems.add(name.span(), message);
            continue;
        };
        match style_for(theme.depth, depths) {
            Ok(style) => theme.styles[*role as usize] = style,
            Err((span, message)) => problems.add(span, message),
        }
    }
}

/// The style for the richest depth up to `depth`; the styles of all depths are checked.
fn style_for(depth: ColorDepth, depths: DeTable<'_>) -> Result<Style, Fault> {
    let mut best: Option<(ColorDepth, Style)> = None;
    for (name, value) in depths {
        let word = name.get_ref().as_ref();
        let Some(given) = ColorDepth::named(word) else {
            return Err((name.span(), unknown("colour depth", word, ColorDepth::NAMES.map(|(known, _)| known))));
        };
        let style = parse_style(string(&value)?, given).map_err(|error| (value.span(), error.to_string()))?;
        if given <= depth && best.is_none_or(|(known, _)| known < given) {
            best = Some((given, style));
        }
    }
    Ok(best.map_or(Style::new(), |(_, style)| style))
}

fn parse_style(words: &str, depth: ColorDepth) -> Result<Style, StyleError> {
    let mut style = Style::new();
    let mut background = false;
    for word in words.split_whitespace() {
        if word == "on" {
            background = true;
        } else if let Some((_, modifier)) = ATTRIBUTES.iter().find(|(known, _)| *known == word) {
            style = style.add_modifier(*modifier);
        } else {
            let color = parse_color(word, depth)?;
            if std::mem::take(&mut background) {
                style.bg = Some(color);
            } else {
                style.fg = Some(color);
            }
        }
    }
    Ok(style)
}

fn parse_color(word: &str, depth: ColorDepth) -> Result<Color, StyleError> {
    let (needs, color) = if let Some((_, color)) = NAMED.iter().find(|(known, _)| *known == word) {
        (ColorDepth::Sixteen, *color)
    } else if let Ok(index) = word.parse() {
        (ColorDepth::Indexed, Color::Indexed(index))
    } else if let (true, Ok(color)) = (word.starts_with('#'), Color::from_str(word)) {
        (ColorDepth::True, color)
    } else {
        let known = ATTRIBUTES.iter().map(|(name, _)| *name).chain(NAMED.iter().map(|(name, _)| *name));
        return Err(StyleError::Unknown(word.to_string(), did_you_mean(word, known)));
    };
    match needs <= depth {
        true => Ok(color),
        false => Err(StyleError::TooRich(word.to_string(), depth.name())),
    }
}

fn apply_heat(theme: &mut Theme, heat: DeTable<'_>, problems: &mut Problems<'_>) {
    for (name, value) in heat {
        let word = name.get_ref().as_ref();
        let (slot, known): (&mut Option<Ramp>, &[&str]) = match word {
            "sequential" => (&mut theme.sequential, &SEQUENTIAL),
            "diverging" => (&mut theme.diverging, &DIVERGING),
            _ => {
                problems.unknown("setting", &name, ["sequential", "diverging"]);
                continue;
            }
        };
        match string(&value) {
            Ok(scale) if known.contains(&scale) => *slot = Ramp::named(scale, theme.depth),
            Ok(scale) => {
                let message = format!("no {word} scale \"{scale}\"; choose from {}", known.join(", "));
                problems.add(value.span(), message);
            }
            Err((span, message)) => problems.add(span, message),
        }
    }
}

fn string<'v>(value: &'v Spanned<DeValue<'_>>) -> Result<&'v str, Fault> {
    value.get_ref().as_str().ok_or_else(|| (value.span(), "expected a string".to_string()))
}
