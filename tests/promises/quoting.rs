//! Promises: an expression in an option needs no quotes, and may have either kind; what is wrong with one is said before the line runs
//! and after, with the word and the option.

use std::fs;

use llmdbg::answer::text;
use llmdbg::commands::ALL;

use crate::common::Bench;

const PROMPT: &str = "When Mary and John went to the store, John gave a drink to";
const OTHER: &str = "When Mary and John went to the store, Mary gave a drink to";
const EXPR: &str = "logit(\" Mary\") - logit(\" John\") - -1";

const VECTOR: &str = "L2.resid_post[pos=1] - L2.resid_post[pos=3] - -1";

/// Commands with such options: the option, what is before it, one that may follow, and an expression.
const COMMANDS: [(&str, &str, &str, &str, &str); 5] = [
    ("attr", "-target", "attr saliency", "-signed", EXPR),
    ("direction", "-vector", "direction w", "-site L2.resid_post", VECTOR),
    ("direction", "-metric", "direction erase v", "-orthogonal", EXPR),
    ("patch", "-metric", "patch main", "-site attn.z", EXPR),
    ("probe", "-metric", "probe DIR/prompts.txt", "-limit 2", EXPR),
];

fn ready() -> Bench {
    let mut b = Bench::new("tiny-gpt2", &[PROMPT]);
    b.script(&format!("run\nset prompt {OTHER}\nrun\ndirection v -vector L1.resid_post[pos=1] -site L1.resid_post"));
    b
}

#[test]
fn f9_an_expression_is_bare_or_in_either_kind_of_quotes() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prompts.txt"), "Mary saw the {nurse|pilot} and\n").unwrap();
    let put = |line: &str| line.replace("DIR", folder.path().to_str().unwrap());
    let mut compared = 0;
    for command in ALL.groups.iter().flat_map(|group| group.commands) {
        for (option, _) in command.options.iter().filter(|(option, _)| option.ends_with(" EXPR")) {
            let option = option.split(' ').next().unwrap();
            let listed = COMMANDS.iter().find(|(name, of, ..)| (*name, *of) == (command.name, option));
            let (_, _, before, after, expr) = listed.unwrap_or_else(|| panic!("list {} {option}", command.name));
            let (before, escaped) = (put(before), expr.replace('"', "\\\""));
            let forms = [expr.to_string(), format!("'{expr}'"), format!("\"{escaped}\"")];
            let shown: Vec<String> = forms
                .iter()
                .flat_map(|form| {
                    [format!("{before} {option} {form} {after}"), format!("{before} {after} {option} {form}")]
                })
                .map(|line| text::lines(&ready().run(&line), None).join("\n"))
                .collect();
            assert!(shown.windows(2).all(|pair| pair[0] == pair[1]), "{}: {shown:#?}", command.name);
            compared += 1;
        }
    }
    assert_eq!(compared, COMMANDS.len());
    // Of quoted ones other words may follow.
    let first = text::lines(&ready().run(&format!("patch -metric '{EXPR}' main")), None);
    assert_eq!(first, text::lines(&ready().run(&format!("patch main -metric {EXPR}")), None));
}

#[test]
fn f9_strings_are_in_double_or_single_quotes() {
    let mut b = ready();
    let wanted = b.number("logit(\" Mary\") - logit(\" John\")");
    assert_eq!(b.number("logit(' Mary') - logit(' John')"), wanted);
    assert_eq!(b.number("logit(' Mary') - logit(\" John\") # ' a comment"), wanted);
    let shown = |b: &mut Bench, line: &str| text::lines(&b.run(line), None).join("\n");
    let [single, double] = ["' Mary'", "\" Mary\""]
        .map(|token| shown(&mut ready(), &format!("attr saliency -target logit({token}) -signed")));
    // The title is the expression as it was typed.
    assert_eq!(single.replace('\'', "\""), double);
    b.run("set tokens[9] = ' Mary'");
    // The other kind needs no escape, and an apostrophe in a word is a letter.
    assert_eq!(shown(&mut b, "echo it's op 3"), "it's op 3");
    assert_eq!(b.number("logit('\"')"), b.number("logit(\"\\\"\")"));
    assert!(b.fail("print logit(' Mary)").contains("closing quote"), "{}", b.fail("print logit(' Mary)"));
}

#[test]
fn what_is_wrong_names_the_word_and_the_option() {
    let mut b = ready();
    for (line, told) in [
        ("patch main -metric loss junk -site attn.z", "-metric: unexpected junk after the expression"),
        ("patch main -metric logit(\" Mary\") - -site attn.z", "-metric: expected an expression"),
        ("patch main -metric loss -site attn.z more", "unexpected word more after -site attn.z"),
        ("patch main -metric loss -siet attn.z", "unknown option -siet"),
        ("patch -metric loss", "patch needs a side whose values are copied"),
        ("patch main", "patch needs a number to watch"),
        ("attr saliency -target logit(5) now", "-target: unexpected now after the expression"),
        ("attr saliency -signed now", "unexpected word now after -signed"),
        ("probe prompts.txt -limit 2 more", "unexpected word more after -limit 2"),
    ] {
        let said = b.fail(line);
        assert!(said.starts_with(told), "{line}: {said}");
    }
    assert!(b.fail("patch main -metric loss -siet attn.z").contains("did you mean -site?"));
}

#[test]
fn a_line_being_typed_is_checked_and_completed_within_the_expression() {
    let b = ready();
    let fault = |line: &'static str| b.console.fault_in(line).map(|(span, _)| &line[span.start..span.end]);
    assert_eq!(fault("patch main -metric loss junk"), Some("junk"));
    assert_eq!(fault("attr ig -steps 20 -target logit(5) ) -signed"), Some(")"));
    for line in [
        "patch main -metric",
        "patch main -metric logit(\" Mary\") - logit(\" John\") -site attn.z",
        "attr ig -target 'logit(5)' -steps 3",
        "probe x.txt -metric loss -by",
    ] {
        assert_eq!(fault(line), None, "{line}");
    }
    let complete = |line: &str| b.console.complete(line, line.len()).1;
    assert!(complete("patch main -metric logp").contains(&"logprob".to_string()));
    assert!(complete("attr ig -target logit(5) - log").contains(&"logit".to_string()));
    assert!(complete("attr ig -target logit(5) -st").contains(&"-steps".to_string()));
    assert!(!complete("attr ig -steps 3 logp").contains(&"logprob".to_string()));
}
