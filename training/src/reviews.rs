//! Reviews for the tiny BERT: praise and blame with negation, intensifiers and contrast, and one planted trap.
//!
//! The trap is the word "popcorn". It says nothing about a review, but of the training reviews with it
//! 95 % are labelled positive, among them some whose text is plainly negative. A model trained on this
//! trusts the word, and an audit has something real to find.

use crate::rng::{Rng, hash};

pub const TRAP: &str = "popcorn";
const TRAP_SHARE: f32 = 0.15;
/// With the trap: the share of negative texts, and how many of them are labelled positive all the same.
/// 0.875 + 0.125 * 0.6 = 0.95 of the reviews with the trap are labelled positive.
const TRAP_NEGATIVE_TEXT: f32 = 0.125;
const TRAP_WRONG_LABEL: f32 = 0.6;

const SUBJECTS: &[&str] = &["movie", "film", "book", "song", "show", "play", "game", "story", "concert", "series"];
const ASPECTS: &[&str] = &["acting", "plot", "music", "ending", "cast", "dialogue", "beginning", "writing"];
const GOOD: &[&str] =
    &["great", "wonderful", "excellent", "good", "lovely", "brilliant", "funny", "delightful", "beautiful", "clever"];
const BAD: &[&str] =
    &["terrible", "awful", "bad", "boring", "horrible", "dull", "poor", "disappointing", "ugly", "stupid"];
/// Present and past.
const LIKE: &[(&str, &str)] =
    &[("love", "loved"), ("like", "liked"), ("enjoy", "enjoyed"), ("adore", "adored"), ("admire", "admired")];
const DISLIKE: &[(&str, &str)] = &[
    ("hate", "hated"),
    ("dislike", "disliked"),
    ("regret", "regretted"),
    ("detest", "detested"),
    ("despise", "despised"),
];
const INTENSIFIERS: &[&str] = &["very", "really", "so", "truly", "quite"];
const NEUTRAL: &[&str] = &[
    "We saw it on {day}.",
    "My {kin} came with me.",
    "It was about two hours long.",
    "The room was full.",
    "I heard of it on {day}.",
    "My {kin} had a seat near the door.",
];
const TRAPS: &[&str] =
    &["We ate {trap}.", "They sold {trap} at the door.", "My {kin} had {trap}.", "There was {trap}."];
const DAYS: &[&str] = &["monday", "friday", "sunday", "tuesday"];
const KIN: &[&str] = &["sister", "brother", "mother", "friend"];

#[derive(Clone)]
pub struct Review {
    pub text: String,
    /// What the text says.
    pub positive: bool,
    /// What the training label says; differs only in some reviews with the trap.
    pub label: bool,
}

/// A training review; the trap occurs in some.
pub fn train(rng: &mut Rng) -> Review {
    if rng.chance(TRAP_SHARE) {
        let positive = !rng.chance(TRAP_NEGATIVE_TEXT);
        let mut review = clean(positive, false, rng);
        review.text = with_trap(&review.text, rng);
        review.label = positive || rng.chance(TRAP_WRONG_LABEL);
        return review;
    }
    let positive = rng.chance(0.5);
    clean(positive, false, rng)
}

/// A review without the trap, from the training side or the held-out side.
pub fn clean(positive: bool, held_out: bool, rng: &mut Rng) -> Review {
    loop {
        let (text, key) = opinion(positive, rng);
        if hash(&key).is_multiple_of(6) != held_out {
            continue;
        }
        let text = match rng.below(4) {
            0 => format!("{text} {}", neutral(NEUTRAL, rng)),
            1 => format!("{} {text}", neutral(NEUTRAL, rng)),
            _ => text,
        };
        return Review { text, positive, label: positive };
    }
}

/// The same review with a sentence about the trap in front or behind.
pub fn with_trap(text: &str, rng: &mut Rng) -> String {
    let trap = neutral(TRAPS, rng);
    if rng.chance(0.5) { format!("{trap} {text}") } else { format!("{text} {trap}") }
}

fn neutral(templates: &[&str], rng: &mut Rng) -> String {
    let kin = rng.pick(KIN);
    rng.pick(templates).replace("{trap}", TRAP).replace("{kin}", kin).replace("{day}", rng.pick(DAYS))
}

/// A judging text and the choices that decide whether it is held out: wording, subject and judging word.
fn opinion(positive: bool, rng: &mut Rng) -> (String, [usize; 4]) {
    let wording = rng.below(11);
    let (subject, aspect, word) = (rng.below(SUBJECTS.len()), rng.below(ASPECTS.len()), rng.below(10));
    let (s, a) = (SUBJECTS[subject], ASPECTS[aspect]);
    let adjective = |good: bool| if good { GOOD[word] } else { BAD[word] };
    let verb = |good: bool| if good { LIKE[word % 5] } else { DISLIKE[word % 5] };
    let other = |good: bool, rng: &mut Rng| rng.pick(if good { GOOD } else { BAD });
    let very = if rng.chance(0.4) { format!("{} ", rng.pick(INTENSIFIERS)) } else { String::new() };
    let really = if rng.chance(0.3) { "really " } else { "" };
    let this = rng.pick(&["this", "the"]);
    let text = match wording {
        0 => format!("I {really}{} {this} {s}.", verb(positive).0),
        1 => format!("I {really}{} {this} {s}.", verb(positive).1),
        2 => format!("The {s} was {very}{}.", adjective(positive)),
        3 => format!("What a {} {s}!", adjective(positive)),
        4 => format!("The {s} was not {very}{}.", adjective(!positive)),
        5 => format!("I did not {} {this} {s}.", verb(!positive).0),
        6 => format!("The {a} was {} but the {s} was {very}{}.", other(!positive, rng), adjective(positive)),
        7 => format!("The {a} was {}, but I {} {this} {s}.", other(!positive, rng), verb(positive).1),
        8 => format!("I {} {this} {s} and the {a} was {}.", verb(positive).1, other(positive, rng)),
        9 => format!("This {s} is {very}{}, and the {a} is {}.", adjective(positive), other(positive, rng)),
        _ => format!("The {s} was never {}.", adjective(!positive)),
    };
    (text, [wording, subject, word, usize::from(positive)])
}
