//! What `attr` was given.

use super::methods::{Kind, METHODS, Method, NAMES};
use crate::analysis::attribution::{RULES, Rule};
use crate::answer::text::quoted;
use crate::commands::frame::{declared, mistake};
use crate::commands::state::Console;
use crate::debugger::{Error, Result};
use crate::lang::command::Vocabulary;
use crate::lang::eval::Datum;
use crate::lang::{Expr, LangError, Span, parse_expr, strings};
use crate::tensor::Axis;

/// Options of `attr`.
pub const OPTIONS: &[(&str, &str)] = &[
    ("-target EXPR", "the number to explain"),
    (
        "-baseline B",
        "zero (the default), pad, mask, mean, a text of as many tokens, or FILE.safetensors with the site's values",
    ),
    ("-at SITE", "where it is attributed to, embed by default; a layer's site for the layer forms"),
    ("-steps N", "points of a path, 50 by default; auto doubles them until the sum fits"),
    ("-rule R", "gausslegendre (the default), riemann_left, riemann_right, riemann_middle, riemann_trapezoid"),
    ("-samples N", "random samples: 5 for gradientshap and smoothgrad, 25 for shapley, 200 for kernelshap and lime"),
    ("-stdev X", "standard deviation of the noise"),
    ("-seed S", "where the random numbers begin, 0 by default"),
    ("-window N", "tokens that occlusion hides at once, 1 by default"),
    ("-through NEURON", "the element of a site that neuron conductance goes through"),
    ("-alpha X", "weight of the penalty that makes lime's surrogate sparse, 0.01 by default"),
    ("-signed", "keep the sign of saliency"),
    ("-quality", "infidelity and sensitivity, as Captum defines them"),
];

/// Methods that people ask for and that are not computed, and why.
const REFUSED: [(&str, &str); 2] = [
    (
        "deeplift",
        "it has no rule for softmax over scores, for norms and for products; elsewhere it falls back on the plain gradient",
    ),
    (
        "deepliftshap",
        "it is DeepLift over several baselines, which has no rule for softmax over scores, for norms and for products",
    ),
];

#[derive(Clone, Debug, PartialEq)]
pub enum Baseline {
    Zero,
    /// The token that fills rows up, at every position; for paths, tokens that begin, separate and end texts stay.
    Pad,
    /// The same with the token to be filled in.
    Mask,
    /// The mean of all token embeddings.
    Mean,
    Text(String),
    /// The value of the site in a safetensors file.
    File(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steps {
    Count(usize),
    /// As many as it takes.
    Auto,
}

/// What `attr` was given.
pub struct Given {
    pub method: &'static Method,
    target: Option<(String, usize)>,
    /// The site and where it is.
    pub site: Option<(String, Span)>,
    pub baselines: Vec<(Baseline, Span)>,
    pub steps: Option<Steps>,
    pub rule: Rule,
    pub samples: Option<usize>,
    pub stdev: Option<f64>,
    pub seed: u64,
    pub window: usize,
    pub alpha: f64,
    /// The neuron that a path goes through, and where it is.
    pub through: Option<(String, Span)>,
    pub signed: bool,
    pub quality: bool,
}

impl Given {
    /// Reads the arguments. The value of an option ends where the next one begins, so that an expression needs no quotes.
    pub fn read(text: &str, offset: usize) -> Result<Given> {
        let (head, options) = parts(text);
        let method = head.trim();
        let span = Span::new(offset, offset + method.len());
        if method.is_empty() {
            return Err(mistake("expected a method", Span::at(offset), format!("one of {}", NAMES.join(", "))));
        }
        if let Some(extra) = method.find(char::is_whitespace) {
            let at = offset + method.len() - method[extra..].trim_start().len();
            let span = Span::new(at, offset + method.len());
            return Err(mistake("unexpected word", span, "attr METHOD -target EXPR -at SITE -baseline zero"));
        }
        Given::of(method, span, options, offset)
    }

    /// The same for one method of several, whose options are `text`, and for target number `target` of those that are given.
    pub fn read_for(method: &str, span: Span, (text, offset): (&str, usize), target: usize) -> Result<Given> {
        let mut seen = 0;
        let wanted = |(name, _, _): &(&str, &str, usize)| {
            let other = *name == "-target" && seen != target;
            seen += usize::from(*name == "-target");
            !other
        };
        Given::of(method, span, parts(text).1.into_iter().filter(wanted).collect(), offset)
    }

    fn of(method: &str, span: Span, options: Vec<(&'static str, &str, usize)>, offset: usize) -> Result<Given> {
        if let Some((_, why)) = REFUSED.iter().find(|(known, _)| *known == method) {
            let help = "ig with -steps auto is exact in the end, and ablation measures";
            return Err(mistake(format!("{method} is not computed: {why}"), span, help));
        }
        let name = Vocabulary { of: "attr", names: &NAMES, short: &[] }.resolve(method, span)?;
        let method = METHODS.iter().find(|known| known.name == name);
        let method = method.ok_or_else(|| format!("no method {name}"))?;
        let mut given = Given {
            method,
            target: None,
            site: None,
            baselines: Vec::new(),
            steps: None,
            rule: Rule::default(),
            samples: None,
            stdev: None,
            seed: 0,
            window: 1,
            alpha: 0.01,
            through: None,
            signed: false,
            quality: false,
        };
        for (name, value, at) in options {
            given.take(name, value, offset + at)?;
        }
        if given.baselines.is_empty() {
            given.baselines.push((Baseline::Zero, span));
        }
        Ok(given)
    }

    fn take(&mut self, name: &str, text: &str, at: usize) -> Result<()> {
        let value = text.trim();
        let start = at + text.len() - text.trim_start().len();
        let span = Span::new(start, start + value.len());
        let wrong = |what: &str| Error::At(LangError::new(format!("{name} is {what}"), span));
        let count = |what: &str| value.parse::<usize>().ok().filter(|n| *n > 0).ok_or_else(|| wrong(what));
        let number = || value.parse::<f64>().ok().filter(|x| x.is_finite() && *x >= 0.0);
        let number = || number().ok_or_else(|| wrong("a number of at least 0"));
        let takes_value = OPTIONS.iter().map(declared).any(|(known, value)| known == name && value.is_some());
        if takes_value == value.is_empty() {
            let what = if takes_value { format!("option {name} needs a value") } else { format!("{name} takes none") };
            return Err(LangError::new(what, span).into());
        }
        match name {
            "-target" if value.starts_with('"') && value.len() > 1 && value.ends_with('"') => {
                self.target = Some((strings::literal(value, start)?.0, start));
            }
            "-target" => self.target = Some((value.to_string(), start)),
            "-through" => self.through = Some((value.to_string(), span)),
            "-at" => self.site = Some((value.to_string(), span)),
            "-baseline" => self.baselines.push((baseline(value, start)?, span)),
            "-steps" if value == "auto" => self.steps = Some(Steps::Auto),
            "-steps" => self.steps = Some(Steps::Count(count("a number of points, or auto")?)),
            "-rule" => {
                let names = || RULES.map(|(name, _)| name).join(", ");
                let rule = RULES.iter().find(|(known, _)| *known == value);
                self.rule = rule.ok_or_else(|| wrong(&format!("one of {}", names())))?.1;
            }
            "-samples" => self.samples = Some(count("a number of samples")?),
            "-window" => self.window = count("a number of tokens")?,
            "-seed" => self.seed = value.parse().map_err(|_| wrong("a whole number"))?,
            "-stdev" => self.stdev = Some(number()?),
            "-alpha" => self.alpha = number()?,
            "-quality" => self.quality = true,
            _ => self.signed = true,
        }
        Ok(())
    }

    /// The number of random samples: as given, or what the method draws by itself.
    pub fn samples(&self) -> usize {
        match self.method.kind {
            Kind::Sampled(usual) | Kind::Subsets(usual) => self.samples.unwrap_or(usual),
            Kind::Measured | Kind::Path | Kind::Rules => self.samples.unwrap_or(0),
        }
    }

    /// The number of points of a path.
    pub fn steps(&self) -> usize {
        if let Some(Steps::Count(n)) = self.steps { n } else { 50 }
    }

    /// The number to explain, and how it is called: as given, or the most likely token's logit at the focused position, or that of
    /// the predicted class.
    pub fn target(&self, console: &mut Console) -> Result<(Expr, String)> {
        if let Some((text, at)) = &self.target {
            return Ok((parse_expr(text, *at)?, text.clone()));
        }
        let logits = match console.evaluate(&parse_expr("logit", 0)?) {
            Ok(Datum::Tensor(value)) if value.shape().len() == 1 => value,
            Ok(_) => {
                let message = "this model has no logits of one text to explain";
                return Err(mistake(message, Span::at(0), "give a number: -target EXPR"));
            }
            Err(Error::At(error)) => return Err(error.message.into()),
            Err(fail) => return Err(fail),
        };
        let data = logits.read_f32()?;
        let best = (0..data.len()).fold(0, |best, i| if data[i] > data[best] { i } else { best });
        let name = console.name_of(*logits.axes().first().unwrap_or(&Axis::None), best);
        Ok((parse_expr(&format!("logit({best})"), 0)?, format!("logit({})", quoted(&name))))
    }
}

fn baseline(text: &str, at: usize) -> Result<Baseline> {
    Ok(match text {
        "zero" => Baseline::Zero,
        "pad" => Baseline::Pad,
        "mask" => Baseline::Mask,
        "mean" => Baseline::Mean,
        _ if text.ends_with(".safetensors") => Baseline::File(text.to_string()),
        _ if text.starts_with('"') => Baseline::Text(strings::literal(text, at)?.0),
        _ => {
            let help = "zero, pad, mask, mean, another text in quotes, or FILE.safetensors with the site's values";
            return Err(mistake(format!("no baseline {text}"), Span::new(at, at + text.len()), help));
        }
    })
}

/// How many targets are given.
pub fn targets(text: &str) -> usize {
    parts(text).1.iter().filter(|(name, _, _)| *name == "-target").count()
}

/// What is before the first option, and each option with what is after it and where that begins. Options stand between
/// spaces, outside strings.
fn parts(text: &str) -> (&str, Vec<(&'static str, &str, usize)>) {
    let mut found: Vec<(&'static str, usize, usize)> = Vec::new();
    let (mut quoted, mut escaped, mut spaced) = (false, false, true);
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        let option = OPTIONS.iter().map(|option| declared(option).0).find(|name| {
            rest.strip_prefix(name).is_some_and(|after| after.is_empty() || after.starts_with(char::is_whitespace))
        });
        if let (Some(name), true, false) = (option, spaced, quoted) {
            found.push((name, at, at + name.len()));
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        spaced = c.is_whitespace();
    }
    let end_of = |i: usize| found.get(i + 1).map_or(text.len(), |(_, at, _)| *at);
    let options =
        found.iter().enumerate().map(|(i, (name, _, from))| (*name, &text[*from..end_of(i)], *from)).collect();
    (&text[..found.first().map_or(text.len(), |(_, at, _)| *at)], options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_options_end_where_the_next_one_begins() {
        let (head, options) = parts("ig -target logit(\" -at x\") - logit(2) -steps 20 -signed");
        assert_eq!(head, "ig ");
        let values: Vec<(&str, &str)> = options.iter().map(|(name, value, _)| (*name, value.trim())).collect();
        assert_eq!(values, [("-target", "logit(\" -at x\") - logit(2)"), ("-steps", "20"), ("-signed", "")]);
        assert_eq!(parts("ig").1.len(), 0);
        let given = Given::read("ig -baseline \"a b\" -baseline pad -steps auto", 5).ok().unwrap();
        assert_eq!(given.baselines[0].0, Baseline::Text("a b".into()));
        assert_eq!((given.baselines.len(), given.steps), (2, Some(Steps::Auto)));
    }

    #[test]
    fn mistakes_are_told_where_they_stand() {
        for (text, message) in [
            ("", "expected a method"),
            ("ig now", "unexpected word"),
            ("ig -steps 0", "-steps is a number of points, or auto"),
            ("ig -rule simpson", "-rule is one of gausslegendre"),
            ("ig -baseline noise", "no baseline noise"),
            ("ig -target", "option -target needs a value"),
            ("saliency -signed yes", "-signed takes none"),
            ("smoothgrad -stdev -1", "-stdev is a number of at least 0"),
        ] {
            let Err(Error::At(error)) = Given::read(text, 0) else { panic!("{text} was taken") };
            assert!(error.message.starts_with(message), "{text}: {}", error.message);
        }
    }
}
