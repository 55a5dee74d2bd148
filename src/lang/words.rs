//! A command's arguments as words: for the commands that take names, counts, files and options rather than one
//! expression.
//!
//! A word ends at a space outside quotes, brackets and `/regex/`, so that `diff A B L5.attn.z[1, 2] -first` has four
//! arguments and an option.

use super::lexer::Lexer;
use super::{LangError, Result, Span, Spanned};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word; if it is one string literal, without the quotes.
    pub text: String,
    /// Whether it was a string literal, which is never an option.
    pub quoted: bool,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// With its dash: `-all-rows`.
    pub name: &'static str,
    /// Whether the next word is its value.
    pub takes_value: bool,
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
        all.push(Word { quoted: literal.is_some(), text: literal.unwrap_or_else(|| typed.to_string()), span });
        at = end;
    }
}

fn word_length(text: &str, offset: usize) -> Result<usize> {
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
            '"' => {
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

/// Takes the options out of `words`, wherever they are; `--` ends them. A name may be shortened while it is
/// unambiguous.
pub fn take_options(words: Vec<Word>, known: &[OptionSpec]) -> Result<(Vec<Given>, Vec<Word>)> {
    let mut given = Vec::new();
    let mut left = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word.quoted || !is_option(&word.text) {
            left.push(word);
        } else if word.text == "--" {
            left.extend(words);
            break;
        } else {
            let spec = find_option(&word, known)?;
            let missing = || LangError::new(format!("option {} needs a value", spec.name), word.span);
            let value = spec.takes_value.then(|| words.next().ok_or_else(missing)).transpose()?;
            given.push(Given { name: spec.name, value, span: word.span });
        }
    }
    Ok((given, left))
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
            let help = match known {
                [] => "this command takes no options here".to_string(),
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

    const KNOWN: [OptionSpec; 3] = [
        OptionSpec { name: "-first", takes_value: false },
        OptionSpec { name: "-rtol", takes_value: true },
        OptionSpec { name: "-rows", takes_value: false },
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
        let (given, left) =
            take_options(words("A -f B -rtol 1e-3 -3 -- -first", 0).expect("splits"), &KNOWN).expect("known");
        assert_eq!(texts(&left), ["A", "B", "-3", "-first"]);
        assert_eq!(given.iter().map(|g| g.name).collect::<Vec<_>>(), ["-first", "-rtol"]);
        assert_eq!(given[1].value.as_ref().map(|v| v.text.as_str()), Some("1e-3"));
        let fails = |text| take_options(words(text, 0).expect("splits"), &KNOWN).expect_err(text);
        assert_eq!(fails("-r").message, "ambiguous option -r: -rtol, -rows");
        assert_eq!(fails("-x").help.as_deref(), Some("choose from -first, -rtol, -rows"));
        assert_eq!(fails("-rtol").message, "option -rtol needs a value");
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
