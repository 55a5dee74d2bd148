//! What `attr` was given.

use super::methods::{Kind, METHODS, Method, NAMES};
use crate::analysis::attribution::{RULES, Rule};
use crate::answer::text::quoted;
use crate::commands::frame::{Options, expression, mistake};
use crate::commands::state::Console;
use crate::debugger::{Error, Result};
use crate::lang::command::Vocabulary;
use crate::lang::eval::Datum;
use crate::lang::words::{self, Word};
use crate::lang::{Expr, LangError, Span, parse_expr};
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
    ("-generated", "explain each token that was generated, by the tokens of the prompt"),
    (
        "-segments S",
        "hide, or sum up, groups of tokens: words, sentences, lines, paragraphs, turns (of a chat), /REGEX/ (a group begins at \
         each match), or FILE with the number of each token's group",
    ),
    ("-curves", "compare methods: what hiding the most important tokens first does, and showing them first"),
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
    target: Option<(Expr, String)>,
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
    /// Whether the tokens that were generated are explained.
    pub generated: bool,
    /// What are groups of tokens, and where it is.
    pub segments: Option<(String, Span)>,
    pub curves: bool,
}

impl Given {
    /// Reads the arguments: one of these for each method, separated by commas, and each target.
    pub fn read(text: &str, offset: usize) -> Result<Vec<Given>> {
        let (options, left) = Options::take(text, offset, OPTIONS)?;
        let usage = "attr METHOD -target EXPR -at SITE -baseline zero";
        let methods = match left.as_slice() {
            [methods] => methods,
            [] => {
                return Err(mistake("expected a method", Span::at(offset), format!("one of {}", NAMES.join(", "))));
            }
            [_, extra, ..] => return Err(options.stray(extra, usage)),
        };
        let mut targets: Vec<Option<&words::Given>> = options.all("-target").map(Some).collect();
        if targets.is_empty() {
            targets.push(None);
        }
        let mut all = Vec::new();
        for method in methods.text.split(',') {
            if method.is_empty() {
                let message = "a method is missing before or after a comma";
                return Err(mistake(message, methods.span, "attr ig,saliency"));
            }
            for target in &targets {
                all.push(Given::of(method, methods.span, &options, *target)?);
            }
        }
        Ok(all)
    }

    fn of(method: &str, span: Span, options: &Options, target: Option<&words::Given>) -> Result<Given> {
        if let Some((_, why)) = REFUSED.iter().find(|(known, _)| *known == method) {
            let help = "ig with -steps auto is exact in the end, and ablation measures";
            return Err(mistake(format!("{method} is not computed: {why}"), span, help));
        }
        let name = Vocabulary { of: "attr", names: &NAMES, short: &[] }.resolve(method, span)?;
        let method = METHODS.iter().find(|known| known.name == name);
        let method = method.ok_or_else(|| format!("no method {name}"))?;
        let target = target.map(expression).transpose()?.flatten().zip(target.and_then(|given| given.value.as_ref()));
        let mut given = Given {
            method,
            target: target.map(|(expr, word)| (expr, word.text.clone())),
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
            signed: options.has("-signed"),
            quality: options.has("-quality"),
            generated: options.has("-generated"),
            segments: options.value("-segments").map(|word| (word.text.clone(), word.span)),
            curves: options.has("-curves"),
        };
        for option in options.iter() {
            if let Some(value) = &option.value {
                given.take(option.name, value)?;
            }
        }
        if given.baselines.is_empty() {
            given.baselines.push((Baseline::Zero, span));
        }
        Ok(given)
    }

    fn take(&mut self, name: &str, word: &Word) -> Result<()> {
        let (value, span) = (word.text.as_str(), word.span);
        let wrong = |what: &str| Error::At(LangError::new(format!("{name} is {what}"), span));
        let count = |what: &str| value.parse::<usize>().ok().filter(|n| *n > 0).ok_or_else(|| wrong(what));
        let number = || value.parse::<f64>().ok().filter(|x| x.is_finite() && *x >= 0.0);
        let number = || number().ok_or_else(|| wrong("a number of at least 0"));
        match name {
            "-through" => self.through = Some((value.to_string(), span)),
            "-at" => self.site = Some((value.to_string(), span)),
            "-baseline" => self.baselines.push((baseline(word)?, span)),
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
            // They are read where the options are.
            _ => {}
        }
        Ok(())
    }

    pub fn has_target(&self) -> bool {
        self.target.is_some()
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
        if let Some(target) = &self.target {
            return Ok(target.clone());
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

fn baseline(word: &Word) -> Result<Baseline> {
    Ok(match word.text.as_str() {
        text if word.quoted => Baseline::Text(text.to_string()),
        "zero" => Baseline::Zero,
        "pad" => Baseline::Pad,
        "mask" => Baseline::Mask,
        "mean" => Baseline::Mean,
        text if text.ends_with(".safetensors") => Baseline::File(text.to_string()),
        text => {
            let help = "zero, pad, mask, mean, another text in quotes, or FILE.safetensors with the site's values";
            return Err(mistake(format!("no baseline {text}"), word.span, help));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_targets_are_one_each() {
        let text = "ig,saliency -target logit(\" -at x\") - logit(2) -target loss -steps 20 -signed";
        let all = Given::read(text, 0).ok().unwrap();
        let read: Vec<(&str, &str)> =
            all.iter().map(|one| (one.method.name, one.target.as_ref().unwrap().1.as_str())).collect();
        let first = "logit(\" -at x\") - logit(2)";
        assert_eq!(read, [("ig", first), ("ig", "loss"), ("saliency", first), ("saliency", "loss")]);
        assert!(all.iter().all(|one| one.signed && one.steps == Some(Steps::Count(20))));
        let given = Given::read("ig -baseline \"a b\" -baseline pad -steps auto", 5).ok().unwrap().remove(0);
        assert_eq!(given.baselines[0].0, Baseline::Text("a b".into()));
        assert_eq!((given.baselines.len(), given.steps), (2, Some(Steps::Auto)));
    }

    #[test]
    fn mistakes_are_told_where_they_stand() {
        for (text, message) in [
            ("", "expected a method"),
            ("ig now", "unexpected word now"),
            ("ig -steps 20 30", "unexpected word 30 after -steps 20"),
            ("ig -target loss junk", "-target: unexpected junk after the expression"),
            ("ig -steps 0", "-steps is a number of points, or auto"),
            ("ig -rule simpson", "-rule is one of gausslegendre"),
            ("ig -baseline noise", "no baseline noise"),
            ("ig -target", "option -target needs a value"),
            ("saliency -signed yes", "unexpected word yes after -signed"),
            ("smoothgrad -stdev -1", "-stdev is a number of at least 0"),
            ("ig,,lrp", "a method is missing"),
        ] {
            let Err(Error::At(error)) = Given::read(text, 0) else { panic!("{text} was taken") };
            assert!(error.message.starts_with(message), "{text}: {}", error.message);
        }
    }
}
