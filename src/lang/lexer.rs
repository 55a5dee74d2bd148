//! Text to tokens, one at a time and only as far as the caller asks, so that an expression can be followed by something
//! that is not one.
//!
//! Two decisions can only be made here. A name includes its dots and layer signs (`L-1.mlp.post`, `blocks.-1.attn.z`):
//! no site is called `L` or `b`, so `L-1` cannot be a subtraction. And `@RUN` and `#PASS` belong to a name only when
//! they touch it.

use super::strings;
use super::{LangError, Result, Span};

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Number(f64),
    Str(String),
    Name {
        text: String,
        run: Option<String>,
        pass: Option<u32>,
    },
    /// `$` followed by what touches it: empty, digits or a name.
    Dollar(String),
    /// `$$` followed by digits or nothing.
    DollarDollar(String),
    Punct(&'static str),
    End,
}

/// Longest first, as `**` is not two `*`.
const PUNCTUATION: [&str; 28] = [
    "...", "**", "==", "!=", "<=", ">=", "&&", "||", "+=", "-=", "*=", "/=", "+", "-", "*", "/", "<", ">", "!", "=",
    "(", ")", "[", "]", ",", ":", "&", "|",
];

pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
    offset: usize,
}

impl<'a> Lexer<'a> {
    /// A lexer of `text`, which starts at byte `offset` of the line.
    pub fn new(text: &'a str, offset: usize) -> Self {
        Self { text, at: 0, offset }
    }

    pub fn next(&mut self) -> Result<(Token, Span)> {
        self.at += self.rest().len() - self.rest().trim_start().len();
        let start = self.at;
        let token = match self.rest().chars().next() {
            None => Token::End,
            Some('"' | '\'') => Token::Str(self.string()?),
            Some('$') => self.dollar(),
            Some(c) if c.is_ascii_digit() => self.number()?,
            Some('.') if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            Some(c) if is_name_start(c) => self.name()?,
            Some(c) => self.punctuation(c)?,
        };
        Ok((token, Span::new(self.offset + start, self.offset + self.at)))
    }

    pub fn position(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, start: usize, message: impl Into<String>) -> LangError {
        LangError::new(message, Span::new(self.offset + start, self.offset + self.at))
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn punctuation(&mut self, c: char) -> Result<Token> {
        if let Some(text) = PUNCTUATION.iter().find(|p| self.rest().starts_with(**p)) {
            self.at += text.len();
            return Ok(Token::Punct(text));
        }
        let start = self.at;
        self.at += c.len_utf8();
        let error = self.error(start, format!("unexpected character {c:?}"));
        Err(match c {
            '`' | '\u{2018}'..='\u{201f}' => error.help("strings are written in straight quotes: \"text\" or 'text'"),
            '#' => error.help("a pass is written at the end of a site, without a space: logits#2"),
            '@' => error.help("a run is written at the end of a site, without a space: logits@clean"),
            '^' => error.help("powers are written x ** 2"),
            _ => error,
        })
    }

    fn dollar(&mut self) -> Token {
        self.at += 1;
        if self.rest().starts_with('$') {
            self.at += 1;
            return Token::DollarDollar(self.take(|c| c.is_ascii_digit()).to_string());
        }
        let digits = self.rest().starts_with(|c: char| c.is_ascii_digit());
        let text = self.take(|c| if digits { c.is_ascii_digit() } else { is_name_part(c) });
        Token::Dollar(text.to_string())
    }

    fn number(&mut self) -> Result<Token> {
        let start = self.at;
        if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            self.at += 2;
            let digits = self.take(|c| c.is_ascii_hexdigit());
            return match u64::from_str_radix(digits, 16) {
                Ok(n) => Ok(Token::Number(n as f64)),
                Err(_) if digits.is_empty() => Err(self.error(start, "no digits after 0x")),
                Err(_) => Err(self.error(start, "hexadecimal number above 64 bits")),
            };
        }
        self.take(|c| c.is_ascii_digit());
        if self.rest().starts_with('.') && !self.rest().starts_with("...") {
            self.at += 1;
            self.take(|c| c.is_ascii_digit());
        }
        let mantissa_end = self.at;
        if self.rest().starts_with(['e', 'E']) {
            self.at += 1;
            if self.rest().starts_with(['+', '-']) {
                self.at += 1;
            }
            if self.take(|c| c.is_ascii_digit()).is_empty() {
                self.at = mantissa_end;
            }
        }
        if self.rest().starts_with(is_name_start) {
            self.take(is_name_part);
            let typed = &self.text[start..self.at];
            return Err(self.error(start, format!("{typed} is neither a number nor a name")));
        }
        match self.text[start..self.at].parse::<f64>() {
            Ok(n) if n.is_finite() => Ok(Token::Number(n)),
            Ok(_) => Err(self.error(start, "number too large").help("infinity is written inf")),
            Err(_) => Err(self.error(start, "malformed number")),
        }
    }

    fn name(&mut self) -> Result<Token> {
        let start = self.at;
        let first = self.take(is_name_part);
        if matches!(first, "L" | "b") {
            self.signed_layer();
        }
        while self.rest().starts_with('.') {
            let dot = self.at;
            self.at += 1;
            self.signed_layer();
            self.take(is_name_part);
            if self.at == dot + 1 {
                self.at = dot;
                break;
            }
        }
        let text = self.text[start..self.at].to_string();
        let run = self.run()?;
        let pass = self.pass()?;
        Ok(Token::Name { text, run, pass })
    }

    /// The minus of a layer counted from the end, and its digits.
    fn signed_layer(&mut self) {
        let mut after = self.rest().chars();
        if after.next() == Some('-') && after.next().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            self.take(is_name_part);
        }
    }

    /// The run of `@RUN`, if that is what comes next.
    pub fn run(&mut self) -> Result<Option<String>> {
        if !self.rest().starts_with('@') {
            return Ok(None);
        }
        let start = self.at;
        self.at += 1;
        if self.rest().starts_with(['"', '\'']) {
            return self.string().map(Some);
        }
        match self.take(is_name_part) {
            "" => Err(self.error(start, "no run after @").help("SITE@RUN, or SITE@\"RUN\" for other names")),
            name => Ok(Some(name.to_string())),
        }
    }

    /// The pass of `#PASS`, if that is what comes next.
    pub fn pass(&mut self) -> Result<Option<u32>> {
        if !self.rest().starts_with('#') {
            return Ok(None);
        }
        let start = self.at;
        self.at += 1;
        let pass = self.take(|c| c.is_ascii_digit()).parse();
        let pass = pass.map_err(|_| self.error(start, "no pass number after #").help("SITE#PASS, 0 being the prefill"));
        pass.map(Some)
    }

    pub fn string(&mut self) -> Result<String> {
        let (text, length) = strings::literal(self.rest(), self.offset + self.at)?;
        self.at += length;
        Ok(text)
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Whether `c` may be part of a name, a variable or an unquoted run.
pub fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        let mut lexer = Lexer::new(text, 0);
        let mut all = Vec::new();
        loop {
            match lexer.next().expect("lexes") {
                (Token::End, _) => return all,
                (token, _) => all.push(token),
            }
        }
    }

    fn name(text: &str) -> Token {
        Token::Name { text: text.into(), run: None, pass: None }
    }

    #[test]
    fn numbers() {
        let read = |t: &str| match tokens(t).as_slice() {
            [Token::Number(n)] => *n,
            other => panic!("{other:?}"),
        };
        assert_eq!(["1", "1.5", "1e-3", ".5", "0x1F", "2.", "1E+2"].map(read), [1.0, 1.5, 1e-3, 0.5, 31.0, 2.0, 100.0]);
        assert!(Lexer::new("1e999", 0).next().is_err());
        assert!(Lexer::new("5abc", 0).next().is_err());
        assert!(Lexer::new("0x", 0).next().is_err());
    }

    #[test]
    fn a_layer_from_the_end_is_a_name_and_other_minuses_subtract() {
        assert_eq!(tokens("L-1.mlp.post"), [name("L-1.mlp.post")]);
        assert_eq!(tokens("blocks.-2.attn.z"), [name("blocks.-2.attn.z")]);
        assert_eq!(tokens("x-1"), [name("x"), Token::Punct("-"), Token::Number(1.0)]);
        assert_eq!(tokens("$L-1"), [Token::Dollar("L".into()), Token::Punct("-"), Token::Number(1.0)]);
    }

    #[test]
    fn run_and_pass_touch_the_name() {
        assert_eq!(
            tokens("logits@clean#2"),
            [Token::Name { text: "logits".into(), run: Some("clean".into()), pass: Some(2) }]
        );
        assert_eq!(
            tokens("logits@\"my run\""),
            [Token::Name { text: "logits".into(), run: Some("my run".into()), pass: None }]
        );
        assert!(Lexer::new("@clean", 0).next().is_err());
    }

    #[test]
    fn strings_and_their_escapes() {
        assert_eq!(tokens(r#""a\n\t\"\\\x41\u{e9}\xc3\xa9""#), [Token::Str("a\n\t\"\\A\u{e9}\u{e9}".into())]);
        let error = Lexer::new("\"open", 3).next().expect_err("no closing quote");
        assert_eq!(error.span, Span::new(3, 8));
        assert!(Lexer::new(r#""\xff""#, 0).next().is_err());
        assert!(Lexer::new(r#""\q""#, 0).next().is_err());
        assert!(Lexer::new(r#""\u{110000}""#, 0).next().is_err());
    }

    #[test]
    fn history() {
        let all = [
            Token::Dollar("".into()),
            Token::DollarDollar("".into()),
            Token::DollarDollar("3".into()),
            Token::Dollar("3".into()),
        ];
        assert_eq!(tokens("$ $$ $$3 $3"), all);
        assert_eq!(tokens("$bpnum"), [Token::Dollar("bpnum".into())]);
    }
}
