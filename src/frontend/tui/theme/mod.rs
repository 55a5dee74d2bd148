//! The styles of each role; no other file of the interface names colours.
//!
//! A theme is made for one colour depth. In monochrome it sets attributes only, never a foreground or a background, so
//! that `NO_COLOR` is respected whatever the terminal library does.

mod palette;
mod parse;

use palette::Ramp;
pub use palette::rgb;
use ratatui::style::{Color, Style};

use super::config::Problem;
use crate::answer::Scale;
use crate::term::ColorDepth;

/// The defaults, as shipped: the dark theme.
pub const DEFAULT: &str = include_str!("../../../../config/theme.toml");

/// The changes that other themes make to it.
const OTHERS: [(&str, &str); 2] = [
    ("light", include_str!("../../../../config/theme-light.toml")),
    ("high-contrast", include_str!("../../../../config/theme-high-contrast.toml")),
];

macro_rules! roles {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// What a piece of the screen means.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Role { $(#[doc = $name] $variant),* }

        impl Role {
            /// All roles with their names in the configuration file.
            pub const ALL: &'static [(&'static str, Role)] = &[$(($name, Role::$variant)),*];
        }
    };
}

roles! {
    Text = "text", Faint = "faint", Status = "status", Running = "running", Border = "border",
    BorderFocus = "border-focus", Title = "title", Module = "module", Selection = "selection", Arrow = "arrow",
    Breakpoint = "breakpoint", BreakpointDisabled = "breakpoint-disabled", Computed = "computed", Edited = "edited",
    Affected = "affected", Nonfinite = "nonfinite", Pending = "pending", Shape = "shape", Label = "label",
    Focus = "focus", Masked = "masked", Beyond = "beyond", Positive = "positive", Negative = "negative", Padding = "padding",
    Prompt = "prompt", Echo = "echo", Error = "error", Notice = "notice", Key = "key", Progress = "progress",
}

/// The styles of every role at one colour depth.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    depth: ColorDepth,
    styles: Vec<Style>,
    sequential: Option<Ramp>,
    diverging: Option<Ramp>,
}

impl Theme {
    /// The default theme at `depth`, patched by the text of a user's file; and the mistakes in that text.
    pub fn new(depth: ColorDepth, user: Option<&str>) -> (Self, Vec<Problem>) {
        Self::named("dark", depth, user)
    }

    /// The theme called `name`, likewise; `mono` has no colours at any depth.
    pub fn named(name: &str, depth: ColorDepth, user: Option<&str>) -> (Self, Vec<Problem>) {
        let depth = if name == "mono" { ColorDepth::Mono } else { depth };
        let mut theme = Self { depth, styles: vec![Style::new(); Role::ALL.len()], sequential: None, diverging: None };
        let other = OTHERS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
        let texts = [Some(DEFAULT), other, user].into_iter().flatten();
        let problems = texts.flat_map(|text| parse::apply(&mut theme, text)).collect();
        (theme, problems)
    }

    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// Whether it has colours at all.
    pub fn has_colours(&self) -> bool {
        self.depth > ColorDepth::Mono
    }

    /// Whether colours show values; otherwise characters do.
    pub fn colors_values(&self) -> bool {
        self.depth >= ColorDepth::Indexed
    }

    /// The colour of a value: `t` from 0 to 1 on a sequential scale, from -1 to 1 on a diverging one. `None` if the
    /// terminal has too few colours.
    fn heat(&self, scale: Scale, t: f64) -> Option<Color> {
        match scale {
            Scale::Sequential => self.sequential.as_ref().map(|ramp| ramp.up(t)),
            Scale::Diverging => self.diverging.as_ref().map(|ramp| ramp.around(t)),
        }
    }

    /// The colour of a value as red, green and blue.
    pub fn heat_rgb(&self, scale: Scale, t: f64) -> Option<[u8; 3]> {
        self.heat(scale, t).and_then(rgb)
    }

    /// The colour of a role's text as red, green and blue; `None` if it has none, or one that the terminal chooses.
    pub fn role_rgb(&self, role: Role) -> Option<[u8; 3]> {
        self.style(role).fg.and_then(rgb)
    }

    /// A cell filled with the colour of a value.
    pub fn heat_fill(&self, scale: Scale, t: f64) -> Style {
        self.heat(scale, t).map_or(Style::new(), |color| Style::new().bg(color))
    }

    /// Text on the colour of a value: dark on light, or light on dark.
    pub fn heat_ground(&self, scale: Scale, t: f64) -> Style {
        self.heat(scale, t).map_or(Style::new(), |color| Style::new().bg(color).fg(ink_on(color)))
    }

    /// The colour of such text as red, green and blue.
    pub fn ink_rgb(&self, scale: Scale, t: f64) -> Option<[u8; 3]> {
        self.heat(scale, t).and_then(|color| rgb(ink_on(color)))
    }

    /// A cell with one value as foreground and another as background.
    pub fn heat_pair(&self, scale: Scale, glyph: f64, ground: Option<f64>) -> Style {
        let mut style = Style::new();
        style.fg = self.heat(scale, glyph);
        style.bg = ground.and_then(|t| self.heat(scale, t));
        style
    }
}

fn ink_on(color: Color) -> Color {
    if palette::is_dark(color) { Color::Indexed(231) } else { Color::Indexed(16) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTHS: [ColorDepth; 4] = [ColorDepth::Mono, ColorDepth::Sixteen, ColorDepth::Indexed, ColorDepth::True];

    #[test]
    fn the_default_is_right_and_complete_at_every_depth() {
        for depth in DEPTHS {
            assert_eq!(Theme::new(depth, None).1, []);
        }
        for (name, _) in Role::ALL {
            assert!(DEFAULT.lines().any(|line| line.starts_with(&format!("{name} = "))), "{name}");
        }
    }

    #[test]
    fn monochrome_sets_no_colour() {
        let (theme, _) = Theme::new(ColorDepth::Mono, None);
        for (name, role) in Role::ALL {
            let style = theme.style(*role);
            assert_eq!((style.fg, style.bg), (None, None), "{name}");
        }
        assert_eq!(theme.heat_fill(Scale::Diverging, 0.5), Style::new());
    }

    #[test]
    fn a_user_file_patches_and_its_mistakes_are_named() {
        let user =
            "[styles]\nerror = { mono = \"underline\" }\nstatsu = { mono = \"\" }\n[heat]\nsequential = \"rainbow\"\n";
        let (theme, problems) = Theme::new(ColorDepth::Mono, Some(user));
        assert_eq!(theme.style(Role::Error), Style::new().underlined());
        let messages: Vec<String> = problems.iter().map(|problem| problem.describe("theme.toml")).collect();
        assert_eq!(messages.len(), 2);
        assert!(
            messages[0].starts_with("theme.toml:3: unknown role \"statsu\"; did you mean \"status\"?"),
            "{messages:?}"
        );
        assert!(messages[1].starts_with("theme.toml:5:"), "{messages:?}");
    }

    #[test]
    fn every_theme_is_right_at_every_depth() {
        for name in crate::commands::Screen::default().themes {
            for depth in DEPTHS {
                let (theme, problems) = Theme::named(&name, depth, None);
                assert_eq!(problems, [], "{name}");
                let colours = theme.styles.iter().any(|style| style.fg.is_some() || style.bg.is_some());
                assert_eq!(colours, name != "mono" && depth != ColorDepth::Mono, "{name} {depth:?}");
                if name == "mono" {
                    assert_eq!(theme.heat_ground(Scale::Sequential, 0.5), Style::new());
                }
            }
        }
    }
}
