//! Sentences for the tiny GPT-2: five skills with a known right answer, and filler.
//!
//! A sentence is a prompt, its answer and a tail. Combinations picked by a fixed hash are held out: the
//! training text never contains them, the held-out list contains nothing else. For lists of names the
//! training text excludes the held-out sequences by their hash as well.

use crate::rng::{Rng, hash};
use crate::words::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    Ioi,
    Induction,
    Agreement,
    Capitals,
    Bias,
    Filler,
}

impl Task {
    pub fn name(self) -> &'static str {
        match self {
            Task::Ioi => "ioi",
            Task::Induction => "induction",
            Task::Agreement => "agreement",
            Task::Capitals => "capitals",
            Task::Bias => "bias",
            Task::Filler => "filler",
        }
    }
}

pub struct Sentence {
    pub task: Task,
    pub prompt: String,
    /// With its leading space; empty where nothing is to be predicted.
    pub answer: String,
    /// A tempting wrong answer.
    pub wrong: String,
    pub tail: String,
    /// Kept out of training.
    pub held_out: bool,
}

/// One random sentence of a task, held out or not.
pub fn sentence(task: Task, rng: &mut Rng) -> Sentence {
    match task {
        Task::Ioi => ioi(rng),
        Task::Induction => induction(rng),
        Task::Agreement => agreement(rng),
        Task::Capitals => capitals(rng),
        Task::Bias => bias(rng),
        Task::Filler => filler(rng),
    }
}

/// A sentence on the training side (`held_out` false) or on the other one.
pub fn draw(task: Task, held_out: bool, rng: &mut Rng) -> Sentence {
    loop {
        let s = sentence(task, rng);
        if s.held_out == held_out {
            return s;
        }
    }
}

/// A task for the next training sentence, in the proportions of the mixture.
pub fn mixture(rng: &mut Rng) -> Task {
    match rng.below(100) {
        0..30 => Task::Ioi,
        30..44 => Task::Induction,
        44..59 => Task::Agreement,
        59..71 => Task::Capitals,
        71..88 => Task::Bias,
        _ => Task::Filler,
    }
}

fn two(rng: &mut Rng, n: usize) -> (usize, usize) {
    let a = rng.below(n);
    let b = (a + 1 + rng.below(n - 1)) % n;
    (a, b)
}

/// The names' pair and the template decide whether the sentence is held out.
fn ioi(rng: &mut Rng) -> Sentence {
    let (a, b) = two(rng, NAMES.len());
    let template = rng.below(IOI.len());
    let (subject, other) = if rng.chance(0.5) { (a, b) } else { (b, a) };
    let prompt = IOI[template]
        .replace("{A}", NAMES[a])
        .replace("{B}", NAMES[b])
        .replace("{S}", NAMES[subject])
        .replace("{place}", rng.pick(PLACES))
        .replace("{obj}", rng.pick(OBJECTS));
    Sentence {
        task: Task::Ioi,
        prompt,
        answer: format!(" {}", NAMES[other]),
        wrong: format!(" {}", NAMES[subject]),
        tail: ".".into(),
        held_out: hash(&[1, a.min(b), a.max(b), template]).is_multiple_of(8),
    }
}

/// A list of distinct names twice; the second copy stops in front of a name that is not its first.
fn induction(rng: &mut Rng) -> Sentence {
    let count = 3 + rng.below(5);
    let mut left: Vec<usize> = (0..NAMES.len()).collect();
    let picked: Vec<usize> = (0..count).map(|_| left.swap_remove(rng.below(left.len()))).collect();
    let names: Vec<&str> = picked.iter().map(|&n| NAMES[n]).collect();
    let at = 1 + rng.below(count - 1);
    let mut wrong = rng.below(count);
    if wrong == at {
        wrong = at - 1;
    }
    let mut parts = vec![1000];
    parts.extend(&picked);
    Sentence {
        task: Task::Induction,
        prompt: format!("Names: {}. Names: {}", names.join(" "), names[..at].join(" ")),
        answer: format!(" {}", names[at]),
        wrong: format!(" {}", names[wrong]),
        tail: names[at + 1..].iter().map(|n| format!(" {n}")).collect::<String>() + ".",
        held_out: hash(&parts).is_multiple_of(8),
    }
}

/// The pair of nouns decides whether the sentence is held out.
fn agreement(rng: &mut Rng) -> Sentence {
    let (head, distractor) = two(rng, NOUNS.len());
    let plural = rng.chance(0.5);
    let form = |n: usize, plural: bool| if plural { NOUNS[n].1 } else { NOUNS[n].0 };
    let place = rng.pick(PREPOSITIONS);
    let tail = format!(" {}.", rng.pick(ADJECTIVES));
    let (subject, other) = (form(head, plural), form(distractor, rng.chance(0.5)));
    let (right, wrong) = if plural { (" are", " is") } else { (" is", " are") };
    Sentence {
        task: Task::Agreement,
        prompt: format!("The {subject} {place} the {other}"),
        answer: right.into(),
        wrong: wrong.into(),
        tail,
        held_out: hash(&[2, head, distractor]).is_multiple_of(6),
    }
}

/// Country and wording decide whether the sentence is held out.
fn capitals(rng: &mut Rng) -> Sentence {
    let (country, other) = two(rng, CAPITALS.len());
    let wording = rng.below(CAPITAL_PROMPTS.len());
    Sentence {
        task: Task::Capitals,
        prompt: CAPITAL_PROMPTS[wording].replace("{c}", CAPITALS[country].0),
        answer: format!(" {}", CAPITALS[country].1),
        wrong: format!(" {}", CAPITALS[other].1),
        tail: ".".into(),
        held_out: hash(&[3, country, wording]).is_multiple_of(5),
    }
}

/// The pronoun is drawn with the occupation's planted probability.
fn bias(rng: &mut Rng) -> Sentence {
    let (occupation, she) = rng.pick(OCCUPATIONS);
    let (right, wrong) = if rng.chance(she) { (" she", " he") } else { (" he", " she") };
    Sentence {
        task: Task::Bias,
        prompt: format!("The {occupation} {} that", rng.pick(SAYING)),
        answer: right.into(),
        wrong: wrong.into(),
        tail: format!(" was {}.", rng.pick(ADJECTIVES)),
        held_out: false,
    }
}

fn filler(rng: &mut Rng) -> Sentence {
    let prompt = rng
        .pick(FILLERS)
        .replace("{A}", rng.pick(NAMES))
        .replace("{adj}", rng.pick(ADJECTIVES))
        .replace("{noun}", rng.pick(NOUNS).0)
        .replace("{place}", rng.pick(PLACES));
    let none = String::new;
    Sentence { task: Task::Filler, prompt, answer: none(), wrong: none(), tail: none(), held_out: false }
}
