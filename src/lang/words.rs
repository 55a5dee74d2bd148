//! A command's arguments as words: for the commands that take names, counts, files and options rather than one
//! expression.
//!
//! A word ends at a space outside quotes, brackets and `/regex/`, so that `diff A B L5.attn.z[1, 2] -first` has four
//! arguments and an option. The value of an option is one word; an expression goes on to the next option, so that
//! `-metric logit(" she") - logit(" he") -by group` needs no quotes.

use super::command::alike;
use super::lexer::Lexer;
use super::{Expr, LangError, Result, Span, Spanned, parse_expr};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word; if it is one string literal, or between single quotes, without the quotes.
    pub text: String,
    /// Whether it was quoted, which an option never is.
    pub quoted: bool,
    pub span: Span,
}

impl Word {
    /// The expression that it is.
    ///
    /// # Errors
    /// With its place, if it is not one.
    pub fn expr(&self) -> Result<Expr> {
        parse_expr(&self.text, self.span.start + usize::from(self.quoted))
    }
}

/// What follows the name of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// The next word.
    Word,
    /// All up to the next option, or one word in quotes.
    Expression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// With its dash: `-all-rows`.
    pub name: &'static str,
    pub takes: Takes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The full name, even if it was typed shortened.
    pub name: &'static str,
    pub value: Option<Word>,
    pub span: Span,
}

/// Splits `text`, which starts at byte `offset` of the line.
pub fn words(text: &str, offset: usize) -> Result<Vec<Word>> {
    let mut all = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if at == text.len() {
            return Ok(all);
        }
        let end = at + word_length(&text[at..], offset + at)?;
        let typed = &text[at..end];
        let span = Span::new(offset + at, offset + end);
        let mut lexer = Lexer::new(typed, span.start);
        let literal = typed.starts_with('"').then(|| lexer.string()).transpose()?;
        let literal = literal.filter(|_| lexer.position() == typed.len());
        let single = single_quoted(typed).map(|length| typed[1..length - 1].to_string());
        let literal = literal.or(single);
        all.push(Word { quoted: literal.is_some(), text: literal.unwrap_or_else(|| typed.to_string()), span });
        at = end;
    }
}

/// How long the text between single quotes at the start of `text` is, quotes included: nothing in it is an escape, and
/// the last quote ends a word.
fn single_quoted(text: &str) -> Option<usize> {
    let ends = |at: &usize| text[at + 1..].chars().next().is_none_or(char::is_whitespace);
    let (close, _) = text.strip_prefix('\'')?.match_indices('\'').find(|(at, _)| ends(&(at + 1)))?;
    Some(close + 2)
}

fn word_length(text: &str, offset: usize) -> Result<usize> {
    if let Some(length) = single_quoted(text) {
        return Ok(length);
    }
    // Only if a space or the end follows: a path has slashes too.
    if text.starts_with('/')
        && let Some(close) = closing_slash(text)
        && text[close + 1..].chars().next().is_none_or(char::is_whitespace)
    {
        return Ok(close + 1);
    }
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            // Outside of brackets an apostrophe is a letter of a word.
            '"' | '\'' if c == '"' || depth > 0 => {
                let mut lexer = Lexer::new(&text[at..], offset + at);
                lexer.string()?;
                at += lexer.position();
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            c if c.is_whitespace() && depth == 0 => break,
            _ => {}
        }
        at += c.len_utf8();
    }
    Ok(at)
}

/// Where the regular expression at the start of `text` closes.
pub(super) fn closing_slash(text: &str) -> Option<usize> {
    let mut escaped = false;
    let (close, _) = text.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == '/' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(close)
}

/// Splits `text`, which starts at byte `offset` of the line, and takes the options out of its words, wherever they are;
/// `--` ends them. A name may be shortened while it is unambiguous.
pub fn take_options(text: &str, offset: usize, known: &[OptionSpec]) -> Result<(Vec<Given>, Vec<Word>)> {
    let words = words(text, offset)?;
    let mut given = Vec::new();
    let mut left = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        if word.quoted || !is_option(&word.text) {
            left.push(word.clone());
            continue;
        }
        if word.text == "--" {
            left.extend_from_slice(&words[at..]);
            break;
        }
        let spec = find_option(word, known)?;
        let count = match (spec.takes, words.get(at)) {
            (Takes::Nothing, _) => 0,
            (Takes::Expression, Some(first)) if !first.quoted => expression_length(&words[at..], known)?,
            _ => 1,
        };
        let missing = || LangError::new(format!("option {} needs a value", spec.name), word.span);
        let value = match words.get(at..at + count).ok_or_else(missing)? {
            [] if spec.takes == Takes::Nothing => None,
            [only] => Some(only.clone()),
            [first, .., last] => {
                let span = Span::new(first.span.start, last.span.end);
                let text = text[span.start - offset..span.end - offset].to_string();
                Some(Word { text, quoted: false, span })
            }
            [] => return Err(missing()),
        };
        at += count;
        given.push(Given { name: spec.name, value, span: word.span });
    }
    Ok((given, left))
}

/// How many of the words belong to an expression: those before the next option. What begins with a dash and is not an
/// option belongs to it, unless it is like the name of one.
fn expression_length(words: &[Word], known: &[OptionSpec]) -> Result<usize> {
    for (at, word) in words.iter().enumerate() {
        if word.quoted || !is_option(&word.text) {
            continue;
        }
        match find_option(word, known) {
            _ if word.text == "--" => return Ok(at),
            Ok(_) => return Ok(at),
            Err(error) => {
                let is_name = word.text.chars().all(|c| c.is_ascii_lowercase() || c == '-');
                if is_name && alike(&word.text, known.iter().map(|spec| spec.name)).is_some() {
                    return Err(error);
                }
            }
        }
    }
    Ok(words.len())
}

/// Whether it is a dash and a letter, or `--`: `-3` is a number and `-` alone a word.
fn is_option(text: &str) -> bool {
    text == "--"
        || text.strip_prefix('-').is_some_and(|t| t.trim_start_matches('-').starts_with(|c: char| c.is_alphabetic()))
}

fn find_option(word: &Word, known: &[OptionSpec]) -> Result<OptionSpec> {
    let typed = format!("-{}", word.text.trim_start_matches('-'));
    if let Some(spec) = known.iter().find(|spec| spec.name == typed) {
        return Ok(*spec);
    }
    let starting: Vec<&OptionSpec> = known.iter().filter(|spec| spec.name.starts_with(&typed)).collect();
    let names = |specs: &[&OptionSpec]| specs.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
    match starting.as_slice() {
        [spec] => Ok(**spec),
        [] => {
            let help = match (known, alike(&typed, known.iter().map(|spec| spec.name))) {
                ([], _) => "this command takes no options here".to_string(),
                (_, Some(near)) => {
                    format!("did you mean {near}? choose from {}", names(&known.iter().collect::<Vec<_>>()))
                }
                _ => format!("choose from {}", names(&known.iter().collect::<Vec<_>>())),
            };
            Err(LangError::new(format!("unknown option {}", word.text), word.span).help(help))
        }
        several => Err(LangError::new(format!("ambiguous option {}: {}", word.text, names(several)), word.span)),
    }
}

/// A count such as the 3 of `step 3`.
pub fn parse_count(word: &Word) -> Result<u64> {
    word.text.parse().map_err(|_| LangError::new(format!("expected a count, found {}", word.text), word.span))
}

/// Lists such as `1-3 5,$bpnum`: numbers and ranges of numbers, in the order given; `variable` gives the value of
/// `$name`.
pub fn parse_numbers(text: &str, offset: usize, variable: &dyn Fn(&str) -> Option<u32>) -> Result<Vec<Spanned<u32>>> {
    const MOST: u32 = 100_000;
    let mut all = Vec::new();
    let mut at = 0;
    let separates = |c: char| c.is_whitespace() || c == ',';
    for piece in text.split_inclusive(separates) {
        let word = piece.trim_end_matches(separates);
        let span = Span::new(offset + at, offset + at + word.len());
        at += piece.len();
        if word.is_empty() {
            continue;
        }
        let number = |text: &str| match text.strip_prefix('$') {
            Some(name) => variable(name).ok_or_else(|| LangError::new(format!("${name} does not hold a number"), span)),
            None => text
                .parse()
                .map_err(|_| LangError::new(format!("expected a number, found {word}"), span).help("as in 1-3 5")),
        };
        let (from, to) = word.split_once('-').unwrap_or((word, word));
        let (from, to) = (number(from)?, number(to)?);
        if from > to {
            return Err(LangError::new(format!("the range {word} counts downwards"), span));
        }
        if to - from > MOST {
            return Err(LangError::new(format!("the range {word} is too long"), span));
        }
        all.extend((from..=to).map(|n| Spanned::new(n, span)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [OptionSpec; 4] = [
        OptionSpec { name: "-first", takes: Takes::Nothing },
        OptionSpec { name: "-rtol", takes: Takes::Word },
        OptionSpec { name: "-rows", takes: Takes::Nothing },
        OptionSpec { name: "-metric", takes: Takes::Expression },
    ];

    fn texts(words: &[Word]) -> Vec<&str> {
        words.iter().map(|w| w.text.as_str()).collect()
    }

    #[test]
    fn brackets_quotes_and_slashes_hold_words_together() {
        let all = words("A L5.z[1, 2] \"a b\" /x y/ max(a, b) /var/x", 5).expect("splits");
        assert_eq!(texts(&all), ["A", "L5.z[1, 2]", "a b", "/x y/", "max(a, b)", "/var/x"]);
        assert_eq!(all[1].span, Span::new(7, 17));
        assert!(all[2].quoted && !all[0].quoted);
        assert_eq!(words("a \"b", 5).expect_err("open").span, Span::new(7, 9));
    }

    #[test]
    fn options_stand_anywhere_and_may_be_shortened() {
        let (given, left) = take_options("A -f B -rtol 1e-3 -3 -- -first", 0, &KNOWN).expect("known");
        assert_eq!(texts(&left), ["A", "B", "-3", "-first"]);
        assert_eq!(given.iter().map(|g| g.name).collect::<Vec<_>>(), ["-first", "-rtol"]);
        assert_eq!(given[1].value.as_ref().map(|v| v.text.as_str()), Some("1e-3"));
        let fails = |text| take_options(text, 0, &KNOWN).expect_err(text);
        assert_eq!(fails("-r").message, "ambiguous option -r: -rtol, -rows");
        assert_eq!(fails("-x").help.as_deref(), Some("choose from -first, -rtol, -rows, -metric"));
        assert_eq!(fails("-rtol").message, "option -rtol needs a value");
    }

    #[test]
    fn an_expression_goes_on_to_the_next_option_and_may_be_quoted() {
        let read = |text: &str| {
            let (given, left) = take_options(text, 3, &KNOWN).expect(text);
            let value = given.iter().find(|option| option.name == "-metric").and_then(|option| option.value.clone());
            let value = value.expect("a value");
            value.expr().expect("an expression");
            assert_eq!(
                &text[value.span.start - 3..value.span.end - 3].replace(['\'', '"', '\\'], ""),
                &value.text.replace('"', "")
            );
            (value.text, texts(&left).join(" "), given.len())
        };
        let all = r#"logit(" a") - logit(" -first") -x - -1"#;
        let is = |text: &str, left: &str, options: usize| (text.to_string(), left.to_string(), options);
        assert_eq!(read(&format!("A -metric {all} -first")), is(all, "A", 2));
        assert_eq!(read(&format!("-metric {all}")), is(all, "", 1));
        assert_eq!(read(&format!("-metric '{all}' A -first")), is(all, "A", 2));
        assert_eq!(read(r#"-metric "logit(\" a\") - x" A"#), is(r#"logit(" a") - x"#, "A", 1));
        assert_eq!(read("-metric x -- A"), is("x", "A", 1));
        let fails = |text| take_options(text, 0, &KNOWN).expect_err(text);
        assert_eq!(fails("-metric -first").message, "option -metric needs a value");
        assert_eq!(fails("-metric").message, "option -metric needs a value");
        assert_eq!(
            fails("-metric x -rtl 3").help.as_deref(),
            Some("did you mean -rtol? choose from -first, -rtol, -rows, -metric")
        );
    }

    #[test]
    fn single_quotes_hold_what_is_between_them() {
        let all = words("'a \"b\" c' it's 'x", 0).expect("splits");
        assert_eq!(texts(&all), ["a \"b\" c", "it's", "'x"]);
        assert!(all[0].quoted && !all[1].quoted);
    }

    #[test]
    fn numbers_and_ranges() {
        let read = |text| {
            parse_numbers(text, 0, &|name| (name == "bpnum").then_some(9))
                .map(|all| all.iter().map(|n| n.value).collect::<Vec<_>>())
        };
        assert_eq!(read("1-3 5,$bpnum"), Ok(vec![1, 2, 3, 5, 9]));
        assert_eq!(read(""), Ok(vec![]));
        assert!(read("3-1").is_err());
        assert!(read("1-4000000000").is_err());
        assert_eq!(read("1 x").expect_err("x").span, Span::new(2, 3));
        assert_eq!(read("$foo").expect_err("void").message, "$foo does not hold a number");
    }

    #[test]
    fn counts() {
        let word = |text: &str| words(text, 0).expect("splits").remove(0);
        assert_eq!(parse_count(&word("3")), Ok(3));
        assert!(parse_count(&word("x")).is_err());
    }
}
