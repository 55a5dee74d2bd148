//! Arguments made of several parts: a location with a condition, an expression with a condition, a filter between
//! slashes.

use super::location::parse_location_prefix;
use super::{Expr, LangError, Location, Result, Span, Spanned, parse_expr, parse_expr_prefix};

/// Parses the arguments of `break`: a location, a condition after `if`, both or neither.
pub fn parse_break(text: &str, offset: usize) -> Result<(Option<Location>, Option<Expr>)> {
    let start = text.len() - text.trim_start().len();
    if text[start..].is_empty() {
        return Ok((None, None));
    }
    let (location, at) = match condition_at(&text[start..]) {
        Some(_) => (None, start),
        None => {
            let (location, end) = parse_location_prefix(text, offset)?;
            (Some(location), end - offset)
        }
    };
    let condition = parse_condition(&text[at..], offset + at, "break LOCATION [head=N] [pos=N] [row=N] [if EXPR]")?;
    Ok((location, condition))
}

/// Parses the arguments of `watch`: an expression and optionally a condition after `if`.
pub fn parse_watch(text: &str, offset: usize) -> Result<(Expr, Option<Expr>)> {
    let (expr, end) = parse_expr_prefix(text, offset)?;
    let condition = parse_condition(&text[end - offset..], end, "watch EXPR [if EXPR]")?;
    Ok((expr, condition))
}

#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    pub location: Location,
    /// Which crossings count; all of them if `None`.
    pub filter: Option<Expr>,
    /// What to keep of each, as typed; empty if nothing was given.
    pub stat: Spanned<String>,
}

/// Parses the arguments of `trace`: a location, a filter between slashes, and what to keep. The filter ends at the last
/// slash, so that it may divide.
pub fn parse_trace(text: &str, offset: usize) -> Result<Trace> {
    let (location, end) = parse_location_prefix(text, offset)?;
    let mut at = end - offset;
    let mut filter = None;
    if text[at..].starts_with('/') {
        let open = || LangError::new("this filter has no closing /", Span::new(end, offset + text.len()));
        let close = at + 1 + text[at + 1..].rfind('/').ok_or_else(open)?;
        filter = Some(parse_expr(&text[at + 1..close], offset + at + 1)?);
        at = close + 1;
    }
    let rest = &text[at..];
    let start = offset + at + rest.len() - rest.trim_start().len();
    let stat = rest.trim().to_string();
    let span = Span::new(start, start + stat.len());
    Ok(Trace { location, filter, stat: Spanned::new(stat, span) })
}

/// The condition after the word `if`, if there is one; anything else is an error.
fn parse_condition(text: &str, offset: usize, usage: &str) -> Result<Option<Expr>> {
    let start = text.len() - text.trim_start().len();
    let rest = text[start..].trim_end();
    match condition_at(rest) {
        Some(skip) => parse_expr(&rest[skip..], offset + start + skip).map(Some),
        None if rest.is_empty() => Ok(None),
        None => {
            let span = Span::new(offset + start, offset + start + rest.len());
            Err(LangError::new(format!("unexpected {rest}"), span).help(usage))
        }
    }
}

/// The length of the word `if`, when `text` starts with it.
fn condition_at(text: &str) -> Option<usize> {
    let after = text.strip_prefix("if")?;
    after.chars().next().is_none_or(|c| c.is_whitespace() || c == '(').then_some(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn break_takes_a_location_and_a_condition() {
        let (location, condition) = parse_break("L5.attn.pattern head=3 if max(entropy($)) < 0.1", 6).expect("parses");
        assert_eq!(location.expect("has one").to_string(), "L5.attn.pattern head=3");
        let condition = condition.expect("has one");
        assert_eq!(condition.to_string(), "max(entropy($)) < 0.1");
        assert_eq!(condition.span.start, 6 + 26);
        let (location, condition) = parse_break("if $x > 1", 6).expect("parses");
        assert!(location.is_none() && condition.is_some());
        assert_eq!(parse_break("  ", 6).expect("nothing"), (None, None));
        assert!(parse_break("L5 when x", 0).expect_err("no if").help.is_some());
        assert!(parse_break("L5 if", 0).is_err());
    }

    #[test]
    fn watch_takes_an_expression_and_a_condition() {
        let (expr, condition) = parse_watch("norm(resid_post) if (pos > 1)", 6).expect("parses");
        assert_eq!(
            (expr.to_string().as_str(), condition.map(|c| c.to_string()).as_deref()),
            ("norm(resid_post)", Some("pos > 1"))
        );
        assert_eq!(parse_watch("x", 0).expect("parses").1, None);
        assert_eq!(parse_watch("x y", 6).expect_err("y").span, Span::new(8, 9));
    }

    #[test]
    fn trace_takes_a_filter_between_slashes() {
        let trace = parse_trace("L*.attn.pattern /entropy($) / 2 < 0.5/ hist", 6).expect("parses");
        assert_eq!(trace.location.to_string(), "L*.attn.pattern");
        assert_eq!(trace.filter.map(|f| f.to_string()).as_deref(), Some("entropy($) / 2 < 0.5"));
        assert_eq!(trace.stat, Spanned::new("hist".to_string(), Span::new(45, 49)));
        assert_eq!(parse_trace("L5 count", 0).expect("parses").filter, None);
        assert!(parse_trace("L5 /x", 0).expect_err("open").message.contains("closing /"));
    }
}
