//! `patch`: what of another branch, put into this one, brings a number back?

use crate::commands::frame::{Done, mistake, number};
use crate::commands::state::{Call, Console};

mod sweep;

use crate::analysis::counterfactual::{circuit, paths};
use crate::analysis::patching::{Places, Source, Sweep};
use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::explaining::shown::indexed;
use crate::debugger::{Error, Result, RunScope};
use crate::lang::eval;
use crate::lang::words::Word;
use crate::lang::{Expr, LangError, Span, parse_assignment};
use crate::tensor::Axis;
use sweep::{Asked, swept};

/// What a circuit must keep of a number, unless another share is asked for.
const FAITHFUL: f64 = 0.9;

/// `patch BRANCH -metric EXPR [-site SITE] [-over AXES] [-approx|-both]`, `patch SITE[SLICE] from SIDE`.
pub fn patch(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    if let [site, word, from] = left.as_slice()
        && word.text == "from"
    {
        if let Some(option) = given.iter().next() {
            let help = "patch SITE[slice] from BRANCH is one edit, kept until \"undo\"";
            return Err(mistake(format!("{} applies only to a sweep", option.name), option.span, help));
        }
        return one(console, site, from, call.line);
    }
    // `patch sweep -from main` is `patch main`.
    let start = Span::at(call.args.offset);
    let usage = "patch SIDE -metric EXPR -site resid_pre; patch L1.attn.z[head=2] from main";
    let word = match (left.as_slice(), given.value("-from")) {
        ([], Some(from)) => from,
        ([word], Some(from)) if word.text == "sweep" => from,
        ([word], _) => word,
        ([_, extra, ..], _) => return Err(given.stray(extra, usage)),
        ([], None) => return Err(mistake("patch needs a side whose values are copied", start, usage)),
    };
    if given.has("-approx") && given.has("-both") {
        let message = "use -approx (gradients only) or -both (gradients next to the measurement)";
        return Err(mistake(message, start, "one of them at a time"));
    }
    let (to, is_minimal) = (given.value("-to"), given.has("-minimal"));
    let sweeps = ["-site", "-over", "-approx", "-both"];
    let of_sweep = given.iter().find(|option| sweeps.contains(&option.name));
    if let Some(option) = of_sweep.filter(|_| to.is_some() || is_minimal) {
        let message = format!("{} does not go with -to and -minimal", option.name);
        let help = "-to patches paths to one head, -minimal takes out heads and MLPs; both are measured";
        return Err(mistake(message, option.span, help));
    }
    if to.is_some() && is_minimal || given.has("-faithful") && !is_minimal {
        let message = "use -to or -minimal, not both; -faithful belongs to -minimal";
        return Err(mistake(message, start, "one of them at a time"));
    }
    let source = source_of(console, word)?;
    let missing = || mistake("patch needs a number to watch", start, "-metric logit(...) - logit(...)");
    let (expr, metric) = given.expr("-metric")?.ok_or_else(missing)?;
    let asked = Asked { expr: &expr, metric, source, name: &word.text, given: &given };
    match (source, to) {
        (_, None) if !is_minimal => swept(console, &asked),
        (Source::Branch(from), Some(head)) => to_head(console, &expr, from, head),
        (Source::Branch(from), None) => {
            let share = |word| number(word, |x| (0.0..1.0).contains(x), "share: a number from 0 to 1");
            minimal(console, &expr, from, given.value("-faithful").map_or(Ok(FAITHFUL), share)?)
        }
        _ => {
            let message = "-to and -minimal take their values from a branch, not from a model, a dump, zero or mean";
            Err(mistake(message, word.span, "patch BRANCH -metric EXPR -minimal"))
        }
    }
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
            let help = format!("choose from {}, zero, mean", session.side_names().join(", "));
            return Err(mistake(format!("no branch, model or dump {other}"), word.span, help));
        }
    };
    if source == Source::Branch(session.run.current) {
        return Err(LangError::new("that is the current branch: its values are there already", word.span).into());
    }
    Ok(source)
}

/// `patch SITE[SLICE] from SIDE`: an edit that puts in the value that another branch, model or dump has there.
fn one(console: &mut Console, site: &Word, from: &Word, line: &str) -> Done {
    if console.session.side_named(&from.text).is_none() {
        let help = format!("there is {}", console.session.side_names().join(", "));
        return Err(mistake(format!("{} is not a branch, model or dump", from.text), from.span, help));
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
fn to_head(console: &mut Console, expr: &Expr, from: usize, word: &Word) -> Done {
    let wrong =
        || mistake(format!("{} is not an input of a head", word.text), word.span, "-to L3H2.q, L3H2.k or L3H2.v");
    let parts = word.text.split_once('.').filter(|(_, part)| ["q", "k", "v"].contains(part));
    let (name, part) = parts.ok_or_else(wrong)?;
    let (layer, head) = indexed(name, 'H').ok_or_else(wrong)?;
    let spec = &console.session.run.model.spec;
    if layer >= spec.n_layers || head >= spec.n_heads {
        return Err(LangError::new(format!("there is no head {name}"), word.span).into());
    }
    if layer == 0 {
        return Err(LangError::new("there is no head before block 0", word.span).into());
    }
    let width = spec.n_heads;
    let clean = console.number_in(from, expr)?;
    let (numbers, here) = paths(&mut console.session, expr, from, (layer, head, part))?;
    let program = console.session.run.program.clone();
    let sites = Places::of_blocks(&program, "attn.z", &[]).sites.into_iter().take(layer).collect();
    let found = Sweep { sites, over: vec![(Axis::Head, width)], numbers, here };
    let branch = console.session.run.branches[from].name.clone();
    let title = format!(
        "heads of {branch} put into {part} of {name} alone, the rest as it is (path patching, measured): share of what is lost that comes back; \
         {} here, {} in {branch}",
        significant(here, 5),
        significant(clean, 5)
    );
    console.map_of(&found, clean, title)
}

/// `patch BRANCH -metric EXPR -minimal`: the heads and MLPs that a number needs.
fn minimal(console: &mut Console, expr: &Expr, from: usize, wanted: f64) -> Done {
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
    let rows = found.kept.into_iter().map(|(one, loss)| (one.name(), loss));
    Ok(Table::new(["Component", "Lost without it alone"]).title(title).rows(rows).into())
}

impl Console {
    /// A number over the pass of another branch.
    pub(crate) fn number_in(&mut self, branch: usize, expr: &Expr) -> Result<f64> {
        // The other branch need not have come to a later pass.
        self.session.prompt_pass()?;
        Ok(eval::number(expr, &mut RunScope::new(&mut self.session.in_branch(branch)))?)
    }
}
