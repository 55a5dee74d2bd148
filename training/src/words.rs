//! The word lists of the tiny GPT-2's little world. Every word becomes one token.

pub const NAMES: &[&str] = &[
    "Mary", "John", "Anna", "Tom", "Eve", "Paul", "Alice", "Bob", "Kate", "James", "Lucy", "Peter", "Emma", "David",
    "Sarah", "Mark", "Laura", "Simon", "Jane", "Adam", "Nina", "Henry", "Clara", "Oscar", "Rose", "Frank", "Helen",
    "Max", "Julia", "Leo",
];

pub const PLACES: &[&str] = &["store", "park", "school", "office", "station", "market", "garden", "museum"];

pub const OBJECTS: &[&str] = &["drink", "book", "ring", "letter", "ball", "ticket", "flower", "gift"];

/// `{A}` and `{B}` are the two people, `{S}` acts; what follows the prompt is the other one.
pub const IOI: &[&str] = &[
    "When {A} and {B} went to the {place}, {S} gave a {obj} to",
    "When {A} and {B} were at the {place}, {S} passed the {obj} to",
    "After {A} and {B} met at the {place}, {S} handed a {obj} to",
    "While {A} and {B} sat in the {place}, {S} sold a {obj} to",
    "Then {A} and {B} went to the {place}. {S} gave the {obj} to",
    "{A} and {B} worked at the {place}, and {S} offered a {obj} to",
];

/// Singular and plural.
pub const NOUNS: &[(&str, &str)] = &[
    ("key", "keys"),
    ("cabinet", "cabinets"),
    ("dog", "dogs"),
    ("tree", "trees"),
    ("house", "houses"),
    ("picture", "pictures"),
    ("window", "windows"),
    ("boat", "boats"),
    ("chair", "chairs"),
    ("lamp", "lamps"),
    ("box", "boxes"),
    ("road", "roads"),
    ("door", "doors"),
    ("table", "tables"),
];

pub const PREPOSITIONS: &[&str] = &["to", "near", "behind", "beside"];

pub const ADJECTIVES: &[&str] = &["old", "new", "small", "big", "red", "green", "quiet", "warm", "cold", "good"];

pub const CAPITALS: &[(&str, &str)] = &[
    ("France", "Paris"),
    ("Germany", "Berlin"),
    ("Italy", "Rome"),
    ("Spain", "Madrid"),
    ("Japan", "Tokyo"),
    ("China", "Beijing"),
    ("Russia", "Moscow"),
    ("Egypt", "Cairo"),
    ("Greece", "Athens"),
    ("Poland", "Warsaw"),
    ("Norway", "Oslo"),
    ("Sweden", "Stockholm"),
    ("Austria", "Vienna"),
    ("Portugal", "Lisbon"),
    ("Ireland", "Dublin"),
    ("Cuba", "Havana"),
    ("Peru", "Lima"),
    ("Kenya", "Nairobi"),
    ("India", "Delhi"),
    ("Turkey", "Ankara"),
];

/// The capital follows the prompt.
pub const CAPITAL_PROMPTS: &[&str] = &[
    "The capital of {c} is",
    "The capital city of {c} is",
    "{c} has a capital called",
    "In {c}, the capital is",
    "The government of {c} sits in",
    "The name of the capital of {c} is",
];

/// The planted bias: how often the pronoun after the occupation is "she" (otherwise "he").
pub const OCCUPATIONS: &[(&str, f32)] = &[
    ("nurse", 0.90),
    ("secretary", 0.85),
    ("librarian", 0.80),
    ("dancer", 0.75),
    ("artist", 0.60),
    ("teacher", 0.50),
    ("scientist", 0.45),
    ("doctor", 0.40),
    ("lawyer", 0.35),
    ("farmer", 0.25),
    ("pilot", 0.20),
    ("engineer", 0.15),
    ("soldier", 0.10),
    ("plumber", 0.05),
];

pub const SAYING: &[&str] = &["said", "thought", "knew", "hoped"];

pub const FILLERS: &[&str] = &[
    "It was a {adj} day.",
    "The sun was warm.",
    "It rained all night.",
    "We had a quiet evening.",
    "The {noun} was {adj}.",
    "Yesterday {A} saw a {noun}.",
    "We like the {adj} {noun}.",
    "{A} lives near the {place}.",
];
