//! One token after the other: commands that run further passes, and tell about them.

use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::Done;
use crate::commands::moving::motion::travel;
use crate::commands::state::{Call, Console};
use crate::debugger::{Direction, Error, Mark, Motion, Reason, Result, RunError};
use crate::tensor::ops::Slice;

const ALTERNATIVES: usize = 5;

pub fn token(console: &mut Console, call: Call<'_>) -> Done {
    let n = call.count()?.unwrap_or(1);
    begin(console)?;
    travel(console, Motion::Pass(n), Direction::Forward)
}

pub fn reverse_token(console: &mut Console, call: Call<'_>) -> Done {
    let n = call.count()?.unwrap_or(1);
    travel(console, Motion::Pass(n), Direction::Backward)
}

pub fn generate(console: &mut Console, call: Call<'_>) -> Done {
    let n = call.count()?.ok_or_else(|| call.expected("how many tokens", "generate 20"))?;
    begin(console)?;
    let first = console.session.run.pass + 1;
    let stop = console.session.travel(&Motion::Pass(n), Direction::Forward)?;
    let complete = matches!(stop.reason, Reason::End | Reason::Ended);
    let mut answer = console.arrived(stop)?;
    if let (Answer::Stop(view), true) = (&mut answer, complete) {
        let tokens: Vec<u32> = (first..=console.session.run.pass)
            .filter_map(|pass| console.session.run.branch().chosen(pass)?.tokens[console.session.focus.row])
            .collect();
        let text: String = tokens.iter().map(|&id| console.token_text(id)).collect();
        view.lines.insert(0, quoted(&text));
    }
    Ok(answer)
}

/// Starts the run if it has not; opens a branch where the passes to come were chosen by other settings. Of a model that does not
/// generate nothing is started.
fn begin(console: &mut Console) -> Result<()> {
    let session = &mut console.session;
    if !session.run.generates() {
        return Err(RunError::NoNextToken { family: session.run.model.spec.family.clone() }.into());
    }
    if !session.run.live {
        session.start();
    }
    let run = &mut session.run;
    let branch = run.branch();
    let next = Some(run.pass + 1).filter(|pass| *pass < branch.passes()).and_then(|pass| branch.chosen(pass));
    if next.is_some_and(|next| !next.forced && !next.sampling.chooses_like(&run.sampling)) {
        let name = run.fork()?;
        console.printed.push(format!("Other settings: what follows is branch {name}."));
    }
    Ok(())
}

pub fn passes(console: &mut Console) -> Done {
    let row = console.session.focus.row;
    let mut table = Table::new(["", "Pass", "Positions", "Token", "Probability", "Ops"]);
    for pass in 0..console.session.run.branch().passes() {
        let token = console.session.run.branch().chosen(pass).and_then(|chosen| chosen.tokens[row]);
        let chance: Cell = match token {
            Some(token) => console.chances(pass)?[token as usize].into(),
            None => "".into(),
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
        table.push((mark, pass, positions, what, chance, run.branch().frontier(pass)));
    }
    Ok(table.into())
}

/// The answer of `info alternatives`: what else could have been chosen.
pub fn alternatives(console: &mut Console) -> Done {
    let row = console.session.focus.row;
    let passes = console.session.run.branch().passes();
    if passes < 2 {
        return Err(Error::refused("nothing has been generated yet; \"generate 10\" does"));
    }
    let mut table = Table::new(["Pos", "Token", "Probability", "Likeliest", "Rank"]);
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
            format!("{} {}", quoted(&text), significant(chances[id], 3))
        });
        let others = others.collect::<Vec<_>>().join("  ");
        let position = console.session.run.branch().span(pass).start;
        table.push((position, console.token_text(token), chances[token as usize], others, rank));
    }
    Ok(table.into())
}

impl Console {
    /// The probabilities that the token of a pass was chosen from, in the focused row.
    fn chances(&mut self, pass: usize) -> Result<Vec<f64>> {
        let row = self.session.focus.row;
        let run = &self.session.run;
        let logits = run.program.op_of("logits").ok_or_else(|| Error::refused("the model has no logits"))?;
        let span = run.branch().span(pass - 1);
        let mask = &run.branch().text().rows[row].mask[span];
        let last = mask.iter().rposition(|real| *real).unwrap_or(0);
        let branch = run.current;
        let all = self.session.run.value_in_any(branch, Mark { pass: pass - 1, op: logits })?;
        Ok(all.slice(&[Slice::At(row), Slice::At(last)])?.softmax(0)?.read_f64()?)
    }
}
