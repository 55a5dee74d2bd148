//! The functions of the language: one table for evaluation, help, completion and the manual.

use super::evaluator::Evaluator;
use super::{At, Datum};
use crate::lang::command::alike;
use crate::lang::{Arg, Expr, LangError, Result, Span};
use crate::tensor::Value;
use crate::tensor::ops::{Pairing, Reduction as R, UnaryOp as U};

pub struct Function {
    pub name: &'static str,
    /// Its parameters in order; each may be given by name.
    pub params: &'static [&'static str],
    pub required: usize,
    /// Whether any number of arguments may follow the last parameter.
    pub variadic: bool,
    /// Whether it may be written without brackets.
    pub bare: bool,
    pub about: &'static str,
    pub(super) call: Body,
}

type Body = fn(&mut Evaluator<'_>, &Bound<'_>) -> Result<Datum>;

type Text = &'static str;

/// The parameters, and how many of them must be given.
type Params = (&'static [Text], usize);

const fn function(name: Text, (params, required): Params, about: Text, call: Body) -> Function {
    Function { name, params, required, variadic: false, bare: false, about, call }
}

const fn bare(name: Text, params: Params, about: Text, call: Body) -> Function {
    Function { bare: true, ..function(name, params, about, call) }
}

const fn variadic(name: Text, params: Params, about: Text, call: Body) -> Function {
    Function { variadic: true, ..function(name, params, about, call) }
}

const X: Params = (&["x"], 1);
const X_AXIS: Params = (&["x", "axis"], 1);
const A_B_AXIS: Params = (&["a", "b", "axis"], 2);
const P_AXIS: Params = (&["p", "axis"], 1);
const TOKEN: Params = (&["token"], 0);

/// Every function, by subject.
pub static FUNCTIONS: &[Function] = &[
    function("abs", X, "magnitude of each element", |e, b| e.map(b, U::Abs, f64::abs)),
    function("sqrt", X, "square root of each element", |e, b| e.map(b, U::Sqrt, f64::sqrt)),
    function("exp", X, "e to the power of each element", |e, b| e.map(b, U::Exp, f64::exp)),
    function("log", X, "natural logarithm of each element", |e, b| e.map(b, U::Log, f64::ln)),
    function("tanh", X, "hyperbolic tangent of each element", |e, b| e.map(b, U::Tanh, f64::tanh)),
    function("relu", X, "each element, negative ones as 0", |e, b| {
        e.map(b, U::Relu, |x| if x < 0.0 { 0.0 } else { x })
    }),
    function("sign", X, "-1, 0 or 1 for each element", |e, b| {
        e.map(b, U::Sign, |x| if x == 0.0 { 0.0 } else { x.signum() })
    }),
    function("round", X, "nearest whole number, halves to even", |e, b| e.map(b, U::Round, f64::round_ties_even)),
    function("nan", X, "where elements are NaN", |e, b| e.mask(b, U::IsNan, f64::is_nan)),
    function("inf", X, "where elements are infinite", |e, b| e.mask(b, U::IsInf, f64::is_infinite)),
    function("finite", X, "where elements are neither NaN nor infinite", |e, b| e.mask(b, U::IsFinite, f64::is_finite)),
    function("min", X_AXIS, "smallest element, of all or along an axis; or the smaller of two values", |e, b| {
        e.extreme(b, R::Min)
    }),
    function("max", X_AXIS, "largest element, of all or along an axis; or the larger of two values", |e, b| {
        e.extreme(b, R::Max)
    }),
    function("mean", X_AXIS, "mean of all elements or along an axis", |e, b| e.reduction(b, R::Mean)),
    variadic("mean_over", (&["x", "axis"], 2), "mean along one axis or several", |e, b| e.mean_over(b)),
    function("sum", X_AXIS, "sum of all elements or along an axis", |e, b| e.reduction(b, R::Sum)),
    function("std", X_AXIS, "population standard deviation", |e, b| e.reduction(b, R::Std)),
    function("var", X_AXIS, "population variance", |e, b| e.reduction(b, R::Var)),
    function("absmax", X_AXIS, "largest magnitude", |e, b| e.reduction(b, R::AbsMax)),
    function("norm", X_AXIS, "Euclidean norm", |e, b| e.reduction(b, R::Norm)),
    function("argmax", X_AXIS, "index of the first largest element", |e, b| e.arg_extreme(b, true)),
    function("argmin", X_AXIS, "index of the first smallest element", |e, b| e.arg_extreme(b, false)),
    function("any", X_AXIS, "whether some element is true, or not zero", |e, b| e.quantified(b, R::Max)),
    function(
        "all",
        X_AXIS,
        "whether every element is true, or not zero; of a bare site: its value for every row",
        |e, b| e.all(b),
    ),
    function("count", X_AXIS, "how many elements are true, or not zero", |e, b| e.over_truths(b, R::Sum)),
    function("dot", A_B_AXIS, "sum of products", |e, b| e.pairing(b, Pairing::Dot)),
    function("cos", A_B_AXIS, "cosine of the angle between two values", |e, b| e.pairing(b, Pairing::Cosine)),
    function("dist", A_B_AXIS, "Euclidean distance", |e, b| e.pairing(b, Pairing::Distance)),
    function("softmax", X_AXIS, "softmax along the last axis or another", |e, b| e.along(b, Value::softmax)),
    function("log_softmax", X_AXIS, "logarithm of the softmax", |e, b| e.along(b, Value::log_softmax)),
    function("entropy", P_AXIS, "entropy in nats of the distributions along the last axis or another", |e, b| {
        e.entropy(b)
    }),
    function("kl", (&["p", "q", "axis"], 2), "Kullback-Leibler divergence of q from p, in nats", |e, b| e.kl(b)),
    function("topk", (&["x", "k"], 2), "the k largest elements along the last axis, in descending order", |e, b| {
        e.topk(b)
    }),
    function("sort", X_AXIS, "elements in ascending order along the last axis or another, NaN last", |e, b| e.sort(b)),
    function("quantile", (&["x", "q", "axis"], 2), "the q-quantile, 0.5 being the median", |e, b| e.quantile(b)),
    function("cumsum", X_AXIS, "running sums along the last axis or another", |e, b| e.along(b, Value::cumsum)),
    function("shape", X, "length of each axis", |e, b| e.shape(b)),
    function("transpose", X, "the last two axes swapped", |e, b| e.transpose(b)),
    variadic(
        "reshape",
        (&["x", "length"], 2),
        "the same elements on axes of different lengths, one of which may be -1",
        |e, b| e.reshape(b),
    ),
    variadic(
        "concat",
        (&["a", "b"], 2),
        "values joined along an axis, which comes last; without one along the first",
        |e, b| e.concat(b),
    ),
    function("where", (&["c", "a", "b"], 3), "elements of a where c holds, of b elsewhere", |e, b| e.choose(b)),
    function("tok", (&["text"], 1), "id of the token with this text", |e, b| e.tok(b)),
    function("text", (&["id"], 1), "text of the token with this id", |e, b| e.text(b)),
    function("label", (&["name"], 1), "index of a class by its name", |e, b| e.label(b)),
    bare("logit", TOKEN, "logit of a token at the focused position; without one, of all", |e, b| e.prediction(b, Ok)),
    bare("prob", TOKEN, "probability of a token at the focused position; without one, of all", |e, b| {
        e.prediction(b, |logits| logits.softmax(0))
    }),
    bare("logprob", TOKEN, "logarithm of the probability", |e, b| e.prediction(b, |logits| logits.log_softmax(0))),
    bare("rank", TOKEN, "how many tokens are more likely at the focused position", |e, b| e.rank(b)),
    bare("loss", (&[], 0), "loss of the pass", |e, b| e.scope.loss().at(b.span)),
    function("param", (&["name"], 1), "a weight by its name in the file, or by role", |e, b| e.param(b)),
    function("lens", X, "final norm and unembedding of a residual stream", |e, b| e.lens(b)),
    function("result", (&["layer", "head"], 2), "what one head adds to the residual stream", |e, b| e.result(b)),
    function("kv", (&["layer", "part"], 2), "keys (k) or values (v) in the cache of a block", |e, b| e.kv(b)),
    function("grad", (&["site"], 1), "gradient at a site, after backward", |e, b| e.grad(b)),
];

impl Function {
    /// `max(x [, axis])`
    pub fn usage(&self) -> String {
        let (must, may) = self.params.split_at(self.required);
        let may: String =
            may.iter().map(|p| if must.is_empty() { format!("[{p}]") } else { format!(" [, {p}]") }).collect();
        format!("{}({}{may}{})", self.name, must.join(", "), if self.variadic { ", ..." } else { "" })
    }
}

pub struct Call<'e> {
    pub name: &'e str,
    pub name_span: Span,
    pub span: Span,
    pub args: &'e [Arg],
}

/// A call with each argument assigned to its parameter.
pub struct Bound<'e> {
    pub function: &'static Function,
    pub span: Span,
    /// One entry for each parameter; `None` if it was not given.
    pub args: Vec<Option<&'e Expr>>,
    /// What follows the last parameter of a variadic function.
    pub more: Vec<&'e Expr>,
}

pub fn function_of(call: &Call<'_>) -> Result<&'static Function> {
    if let Some(found) = FUNCTIONS.iter().find(|f| f.name == call.name) {
        return Ok(found);
    }
    let error = LangError::new(format!("no function {}", call.name), call.name_span);
    Err(match alike(call.name, FUNCTIONS.iter().map(|f| f.name)) {
        Some(name) => error.help(format!("did you mean {name}?")),
        None => error.help("\"help functions\" lists them"),
    })
}

impl<'e> Call<'e> {
    /// Assigns each argument to its parameter.
    pub fn bind(&self, function: &'static Function) -> Result<Bound<'e>> {
        let wrong = |message: String, span| LangError::new(message, span).help(function.usage());
        let mut args = vec![None; function.params.len()];
        let mut more = Vec::new();
        let mut next = 0;
        for arg in self.args {
            let place =
                match &arg.name {
                    None => {
                        next += 1;
                        next - 1
                    }
                    // The axis of a variadic function comes after its values, like one given by place.
                    Some(name) if function.variadic && name.value == "axis" => args.len(),
                    Some(name) => function.params.iter().position(|p| *p == name.value).ok_or_else(|| {
                        wrong(format!("{} takes no argument {}", function.name, name.value), name.span)
                    })?,
                };
            match args.get_mut(place) {
                Some(slot @ None) => *slot = Some(&arg.value),
                Some(Some(_)) => {
                    return Err(wrong(format!("{} is given twice", function.params[place]), arg.value.span));
                }
                None if function.variadic => more.push(&arg.value),
                None => {
                    let message = format!("{} takes at most {} arguments", function.name, function.params.len());
                    return Err(wrong(message, arg.value.span));
                }
            }
        }
        match args[..function.required].iter().position(Option::is_none) {
            Some(missing) => Err(wrong(format!("{} needs {}", function.name, function.params[missing]), self.span)),
            None => Ok(Bound { function, span: self.span, args, more }),
        }
    }
}

impl<'e> Bound<'e> {
    pub fn required(&self, place: usize) -> &'e Expr {
        self.args[place].expect("a required argument was bound")
    }

    pub fn optional(&self, place: usize) -> Option<&'e Expr> {
        self.args[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::eval::testing::{fails, num, numbers};

    #[test]
    fn names_are_unique_and_described() {
        for (i, f) in FUNCTIONS.iter().enumerate() {
            assert!(FUNCTIONS[..i].iter().all(|g| g.name != f.name), "{}", f.name);
            assert!(!f.about.is_empty() && f.required <= f.params.len(), "{}", f.name);
        }
    }

    #[test]
    fn arguments_find_their_parameters() {
        assert_eq!(numbers("max(axis=pos, x=m)"), [4.0, 5.0, 6.0]);
        assert_eq!(num("quantile(v, q=0.5)"), 1.0);
        let error = fails("max(m, pos, 3)");
        assert_eq!((error.message.as_str(), error.span.start), ("max takes at most 2 arguments", 12));
        assert_eq!(error.help.as_deref(), Some("max(x [, axis])"));
        assert_eq!(fails("max()").message, "max needs x");
        assert_eq!(fails("max(m, x=m)").message, "x is given twice");
        assert_eq!(fails("max(m, dim=3)").message, "max takes no argument dim");
        assert_eq!(
            function_of(&Call { name: "prob", name_span: Span::default(), span: Span::default(), args: &[] })
                .expect("exists")
                .usage(),
            "prob([token])"
        );
    }
}
