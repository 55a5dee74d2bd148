//! Single numbers through upload, operation and read.

use super::{Case, Probe};
use crate::debugger::Result;
use crate::model::spec::Act;
use crate::program::bare;
use crate::tensor::ops::{BinaryOp, UnaryOp};
use crate::tensor::{Device, TensorError, Value};

pub(super) const PROBES: &[Probe] = &[
    Probe { name: "numbers sent and read back", large: false, allowed: 0.0, cases: copied },
    Probe { name: "numbers through an operation", large: false, allowed: 0.0, cases: moved },
    Probe { name: "comparisons with what is not finite", large: false, allowed: 0.0, cases: compared },
    Probe { name: "counts of what is not finite", large: false, allowed: 0.0, cases: counted },
    // Vulkan asks for no more of a function than this.
    Probe { name: "functions at their ends", large: false, allowed: 1e-4, cases: functions },
    Probe { name: "powers of negative numbers", large: false, allowed: 1e-4, cases: powers },
    Probe { name: "activations of large numbers", large: false, allowed: 2e-5, cases: activations },
];

/// What a driver may change on the way: what is not finite, zeros with a sign, the ends of the range, and numbers
/// below the normal ones.
const SPECIAL: [f32; 14] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    -0.0,
    0.0,
    1.0,
    -2.5,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1e-38,
    -1e-40,
    1e-44,
    1.0e30,
];

fn sent(numbers: &[f32], device: &Device) -> Value {
    Value::from_f32(numbers.to_vec(), &[numbers.len()], device)
}

/// A case for each number and what became of it.
fn each(
    numbers: &[f32],
    found: &Value,
    case: impl Fn(f32, f32) -> Case,
) -> std::result::Result<Vec<Case>, TensorError> {
    Ok(numbers.iter().zip(found.read_f32()?).map(|(x, found)| case(*x, found)).collect())
}

fn copied(device: &Device) -> Result<Vec<Case>> {
    Ok(each(&SPECIAL, &sent(&SPECIAL, device), |x, found| Case::exact(format!("{x:e}"), found, x))?)
}

fn moved(device: &Device) -> Result<Vec<Case>> {
    let x = sent(&SPECIAL, device);
    let one = sent(&[1.0], device);
    let mut cases = each(&SPECIAL, &x.binary(BinaryOp::Mul, &one)?, |x, y| Case::flushed(format!("{x:e} * 1"), y, x))?;
    cases.extend(each(&SPECIAL, &x.unary(UnaryOp::Neg)?, |x, y| Case::flushed(format!("-({x:e})"), y, -x))?);
    cases.extend(each(&SPECIAL, &x.unary(UnaryOp::Abs)?, |x, y| Case::flushed(format!("|{x:e}|"), y, x.abs()))?);
    let all = Value::from_bool(vec![true; SPECIAL.len()], &[SPECIAL.len()], device);
    cases.extend(each(&SPECIAL, &Value::choose(&all, &x, &one)?, |x, y| {
        Case::flushed(format!("where(true, {x:e}, 1)"), y, x)
    })?);
    Ok(cases)
}

fn compared(device: &Device) -> Result<Vec<Case>> {
    let x = sent(&SPECIAL, device);
    let of = |yes: bool| f32::from(u8::from(yes));
    let mut cases = Vec::new();
    let tests: [(&str, UnaryOp, fn(f32) -> bool); 3] = [
        ("isnan", UnaryOp::IsNan, f32::is_nan),
        ("isinf", UnaryOp::IsInf, f32::is_infinite),
        ("isfinite", UnaryOp::IsFinite, f32::is_finite),
    ];
    for (name, op, is) in tests {
        cases.extend(each(&SPECIAL, &x.unary(op)?, |x, y| Case::exact(format!("{name}({x:e})"), y, of(is(x))))?);
    }
    let relations: [(BinaryOp, fn(&f32, &f32) -> bool); 6] = [
        (BinaryOp::Eq, f32::eq),
        (BinaryOp::Ne, f32::ne),
        (BinaryOp::Lt, f32::lt),
        (BinaryOp::Le, f32::le),
        (BinaryOp::Gt, f32::gt),
        (BinaryOp::Ge, f32::ge),
    ];
    for (op, holds) in relations {
        for other in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0] {
            let found = x.binary(op, &sent(&[other], device))?;
            let what = |x: f32| format!("{x:e} {} {other:e}", op.symbol());
            cases.extend(each(&SPECIAL, &found, |x, y| Case::exact(what(x), y, of(holds(&x, &other))))?);
        }
    }
    Ok(cases)
}

/// A summary of more numbers than are read and counted on the host.
fn counted(device: &Device) -> Result<Vec<Case>> {
    const COUNT: usize = 20_011;
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0];
    let numbers = (0..COUNT).map(|i| special.get(i % 97).copied().unwrap_or((i % 1000) as f32 - 499.5)).collect();
    let summary = super::sent(numbers, &[COUNT], device)?.summary()?;
    let each = |at: usize| ((COUNT - at).div_ceil(97)) as u64;
    let case = |what: &str, found: u64, wanted: u64| Case::exact(what, found as f32, wanted as f32);
    Ok(vec![
        case("numbers", summary.count, COUNT as u64),
        case("NaN", summary.nan, each(0)),
        case("infinities", summary.pos_inf, each(1)),
        case("negative infinities", summary.neg_inf, each(2)),
        case("zeros", summary.zeros, each(3) + each(4)),
        Case::exact("the largest", summary.max as f32, 499.5),
        Case::exact("the smallest", summary.min as f32, -499.5),
    ])
}

fn functions(device: &Device) -> Result<Vec<Case>> {
    const INFINITY: f32 = f32::INFINITY;
    // The function, and the size that its results are measured by at least: drivers make a tanh near 0 of exponentials near 1,
    // and a logarithm near 0 of numbers near 1.
    let tables: [(&str, UnaryOp, fn(f64) -> f64, f64, &[f32]); 4] = [
        (
            "exp",
            UnaryOp::Exp,
            f64::exp,
            0.0,
            &[-INFINITY, -1e30, -200.0, -80.0, 0.0, 1.0, 88.0, 90.0, INFINITY, f32::NAN],
        ),
        ("log", UnaryOp::Log, f64::ln, 1.0, &[0.0, -1.0, 1.0, 1e-30, 3e38, INFINITY, f32::NAN]),
        ("sqrt", UnaryOp::Sqrt, f64::sqrt, 0.0, &[0.0, -1.0, 2.0, 1e-30, 3e38, INFINITY, f32::NAN]),
        (
            "tanh",
            UnaryOp::Tanh,
            f64::tanh,
            1.0,
            &[
                1e-4,
                0.5,
                -9.0,
                20.0,
                43.0,
                -44.0,
                45.0,
                88.0,
                -89.0,
                100.0,
                -1e4,
                1e30,
                3e38,
                INFINITY,
                -INFINITY,
                f32::NAN,
            ],
        ),
    ];
    let mut cases = Vec::new();
    for (name, op, exact, size, numbers) in tables {
        let found = sent(numbers, device).unary(op)?;
        cases.extend(each(numbers, &found, |x, y| {
            // In 32 bits, what is beyond the largest number is infinite.
            let wanted = exact(x.into());
            let wanted = if wanted > f32::MAX.into() { f64::INFINITY } else { wanted };
            Case::close(format!("{name}({x:e})"), y, wanted, size)
        })?);
    }
    Ok(cases)
}

fn powers(device: &Device) -> Result<Vec<Case>> {
    let pairs: [(f32, f32); 12] = [
        (-2.0, 2.0),
        (-2.0, 3.0),
        (-0.5, 3.0),
        (-1.0, 7.0),
        (-3.0, 1.0),
        (-2.0, -1.0),
        (-2.0, 0.0),
        (-2.0, 0.5),
        (0.0, 2.0),
        (2.0, -1.0),
        (3.0, 0.5),
        (-1e10, 3.0),
    ];
    let (bases, exponents): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
    let found = sent(&bases, device).binary(BinaryOp::Pow, &sent(&exponents, device))?.read_f32()?;
    let case = |((base, exponent), found): (&(f32, f32), f32)| {
        Case::close(format!("({base:e}) ** {exponent}"), found, f64::from(*base).powf((*exponent).into()), 0.0)
    };
    Ok(pairs.iter().zip(found).map(case).collect())
}

fn activations(device: &Device) -> Result<Vec<Case>> {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let tables: [(&str, Act, &dyn Fn(f64) -> f64); 6] = [
        ("gelu by tanh", Act::GeluTanh, &|x| {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }),
        ("gelu", Act::Gelu, &|x| if x.abs() > 8.0 { x.max(0.0) } else { x * phi(x) }),
        ("quick gelu", Act::QuickGelu, &|x| x * sigmoid(1.702 * x)),
        ("silu", Act::Silu, &|x| x * sigmoid(x)),
        ("sigmoid", Act::Sigmoid, &sigmoid),
        ("tanh", Act::Tanh, &f64::tanh),
    ];
    let numbers: Vec<f32> =
        [0.5, 3.0, 10.0, 44.0, 45.0, 88.0, 100.0, 1e4, 1e10].into_iter().flat_map(|x: f32| [x, -x]).collect();
    let x = Value::from_f32(numbers.clone(), &[1, 1, numbers.len()], device);
    let mut cases = Vec::new();
    for (name, function, exact) in tables {
        let found = bare::activation(&x, function);
        // Where the function is nearly 0, it is measured by what it is of.
        cases.extend(each(&numbers, &found, |x, y| {
            Case::close(format!("{name} of {x:e}"), y, exact(x.into()), x.into())
        })?);
    }
    Ok(cases)
}

/// The distribution function of the normal distribution, by its series around 0: exact to 1e-9 up to 8.
fn phi(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 {
        n += 1.0;
        term *= x * x / (2.0 * n + 1.0);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
