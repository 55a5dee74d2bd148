//! The errors of this layer, and how they are shown under the line they came from.

use unicode_width::UnicodeWidthChar;

use super::Span;
use crate::tensor::TensorError;

/// Something in a line could not be understood, resolved or evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LangError {
    /// What is wrong: one line, lower case, no full stop, except where gdb's own wording is kept.
    pub message: String,
    /// The place in the line.
    pub span: Span,
    /// What to do next, when there is something to do.
    pub help: Option<String>,
    /// The failed operation on tensors that `message` describes, if that is what went wrong: whether it was the device,
    /// or an interrupt, is decided by this and not by the wording.
    pub cause: Option<Box<TensorError>>,
}

/// Why a [`Scope`](super::eval::Scope) cannot give what an expression names. It knows no line: [`LangError::because`]
/// adds the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// What was asked for does not exist, or not yet.
    #[error("{0}")]
    Refused(String),
    /// Tensors did not fit together, the device failed, or the user interrupted.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl From<String> for Unavailable {
    fn from(message: String) -> Self {
        Unavailable::Refused(message)
    }
}

impl From<&str> for Unavailable {
    fn from(message: &str) -> Self {
        Unavailable::Refused(message.to_string())
    }
}

impl LangError {
    pub fn new(message: impl Into<String>, span: Span) -> Self {
        Self { message: message.into(), span, help: None, cause: None }
    }

    /// What went wrong in a layer that knows no lines, at `span`. A failed operation on tensors is kept as the cause.
    pub fn because(error: impl Into<Unavailable>, span: Span) -> Self {
        match error.into() {
            Unavailable::Refused(message) => Self::new(message, span),
            Unavailable::Tensor(error) => {
                Self { cause: Some(Box::new(error.clone())), ..Self::new(error.to_string(), span) }
            }
        }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The column the place starts at, in characters of `line`, counted from 1.
    pub fn column(&self, line: &str) -> usize {
        line.char_indices().take_while(|&(at, _)| at < self.span.start).count() + 1
    }
}

/// What is wrong, where in the line, and what to do.
pub fn explained(line: &str, error: &LangError) -> String {
    let help = error.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
    format!("{}\n{}{help}", error.message, caret(line, error))
}

/// `line` and, under it, `^~~~` below the place of the error.
///
/// Columns of the terminal are counted, not bytes: wide characters take two, combining ones none, and a tab before the
/// place is repeated so that it is as wide as the one above. Control characters of the line are shown as spaces.
pub fn caret(line: &str, error: &LangError) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut marks = String::new();
    let mut under = 0; // columns of the place
    for (at, c) in line.char_indices() {
        let printed = if c.is_control() && c != '\t' { ' ' } else { c };
        shown.push(printed);
        let width = printed.width().unwrap_or(1);
        if at < error.span.start {
            match printed {
                '\t' => marks.push('\t'),
                _ => marks.extend(std::iter::repeat_n(' ', width)),
            }
        } else if at < error.span.end {
            under += width;
        }
    }
    marks.push('^');
    marks.extend(std::iter::repeat_n('~', under.saturating_sub(1)));
    format!("{shown}\n{marks}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: usize, end: usize) -> LangError {
        LangError::new("here", Span::new(start, end))
    }

    #[test]
    fn the_caret_is_under_the_place() {
        assert_eq!(caret("print max(foo)", &at(10, 13)), "print max(foo)\n          ^~~");
        assert_eq!(caret("p", &at(1, 1)), "p\n ^");
    }

    #[test]
    fn wide_and_combining_characters_are_measured_in_columns() {
        let line = "p \"日本\" + x";
        let x = line.find('x').expect("the line has an x");
        assert_eq!(caret(line, &at(x, x + 1)), "p \"日本\" + x\n           ^");
        assert_eq!(caret("日本 y", &at(0, 6)), "日本 y\n^~~~");
        assert_eq!(caret("e\u{301} z", &at(4, 5)), "e\u{301} z\n  ^");
    }

    #[test]
    fn the_message_comes_before_the_place_and_the_help() {
        assert_eq!(explained("p x", &at(2, 3)), "here\np x\n  ^");
        assert_eq!(explained("p x", &at(2, 3).help("try y")), "here\np x\n  ^\ntry y");
    }

    #[test]
    fn a_failed_tensor_stays_the_cause_of_an_error() {
        let lost = TensorError::Read { message: "device lost".into() };
        let error = LangError::because(lost.clone(), Span::new(2, 3));
        assert_eq!(
            (error.message.as_str(), error.cause.as_deref()),
            ("cannot read from the device: device lost", Some(&lost))
        );
        assert_eq!(error.help("try again").cause.as_deref(), Some(&lost));
        let refused = LangError::because("no such thing", Span::new(2, 3));
        assert_eq!((refused.message.as_str(), refused.cause), ("no such thing", None));
    }

    #[test]
    fn a_tab_is_kept_in_the_margin() {
        assert_eq!(caret("p\tfoo", &at(2, 5)), "p\tfoo\n \t^~~");
    }

    #[test]
    fn columns_count_characters_from_one() {
        assert_eq!(at(0, 1).column("é = 1"), 1);
        assert_eq!(at(3, 4).column("é = 1"), 3);
    }
}
