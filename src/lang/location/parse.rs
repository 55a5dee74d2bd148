//! Text to [`Location`].
//!
//! Locations are not expressions: here `*` is a pattern, `/` opens a regular expression, and the first space ends the
//! name.

use super::resolve::compile;
use super::{Choice, Location, What, When};
use crate::lang::lexer::Lexer;
use crate::lang::parser::Parser;
use crate::lang::words::closing_slash;
use crate::lang::{LangError, Result, Span, Spanned, glob};

/// Parses all of `text`, which starts at byte `offset` of the line.
pub fn parse_location(text: &str, offset: usize) -> Result<Location> {
    let (location, end) = parse_location_prefix(text, offset)?;
    let rest = text[end - offset..].trim_end();
    if rest.is_empty() {
        return Ok(location);
    }
    Err(LangError::new(format!("unexpected {rest} after the location"), Span::new(end, end + rest.len()))
        .help("head=N, pos=N, pos=\"token\" and row=N may follow a location"))
}

/// Parses the location at the start of `text` and gives the byte of the line at which what follows it begins.
pub fn parse_location_prefix(text: &str, offset: usize) -> Result<(Location, usize)> {
    let mut scanner = Scanner { text, at: 0, offset };
    let location = scanner.location()?;
    Ok((location, offset + scanner.at))
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    offset: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn span_from(&self, start: usize) -> Span {
        Span::new(self.offset + start, self.offset + self.at)
    }

    fn error(&self, start: usize, message: impl Into<String>) -> LangError {
        LangError::new(message, self.span_from(start))
    }

    fn location(&mut self) -> Result<Location> {
        self.skip_spaces();
        let start = self.at;
        let when = self.side()?;
        let what = self.what()?;
        let (mut run, mut pass, mut index) = (None, None, Vec::new());
        if matches!(what, What::Name(_) | What::Glob(_) | What::Regex(_)) {
            let mut lexer = Lexer::new(self.rest(), self.offset + self.at);
            run = lexer.run()?;
            pass = lexer.pass()?;
            self.at += lexer.position();
            if self.rest().starts_with('[') {
                let mut parser = Parser::new(self.rest(), self.offset + self.at)?;
                index = parser.index()?;
                self.at = parser.last_end - self.offset;
            }
        }
        self.boundary()?;
        let (mut end, mut focus) = (self.at, [None, None, None]);
        self.skip_spaces();
        while self.focus(&mut focus)? {
            end = self.at;
            self.skip_spaces();
        }
        let span = Span::new(self.offset + start, self.offset + end);
        let [head, pos, row] = focus;
        Ok(Location { what, when, run, pass, index, head, pos, row, span })
    }

    /// A location ends at a space, a comma or the line's end, so that a typo such as `L5]` is noticed.
    fn boundary(&mut self) -> Result<()> {
        match self.rest().chars().next() {
            Some(c) if !c.is_whitespace() && c != ',' => {
                let start = self.at;
                self.at += c.len_utf8();
                Err(self.error(start, format!("unexpected character {c:?} in a location")))
            }
            _ => Ok(()),
        }
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn side(&mut self) -> Result<Option<When>> {
        let is_option = self.rest().strip_prefix('-').is_some_and(|r| r.starts_with(|c: char| c.is_alphabetic()));
        if !is_option {
            return Ok(None);
        }
        let start = self.at;
        let word = self.take(|c| !c.is_whitespace());
        let Some(when) = When::ALL.iter().find(|when| when.option() == word) else {
            let error = self.error(start, format!("unknown option {word} for a location"));
            return Err(error.help("choose from -before and -after"));
        };
        self.skip_spaces();
        Ok(Some(*when))
    }

    fn what(&mut self) -> Result<What> {
        let start = self.at;
        match self.rest().chars().next() {
            None => Err(self.error(start, "expected a location").help("such as L5.attn.pattern, L5, L5H3, +3 or #2")),
            Some('/') => self.regex(),
            Some('#') => {
                self.at += 1;
                let digits = self.take(|c| c.is_ascii_digit());
                let pass = digits.parse().map_err(|_| self.error(start, "no pass number after #"))?;
                Ok(What::Pass(pass))
            }
            Some(sign @ ('+' | '-')) => {
                self.at += 1;
                let digits = self.take(|c| c.is_ascii_digit()).parse::<i64>();
                let ops = digits.map_err(|_| self.error(start, format!("expected a number of ops after {sign}")))?;
                Ok(What::Offset(if sign == '-' { -ops } else { ops }))
            }
            Some(_) => self.name(),
        }
    }

    fn regex(&mut self) -> Result<What> {
        let start = self.at;
        let Some(close) = closing_slash(self.rest()) else {
            self.at = self.text.len();
            return Err(self.error(start, "this regular expression has no closing /"));
        };
        let pattern = self.rest()[1..close].replace("\\/", "/");
        self.at += close + 1;
        let span = self.span_from(start);
        compile(&pattern, span)?;
        Ok(What::Regex(Spanned::new(pattern, span)))
    }

    fn name(&mut self) -> Result<What> {
        let start = self.at;
        let mut depth = 0usize;
        let end = self.rest().find(|c: char| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            !(c.is_alphanumeric() || "_.-*?{}".contains(c) || (c == ',' && depth > 0))
        });
        self.at += end.unwrap_or(self.rest().len());
        let name = Spanned::new(self.text[start..self.at].to_string(), self.span_from(start));
        if name.value.is_empty() {
            self.boundary()?;
            return Err(self.error(start, "expected a location").help("such as L5.attn.pattern, L5, L5H3, +3 or #2"));
        }
        Ok(if glob::is_glob(&name.value) { What::Glob(name) } else { What::Name(name) })
    }

    /// Parses one `key=value` of head, position and row; false if there is none here.
    fn focus(&mut self, focus: &mut [Option<Spanned<Choice>>; 3]) -> Result<bool> {
        const KEYS: [&str; 3] = ["head", "pos", "row"];
        let written = self.rest().split_once('=').filter(|(_, value)| !value.starts_with('='));
        let known = written.and_then(|(key, _)| KEYS.iter().position(|known| *known == key));
        let Some(place) = known else { return Ok(false) };
        let key = KEYS[place];
        let start = self.at;
        self.at += key.len() + 1;
        let value_at = self.at;
        let choice = if self.rest().starts_with('"') {
            let mut lexer = Lexer::new(self.rest(), self.offset + self.at);
            let text = lexer.string()?;
            self.at += lexer.position();
            Choice::Text(text)
        } else {
            let word = self.rest().split([',', ' ', '\t']).next().unwrap_or_default();
            self.at += word.len();
            let number = word.parse().map_err(|_| self.error(value_at, format!("{key}= needs a number")))?;
            Choice::Index(number)
        };
        let span = self.span_from(start);
        if key != "pos" && matches!(choice, Choice::Text(_)) {
            return Err(LangError::new(format!("{key}= needs a number; only pos= takes a token's text"), span));
        }
        if focus[place].replace(Spanned::new(choice, span)).is_some() {
            return Err(LangError::new(format!("{key}= is given twice"), span));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Location {
        parse_location(text, 0).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn fails(text: &str) -> LangError {
        parse_location(text, 0).expect_err(text)
    }

    #[test]
    fn every_form_prints_as_it_was_typed() {
        for text in [
            "L5.attn.pattern",
            "L5",
            "L-1.mlp.post",
            "-before blocks.5.mlp.pre",
            "-after L5.attn",
            "L*.mlp.post",
            "blocks.{2,4}.attn.z",
            "/resid_(pre|post)/",
            "/a\\/b/",
            "+3",
            "-3",
            "#2",
            "logits@clean#2",
            "L5.mlp.post[3:7]",
            "L5.attn.pattern head=3 pos=\"nurse\" row=1",
            "L5.attn.pattern head=-1 pos=17",
        ] {
            assert_eq!(parsed(text).to_string(), text);
        }
    }

    #[test]
    fn the_focus_may_follow_in_any_order() {
        let location = parsed("  L5H3  row=1 pos=\"a b\" ");
        assert_eq!(location.row.map(|c| c.value), Some(Choice::Index(1)));
        assert_eq!(location.pos.map(|c| c.value), Some(Choice::Text("a b".into())));
        assert_eq!(location.span, Span::new(2, 23));
        assert!(fails("L5 head=x").message.contains("needs a number"));
        assert!(fails("L5 head=\"x\"").message.contains("only pos="));
        assert!(fails("L5 head=1 head=2").message.contains("twice"));
        assert!(fails("L5 layer=1").help.is_some());
    }

    #[test]
    fn mistakes_are_underlined() {
        assert_eq!(fails("L5]").span, Span::new(2, 3));
        assert_eq!(fails("-befor L5").span, Span::new(0, 6));
        assert_eq!(fails("/a(/").span, Span::new(0, 4));
        assert!(fails("/abc").message.contains("closing /"));
        assert!(fails("").message.contains("expected a location"));
        assert!(fails("+").message.contains("number of ops"));
    }

    #[test]
    fn a_prefix_leaves_the_rest() {
        let (location, end) = parse_location_prefix("L5.attn.z,\"%f\\n\",max($)", 0).expect("parses");
        assert_eq!((location.to_string().as_str(), end), ("L5.attn.z", 9));
        let (_, end) = parse_location_prefix("L5H3 zero", 7).expect("parses");
        assert_eq!(end, 12);
    }
}
