//! One token after the other: commands that run further passes, and tell about them.

use super::console::{Console, Done};
use super::fail::Fail;
use super::motion::{count, travel};
use super::table::Call;
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::{Direction, Mark, Motion, Reason, Sampling};
use crate::lang::words::words;
use crate::lang::{LangError, Span};
use crate::tensor::ops::Slice;

/// Alternatives listed for each token.
const ALTERNATIVES: usize = 5;

/// `token [N]`.
pub fn token(console: &mut Console, call: Call<'_, '_>) -> Done {
    let n = count(&call)?.unwrap_or(1);
    begin(console)?;
    travel(console, call, Motion::Pass(n), Direction::Forward)
}

/// `reverse-token [N]`.
pub fn reverse_token(console: &mut Console, call: Call<'_, '_>) -> Done {
    let n = count(&call)?.unwrap_or(1);
    travel(console, call, Motion::Pass(n), Direction::Backward)
}

/// `generate N`.
pub fn generate(console: &mut Console, call: Call<'_, '_>) -> Done {
    let Some(n) = count(&call)? else {
        let error = LangError::new("expected how many tokens", Span::at(call.args.offset));
        return Err(Fail::At(error.help("generate 20")));
    };
    begin(console)?;
    let first = console.session.run.pass + 1;
    let stop = console.session.travel(&Motion::Pass(n), Direction::Forward, call.progress)?;
    let complete = matches!(stop.reason, Reason::End | Reason::Ended);
    let mut answer = console.arrived(stop)?;
    if let (Answer::Stop(view), true) = (&mut answer, complete) {
        let tokens: Vec<u32> = (first..=console.session.run.pass)
            .filter_map(|pass| console.session.run.branch().chosen(pass)?.tokens[console.session.focus.row])
            .collect();
        let text: String = tokens.iter().map(|&id| console.token_text(id)).collect();
        view.lines.insert(0, format!("{text:?}"));
    }
    Ok(answer)
}

/// Starts the run if it has not; opens a branch where the passes to come were chosen by other settings.
fn begin(console: &mut Console) -> Result<(), Fail> {
    let session = &mut console.session;
    if !session.run.live {
        session.start();
    }
    let run = &mut session.run;
    let settled = run.pass + 1 >= run.branch().passes()
        || run
            .branch()
            .chosen(run.pass + 1)
            .is_none_or(|next| next.forced || next.sampling.chooses_like(&run.sampling));
    if !settled {
        let name = run.fork();
        console.printed.push(format!("Other settings: what follows is branch {name}."));
    }
    Ok(())
}

/// The settings of `set generation`, their present values, and what they mean.
const SETTINGS: [(&str, &str); 7] = [
    ("temperature", "divides the logits; 0 takes the most likely token"),
    ("top-k", "only so many of the likeliest tokens; 0 for all"),
    ("top-p", "only the likeliest tokens with this probability together; 1 for all"),
    ("min-p", "only tokens with this share of the likeliest one's probability; 0 for all"),
    ("repetition-penalty", "lowers the logits of tokens that are in the text; 1 for none"),
    ("seed", "where the random numbers begin"),
    ("stop", "whether a token that ends a text ends the generation"),
];

/// `set generation NAME VALUE`.
pub fn set(console: &mut Console, text: &str, offset: usize) -> Done {
    let given = words(text, offset)?;
    let [name, value] = given.as_slice() else {
        let names: Vec<&str> = SETTINGS.iter().map(|(name, _)| *name).collect();
        let error = LangError::new("expected a setting and its value", Span::at(offset));
        return Err(Fail::At(error.help(format!("set generation NAME VALUE, NAME being one of {}", names.join(", ")))));
    };
    let wrong = |wanted: &str| {
        let message = format!("{} is {wanted}, not {}", name.text, value.text);
        Fail::At(LangError::new(message, value.span))
    };
    let number = |low: f64, high: f64, wanted: &str| {
        let number = value.text.parse::<f64>().ok().filter(|x| (low..=high).contains(x));
        number.ok_or_else(|| wrong(wanted))
    };
    let mut sampling = console.session.run.sampling.clone();
    match name.text.as_str() {
        "temperature" => sampling.temperature = number(0.0, 1e6, "a number from 0 on")?,
        "top-k" => sampling.top_k = value.text.parse().map_err(|_| wrong("a whole number from 0 on"))?,
        "top-p" => {
            let share = number(0.0, 1.0, "a number above 0, up to 1")?;
            sampling.top_p = if share > 0.0 { share } else { return Err(wrong("a number above 0, up to 1")) };
        }
        "min-p" => sampling.min_p = number(0.0, 1.0, "a number from 0 to 1")?,
        "repetition-penalty" => {
            let factor = number(0.0, 1e6, "a number above 0")?;
            sampling.repetition_penalty = if factor > 0.0 { factor } else { return Err(wrong("a number above 0")) };
        }
        "seed" => sampling.seed = value.text.parse().map_err(|_| wrong("a whole number from 0 on"))?,
        "stop" => {
            sampling.stop = match value.text.as_str() {
                "on" => true,
                "off" => false,
                _ => return Err(wrong("on or off")),
            }
        }
        other => {
            let names: Vec<&str> = SETTINGS.iter().map(|(name, _)| *name).collect();
            let error = LangError::new(format!("no setting of generation called {other}"), name.span);
            return Err(Fail::At(error.help(format!("one of {}", names.join(", ")))));
        }
    }
    console.session.run.sampling = sampling;
    Ok(Answer::Text(String::new()))
}

/// The answer of `info generation`.
pub fn settings(console: &Console) -> Answer {
    let Sampling { temperature, top_k, top_p, min_p, repetition_penalty, seed, stop } = &console.session.run.sampling;
    let values = [
        temperature.to_string(),
        top_k.to_string(),
        top_p.to_string(),
        min_p.to_string(),
        repetition_penalty.to_string(),
        seed.to_string(),
        if *stop { "on" } else { "off" }.to_string(),
    ];
    let rows = SETTINGS
        .iter()
        .zip(values)
        .map(|((name, about), value)| vec![Cell::Text((*name).into()), Cell::Text(value), Cell::Text((*about).into())]);
    let columns = ["Setting", "Value", "Meaning"].map(String::from).to_vec();
    Answer::Table(Table { title: String::new(), columns, rows: rows.collect() })
}

/// The answer of `info passes`.
pub fn passes(console: &mut Console) -> Done {
    let row = console.session.focus.row;
    let mut rows = Vec::new();
    for pass in 0..console.session.run.branch().passes() {
        let token = console.session.run.branch().chosen(pass).and_then(|chosen| chosen.tokens[row]);
        let chance = match token {
            Some(token) => Cell::Num(console.chances(pass)?[token as usize]),
            None => Cell::Text(String::new()),
        };
        let run = &console.session.run;
        let span = run.branch().span(pass);
        let positions =
            if span.len() == 1 { span.start.to_string() } else { format!("{}..{}", span.start, span.end - 1) };
        let what = match (token, pass) {
            (Some(token), _) => console.token_text(token),
            (None, 0) => "the prompt".into(),
            (None, _) => "(ended)".into(),
        };
        let mark = if pass == run.pass { "->" } else { "" };
        rows.push(vec![
            Cell::Text(mark.into()),
            Cell::Int(pass as i64),
            Cell::Text(positions),
            Cell::Text(what),
            chance,
            Cell::Int(run.branch().frontier(pass) as i64),
        ]);
    }
    let columns = ["", "Pass", "Positions", "Token", "Probability", "Ops"].map(String::from).to_vec();
    Ok(Answer::Table(Table { title: String::new(), columns, rows }))
}

/// The answer of `info alternatives`: what else could have been chosen.
pub fn alternatives(console: &mut Console) -> Done {
    let row = console.session.focus.row;
    let passes = console.session.run.branch().passes();
    if passes < 2 {
        return Err(Fail::because("nothing has been generated yet; \"generate 10\" does"));
    }
    let mut rows = Vec::new();
    for pass in 1..passes {
        let Some(token) = console.session.run.branch().chosen(pass).and_then(|chosen| chosen.tokens[row]) else {
            continue;
        };
        let chances = console.chances(pass)?;
        let mut order: Vec<usize> = (0..chances.len()).collect();
        order.sort_by(|&a, &b| chances[b].total_cmp(&chances[a]).then(a.cmp(&b)));
        let rank = order.iter().position(|&id| id == token as usize).unwrap_or_default();
        let others = order.iter().take(ALTERNATIVES).map(|&id| {
            let text = console.token_text(id as u32);
            format!("{text:?} {}", significant(chances[id], 3))
        });
        rows.push(vec![
            Cell::Int(console.session.run.branch().span(pass).start as i64),
            Cell::Text(console.token_text(token)),
            Cell::Num(chances[token as usize]),
            Cell::Int(rank as i64),
            Cell::Text(others.collect::<Vec<_>>().join("  ")),
        ]);
    }
    let columns = ["Pos", "Token", "Probability", "Rank", "Likeliest"].map(String::from).to_vec();
    Ok(Answer::Table(Table { title: String::new(), columns, rows }))
}

impl Console {
    /// The probabilities that the token of a pass was chosen from, in the focused row.
    fn chances(&mut self, pass: usize) -> Result<Vec<f64>, Fail> {
        let row = self.session.focus.row;
        let run = &self.session.run;
        let logits = run.program.op_of("logits").ok_or_else(|| Fail::because("the model has no logits"))?;
        let span = run.branch().span(pass - 1);
        let mask = &run.branch().text().rows[row].mask[span];
        let last = mask.iter().rposition(|real| *real).unwrap_or(0);
        let branch = run.current;
        let all = self.session.run.value_in_any(branch, Mark { pass: pass - 1, op: logits })?;
        Ok(all.slice(&[Slice::At(row), Slice::At(last)])?.softmax(0)?.read_f64()?)
    }
}
