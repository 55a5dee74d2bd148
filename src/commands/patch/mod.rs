//! `patch`: what of another branch, put into this one, brings a number back?

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

mod sweep;

use super::console::{Console, Done};
use super::table::Call;
use crate::analysis::patching::{Places, Source, Sweep};
use crate::analysis::replacing::{circuit, paths};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::{Error, Result, RunScope};
use crate::lang::eval::number;
use crate::lang::words::{OptionSpec, Word, take_options, words};
use crate::lang::{LangError, Span, parse_assignment, parse_expr};
use crate::tensor::Axis;
use sweep::{Asked, swept};

const OPTIONS: [OptionSpec; 9] = [
    OptionSpec { name: "-from", takes_value: true },
    OptionSpec { name: "-over", takes_value: true },
    OptionSpec { name: "-both", takes_value: false },
    OptionSpec { name: "-to", takes_value: true },
    OptionSpec { name: "-minimal", takes_value: false },
    OptionSpec { name: "-faithful", takes_value: true },
    OptionSpec { name: "-metric", takes_value: true },
    OptionSpec { name: "-site", takes_value: true },
    OptionSpec { name: "-approx", takes_value: false },
];

/// What a circuit must keep of a number, unless another share is asked for.
const FAITHFUL: f64 = 0.9;

/// `patch BRANCH -metric EXPR [-site SITE] [-over AXES] [-approx|-both]`, `patch SITE[SLICE] from SIDE`.
pub fn patch(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS)?;
    let value = |name: &str| given.iter().find(|option| option.name == name).and_then(|option| option.value.clone());
    if let [site, word, from] = left.as_slice()
        && word.text == "from"
    {
        if let Some(option) = given.first() {
            let error = LangError::new(format!("{} is of sweeps", option.name), option.span);
            return Err(Error::At(error.help("patch SITE[slice] from BRANCH is one edit, kept until \"undo\"")));
        }
        return one(console, site, from, call.line);
    }
    // `patch sweep -from main` is `patch main`.
    let from = value("-from");
    let left = match (left.as_slice(), &from) {
        ([word], Some(from)) if word.text == "sweep" => vec![from.clone()],
        ([], Some(from)) => vec![from.clone()],
        _ => left,
    };
    let [word] = left.as_slice() else {
        let at = left.get(1).map_or(Span::at(call.args.offset), |extra| extra.span);
        let error = LangError::new("expected the branch whose values are put in", at);
        let help = "patch main -metric \"logit(...) - logit(...)\" -site resid_pre; patch L1.attn.z[head=2] from main";
        return Err(Error::At(error.help(help)));
    };
    let has = |name: &str| given.iter().any(|option| option.name == name);
    if has("-approx") && has("-both") {
        let error =
            LangError::new("-approx is by gradients alone, -both beside what is measured", Span::at(call.args.offset));
        return Err(Error::At(error.help("one of them at a time")));
    }
    let forms = usize::from(has("-to")) + usize::from(has("-minimal"));
    if let Some(option) =
        given.iter().find(|option| ["-site", "-over", "-approx", "-both"].contains(&option.name) && forms > 0)
    {
        let error = LangError::new(format!("{} does not go with -to and -minimal", option.name), option.span);
        return Err(Error::At(
            error.help("-to patches paths to one head, -minimal takes out heads and MLPs; both are measured"),
        ));
    }
    if forms > 1 || has("-faithful") && !has("-minimal") {
        let error = LangError::new(
            "-to and -minimal are two questions, and -faithful is of the second",
            Span::at(call.args.offset),
        );
        return Err(Error::At(error.help("one of them at a time")));
    }
    let source = source_of(console, word)?;
    let Some(metric) = value("-metric") else {
        let error = LangError::new("expected the number that is watched", Span::at(call.args.offset));
        return Err(Error::At(error.help("-metric \"logit(...) - logit(...)\", in quotes if it has spaces")));
    };
    let expr = parse_expr(&metric.text, metric.span.start)?;
    let asked = Asked { expr: &expr, metric: &metric.text, source, name: &word.text, given: &given };
    let Source::Branch(from) = source else {
        return match forms {
            0 => swept(console, &asked),
            _ => {
                let error = LangError::new("what is put in, or taken out, is as in a branch", word.span);
                Err(Error::At(error.help("patch BRANCH -metric EXPR -minimal")))
            }
        };
    };
    if let Some(word) = value("-to") {
        return to_head(console, &expr, from, &word);
    }
    if has("-minimal") {
        let wanted = value("-faithful").map(|word| {
            word.text.parse().ok().filter(|x: &f64| (0.0..1.0).contains(x)).ok_or_else(|| {
                Error::At(LangError::new(format!("{} is no share: a number from 0 to 1", word.text), word.span))
            })
        });
        return minimal(console, &expr, from, wanted.transpose()?.unwrap_or(FAITHFUL));
    }
    swept(console, &asked)
}

/// Whose values a word names.
fn source_of(console: &Console, word: &Word) -> Result<Source> {
    let session = &console.session;
    let source = match (session.run.branch_named(&word.text), session.peer_named(&word.text), word.text.as_str()) {
        (Some(branch), ..) => Source::Branch(branch),
        (None, Some(peer), _) => Source::Peer(peer),
        (None, None, "zero") => Source::Zero,
        (None, None, "mean") => Source::Mean,
        (None, None, other) => {
            let error = LangError::new(format!("no branch, model or dump {other}"), word.span);
            return Err(Error::At(error.help(format!("there is {}, zero, mean", session.side_names().join(", ")))));
        }
    };
    if source == Source::Branch(session.run.current) {
        return Err(Error::At(LangError::new("that is the current branch: its values are there already", word.span)));
    }
    Ok(source)
}

/// `patch SITE[SLICE] from SIDE`: an edit that puts in the value that another branch, model or dump has there.
fn one(console: &mut Console, site: &Word, from: &Word, line: &str) -> Done {
    if console.session.side_named(&from.text).is_none() {
        let error = LangError::new(format!("{} is no branch, model or dump", from.text), from.span);
        return Err(Error::At(error.help(format!("there is {}", console.session.side_names().join(", ")))));
    }
    let (name, slice) = site.text.split_at(site.text.find('[').unwrap_or(site.text.len()));
    let assignment = parse_assignment(&format!("{name}{slice} = {name}@{}{slice}", from.text), 0);
    // Places are those of the site, which is all that the user wrote.
    let within = |error: LangError| LangError { span: site.span, ..error };
    let edit = console.edit_of(&assignment.map_err(within)?, line).map_err(|fail| match fail {
        Error::At(error) => Error::At(within(error)),
        other => other,
    })?;
    console.apply(vec![edit])
}

/// `patch BRANCH -metric EXPR -to L3H2.q`: direct paths from earlier heads to one head.
fn to_head(console: &mut Console, expr: &crate::lang::Expr, from: usize, word: &Word) -> Done {
    let wrong = || {
        let error = LangError::new(format!("{} is no input of a head", word.text), word.span);
        Error::At(error.help("-to L3H2.q, L3H2.k or L3H2.v"))
    };
    let (name, part) =
        word.text.split_once('.').filter(|(_, part)| ["q", "k", "v"].contains(part)).ok_or_else(wrong)?;
    let (layer, head) = name.strip_prefix('L').and_then(|rest| rest.split_once('H')).ok_or_else(wrong)?;
    let (layer, head): (usize, usize) = (layer.parse().map_err(|_| wrong())?, head.parse().map_err(|_| wrong())?);
    let spec = &console.session.run.model.spec;
    if layer >= spec.n_layers || head >= spec.n_heads {
        return Err(Error::At(LangError::new(format!("there is no head {name}"), word.span)));
    }
    if layer == 0 {
        return Err(Error::At(LangError::new("no head stands in front of block 0", word.span)));
    }
    let width = spec.n_heads;
    let clean = console.number_in(from, expr)?;
    let (numbers, here) = paths(&mut console.session, expr, from, (layer, head, part))?;
    let program = console.session.run.program.clone();
    let sites = Places::of_blocks(&program, "attn.z", &[]).sites.into_iter().take(layer).collect();
    let found = Sweep { sites, over: vec![(Axis::Head, width)], numbers, here };
    let branch = console.session.run.branches[from].name.clone();
    let title = format!(
        "heads of {branch} put into {} of {name} alone, the rest as it is (path patching, measured): share of what is lost that comes back; \
         {} here, {} in {branch}",
        word.text.rsplit('.').next().unwrap_or_default(),
        significant(here, 5),
        significant(clean, 5)
    );
    console.map_of(&found, clean, title)
}

/// `patch BRANCH -metric EXPR -minimal`: the heads and MLPs that a number needs.
fn minimal(console: &mut Console, expr: &crate::lang::Expr, from: usize, wanted: f64) -> Done {
    let found = circuit(&mut console.session, expr, from, wanted)?;
    let branch = console.session.run.branches[from].name.clone();
    let [here, none, kept] = found.numbers.map(|x| significant(x, 5));
    let title = format!(
        "{} of {} heads and MLPs keep {} of the number (faithfulness), by greedy ablation: {here} with all, {none} with all as in {branch}, {kept} \
         with these alone; measured, and not the only circuit there may be",
        found.kept.len(),
        found.all,
        significant(found.faithfulness, 4)
    );
    let rows = found.kept.into_iter().map(|(one, loss)| vec![Cell::Text(one.name()), Cell::Num(loss)]).collect();
    let columns = ["Component", "Lost without it alone"].map(String::from).to_vec();
    Ok(Answer::Table(Table { title, columns, rows }))
}

impl Console {
    /// A number over the pass of another branch.
    pub(super) fn number_in(&mut self, branch: usize, expr: &crate::lang::Expr) -> Result<f64> {
        // The other branch need not have come to a later pass.
        if self.session.run.pass > 0 {
            return Err(Error::refused("patching works in the pass of the prompt: go back with \"goto #0\""));
        }
        // Only where names are looked up changes, and only for the time of this.
        let here = std::mem::replace(&mut self.session.run.current, branch);
        let session = &mut self.session;
        let found = catch_unwind(AssertUnwindSafe(|| number(expr, &mut RunScope::new(session))));
        self.session.run.current = here;
        // The engine answers for panics; the session must be on its own branch then.
        Ok(found.unwrap_or_else(|panic| resume_unwind(panic))?)
    }
}
