//! Running a template, with the settings and functions that transformers gives it and within limits.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use jiff::ZonedDateTime;
use jiff::fmt::strtime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State};
use minijinja_contrib::pycompat::unknown_method_callback;
use regex::{Captures, Regex};

use super::conversation::Conversation;
use super::error::ChatError;
use super::json::{Style, dumps};
use super::templates::Template;

/// Work that a template may do: instructions, and 64 bytes made count as one. Templates of real models take some
/// thousand for a turn; this is below a second, and at most some hundred megabytes.
const FUEL: u64 = 2_000_000;

/// Work of writing a byte of JSON, in 64ths.
const JSON_BYTE: usize = 16;

/// Longest JSON that a template may make.
const LONGEST_JSON: usize = 8 << 20;

/// Longest template that is compiled.
const LONGEST: usize = 1 << 20;

/// Longest text that a template may make of a conversation, in addition to that many times the text of its messages and
/// variables. What templates of real models say themselves is a few thousand bytes.
const LONGEST_OWN: usize = 64 << 10;
const COPIES: usize = 16;

const DEEPEST: usize = 200;

/// A stack that values nested as deeply as the fuel allows can be dropped on. Only what is used of it takes memory.
const STACK: usize = 256 << 20;

/// Runs a template over a conversation. `tokens` are the texts of special tokens by the names that templates know;
/// `prompt` asks for the beginning of the answer at the end.
///
/// # Errors
/// If the template is wrong, refuses the conversation, or meets a limit; all within a second or two.
pub fn render(
    template: &Template,
    conversation: &Conversation,
    tokens: &BTreeMap<String, String>,
    prompt: bool,
) -> Result<String, ChatError> {
    let run = || {
        let refused = Arc::new(Mutex::new(None));
        let outcome = carry_out(template, conversation, tokens, prompt, &refused);
        let message = refused.lock().ok().and_then(|mut message| message.take());
        outcome.map_err(|error| match message {
            Some(message) => ChatError::Refused { message },
            None => in_words(&error, &template.source),
        })
    };
    let failed = |message: &str| ChatError::Failed {
        source_name: template.source.clone(),
        line: None,
        message: message.to_owned(),
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("template".into()).stack_size(STACK).spawn_scoped(scope, run);
        thread.map_err(|error| failed(&error.to_string()))?.join().unwrap_or_else(|_| Err(failed("internal error")))
    })
}

fn carry_out(
    template: &Template,
    conversation: &Conversation,
    tokens: &BTreeMap<String, String>,
    prompt: bool,
    refused: &Arc<Mutex<Option<String>>>,
) -> Result<String, Error> {
    if template.text.len() > LONGEST {
        let message = format!("it has {} bytes, more than {LONGEST}", template.text.len());
        return Err(Error::new(ErrorKind::OutOfFuel, message));
    }
    // Jinja knows one kind of line end.
    let text = without_generation_blocks(&template.text.replace("\r\n", "\n").replace('\r', "\n"));
    let mut environment = environment(refused.clone())?;
    let given = conversation.messages().iter().flat_map(|message| message.values());
    let content: usize = given.chain(conversation.variables().values()).map(weight).sum();
    environment.set_fuel(Some(FUEL + content as u64));
    let mut variables = conversation.variables().clone();
    for (name, text) in tokens {
        variables.entry(name.clone()).or_insert_with(|| text.clone().into());
    }
    // Absent ones are none, not undefined, as transformers passes them.
    for name in ["tools", "documents"] {
        variables.entry(name).or_insert(serde_json::Value::Null);
    }
    variables.entry("add_generation_prompt").or_insert(prompt.into());
    let messages = conversation.messages().iter().cloned().map(serde_json::Value::Object).collect();
    variables.insert("messages".into(), serde_json::Value::Array(messages));
    let made = environment.template_from_str(&text)?.render(Value::from(Serde(&variables)))?;
    if made.len() > LONGEST_OWN + COPIES * content {
        let message = format!("it makes {} bytes of a conversation of {content}", made.len());
        return Err(Error::new(ErrorKind::OutOfFuel, message));
    }
    Ok(made)
}

/// Bytes of text in a value, roughly.
fn weight(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len(),
        other => other.to_string().len(),
    }
}

fn environment(refused: Arc<Mutex<Option<String>>>) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_recursion_limit(DEEPEST);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_filter("tojson", tojson);
    // For minijinja none can be iterated over; for Jinja it cannot, and templates ask whether `tools` can.
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment.add_function("strftime_now", strftime_now);
    environment.add_function("raise_exception", move |message: String| -> Result<Value, Error> {
        if let Ok(mut slot) = refused.lock() {
            *slot = Some(message.clone());
        }
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    Ok(environment)
}

/// `tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false)`.
fn tojson(state: &State, value: Value, given: Rest<Value>, named: Kwargs) -> Result<String, Error> {
    let wrong = |message: &str| Error::new(ErrorKind::InvalidOperation, format!("tojson: {message}"));
    if value.is_undefined() {
        return Err(wrong("the value is undefined"));
    }
    let argument = |position: usize, name: &str| match given.get(position) {
        Some(value) => Ok(Some(value.clone())),
        None => named.get::<Option<Value>>(name),
    };
    let (ascii, indent) = (argument(0, "ensure_ascii")?, argument(1, "indent")?);
    let (separators, sorted) = (argument(2, "separators")?, argument(3, "sort_keys")?);
    named.assert_all_used()?;
    let indent = match indent.filter(|indent| !indent.is_none()) {
        None => None,
        Some(indent) => match (indent.as_str(), usize::try_from(indent.clone())) {
            (Some(text), _) => Some(text.to_owned()),
            (None, Ok(spaces)) if spaces <= 64 => Some(" ".repeat(spaces)),
            _ => return Err(wrong("indent is a small number or a string")),
        },
    };
    let truth = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let mut style = Style { ascii: truth(ascii), sorted: truth(sorted), ..Style::new(indent) };
    if let Some(pair) = separators.filter(|pair| !pair.is_none()) {
        let texts: Vec<String> = pair.try_iter()?.filter_map(|item| item.as_str().map(str::to_owned)).collect();
        let [comma, colon] = texts.as_slice() else { return Err(wrong("separators are two strings")) };
        (style.comma, style.colon) = (comma.clone(), colon.clone());
    }
    let json = serde_json::to_value(&value).map_err(|error| wrong(&error.to_string()))?;
    let text = dumps(&json, &style, LONGEST_JSON).ok_or_else(|| Error::from(ErrorKind::OutOfFuel))?;
    state.consume_fuel((text.len() * JSON_BYTE / 64) as u64)?;
    Ok(text)
}

/// The time now, as Python's `strftime` writes it.
fn strftime_now(format: String) -> Result<String, Error> {
    strtime::format(&format, &ZonedDateTime::now())
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {error}")))
}

/// `{% generation %}` marks what the assistant said, for training. Its body stays, in its own scope as transformers has
/// it.
fn without_generation_blocks(text: &str) -> String {
    static TAG: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").ok());
    let with = |found: &Captures<'_>| {
        let end = if found.get(2).is_some() { "end" } else { "" };
        format!("{{%{} {end}with {}%}}", &found[1], &found[3])
    };
    TAG.as_ref().map_or_else(|| text.to_owned(), |tag| tag.replace_all(text, with).into_owned())
}

fn in_words(error: &Error, source: &str) -> ChatError {
    // Errors in called macros and methods are wrapped; the innermost says what happened.
    let mut inner = error;
    while let Some(next) = std::error::Error::source(inner).and_then(|next| next.downcast_ref::<Error>()) {
        inner = next;
    }
    let line = inner.line().or_else(|| error.line());
    let source_name = source.to_owned();
    let detail = inner.detail().map_or_else(|| inner.kind().to_string(), str::to_owned);
    let deep = detail.contains("recursion") || detail.contains("exceeds maximum nesting");
    let kind = inner.kind();
    let message = match (kind, inner.detail()) {
        (ErrorKind::OutOfFuel, None) => "it does not end, or makes too much text".to_owned(),
        (ErrorKind::OutOfFuel | ErrorKind::InvalidOperation | ErrorKind::SyntaxError, _) | (_, None) => detail,
        _ if deep => detail,
        _ => format!("{kind}: {detail}"),
    };
    if deep || kind == ErrorKind::OutOfFuel {
        ChatError::Runaway { source_name, line, message }
    } else {
        ChatError::Failed { source_name, line, message }
    }
}
